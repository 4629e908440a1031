/* model_memory.c: what a forward and backward need, computed and then carved from one block. */
#include "gpu/model_int.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, LOGITS_BYTES = 32 << 20, DEVICE_LOGITS_BYTES = 512 << 20, CHUNK_MIN = 16 };

struct carve { /* walks a block; with base NULL it only measures */
    char *base;
    size_t used;
};

static void *carve(struct carve *c, int64_t n, size_t size)
{
    void *at = c->base ? c->base + c->used : NULL;

    c->used += ((size_t)n * size + LINE - 1) & ~(size_t)(LINE - 1);
    return at;
}

static float *floats(struct carve *c, int64_t n)
{
    return carve(c, n, sizeof(float));
}

static int32_t *ints(struct carve *c, int64_t n)
{
    return carve(c, n, sizeof(int32_t));
}

struct request {
    int64_t rows, sequences;
    bool train;
    int recomputed;
};

static size_t work_rank(const struct model *m)
{
    int64_t most = kept_rank(m);

    if (m->embed_lora.a >= 0 && m->embed_lora.rank > most)
        most = m->embed_lora.rank;
    if (m->head_lora.a >= 0 && m->head_lora.rank > most)
        most = m->head_lora.rank;
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (int i = 0; i < LIN_COUNT; i++)
            if (m->layers[l].linear[i].lora_a >= 0 && m->layers[l].linear[i].rank > most)
                most = m->layers[l].linear[i].rank;
    return (size_t)most;
}

static bool has_dora(const struct model *m)
{
    return m->lora && m->lora->use_dora;
}

/* layer -1: in any of them */
static bool adapted(const struct model *m, int64_t layer, int linear)
{
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        if ((layer < 0 || l == layer) && m->layers[l].linear[linear].lora_a >= 0)
            return true;
    return m->n_kept > 0; /* any of them may be in the next batch */
}

/* All that a layer (-1: any of them) keeps but its input. */
static void carve_layer(struct carve *c, const struct model *m, int64_t layer, int64_t rows, struct saved *s)
{
    const struct model_config *k = &m->config;
    int64_t q = k->num_attention_heads * k->head_dim, kv = k->num_key_value_heads * k->head_dim;

    s->rstd1 = floats(c, rows);
    s->q = floats(c, rows * q);
    s->k = floats(c, rows * kv);
    s->v = floats(c, rows * kv);
    s->y = floats(c, rows * q);
    s->lse = floats(c, rows * k->num_attention_heads);
    s->h = floats(c, rows * k->hidden_size);
    s->rstd2 = floats(c, rows);
    s->gate = floats(c, rows * k->intermediate_size);
    s->up = floats(c, rows * k->intermediate_size);
    if (k->qk_norm) {
        s->q_raw = floats(c, rows * q);
        s->k_raw = floats(c, rows * kv);
        s->q_rstd = floats(c, rows * k->num_attention_heads);
        s->k_rstd = floats(c, rows * k->num_key_value_heads);
    }
    for (int i = 0; i < LIN_COUNT; i++)
        if (adapted(m, layer, i)) {
            s->xa[i] = floats(c, rows * (int64_t)work_rank(m));
            if (has_dora(m))
                s->dora[i] = floats(c, 2 * model_linear_shape(k, (enum linear_id)i).out);
        }
}

static size_t carve_layers(struct carve *c, const struct model *m, const struct request *r,
                           struct saved *layers)
{
    int64_t n = m->config.num_hidden_layers;
    struct saved shared = {0};
    size_t before = c->used;

    if (!r->train || r->recomputed > 0)
        carve_layer(c, m, -1, r->rows, &shared);
    shared.x = r->train ? NULL : floats(c, r->rows * m->config.hidden_size);
    for (int64_t l = 0; l < n; l++) {
        struct saved one = shared;

        if (r->train && l >= r->recomputed)
            carve_layer(c, m, l, r->rows, &one);
        if (r->train)
            one.x = floats(c, r->rows * m->config.hidden_size);
        if (layers)
            layers[l] = one;
    }
    return c->used - before;
}

static int64_t widest(const struct model_config *c)
{
    int64_t q = c->num_attention_heads * c->head_dim, most = c->hidden_size > q ? c->hidden_size : q;

    return most > c->intermediate_size ? most : c->intermediate_size;
}

