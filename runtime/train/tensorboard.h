/* tensorboard.h: event files as TensorBoard reads them.
 *
 * What      scalars in records with masked CRC-32C, one file for each opening.
 * Ownership tensorboard_open → tensorboard_close.
 * Units     steps; the wall clock is asked for at each call.
 * Errors    LC_IO, LC_NOSPACE. A record is written whole or the error is told.
 * Threads   one at a time.
 *
 * Example:
 *     struct tensorboard *t;
 *     if (tensorboard_open("runs/first", &t, &err) == LC_OK)
 *         code = tensorboard_scalar(t, "train/loss", 2.5, 1, &err);
 *     tensorboard_close(t);
 */
#ifndef LACUS_TRAIN_TENSORBOARD_H
#define LACUS_TRAIN_TENSORBOARD_H
#include "runtime/base/err.h"
#include <jansson.h>
#include <stdint.h>

struct tensorboard;
enum lc tensorboard_open(const char *folder, struct tensorboard **out, struct err *err) MUST_CHECK;
void tensorboard_close(struct tensorboard *t); /* NULL is fine */
enum lc tensorboard_scalar(struct tensorboard *t, const char *tag, double value, int64_t step,
                           struct err *err) MUST_CHECK;
/* What one event of a training job says, under Hugging Face's tags: train/loss, eval/loss, … */
enum lc tensorboard_event(struct tensorboard *t, const json_t *event, struct err *err) MUST_CHECK;
#endif
