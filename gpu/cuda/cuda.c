/* cuda.c: the CUDA backend: memory, streams, and each operation as a few launches. Products go through cuBLASLt where it
 * is found, with weights that are quantised decoded on the way; else through kernels of our own. */
#include "gpu/backend.h"
#include "gpu/cuda/blas.h"
#include "gpu/cuda/kernels.h"
#include "gpu/cuda/runtime.h"
#include "gpu/distill_row.h"
#include "gpu/loss_head.h"
#include "gpu/quant.h"
#include "gpu/rng.h"
#include "runtime/base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAGES = 8, STAGE_BYTES = 1 << 20, TABLES = 5, TABLE = 256 };

/* Memory that an operation needs for itself; it grows to what the largest has asked for and stays. */
enum scratch_id { SCRATCH_SUMS, SCRATCH_DELTA, SCRATCH_WEIGHTS, SCRATCH_BLAS, SCRATCH_COUNT };
enum { ROUNDED = 3 };

struct scratch {
    void *p;
    size_t bytes;
};

/* A matrix in bf16, kept until its source or anything but a linear layer comes by: q, k and v share an input. */
struct rounded {
    const float *from; /* NULL: nothing */
    int64_t n, rows;   /* rows: of 8-bit ones, which have scales */
    uint64_t used;     /* when, to take the oldest */
    struct scratch m;
};

struct backend_stream {
    struct CUstream_st *queue;
    struct scratch scratch[SCRATCH_COUNT];
    struct rounded rounded[ROUNDED];
    struct rounded eighths; /* the same in e4m3: codes, then scales */
    uint64_t uses;
};

/* Pinned memory between the caller's and the device's: an upload returns as soon as the bytes are in it. */
struct stage {
    void *p;
    struct CUevent_st *done; /* its last copy */
};

struct cuda {
    struct cuda_device device;
    size_t used, peak, limit;
    struct backend_stream stream; /* the backend's own */
    struct stage stages[STAGES];
    int next_stage;
    float *tables;      /* what codes stand for, TABLE floats each: nf4, fp4, int8, fp8, dynamic */
    double *parts;      /* device: partial sums of squares */
    double *host_parts; /* pinned */
    struct blas *blas;  /* owned; NULL: not there, and why: */
    char no_blas[256];
    struct CUevent_st *order; /* between streams */
    uint64_t releases;        /* of memory: what was written down before may use it */
    bool recording;
    struct err failed; /* of an operation; told by the next sync */
};

struct backend_record {
    struct CUgraphExec_st *graph;
    uint64_t releases; /* of the backend when it was made */
};

static struct backend_stream *stream_of(struct cuda *c, struct backend_stream *s)
{
    return s ? s : &c->stream;
}

static void forget_all(struct backend_stream *s)
{
    for (int i = 0; i < ROUNDED; i++)
        s->rounded[i].from = NULL;
    s->eighths.from = NULL;
}

/* For all but linear layers: what was rounded may change. */
static struct CUstream_st *queue_of(struct cuda *c, struct backend_stream *s)
{
    s = stream_of(c, s);
    forget_all(s);
    return s->queue;
}

/* ---- memory ---- */
static enum lc counted_alloc(struct cuda *c, size_t bytes, void **out, struct err *err)
{
    enum lc code;

    if (c->limit && bytes > c->limit - (c->used < c->limit ? c->used : c->limit))
        return err_set(err, LC_LIMIT,
                       "cannot allocate %zu MiB on the GPU: %zu of the limit of %zu are in use", bytes >> 20,
                       c->used >> 20, c->limit >> 20);
    code = cuda_malloc(bytes, out, err);
    if (code != LC_OK)
        return code;
    c->used += bytes;
    c->peak = c->used > c->peak ? c->used : c->peak;
    return LC_OK;
}

static enum lc backend_alloc(void *state, size_t bytes, void **out, struct err *err)
{
    struct cuda *c = state;

    bytes = bytes ? bytes : 1;
    TRY(counted_alloc(c, bytes, out, err));
    cuda_zero(c->stream.queue, *out, bytes);
    return LC_OK;
}

static void backend_release(void *state, void *p, size_t bytes)
{
    struct cuda *c = state;

    if (!p)
        return;
    cuda_free(p);
    c->releases++;
    c->used -= bytes ? bytes : 1;
}

static void backend_memory(void *state, struct backend_memory *out)
{
    const struct cuda *c = state;

    out->used = c->used;
    out->peak = c->peak;
    out->total = c->limit ? c->limit : c->device.memory;
    out->free = c->limit ? c->limit - c->used : cuda_memory_free();
}

/* NULL: the failure is kept for the next sync, and the operation is left out. */
static void *grown(struct cuda *c, struct scratch *m, size_t bytes)
{
    if (bytes <= m->bytes)
        return m->p;
    if (c->recording) {
        err_set(&c->failed, LC_UNSUPPORTED, "an operation that is written down needs more memory");
        return NULL;
    }
    backend_release(c, m->p, m->bytes);
    *m = (struct scratch){0};
    if (counted_alloc(c, bytes, &m->p, &c->failed) != LC_OK)
        return NULL;
    m->bytes = bytes;
    return m->p;
}

static void *scratch(struct cuda *c, struct backend_stream *s, enum scratch_id id, size_t bytes)
{
    return grown(c, &s->scratch[id], bytes);
}

