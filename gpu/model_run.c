/* model_run.c: the forward and backward over the table of layers. */
#include "gpu/prompt.h"
#include "gpu/rng.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pass { /* one forward or backward */
    struct model *m;
    const struct backend_ops *ops;
    void *state;
    const struct model_config *c;
    struct work *w;
    int64_t rows;
    bool train;
};

static struct pass pass_of(struct model *m)
{
    return (struct pass){m, m->backend->ops, m->backend->state, &m->config, &m->work, m->rows, false};
}

/* ---- looking at results ---- */
/* When a step has failed its batch is run again like this: the first result that is not finite is named. */
static void look(const struct pass *p, const char *what, int64_t layer, const char *part, const float *x,
                 int64_t n)
{
    struct watch *watch = p->m->watch;
    double squares = 0;

    if (!watch || watch->found || !x)
        return;
    p->ops->sum_squares(p->state, NULL, x, n, &squares);
    if (isfinite(squares))
        return;
    watch->found = true;
    if (layer < 0)
        snprintf(watch->what, sizeof watch->what, "%s '%s'", what, part);
    else
        snprintf(watch->what, sizeof watch->what, "%s 'model.layers.%lld.%s'", what, (long long)layer, part);
}

/* ---- linear layers ---- */
static void add_lora(const struct pass *p, int64_t l, enum linear_id id, struct lora_arg *out)
{
    const struct model *m = p->m;
    const struct linear *lin = &m->layers[l].linear[id];

    if (lin->lora_a < 0 || m->plain)
        return;
    *out = (struct lora_arg){.a = weight_data(&m->adapter, lin->lora_a),
                             .b = weight_data(&m->adapter, lin->lora_b),
                             .xa = p->w->layers[l].xa[id],
                             .dxa = p->w->dxa,
                             .da = weight_grad(&m->adapter, lin->lora_a),
                             .db = weight_grad(&m->adapter, lin->lora_b),
                             .dropped = p->w->dropped,
                             .rank = lin->rank,
                             .scale = lin->scale,
                             .dropout = m->dropout,
                             .seed = rng_mix(m->seed, (uint64_t)(l * LIN_COUNT + id))};
}

static struct linear_arg linear_of(const struct pass *p, int64_t l, enum linear_id id)
{
    const struct model *m = p->m;
    const struct linear *lin = &m->layers[l].linear[id];
    struct linear_shape s = model_linear_shape(p->c, id);
    struct used w = weight_used(m, lin->weight), bias = weight_used(m, lin->bias);
    struct linear_arg a = {.rows = p->rows,
                           .in = s.in,
                           .out = s.out,
                           .w = w.data,
                           .w_type = w.type,
                           .compute = m->eighths && w.type == DTYPE_FP8 ? DTYPE_FP8 : m->compute,
                           .bias = bias.data,
                           .dw = w.grad,
                           .dbias = bias.grad};

    add_lora(p, l, id, &a.lora);
    return a;
}

static bool has_dora(const struct pass *p, int64_t l, enum linear_id id)
{
    return p->m->layers[l].linear[id].magnitude >= 0 && !p->m->plain;
}

/* The factors of a weight's rows, from the squares of W, A W^T and A A^T: W + s B A is never made. */
static struct dora_arg dora_of(const struct pass *p, int64_t l, enum linear_id id, const struct linear_arg *a)
{
    const struct linear *lin = &p->m->layers[l].linear[id];

    return (struct dora_arg){.rows = a->rows,
                             .out = a->out,
                             .rank = lin->rank,
                             .scale = lin->scale,
                             .squares = lin->squares,
                             .aw = p->w->aw,
                             .aa = p->w->aa,
                             .b = weight_data(&p->m->adapter, lin->lora_b),
                             .magnitude = weight_data(&p->m->adapter, lin->magnitude),
                             .factor = p->w->layers[l].dora[id],
                             .inverse = p->w->layers[l].dora[id] + a->out,
                             .bias = a->bias};
}

static void dora_factors(const struct pass *p, int64_t l, enum linear_id id, const struct linear_arg *a)
{
    struct dora_arg d = dora_of(p, l, id, a);
    struct linear_arg product = {.rows = d.rank,
                                 .in = a->in,
                                 .out = a->out,
                                 .x = a->lora.a,
                                 .w = a->w,
                                 .w_type = a->w_type,
                                 .compute = DTYPE_F32,
                                 .y = p->w->aw};

    p->ops->linear_forward(p->state, NULL, &product);
    product.out = d.rank;
    product.w = a->lora.a;
    product.w_type = DTYPE_F32;
    product.y = p->w->aa;
    p->ops->linear_forward(p->state, NULL, &product);
    p->ops->dora_factors(p->state, NULL, &d);
}

/* The weights are read once for all rows; each run of rows then gets its own low-rank part. */
static void add_kept(const struct pass *p, int64_t l, enum linear_id id, const struct linear_arg *whole)
{
    const struct model *m = p->m;

    for (size_t i = 0; i < m->n_runs; i++) {
        const struct run *run = &m->runs[i];
        const struct low_rank *part = run->adapter ? &run->adapter->parts[l * LIN_COUNT + id] : NULL;
        struct linear_arg a = *whole;

        if (!part || part->a < 0)
            continue;
        a.w = NULL;
        a.bias = NULL;
        a.rows = run->rows;
        a.x = whole->x + run->from * a.in;
        a.y = whole->y + run->from * a.out;
        a.lora = (struct lora_arg){.a = weight_data(&run->adapter->arena, part->a),
                                   .b = weight_data(&run->adapter->arena, part->b),
                                   .xa = p->w->layers[l].xa[id],
                                   .rank = part->rank,
                                   .scale = part->scale};
        p->ops->linear_forward(p->state, NULL, &a);
    }
}

