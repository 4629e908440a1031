/* trainer_ranks.c: one training run on several ranks. Each has the whole model and data; micro-batch i of a step is done
 * by rank i modulo their number, gradients are summed while the backward pass goes on, and every rank then makes the same
 * optimizer step. So the batch, the loss and the order of the data are those of one rank with as many micro-batches. */
#include "gpu/trainer_int.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/sha256.h"
#include <stdlib.h>
#include <string.h>

/* What the ranks tell each other at the end of a step: sums in front, then each rank's own numbers. */
enum { SUM_LOSS, SUM_TOKENS, SUM_PAIRS, SUM_RIGHT, SUM_REWARD_LOSS, SUM_CHOSEN, SUM_REJECTED, SUMS };
enum { OWN_COMPUTE, OWN_WAIT, OWN_STEP, OWN_NORM, OWN };

struct ranks {
    const struct collective *c; /* borrowed */
    int64_t *layer_of;          /* owned: of each weight of the arena; -1: final at the end only */
    double *told;               /* owned: SUMS + OWN * size */
    struct rank_time *times;    /* owned: of the last step */
    size_t started;             /* bytes of the decaying part from here on are being summed */
    int64_t next;               /* the layer whose gradient becomes final next */
    enum lc failed;             /* of a sum that was started in the backward pass */
    struct err err;
    int64_t begun_ns;
    double computed, waited, stepped; /* seconds of the last step */
    bool stepped_once;
};

/* Bytes that are worth a round of messages: enough parts that few are left when the backward pass ends. */
static size_t bucket_of(const struct arena_of *a)
{
    size_t part = a->decay_bytes / 16;

    return part < (size_t)16 << 10 ? (size_t)16 << 10 : part > (size_t)4 << 20 ? (size_t)4 << 20 : part;
}

static void note_layer(struct ranks *r, int weight, int64_t layer)
{
    if (weight >= 0)
        r->layer_of[weight] = layer;
}

/* Which layer's backward makes a weight's gradient final. The head's is final after the loss, unless it is the
 * embedding. */
static void find_layers(struct ranks *r, const struct model *m, const struct arena_of *a)
{
    for (size_t i = 0; i < a->n; i++)
        r->layer_of[i] = -1;
    for (int64_t l = 0; l < m->config.num_hidden_layers; l++)
        for (int i = 0; i < LIN_COUNT; i++) {
            const struct linear *lin = &m->layers[l].linear[i];

            note_layer(r, m->adapter.n ? lin->lora_a : lin->weight, l);
            note_layer(r, m->adapter.n ? lin->lora_b : lin->bias, l);
        }
    note_layer(r, m->head_lora.a, INT64_MAX);
    note_layer(r, m->head_lora.b, INT64_MAX);
    if (m->adapter.n == 0 && m->head != m->embed)
        note_layer(r, m->head, INT64_MAX);
}

/* From this byte of the decaying part on everything is final once the backward of layer l is done. */
static size_t final_from(const struct ranks *r, const struct arena_of *a, int64_t l)
{
    size_t from = 0;

    for (size_t i = 0; i < a->n; i++) {
        const struct weight *w = &a->weights[i];
        size_t end = w->offset + (weight_bytes(w) + ROUND * sizeof(float) - 1) / (ROUND * sizeof(float)) *
                                     (ROUND * sizeof(float));

        if (w->decay && r->layer_of[i] < l && end > from)
            from = end;
    }
    return from < a->decay_bytes ? from : a->decay_bytes;
}

static void start_range(struct trainer *t, size_t from, size_t to)
{
    struct ranks *r = t->ranks;
    float *grads = model_arena(t->m)->grads;

    if (r->failed == LC_OK && to > from)
        r->failed = collective_start(r->c, grads + from / sizeof(float),
                                     (int64_t)((to - from) / sizeof(float)), COLLECTIVE_F32, &r->err);
}

/* Called for each layer from the last to the first, on every rank in the same order. */
static void layer_done(void *arg, int64_t layer)
{
    struct trainer *t = arg;
    struct ranks *r = t->ranks;
    size_t from;

    if (layer != r->next)
        return;
    r->next--;
    from = final_from(r, model_arena(t->m), layer);
    if (r->started > from && (r->started - from >= bucket_of(model_arena(t->m)) || layer == 0)) {
        start_range(t, from, r->started);
        r->started = from;
    }
}

