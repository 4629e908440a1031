/* scalars_sketch.c: sketches: the k smallest hashes of different values, with a number beside each; and samples of numbers for
 * quantiles. The bytes are our own, not those of the DataSketches library. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t hash;
    double summary;
};

struct sketch {
    uint64_t theta; /* all hashes below it are there; UINT64_MAX: of all values */
    size_t n;
    struct entry *entries; /* sorted, different */
};

enum { SKETCH_HEAD = 16 };
static const char sketch_magic[8] = "lacusSK1", sample_magic[8] = "lacusQS1";

/* ---- bytes ---- */
/* who: the function's name, which begins with the kind of sketch */
static void not_a_sketch(const struct value *who, struct result *out)
{
    char kind[8];
    size_t n = 0;

    for (; n < who->len && n < sizeof kind - 1 && who->s[n] != '_'; n++)
        kind[n] = (char)toupper((unsigned char)who->s[n]);
    result_error(
        out,
        "[%.*s_INVALID_INPUT_SKETCH_BUFFER] Invalid call to `%.*s`; only valid %.*s sketch buffers that "
        "were made by lacus are supported as inputs. SQLSTATE: 22546",
        (int)n, kind, (int)who->len, who->s, (int)n, kind);
}

/* The entries of a sketch's bytes, copied to aligned memory; NULL entries: it is none. */
static struct sketch open_sketch(const struct value *who, const struct value *v, struct result *out)
{
    struct sketch s = {0};

    if (v->len < SKETCH_HEAD || memcmp(v->s, sketch_magic, 8) != 0 ||
        (v->len - SKETCH_HEAD) % sizeof(struct entry)) {
        not_a_sketch(who, out);
        return s;
    }
    memcpy(&s.theta, v->s + 8, 8);
    s.n = (v->len - SKETCH_HEAD) / sizeof(struct entry);
    s.entries = mem_calloc(s.n + 1, sizeof *s.entries);
    if (s.entries)
        memcpy(s.entries, v->s + SKETCH_HEAD, s.n * sizeof *s.entries);
    else
        result_error(out, "out of memory");
    return s;
}

static void put_sketch(const struct sketch *s, struct result *out)
{
    buf_add(out->more, sketch_magic, 8);
    buf_add(out->more, &s->theta, 8);
    buf_add(out->more, s->entries, s->n * sizeof *s->entries);
    result_text(out);
}

/* ---- combining ---- */
static double combine(const struct value *mode, double a, double b)
{
    if (mode->len == 3 && memcmp(mode->s, "min", 3) == 0)
        return a < b ? a : b;
    if (mode->len == 3 && memcmp(mode->s, "max", 3) == 0)
        return a > b ? a : b;
    if (mode->len == 9 && memcmp(mode->s, "alwaysone", 9) == 0)
        return 1;
    return a + b;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = ((const struct entry *)a)->hash, y = ((const struct entry *)b)->hash;

    return x < y ? -1 : x > y;
}

/* Sorts, joins equal hashes, and keeps the k smallest. */
static void settle(struct sketch *s, size_t k, const struct value *mode)
{
    size_t n = 0;

    qsort(s->entries, s->n, sizeof *s->entries, by_hash);
    for (size_t i = 0; i < s->n && s->entries[i].hash < s->theta; i++) {
        if (n && s->entries[n - 1].hash == s->entries[i].hash)
            s->entries[n - 1].summary = combine(mode, s->entries[n - 1].summary, s->entries[i].summary);
        else
            s->entries[n++] = s->entries[i];
    }
    if (n > k) {
        s->theta = s->entries[k].hash;
        n = k;
    }
    s->n = n;
}

static size_t entries_of(const struct value *lg)
{
    return (size_t)1 << (lg->i < 4 ? 4 : lg->i > 26 ? 26 : lg->i);
}

/* sketch(hashes, summaries, lg k, mode) */
static void make(const struct value *a, struct result *out)
{
    struct sketch s = {.theta = UINT64_MAX, .entries = mem_calloc(a[0].n + 1, sizeof *s.entries)};

    if (!s.entries) {
        result_error(out, "out of memory");
        return;
    }
    for (size_t i = 0; i < a[0].n; i++)
        if (!a[0].items[i].null)
            s.entries[s.n++] = (struct entry){.hash = (uint64_t)a[0].items[i].i,
                                              .summary = i < a[1].n ? a[1].items[i].f : 0};
    settle(&s, entries_of(&a[2]), &a[3]);
    put_sketch(&s, out);
    mem_free(s.entries);
}

