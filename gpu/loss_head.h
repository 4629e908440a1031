/* loss_head.h: the head of a model as a linear layer, for the backends' losses by chunks.
 *
 * What      loss_arg and distill_arg name a head; these say it as the operation that makes a chunk's logits.
 * Ownership everything is borrowed from the argument.
 * Units     rows.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     struct loss_arg a = {.width = 64, .vocabulary = 1000, .w_type = DTYPE_BF16};
 *     struct linear_arg head = loss_head(&a, 16);
 *     head.y = a.logits;
 */
#ifndef LACUS_GPU_LOSS_HEAD_H
#define LACUS_GPU_LOSS_HEAD_H
#include "gpu/backend_args.h"

/* From `rows` gathered rows to their logits. */
static inline struct linear_arg loss_head(const struct loss_arg *a, int64_t rows)
{
    return (struct linear_arg){.rows = rows,
                               .in = a->width,
                               .out = a->vocabulary,
                               .x = a->gathered,
                               .w = a->w,
                               .w_type = a->w_type,
                               .compute = a->compute,
                               .y = a->logits};
}

/* The teacher's, for the code that makes a student's logits. */
static inline struct loss_arg distill_teacher(const struct distill_arg *d)
{
    return (struct loss_arg){.width = d->width,
                             .vocabulary = d->loss.vocabulary,
                             .x = d->x,
                             .index = d->index,
                             .w = d->w,
                             .w_type = d->w_type,
                             .compute = d->loss.compute,
                             .logits = d->logits,
                             .gathered = d->gathered};
}
#endif