/* ---- streams and copies ---- */
static void drop_stream(struct cuda *c, struct backend_stream *s)
{
    for (int i = 0; i < SCRATCH_COUNT; i++)
        backend_release(c, s->scratch[i].p, s->scratch[i].bytes);
    for (int i = 0; i < ROUNDED; i++)
        backend_release(c, s->rounded[i].m.p, s->rounded[i].m.bytes);
    backend_release(c, s->eighths.m.p, s->eighths.m.bytes);
    if (s->queue)
        cuda_stream_free(s->queue);
}

static enum lc backend_stream_new(void *state, struct backend_stream **out, struct err *err)
{
    struct backend_stream *s = mem_zalloc(sizeof *s);
    enum lc code;

    (void)state;
    if (!s)
        return err_nomem(err);
    code = cuda_stream_new(&s->queue, err);
    if (code == LC_OK)
        *out = s;
    else
        mem_free(s);
    return code;
}

static void backend_stream_free(void *state, struct backend_stream *s)
{
    if (!s)
        return;
    drop_stream(state, s);
    mem_free(s);
}

static void backend_identity(void *state, char text[64])
{
    snprintf(text, 64, "%s", ((struct cuda *)state)->device.identity);
}

/* For another library: what it writes was not rounded here. */
static void *backend_queue(void *state, struct backend_stream *s)
{
    return queue_of(state, s);
}

static void backend_after(void *state, struct backend_stream *s, struct backend_stream *first)
{
    struct cuda *c = state;

    cuda_event_record(c->order, stream_of(c, first)->queue);
    cuda_stream_after(stream_of(c, s)->queue, c->order);
}

static bool backend_idle(void *state, struct backend_stream *s)
{
    return cuda_stream_idle(stream_of(state, s)->queue);
}

/* ---- operations written down ---- */
static enum lc backend_record_begin(void *state, struct err *err)
{
    struct cuda *c = state;
    const char *wanted = getenv("LACUS_CUDA_GRAPHS");

    if (wanted && strcmp(wanted, "0") == 0)
        return err_set(err, LC_UNSUPPORTED, "no CUDA graphs: LACUS_CUDA_GRAPHS is 0");
    if (c->failed.code != LC_OK)
        return err_set(err, LC_RUNTIME, "an operation has failed: the next sync tells");
    forget_all(&c->stream); /* what was rounded before is not there at a replay */
    TRY(cuda_capture_begin(c->stream.queue, err));
    c->recording = true;
    return LC_OK;
}

static enum lc backend_record_end(void *state, struct backend_record **out, struct err *err)
{
    struct cuda *c = state;
    struct CUgraphExec_st *graph = NULL;
    struct backend_record *r;
    enum lc code = cuda_capture_end(c->stream.queue, &graph, err);

    c->recording = false;
    forget_all(&c->stream);
    if (code == LC_OK && c->failed.code != LC_OK) {
        code = c->failed.code;
        if (err)
            *err = c->failed;
    }
    err_clear(&c->failed); /* it was not done: doing it tells */
    r = code == LC_OK ? mem_alloc(sizeof *r) : NULL;
    if (r) {
        *r = (struct backend_record){graph, c->releases};
        *out = r;
        return LC_OK;
    }
    if (graph)
        cuda_graph_free(graph);
    return code == LC_OK ? err_nomem(err) : code;
}

static bool backend_replay(void *state, struct backend_record *r)
{
    struct cuda *c = state;

    if (r->releases != c->releases)
        return false;
    forget_all(&c->stream);
    return cuda_graph_launch(r->graph, c->stream.queue, NULL) == LC_OK;
}

static void backend_record_free(void *state, struct backend_record *r)
{
    (void)state;
    if (!r)
        return;
    cuda_graph_free(r->graph);
    mem_free(r);
}

static enum lc backend_sync(void *state, struct backend_stream *s, struct err *err)
{
    struct cuda *c = state;
    enum lc code = c->failed.code;

    if (code != LC_OK && err)
        *err = c->failed;
    err_clear(&c->failed);
    return code != LC_OK ? code : cuda_stream_sync(stream_of(c, s)->queue, err);
}

static enum lc upload_part(struct cuda *c, struct CUstream_st *queue, void *to, const void *from,
                           size_t bytes, struct err *err)
{
    struct stage *stage = &c->stages[c->next_stage];

    if (c->recording) { /* each replay would copy what is in the stage then */
        err_set(&c->failed, LC_UNSUPPORTED, "an upload cannot be written down");
        return err_set(err, LC_UNSUPPORTED, "an upload cannot be written down");
    }
    TRY(cuda_event_wait(stage->done, err));
    memcpy(stage->p, from, bytes);
    cuda_upload(queue, to, stage->p, bytes);
    cuda_event_record(stage->done, queue);
    c->next_stage = (c->next_stage + 1) % STAGES;
    return LC_OK;
}

static enum lc backend_upload(void *state, struct backend_stream *s, void *to, const void *from, size_t bytes,
                              struct err *err)
{
    struct cuda *c = state;
    struct CUstream_st *queue = queue_of(c, s);

