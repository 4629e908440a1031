/* lora_embed.c: an adapter beside the embedding: x += scale * A[token] B^T. It has no dropout, as PEFT's has none. */
#include "gpu/model_int.h"

static struct embed_arg lookup_of(const struct model *m, const struct arena_of *a,
                                  const struct low_rank *part, int64_t from, int64_t rows)
{
    return (struct embed_arg){.rows = rows,
                              .width = part->rank,
                              .vocabulary = m->config.vocab_size,
                              .ids = m->work.ids + from,
                              .table = weight_data(a, part->a),
                              .type = DTYPE_F32,
                              .y = m->work.embed_xa,
                              .padding = (int32_t)m->config.pad_token_id};
}

static struct linear_arg product_of(const struct model *m, const struct arena_of *a,
                                    const struct low_rank *part, int64_t rows)
{
    return (struct linear_arg){.rows = rows,
                               .in = part->rank,
                               .out = m->config.hidden_size,
                               .x = m->work.embed_xa,
                               .w = weight_data(a, part->b),
                               .w_type = DTYPE_F32,
                               .compute = m->compute};
}

void embed_lora_forward(struct model *m, const struct arena_of *a, const struct low_rank *part, int64_t from,
                        int64_t rows, float *x)
{
    const struct backend_ops *ops = m->backend->ops;
    struct embed_arg lookup = lookup_of(m, a, part, from, rows);
    struct linear_arg product = product_of(m, a, part, rows);

    product.y = m->work.out;
    ops->embed_forward(m->backend->state, NULL, &lookup);
    ops->linear_forward(m->backend->state, NULL, &product);
    ops->add(m->backend->state, NULL, x + from * product.out, product.y, part->scale, rows * product.out);
}

void embed_lora_backward(struct model *m, const float *g)
{
    const struct backend_ops *ops = m->backend->ops;
    const struct low_rank *part = &m->embed_lora;
    struct embed_arg lookup;
    struct linear_arg product;
    int64_t n = m->rows * m->config.hidden_size;

    if (part->a < 0)
        return;
    lookup = lookup_of(m, &m->adapter, part, 0, m->rows);
    product = product_of(m, &m->adapter, part, m->rows);
    ops->embed_forward(m->backend->state, NULL,
                       &lookup); /* again: a forward of fewer rows may have come between */
    ops->zero(m->backend->state, NULL, m->work.out, (size_t)n * sizeof(float));
    ops->add(m->backend->state, NULL, m->work.out, g, part->scale, n);
    product.dy = m->work.out;
    product.dx = m->work.dxa;
    product.dw = weight_grad(&m->adapter, part->b);
    ops->linear_backward(m->backend->state, NULL, &product);
    lookup.dy = m->work.dxa;
    lookup.dtable = weight_grad(&m->adapter, part->a);
    ops->embed_backward(m->backend->state, NULL, &lookup);
}