/* What follows a product: the low-rank parts of the rows' own adapters, and a look at what came out. */
static void linear_done(const struct pass *p, int64_t l, enum linear_id id, const struct linear_arg *a)
{
    if (p->m->n_runs)
        add_kept(p, l, id, a);
    else
        look(p, "the output of", l, model_linear_shape(p->c, id).path, a->y, a->rows * a->out);
}

static void linear_forward(const struct pass *p, int64_t l, enum linear_id id, const float *x, float *y)
{
    struct linear_arg a = linear_of(p, l, id);
    struct dora_arg d;

    a.x = x;
    a.y = y;
    if (p->m->n_runs || !has_dora(p, l, id)) {
        p->ops->linear_forward(p->state, NULL, &a);
    } else {
        dora_factors(p, l, id, &a);
        d = dora_of(p, l, id, &a);
        d.y = y;
        a.bias = NULL;
        p->ops->linear_forward(p->state, NULL, &a);
        p->ops->dora_forward(p->state, NULL, &d);
    }
    linear_done(p, l, id, &a);
}

struct projection {
    enum linear_id id;
    float *y;
};

/* Several products of the same x. */
static void linears_forward(const struct pass *p, int64_t l, const float *x, const struct projection *each,
                            size_t n)
{
    struct linear_arg a[LIN_COUNT] = {0};
    bool together = p->ops->linears_forward != NULL;

    for (size_t i = 0; i < n; i++)
        together = together && (p->m->n_runs || !has_dora(p, l, each[i].id));
    for (size_t i = 0; i < n && !together; i++)
        linear_forward(p, l, each[i].id, x, each[i].y);
    if (!together)
        return;
    for (size_t i = 0; i < n; i++) {
        a[i] = linear_of(p, l, each[i].id);
        a[i].x = x;
        a[i].y = each[i].y;
    }
    p->ops->linears_forward(p->state, NULL, a, n);
    for (size_t i = 0; i < n; i++)
        linear_done(p, l, each[i].id, &a[i]);
}

static bool has_gradient(const struct pass *p, int64_t l, enum linear_id id)
{
    const struct linear *lin = &p->m->layers[l].linear[id];

    return lin->lora_a >= 0 || weight_used(p->m, lin->weight).grad || weight_used(p->m, lin->bias).grad;
}

/* What a factor multiplied is made again: rope, norms and residuals have changed what it gave. */
static void dora_backward(const struct pass *p, int64_t l, enum linear_id id, struct linear_arg *a)
{
    struct dora_arg d = dora_of(p, l, id, a);
    struct linear_arg again = *a;

    again.bias = NULL;
    again.y = p->w->raw;
    p->ops->linear_forward(p->state, NULL, &again);
    d.raw = p->w->raw;
    d.dy = a->dy;
    d.draw = p->w->draw;
    d.dmagnitude = weight_grad(&p->m->adapter, p->m->layers[l].linear[id].magnitude);
    d.dbias = a->dbias;
    p->ops->dora_backward(p->state, NULL, &d);
    a->dy = d.draw;
    a->dbias = NULL;
}

static void look_at_weights(const struct pass *p, int64_t l, enum linear_id id, const struct linear_arg *a)
{
    const char *part = model_linear_shape(p->c, id).path;

    look(p, "the gradient of", l, part, a->dw, a->in * a->out);
    look(p, "the gradient of A of", l, part, a->lora.da, a->in * a->lora.rank);
    look(p, "the gradient of B of", l, part, a->lora.db, a->out * a->lora.rank);
}

static void linear_backward(const struct pass *p, int64_t l, enum linear_id id, const float *x,
                            const float *dy, float *dx, bool add)
{
    struct linear_arg a = linear_of(p, l, id);

    if (!dx && !has_gradient(p, l, id))
        return;
    a.x = x;
    a.dy = dy;
    a.dx = dx;
    a.add_dx = add;
    if (has_dora(p, l, id))
        dora_backward(p, l, id, &a);
    look(p, "the gradient that reaches", l, model_linear_shape(p->c, id).path, a.dy, a.rows * a.out);
    p->ops->linear_backward(p->state, NULL, &a);
    look_at_weights(p, l, id, &a);
}

/* ---- one layer ---- */
static struct norm_arg norm_of(const struct pass *p, int weight, const float *x, float *y, float *rstd)
{
    struct used w = weight_used(p->m, weight);

    return (struct norm_arg){.rows = p->rows,
                             .width = p->c->hidden_size,
                             .eps = (float)p->c->rms_norm_eps,
                             .x = x,
                             .w = w.data,
                             .y = y,
                             .rstd = rstd,
                             .dw = w.grad};
}

static void rotate(const struct pass *p, float *x, int64_t heads, bool query, bool inverse)
{
    struct rope_arg a = {.rows = p->rows,
                         .heads = heads,
                         .head_dim = p->c->head_dim,
                         .x = x,
                         .positions = p->w->positions,
                         .cosines = query ? p->m->q_cosines : p->m->cosines,
                         .sines = query ? p->m->q_sines : p->m->sines,
                         .inverse = inverse};

    p->ops->rope(p->state, NULL, &a);
}