    for (size_t at = 0; at < bytes; at += STAGE_BYTES)
        TRY(upload_part(c, queue, (char *)to + at, (const char *)from + at,
                        bytes - at < STAGE_BYTES ? bytes - at : STAGE_BYTES, err));
    return LC_OK;
}

static enum lc backend_download(void *state, struct backend_stream *s, void *to, const void *from,
                                size_t bytes, struct err *err)
{
    if (bytes)
        cuda_download(stream_of(state, s)->queue, to, from, bytes);
    return backend_sync(state, s, err);
}

static void backend_copy(void *state, struct backend_stream *s, void *to, const void *from, size_t bytes)
{
    if (bytes)
        cuda_copy(queue_of(state, s), to, from, bytes);
}

static void backend_zero(void *state, struct backend_stream *s, void *p, size_t bytes)
{
    if (bytes)
        cuda_zero(queue_of(state, s), p, bytes);
}

/* ---- opening ---- */
static void cuda_close(void *state)
{
    struct cuda *c = state;

    for (int i = 0; i < STAGES; i++) {
        if (c->stages[i].done)
            cuda_event_free(c->stages[i].done);
        cuda_free_host(c->stages[i].p);
    }
    drop_stream(c, &c->stream);
    if (c->order)
        cuda_event_free(c->order);
    blas_close(c->blas);
    cuda_free(c->tables);
    cuda_free(c->parts);
    cuda_free_host(c->host_parts);
    mem_free(c);
}

/* The tables of quant.h, as the device reads them. */
static enum lc put_tables(struct cuda *c, struct err *err)
{
    static const enum dtype TYPES[] = {DTYPE_NF4, DTYPE_FP4, DTYPE_INT8, DTYPE_FP8};
    static const float one = 1, zero = 0;
    float tables[TABLES][TABLE] = {{0}};
    uint8_t codes[TABLE];
    struct quant dynamic = {.scales8 = codes, .scales = &one, .mean = &zero};

    for (int i = 0; i < TABLES - 1; i++)
        memcpy(tables[i], quant_view(codes, TYPES[i], 1, 1).table,
               (quant_half(TYPES[i]) ? 16 : TABLE) * sizeof(float));
    for (int i = 0; i < TABLE; i++)
        codes[i] = (uint8_t)i;
    for (int i = 0; i < TABLE; i++)
        tables[TABLES - 1][i] = quant_scale(&dynamic, i);
    TRY(cuda_malloc(sizeof tables, (void **)&c->tables, err));
    return backend_upload(c, NULL, c->tables, tables, sizeof tables, err);
}

static enum lc open_parts(struct cuda *c, struct err *err)
{
    TRY(cuda_stream_new(&c->stream.queue, err));
    TRY(cuda_event_new(&c->order, err));
    c->blas = blas_open(c->no_blas, sizeof c->no_blas);
    for (int i = 0; i < STAGES; i++) {
        TRY(cuda_malloc_host(STAGE_BYTES, &c->stages[i].p, err));
        TRY(cuda_event_new(&c->stages[i].done, err));
    }
    TRY(cuda_malloc(CUDA_SQUARES * sizeof *c->parts, (void **)&c->parts, err));
    TRY(cuda_malloc_host(CUDA_SQUARES * sizeof *c->host_parts, (void **)&c->host_parts, err));
    return put_tables(c, err);
}

static enum lc cuda_open(const struct backend_options *o, void **state, struct err *err)
{
    struct cuda *c = mem_zalloc(sizeof *c);
    enum lc code;

    if (!c)
        return err_nomem(err);
    c->limit = o->memory_limit;
    code = cuda_open_device(o->device, &c->device, err);
    if (code == LC_OK)
        code = open_parts(c, err);
    if (code == LC_OK)
        *state = c;
    else
        cuda_close(c);
    return code;
}

static void backend_describe(void *state, char *text, size_t size)
{
    const struct cuda *c = state;
    char products[300];

    if (c->blas)
        snprintf(products, sizeof products, "cuBLASLt %d", blas_version(c->blas));
    else
        snprintf(products, sizeof products, "slow products of our own: %s", c->no_blas);
    snprintf(text, size, "%s, compute capability %d.%d, %zu GiB, CUDA %d.%d, %s", c->device.name,
             c->device.major, c->device.minor, c->device.memory >> 30, c->device.runtime / 1000,
             c->device.runtime % 1000 / 10, products);
}

/* ---- products ---- */
static struct cuda_quant quant_of(const struct cuda *c, const void *w, enum dtype type, int64_t out,
                                  int64_t in)
{
    static const int TABLE_OF[DTYPE_COUNT] = {
        [DTYPE_NF4] = 0,        [DTYPE_NF4_DOUBLE] = 0, [DTYPE_FP4] = 1,
        [DTYPE_FP4_DOUBLE] = 1, [DTYPE_INT8] = 2,       [DTYPE_FP8] = 3};
    struct quant q;

    if (!dtype_quantized(type))
        return (struct cuda_quant){0};
    q = quant_view(w, type, out, in);
    return (struct cuda_quant){.table = c->tables + TABLE_OF[type] * TABLE,
                               .scales = q.scales,
                               .mean = q.mean,
                               .dynamic = c->tables + (TABLES - 1) * TABLE,
                               .codes = q.codes,
                               .scales8 = q.scales8,
                               .block = q.block,
                               .half = quant_half(type)};
}

