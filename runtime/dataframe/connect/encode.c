/* encode.c: Relation. */
#include "runtime/dataframe/connect/encode.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/connect/encode_int.h"
#include <string.h>

void encode_fail(struct encoder *e, enum lc code, const char *what)
{
    if (e->code != LC_OK)
        return;
    e->code = code;
    if (code == LC_NOMEM)
        err_nomem(e->err);
    else if (code == LC_LIMIT)
        err_set(e->err, code, "the plan is nested deeper than %d, which is what a Spark server reads",
                CONNECT_DEPTH);
    else
        err_set(e->err, code, "%s cannot be sent to Spark", what);
    if (code == LC_LIMIT)
        err_hint(e->err, "save what is there so far (df.write) and go on from that");
}

bool encode_enter(struct encoder *e)
{
    if (e->code != LC_OK)
        return false;
    if (++e->depth <= CONNECT_DEPTH)
        return true;
    e->depth--;
    encode_fail(e, LC_LIMIT, "");
    return false;
}

static void put_texts(struct encoder *e, unsigned field, char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pb_text(e->out, field, texts[i]);
}

static void put_options(struct encoder *e, unsigned field, const struct plan_options *o)
{
    for (size_t i = 0; i < o->n; i++)
        pb_pair(e->out, field, o->items[i].key, o->items[i].value);
}

static void put_input(struct encoder *e, const struct plan *p)
{
    encode_plan(e, 1, p->left);
}

/* ---- leaves ---- */
static void put_read_table(struct encoder *e, const struct plan *p)
{
    size_t mark = pb_begin(e->out, 1);
    char *name = encode_name(p->names, p->n_names);

    pb_text(e->out, 1, name);
    put_options(e, 2, &p->u.table.options);
    mem_free(name);
    pb_end(e->out, mark);
}

static void put_read_source(struct encoder *e, const struct plan *p)
{
    size_t mark = pb_begin(e->out, 2);

    pb_text(e->out, 1, p->u.source.format);
    if (p->u.source.schema) {
        char *json = dtype_json_text(p->u.source.schema);
        pb_text(e->out, 2, json);
        mem_free(json);
    }
    put_options(e, 3, &p->u.source.options);
    put_texts(e, 4, p->names, p->n_names);
    pb_end(e->out, mark);
}

static void put_scan(struct encoder *e, const struct plan *p)
{
    if (e->code == LC_OK)
        e->code = err_set(e->err, LC_UNSUPPORTED, "the local table '%s' cannot be read by the Spark server",
                          p->u.scan->table);
    err_hint(e->err, "names under Spark Connect belong to the server's catalog: collect the rows with the "
                     "embedded engine and pass "
                     "them to spark:createDataFrame");
}

static void put_range(struct encoder *e, const struct plan *p)
{
    pb_int(e->out, 1, p->u.range.start);
    pb_int(e->out, 2, p->u.range.end);
    pb_int(e->out, 3, p->u.range.step);
    if (p->u.range.partitions)
        pb_int(e->out, 4, p->u.range.partitions);
}

/* Rows of expressions: a union of projections of one row. */
static void put_row(struct encoder *e, const struct plan *p, size_t row)
{
    size_t mark = pb_begin(e->out, 3), columns = p->n_names;
    char name[32];

    for (size_t i = 0; i < columns; i++) {
        size_t x = pb_begin(e->out, 3), alias = pb_begin(e->out, 6);
        snprintf(name, sizeof name, "col%zu", i + 1);
        encode_expr(e, 1, p->exprs[row * columns + i]);
        pb_text(e->out, 2, p->names[i] ? p->names[i] : name);
        pb_end(e->out, alias);
        pb_end(e->out, x);
    }
    pb_end(e->out, mark);
}

static void put_rows(struct encoder *e, const struct plan *p, size_t from,
                     size_t to) /* the fields of a Relation */
{
    size_t middle = from + (to - from) / 2, mark, side;

    if (to - from == 1) {
        put_row(e, p, from);
        return;
    }
    mark = pb_begin(e->out, 6);
    side = pb_begin(e->out, 1);
    put_rows(e, p, from, middle);
    pb_end(e->out, side);
    side = pb_begin(e->out, 2);
    put_rows(e, p, middle, to);
    pb_end(e->out, side);
    pb_int(e->out, 3, 2);
    pb_int(e->out, 4, 1);
    pb_end(e->out, mark);
}