static struct norm_arg head_norm(const struct pass *p, int weight, int64_t heads, const float *x, float *y,
                                 float *rstd)
{
    struct norm_arg a = norm_of(p, weight, x, y, rstd);

    a.rows = p->rows * heads;
    a.width = p->c->head_dim;
    return a;
}

static void project(const struct pass *p, int64_t l, const float *normed)
{
    const struct layer *layer = &p->m->layers[l];
    struct saved *s = &p->w->layers[l];
    bool normalised = p->c->qk_norm;

    linears_forward(p, l, normed,
                    (struct projection[]){{LIN_Q, normalised ? s->q_raw : s->q},
                                          {LIN_K, normalised ? s->k_raw : s->k},
                                          {LIN_V, s->v}},
                    3);
    if (normalised) {
        struct norm_arg q = head_norm(p, layer->q_norm, p->c->num_attention_heads, s->q_raw, s->q, s->q_rstd);
        struct norm_arg k = head_norm(p, layer->k_norm, p->c->num_key_value_heads, s->k_raw, s->k, s->k_rstd);

        p->ops->norm_forward(p->state, NULL, &q);
        p->ops->norm_forward(p->state, NULL, &k);
    }
    rotate(p, s->q, p->c->num_attention_heads, true, false);
    rotate(p, s->k, p->c->num_key_value_heads, false, false);
    prefix_put(p->m, l, s->k, s->v);
}

static struct attention_arg attention_of(const struct pass *p, int64_t l)
{
    const struct saved *s = &p->w->layers[l];

    return (struct attention_arg){.sequences = p->m->launch_sequences,
                                  .rows = p->rows,
                                  .longest = p->m->launch_longest,
                                  .starts = p->w->starts,
                                  .heads = p->c->num_attention_heads,
                                  .kv_heads = p->c->num_key_value_heads,
                                  .head_dim = p->c->head_dim,
                                  .window = model_config_window(p->c, l),
                                  .scale = (float)(1 / sqrt((double)p->c->head_dim)),
                                  .compute = p->m->compute,
                                  .q = s->q,
                                  .k = s->k,
                                  .v = s->v,
                                  .y = s->y,
                                  .lse = s->lse,
                                  .dy = p->w->dy,
                                  .dq = p->w->dq,
                                  .dk = p->w->dk,
                                  .dv = p->w->dv};
}

static void attend_cached(const struct pass *p, int64_t l)
{
    const struct kv_cache *cache = p->m->cache;
    struct attention_arg a = attention_of(p, l);
    int64_t layer = l * cache->sequences * cache->capacity * a.kv_heads * a.head_dim;
    struct cached_attention_arg c = {.sequences = a.sequences,
                                     .rows = a.rows,
                                     .starts = a.starts,
                                     .past = p->w->past,
                                     .slots = p->w->slots,
                                     .heads = a.heads,
                                     .kv_heads = a.kv_heads,
                                     .head_dim = a.head_dim,
                                     .window = a.window,
                                     .capacity = cache->capacity,
                                     .scale = a.scale,
                                     .q = a.q,
                                     .k = a.k,
                                     .v = a.v,
                                     .k_cache = cache->k + layer,
                                     .v_cache = cache->v + layer,
                                     .y = a.y};

    p->ops->attention_cached(p->state, NULL, &c);
}

/* From the layer's input in s->x to its MLP's output in w->out (the residual s->h is added by what follows).
 * previous: what the layer before left as residual, to be added to w->out first; NULL: s->x is ready. */
static void layer_forward(const struct pass *p, int64_t l, const float *previous)
{
    const struct layer *layer = &p->m->layers[l];
    struct work *w = p->w;
    struct saved *s = &w->layers[l];
    struct norm_arg norm1 = norm_of(p, layer->norm1, s->x, w->normed, s->rstd1);
    struct norm_arg norm2 = norm_of(p, layer->norm2, w->out, w->normed, s->rstd2);
    struct swiglu_arg swiglu = {
        .n = p->rows * p->c->intermediate_size, .gate = s->gate, .up = s->up, .y = w->act};

    if (previous) {
        norm1.x = w->out;
        norm1.residual = previous;
        norm1.sum = s->x;
    }
    p->ops->norm_forward(p->state, NULL, &norm1);
    look(p, "the output of", l, "input_layernorm", w->normed, p->rows * p->c->hidden_size);
    project(p, l, w->normed);
    if (p->m->cache) {
        attend_cached(p, l);
    } else {
        struct attention_arg attention = attention_of(p, l);

        p->ops->attention_forward(p->state, NULL, &attention);
        look(p, "the output of", l, "self_attn", s->y, p->rows * p->c->num_attention_heads * p->c->head_dim);
    }
    linear_forward(p, l, LIN_O, s->y, w->out);
    norm2.residual = s->x;
    norm2.sum = s->h;
    p->ops->norm_forward(p->state, NULL, &norm2);
    look(p, "the output of", l, "post_attention_layernorm", w->normed, p->rows * p->c->hidden_size);
    linears_forward(p, l, w->normed, (struct projection[]){{LIN_GATE, s->gate}, {LIN_UP, s->up}}, 2);
    p->ops->swiglu_forward(p->state, NULL, &swiglu);
    look(p, "the activation of", l, "mlp", w->act, swiglu.n);
    linear_forward(p, l, LIN_DOWN, w->act, w->out);
}

