/* cpu.c: the fast CPU backend: operations cut into ranges for a pool of threads. Memory, copies and conversions are the
 * reference's. */
#include "gpu/cpu/kernels.h"
#include "gpu/distill_row.h"
#include "gpu/fp8.h"
#include "gpu/loss_head.h"
#include "gpu/rng.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include <stdio.h>
#include <string.h>

enum {
    ROWS = 16,          /* rows per range, where a row is a token */
    ELEMENTS = 1 << 14, /* elements per range */
    COLUMNS = 64,       /* columns per range of a sum over rows */
    FEW_ROWS = 8,       /* up to here a product is dots with the weights */
    DOTS = 64,          /* of these per range, at least */
    WORTH = 1 << 17,    /* multiplications: with fewer another thread is not woken */
    PARTS = 256,        /* of a sum of squares */
    TILE_N = 16,        /* panels of a task of a product, at most */
    FAR = 4 << 20       /* elements of a matrix that is far away */
};

struct cpu {
    void *ref;         /* owned: the reference's state, for memory */
    struct pool *pool; /* owned */
    const struct kernels *k;
    struct err failed; /* an operation that had no memory; told by the next sync */
    float *eighths;    /* owned: a matrix as 8-bit products see it */
    int64_t n_eighths;
    double parts[PARTS];
};

/* ---- opening ---- */
static void cpu_close(void *state)
{
    struct cpu *c = state;

    pool_free(c->pool);
    backend_ref.close(c->ref);
    mem_free(c->eighths);
    mem_free(c);
}

static enum lc cpu_open(const struct backend_options *o, void **state, struct err *err)
{
    struct cpu *c = mem_zalloc(sizeof *c);
    enum lc code;

    if (!c)
        return err_nomem(err);
    c->k = kernels_choose(o->kernels);
    code = c->k ? backend_ref.open(o, &c->ref, err)
                : err_set(err, LC_UNSUPPORTED, "this processor cannot run the kernels '%s'", o->kernels);
    if (code != LC_OK) {
        mem_free(c);
        return code;
    }
    code = pool_new(o->threads, &c->pool, err);
    if (code == LC_OK)
        code = pool_scratch(c->pool, gemm_scratch(c->k, TILE_N * c->k->nr), err);
    if (code == LC_OK)
        *state = c;
    else
        cpu_close(c);
    return code;
}

static void cpu_describe(void *state, char *text, size_t size)
{
    const struct cpu *c = state;

    snprintf(text, size, "CPU, %s, %d thread%s", c->k->isa, pool_threads(c->pool),
             PLURAL(pool_threads(c->pool)));
}

static enum lc cpu_alloc(void *state, size_t bytes, void **out, struct err *err)
{
    return backend_ref.alloc(((struct cpu *)state)->ref, bytes, out, err);
}

static void cpu_release(void *state, void *p, size_t bytes)
{
    backend_ref.release(((struct cpu *)state)->ref, p, bytes);
}

static void cpu_memory(void *state, struct backend_memory *out)
{
    backend_ref.memory(((struct cpu *)state)->ref, out);
}

static enum lc cpu_stream_new(void *state, struct backend_stream **out, struct err *err)
{
    return backend_ref.stream_new(((struct cpu *)state)->ref, out, err);
}

static void cpu_stream_free(void *state, struct backend_stream *s)
{
    backend_ref.stream_free(((struct cpu *)state)->ref, s);
}

static enum lc cpu_sync(void *state, struct backend_stream *s, struct err *err)
{
    struct cpu *c = state;
    enum lc code = c->failed.code;

    (void)s;
    if (code != LC_OK && err)
        *err = c->failed;
    err_clear(&c->failed);
    return code;
}

static enum lc cpu_transfer(void *state, struct backend_stream *s, void *to, const void *from, size_t bytes,
                            struct err *err)
{
    TRY(cpu_sync(state, s, err));
    return backend_ref.upload(NULL, s, to, from, bytes, err);
}

static void cpu_copy(void *state, struct backend_stream *s, void *to, const void *from, size_t bytes)
{
    (void)state;
    backend_ref.copy(NULL, s, to, from, bytes);
}