/* union(sketches, lg k, mode) */
static void sketch_union(const struct value *a, struct result *out)
{
    struct sketch all = {.theta = UINT64_MAX};

    for (size_t i = 0; i < a[1].n && !*out->error; i++) {
        struct sketch one = {0};
        struct entry *grown;

        if (a[1].items[i].null)
            continue;
        one = open_sketch(&a[0], &a[1].items[i], out);
        grown = one.entries ? mem_reallocn(all.entries, all.n + one.n + 1, sizeof *grown) : NULL;
        if (grown) {
            memcpy(grown + all.n, one.entries, one.n * sizeof *grown);
            all.entries = grown;
            all.n += one.n;
            all.theta = one.theta < all.theta ? one.theta : all.theta;
        }
        mem_free(one.entries);
    }
    if (all.n)
        settle(&all, entries_of(&a[2]), &a[3]);
    put_sketch(&all, out);
    mem_free(all.entries);
}

/* Keeps of s what is in other, or what is not. */
static void keep(struct sketch *s, const struct sketch *other, bool common, const struct value *mode)
{
    size_t n = 0;

    s->theta = other->theta < s->theta ? other->theta : s->theta;
    for (size_t i = 0; i < s->n && s->entries[i].hash < s->theta; i++) {
        const struct entry *same =
            other->n ? bsearch(&s->entries[i], other->entries, other->n, sizeof *other->entries, by_hash)
                     : NULL;

        if ((same != NULL) != common)
            continue;
        s->entries[n] = s->entries[i];
        if (common)
            s->entries[n].summary = combine(mode, s->entries[n].summary, same->summary);
        n++;
    }
    s->n = n;
}

/* intersection(sketches, mode) */
static void intersection(const struct value *a, struct result *out)
{
    struct sketch all = {.theta = UINT64_MAX};
    bool begun = false;

    for (size_t i = 0; i < a[1].n && !*out->error; i++) {
        struct sketch one;

        if (a[1].items[i].null)
            continue;
        one = open_sketch(&a[0], &a[1].items[i], out);
        if (!begun) {
            all = one;
            begun = true;
            continue;
        }
        keep(&all, &one, true, &a[2]);
        mem_free(one.entries);
    }
    put_sketch(&all, out);
    mem_free(all.entries);
}

static void difference(const struct value *a, struct result *out)
{
    struct sketch x = open_sketch(&a[0], &a[1], out), y = open_sketch(&a[0], &a[2], out);

    if (!*out->error) {
        keep(&x, &y, false, NULL);
        put_sketch(&x, out);
    }
    mem_free(x.entries);
    mem_free(y.entries);
}

static double theta_of(const struct sketch *s)
{
    return s->theta == UINT64_MAX ? 1 : (double)s->theta / 18446744073709551616.0;
}

static void theta(const struct value *a, struct result *out)
{
    struct sketch s = open_sketch(&a[0], &a[1], out);

    out->f = theta_of(&s);
    mem_free(s.entries);
}

static void estimate(const struct value *a, struct result *out)
{
    struct sketch s = open_sketch(&a[0], &a[1], out);

    out->f = s.n ? (double)s.n / theta_of(&s) : 0;
    mem_free(s.entries);
}

/* summary(sketch, mode) */
static void summary(const struct value *a, struct result *out)
{
    struct sketch s = open_sketch(&a[0], &a[1], out);

    for (size_t i = 0; i < s.n; i++)
        out->f = i ? combine(&a[2], out->f, s.entries[i].summary) : s.entries[i].summary;
    mem_free(s.entries);
}

/* ---- samples for quantiles: how many values there were, then a sorted sample ---- */
static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Every second value stays while there are too many. */
static void put_sample(double *values, size_t n, int64_t total, size_t most, struct result *out)
{
    qsort(values, n, sizeof *values, by_number);
    while (n > most) {
        for (size_t i = 0; i < n / 2; i++)
            values[i] = values[2 * i + 1];
        n /= 2;
    }
    buf_add(out->more, sample_magic, 8);
    buf_add(out->more, &total, 8);
    buf_add(out->more, values, n * sizeof *values);
    result_text(out);
}

static const double *open_sample(const struct value *who, const struct value *v, size_t *n, int64_t *total,
                                 struct result *out)
{
    *n = 0;
    *total = 0;
    if (v->len < SKETCH_HEAD || memcmp(v->s, sample_magic, 8) != 0 || (v->len - SKETCH_HEAD) % 8) {
        not_a_sketch(who, out);
        return NULL;
    }
    memcpy(total, v->s + 8, 8);
    *n = (v->len - SKETCH_HEAD) / 8;
    buf_add(out->more, v->s + SKETCH_HEAD, v->len - SKETCH_HEAD); /* aligned there */
    return (const double *)(const void *)out->more->data;
}

