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
 *     struct linear_arg head = loss_head(&a, 0, 16);
 *     head.y = a.logits;
 */
#ifndef LACUS_GPU_LOSS_HEAD_H
#define LACUS_GPU_LOSS_HEAD_H
#include "gpu/backend_args.h"
#include "gpu/rng.h"

/* From the `rows` gathered rows of the chunk that begins at `from` to their logits: a mask of dropout is for its rows. */
static inline struct linear_arg loss_head(const struct loss_arg *a, int64_t from, int64_t rows)
{
    struct linear_arg head = {.rows = rows,
                              .in = a->width,
                              .out = a->vocabulary,
                              .x = a->gathered,
                              .w = a->w,
                              .w_type = a->w_type,
                              .compute = a->compute,
                              .y = a->logits,
                              .lora = a->lora};

    head.lora.seed = rng_mix(a->lora.seed, (uint64_t)from);
    return head;
}

/* From the gradients of a chunk's logits: those of A and B, while `gathered` has the chunk's rows. */
static inline struct linear_arg loss_head_low_rank(const struct linear_arg *head, const struct loss_arg *a)
{
    struct linear_arg low = *head;

    low.w = NULL;
    low.dy = a->logits;
    return low;
}

/* And what they add to the rows' gradients, which `gathered` has by then. */
static inline struct linear_arg loss_head_low_rank_input(const struct linear_arg *head,
                                                         const struct loss_arg *a)
{
    struct linear_arg low = loss_head_low_rank(head, a);

    low.dx = a->gathered;
    low.lora.da = low.lora.db = NULL;
    return low;
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
                             .gathered = d->gathered,
                             .lora = d->lora};
}
#endif