static void zero_range(const void *arg, int64_t from, int64_t to, float *scratch)
{
    (void)scratch;
    memset(*(char *const *)arg + from, 0, (size_t)(to - from));
}

static void cpu_zero(void *state, struct backend_stream *s, void *p, size_t bytes)
{
    (void)s;
    pool_run(((struct cpu *)state)->pool, (int64_t)bytes, 1 << 20, zero_range, &p);
}

static void cpu_convert(void *state, struct backend_stream *s, void *to, enum dtype to_type, const void *from,
                        enum dtype from_type, int64_t n)
{
    (void)state;
    backend_ref.convert(NULL, s, to, to_type, from, from_type, n);
}

/* ---- products ---- */
/* n cut into equal parts, each a multiple of `unit`. */
static int64_t even_tile(int64_t n, int64_t parts, int64_t unit)
{
    int64_t part = (n + parts - 1) / parts;

    return (part + unit - 1) / unit * unit;
}

static int64_t parts_of(int64_t n, int64_t tile)
{
    return (n + tile - 1) / tile;
}

/* What packing costs beside the multiplications, for each term: b is packed once for each part of m, a (where it is
 * not read in place) once for each part of n. Weights that no cache holds, those of a head, come from memory each time. */
static int64_t packing_cost(const struct gemm *g)
{
    int64_t b = g->b_type != DTYPE_F32 ? 6
                : g->b_row == 1        ? 3
                                       : 2,
            a = g->a_col != 1              ? 3
                : g->rounded && !g->a_bf16 ? 2
                                           : 1;

    b += g->n * g->k > FAR ? 6 : 0;

    return b * g->n * parts_of(g->m, g->tile_m) + a * g->m * parts_of(g->n, g->tile_n);
}

/* Tasks: at least four for each thread where there is enough to do, and as little packing as that allows. */
static void plan_tasks(struct cpu *c, struct gemm *g)
{
    int64_t mr = c->k->mr, nr = c->k->nr, threads = pool_threads(c->pool),
            tasks = threads > 1 ? 4 * threads : 1, panels = parts_of(g->n, nr),
            fewest = parts_of(panels, TILE_N), best = INT64_MAX, least = 4 * mr;
    struct gemm try = *g;

    for (int64_t parts = fewest; parts <= panels && parts <= fewest + tasks; parts++) {
        int64_t across, cost;

        try.tile_n = even_tile(g->n, parts, nr);
        across = parts_of(g->n, try.tile_n);
        try.tile_m = even_tile(g->m, (tasks + across - 1) / across, mr);
        try.tile_m = try.tile_m < least ? least : try.tile_m;
        cost = packing_cost(&try);
        if (across * parts_of(g->m, try.tile_m) < tasks && parts < panels)
            cost += g->m * g->n; /* some threads would have nothing to do */
        if (cost >= best)
            continue;
        best = cost;
        g->tile_m = try.tile_m;
        g->tile_n = try.tile_n;
    }
}

static void run_gemm(struct cpu *c, struct gemm *g)
{
    if (g->m == 0 || g->n == 0)
        return;
    plan_tasks(c, g);
    pool_run(c->pool, parts_of(g->m, g->tile_m) * parts_of(g->n, g->tile_n), 1, c->k->gemm, g);
}

static struct quant quant_of(const void *w, enum dtype type, int64_t out, int64_t in)
{
    return dtype_quantized(type) ? quant_view(w, type, out, in) : (struct quant){0};
}

static struct gemm rows_by_weights(const struct linear_arg *a) /* y = x W^T */
{
    return (struct gemm){.m = a->rows,
                         .n = a->out,
                         .k = a->in,
                         .a = a->x,
                         .a_row = a->in,
                         .a_col = 1,
                         .b = a->w,
                         .b_type = a->w_type,
                         .quant = quant_of(a->w, a->w_type, a->out, a->in),
                         .b_row = 1,
                         .b_col = a->in,
                         .c = a->y,
                         .c_row = a->out,
                         .bias = a->bias,
                         .scale = 1,
                         .rounded = a->compute == DTYPE_BF16};
}