static void forget_one(struct rounded *r, const float *p, int64_t n)
{
    if (r->from && r->from < p + n && p < r->from + r->n)
        r->from = NULL;
}

/* The product has written over this. */
static void forget(struct backend_stream *s, const float *p, int64_t n)
{
    for (int i = 0; i < ROUNDED; i++)
        forget_one(&s->rounded[i], p, n);
    forget_one(&s->eighths, p, n);
}

/* n floats as bf16; NULL: no memory. The last two asked for are both there. */
static const void *as_bf16(struct cuda *c, struct backend_stream *s, const float *from, int64_t n)
{
    struct rounded *r = &s->rounded[0];
    uint16_t *to;

    s->uses++;
    for (int i = 0; i < ROUNDED; i++) {
        if (s->rounded[i].from == from && s->rounded[i].n == n) {
            s->rounded[i].used = s->uses;
            return s->rounded[i].m.p;
        }
        r = s->rounded[i].used < r->used ? &s->rounded[i] : r;
    }
    r->from = NULL;
    r->used = s->uses;
    to = grown(c, &r->m, (size_t)n * sizeof *to);
    if (!to)
        return NULL;
    kernel_convert(s->queue, to, DTYPE_BF16, from, DTYPE_F32, n);
    r->from = from;
    r->n = n;
    return to;
}

/* The second factor in the type that is multiplied. */
static const void *factor(struct cuda *c, struct backend_stream *s, const struct cuda_product *p,
                          enum dtype type)
{
    int64_t n = p->n * p->k;
    void *to;

    if (p->b_type == type)
        return p->b;
    if (p->b_type == DTYPE_F32)
        return as_bf16(c, s, p->b, n);
    to = scratch(c, s, SCRATCH_WEIGHTS, (size_t)n * dtype_size(type));
    if (to && dtype_quantized(p->b_type))
        kernel_dequantize(s->queue, to, type, &p->quant, n);
    else if (to)
        kernel_convert(s->queue, to, type, p->b, p->b_type, n);
    return to;
}

/* All matrices here are whole: rows follow each other without gaps. */
static bool by_blas(struct cuda *c, struct backend_stream *s, const struct cuda_product *p)
{
    enum dtype type = p->rounded ? DTYPE_BF16 : DTYPE_F32;
    struct blas_call call = {.m = p->m,
                             .n = p->n,
                             .k = p->k,
                             .type = type,
                             .a_side = p->a_column != 1,
                             .b_side = p->b_column != 1,
                             .a_row = p->a_column != 1 ? p->a_column : p->a_row,
                             .b_row = p->b_column != 1 ? p->b_column : p->b_row,
                             .c_row = p->c_row,
                             .c = p->c,
                             .bias = p->bias,
                             .alpha = p->scale,
                             .beta = p->add ? 1 : 0};

    call.workspace = scratch(c, s, SCRATCH_BLAS, BLAS_WORKSPACE);
    call.a = p->rounded ? as_bf16(c, s, p->a, p->m * p->k) : (const void *)p->a;
    call.b = factor(c, s, p, type);
    if (!call.workspace || !call.a || !call.b)
        return c->failed.code != LC_OK; /* told later */
    return blas_product(c->blas, s->queue, &call);
}

/* Few rows: reading the weights is all there is to it, and our kernel reads them as they are kept. */
static bool few_rows(const struct cuda_product *p)
{
    return p->m <= CUDA_ROWS_FEW && p->b_row == 1;
}

static void run_product(struct cuda *c, struct backend_stream *s, const struct cuda_product *p)
{
    if (p->m > 0 && p->n > 0 && (!c->blas || few_rows(p) || !by_blas(c, s, p)))
        kernel_product(s->queue, p);
    forget(s, p->c, p->m * p->c_row);
}

/* a as it lies, [m, k], or on its side */
static struct cuda_product rows_by(const float *a, int64_t m, int64_t k)
{
    return (struct cuda_product){.m = m, .k = k, .a = a, .a_row = k, .a_column = 1, .scale = 1};
}

static struct cuda_product columns_by(const float *a, int64_t m, int64_t k)
{
    return (struct cuda_product){.m = m, .k = k, .a = a, .a_row = 1, .a_column = m, .scale = 1};
}

static void times_f32(struct cuda_product *p, const float *b, int64_t n, int64_t row, int64_t column)
{
    p->b = b;
    p->b_type = DTYPE_F32;
    p->n = n;
    p->b_row = row;
    p->b_column = column;
}

static void into(struct cuda_product *p, float *y, bool add, bool rounded)
{
    p->c = y;
    p->c_row = p->n;
    p->add = add;
    p->rounded = rounded;
}

/* The weights [out, in] of a layer: y = x W^T goes by their rows, dx = dy W by their columns. */
static void times_weights(const struct cuda *c, struct cuda_product *p, const struct linear_arg *a,
                          bool transposed)
{
    p->b = a->w;
    p->b_type = a->w_type;
    p->quant = quant_of(c, a->w, a->w_type, a->out, a->in);
    p->n = transposed ? a->out : a->in;
    p->b_row = transposed ? 1 : a->in;
    p->b_column = transposed ? a->in : 1;
}

