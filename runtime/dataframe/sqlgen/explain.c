/* explain.c: a plan as Spark prints it. The plan is encoded once more, with every column's name followed by its number (id#3L);
 * each relation leaves a line about itself, and the lines are drawn as a tree. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { TEXT_MAX = 16 << 20, LONG_LIST = 25 /* spark.sql.debug.maxToStringFields */ };

struct explained { /* one relation; in the arena */
    const struct plan *p;
    const struct col *cols; /* what it gives */
    size_t n;
    struct explained **inputs;
    size_t n_inputs;
    const char *note, *note2; /* what the encoder said: a condition, an order, keys */
    int number;
};

/* ---- names with numbers ---- */
const char *explain_name(struct gen *g, const char *name, const struct col *c)
{
    return g->explaining ? gen_printf(g, "%s#%d%s", name, c->uid, c->type->id == DTYPE_LONG ? "L" : "")
                         : name;
}

/* The name behind explain_name, also inside of an expression. */
const char *explain_plain(struct gen *g, const char *name)
{
    char *plain = g->explaining && name ? arena_strdup(g->arena, name) : NULL, *to = plain;

    if (!plain)
        return name;
    for (const char *s = plain; *s;) {
        const char *end = s + 1;

        while (*s == '#' && isdigit((unsigned char)*end))
            end++;
        if (*s == '#' && end > s + 1) {
            s = end + (*end == 'L');
        } else if (*s == '\1') { /* a remark, up to \2 */
            s = strchr(s, '\2');
            s = s ? s + 1 : "";
        } else {
            *to++ = *s++;
        }
    }
    *to = '\0';
    return plain;
}

/* ---- gathering ---- */
void explain_note(struct gen *g, const char *first, const char *second)
{
    if (!g->explaining)
        return;
    g->note = first ? first : g->note;
    g->note2 = second ? second : g->note2;
}

enum lc explain_relation(struct gen *g, const struct plan *p, const struct rel *r, size_t first)
{
    struct explained *e = arena_zalloc(g->arena, sizeof *e);
    size_t n = g->n_explained - first;

    if (!e || !(e->inputs = arena_alloc(g->arena, (n + 1) * sizeof *e->inputs)))
        return err_nomem(g->err);
    e->p = p;
    e->cols = cols_copy(g, r->cols, r->n, 0);
    e->n = r->n;
    e->n_inputs = n;
    e->note = g->note;
    e->note2 = g->note2;
    g->note = g->note2 = NULL;
    if (n)
        memcpy(e->inputs, g->explained + first, n * sizeof *e->inputs);
    g->n_explained = first;
    if (g->n_explained == g->cap_explained) {
        size_t cap = g->cap_explained ? 2 * g->cap_explained : 16;
        struct explained **grown = arena_alloc(g->arena, cap * sizeof *grown);

        if (!grown)
            return err_nomem(g->err);
        if (g->n_explained)
            memcpy(grown, g->explained, g->n_explained * sizeof(struct explained *));
        g->explained = grown;
        g->cap_explained = cap;
    }
    g->explained[g->n_explained++] = e;
    return e->cols ? LC_OK : err_nomem(g->err);
}

/* The keys of a group, and the aggregates that are computed for it. */
void explain_aggregate(struct gen *g, const struct plan *p, const struct scope *s)
{
    struct buf keys = BUF_INIT(TEXT_MAX), calls_made = BUF_INIT(TEXT_MAX);

    if (!g->explaining)
        return;
    for (size_t i = 0; i < s->n_groups; i++)
        buf_printf(&keys, "%s%s", i ? ", " : "",
                   s->groups[i].col ? explain_name(g, s->groups[i].col->name, s->groups[i].col)
                                    : s->groups[i].name);
    for (size_t i = 0; i < p->n_exprs; i++) {
        const struct expr *e = p->exprs[i]->kind == EXPR_ALIAS ? p->exprs[i]->args[0] : p->exprs[i];
        struct sx x;

        if (expr_has_aggregate(e) && sx_expr(g, s, e, &x) == LC_OK)
            buf_printf(&calls_made, "%s%s", calls_made.len ? ", " : "", x.name);
    }
    explain_note(g, gen_take(g, &keys), gen_take(g, &calls_made));
}

