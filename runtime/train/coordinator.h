/* coordinator.h: the process that owns the training jobs of a workspace.
 *
 * What      one per workspace (a lock file decides), started when a job is queued and gone when nothing is
 *           left to do. It admits workers, gives them jobs, starts a worker of its own when none is attached,
 *           keeps what they send, and writes every job's end into the workspace: finished, cancelled, or
 *           failed with the reason and the worker's last words. A job whose coordinator was killed is queued
 *           again from its last checkpoint.
 * Ownership coordinator_main runs until it is done.
 * Errors    as exit code; the text goes to standard error.
 * Threads   the calling thread, plus ZeroMQ's.
 *
 * Example:
 *     struct coordinator_options o = {.idle_ms = 10000};
 *     int status = coordinator_main(&o);
 */
#ifndef LACUS_TRAIN_COORDINATOR_H
#define LACUS_TRAIN_COORDINATOR_H
#include "runtime/base/err.h"
#include <jansson.h>

struct coordinator_options {
    const char *program; /* what to run as "worker"; NULL: this executable */
    int idle_ms;         /* ends after this long without work */
};

int coordinator_main(const struct coordinator_options *options);

/* ---- for those who want one to run ---- */
bool coordinator_running(void); /* holds the lock of this workspace */
/* Milliseconds since the running one's last sign of life; it gives one each second unless it hangs. */
int64_t coordinator_silence(void);
/* Starts one unless it runs. program NULL: this executable (what is in its place now, when it was replaced).
 * An idle one of another version is ended first; LC_CONFLICT when that one has jobs. */
enum lc coordinator_ensure(const char *program, struct err *err) MUST_CHECK;
/* What the running one says of itself: {pid, endpoint, public_key, workers}; LC_NOTFOUND when there is none. */
enum lc coordinator_about(json_t **out, struct err *err) MUST_CHECK;
char *coordinator_log(void); /* path of its log; mem_free */
/* Where it listens from its next start on: "tcp://0.0.0.0:7733"; NULL reads what is set ("" when local only). */
enum lc coordinator_bind(const char *endpoint, char out[256], struct err *err) MUST_CHECK;
#endif