static const float *dropped(struct backend_stream *s, const struct lora_arg *l, const float *x, int64_t n)
{
    struct dropout_arg d = {.n = n, .x = x, .y = l->dropped, .p = l->dropout, .seed = l->seed};

    if (l->dropout <= 0)
        return x;
    kernel_dropout(s->queue, &d, rng_threshold(d.p));
    forget(s, d.y, n);
    return l->dropped;
}

/* ---- products of 8-bit factors ---- */
static size_t scales_at(int64_t codes)
{
    return ((size_t)codes + 255) & ~(size_t)255;
}

static struct cuda_eighths eighths_of(const struct cuda *c, const struct linear_arg *a, bool backward)
{
    return (struct cuda_eighths){.from = backward ? a->dy : a->x,
                                 .rows = a->rows,
                                 .width = backward ? a->out : a->in,
                                 .factors =
                                     backward ? quant_of(c, a->w, a->w_type, a->out, a->in).scales : NULL,
                                 .e5m2 = backward};
}

/* Codes with their scales behind. Layers share an input, but not a gradient. false: no memory. */
static bool as_eighths(struct cuda *c, struct backend_stream *s, struct cuda_eighths *e)
{
    struct rounded *r = &s->eighths;
    int64_t n = e->rows * e->width;
    bool there = !e->e5m2 && r->from == e->from && r->n == n && r->rows == e->rows;

    r->from = there ? r->from : NULL;
    e->codes = there ? r->m.p : grown(c, &r->m, scales_at(n) + (size_t)e->rows * sizeof *e->scales);
    if (!e->codes)
        return false;
    e->scales = (float *)(void *)(e->codes + scales_at(n));
    if (there)
        return true;
    kernel_fp8_rows(s->queue, e);
    r->from = e->e5m2 ? NULL : e->from;
    r->n = n;
    r->rows = e->rows;
    return true;
}

/* The codes of the weights with the side that is summed over last, which cuBLASLt wants, and the scales of what is left:
 * in a backward the weights' own are in dy. */
static bool weights_in_eighths(struct cuda *c, struct backend_stream *s, const struct linear_arg *a,
                               bool backward, struct blas_call *call)
{
    struct cuda_quant q = quant_of(c, a->w, a->w_type, a->out, a->in);
    int64_t n = a->out * a->in;
    uint8_t *turned;

    call->b = q.codes;
    call->b_scales = q.scales;
    if (!backward)
        return true;
    turned = scratch(c, s, SCRATCH_WEIGHTS, scales_at(n) + (size_t)a->in * sizeof(float));
    if (!turned)
        return false;
    call->b = turned;
    call->b_scales = (float *)(void *)(turned + scales_at(n));
    kernel_fp8_turn(s->queue, turned, (float *)(void *)(turned + scales_at(n)), q.codes, a->out, a->in);
    return true;
}

static bool eighths_by_blas(struct cuda *c, struct backend_stream *s, const struct linear_arg *a,
                            bool backward)
{
    struct cuda_eighths e = eighths_of(c, a, backward);
    int64_t n = backward ? a->in : a->out;
    struct blas_call call = {.m = a->rows,
                             .n = n,
                             .k = e.width,
                             .type = DTYPE_FP8,
                             .a_e5m2 = e.e5m2,
                             .b_side = true,
                             .a_row = e.width,
                             .b_row = e.width,
                             .c_row = n,
                             .c = backward ? a->dx : a->y,
                             .alpha = 1,
                             .beta = backward && a->add_dx ? 1 : 0};

    if (!c->blas || a->rows <= CUDA_ROWS_FEW || n % 16 || e.width % 16)
        return false;
    call.workspace = scratch(c, s, SCRATCH_BLAS, BLAS_WORKSPACE);
    if (!call.workspace || !as_eighths(c, s, &e) || !weights_in_eighths(c, s, a, backward, &call))
        return true; /* told later */
    call.a = e.codes;
    call.a_scales = e.scales;
    return blas_product(c->blas, s->queue, &call);
}

/* Where the device has no such products: a product of f32 of what is left of the numbers. */
static void eighths_by_values(struct cuda *c, struct backend_stream *s, const struct linear_arg *a,
                              bool backward)
{
    struct cuda_eighths e = eighths_of(c, a, backward);
    struct cuda_product p;

    s->eighths.from = NULL;
    e.values = grown(c, &s->eighths.m, (size_t)(e.rows * e.width) * sizeof *e.values);
    if (!e.values)
        return;
    kernel_fp8_rows(s->queue, &e);
    p = rows_by(e.values, e.rows, e.width);
    times_weights(c, &p, a, !backward);
    into(&p, backward ? a->dx : a->y, backward && a->add_dx, false);
    run_product(c, s, &p);
}

static void eighths_product(struct cuda *c, struct backend_stream *s, const struct linear_arg *a,
                            bool backward)
{
    float *to = backward ? a->dx : a->y;
    int64_t width = backward ? a->in : a->out;

    if (!eighths_by_blas(c, s, a, backward))
        eighths_by_values(c, s, a, backward);
    if (a->bias && !backward)
        kernel_add_columns(s->queue, to, a->bias, a->rows, width);
    forget(s, to, a->rows * width);
}