/* The pairs of columns that a join compares: "[a#0], [b#3]"; NULL: it does something else, too. */
static bool join_pairs(struct gen *g, const struct expr *e, const struct scope *s, size_t n_left,
                       struct buf *l, struct buf *r)
{
    struct sx a, b;

    if (e->kind != EXPR_CALL || e->n != 2)
        return false;
    if (strcmp(e->u.call.name, "and") == 0)
        return join_pairs(g, e->args[0], s, n_left, l, r) && join_pairs(g, e->args[1], s, n_left, l, r);
    if (strcmp(e->u.call.name, "==") != 0 || sx_expr(g, s, e->args[0], &a) != LC_OK ||
        sx_expr(g, s, e->args[1], &b) != LC_OK || !a.col || !b.col)
        return false;
    bool swapped = (size_t)(a.col - s->cols) >= n_left;
    if (swapped == ((size_t)(b.col - s->cols) >= n_left))
        return false;
    buf_printf(l, "%s%s", l->len ? ", " : "", swapped ? b.name : a.name);
    buf_printf(r, "%s%s", r->len ? ", " : "", swapped ? a.name : b.name);
    return true;
}

void explain_join(struct gen *g, const struct plan *p, const struct scope *s, size_t n_left)
{
    struct buf l = BUF_INIT(TEXT_MAX), r = BUF_INIT(TEXT_MAX), all = BUF_INIT(TEXT_MAX);
    bool pairs = p->n_names || (p->n_exprs && g->explaining && join_pairs(g, p->exprs[0], s, n_left, &l, &r));

    for (size_t i = 0; g->explaining && i < p->n_names; i++) {
        struct rel left = {.cols = (struct col *)(uintptr_t)s->cols, .n = n_left},
                   right = {.cols = (struct col *)(uintptr_t)s->cols + n_left, .n = s->n - n_left};
        size_t a, b;

        if (sx_column_of(g, &left, p->names[i], &a) != LC_OK ||
            sx_column_of(g, &right, p->names[i], &b) != LC_OK)
            continue;
        const char *x = explain_name(g, left.cols[a].name, &left.cols[a]),
                   *y = explain_name(g, right.cols[b].name, &right.cols[b]);
        buf_printf(&l, "%s%s", l.len ? ", " : "", x);
        buf_printf(&r, "%s%s", r.len ? ", " : "", y);
        buf_printf(&all, "%s(%s = %s)", all.len ? " AND " : "", x, y);
    }
    if (g->explaining)
        explain_note(g, all.len ? gen_take(g, &all) : NULL,
                     pairs ? gen_printf(g, "[%s], [%s]", buf_str(&l), buf_str(&r)) : NULL);
    buf_release(&l);
    buf_release(&r);
    buf_release(&all);
}

/* ---- lists ---- */
struct list {
    struct buf b;
    size_t n, limit;
};

static void put_item(struct list *l, const char *text)
{
    if (l->n++ < l->limit)
        buf_printf(&l->b, "%s%s", l->n > 1 ? ", " : "", text ? text : "");
}

static const char *take_list(struct gen *g, struct list *l)
{
    if (l->n > l->limit)
        buf_printf(&l->b, ", ... %zu more fields", l->n - l->limit);
    return gen_take(g, &l->b);
}

static const char *id_of(struct gen *g, const struct col *c)
{
    return explain_name(g, c->name, c);
}

static const char *output(struct gen *g, const struct explained *e)
{
    struct list l = {.b = BUF_INIT(TEXT_MAX), .limit = LONG_LIST};

    for (size_t i = 0; i < e->n; i++)
        if (!e->cols[i].hidden)
            put_item(&l, id_of(g, &e->cols[i]));
    return take_list(g, &l);
}

static const struct col *same_below(const struct explained *e, const struct col *c)
{
    for (size_t k = 0; k < e->n_inputs; k++)
        for (size_t i = 0; i < e->inputs[k]->n; i++)
            if (e->inputs[k]->cols[i].uid == c->uid)
                return &e->inputs[k]->cols[i];
    return NULL;
}

static const char *column_text(struct gen *g, const struct explained *e, const struct col *c)
{
    const struct col *below = same_below(e, c);
    const char *id = id_of(g, c);

    if (below && strcmp(below->name, c->name) == 0)
        return id;
    if (below || c->made)
        return gen_printf(g, "%s AS %s", below ? id_of(g, below) : c->made, id);
    return id;
}

