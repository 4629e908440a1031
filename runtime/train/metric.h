/* metric.h: a metric of the user's own, compute_metrics, where a training evaluates.
 *
 * What      a Lua function that was packed in the session (runtime/session/closure.h) runs in a state of its own with
 *           {predictions, label_ids}: for each example the likeliest next token at each place, and the labels as they
 *           are. It has the basic, table, string, math and utf8 libraries, and what was copied with it.
 * Ownership metric_open gives, metric_close ends. *out is a new reference.
 * Units     tokens.
 * Errors    LC_RUNTIME (the function raised: its text), LC_ARG (it did not return a table of numbers), LC_IO,
 *           LC_CANCELLED, LC_NOMEM.
 * Threads   one at a time.
 *
 * Example:
 *     const int32_t labels[] = {1, 2, 3}, likeliest[] = {1, 2, 2};
 *     struct metric *m;
 *     json_t *numbers;
 *     if (metric_open("data/compute_metrics", &m, &err) == LC_OK) {
 *         if (metric_add(m, labels, likeliest, 3, &err) == LC_OK && metric_result(&ctx, m, &numbers, &err) == LC_OK)
 *             json_decref(numbers);
 *         metric_close(m);
 *     }
 */
#ifndef LACUS_TRAIN_METRIC_H
#define LACUS_TRAIN_METRIC_H
#include "runtime/base/ctx.h"
#include <jansson.h>

struct metric;
enum lc metric_open(const char *path, struct metric **out, struct err *err) MUST_CHECK;
void metric_close(struct metric *m); /* NULL is fine */
/* One more example of n tokens. */
enum lc metric_add(struct metric *m, const int32_t *labels, const int32_t *likeliest, int64_t n,
                   struct err *err) MUST_CHECK;
/* Of the examples since the last result, which are then forgotten: names begin with "eval_". */
enum lc metric_result(const struct ctx *ctx, struct metric *m, json_t **out, struct err *err) MUST_CHECK;
void metric_forget(struct metric *m);
#endif
