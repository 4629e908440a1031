/* metric_log.h: the append log of one run's metrics, and the way out of it.
 *
 * What      a text file: a header line with a random id, then one line per metric
 *           "SUM TIMESTAMP STEP VALUE KEY" (SUM: FNV-1a of the rest, 8 hex digits; VALUE: the bits of the
 *           double, 16 hex digits). A line is acknowledged when write() has returned. A piece of a line that
 *           a full disk left behind is followed by a line "~", so that it is not taken for damage.
 * Ownership metric_log_open gives a writer, metric_log_close ends it.
 * Units     milliseconds, bytes.
 * Errors    NOSPACE, IO, DATA. Lines that are damaged are handed to the reader's callback, never guessed.
 * Threads   a writer: one thread at a time. Any number of writers and readers, in any process of this host. A
 *           writer holds a shared lock (flock) on the file; who removes the file must hold the exclusive one.
 *
 * Example:
 *     struct metric_log *log;
 *     struct tracker_metric m = {.key = "loss", .value = 0.5, .timestamp = 1};
 *     if (metric_log_open("/tmp/run.log", &log, &err) == LC_OK) {
 *         if (metric_log_append(log, &m, 1, &err) != LC_OK)
 *             puts(err.message);
 *         metric_log_close(log);
 *     }
 */
#ifndef LACUS_TRACKING_METRIC_LOG_H
#define LACUS_TRACKING_METRIC_LOG_H
#include "runtime/tracking/tracker.h"

struct metric_log;

enum lc metric_log_open(const char *path, struct metric_log **out, struct err *err) MUST_CHECK;
enum lc metric_log_append(struct metric_log *log, const struct tracker_metric *metrics, size_t n,
                          struct err *err) MUST_CHECK;
void metric_log_close(struct metric_log *log); /* NULL is fine */

enum { METRIC_LOG_ID = 17 };

struct metric_reader {
    int fd;
    bool alone;             /* no writer has it open, and none can while this reader lives */
    char id[METRIC_LOG_ID]; /* from the header; "" while there is none */
    int64_t start;          /* offset of the first metric */
    char *chunk;            /* owned */
};
typedef enum lc metric_log_line(void *arg, const struct tracker_metric *metric, struct err *err);
typedef enum lc metric_log_damage(void *arg, const char *line, size_t len, struct err *err);

/* LC_NOTFOUND when there is no such file. */
enum lc metric_reader_open(const char *path, struct metric_reader *r, struct err *err) MUST_CHECK;
/* Reads complete lines from *offset on, about a megabyte at most, and moves *offset; *more: call again. */
enum lc metric_reader_next(struct metric_reader *r, int64_t *offset, bool *more, metric_log_line *line,
                           metric_log_damage *damage, void *arg, struct err *err) MUST_CHECK;
void metric_reader_close(struct metric_reader *r);
#endif