static size_t sample_size(const struct value *k)
{
    return (size_t)(k->i < 8 ? 8 : k->i > 65535 ? 65535 : k->i) * 16;
}

/* sample(values, k) */
static void sample(const struct value *a, struct result *out)
{
    double *values = mem_calloc(a[0].n + 1, sizeof *values);
    size_t n = 0;

    if (!values) {
        result_error(out, "out of memory");
        return;
    }
    for (size_t i = 0; i < a[0].n; i++)
        if (!a[0].items[i].null && !isnan(a[0].items[i].f))
            values[n++] = a[0].items[i].f;
    put_sample(values, n, (int64_t)n, sample_size(&a[1]), out);
    mem_free(values);
}

/* merge(samples, k): each value of a sample stands for as many as its sample left out */
static void sample_merge(const struct value *a, struct result *out)
{
    double *values = NULL;
    size_t n = 0;
    int64_t total = 0;

    for (size_t i = 0; i < a[1].n && !*out->error; i++) {
        const double *one;
        double *grown;
        size_t m;
        int64_t of;

        if (a[1].items[i].null)
            continue;
        buf_clear(out->more);
        one = open_sample(&a[0], &a[1].items[i], &m, &of, out);
        grown = one || m == 0 ? mem_reallocn(values, n + m + 1, sizeof *values) : NULL;
        if (!grown)
            break;
        values = grown;
        if (m)
            memcpy(values + n, one, m * sizeof *values);
        n += m;
        total += of;
    }
    buf_clear(out->more);
    if (!*out->error)
        put_sample(values, n, total, sample_size(&a[2]), out);
    mem_free(values);
}

static void sample_n(const struct value *a, struct result *out)
{
    size_t n;

    open_sample(&a[0], &a[1], &n, &out->i, out);
}

/* quantile(sample, rank) */
static void sample_quantile(const struct value *a, struct result *out)
{
    size_t n, at;
    int64_t total;
    const double *values = open_sample(&a[0], &a[1], &n, &total, out);

    if (!*out->error && (a[2].f < 0 || a[2].f > 1)) {
        result_error(out, "[KLL_SKETCH_INVALID_QUANTILE_RANGE] a rank is from 0 to 1. SQLSTATE: 22003");
        return;
    }
    at = n ? (size_t)ceil(a[2].f * (double)n) : 0;
    out->null = n == 0;
    out->f = n && values ? values[at ? at - 1 : 0] : 0;
}

/* rank(sample, value): the part of the values that are not above it */
static void sample_rank(const struct value *a, struct result *out)
{
    size_t n, below = 0;
    int64_t total;
    const double *values = open_sample(&a[0], &a[1], &n, &total, out);

    while (values && below < n && values[below] <= a[2].f)
        below++;
    out->null = n == 0;
    out->f = n ? (double)below / (double)n : 0;
}

static void sample_string(const struct value *a, struct result *out)
{
    size_t n;
    int64_t total;
    const double *values = open_sample(&a[0], &a[1], &n, &total, out);
    double least = n && values ? values[0] : 0, most = n && values ? values[n - 1] : 0;

    buf_clear(out->more);
    buf_printf(out->more, "### sample of quantiles: N %lld, retained %zu, min %g, max %g", (long long)total,
               n, least, most);
    result_text(out);
}

const struct scalar scalars_sketch[] = {
    {"lacus_sketch", "LDis", 'b', false, make},
    {"lacus_sketch_union", "sBis", 'b', false, sketch_union},
    {"lacus_sketch_intersection", "sBs", 'b', false, intersection},
    {"lacus_sketch_difference", "sbb", 'b', false, difference},
    {"lacus_sketch_theta", "sb", 'd', false, theta},
    {"lacus_sketch_estimate", "sb", 'd', false, estimate},
    {"lacus_sketch_summary", "sbs", 'd', false, summary},
    {"lacus_sample", "Di", 'b', false, sample},
    {"lacus_sample_merge", "sBi", 'b', false, sample_merge},
    {"lacus_sample_n", "sb", 'l', false, sample_n},
    {"lacus_sample_quantile", "sbd", 'd', false, sample_quantile},
    {"lacus_sample_rank", "sbd", 'd', false, sample_rank},
    {"lacus_sample_string", "sb", 's', false, sample_string},
    {NULL, NULL, 0, false, NULL},
};