/* c[m, n] (+)= scale a b for f32 matrices by their strides */
static void product(struct cpu *c, int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row,
                    int64_t a_col, const float *b, int64_t b_row, int64_t b_col, float *out, float scale,
                    bool add, bool rounded)
{
    struct gemm g = {.m = m,
                     .n = n,
                     .k = k,
                     .a = a,
                     .a_row = a_row,
                     .a_col = a_col,
                     .b = b,
                     .b_type = DTYPE_F32,
                     .b_row = b_row,
                     .b_col = b_col,
                     .c = out,
                     .c_row = n,
                     .scale = scale,
                     .add = add,
                     .rounded = rounded};

    run_gemm(c, &g);
}

/* Items of a range that takes longer than to wake a thread for it; each item has so many multiplications. */
static int64_t worth_waking(int64_t least, int64_t each)
{
    int64_t items = WORTH / (each > 0 ? each : 1);

    return items > least ? items : least;
}

static const float *dropped(struct cpu *c, const struct lora_arg *l, const float *x, int64_t n)
{
    struct dropout_arg d = {.n = n, .x = x, .y = l->dropped, .p = l->dropout, .seed = l->seed};

    if (l->dropout <= 0)
        return x;
    pool_run(c->pool, n, ELEMENTS, c->k->dropout, &d);
    return l->dropped;
}

/* ---- 8-bit factors: no processor has them, so these are what such products give, and slow ---- */
struct eighths {
    const float *from, *factors;
    int64_t width;
    enum fp8 kind;
    float *to;
};

static void eighths_range(const void *arg, int64_t from, int64_t to, float *scratch)
{
    const struct eighths *e = arg;

    (void)scratch;
    for (int64_t i = from; i < to; i++) {
        const float *x = e->from + i * e->width;
        float scale = fp8_scale(e->kind, x, e->factors, e->width);

        for (int64_t j = 0; j < e->width; j++)
            e->to[i * e->width + j] = fp8_left(e->kind, x[j], e->factors ? e->factors[j] : 1, scale);
    }
}

/* The product with the weights as one of f32; false: no memory. */
static bool eight_as_f32(struct cpu *c, const struct linear_arg *a, bool backward, struct linear_arg *out)
{
    int64_t width = backward ? a->out : a->in, n = a->rows * width;
    struct eighths e = {backward ? a->dy : a->x,
                        backward ? quant_of(a->w, a->w_type, a->out, a->in).scales : NULL, width,
                        backward ? FP8_E5M2 : FP8_E4M3, NULL};
    float *more = n > c->n_eighths ? mem_reallocn(c->eighths, (size_t)n, sizeof *more) : c->eighths;

    if (!more && n > 0) {
        err_nomem(&c->failed);
        return false;
    }
    c->eighths = e.to = more;
    c->n_eighths = n > c->n_eighths ? n : c->n_eighths;
    pool_run(c->pool, a->rows, 1, eighths_range, &e);
    *out = *a;
    out->compute = DTYPE_F32;
    out->x = out->dy = more;
    out->lora.a = NULL;
    out->dw = out->dbias = NULL;
    return true;
}

static void lora_forward(struct cpu *c, const struct linear_arg *a)
{
    const struct lora_arg *l = &a->lora;
    bool bf = a->compute != DTYPE_F32;

    if (!l->a)
        return;
    product(c, a->rows, l->rank, a->in, dropped(c, l, a->x, a->rows * a->in), a->in, 1, l->a, 1, a->in, l->xa,
            l->scale, false, bf);
    product(c, a->rows, a->out, l->rank, l->xa, l->rank, 1, l->b, 1, l->rank, a->y, 1, true, bf);
}

/* Products of few rows that one round of the threads does: each wake costs as much as a small one of them. */
enum { TOGETHER = 3 }; /* of queries, keys and values */

struct few {
    struct dots products[TOGETHER];
    size_t n;
    pool_fn *dots;
};

/* ranges are of the rows of all weights, one product's after the other's */
static void few_range(const void *arg, int64_t from, int64_t to, float *scratch)
{
    const struct few *f = arg;

    for (size_t i = 0; i < f->n && to > 0; i++) {
        int64_t out = f->products[i].out;

        if (from < out)
            f->dots(&f->products[i], from > 0 ? from : 0, to < out ? to : out, scratch);
        from -= out;
        to -= out;
    }
}