static void put_values(struct encoder *e, const struct plan *p)
{
    if (p->n_names == 0 || p->n_exprs == 0)
        encode_fail(e, LC_UNSUPPORTED, "a list of no values");
    else
        put_rows(e, p, 0, p->n_exprs / p->n_names);
}

static void put_local(struct encoder *e, const struct plan *p)
{
    enum lc rc;

    if (!e->env->local) {
        encode_fail(e, LC_UNSUPPORTED, "rows in memory");
        return;
    }
    rc = e->env->local(e->env->self, p, e->out, e->err);
    if (rc != LC_OK && e->code == LC_OK)
        e->code = rc;
}

static void put_encoded(struct encoder *e, const struct plan *p)
{
    buf_add(e->out, p->u.encoded.data, p->u.encoded.len);
}

/* ---- one input ---- */
static void put_project(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    encode_exprs(e, 3, p->exprs, p->n_exprs);
}

static void put_filter(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    encode_exprs(e, 2, p->exprs, p->n_exprs);
}

static void put_sort(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    for (size_t i = 0; i < p->n_exprs; i++)
        encode_sort(e, 2, p->exprs[i]);
    pb_int(e->out, 3, p->u.sort.global);
}

static void put_count(struct encoder *e, const struct plan *p) /* limit, offset, tail, repartition */
{
    put_input(e, p);
    pb_int(e->out, 2, p->u.count > INT32_MAX ? INT32_MAX : p->u.count);
    if (p->kind == PLAN_REPARTITION)
        pb_int(e->out, 3, 1);
}

static bool same_column(const struct expr *a, const struct expr *b)
{
    bool names = a->kind == EXPR_ATTRIBUTE && b->kind == EXPR_ATTRIBUTE &&
                 a->u.name.n_parts == b->u.name.n_parts && a->u.name.plan_id == b->u.name.plan_id;

    for (size_t i = 0; names && i < a->u.name.n_parts; i++)
        names = strcmp(a->u.name.parts[i], b->u.name.parts[i]) == 0;
    return a == b || names;
}

/* Spark puts the groups in front of the aggregates by itself: the plan's columns begin with them. */
static size_t groups_in_front(const struct plan *p)
{
    size_t n = p->u.aggregate.n_groups;

    if (n > p->n_exprs)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (!same_column(p->exprs[i], p->u.aggregate.groups[i]))
            return 0;
    return n;
}

static bool one_whole_set(const struct plan *p) /* which is what groupBy is */
{
    return p->u.aggregate.n_sets == 1 &&
           p->u.aggregate.sets[0] == (UINT32_C(1) << p->u.aggregate.n_groups) - 1;
}

static void put_aggregate(struct encoder *e, const struct plan *p)
{
    static const unsigned char types[] = {
        [GROUP_BY] = 1, [GROUP_ROLLUP] = 2, [GROUP_CUBE] = 3, [GROUP_SETS] = 5};
    size_t front = groups_in_front(p);
    bool sets = p->u.aggregate.kind == GROUP_SETS && !one_whole_set(p);

    if (front < p->u.aggregate.n_groups)
        encode_fail(e, LC_UNSUPPORTED, "an aggregation whose columns do not begin with its groups");
    put_input(e, p);
    pb_int(e->out, 2, p->u.aggregate.kind == GROUP_SETS && !sets ? 1 : types[p->u.aggregate.kind]);
    encode_exprs(e, 3, p->u.aggregate.groups, p->u.aggregate.n_groups);
    encode_exprs(e, 4, p->exprs + front, p->n_exprs - front);
    for (size_t i = 0; sets && i < p->u.aggregate.n_sets; i++) {
        size_t mark = pb_begin(e->out, 6);
        for (size_t g = 0; g < p->u.aggregate.n_groups; g++)
            if (p->u.aggregate.sets[i] & UINT32_C(1) << g)
                encode_expr(e, 1, p->u.aggregate.groups[g]);
        pb_end(e->out, mark);
    }
}

static void put_deduplicate(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    put_texts(e, 2, p->names, p->n_names);
    if (p->n_names == 0)
        pb_int(e->out, 3, 1);
}

