/* time_window.c: grouping by windows of time: rows in several windows, and sessions, whose windows depend on other rows. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

int64_t time_span(const char *text)
{
    static const struct {
        const char *name;
        int64_t micros;
    } sizes[] = {{"microsecond", 1},   {"millisecond", 1000}, {"second", 1000000},   {"minute", 60000000},
                 {"hour", 3600000000}, {"day", 86400000000},  {"week", 604800000000}};
    int64_t sum = 0;
    char word[24];
    long long amount;
    int n;

    if (text && strncasecmp(text, "interval ", 9) == 0)
        text += 9;
    for (; text && sscanf(text, " %lld %23[a-zA-Z]%n", &amount, word, &n) == 2; text += n) {
        size_t length = strlen(word), i = 0;

        length -= length > 1 && (word[length - 1] == 's' || word[length - 1] == 'S');
        while (i < 7 && (strlen(sizes[i].name) != length || strncasecmp(sizes[i].name, word, length) != 0))
            i++;
        if (i == 7)
            return 0;
        sum += amount * sizes[i].micros;
    }
    return text && text[strspn(text, " ")] == '\0' ? sum : 0;
}

static const struct expr *call_in(const struct expr *e)
{
    const struct expr *found;

    if (e->kind == EXPR_CALL &&
        (strcmp(e->u.call.name, "window") == 0 || strcmp(e->u.call.name, "session_window") == 0))
        return e;
    if (e->kind == EXPR_SUBQUERY)
        return NULL;
    for (size_t i = 0; i < e->n; i++)
        if ((found = call_in(e->args[i])) != NULL)
            return found;
    return NULL;
}

static const struct expr *call_of(const struct plan *p)
{
    const struct expr *found = NULL;

    for (size_t i = 0; p->kind == PLAN_AGGREGATE && i < p->u.aggregate.n_groups && !found; i++)
        found = call_in(p->u.aggregate.groups[i]);
    for (size_t i = 0; i < p->n_exprs && !found; i++)
        found = call_in(p->exprs[i]);
    return found;
}

/* The other groups: sessions are theirs. " PARTITION BY a, b" or nothing. */
static enum lc other_groups(struct gen *g, const struct plan *p, const struct scope *s, const char **out)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = 0; i < p->u.aggregate.n_groups; i++) {
        struct sx x;
        enum lc code;

        if (call_in(p->u.aggregate.groups[i]))
            continue;
        code = sx_expr(g, s, p->u.aggregate.groups[i], &x);
        if (code != LC_OK)
            return buf_release(&b), code;
        if (!x.literal)
            buf_printf(&b, "%s%s", b.len ? ", " : "PARTITION BY ", x.sql);
    }
    *out = gen_take(g, &b);
    return *out ? LC_OK : err_nomem(g->err);
}