enum which { ALL, WINDOWS, PLAIN };

static bool is_window(const struct col *c)
{
    return c->made && strstr(c->made, " OVER (");
}

static const char *select_list(struct gen *g, const struct explained *e, enum which which)
{
    struct list l = {.b = BUF_INIT(TEXT_MAX), .limit = LONG_LIST};

    for (size_t i = 0; i < e->n; i++) {
        const struct col *c = &e->cols[i];
        bool window = is_window(c) && !same_below(e, c);

        if (c->hidden || (which == WINDOWS && !window))
            continue;
        put_item(&l, which == PLAIN && window ? id_of(g, c) : column_text(g, e, c));
    }
    return take_list(g, &l);
}

static const char *only_new(struct gen *g, const struct explained *e)
{
    struct list l = {.b = BUF_INIT(TEXT_MAX), .limit = LONG_LIST};

    for (size_t i = 0; i < e->n; i++)
        if (!same_below(e, &e->cols[i]) && !(e->cols[i].made && strchr(e->cols[i].made, '\1')))
            put_item(&l, id_of(g, &e->cols[i]));
    return take_list(g, &l);
}

static bool any_window(const struct explained *e)
{
    for (size_t i = 0; i < e->n; i++)
        if (is_window(&e->cols[i]) && !same_below(e, &e->cols[i]))
            return true;
    return false;
}

static bool calls(const struct expr *x, const char *name)
{
    if (x->kind == EXPR_CALL && strcmp(x->u.call.name, name) == 0)
        return true;
    for (size_t i = 0; i < x->n; i++)
        if (calls(x->args[i], name))
            return true;
    return false;
}

static bool plan_calls(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_exprs; i++)
        if (calls(p->exprs[i], name))
            return true;
    return false;
}

static const struct expr *generator_of(const struct plan *p)
{
    for (size_t i = 0; i < p->n_exprs; i++) {
        const struct expr *x = p->exprs[i]->kind == EXPR_ALIAS ? p->exprs[i]->args[0] : p->exprs[i];
        const struct function *f = x->kind == EXPR_CALL ? function_find(x->u.call.name, x->n) : NULL;

        if (f && f->kind == FUNCTION_GENERATOR)
            return x;
    }
    return NULL;
}

/* ---- lines ---- */
static const char *read_schema(struct gen *g, const struct explained *e)
{
    struct buf b = BUF_INIT(TEXT_MAX);

    buf_puts(&b, "struct<");
    for (size_t i = 0; i < e->n && i < LONG_LIST; i++) {
        buf_printf(&b, "%s%s:", i ? "," : "", e->cols[i].name);
        dtype_simple(e->cols[i].type, &b);
    }
    if (e->n > LONG_LIST)
        buf_printf(&b, ",... %zu more fields", e->n - LONG_LIST);
    buf_putc(&b, '>');
    return gen_take(g, &b);
}

static const char *file_scan(struct gen *g, const struct explained *e)
{
    const struct plan *p = e->p;
    bool table = p->kind == PLAN_SCAN;
    const char *format = table ? "parquet" : p->u.source.format;
    size_t n = table ? p->u.scan->n_files : p->n_names;
    const char *first = !n ? "" : table ? p->u.scan->files[0].path : p->names[0];

    return gen_printf(g,
                      "%s %s[%s] Batched: %s, Format: %s%s, Location: %s(%zu paths)[%s%s%s], ReadSchema: %s",
                      format, table && p->u.scan->table ? p->u.scan->table : "", output(g, e),
                      strcmp(format, "parquet") == 0 ? "true" : "false",
                      table && p->u.scan->version >= 0 ? "Delta over " : "", format,
                      table && p->u.scan->version >= 0 ? "PreparedDeltaFileIndex" : "InMemoryFileIndex", n,
                      strchr(first, ':') ? "" : "file:", first, n > 1 ? ", ..." : "", read_schema(g, e));
}

struct line {
    const char *name, *args;
};

static struct line set_line(struct gen *g, const struct explained *e, bool logical)
{
    bool all = e->p->u.set_op.all;