static void put_sample(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    pb_double(e->out, 2, p->u.sample.lower);
    pb_double(e->out, 3, p->u.sample.upper);
    pb_int(e->out, 4, p->u.sample.replacement);
    pb_int(e->out, 5, p->u.sample.seed);
    pb_int(e->out, 6, !p->u.sample.replacement); /* the parts of randomSplit must not overlap */
}

static void put_plan_alias(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    if (p->n_names == 0)
        return;
    pb_text(e->out, 2, p->names[p->n_names - 1]);
    put_texts(e, 3, p->names, p->n_names - 1);
}

static void put_to_df(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    put_texts(e, 2, p->names, p->n_names);
}

static void put_with_columns(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    for (size_t i = 0; i < p->n_exprs; i++)
        encode_alias(e, 2, p->exprs[i]);
}

static void put_rename(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    for (size_t i = 0; i + 1 < p->n_names; i += 2)
        pb_pair(e->out, 3, p->names[i], p->names[i + 1]);
}

static void put_drop(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    for (size_t i = 0; i < p->n_exprs; i++) { /* a name alone is a whole name, dots and all */
        const struct expr *x = p->exprs[i];
        if (x->kind == EXPR_ATTRIBUTE && x->u.name.n_parts == 1 && !x->u.name.plan_id)
            pb_text(e->out, 3, x->u.name.parts[0]);
        else
            encode_expr(e, 2, x);
    }
}

static void put_na_fill(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    put_texts(e, 2, p->names, p->n_names);
    for (size_t i = 0; i < p->n_exprs; i++)
        encode_literal(e, 3, p->exprs[i]);
}

static void put_na_drop(struct encoder *e, const struct plan *p)
{
    put_input(e, p);
    put_texts(e, 2, p->names, p->n_names);
    if (p->u.na.min_non_nulls)
        pb_int(e->out, 3, p->u.na.min_non_nulls);
}

/* ---- two inputs ---- */
static void put_join(struct encoder *e, const struct plan *p)
{
    static const unsigned char types[] = {
        [JOIN_INNER] = 1, [JOIN_FULL] = 2, [JOIN_LEFT] = 3, [JOIN_RIGHT] = 4,
        [JOIN_ANTI] = 5,  [JOIN_SEMI] = 6, [JOIN_CROSS] = 7};

    encode_plan(e, 1, p->left);
    encode_plan(e, 2, p->right);
    if (p->n_exprs)
        encode_expr(e, 3, p->exprs[0]);
    pb_int(e->out, 4, types[p->u.join.kind]);
    put_texts(e, 5, p->names, p->n_names);
}

/* A message of its own; the server binds the names of the right side. */
static void put_lateral_join(struct encoder *e, const struct plan *p)
{
    enum { RELATION_LATERAL_JOIN = 44 };
    size_t mark = pb_begin(e->out, RELATION_LATERAL_JOIN);

    put_join(e, p);
    pb_end(e->out, mark);
}

static void put_set_op(struct encoder *e, const struct plan *p)
{
    static const unsigned char types[] = {[SET_INTERSECT] = 1, [SET_UNION] = 2, [SET_EXCEPT] = 3};

    encode_plan(e, 1, p->left);
    encode_plan(e, 2, p->right);
    pb_int(e->out, 3, types[p->u.set_op.op]);
    pb_int(e->out, 4, p->u.set_op.all);
    pb_int(e->out, 5, p->u.set_op.by_name);
    if (p->u.set_op.by_name)
        pb_int(e->out, 6, p->u.set_op.allow_missing);
}