static void norm_again(const struct pass *p, int weight, const float *x, float *rstd)
{
    struct norm_arg a = norm_of(p, weight, x, p->w->normed, rstd);

    p->ops->norm_apply(p->state, NULL, &a);
}

static void norm_backward(const struct pass *p, int weight, const float *x, float *rstd)
{
    struct work *w = p->w;
    struct norm_arg a = norm_of(p, weight, x, NULL, rstd);

    a.dy = w->out;
    a.dresidual = w->g;
    a.dx = w->g;
    p->ops->norm_backward(p->state, NULL, &a);
}

static void mlp_backward(const struct pass *p, int64_t l)
{
    struct work *w = p->w;
    struct saved *s = &w->layers[l];
    struct swiglu_arg swiglu = {.n = p->rows * p->c->intermediate_size,
                                .gate = s->gate,
                                .up = s->up,
                                .y = w->act,
                                .dy = w->dact,
                                .dgate = s->gate,
                                .dup = s->up};

    if (has_gradient(p, l, LIN_DOWN))
        p->ops->swiglu_forward(p->state, NULL, &swiglu);
    linear_backward(p, l, LIN_DOWN, w->act, w->g, w->dact, false);
    swiglu.y = NULL;
    p->ops->swiglu_backward(p->state, NULL, &swiglu);
    if (has_gradient(p, l, LIN_GATE) || has_gradient(p, l, LIN_UP))
        norm_again(p, p->m->layers[l].norm2, s->h, s->rstd2);
    linear_backward(p, l, LIN_GATE, w->normed, s->gate, w->out, false);
    linear_backward(p, l, LIN_UP, w->normed, s->up, w->out, true);
    norm_backward(p, p->m->layers[l].norm2, s->h, s->rstd2);
}

static void head_norm_backward(const struct pass *p, int weight, int64_t heads, const float *raw, float *rstd,
                               float *g)
{
    struct norm_arg a = head_norm(p, weight, heads, raw, NULL, rstd);

    a.dy = g;
    a.dx = g;
    p->ops->norm_backward(p->state, NULL, &a);
}

static void attention_backward(const struct pass *p, int64_t l, bool need_input)
{
    const struct layer *layer = &p->m->layers[l];
    struct work *w = p->w;
    struct saved *s = &w->layers[l];
    struct attention_arg a = attention_of(p, l);
    float *dx = need_input ? w->out : NULL;

    linear_backward(p, l, LIN_O, s->y, w->g, w->dy, false);
    p->ops->attention_backward(p->state, NULL, &a);
    prefix_take(p->m, l, w->dk, w->dv);
    rotate(p, w->dq, p->c->num_attention_heads, true, true);
    rotate(p, w->dk, p->c->num_key_value_heads, false, true);
    if (p->c->qk_norm) {
        head_norm_backward(p, layer->q_norm, p->c->num_attention_heads, s->q_raw, s->q_rstd, w->dq);
        head_norm_backward(p, layer->k_norm, p->c->num_key_value_heads, s->k_raw, s->k_rstd, w->dk);
    }
    if (has_gradient(p, l, LIN_Q) || has_gradient(p, l, LIN_K) || has_gradient(p, l, LIN_V))
        norm_again(p, layer->norm1, s->x, s->rstd1);
    linear_backward(p, l, LIN_Q, w->normed, w->dq, dx, false);
    linear_backward(p, l, LIN_K, w->normed, w->dk, dx, true);
    linear_backward(p, l, LIN_V, w->normed, w->dv, dx, true);
    if (need_input)
        norm_backward(p, layer->norm1, s->x, s->rstd1);
}

/* ---- a batch ---- */
static void embed_adapters(const struct pass *p, float *x)
{
    struct model *m = p->m;

    if (m->embed_lora.a >= 0 && !m->plain)
        embed_lora_forward(m, &m->adapter, &m->embed_lora, 0, p->rows, x);
    for (size_t i = 0; i < m->n_runs; i++) {
        const struct run *run = &m->runs[i];
        const struct low_rank *part = run->adapter ? &run->adapter->parts[kept_embed(m)] : NULL;

        if (part && part->a >= 0)
            embed_lora_forward(m, &run->adapter->arena, part, run->from, run->rows, x);
    }
}

static void embed(const struct pass *p)
{
    struct used table = weight_used(p->m, p->m->embed);
    struct embed_arg a = {.rows = p->rows,
                          .width = p->c->hidden_size,
                          .vocabulary = p->c->vocab_size,
                          .ids = p->w->ids,
                          .table = table.data,
                          .type = table.type,
                          .y = p->w->layers[0].x};

    p->ops->embed_forward(p->state, NULL, &a);
    embed_adapters(p, a.y);
    prompt_embed(p->m, a.y);
    look(p, "the output of", -1, "model.embed_tokens", a.y, a.rows * a.width);
}

/* All layers and the last norm: the normalised rows are in w->normed. */
static enum lc body_forward(const struct ctx *ctx, const struct pass *p, struct err *err)
{
    struct work *w = p->w;
    const float *previous = NULL;
    struct norm_arg last = norm_of(p, p->m->norm, w->out, w->normed, w->final_rstd);