    (void)g;
    switch (e->p->u.set_op.op) {
    case SET_UNION:
        return (struct line){all ? "Union" : "Union distinct", logical ? "false, false" : ""};
    case SET_INTERSECT:
        return (struct line){all ? "Intersect All" : "Intersect", logical ? (all ? "true" : "false") : ""};
    default:
        return (struct line){all ? "Except All" : "Except", logical ? (all ? "true" : "false") : ""};
    }
}

static struct line join_line(struct gen *g, const struct explained *e, bool logical)
{
    static const char *const words[] = {
        [JOIN_INNER] = "Inner",      [JOIN_FULL] = "FullOuter", [JOIN_LEFT] = "LeftOuter",
        [JOIN_RIGHT] = "RightOuter", [JOIN_SEMI] = "LeftSemi",  [JOIN_ANTI] = "LeftAnti",
        [JOIN_CROSS] = "Cross"};
    const char *kind = words[e->p->u.join.kind];

    if (logical)
        return (struct line){"Join",
                             gen_printf(g, "%s%s%s", kind, e->note ? ", " : "", e->note ? e->note : "")};
    if (e->note2)
        return (struct line){"BroadcastHashJoin", gen_printf(g, "%s, %s, BuildRight, false", e->note2, kind)};
    if (!e->note)
        return (struct line){"CartesianProduct", ""};
    return (struct line){"BroadcastNestedLoopJoin", gen_printf(g, "BuildRight, %s, %s", kind, e->note)};
}

static struct line aggregate_line(struct gen *g, const struct explained *e, bool logical)
{
    const char *keys = e->note ? e->note : "";

    if (logical)
        return (struct line){"Aggregate", gen_printf(g, "[%s], [%s]", keys, select_list(g, e, ALL))};
    return (struct line){"HashAggregate",
                         gen_printf(g, "(keys=[%s], functions=[%s])", keys, e->note2 ? e->note2 : "")};
}

static struct line distinct_line(struct gen *g, const struct explained *e, bool logical)
{
    const char *keys = e->note ? e->note : output(g, e);

    if (logical)
        return e->note ? (struct line){"Deduplicate", gen_printf(g, "[%s]", keys)}
                       : (struct line){"Distinct", ""};
    return (struct line){"HashAggregate", gen_printf(g, "(keys=[%s], functions=[])", keys)};
}

static struct line leaf_line(struct gen *g, const struct explained *e, bool logical)
{
    const struct plan *p = e->p;

    switch (p->kind) {
    case PLAN_RANGE:
        return (struct line){"Range", gen_printf(g, "(%" PRId64 ", %" PRId64 ", step=%" PRId64 ")%s%s%s",
                                                 p->u.range.start, p->u.range.end, p->u.range.step,
                                                 logical ? " [" : "", logical ? output(g, e) : "",
                                                 logical ? "]" : "")};
    case PLAN_LOCAL:
    case PLAN_VALUES:
        return (struct line){logical ? "LocalRelation" : "LocalTableScan",
                             gen_printf(g, "[%s]", output(g, e))};
    default:
        if (logical)
            return (struct line){"Relation",
                                 gen_printf(g, "[%s] %s", output(g, e),
                                            p->kind == PLAN_SCAN ? "parquet" : p->u.source.format)};
        return (struct line){"FileScan", file_scan(g, e)};
    }
}

static struct line count_line(struct gen *g, const struct explained *e, bool logical)
{
    const struct plan *p = e->p;

    switch (p->kind) {
    case PLAN_LIMIT:
        return (struct line){logical ? "GlobalLimit" : "CollectLimit", gen_printf(g, "%" PRId64, p->u.count)};
    case PLAN_OFFSET:
        return (struct line){logical ? "Offset" : "GlobalOffset", gen_printf(g, "%" PRId64, p->u.count)};
    case PLAN_TAIL:
        return (struct line){logical ? "Tail" : "CollectTail", gen_printf(g, "%" PRId64, p->u.count)};
    case PLAN_REPARTITION:
        if (logical)
            return (struct line){"Repartition", gen_printf(g, "%" PRId64 ", true", p->u.count)};
        return (struct line){
            "Exchange", gen_printf(g, "RoundRobinPartitioning(%" PRId64 "), REPARTITION_BY_NUM", p->u.count)};
    default:
        return (struct line){"Sample",
                             gen_printf(g, "%g, %g, %s, %" PRId64, p->u.sample.lower, p->u.sample.upper,
                                        p->u.sample.replacement ? "true" : "false", p->u.sample.seed)};
    }
}

