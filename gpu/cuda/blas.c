/* blas.c: cuBLASLt is column-major: a row-major c = a b is its c' = b' a', so its first factor is our second. */
#include "gpu/cuda/blas.h"
#include "gpu/cuda/blas_api.h"
#include "runtime/base/mem.h"
#include <stdio.h>
#include <string.h>

enum { PLANS = 1024 }; /* shapes kept; beyond them the oldest of a bucket goes */

struct key {
    int64_t m, n, k, a_row, b_row, c_row;
    int32_t type, sides; /* 1: a, 2: b, 4: bias, 8: beta, 16: e5m2 */
};

struct plan {
    struct key key;
    void *desc, *first, *second, *c; /* first: the layout of our b */
    struct lt_algorithm algorithm;
    bool made, works;
};

struct blas {
    struct blas_api lt;
    void *handle, *preference;
    struct plan plans[PLANS];
};

static void drop_plan(struct blas *b, struct plan *p)
{
    if (p->desc)
        b->lt.desc_destroy(p->desc);
    if (p->first)
        b->lt.layout_destroy(p->first);
    if (p->second)
        b->lt.layout_destroy(p->second);
    if (p->c)
        b->lt.layout_destroy(p->c);
    *p = (struct plan){0};
}

struct blas *blas_open(char *why, size_t size)
{
    struct blas *b = mem_zalloc(sizeof *b);
    size_t bytes = BLAS_WORKSPACE;
    int status;

    if (!b || blas_load(&b->lt, why, size) != 0) {
        mem_free(b);
        return NULL;
    }
    status = b->lt.create(&b->handle);
    if (status == 0)
        status = b->lt.prefer_create(&b->preference);
    if (status == 0)
        status = b->lt.prefer_set(b->preference, LT_PREFER_WORKSPACE, &bytes, sizeof bytes);
    if (status == 0)
        return b;
    snprintf(why, size, "cuBLASLt failed to start (status %d)", status);
    blas_close(b);
    return NULL;
}

void blas_close(struct blas *b)
{
    if (!b)
        return;
    for (int i = 0; i < PLANS; i++)
        drop_plan(b, &b->plans[i]);
    if (b->preference)
        b->lt.prefer_destroy(b->preference);
    if (b->handle)
        b->lt.destroy(b->handle);
    mem_free(b);
}

int blas_version(const struct blas *b)
{
    return (int)b->lt.version();
}

static struct key key_of(const struct blas_call *c)
{
    struct key k;

    memset(&k, 0, sizeof k); /* padding too: keys are compared as bytes */
    k.m = c->m;
    k.n = c->n;
    k.k = c->k;
    k.a_row = c->a_row;
    k.b_row = c->b_row;
    k.c_row = c->c_row;
    k.type = (int32_t)c->type;
    k.sides = (c->a_side ? 1 : 0) | (c->b_side ? 2 : 0) | (c->bias ? 4 : 0) | (c->beta != 0 ? 8 : 0) |
              (c->a_e5m2 ? 16 : 0);
    return k;
}

static uint64_t hash_of(const struct key *k)
{
    const unsigned char *p = (const unsigned char *)k;
    uint64_t h = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < sizeof *k; i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h;
}

/* A row-major matrix [rows, columns], as stored, is a column-major [columns, rows]. */
static int layout(struct blas *b, void **out, int type, int64_t rows, int64_t columns, int64_t distance)
{
    return b->lt.layout_create(out, type, (uint64_t)columns, (uint64_t)rows, distance);
}

static int set_op(struct blas *b, struct plan *p, int attribute, bool side)
{
    int32_t op = side ? LT_OP_T : LT_OP_N;

    return b->lt.desc_set(p->desc, attribute, &op, sizeof op);
}

static int set_scale_modes(struct blas *b, struct plan *p)
{
    int32_t outer = LT_SCALE_OUTER;
    int status = b->lt.desc_set(p->desc, LT_DESC_A_SCALE_MODE, &outer, sizeof outer);

    return status == 0 ? b->lt.desc_set(p->desc, LT_DESC_B_SCALE_MODE, &outer, sizeof outer) : status;
}

static int describe(struct blas *b, struct plan *p, const struct blas_call *c)
{
    bool eight = c->type == DTYPE_FP8;
    int type = eight ? LT_R_E4M3 : c->type == DTYPE_BF16 ? LT_R_16BF : LT_R_32F, status;
    int32_t epilogue = LT_EPILOGUE_BIAS;

    status = b->lt.desc_create(&p->desc, LT_COMPUTE_32F, LT_R_32F);
    if (status == 0)
        status = set_op(b, p, LT_DESC_TRANSA, c->b_side);
    if (status == 0)
        status = set_op(b, p, LT_DESC_TRANSB, c->a_side);
    if (status == 0 && c->bias)
        status = b->lt.desc_set(p->desc, LT_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (status == 0 && eight)
        status = set_scale_modes(b, p);
    if (status == 0)
        status = layout(b, &p->first, type, c->b_side ? c->n : c->k, c->b_side ? c->k : c->n, c->b_row);
    if (status == 0)
        status = layout(b, &p->second, c->a_e5m2 ? LT_R_E5M2 : type, c->a_side ? c->k : c->m,
                        c->a_side ? c->m : c->k, c->a_row);
    if (status == 0)
        status = layout(b, &p->c, LT_R_32F, c->m, c->n, c->c_row);
    return status;
}

/* What differs between calls of one shape. */
static int set_pointers(struct blas *b, struct plan *p, const struct blas_call *c)
{
    int status = c->bias ? b->lt.desc_set(p->desc, LT_DESC_BIAS_POINTER, &c->bias, sizeof c->bias) : 0;

    if (status == 0 && c->type == DTYPE_FP8)
        status = b->lt.desc_set(p->desc, LT_DESC_A_SCALE, &c->b_scales, sizeof c->b_scales);
    if (status == 0 && c->type == DTYPE_FP8)
        status = b->lt.desc_set(p->desc, LT_DESC_B_SCALE, &c->a_scales, sizeof c->a_scales);
    return status;
}

static void make_plan(struct blas *b, struct plan *p, const struct blas_call *c)
{
    struct lt_heuristic best;
    int found = 0, status = describe(b, p, c);

    memset(&best, 0, sizeof best);
    if (status == 0)
        status = set_pointers(b, p, c);
    if (status == 0)
        status = b->lt.heuristic(b->handle, p->desc, p->first, p->second, p->c, p->c, b->preference, 1, &best,
                                 &found);
    p->made = true;
    p->works = status == 0 && found > 0 && best.state == 0 && best.workspace <= BLAS_WORKSPACE;
    p->algorithm = best.algorithm;
}

static struct plan *plan_of(struct blas *b, const struct blas_call *c)
{
    struct key key = key_of(c);
    struct plan *p = &b->plans[hash_of(&key) % PLANS];

    if (p->made && memcmp(&p->key, &key, sizeof key) == 0)
        return p;
    drop_plan(b, p);
    p->key = key;
    make_plan(b, p, c);
    return p;
}

bool blas_product(struct blas *b, struct CUstream_st *stream, const struct blas_call *c)
{
    struct plan *p = plan_of(b, c);

    if (!p->works || set_pointers(b, p, c) != 0)
        return false;
    p->works = b->lt.matmul(b->handle, p->desc, &c->alpha, c->b, p->first, c->a, p->second, &c->beta, c->c,
                            p->c, c->c, p->c, &p->algorithm, c->workspace, BLAS_WORKSPACE, stream) == 0;
    return p->works; /* some combinations are refused only here: they are not asked for again */
}