/* Rows in the order of time begin a session when all before them have ended; rows of one time are kept in one order (n). */
static enum lc sessions(struct gen *g, const struct plan *p, const struct scope *s, const struct expr *e,
                        const struct sx *time, struct rel *out, int column)
{
    int64_t gap =
        e->n > 1 && e->args[1]->kind == EXPR_LITERAL && e->args[1]->u.literal.type->id == DTYPE_STRING
            ? time_span(e->args[1]->u.literal.s)
            : 0;
    const char *zone = time->type->id == DTYPE_TIMESTAMP ? "make_timestamptz" : "make_timestamp", *keys,
               *comma;
    int a = g->next_uid, b = a + 1, c = a + 2, d = a + 3;

    g->next_uid += 4;
    if (gap <= 0)
        return gen_fail(g, e, LC_ENGINE,
                        "[DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION] session_window needs a gap like "
                        "'5 minutes' (a "
                        "text). SQLSTATE: 42K09");
    TRY(other_groups(g, p, s, &keys));
    if (!keys)
        return err_nomem(g->err);
    comma = *keys ? ", " : "PARTITION BY ";
    out->from = gen_printf(g,
                           "(SELECT *, struct_pack(\"start\" := %s(min(ls_s) OVER (%s%s ls_n)), \"end\" := "
                           "%s(max(ls_s) OVER (%s%s ls_n) + %" PRId64
                           ")) AS lx_%d FROM (SELECT * EXCLUDE (ls_n), sum(ls_b) OVER (%s ORDER BY ls_s, "
                           "ls_n ROWS UNBOUNDED PRECEDING) AS ls_n FROM "
                           "(SELECT *, CASE WHEN ls_s <= lag(ls_s) OVER (%s ORDER BY ls_s, ls_n) + %" PRId64
                           " THEN 0 ELSE 1 END AS ls_b FROM "
                           "(SELECT *, epoch_us(%s) AS ls_s, row_number() OVER () AS ls_n FROM %s WHERE %s "
                           "IS NOT NULL) AS t%d) AS t%d) AS t%d) AS t%d",
                           zone, keys, comma, zone, keys, comma, gap, column, keys, keys, gap, time->sql,
                           out->from, time->sql, a, b, c, d);
    return out->from ? LC_OK : err_nomem(g->err);
}

static enum lc lay_out(struct gen *g, const struct plan *p, const struct expr *e, bool session,
                       struct rel *out)
{
    struct scope s;
    struct sx *x = arena_zalloc(g->arena, sizeof *x), time;
    int column = g->next_uid++;
    struct col *cols;

    if (!x)
        return err_nomem(g->err);
    TRY(rel_seal(g, out));
    s = (struct scope){
        .cols = out->cols, .n = out->n, .generators = true, .clause = "GROUP BY", .outer = g->outer};
    TRY(sx_expr(g, &s, e, x));
    TRY(sx_expr(g, &s, e->args[0], &time));
    if (session) {
        TRY(sessions(g, p, &s, e, &time, out, column));
    } else {
        if (x->n_many)
            *x = x->many[0];
        out->from = gen_printf(g, "(SELECT *, %s AS lx_%d FROM %s WHERE %s IS NOT NULL) AS t%d", x->sql,
                               column, out->from, time.sql, g->next_uid++);
    }
    x->sql = gen_printf(g, "lx_%d", column);
    x->name = e->u.call.name;
    x->generator = false;
    x->simple = true;
    x->nullable = false;
    x->n_many = 0;
    cols = cols_copy(g, out->cols, out->n, 1);
    if (!out->from || !x->sql || !cols)
        return err_nomem(g->err);
    cols[out->n] =
        (struct col){.uid = column, .name = x->name, .sql = x->sql, .type = x->type, .simple = true};
    x->col = &cols[out->n];
    out->cols = cols;
    out->n++;
    g->time_window = x;
    return LC_OK;
}

enum lc time_window_begin(struct gen *g, const struct plan *p, struct rel *out)
{
    const struct expr *e = call_of(p);
    bool session, grouped = p->kind == PLAN_AGGREGATE;
    struct scope s;
    struct sx x;

    g->time_window = NULL;
    if (!e || e->n < 2 || !out->from)
        return LC_OK;
    session = strcmp(e->u.call.name, "session_window") == 0;
    s = (struct scope){
        .cols = out->cols, .n = out->n, .generators = true, .clause = "SELECT", .outer = g->outer};
    TRY(sx_expr(g, &s, e, &x));
    if (grouped)
        return lay_out(g, p, e, session, out);
    if (x.n_many)
        return LC_OK;
    TRY(sx_expr(g, &s, e->args[0], &x));
    out->where =
        gen_printf(g, "%s%s%s IS NOT NULL", out->where ? out->where : "", out->where ? " AND " : "", x.sql);
    return out->where ? LC_OK : err_nomem(g->err);
}

void time_window_done(struct gen *g)
{
    g->time_window = NULL;
}