/* A CPU's chunk stays near its caches; a GPU's is large enough to be worth the head's weights, read once for each. */
static int64_t chunk_rows(const struct model *m, int64_t rows)
{
    int64_t bytes = m->backend->ops->host_visible ? LOGITS_BYTES : DEVICE_LOGITS_BYTES,
            n = bytes / (int64_t)sizeof(float) / m->config.vocab_size;

    n = n < CHUNK_MIN ? CHUNK_MIN : n;
    return n < rows ? n : rows;
}

static void carve_scratch(struct carve *c, const struct model *m, const struct request *r, struct work *w)
{
    const struct model_config *k = &m->config;
    int64_t q = k->num_attention_heads * k->head_dim, kv = k->num_key_value_heads * k->head_dim,
            rows = r->rows;

    w->ids = ints(c, rows);
    w->positions = ints(c, rows);
    w->starts = ints(c, r->sequences + 1);
    w->past = ints(c, r->sequences);
    w->slots = ints(c, r->sequences);
    w->index = ints(c, rows);
    w->targets = ints(c, rows);
    w->normed = floats(c, rows * k->hidden_size);
    w->out = floats(c, rows * k->hidden_size);
    w->act = floats(c, rows * k->intermediate_size);
    w->final_x = floats(c, rows * k->hidden_size);
    w->final_rstd = floats(c, rows);
    w->losses = floats(c, rows);
    w->weights = floats(c, r->train ? rows : 0);
    w->chunk = chunk_rows(m, rows);
    w->chunk_logits = floats(c, w->chunk * k->vocab_size);
    w->gathered = floats(c, w->chunk * k->hidden_size);
    if (m->embed_lora.a >= 0 || m->n_kept)
        w->embed_xa = floats(c, rows * (int64_t)work_rank(m));
    if (m->head_lora.a >= 0 || m->n_kept)
        w->head_xa = floats(c, rows * (int64_t)work_rank(m));
    if (m->lora && m->lora->lora_dropout > 0)
        w->dropped = floats(c, rows * widest(k));
    if (has_dora(m)) {
        w->aw = floats(c, (int64_t)work_rank(m) * widest(k));
        w->aa = floats(c, (int64_t)(work_rank(m) * work_rank(m)));
        w->raw = floats(c, r->train ? rows * widest(k) : 0);
        w->draw = floats(c, r->train ? rows * widest(k) : 0);
    }
    if (!r->train)
        return;
    w->dact = floats(c, rows * k->intermediate_size);
    w->g = floats(c, rows * k->hidden_size);
    w->dq = floats(c, rows * q);
    w->dk = floats(c, rows * kv);
    w->dv = floats(c, rows * kv);
    w->dy = floats(c, rows * q);
    w->dxa = floats(c, rows * (int64_t)work_rank(m));
}

void model_set_optimizer(struct model *m, int states)
{
    m->optimizer_states = states;
}

static void measure(const struct model *m, const struct request *r, struct model_plan *out)
{
    const struct arena_of *a = m->adapter.n ? &m->adapter : &m->base;
    struct carve c = {0};
    struct work w = {0};
    size_t bytes = a->trainable && r->train ? a->bytes : 0;

    *out = (struct model_plan){.weights = m->base.bytes + m->adapter.bytes + kept_bytes(m),
                               .gradients = bytes,
                               .optimizer = (size_t)m->optimizer_states * bytes};
    out->activations = carve_layers(&c, m, r, NULL);
    carve_scratch(&c, m, r, &w);
    out->scratch = c.used - out->activations;
    out->adapter = m->adapter.bytes;
    out->logits = (size_t)(w.chunk * m->config.vocab_size) * sizeof(float);
    out->recomputed_layers = r->recomputed;
    out->total = out->weights + out->gradients + out->optimizer + c.used;
}

enum lc model_make_plan(const struct model *m, int64_t rows, int64_t sequences, bool train, size_t budget,
                        int recompute_layers, struct model_plan *out, struct err *err)
{
    struct request r = {rows + sequences * model_virtual_rows(m), sequences, train,
                        train ? recompute_layers : 0};
    int layers = (int)m->config.num_hidden_layers;

    if (rows < 1 || sequences < 1 || rows > INT32_MAX / 2)
        return err_set(err, LC_ARG, "cannot plan memory for %lld tokens in %lld sequences", (long long)rows,
                       (long long)sequences);
    r.recomputed = r.recomputed > layers ? layers : r.recomputed;
    measure(m, &r, out);
    while (budget && out->total > budget && train && r.recomputed < layers) {
        r.recomputed++;
        measure(m, &r, out);
    }
    if (!budget || out->total <= budget)
        return LC_OK;
    err_set(err, LC_LIMIT, "%s %lld tokens at once needs %zu MiB: %zu MiB more than the %zu MiB there are",
            train ? "training on" : "running on", (long long)rows, out->total >> 20,
            (out->total - budget) >> 20, budget >> 20);
    return err_hint(
        err,
        "weights %zu MiB, gradients %zu, optimizer %zu, activations %zu: use a smaller batch size with more "
        "gradient accumulation, shorter sequences, or LoRA",
        out->weights >> 20, out->gradients >> 20, out->optimizer >> 20,
        (out->activations + out->scratch) >> 20);
}