/* Weights in f32 that must be rounded to bf16 are packed, as for many rows. */
static bool is_few(const struct linear_arg *a)
{
    return a->w && a->rows <= FEW_ROWS &&
           (a->compute == DTYPE_F32 || (a->compute == DTYPE_BF16 && a->w_type != DTYPE_F32));
}

/* All are few, and at most TOGETHER. */
static void few_forward(struct cpu *c, const struct linear_arg *a, size_t n)
{
    struct few f = {.n = n, .dots = c->k->dots};
    int64_t rows = 0, in = 0;

    for (size_t i = 0; i < n; i++) {
        f.products[i] = (struct dots){.rows = a[i].rows,
                                      .in = a[i].in,
                                      .out = a[i].out,
                                      .x = a[i].x,
                                      .w = a[i].w,
                                      .w_type = a[i].w_type,
                                      .bias = a[i].bias,
                                      .y = a[i].y,
                                      .quant = quant_of(a[i].w, a[i].w_type, a[i].out, a[i].in),
                                      .rounded = a[i].compute == DTYPE_BF16};
        rows += a[i].out;
        in = a[i].in > in ? a[i].in : in;
    }
    pool_run(c->pool, rows, worth_waking(DOTS, in), few_range, &f);
}

static void cpu_linear_forward(void *state, struct backend_stream *s, const struct linear_arg *a)
{
    struct cpu *c = state;
    struct linear_arg plain;

    if (a->w && a->compute == DTYPE_FP8) {
        if (eight_as_f32(c, a, false, &plain))
            cpu_linear_forward(c, s, &plain);
    } else if (is_few(a)) {
        few_forward(c, a, 1);
    } else if (a->w) { /* else: the low-rank part alone */
        struct gemm g = rows_by_weights(a);

        run_gemm(c, &g);
    }
    lora_forward(c, a);
}

static void cpu_linears_forward(void *state, struct backend_stream *s, const struct linear_arg *a, size_t n)
{
    size_t few = 0;

    while (few < n && few < TOGETHER && is_few(&a[few]))
        few++;
    if (few > 0)
        few_forward(state, a, few);
    for (size_t i = 0; i < few; i++)
        lora_forward(state, &a[i]);
    for (size_t i = few; i < n; i++)
        cpu_linear_forward(state, s, &a[i]);
}

static void lora_backward(struct cpu *c, const struct linear_arg *a)
{
    const struct lora_arg *l = &a->lora;
    bool bf = a->compute == DTYPE_BF16;
    int64_t n = a->rows * a->in;

    product(c, a->rows, l->rank, a->out, a->dy, a->out, 1, l->b, l->rank, 1, l->dxa, l->scale, false, bf);
    if (l->db)
        product(c, a->out, l->rank, a->rows, a->dy, 1, a->out, l->xa, l->rank, 1, l->db, 1, true, bf);
    if (l->da)
        product(c, l->rank, a->in, a->rows, l->dxa, 1, l->rank, dropped(c, l, a->x, n), a->in, 1, l->da, 1,
                true, bf);
    if (!a->dx)
        return;
    if (l->dropout <= 0) {
        product(c, a->rows, a->in, l->rank, l->dxa, l->rank, 1, l->a, a->in, 1, a->dx, 1, true, bf);
    } else {
        struct dropout_arg d = {
            .n = n, .x = l->dropped, .y = a->dx, .p = l->dropout, .seed = l->seed, .add = true};

        product(c, a->rows, a->in, l->rank, l->dxa, l->rank, 1, l->a, a->in, 1, l->dropped, 1, false, bf);
        pool_run(c->pool, n, ELEMENTS, c->k->dropout, &d);
    }
}