    embed(p);
    for (int64_t l = 0; l < p->c->num_hidden_layers; l++) {
        TRY(ctx_check(ctx, err));
        layer_forward(p, l, previous);
        previous = w->layers[l].h;
    }
    last.residual = previous;
    last.sum = w->final_x;
    p->ops->norm_forward(p->state, NULL, &last);
    look(p, "the output of", -1, "model.norm", w->normed, p->rows * p->c->hidden_size);
    return LC_OK;
}

/* ---- parts that may be replayed ---- */
struct part {
    const struct pass *p;
    int64_t lowest; /* of the backward */
    bool inputs;
};

static struct recorded_key key_of(const struct part *part, enum recorded_part which)
{
    const struct pass *p = part->p;
    const struct model *m = p->m;

    return (struct recorded_key){.part = which,
                                 .rows = p->rows,
                                 .sequences = m->launch_sequences,
                                 .longest = m->launch_longest,
                                 .lowest = part->lowest,
                                 .how = (int64_t)p->w->recomputed * 8 + (m->plain ? 4 : 0) +
                                        (part->inputs ? 2 : 0) + (p->train ? 1 : 0)};
}

static enum lc forward_part(const struct ctx *ctx, void *arg, struct err *err)
{
    return body_forward(ctx, ((struct part *)arg)->p, err);
}

/* Training repeats its shapes; other forwards seldom do. */
static enum lc training_forward(const struct ctx *ctx, const struct pass *p, struct err *err)
{
    struct part part = {.p = p};
    struct recorded_key key = key_of(&part, RECORDED_FORWARD);

    return p->train ? recorded_run(ctx, p->m, &key, forward_part, &part, err) : body_forward(ctx, p, err);
}

/* ---- the head ---- */
/* Of the adapter that is attached, or of a kept one. */
static struct lora_arg low_rank_of(const struct model *m, const struct arena_of *a,
                                   const struct low_rank *part)
{
    if (part->a < 0)
        return (struct lora_arg){0};
    return (struct lora_arg){.a = weight_data(a, part->a),
                             .b = weight_data(a, part->b),
                             .xa = m->work.head_xa,
                             .dxa = m->work.dxa,
                             .da = weight_grad(a, part->a),
                             .db = weight_grad(a, part->b),
                             .dropped = m->work.dropped,
                             .rank = part->rank,
                             .scale = part->scale,
                             .seed = rng_mix(m->seed, (uint64_t)(m->config.num_hidden_layers * LIN_COUNT))};
}

static struct lora_arg head_lora(const struct model *m)
{
    return m->plain ? (struct lora_arg){0} : low_rank_of(m, &m->adapter, &m->head_lora);
}

static struct linear_arg head_of(const struct pass *p, const float *x, int64_t rows, float *logits)
{
    struct used head = head_used(p->m);

    return (struct linear_arg){.rows = rows,
                               .in = p->c->hidden_size,
                               .out = p->c->vocab_size,
                               .x = x,
                               .w = head.data,
                               .w_type = head.type,
                               .compute = p->m->compute,
                               .y = logits};
}

static void head_rows(const struct pass *p, const float *x, int64_t rows, float *logits)
{
    struct linear_arg a = head_of(p, x, rows, logits);

    a.lora = head_lora(p->m);
    p->ops->linear_forward(p->state, NULL, &a);
}

/* The kept adapters' parts of the logits of the rows that a decode asked for: rows[i], ascending, is where the i-th is. */
static void add_kept_head(const struct pass *p, const int32_t *rows, int64_t n, const float *x, float *logits)
{
    const struct model *m = p->m;
    int64_t i = 0;

    for (size_t r = 0; r < m->n_runs; r++) {
        const struct run *run = &m->runs[r];
        const struct low_rank *part = run->adapter ? &run->adapter->parts[kept_head(m)] : NULL;
        struct linear_arg a;
        int64_t from = i;

        while (i < n && rows[i] < run->from + run->rows)
            i++;
        if (!part || part->a < 0 || i == from)
            continue;
        a = head_of(p, x + from * p->c->hidden_size, i - from, logits + from * p->c->vocab_size);
        a.w = NULL;
        a.lora = low_rank_of(m, &run->adapter->arena, part);
        p->ops->linear_forward(p->state, NULL, &a);
    }
}

static enum lc reserve_logits(struct model *m, int64_t rows, struct err *err)
{
    size_t bytes = (size_t)(rows * m->config.vocab_size) * sizeof(float);
    void *block = NULL;

    if (bytes <= m->logits_bytes)
        return LC_OK;
    TRY(m->backend->ops->alloc(m->backend->state, bytes, &block, err));
    m->backend->ops->release(m->backend->state, m->logits, m->logits_bytes);
    m->logits = block;
    m->logits_bytes = bytes;
    return LC_OK;
}

/* Of the tokens that were given: a trained prompt has none. */
static enum lc all_logits(const struct pass *p, struct err *err)
{
    struct model *m = p->m;
    struct work *w = p->w;
    int64_t width = p->c->hidden_size;

    TRY(reserve_logits(m, m->real_rows, err));
    m->logits_rows = m->real_rows;
    if (m->real_rows == m->rows) {
        head_rows(p, w->normed, m->rows, m->logits);
        return LC_OK;
    }
    /* w->out is free after the last norm; the losses' index is not */
    TRY(upload_ints(m, w->positions, w->real, m->real_rows, err));
    p->ops->gather(p->state, NULL, w->out, w->normed, w->positions, m->real_rows, width);
    head_rows(p, w->out, m->real_rows, m->logits);
    return LC_OK;
}