void work_release(struct model *m)
{
    recorded_release(m);
    const struct backend_ops *ops = m->backend->ops;

    ops->release(m->backend->state, m->work.block, m->work.bytes);
    rope_release(m);
    mem_free(m->work.layers);
    mem_free(m->work.host);
    mem_free(m->work.prompt_at);
    m->work = (struct work){0};
    m->can_backward = false;
}

static enum lc reserve_work(struct model *m, const struct request *r, struct err *err)
{
    struct carve c = {0};
    struct work *w = &m->work;
    void *block = NULL;

    work_release(m);
    w->layers = mem_calloc((size_t)m->config.num_hidden_layers, sizeof *w->layers);
    w->host = mem_reallocn(NULL, (size_t)batch_host_ints(r->rows, r->sequences), sizeof *w->host);
    w->prompt_at = mem_reallocn(NULL, (size_t)(r->sequences + r->rows), sizeof *w->prompt_at);
    w->real = w->prompt_at + r->sequences;
    if (!w->layers || !w->host || !w->prompt_at)
        return err_nomem(err);
    carve_layers(&c, m, r, NULL);
    carve_scratch(&c, m, r, w);
    TRY(m->backend->ops->alloc(m->backend->state, c.used, &block, err));
    w->block = block;
    w->bytes = c.used;
    c = (struct carve){.base = block};
    carve_layers(&c, m, r, w->layers);
    carve_scratch(&c, m, r, w);
    w->rows = r->rows;
    w->sequences = r->sequences;
    w->train = r->train;
    w->recomputed = r->recomputed;
    return LC_OK;
}

enum lc work_reserve(struct model *m, int64_t rows, int64_t sequences, bool train, int recomputed,
                     struct err *err)
{
    struct request r = {rows, sequences, train, train ? recomputed : 0};
    enum lc code;

    r.recomputed =
        r.recomputed > (int)m->config.num_hidden_layers ? (int)m->config.num_hidden_layers : r.recomputed;
    code = reserve_work(m, &r, err);
    if (code != LC_OK)
        work_release(m);
    return code;
}

enum lc model_reserve(struct model *m, int64_t rows, int64_t sequences, bool train, size_t budget,
                      int recompute_layers, struct model_plan *out, struct err *err)
{
    struct model_plan plan;

    TRY(model_make_plan(m, rows, sequences, train, budget, recompute_layers, &plan, err));
    TRY(work_reserve(m, rows + sequences * model_virtual_rows(m), sequences, train, plan.recomputed_layers,
                     err));
    if (out)
        *out = plan;
    return train ? arena_reserve_grads(m, model_arena(m), err) : LC_OK;
}

/* ---- caches of keys and values ---- */
enum lc cache_new(struct model *m, int64_t sequences, int64_t capacity, struct kv_cache *out, struct err *err)
{
    const struct model_config *c = &m->config;
    int64_t per_row = c->num_hidden_layers * c->num_key_value_heads * c->head_dim;
    void *k = NULL, *v = NULL;
    enum lc code;

    capacity += model_virtual_rows(m);
    *out = (struct kv_cache){.sequences = sequences, .capacity = capacity};
    out->bytes = (size_t)(sequences * capacity * per_row) * sizeof(float);
    code = m->backend->ops->alloc(m->backend->state, out->bytes, &k, err);
    if (code == LC_OK)
        code = m->backend->ops->alloc(m->backend->state, out->bytes, &v, err);
    out->k = k;
    out->v = v;
    if (code != LC_OK)
        cache_release(m, out);
    return code;
}

void cache_release(struct model *m, struct kv_cache *c)
{
    m->backend->ops->release(m->backend->state, c->k, c->bytes);
    m->backend->ops->release(m->backend->state, c->v, c->bytes);
    *c = (struct kv_cache){0};
}