/* ---- all of them: field of Relation, its content. Field 0: the function writes Relation's fields itself ---- */
static const struct {
    unsigned field;
    void (*put)(struct encoder *e, const struct plan *p);
} kinds[PLAN_KIND_COUNT] = {[PLAN_READ_TABLE] = {2, put_read_table},
                            [PLAN_READ_SOURCE] = {2, put_read_source},
                            [PLAN_SCAN] = {2, put_scan},
                            [PLAN_LOCAL] = {0, put_local},
                            [PLAN_VALUES] = {0, put_values},
                            [PLAN_RANGE] = {15, put_range},
                            [PLAN_PROJECT] = {3, put_project},
                            [PLAN_FILTER] = {4, put_filter},
                            [PLAN_JOIN] = {5, put_join},
                            [PLAN_SET_OP] = {6, put_set_op},
                            [PLAN_SORT] = {7, put_sort},
                            [PLAN_LIMIT] = {8, put_count},
                            [PLAN_OFFSET] = {13, put_count},
                            [PLAN_TAIL] = {22, put_count},
                            [PLAN_AGGREGATE] = {9, put_aggregate},
                            [PLAN_DEDUPLICATE] = {14, put_deduplicate},
                            [PLAN_SAMPLE] = {12, put_sample},
                            [PLAN_ALIAS] = {16, put_plan_alias},
                            [PLAN_REPARTITION] = {17, put_count},
                            [PLAN_TO_DF] = {18, put_to_df},
                            [PLAN_WITH_COLUMNS] = {23, put_with_columns},
                            [PLAN_RENAME] = {19, put_rename},
                            [PLAN_DROP] = {21, put_drop},
                            [PLAN_NA_FILL] = {90, put_na_fill},
                            [PLAN_NA_DROP] = {91, put_na_drop},
                            [PLAN_ENCODED] = {0, put_encoded}};

/* its fields */
static void encode_relation(struct encoder *e, const struct plan *p)
{
    size_t mark = 0, common;

    if ((size_t)p->kind >= PLAN_KIND_COUNT || !kinds[p->kind].put) {
        encode_fail(e, LC_UNSUPPORTED, "a relation of this kind");
        return;
    }
    if (p->kind == PLAN_JOIN && p->u.join.lateral) {
        put_lateral_join(e, p);
    } else {
        if (kinds[p->kind].field)
            mark = pb_begin(e->out, kinds[p->kind].field);
        kinds[p->kind].put(e, p);
        if (kinds[p->kind].field)
            pb_end(e->out, mark);
    }
    common = pb_begin(e->out, 1); /* last, so that it replaces the one of an encoded relation */
    pb_int(e->out, 2, p->id);
    pb_end(e->out, common);
}

void encode_plan(struct encoder *e, unsigned field, const struct plan *p)
{
    size_t mark;

    if (!p || !encode_enter(e))
        return;
    mark = pb_begin(e->out, field);
    encode_relation(e, p);
    pb_end(e->out, mark);
    e->depth--;
}

static enum lc finish(struct encoder *e)
{
    mem_free(e->subqueries);
    return e->code != LC_OK ? e->code : buf_check(e->out, e->err);
}

/* With subqueries: a WithRelations of the plan and theirs. */
static void wrap(struct encoder *e, size_t start)
{
    struct buf root = BUF_INIT(CONNECT_MESSAGE_MAX);
    size_t mark;

    buf_add(&root, e->out->data + start, e->out->len - start);
    e->out->len = start;
    mark = pb_begin(e->out, 41);
    pb_bytes(e->out, 1, root.data, root.len);
    for (size_t i = 0; i < e->n_subqueries; i++) /* the list grows while subqueries have subqueries */
        encode_plan(e, 2, e->subqueries[i]->u.subquery.plan);
    pb_end(e->out, mark);
    if (!buf_ok(&root))
        encode_fail(e, LC_NOMEM, "");
    buf_release(&root);
}

enum lc connect_relation(const struct connect_env *env, const struct plan *p, struct buf *out,
                         struct err *err)
{
    struct encoder e = {.env = env, .out = out, .err = err};
    size_t start = out->len;

    encode_relation(&e, p);
    if (e.n_subqueries && e.code == LC_OK && buf_ok(out))
        wrap(&e, start);
    return finish(&e);
}

enum lc connect_expression(const struct connect_env *env, const struct expr *x, struct buf *out,
                           struct err *err)
{
    struct encoder e = {.env = env, .out = out, .err = err};
    struct buf whole = BUF_INIT(CONNECT_MESSAGE_MAX);
    struct pb_field f;

    e.out = &whole;
    encode_expr(&e, 1, x);
    if (e.n_subqueries)
        encode_fail(&e, LC_UNSUPPORTED, "a subquery in a parameter");
    if (buf_ok(&whole) && pb_find(pb_open(whole.data, whole.len), 1, &f))
        buf_add(out, f.data, f.len);
    buf_release(&whole);
    e.out = out;
    return finish(&e);
}
