/* worker.h: the worker process: attaches to a coordinator, takes jobs, streams back what it makes.
 *
 * What      fetches a job's files by digest into a cache of its own, trains on a thread of its own, and
 *           answers on the main thread meanwhile: a beat each second, cancel, release. SIGTERM: checkpoint,
 *           release, exit (30 s at most).
 * Ownership worker_main runs until it is released.
 * Errors    as exit code; the text goes to standard error.
 * Threads   the calling thread, one for the work, and ZeroMQ's.
 *
 * Example:
 *     struct worker_options o = {.endpoint = "tcp://10.0.0.5:7733", .key_file = "box.key"};
 *     int status = worker_main(&o);
 */
#ifndef LACUS_TRAIN_WORKER_H
#define LACUS_TRAIN_WORKER_H
#include <stdbool.h>

struct worker_options {
    const char *endpoint, *key_file;
    bool once;       /* ends after one job */
    int connect_s;   /* to wait for the first connection; 0: 10 */
    int reconnect_s; /* to go on trying after a connection was lost; 0: 600 */
};

int worker_main(const struct worker_options *options);
#endif