/* Whether they are there is not asked but tried: it depends on the card, and on the version of cuBLASLt. */
static bool backend_has_fp8(void *state)
{
    enum { N = 64 };
    struct cuda *c = state;
    size_t weights = (quant_bytes(DTYPE_FP8, N, N) + 255) & ~(size_t)255,
           bytes = weights + 2 * N * N * sizeof(float);
    struct linear_arg a = {.rows = N, .in = N, .out = N, .w_type = DTYPE_FP8, .compute = DTYPE_FP8};
    struct err err;
    void *p;
    bool there;

    if (c->device.major * 10 + c->device.minor < 89 || !c->blas || backend_alloc(c, bytes, &p, &err) != LC_OK)
        return false;
    a.w = p;
    a.x = a.dy = (float *)(void *)((char *)p + weights);
    a.y = a.dx = (float *)(void *)((char *)p + weights) + N * N;
    there = eighths_by_blas(c, &c->stream, &a, false) && eighths_by_blas(c, &c->stream, &a, true) &&
            backend_sync(c, NULL, &err) == LC_OK;
    forget_all(&c->stream);
    backend_release(c, p, bytes);
    return there;
}

static void lora_forward(struct cuda *c, struct backend_stream *s, const struct linear_arg *a, bool bf)
{
    const struct lora_arg *l = &a->lora;
    struct cuda_product p = rows_by(dropped(s, l, a->x, a->rows * a->in), a->rows, a->in);

    times_f32(&p, l->a, l->rank, 1, a->in);
    into(&p, l->xa, false, bf);
    p.scale = l->scale;
    run_product(c, s, &p);
    p = rows_by(l->xa, a->rows, l->rank);
    times_f32(&p, l->b, a->out, 1, l->rank);
    into(&p, a->y, true, bf);
    run_product(c, s, &p);
}

static void backend_linear_forward(void *state, struct backend_stream *stream, const struct linear_arg *a)
{
    struct cuda *c = state;
    struct backend_stream *s = stream_of(c, stream);
    struct cuda_product p = rows_by(a->x, a->rows, a->in);
    bool bf = a->compute != DTYPE_F32;

    if (a->w && a->compute == DTYPE_FP8) {
        eighths_product(c, s, a, false);
    } else if (a->w) {
        times_weights(c, &p, a, true);
        into(&p, a->y, false, bf);
        p.bias = a->bias;
        run_product(c, s, &p);
    }
    if (a->lora.a)
        lora_forward(c, s, a, bf);
}

static void lora_gradients(struct cuda *c, struct backend_stream *s, const struct linear_arg *a, bool bf)
{
    const struct lora_arg *l = &a->lora;
    struct cuda_product p = rows_by(a->dy, a->rows, a->out);

    times_f32(&p, l->b, l->rank, l->rank, 1);
    into(&p, l->dxa, false, bf);
    p.scale = l->scale;
    run_product(c, s, &p);
    if (l->db) {
        p = columns_by(a->dy, a->out, a->rows);
        times_f32(&p, l->xa, l->rank, l->rank, 1);
        into(&p, l->db, true, bf);
        run_product(c, s, &p);
    }
    if (l->da) {
        p = columns_by(l->dxa, l->rank, a->rows);
        times_f32(&p, dropped(s, l, a->x, a->rows * a->in), a->in, a->in, 1);
        into(&p, l->da, true, bf);
        run_product(c, s, &p);
    }
}

/* dx += drop(dxa A) */
static void lora_input(struct cuda *c, struct backend_stream *s, const struct linear_arg *a, bool bf)
{
    const struct lora_arg *l = &a->lora;
    bool drop = l->dropout > 0;
    struct cuda_product p = rows_by(l->dxa, a->rows, l->rank);
    struct dropout_arg d = {
        .n = a->rows * a->in, .x = l->dropped, .y = a->dx, .p = l->dropout, .seed = l->seed, .add = true};

    times_f32(&p, l->a, a->in, a->in, 1);
    into(&p, drop ? l->dropped : a->dx, !drop, bf);
    run_product(c, s, &p);
    if (drop) {
        kernel_dropout(s->queue, &d, rng_threshold(d.p));
        forget(s, d.y, d.n);
    }
}

static void add_column_sums(struct cuda *c, struct backend_stream *s, const float *x, int64_t rows,
                            int64_t width, float *sums)
{
    float *parts = scratch(c, s, SCRATCH_SUMS, (size_t)(kernel_parts(rows) * width) * sizeof *parts);

    if (parts)
        kernel_column_sums(s->queue, x, rows, width, sums, parts);
}

static void backend_linear_backward(void *state, struct backend_stream *stream, const struct linear_arg *a)
{
    struct cuda *c = state;
    struct backend_stream *s = stream_of(c, stream);
    bool bf = a->compute != DTYPE_F32;
    struct cuda_product p;

    if (a->dx && a->w && a->compute == DTYPE_FP8) {
        eighths_product(c, s, a, true);
    } else if (a->dx && a->w) {
        p = rows_by(a->dy, a->rows, a->out);
        times_weights(c, &p, a, false);
        into(&p, a->dx, a->add_dx, bf);
        run_product(c, s, &p);
    }
    if (a->dw) {
        p = columns_by(a->dy, a->out, a->rows);
        times_f32(&p, a->x, a->in, a->in, 1);
        into(&p, a->dw, true, bf);
        run_product(c, s, &p);
    }
    if (a->dbias)
        add_column_sums(c, s, a->dy, a->rows, a->out, a->dbias);
    if (!a->lora.a)
        return;
    lora_gradients(c, s, a, bf);
    if (a->dx)
        lora_input(c, s, a, bf);
}