static struct line project_line(struct gen *g, const struct explained *e)
{
    const struct expr *generator = generator_of(e->p);

    if (generator)
        return (struct line){"Generate",
                             gen_printf(g, "%s, false, [%s]", generator->u.call.name, only_new(g, e))};
    return (struct line){"Project", gen_printf(g, "[%s]", select_list(g, e, ALL))};
}

static struct line line_of(struct gen *g, const struct explained *e, bool logical)
{
    const struct plan *p = e->p;

    switch (p->kind) {
    case PLAN_FILTER:
        return (struct line){"Filter", e->note ? e->note : ""};
    case PLAN_NA_DROP:
        return (struct line){"Filter",
                             gen_printf(g, "atleastnnonnulls(%" PRId64 ", %s)",
                                        p->u.na.min_non_nulls ? p->u.na.min_non_nulls
                                                              : (int64_t)(p->n_names ? p->n_names : e->n),
                                        output(g, e))};
    case PLAN_JOIN:
        return join_line(g, e, logical);
    case PLAN_SET_OP:
        return set_line(g, e, logical);
    case PLAN_SORT:
        return (struct line){"Sort", gen_printf(g, "[%s], %s%s", e->note ? e->note : "",
                                                p->u.sort.global ? "true" : "false", logical ? "" : ", 0")};
    case PLAN_AGGREGATE:
        return aggregate_line(g, e, logical);
    case PLAN_DEDUPLICATE:
        return distinct_line(g, e, logical);
    case PLAN_ALIAS:
        return (struct line){"SubqueryAlias", p->n_names ? p->names[p->n_names - 1] : ""};
    case PLAN_LIMIT:
    case PLAN_OFFSET:
    case PLAN_TAIL:
    case PLAN_REPARTITION:
    case PLAN_SAMPLE:
        return count_line(g, e, logical);
    default:
        if (e->n_inputs || p->kind == PLAN_PROJECT)
            return e->note2 ? aggregate_line(g, e, logical) : project_line(g, e);
        return leaf_line(g, e, logical);
    }
}

/* ---- the tree ---- */
struct drawing {
    struct gen *g;
    struct buf *out;
    bool logical, formatted, short_form;
    int next;
    char prefix[4096];
};

static void put_text(struct buf *out, const char *s) /* without the marks around remarks */
{
    for (; *s; s++)
        if (*s != '\1' && *s != '\2')
            buf_putc(out, *s);
}

static void put_line(struct drawing *d, struct line line, int number)
{
    buf_puts(d->out, d->prefix);
    buf_puts(d->out, line.name);
    if (d->formatted) {
        buf_printf(d->out, " (%d)\n", number);
        return;
    }
    if (line.args && *line.args && strncmp(line.args, "(keys=", 6) != 0 &&
        strncmp(line.args, "(limit=", 7) != 0)
        buf_putc(d->out, ' ');
    put_text(d->out, line.args ? line.args : "");
    buf_putc(d->out, '\n');
}

/* What stands below goes one level in; gives what restore needs. */
static size_t indent(struct drawing *d, bool more, char last3[4])
{
    size_t len = strlen(d->prefix);

    if (len >= 3)
        memcpy(last3, d->prefix + len - 3, 3);
    if (len + 4 >= sizeof d->prefix)
        return len;
    if (len >= 3)
        memcpy(d->prefix + len - 3, d->prefix[len - 3] == ':' ? ":  " : "   ", 3);
    memcpy(d->prefix + len, more ? ":- " : "+- ", 4);
    return len;
}

static void restore(struct drawing *d, size_t len, const char *last3)
{
    d->prefix[len] = '\0';
    if (len >= 3)
        memcpy(d->prefix + len - 3, last3, 3);
}

static void draw(struct drawing *d, struct explained *e);

static void draw_below(struct drawing *d, struct explained *e, bool more)
{
    char last3[4] = {0};
    size_t len = indent(d, more, last3);

    draw(d, e);
    restore(d, len, last3);
}