static void cpu_linear_backward(void *state, struct backend_stream *s, const struct linear_arg *a)
{
    struct cpu *c = state;
    bool bf = a->compute != DTYPE_F32;
    struct linear_arg plain;

    if (a->dx && a->w && a->compute == DTYPE_FP8) {
        if (eight_as_f32(c, a, true, &plain))
            cpu_linear_backward(c, s, &plain);
    } else if (a->dx && a->w) {
        struct gemm g = {.m = a->rows,
                         .n = a->in,
                         .k = a->out,
                         .a = a->dy,
                         .a_row = a->out,
                         .a_col = 1,
                         .b = a->w,
                         .b_type = a->w_type,
                         .quant = quant_of(a->w, a->w_type, a->out, a->in),
                         .b_row = a->in,
                         .b_col = 1,
                         .c = a->dx,
                         .c_row = a->in,
                         .scale = 1,
                         .add = a->add_dx,
                         .rounded = bf};

        run_gemm(c, &g);
    }
    if (a->dw)
        product(c, a->out, a->in, a->rows, a->dy, 1, a->out, a->x, a->in, 1, a->dw, 1, true, bf);
    if (a->dbias) {
        struct columns sums = {a->dy, a->rows, a->out, a->dbias};

        pool_run(c->pool, a->out, COLUMNS, c->k->column_sums, &sums);
    }
    if (a->lora.a)
        lora_backward(c, a);
}

/* DoRA's passes over activations are few beside its products: the reference's will do. */
static void cpu_dora_factors(void *state, struct backend_stream *s, const struct dora_arg *a)
{
    (void)state;
    backend_ref.dora_factors(NULL, s, a);
}

static void cpu_dora_forward(void *state, struct backend_stream *s, const struct dora_arg *a)
{
    (void)state;
    backend_ref.dora_forward(NULL, s, a);
}

static void cpu_dora_backward(void *state, struct backend_stream *s, const struct dora_arg *a)
{
    (void)state;
    backend_ref.dora_backward(NULL, s, a);
}

static void cpu_merge(void *state, struct backend_stream *s, void *w, enum dtype w_type, const float *a,
                      const float *b, int64_t out, int64_t in, int64_t rank, float scale)
{
    if (w_type == DTYPE_F32)
        product(state, out, in, rank, b, rank, 1, a, in, 1, w, scale, true, false);
    else
        backend_ref.merge(NULL, s, w, w_type, a, b, out, in, rank, scale);
}

/* ---- attention ---- */
/* false: there is no memory; told by the next sync. */
static bool attention_scratch(struct cpu *c, int64_t keys, int64_t dim)
{
    return pool_scratch(c->pool, c->k->attention_scratch(keys, dim), &c->failed) == LC_OK;
}

static void cpu_attention_forward(void *state, struct backend_stream *s, const struct attention_arg *a)
{
    struct cpu *c = state;
    struct attention_task t = {.a = a, .blocks = (a->longest + QUERIES - 1) / QUERIES};

    (void)s;
    if (attention_scratch(c, a->longest, a->head_dim))
        pool_run(c->pool, a->sequences * a->heads * t.blocks, 1, c->k->attention_forward, &t);
}

static void cpu_attention_backward(void *state, struct backend_stream *s, const struct attention_arg *a)
{
    struct cpu *c = state;
    struct attention_task t = {.a = a};

    (void)s;
    if (attention_scratch(c, a->longest, a->head_dim))
        pool_run(c->pool, a->sequences * a->kv_heads, 1, c->k->attention_backward, &t);
}

static void cpu_attention_cached(void *state, struct backend_stream *s, const struct cached_attention_arg *a)
{
    struct cpu *c = state;
    struct attention_task t = {.cached = a};
    int64_t width = a->kv_heads * a->head_dim, most = 0, keys = 0;

    (void)s;
    for (int64_t i = 0; i < a->sequences; i++) {
        int64_t n = a->starts[i + 1] - a->starts[i], at = (a->slots[i] * a->capacity + a->past[i]) * width;

        memcpy(a->k_cache + at, a->k + a->starts[i] * width, (size_t)(n * width) * sizeof(float));
        memcpy(a->v_cache + at, a->v + a->starts[i] * width, (size_t)(n * width) * sizeof(float));
        most = n > most ? n : most;
        keys = n + a->past[i] > keys ? n + a->past[i] : keys;
    }
    t.blocks = (most + QUERIES - 1) / QUERIES;
    if (attention_scratch(c, keys, a->head_dim))
        pool_run(c->pool, a->sequences * a->heads * t.blocks,
                 worth_waking(1, 2 * (most < QUERIES ? most : QUERIES) * keys * a->head_dim),
                 c->k->attention_forward, &t);
}

/* ---- the rest: a kernel and the unit of its ranges ---- */
static void cpu_embed_forward(void *state, struct backend_stream *s, const struct embed_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->rows, ROWS, c->k->embed, a);
}