/* ---- set-up ---- */
/* The ranks must have the same weights, rows and arguments: a digest of each rank's, as a number that a double holds. */
static double digest_of(const struct trainer *t)
{
    const struct arena_of *a = model_arena(t->m);
    json_t *args = training_args_to_json(&t->args);
    char *text;
    struct sha256 sha;
    unsigned char out[SHA256_BYTES];
    double digest = 0;

    (void)json_object_del(args, "output_dir"); /* a rank's own folder */
    (void)json_object_del(args, "memory_budget");
    text = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);
    sha256_begin(&sha);
    if (text)
        sha256_add(&sha, text, strlen(text));
    for (int64_t i = 0; i < t->train.n; i++) {
        const struct train_example *e = &t->train.examples[i];

        sha256_add(&sha, e->input_ids, (size_t)e->n * sizeof *e->input_ids);
        if (e->labels)
            sha256_add(&sha, e->labels, (size_t)e->n * sizeof *e->labels);
    }
    if (t->m->backend->ops->host_visible)
        sha256_add(&sha, a->block, a->bytes);
    sha256_end(&sha, out);
    for (int i = 0; i < 6; i++)
        digest = digest * 256 + out[i];
    free(text);
    json_decref(args);
    return digest;
}

static enum lc check_agreement(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    struct ranks *r = t->ranks;
    double *all = mem_calloc((size_t)r->c->size, sizeof *all);
    enum lc code = all ? LC_OK : err_nomem(err);

    if (code == LC_OK) {
        all[r->c->rank] = digest_of(t);
        code = collective_sum(r->c, ctx, all, r->c->size, COLLECTIVE_F64, err);
    }
    for (int i = 1; i < r->c->size && code == LC_OK; i++)
        if (all[i] < all[0] || all[i] > all[0])
            code = err_set(err, LC_WORKER, "rank %d has other weights, rows or arguments than rank 0", i);
    mem_free(all);
    return code;
}

enum lc trainer_join(const struct ctx *ctx, struct trainer *t, const struct collective *c, struct err *err)
{
    struct arena_of *a = model_arena(t->m);
    struct ranks *r;

    if (t->started || t->ranks)
        return err_set(err, LC_ARG, "cannot join other ranks: training has begun already");
    if (c->size <= 1)
        return LC_OK;
    r = t->ranks = mem_zalloc(sizeof *r);
    if (!r)
        return err_nomem(err);
    r->c = c;
    r->layer_of = mem_calloc(a->n, sizeof *r->layer_of);
    r->told = mem_calloc((size_t)(SUMS + OWN * c->size), sizeof *r->told);
    r->times = mem_calloc((size_t)c->size, sizeof *r->times);
    if (!r->layer_of || !r->told || !r->times)
        return err_nomem(err);
    find_layers(r, t->m, a);
    return check_agreement(ctx, t, err);
}

void ranks_free(struct trainer *t)
{
    if (!t->ranks)
        return;
    t->m->layer_done = NULL;
    mem_free(t->ranks->layer_of);
    mem_free(t->ranks->told);
    mem_free(t->ranks->times);
    mem_free(t->ranks);
    t->ranks = NULL;
}

bool ranks_has(const struct trainer *t, int64_t i)
{
    return !t->ranks || i % t->ranks->c->size == t->ranks->c->rank;
}

bool ranks_first(const struct trainer *t)
{
    return !t->ranks || t->ranks->c->rank == 0;
}

const struct rank_time *trainer_rank_times(const struct trainer *t, int *n)
{
    *n = t->ranks ? t->ranks->c->size : 0;
    return t->ranks ? t->ranks->times : NULL;
}

/* ---- a step ---- */
void ranks_begin_step(struct trainer *t)
{
    struct ranks *r = t->ranks;

    if (!r)
        return;
    r->started = model_arena(t->m)->decay_bytes;
    r->next = t->m->config.num_hidden_layers - 1;
    r->failed = LC_OK;
    r->begun_ns = clock_mono_ns();
}

void ranks_last_backward(struct trainer *t)
{
    if (!t->ranks)
        return;
    t->m->layer_done = layer_done;
    t->m->layer_arg = t;
}