/* Steps that change no rows are no steps of their own: names, and what is computed over rows that are in memory. */
static bool is_local(const struct explained *e)
{
    if (e->p->kind == PLAN_LOCAL || e->p->kind == PLAN_VALUES)
        return true;
    return e->n_inputs == 1 &&
           (e->p->kind == PLAN_PROJECT || e->p->kind == PLAN_TO_DF || e->p->kind == PLAN_ALIAS) &&
           !e->note2 && !generator_of(e->p) && !any_window(e) && !plan_calls(e->p, "lua_udf") &&
           !plan_calls(e->p, "lua_expression") && is_local(e->inputs[0]);
}

static bool invisible(const struct drawing *d, const struct explained *e)
{
    return !d->logical && e->p->kind == PLAN_ALIAS && e->n_inputs == 1;
}

static bool is_top(const struct drawing *d, const struct explained *e) /* ORDER BY … LIMIT n is one step */
{
    return !d->logical && e->p->kind == PLAN_LIMIT && e->inputs[0]->p->kind == PLAN_SORT;
}

/* What is drawn for e, and what stands below it. */
static struct line step(const struct drawing *d, const struct explained *e, struct explained *const **inputs,
                        size_t *n)
{
    static struct explained *const none[1];

    *inputs = e->inputs;
    *n = e->n_inputs;
    if (d->short_form && is_local(e)) {
        *inputs = none;
        *n = 0;
        return (struct line){d->logical ? "LocalRelation" : "LocalTableScan",
                             gen_printf(d->g, "[%s]", output(d->g, e))};
    }
    if (is_top(d, e)) {
        const struct explained *sort = e->inputs[0];

        *inputs = sort->inputs;
        *n = sort->n_inputs;
        return (struct line){"TakeOrderedAndProject",
                             gen_printf(d->g, "(limit=%" PRId64 ", orderBy=[%s], output=[%s])", e->p->u.count,
                                        sort->note ? sort->note : "", output(d->g, e))};
    }
    return line_of(d->g, e, d->logical);
}

static void number(struct drawing *d, struct explained *e)
{
    struct explained *const *inputs;
    size_t n;

    step(d, e, &inputs, &n);
    for (size_t i = 0; i < n; i++)
        number(d, inputs[i]);
    if (!invisible(d, e))
        e->number = ++d->next;
}

static void draw_inputs(struct drawing *d, const struct explained *e, struct explained *const *inputs,
                        size_t n)
{
    size_t own = n ? (size_t)(e->p->left != NULL) + (e->p->right != NULL) : 0;

    for (size_t i = own; i < n; i++) { /* of subqueries in its expressions */
        char last3[4] = {0};
        size_t len = indent(d, true, last3);

        put_line(d, (struct line){"Subquery", ""}, 0);
        draw_below(d, inputs[i], false);
        restore(d, len, last3);
    }
    for (size_t i = 0; i < own && i < n; i++)
        draw_below(d, inputs[i], i + 1 < own);
}

/* What Spark has a step of its own for, and what here is part of the step above. */
static struct line inner_step(struct drawing *d, const struct explained *e)
{
    if (any_window(e))
        return (struct line){"Window", gen_printf(d->g, "[%s]", select_list(d->g, e, WINDOWS))};
    if (plan_calls(e->p, "lua_udf"))
        return (struct line){"BatchEvalLua",
                             gen_printf(d->g, "[%s], row by row in states of Lua, one per thread",
                                        e->p->kind == PLAN_FILTER ? e->note : only_new(d->g, e))};
    return (struct line){0};
}

static void draw(struct drawing *d, struct explained *e)
{
    struct explained *const *inputs;
    struct line line, inner;
    char last3[4] = {0};
    size_t n, len;

    while (invisible(d, e))
        e = e->inputs[0];
    line = step(d, e, &inputs, &n);
    inner = d->logical || d->formatted ? (struct line){0} : inner_step(d, e);
    if (inner.name && any_window(e)) /* they are computed below */
        line.args = gen_printf(d->g, "[%s]", select_list(d->g, e, PLAIN));
    put_line(d, line, e->number);
    if (d->logical && e->p->kind == PLAN_LIMIT)
        inner = (struct line){"LocalLimit", line.args};
    if (!inner.name) {
        draw_inputs(d, e, inputs, n);
        return;
    }
    len = indent(d, false, last3);
    put_line(d, inner, 0);
    draw_inputs(d, e, inputs, n);
    restore(d, len, last3);
}

