#include "runtime/dataframe/json/guess.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/csv/value.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { NOTHING, BOOLEAN, LONG, DECIMAL, DOUBLE, STRING, ARRAY, STRUCT };
enum { DIGITS = 38, LONG_DIGITS = 20 };

struct part {
    const char *name;
    size_t name_len;
    struct type *type;
    size_t seen; /* in which object last */
};

struct type {
    enum kind kind;
    int precision, scale; /* DECIMAL */
    struct type *element; /* ARRAY */
    struct part *parts;   /* STRUCT */
    size_t n, cap;
};

struct guess {
    const struct json_options *options;
    struct arena *arena;
    struct type root;
    bool corrupt, failed;
    size_t objects;
    const char *twice; /* a name that stands twice in one object, or in two spellings; NULL: none does */
};

struct guess *guess_new(const struct json_options *o)
{
    struct guess *g = mem_zalloc(sizeof *g);

    if (g && !(g->arena = arena_new(0))) {
        mem_free(g);
        return NULL;
    }
    if (g) {
        g->options = o;
        g->root.kind = STRUCT;
    }
    return g;
}

void guess_free(struct guess *g)
{
    if (!g)
        return;
    arena_free(g->arena);
    mem_free(g);
}

/* Records mostly have their parts in the same order: `hint` is where the next is looked for first. */
static struct part *part_of(struct guess *g, struct type *t, const struct record_node *n, size_t *hint)
{
    for (size_t k = 0; k < t->n; k++) {
        size_t i = (*hint + k) % t->n;

        if (t->parts[i].name_len == n->name_len && memcmp(t->parts[i].name, n->name, n->name_len) == 0) {
            *hint = i + 1;
            return &t->parts[i];
        }
    }
    if (t->n == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 8;
        struct part *grown = arena_alloc(g->arena, cap * sizeof *grown);

        if (!grown)
            return g->failed = true, NULL;
        if (t->n)
            memcpy(grown, t->parts, t->n * sizeof *grown);
        t->parts = grown;
        t->cap = cap;
    }
    struct part *p = &t->parts[t->n];
    char *name = arena_alloc(g->arena, n->name_len + 1);
    *p = (struct part){name, n->name_len, arena_zalloc(g->arena, sizeof *p->type), 0};
    if (!name || !p->type)
        return g->failed = true, NULL;
    memcpy(name, n->name, n->name_len);
    name[n->name_len] = '\0';
    t->n++;
    *hint = t->n;
    return p;
}

/* ---- one more value of a kind ---- */
static void join_decimals(struct type *t, int precision, int scale)
{
    int whole = t->precision - t->scale, more = precision - scale;

    whole = whole > more ? whole : more;
    scale = t->scale > scale ? t->scale : scale;
    if (whole + scale > DIGITS) {
        t->kind = DOUBLE;
        return;
    }
    t->kind = DECIMAL;
    t->precision = whole + scale;
    t->scale = scale;
}

static void join(struct type *t, enum kind kind, int precision, int scale)
{
    if (kind == NOTHING || t->kind == STRING)
        return;
    if (t->kind == NOTHING) {
        t->kind = kind;
        t->precision = precision;
        t->scale = scale;
    } else if (t->kind == kind && kind != DECIMAL) {
        return;
    } else if ((t->kind == LONG || t->kind == DECIMAL) && (kind == LONG || kind == DECIMAL)) {
        if (t->kind == LONG)
            t->precision = LONG_DIGITS, t->scale = 0;
        join_decimals(t, kind == LONG ? LONG_DIGITS : precision, kind == LONG ? 0 : scale);
    } else if ((t->kind == DOUBLE || t->kind == LONG || t->kind == DECIMAL) &&
               (kind == DOUBLE || kind == LONG || kind == DECIMAL)) {
        t->kind = DOUBLE;
    } else {
        t->kind = STRING;
    }
}

static void add_number(const struct guess *g, struct type *t, const struct record_node *n)
{
    int whole, fraction;
    int64_t v;

    if (n->kind == RECORD_INTEGER && csv_to_long(n->raw, n->raw_len, INT64_MAX, &v)) {
        join(t, LONG, 0, 0);
    } else if ((n->kind == RECORD_INTEGER || (n->kind == RECORD_FRACTION && g->options->prefers_decimal)) &&
               csv_to_decimal(n->raw, n->raw_len, &whole, &fraction) && whole + fraction <= DIGITS) {
        int precision = whole + fraction > fraction ? whole + fraction : fraction;
        join(t, DECIMAL, precision > 0 ? precision : 1, fraction);
    } else {
        join(t, DOUBLE, 0, 0);
    }
}