static void cpu_embed_backward(void *state, struct backend_stream *s, const struct embed_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->width, COLUMNS, c->k->embed_backward, a);
}

static void cpu_norm_forward(void *state, struct backend_stream *s, const struct norm_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->rows, ROWS, c->k->norm_forward, a);
}

static void cpu_norm_backward(void *state, struct backend_stream *s, const struct norm_arg *a)
{
    struct cpu *c = state;

    (void)s;
    if (a->dw) /* first: dx may be where dy is */
        pool_run(c->pool, a->width, COLUMNS, c->k->norm_weight, a);
    pool_run(c->pool, a->rows, ROWS, c->k->norm_backward, a);
}

static void cpu_norm_apply(void *state, struct backend_stream *s, const struct norm_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->rows, ROWS, c->k->norm_apply, a);
}

static void cpu_rope(void *state, struct backend_stream *s, const struct rope_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->rows, ROWS, c->k->rope, a);
}

static void cpu_swiglu_forward(void *state, struct backend_stream *s, const struct swiglu_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->n, ELEMENTS, c->k->swiglu_forward, a);
}

static void cpu_swiglu_backward(void *state, struct backend_stream *s, const struct swiglu_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->n, ELEMENTS, c->k->swiglu_backward, a);
}

static void cpu_adamw(void *state, struct backend_stream *s, const struct adamw_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->n, ELEMENTS, c->k->adamw, a);
}

static void cpu_dropout(void *state, struct backend_stream *s, const struct dropout_arg *a)
{
    struct cpu *c = state;

    (void)s;
    pool_run(c->pool, a->n, ELEMENTS, c->k->dropout, a);
}

static void cpu_add(void *state, struct backend_stream *s, float *y, const float *x, float scale, int64_t n)
{
    struct cpu *c = state;
    struct addition a = {y, x, scale};

    (void)s;
    pool_run(c->pool, n, ELEMENTS, c->k->add, &a);
}

static void cpu_sum_squares(void *state, struct backend_stream *s, const float *x, int64_t n, double *out)
{
    struct cpu *c = state;
    struct squares a = {x, n, (n + PARTS - 1) / PARTS, c->parts};
    double sum = 0;

    (void)s;
    a.part = (a.part + 63) & ~(int64_t)63;
    a.part = a.part < ELEMENTS ? ELEMENTS : a.part;
    pool_run(c->pool, (n + a.part - 1) / a.part, 1, c->k->squares, &a);
    for (int64_t i = 0; i * a.part < n; i++)
        sum += c->parts[i];
    *out = sum;
}

static void cpu_gather(void *state, struct backend_stream *s, float *y, const float *x, const int32_t *index,
                       int64_t rows, int64_t width)
{
    struct cpu *c = state;
    struct gathering g = {y, x, index, width, false};

    (void)s;
    pool_run(c->pool, rows, ROWS, c->k->gather, &g);
}

/* ---- loss ---- */
static void loss_gradients(struct cpu *c, const struct loss_arg *a, int64_t from, int64_t n, bool halved)
{
    struct gemm x = {.m = n,
                     .n = a->width,
                     .k = a->vocabulary,
                     .a = a->logits,
                     .a_row = halved ? 2 * a->vocabulary : a->vocabulary,
                     .a_col = 1,
                     .a_bf16 = halved,
                     .b = a->w,
                     .b_type = a->w_type,
                     .b_row = a->width,
                     .b_col = 1,
                     .c = a->gathered,
                     .c_row = a->width,
                     .scale = 1,
                     .rounded = a->compute == DTYPE_BF16};
    struct gemm w = x;
    struct gathering scatter = {a->dx, a->gathered, a->index + from, a->width, true};
    struct linear_arg head = loss_head(a, from, n), low = loss_head_low_rank(&head, a);

    w.m = a->vocabulary;
    w.k = n;
    w.a_row = 1;
    w.a_col = x.a_row;
    w.b = a->gathered;
    w.b_type = DTYPE_F32;
    w.c = a->dw;
    w.add = true;
    if (a->dw)
        run_gemm(c, &w);
    if (a->lora.a)
        lora_backward(c, &low);
    run_gemm(c, &x);
    low = loss_head_low_rank_input(&head, a);
    if (a->lora.a)
        lora_backward(c, &low);
    pool_run(c->pool, n, ROWS, c->k->gather, &scatter);
}

