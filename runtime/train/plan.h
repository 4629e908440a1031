/* plan.h: what a training needs, before anything starts.
 *
 * What      the bytes that the engine will allocate, by what they are for, and an estimate of the time: from the
 *           model's config, the arguments and the rows, without loading a weight. Matrix products of the model's
 *           width are timed for a few hundredths of a second.
 * Ownership *out is a new reference.
 * Units     bytes, seconds, tokens.
 * Errors    those of the config, the arguments and the adapter; LC_DATA for rows that cannot be read. What does not
 *           fit is no error: "fits" is false.
 * Threads   any.
 * Request   folder (a model's); args, peft, quantization as in a job; adapter, teacher: folders; rows: a file of
 *           rows with max_length, completion_only, packing, pairs; items: how many there are when rows holds a sample
 *           of them; without rows batches are full: per_device_train_batch_size times max_length.
 * Result    weights, adapter, gradients, optimizer, activations, logits, scratch, teacher, total, available, fits,
 *           recomputed_layers, trainable, all, tokens_per_step, steps, seconds_per_step, seconds, flops_per_token,
 *           flops_per_second; with FP8 weights assumes: a sentence on their products' rate.
 *
 * Example:
 *     json_t *result = NULL;
 *     if (plan_training(&ctx, request, &result, &err) == LC_OK)
 *         json_decref(result);
 */
#ifndef LACUS_TRAIN_PLAN_H
#define LACUS_TRAIN_PLAN_H
#include "gpu/model.h"
#include "runtime/base/ctx.h"
#include <jansson.h>

enum lc plan_training(const struct ctx *ctx, const json_t *request, json_t **out, struct err *err) MUST_CHECK;
/* Floating-point operations of one trained token: products and attention over `length` tokens. */
double plan_flops(const struct model *m, int64_t length, int recomputed_layers);
/* Operations a second that the backend reaches on products of the model's width; DTYPE_FP8: of 8-bit factors. */
double plan_rate(const struct model *m, struct backend *backend, enum dtype compute);
/* The same over all operations of a token, of which there are `flops`: with DTYPE_FP8 the layers' products are at that
 * rate, the head, attention and adapters at bf16's. */
double plan_mixed_rate(const struct model *m, struct backend *backend, enum dtype compute, double flops,
                       int recomputed_layers);
#endif