static void add_value(struct guess *g, struct type *t, const struct record *r, size_t at)
{
    const struct record_node *n = &r->nodes[at];
    size_t hint = 0, stamp;

    switch (n->kind) {
    case RECORD_NULL:
        return;
    case RECORD_TEXT: /* an empty text may stand for NULL */
        join(t, n->text_len ? STRING : NOTHING, 0, 0);
        return;
    case RECORD_FALSE:
    case RECORD_TRUE:
        join(t, g->options->primitives_as_string ? STRING : BOOLEAN, 0, 0);
        return;
    case RECORD_INTEGER:
    case RECORD_FRACTION:
    case RECORD_NOT_A_NUMBER:
        if (g->options->primitives_as_string)
            join(t, STRING, 0, 0);
        else
            add_number(g, t, n);
        return;
    case RECORD_LIST:
        join(t, ARRAY, 0, 0);
        if (t->kind != ARRAY)
            return;
        if (!t->element && !(t->element = arena_zalloc(g->arena, sizeof *t->element))) {
            g->failed = true;
            return;
        }
        for (size_t i = n->first; i; i = r->nodes[i].next)
            add_value(g, t->element, r, i);
        return;
    case RECORD_OBJECT:
        join(t, STRUCT, 0, 0);
        stamp = ++g->objects;
        for (size_t i = n->first; i && t->kind == STRUCT; i = r->nodes[i].next) {
            struct part *p = part_of(g, t, &r->nodes[i], &hint);
            if (!p)
                return;
            if (p->seen == stamp)
                g->twice = p->name;
            p->seen = stamp;
            add_value(g, p->type, r, i);
        }
        return;
    }
}

bool guess_add(struct guess *g, const struct record *r)
{
    const struct record_node *root = &r->nodes[0];

    if (root->kind == RECORD_NULL)
        return true;
    if (root->kind == RECORD_OBJECT) {
        add_value(g, &g->root, r, 0);
        return true;
    }
    for (size_t i = root->kind == RECORD_LIST ? root->first : 0; i; i = r->nodes[i].next)
        if (r->nodes[i].kind != RECORD_OBJECT && r->nodes[i].kind != RECORD_NULL)
            return false;
    for (size_t i = root->kind == RECORD_LIST ? root->first : 0; i; i = r->nodes[i].next)
        add_value(g, &g->root, r, i);
    return root->kind == RECORD_LIST;
}

void guess_malformed(struct guess *g)
{
    g->corrupt = true;
}

/* ---- the schema ---- */
static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

static int ignoring_case(const void *a, const void *b)
{
    return strcasecmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

/* By name; names that differ in case alone are one to Spark. */
static void sort_parts(struct guess *g, struct type *t)
{
    if (t->n)
        qsort(t->parts, t->n, sizeof *t->parts, ignoring_case);
    for (size_t i = 1; i < t->n; i++)
        if (ignoring_case(&t->parts[i - 1], &t->parts[i]) == 0)
            g->twice = t->parts[i].name;
    if (t->n)
        qsort(t->parts, t->n, sizeof *t->parts, by_name);
}

/* A new reference; NULL: a type without anything in it, which Spark leaves out. */
static const struct dtype *dtype_from(struct guess *g, struct type *t)
{
    static const enum dtype_id ids[] = {
        [BOOLEAN] = DTYPE_BOOLEAN, [LONG] = DTYPE_LONG, [DOUBLE] = DTYPE_DOUBLE, [STRING] = DTYPE_STRING};
    const struct dtype *s, *inner;

    if (t->kind == NOTHING)
        return g->options->drop_null_fields ? NULL : dtype_of(DTYPE_STRING);
    if (t->kind == DECIMAL)
        return dtype_decimal(t->precision, t->scale);
    if (t->kind == ARRAY)
        return (inner = dtype_from(g, t->element)) ? dtype_array(inner, true) : NULL;
    if (t->kind != STRUCT)
        return dtype_of(ids[t->kind]);
    sort_parts(g, t);
    s = dtype_struct_new(t->n);
    for (size_t i = 0; s && i < t->n; i++)
        if (t->parts[i].name_len && (inner = dtype_from(g, t->parts[i].type)) != NULL)
            s = dtype_struct_add(s, t->parts[i].name, inner, true, NULL);
    if (s && s->n_fields == 0 && t != &g->root) {
        dtype_unref(s);
        return NULL;
    }
    return s;
}

enum lc guess_schema(struct guess *g, const struct dtype **out, struct err *err)
{
    const char *corrupt = g->options->corrupt_name;
    struct record_node n = {.name = corrupt, .name_len = strlen(corrupt)};
    size_t hint = 0;
    struct part *p;

    if (g->corrupt && g->options->mode == JSON_PERMISSIVE && (p = part_of(g, &g->root, &n, &hint)) != NULL)
        join(p->type, STRING, 0, 0);
    *out = g->failed ? NULL : dtype_from(g, &g->root);
    if (!*out)
        return err_nomem(err);
    if (!g->twice)
        return LC_OK;
    dtype_unref(*out);
    *out = NULL;
    err_set(err, LC_ENGINE, "[COLUMN_ALREADY_EXISTS] The column `%.200s` already exists. SQLSTATE: 42711",
            g->twice);
    err_hint(err, "give the columns: spark.read:schema(\"…\"):json(…)");
    return LC_ENGINE;
}