static struct loss_arg loss_of(const struct pass *p)
{
    struct model *m = p->m;
    struct work *w = p->w;
    struct used head = head_used(m);
    struct loss_arg a;

    a = (struct loss_arg){.rows = m->labels,
                          .width = p->c->hidden_size,
                          .vocabulary = p->c->vocab_size,
                          .x = w->normed,
                          .index = w->index,
                          .targets = w->targets,
                          .w = head.data,
                          .w_type = head.type,
                          .compute = m->compute,
                          .smoothing = m->smoothing,
                          .losses = w->losses,
                          .logits = w->chunk_logits,
                          .gathered = w->gathered,
                          .chunk = w->chunk,
                          .lora = head_lora(m)};
    a.lora.dropout = m->dropout;
    return a;
}

static void run_loss(const struct pass *p, const struct loss_arg *a)
{
    struct model *m = p->m, *teacher = m->teacher;
    struct distill_arg d;
    struct used head;

    if (!m->distills) {
        p->ops->loss(p->state, NULL, a);
        return;
    }
    head = head_used(teacher);
    d = (struct distill_arg){.loss = *a,
                             .temperature = m->temperature,
                             .alpha = m->alpha,
                             .x = teacher->work.normed,
                             .index = teacher->work.index,
                             .width = teacher->config.hidden_size,
                             .w = head.data,
                             .w_type = head.type,
                             .logits = teacher->work.chunk_logits,
                             .gathered = teacher->work.gathered,
                             .lora = head_lora(teacher)};
    d.loss.chunk = a->chunk < teacher->work.chunk ? a->chunk : teacher->work.chunk;
    p->ops->distill(p->state, NULL, &d);
}

static void loss_with_gradient(const struct pass *p, struct loss_arg *a)
{
    a->dx = p->w->g;
    a->dw = head_used(p->m).grad;
    p->ops->zero(p->state, NULL, p->w->g, (size_t)(p->rows * p->c->hidden_size) * sizeof(float));
    if (a->rows)
        run_loss(p, a);
    look(p, "the loss of", -1, "lm_head", a->losses, a->rows);
    look(p, "the gradient that leaves", -1, "lm_head", p->w->g, p->rows * p->c->hidden_size);
    look(p, "the gradient of A of", -1, "lm_head", a->lora.da, p->c->hidden_size * a->lora.rank);
    look(p, "the gradient of B of", -1, "lm_head", a->lora.db, p->c->vocab_size * a->lora.rank);
}

static enum lc loss_forward(const struct pass *p, const struct model_forward *how, struct model_loss *out,
                            struct err *err)
{
    struct model *m = p->m;
    struct work *w = p->w;
    int64_t items = how->num_items > 0 ? how->num_items : m->labels;
    float *losses = (float *)w->host;
    struct loss_arg a;

    m->smoothing = (float)how->label_smoothing;
    a = loss_of(p);
    a.scale = items ? (float)(1 / (double)items) : 0;
    *out = (struct model_loss){.labels = m->labels};
    if (p->train && !how->weighted)
        loss_with_gradient(p, &a);
    else if (m->labels)
        run_loss(p, &a);
    if (m->labels == 0)
        return LC_OK;
    TRY(p->ops->download(p->state, NULL, losses, w->losses, (size_t)m->labels * sizeof *losses, err));
    for (int64_t i = 0; i < m->labels; i++)
        out->sum += (double)losses[i];
    out->mean = out->sum / (double)m->labels;
    out->scaled = out->sum / (double)items;
    if (how->losses)
        memcpy(how->losses, losses, (size_t)m->labels * sizeof *losses);
    return LC_OK;
}

static bool is_likeliest(const float *logits, int64_t n, int32_t target)
{
    for (int64_t j = 0; j < n; j++)
        if (logits[j] > logits[target] || (j < target && logits[j] >= logits[target]))
            return false;
    return true;
}

enum lc model_count_right(struct model *m, int64_t *right, struct err *err)
{
    struct pass p = pass_of(m);
    struct work *w = &m->work;
    const int32_t *targets = w->host + 2 * w->rows;
    int64_t vocabulary = m->config.vocab_size;
    float *row = mem_reallocn(NULL, (size_t)vocabulary, sizeof *row);
    enum lc code = row ? LC_OK : err_nomem(err);

    for (int64_t from = 0; from < m->labels && code == LC_OK; from += w->chunk) {
        int64_t n = m->labels - from < w->chunk ? m->labels - from : w->chunk;

        p.ops->gather(p.state, NULL, w->gathered, w->normed, w->index + from, n, m->config.hidden_size);
        head_rows(&p, w->gathered, n, w->chunk_logits);
        for (int64_t i = 0; i < n && code == LC_OK; i++) {
            code = p.ops->download(p.state, NULL, row, w->chunk_logits + i * vocabulary,
                                   (size_t)vocabulary * sizeof *row, err);
            *right += code == LC_OK && is_likeliest(row, vocabulary, targets[from + i]);
        }
    }
    mem_free(row);
    return code;
}

static int32_t greatest(const float *x, int64_t n)
{
    int64_t best = 0;

    for (int64_t j = 1; j < n; j++)
        best = x[j] > x[best] ? j : best;
    return (int32_t)best;
}