static void backend_merge(void *state, struct backend_stream *s, void *w, enum dtype w_type, const float *a,
                          const float *b, int64_t out, int64_t in, int64_t rank, float scale)
{
    kernel_merge(queue_of(state, s), w, w_type, a, b, out, in, rank, scale);
}

/* ---- weights of a learned length ---- */
static void backend_dora_factors(void *state, struct backend_stream *s, const struct dora_arg *a)
{
    kernel_dora_factors(queue_of(state, s), a);
}

static void backend_dora_forward(void *state, struct backend_stream *s, const struct dora_arg *a)
{
    kernel_dora_forward(queue_of(state, s), a);
}

static void backend_dora_backward(void *state, struct backend_stream *stream, const struct dora_arg *a)
{
    struct cuda *c = state;
    struct backend_stream *s = stream_of(c, stream);
    float *parts = scratch(c, s, SCRATCH_SUMS, (size_t)(kernel_parts(a->rows) * a->out) * sizeof *parts);

    if (parts)
        kernel_dora_backward(queue_of(c, s), a, parts);
}

/* ---- the loss ---- */
/* The head over the chunk's rows, gathered: its logits are left in a->logits. */
static struct linear_arg chunk_logits(struct cuda *c, struct backend_stream *s, const struct loss_arg *a,
                                      int64_t from, int64_t n)
{
    struct linear_arg head = loss_head(a, from, n);

    kernel_gather(queue_of(c, s), a->gathered, a->x, a->index + from, n, a->width);
    backend_linear_forward(c, s, &head);
    return head;
}

static void chunk_gradients(struct cuda *c, struct backend_stream *s, const struct loss_arg *a, int64_t from,
                            int64_t n, const struct linear_arg *head)
{
    bool bf = a->compute == DTYPE_BF16;
    struct linear_arg low = loss_head_low_rank(head, a);
    struct cuda_product p;

    if (a->lora.a)
        lora_gradients(c, s, &low, bf);
    if (a->dw) {
        p = columns_by(a->logits, a->vocabulary, n);
        times_f32(&p, a->gathered, a->width, a->width, 1);
        into(&p, a->dw, true, bf);
        run_product(c, s, &p);
    }
    p = rows_by(a->logits, n, a->vocabulary);
    times_weights(c, &p, head, false);
    into(&p, a->gathered, false, bf);
    run_product(c, s, &p);
    low = loss_head_low_rank_input(head, a);
    if (a->lora.a)
        lora_input(c, s, &low, bf);
    kernel_scatter(queue_of(c, s), a->dx, a->gathered, a->index + from, n, a->width);
}

static void backend_loss(void *state, struct backend_stream *stream, const struct loss_arg *a)
{
    struct cuda *c = state;
    struct backend_stream *s = stream_of(c, stream);

    for (int64_t from = 0; from < a->rows; from += a->chunk) {
        int64_t n = a->rows - from < a->chunk ? a->rows - from : a->chunk;
        struct linear_arg head = chunk_logits(c, s, a, from, n);

        kernel_loss_rows(queue_of(c, s), a, from, n);
        if (a->dx)
            chunk_gradients(c, s, a, from, n, &head);
    }
}

static void backend_distill(void *state, struct backend_stream *stream, const struct distill_arg *d)
{
    struct cuda *c = state;
    struct backend_stream *s = stream_of(c, stream);
    const struct loss_arg *a = &d->loss;
    const struct loss_arg teacher = distill_teacher(d);

    for (int64_t from = 0; from < a->rows; from += a->chunk) {
        int64_t n = a->rows - from < a->chunk ? a->rows - from : a->chunk;
        struct linear_arg head;

        chunk_logits(c, s, &teacher, from, n);
        head = chunk_logits(c, s, a, from, n);
        kernel_distill_rows(queue_of(c, s), d, from, n);
        if (a->dx)
            chunk_gradients(c, s, a, from, n, &head);
    }
}

/* ---- attention ---- */
static bool head_fits(struct cuda *c, int64_t head_dim)
{
    if (kernel_attention_fits(head_dim))
        return true;
    err_set(&c->failed, LC_UNSUPPORTED, "attention heads of %lld numbers are too wide for the GPU kernels",
            (long long)head_dim);
    err_hint(&c->failed, "use device = \"cpu\"");
    return false;
}

static void backend_attention_forward(void *state, struct backend_stream *s, const struct attention_arg *a)
{
    if (head_fits(state, a->head_dim))
        kernel_attention_forward(queue_of(state, s), a);
}

static void backend_attention_backward(void *state, struct backend_stream *stream,
                                       const struct attention_arg *a)
{
    struct cuda *c = state;
    struct backend_stream *s = stream_of(c, stream);
    float *delta = scratch(c, s, SCRATCH_DELTA, (size_t)(a->heads * a->rows) * sizeof *delta);

    if (delta && head_fits(c, a->head_dim))
        kernel_attention_backward(queue_of(c, s), a, delta);
}

static void backend_attention_cached(void *state, struct backend_stream *s,
                                     const struct cached_attention_arg *a)
{
    if (head_fits(state, a->head_dim))
        kernel_attention_cached(queue_of(state, s), a);
}

