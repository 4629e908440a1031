/* curve.h: the loss curve of a job, for people: Vega-Lite and text.
 *
 * What      collects the metric and eval events of a job (a step that comes again, after a resume, replaces
 *           what was there and all after it) and draws them.
 * Ownership curve_new gives, curve_free ends; JSON is a new reference.
 * Units     steps, nats.
 * Errors    false or NULL when there is no memory.
 * Threads   one at a time.
 *
 * Example:
 *     struct curve *c = curve_new();
 *     struct buf text = BUF_INIT(10000);
 *     curve_add(c, event);
 *     if (curve_text(c, 60, 12, &text))
 *         puts(buf_str(&text));
 *     buf_release(&text);
 *     curve_free(c);
 */
#ifndef LACUS_TRAIN_CURVE_H
#define LACUS_TRAIN_CURVE_H
#include "runtime/base/buf.h"
#include <jansson.h>

struct curve;
struct curve *curve_new(void);
void curve_free(struct curve *c);                             /* NULL is fine */
bool curve_add(struct curve *c, const json_t *event);         /* other events are ignored */
json_t *curve_vega(const struct curve *c, const char *title); /* Vega-Lite 5; at most 500 points a line */
/* Two marks: '.' one step, 'o' an evaluation; axes labelled. False without a point. */
bool curve_text(const struct curve *c, int columns, int lines, struct buf *out);
#endif