static void chunk_logits(struct cpu *c, const struct loss_arg *a, int64_t from, int64_t n)
{
    struct linear_arg head = loss_head(a, from, n);
    struct gemm g = rows_by_weights(&head);

    cpu_gather(c, NULL, a->gathered, a->x, a->index + from, n, a->width);
    run_gemm(c, &g);
    lora_forward(c, &head);
}

static void cpu_loss(void *state, struct backend_stream *s, const struct loss_arg *a)
{
    struct cpu *c = state;

    (void)s;
    for (int64_t from = 0; from < a->rows; from += a->chunk) {
        int64_t n = a->rows - from < a->chunk ? a->rows - from : a->chunk;
        struct loss_rows rows = {a, from, a->dx && a->compute == DTYPE_BF16 && c->k->pairs && !a->lora.a};

        chunk_logits(c, a, from, n);
        pool_run(c->pool, n, 1, c->k->loss, &rows);
        if (a->dx)
            loss_gradients(c, a, from, n, rows.bf16);
    }
}

struct distill_rows {
    const struct distill_arg *d;
    int64_t from; /* first row of the chunk */
};

static void distill_rows(const void *arg, int64_t from, int64_t to, float *scratch)
{
    const struct distill_rows *r = arg;
    const struct loss_arg *a = &r->d->loss;
    int64_t v = a->vocabulary;

    (void)scratch;
    for (int64_t i = from; i < to; i++)
        a->losses[r->from + i] =
            distill_row(a->logits + i * v, r->d->logits + i * v, v, a->targets[r->from + i],
                        r->d->temperature, r->d->alpha, (double)a->scale, a->dx != NULL);
}

static void cpu_distill(void *state, struct backend_stream *s, const struct distill_arg *d)
{
    struct cpu *c = state;
    const struct loss_arg *a = &d->loss;
    const struct loss_arg teacher = distill_teacher(d);

    (void)s;
    for (int64_t from = 0; from < a->rows; from += a->chunk) {
        int64_t n = a->rows - from < a->chunk ? a->rows - from : a->chunk;
        struct distill_rows rows = {d, from};

        chunk_logits(c, a, from, n);
        chunk_logits(c, &teacher, from, n);
        pool_run(c->pool, n, 1, distill_rows, &rows);
        if (a->dx)
            loss_gradients(c, a, from, n, false);
    }
}

extern const struct backend_ops lacus_gpu_cpu; /* the plugin's one symbol */
const struct backend_ops lacus_gpu_cpu = {
    .abi = BACKEND_ABI,
    .name = "cpu",
    .host_visible = true,
    .open = cpu_open,
    .close = cpu_close,
    .describe = cpu_describe,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .memory = cpu_memory,
    .stream_new = cpu_stream_new,
    .stream_free = cpu_stream_free,
    .sync = cpu_sync,
    .upload = cpu_transfer,
    .download = cpu_transfer,
    .copy = cpu_copy,
    .zero = cpu_zero,
    .convert = cpu_convert,
    .linear_forward = cpu_linear_forward,
    .linears_forward = cpu_linears_forward,
    .linear_backward = cpu_linear_backward,
    .embed_forward = cpu_embed_forward,
    .embed_backward = cpu_embed_backward,
    .norm_forward = cpu_norm_forward,
    .norm_backward = cpu_norm_backward,
    .norm_apply = cpu_norm_apply,
    .rope = cpu_rope,
    .attention_forward = cpu_attention_forward,
    .attention_backward = cpu_attention_backward,
    .attention_cached = cpu_attention_cached,
    .swiglu_forward = cpu_swiglu_forward,
    .swiglu_backward = cpu_swiglu_backward,
    .loss = cpu_loss,
    .adamw = cpu_adamw,
    .dropout = cpu_dropout,
    .add = cpu_add,
    .sum_squares = cpu_sum_squares,
    .gather = cpu_gather,
    .merge = cpu_merge,
    .dora_factors = cpu_dora_factors,
    .distill = cpu_distill,
    .dora_forward = cpu_dora_forward,
    .dora_backward = cpu_dora_backward,
};