/* ---- the rest: a kernel each ---- */
static void backend_convert(void *state, struct backend_stream *s, void *to, enum dtype to_type,
                            const void *from, enum dtype from_type, int64_t n)
{
    kernel_convert(queue_of(state, s), to, to_type, from, from_type, n);
}

static void backend_embed_forward(void *state, struct backend_stream *s, const struct embed_arg *a)
{
    kernel_embed_forward(queue_of(state, s), a);
}

static void backend_embed_backward(void *state, struct backend_stream *s, const struct embed_arg *a)
{
    kernel_embed_backward(queue_of(state, s), a);
}

static void backend_norm_forward(void *state, struct backend_stream *s, const struct norm_arg *a)
{
    kernel_norm_forward(queue_of(state, s), a);
}

static void backend_norm_apply(void *state, struct backend_stream *s, const struct norm_arg *a)
{
    kernel_norm_apply(queue_of(state, s), a);
}

static void backend_norm_backward(void *state, struct backend_stream *stream, const struct norm_arg *a)
{
    struct cuda *c = state;
    struct backend_stream *s = stream_of(c, stream);
    float *parts = NULL;

    if (a->dw)
        parts = scratch(c, s, SCRATCH_SUMS, (size_t)(kernel_parts(a->rows) * a->width) * sizeof *parts);
    if (parts || !a->dw)
        kernel_norm_backward(queue_of(c, s), a, parts);
}

static void backend_rope(void *state, struct backend_stream *s, const struct rope_arg *a)
{
    kernel_rope(queue_of(state, s), a);
}

static void backend_swiglu_forward(void *state, struct backend_stream *s, const struct swiglu_arg *a)
{
    kernel_swiglu_forward(queue_of(state, s), a);
}

static void backend_swiglu_backward(void *state, struct backend_stream *s, const struct swiglu_arg *a)
{
    kernel_swiglu_backward(queue_of(state, s), a);
}

static void backend_adamw(void *state, struct backend_stream *s, const struct adamw_arg *a)
{
    kernel_adamw(queue_of(state, s), a);
}

static void backend_dropout(void *state, struct backend_stream *s, const struct dropout_arg *a)
{
    kernel_dropout(queue_of(state, s), a, rng_threshold(a->p));
}

static void backend_add(void *state, struct backend_stream *s, float *y, const float *x, float scale,
                        int64_t n)
{
    kernel_add(queue_of(state, s), y, x, scale, n);
}

/* The answer is on the host: this one waits. */
static void backend_sum_squares(void *state, struct backend_stream *stream, const float *x, int64_t n,
                                double *out)
{
    struct cuda *c = state;
    struct CUstream_st *queue = queue_of(c, stream);

    *out = 0;
    kernel_sum_squares(queue, x, n, c->parts);
    cuda_download(queue, c->host_parts, c->parts, CUDA_SQUARES * sizeof *c->parts);
    if (cuda_stream_sync(queue, &c->failed) != LC_OK)
        return;
    for (int i = 0; i < CUDA_SQUARES; i++)
        *out += c->host_parts[i];
}

static void backend_gather(void *state, struct backend_stream *s, float *y, const float *x,
                           const int32_t *index, int64_t rows, int64_t width)
{
    kernel_gather(queue_of(state, s), y, x, index, rows, width);
}

extern const struct backend_ops lacus_gpu_cuda; /* the plugin's one symbol */
const struct backend_ops lacus_gpu_cuda = {
    .abi = BACKEND_ABI,
    .name = "cuda",
    .host_visible = false,
    .open = cuda_open,
    .close = cuda_close,
    .describe = backend_describe,
    .alloc = backend_alloc,
    .release = backend_release,
    .memory = backend_memory,
    .stream_new = backend_stream_new,
    .stream_free = backend_stream_free,
    .sync = backend_sync,
    .upload = backend_upload,
    .download = backend_download,
    .copy = backend_copy,
    .zero = backend_zero,
    .convert = backend_convert,
    .linear_forward = backend_linear_forward,
    .linear_backward = backend_linear_backward,
    .embed_forward = backend_embed_forward,
    .embed_backward = backend_embed_backward,
    .norm_forward = backend_norm_forward,
    .norm_backward = backend_norm_backward,
    .norm_apply = backend_norm_apply,
    .rope = backend_rope,
    .attention_forward = backend_attention_forward,
    .attention_backward = backend_attention_backward,
    .attention_cached = backend_attention_cached,
    .swiglu_forward = backend_swiglu_forward,
    .swiglu_backward = backend_swiglu_backward,
    .loss = backend_loss,
    .adamw = backend_adamw,
    .dropout = backend_dropout,
    .add = backend_add,
    .sum_squares = backend_sum_squares,
    .gather = backend_gather,
    .merge = backend_merge,
    .dora_factors = backend_dora_factors,
    .dora_forward = backend_dora_forward,
    .dora_backward = backend_dora_backward,
    .distill = backend_distill,
    .has_fp8 = backend_has_fp8,
    .identity = backend_identity,
    .queue = backend_queue,
    .after = backend_after,
    .idle = backend_idle,
    .record_begin = backend_record_begin,
    .record_end = backend_record_end,
    .replay = backend_replay,
    .record_free = backend_record_free,
};