static void tell(struct ranks *r, const struct trainer *t, double loss, int64_t tokens)
{
    const struct preference_sums *p = &t->state.rewards;
    double *own = r->told + SUMS + OWN * r->c->rank;

    memset(r->told, 0, (size_t)(SUMS + OWN * r->c->size) * sizeof *r->told);
    r->told[SUM_LOSS] = loss;
    r->told[SUM_TOKENS] = (double)tokens;
    r->told[SUM_PAIRS] = (double)p->pairs;
    r->told[SUM_RIGHT] = (double)p->right;
    r->told[SUM_REWARD_LOSS] = p->loss;
    r->told[SUM_CHOSEN] = p->chosen;
    r->told[SUM_REJECTED] = p->rejected;
    own[OWN_COMPUTE] = r->computed;
    own[OWN_WAIT] = r->waited;
    own[OWN_STEP] = r->stepped;
    own[OWN_NORM] = t->state.grad_norm;
}

/* Every rank has stepped with the same gradient, bit for bit; one that has not must not go on. */
static enum lc hear(struct ranks *r, struct trainer *t, double *loss, int64_t *tokens, struct err *err)
{
    const double *first = r->told + SUMS;

    *loss = r->told[SUM_LOSS];
    *tokens = (int64_t)r->told[SUM_TOKENS];
    t->state.rewards = (struct preference_sums){.pairs = (int64_t)r->told[SUM_PAIRS],
                                                .right = (int64_t)r->told[SUM_RIGHT],
                                                .loss = r->told[SUM_REWARD_LOSS],
                                                .chosen = r->told[SUM_CHOSEN],
                                                .rejected = r->told[SUM_REJECTED]};
    for (int i = 0; i < r->c->size; i++) {
        const double *own = r->told + SUMS + OWN * i;

        r->times[i] = (struct rank_time){own[OWN_COMPUTE], own[OWN_WAIT]};
        if (r->stepped_once && memcmp(&own[OWN_NORM], &first[OWN_NORM], sizeof(double)) != 0)
            return err_set(err, LC_WORKER,
                           "rank %d had another gradient than rank 0 in step %lld: norm %.9g, not %.9g", i,
                           (long long)t->state.step, own[OWN_NORM], first[OWN_NORM]);
    }
    return LC_OK;
}

enum lc ranks_end_step(const struct ctx *ctx, struct trainer *t, double *loss, int64_t *tokens,
                       struct err *err)
{
    const struct arena_of *a = model_arena(t->m);
    struct ranks *r = t->ranks;
    int64_t computed_ns;
    enum lc code;

    if (!r)
        return LC_OK;
    t->m->layer_done = NULL;
    while (r->next >= 0) /* layers below the lowest that trains; all of them without a micro-batch */
        layer_done(t, r->next);
    start_range(t, 0, r->started);
    start_range(t, a->decay_bytes, a->bytes);
    computed_ns = clock_mono_ns();
    r->computed = (double)(computed_ns - r->begun_ns) * 1e-9;
    tell(r, t, *loss, *tokens);
    code = r->failed == LC_OK ? collective_start(r->c, r->told, SUMS + OWN * r->c->size, COLLECTIVE_F64, err)
                              : r->failed;
    if (r->failed != LC_OK && err)
        *err = r->err;
    if (code == LC_OK)
        code = collective_wait(r->c, ctx, err);
    r->waited = (double)(clock_mono_ns() - computed_ns) * 1e-9;
    if (code == LC_OK)
        code = hear(r, t, loss, tokens, err);
    return code;
}

/* The run's clock is rank 0's, so that every rank ends at the same step; it knows the step before. */
double ranks_seconds(struct trainer *t, double own)
{
    struct ranks *r = t->ranks;

    if (!r)
        return own;
    r->stepped = own;
    r->stepped_once = true;
    return r->told[SUMS + OWN_STEP];
}

/* ---- between steps ---- */
enum lc ranks_sum(const struct ctx *ctx, struct trainer *t, double *values, int64_t n, struct err *err)
{
    return t->ranks ? collective_sum(t->ranks->c, ctx, values, n, COLLECTIVE_F64, err) : LC_OK;
}

enum lc ranks_share_weights(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    struct arena_of *a = model_arena(t->m);

    return t->ranks ? collective_broadcast(t->ranks->c, ctx, a->block, a->bytes, 0, err) : LC_OK;
}

void ranks_abort(const struct trainer *t, const struct err *err)
{
    if (t->ranks)
        collective_abort(t->ranks->c, err->code, err->message);
}