/* Of a chunk: a trained prompt in front of the tokens has no place in it. */
static enum lc likeliest_rows(const struct pass *p, int64_t from, int64_t n, int32_t *places, float *row,
                              int32_t *out, struct err *err)
{
    struct work *w = p->w;
    int64_t vocabulary = p->c->vocab_size;

    for (int64_t i = 0; i < n; i++)
        places[i] = p->m->real_rows == p->m->rows ? (int32_t)(from + i) : w->real[from + i];
    /* the forward is over: nobody asks for its positions any more */
    TRY(upload_ints(p->m, w->positions, places, n, err));
    p->ops->gather(p->state, NULL, w->gathered, w->normed, w->positions, n, p->c->hidden_size);
    head_rows(p, w->gathered, n, w->chunk_logits);
    for (int64_t i = 0; i < n; i++) {
        TRY(p->ops->download(p->state, NULL, row, w->chunk_logits + i * vocabulary,
                             (size_t)vocabulary * sizeof *row, err));
        out[from + i] = greatest(row, vocabulary);
    }
    return LC_OK;
}

enum lc model_likeliest(struct model *m, int32_t *out, struct err *err)
{
    struct pass p = pass_of(m);
    struct work *w = &m->work;
    float *row = mem_reallocn(NULL, (size_t)m->config.vocab_size, sizeof *row);
    int32_t *places = mem_reallocn(NULL, (size_t)w->chunk, sizeof *places);
    enum lc code = row && places ? LC_OK : err_nomem(err);

    for (int64_t from = 0; from < m->real_rows && code == LC_OK; from += w->chunk)
        code = likeliest_rows(&p, from, m->real_rows - from < w->chunk ? m->real_rows - from : w->chunk,
                              places, row, out, err);
    mem_free(row);
    mem_free(places);
    return code;
}

enum lc model_weigh_loss(struct model *m, const float *weights, struct err *err)
{
    struct pass p = pass_of(m);
    struct loss_arg a = loss_of(&p);

    if (!m->unweighted)
        return err_set(err, LC_ARG, "cannot weigh the loss: run a forward with train and weighted first");
    TRY(p.ops->upload(p.state, NULL, m->work.weights, weights, (size_t)m->labels * sizeof *weights, err));
    a.weights = m->work.weights;
    loss_with_gradient(&p, &a);
    m->unweighted = false;
    m->can_backward = true;
    return p.ops->sync(p.state, NULL, err);
}

static enum lc forward_check(const struct model *m, const struct model_batch *b,
                             const struct model_forward *how, struct err *err)
{
    if (how->train && !b->labels)
        return err_set(err, LC_ARG, "cannot train on a batch without labels");
    if (how->train && how->plain)
        return err_set(err, LC_ARG, "cannot train without the adapter that is attached");
    if (how->train && !model_arena((struct model *)(uintptr_t)m)->trainable) /* not changed */
        return err_set(err, LC_ARG, "cannot train: no parameter of the model is trainable");
    if (!(how->label_smoothing >= 0 && how->label_smoothing < 1))
        return err_set(err, LC_ARG, "label smoothing %g is not in [0, 1)", how->label_smoothing);
    if (how->distill && (how->label_smoothing > 0 || how->weighted))
        return err_set(err, LC_UNSUPPORTED, "cannot smooth or weigh labels while learning from a teacher");
    return LC_OK;
}

/* The layers of the teacher over the same batch: its head is a part of the loss. */
static enum lc teach(const struct ctx *ctx, struct model *teacher, const struct model_batch *batch,
                     struct err *err)
{
    struct pass p;

    teacher->can_backward = teacher->unweighted = teacher->plain = false;
    teacher->logits_rows = 0;
    teacher->cache = NULL;
    teacher->dropout = 0;
    TRY(batch_begin(teacher, batch, false, NULL, err));
    p = pass_of(teacher);
    return body_forward(ctx, &p, err);
}

enum lc model_forward(const struct ctx *ctx, struct model *m, const struct model_batch *batch,
                      const struct model_forward *how, struct model_loss *loss, struct err *err)
{
    struct model_loss ignored;
    struct pass p;

    m->can_backward = m->unweighted = false;
    m->plain = how->plain;
    m->logits_rows = 0;
    m->cache = NULL;
    TRY(forward_check(m, batch, how, err));
    m->distills = how->distill && m->teacher;
    if (m->distills)
        TRY(teach(ctx, m->teacher, batch, err));
    TRY(batch_begin(m, batch, how->train, NULL, err));
    m->dropout = how->dropout && m->lora ? (float)m->lora->lora_dropout : 0;
    m->seed = how->seed;
    p = pass_of(m);
    p.train = how->train;
    TRY(training_forward(ctx, &p, err));
    if (how->logits) {
        TRY(all_logits(&p, err));
    }
    if (batch->labels)
        TRY(loss_forward(&p, how, loss ? loss : &ignored, err));
    m->can_backward = how->train && !how->weighted;
    m->unweighted = how->train && how->weighted;
    return p.ops->sync(p.state, NULL, err);
}