static void put_details(struct drawing *d, const struct explained *e)
{
    struct explained *const *inputs;
    struct line line;
    size_t n;

    line = step(d, e, &inputs, &n);
    for (size_t i = 0; i < n; i++)
        put_details(d, inputs[i]);
    if (invisible(d, e))
        return;
    buf_printf(d->out, "\n(%d) %s\nOutput [%zu]: [%s]\n", e->number, line.name, e->n, output(d->g, e));
    for (size_t i = 0; i < n; i++)
        buf_printf(d->out, "%s [%zu]: [%s]\n", n > 1 ? (i ? "Right input" : "Left input") : "Input",
                   inputs[i]->n, output(d->g, inputs[i]));
    if (line.args && *line.args) {
        buf_puts(d->out, e->p->kind == PLAN_FILTER ? "Condition : " : "Arguments: ");
        put_text(d->out, line.args);
        buf_putc(d->out, '\n');
    }
}

static int64_t bytes_of(const struct explained *e)
{
    int64_t sum = 0;

    for (size_t i = 0; i < e->n_inputs; i++)
        sum += bytes_of(e->inputs[i]);
    for (size_t i = 0; e->p->kind == PLAN_SCAN && i < e->p->u.scan->n_files; i++)
        sum += e->p->u.scan->files[i].size > 0 ? e->p->u.scan->files[i].size : 0;
    if (e->p->kind == PLAN_RANGE && e->p->u.range.step)
        sum += (e->p->u.range.end - e->p->u.range.start) / e->p->u.range.step * 8;
    return sum < 0 ? 0 : sum;
}

static void tree(struct gen *g, const char *title, struct explained *top, bool logical, bool formatted,
                 struct buf *out)
{
    struct drawing d = {.g = g,
                        .out = out,
                        .logical = logical,
                        .formatted = formatted,
                        .short_form = !logical || strncmp(title, "Opt", 3) == 0};

    buf_printf(out, "== %s ==\n", title);
    if (strcmp(title, "Analyzed Logical Plan") == 0) {
        for (size_t i = 0, n = 0; i < top->n; i++)
            if (!top->cols[i].hidden) {
                buf_printf(out, "%s%s: ", n++ ? ", " : "", top->cols[i].name);
                dtype_simple(top->cols[i].type, out);
            }
        buf_putc(out, '\n');
    }
    number(&d, top);
    draw(&d, top);
    if (formatted) {
        buf_putc(out, '\n');
        put_details(&d, top);
    }
    buf_putc(out, '\n');
}

static void put_modes(struct gen *g, struct explained *top, enum explain_style style, struct buf *out)
{
    if (style == EXPLAIN_STYLE_EXTENDED) {
        tree(g, "Parsed Logical Plan", top, true, false, out);
        tree(g, "Analyzed Logical Plan", top, true, false, out);
    }
    if (style == EXPLAIN_STYLE_COST || style == EXPLAIN_STYLE_EXTENDED)
        tree(g, "Optimized Logical Plan", top, true, false, out);
    if (style == EXPLAIN_STYLE_COST)
        buf_printf(out, "Statistics(sizeInBytes=%" PRId64 " B of what is read, where that is known)\n\n",
                   bytes_of(top));
    tree(g, "Physical Plan", top, false, style == EXPLAIN_STYLE_FORMATTED, out);
}

enum lc sql_explain(const struct ctx *ctx, const struct plan *p, const struct sql_env *env,
                    enum explain_style style, struct buf *out, struct err *err)
{
    struct err local;
    struct gen g = {.ctx = ctx,
                    .env = env,
                    .err = err ? err : &local,
                    .arena = arena_new((size_t)256 << 20),
                    .analysing = true,
                    .explaining = true};
    struct rel r;
    enum lc code = g.arena ? rel_encode(&g, p, &r) : err_nomem(err);

    if (code == LC_OK)
        put_modes(&g, g.explained[0], style, out);
    arena_free(g.arena);
    mem_free(g.seen);
    return code == LC_OK ? buf_check(out, err) : code;
}