/* ---- backward ---- */
/* Below this layer nothing trains: the gradient need not go there. */
static int64_t lowest_trained(const struct pass *p)
{
    const struct model *m = p->m;

    if (weight_used(m, m->embed).grad || m->prompt || m->embed_lora.a >= 0)
        return 0;
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++) {
        const struct layer *layer = &m->layers[l];
        const int norms[] = {layer->norm1, layer->norm2, layer->q_norm, layer->k_norm};

        for (enum linear_id i = 0; i < LIN_COUNT; i++)
            if (has_gradient(p, l, i))
                return l;
        for (int i = 0; i < 4; i++)
            if (weight_used(m, norms[i]).grad)
                return l;
    }
    return m->config.num_hidden_layers;
}

static void embed_backward(const struct pass *p)
{
    struct embed_arg a = {.rows = p->rows,
                          .width = p->c->hidden_size,
                          .vocabulary = p->c->vocab_size,
                          .ids = p->w->ids,
                          .dy = p->w->g,
                          .dtable = weight_used(p->m, p->m->embed).grad,
                          .padding = (int32_t)p->c->pad_token_id};

    if (a.dtable)
        p->ops->embed_backward(p->state, NULL, &a);
    embed_lora_backward(p->m, p->w->g);
    prompt_embed_backward(p->m, p->w->g);
}

static enum lc backward_part(const struct ctx *ctx, void *arg, struct err *err)
{
    const struct part *part = arg;
    const struct pass *p = part->p;
    struct model *m = p->m;
    struct norm_arg last = norm_of(p, m->norm, p->w->final_x, NULL, p->w->final_rstd);

    last.dy = p->w->g;
    last.dx = p->w->g;
    p->ops->norm_backward(p->state, NULL, &last);
    for (int64_t l = m->config.num_hidden_layers - 1; l >= part->lowest; l--) {
        TRY(ctx_check(ctx, err));
        if (l < p->w->recomputed)
            layer_forward(p, l, NULL);
        mlp_backward(p, l);
        attention_backward(p, l, l > part->lowest || part->inputs);
        if (m->layer_done)
            m->layer_done(m->layer_arg, l);
    }
    embed_backward(p);
    return LC_OK;
}

enum lc model_backward(const struct ctx *ctx, struct model *m, struct err *err)
{
    struct pass p = pass_of(m);
    int64_t lowest = lowest_trained(&p);
    bool inputs = weight_used(m, m->embed).grad != NULL || prompt_trains_embeddings(m) ||
                  m->embed_lora.a >= 0 ||
                  weight_used(m, m->layers[lowest < m->config.num_hidden_layers ? lowest : 0].norm1).grad;
    struct part part = {&p, lowest, inputs};
    struct recorded_key key = key_of(&part, RECORDED_BACKWARD);

    if (!m->can_backward)
        return err_set(
            err, LC_ARG,
            m->unweighted
                ? "cannot run backward: model_weigh_loss comes first"
                : "cannot run backward: run a forward with labels and train = true first, once for each "
                  "backward");
    m->can_backward = false;
    TRY(recorded_run(ctx, m, &key, backward_part, &part, err));
    return p.ops->sync(p.state, NULL, err);
}

enum lc model_logits(const struct model *m, struct tensor *out, struct err *err)
{
    if (m->logits_rows == 0)
        return err_set(err, LC_ARG, "there are no logits: run a forward that asks for them");
    *out = (struct tensor){.name = "",
                           .backend = m->backend,
                           .dtype = DTYPE_F32,
                           .ndim = 2,
                           .shape = {m->logits_rows, m->config.vocab_size},
                           .data = m->logits};
    return LC_OK;
}

/* ---- with a cache ---- */
static enum lc wanted_rows(const struct pass *p, const struct decode *d, float *logits, struct err *err)
{
    struct model *m = p->m;
    struct work *w = p->w;
    int64_t n = d->n_wanted, width = p->c->hidden_size;
    int32_t *rows = w->host + w->rows; /* where the index of labels would be: there are none */

    if (n == 0)
        return p->ops->sync(p->state, NULL, err);
    TRY(reserve_logits(m, n, err));
    for (int64_t i = 0; i < n; i++)
        rows[i] = w->real[d->wanted[i]];
    TRY(upload_ints(m, w->index, rows, n, err));
    p->ops->gather(p->state, NULL, w->out, w->normed, w->index, n, width);
    head_rows(p, w->out, n, m->logits);
    add_kept_head(p, rows, n, w->out, m->logits);
    return p->ops->download(p->state, NULL, logits, m->logits,
                            (size_t)(n * p->c->vocab_size) * sizeof *logits, err);
}

enum lc model_decode(const struct ctx *ctx, struct model *m, struct kv_cache *cache, const struct decode *d,
                     float *logits, struct err *err)
{
    struct model_batch b = {
        .rows = d->starts[d->sequences], .sequences = d->sequences, .ids = d->ids, .starts = d->starts};
    struct pass p;
    enum lc code;

    m->can_backward = m->unweighted = m->plain = false;
    m->logits_rows = 0;
    TRY(kept_begin(m, d, err));
    code = batch_begin(m, &b, false, d, err);
    if (code == LC_OK)
        code = upload_ints(m, m->work.slots, d->slots, d->sequences, err);
    m->dropout = 0;
    m->cache = cache;
    p = pass_of(m);
    if (code == LC_OK)
        code = body_forward(ctx, &p, err);
    if (code == LC_OK)
        code = wanted_rows(&p, d, logits, err);
    m->cache = NULL;
    m->n_runs = 0;
    return code;
}
