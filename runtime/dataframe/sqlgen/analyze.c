/* analyze.c: the columns of a plan from those of its inputs: what is found stays with the plan, so that a chain of n steps is
 * n small analyses and not n long ones. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>

enum { ARENA_LIMIT = 256 << 20, MOST_COLUMNS = 1 << 30 };

struct analysed { /* read-only once it is kept */
    struct plan_memo memo;
    struct arena *arena; /* owned: everything below but the references */
    struct rel rel;      /* columns by identities of its own, 0 … n_uids */
    int n_uids;
    struct seen *seen; /* which plan gave which of them */
    size_t n_seen;
    struct known *known; /* what the rest came from; holds references */
    size_t n_known;
    const struct dtype *source; /* owned by the arena; NULL: reads no files itself */
};

static void analysed_free(struct plan_memo *m)
{
    struct analysed *a = (struct analysed *)m;

    for (size_t i = 0; i < a->n_known; i++)
        plan_memo_unref((struct plan_memo *)(uintptr_t)a->known[i].of);
    arena_free(a->arena);
    mem_free(a);
}

static const struct analysed *analysed_of(const struct plan *p)
{
    struct plan_memo *m = plan_memo(p);

    return m && m->free == analysed_free ? (struct analysed *)m : NULL;
}

/* ---- looking things up ---- */
static int depth_in(const struct analysed *a, int64_t plan_id, int uid)
{
    int depth = -1;

    for (size_t i = 0; i < a->n_seen; i++)
        if (a->seen[i].plan_id == plan_id && a->seen[i].uid == uid && (depth < 0 || a->seen[i].depth < depth))
            depth = a->seen[i].depth;
    for (size_t i = 0; i < a->n_known && depth < 0; i++) {
        const struct known *k = &a->known[i];

        if (uid >= k->offset && uid < k->offset + k->of->n_uids)
            depth = depth_in(k->of, plan_id, uid - k->offset);
        if (depth >= 0)
            depth += k->depth;
    }
    return depth;
}

int known_depth(const struct gen *g, int64_t plan_id, int uid)
{
    for (size_t i = 0; i < g->n_known; i++) {
        const struct known *k = &g->known[i];

        if (uid >= k->offset && uid < k->offset + k->of->n_uids) {
            int depth = depth_in(k->of, plan_id, uid - k->offset);
            return depth < 0 ? -1 : depth + k->depth;
        }
    }
    return -1;
}

const struct dtype *known_source(const struct plan *p)
{
    const struct analysed *a = analysed_of(p);

    return a ? a->source : NULL;
}

/* ---- using what is known ---- */
static struct col *renumbered(struct gen *g, const struct col *from, size_t n, int offset)
{
    struct col *cols = cols_copy(g, from, n, 0);

    for (size_t i = 0; cols && i < n; i++) {
        cols[i].uid += offset;
        if (!(cols[i].sql = gen_printf(g, "lx_%d%s", cols[i].uid, cols[i].sql)))
            return NULL;
    }
    return cols;
}

static bool link_to(struct gen *g, const struct analysed *a)
{
    if (g->n_known == g->cap_known) {
        size_t cap = g->cap_known ? 2 * g->cap_known : 4;
        struct known *grown = arena_alloc(g->arena, cap * sizeof *grown);

        if (!grown)
            return false;
        if (g->n_known)
            memcpy(grown, g->known, g->n_known * sizeof *grown);
        g->known = grown;
        g->cap_known = cap;
    }
    g->known[g->n_known++] = (struct known){.of = a, .offset = g->next_uid, .depth = g->depth};
    g->next_uid += a->n_uids;
    return true;
}

bool known_rel(struct gen *g, const struct plan *p, struct rel *out)
{
    const struct analysed *a = analysed_of(p);
    int offset = g->next_uid;

    if (!a || !a->memo.whole || a->n_uids > MOST_COLUMNS - offset)
        return false;
    *out = a->rel;
    out->cols = renumbered(g, a->rel.cols, a->rel.n, offset);
    out->inner = a->rel.inner ? renumbered(g, a->rel.inner, a->rel.n_inner, offset) : NULL;
    return out->cols && (out->inner || !a->rel.inner) && link_to(g, a);
}

/* ---- keeping what was found ---- */
static bool keep_col(struct gen *to, struct col *c)
{
    const char **parts = arena_alloc(to->arena, (c->n_qualifier + 1) * sizeof *parts);

    for (size_t i = 0; parts && i < c->n_qualifier; i++)
        if (!(parts[i] = arena_strdup(to->arena, c->qualifier[i])))
            return false;
    c->qualifier = parts;
    c->sql = strstr(c->sql, " OVER (")   ? " OVER ("
             : strstr(c->sql, "unnest(") ? "unnest("
                                         : ""; /* what is asked of it */
    c->name = arena_strdup(to->arena, c->name);
    c->type = gen_type(to, dtype_ref(c->type));
    return parts && c->name && c->type;
}

static struct col *keep_cols(struct gen *to, const struct col *cols, size_t n)
{
    struct col *kept = cols_copy(to, cols, n, 0);

    for (size_t i = 0; kept && i < n; i++)
        if (!keep_col(to, &kept[i]))
            return NULL;
    return kept;
}

/* A SELECT's clauses matter above only in being there. */
static const char *mark(const char *clause)
{
    return clause ? "x" : NULL;
}

static bool keep_rel(struct gen *to, const struct rel *r, struct rel *out)
{
    *out = (struct rel){.cols = keep_cols(to, r->cols, r->n),
                        .n = r->n,
                        .inner = r->inner ? keep_cols(to, r->inner, r->n_inner) : NULL,
                        .n_inner = r->n_inner,
                        .from = mark(r->from),
                        .where = mark(r->where),
                        .order = mark(r->order),
                        .limit = mark(r->limit),
                        .offset = mark(r->offset),
                        .distinct = mark(r->distinct),
                        .joined = r->joined};
    return out->cols && (out->inner || !r->inner);
}

static void set_live(unsigned char *live, const struct col *cols, size_t n)
{
    for (size_t i = 0; i < n; i++)
        live[cols[i].uid] = 1;
}

/* Of what was seen only the columns that are still there can be asked for. */
static bool keep_seen(struct gen *g, const struct rel *r, struct analysed *a)
{
    unsigned char *live = arena_zalloc(g->arena, (size_t)g->next_uid + 1);

    a->seen = arena_alloc(a->arena, (g->n_seen + 1) * sizeof *a->seen);
    if (!live || !a->seen)
        return false;
    set_live(live, r->cols, r->n);
    if (r->inner)
        set_live(live, r->inner, r->n_inner);
    for (size_t i = 0; i < g->n_seen; i++)
        if (live[g->seen[i].uid]) {
            a->seen[a->n_seen] = g->seen[i];
            a->seen[a->n_seen++].name = NULL;
        }
    a->known = arena_alloc(a->arena, (g->n_known + 1) * sizeof *a->known);
    for (size_t i = 0; a->known && i < g->n_known; i++) {
        plan_memo_ref((struct plan_memo *)(uintptr_t)g->known[i].of);
        a->known[a->n_known++] = g->known[i];
    }
    return a->known != NULL;
}

static struct analysed *analysed_new(struct gen *g, const struct rel *r)
{
    struct analysed *a = mem_zalloc(sizeof *a);
    struct gen to = {.arena = arena_new(ARENA_LIMIT)};

    if (!a)
        return arena_free(to.arena), NULL;
    a->memo = (struct plan_memo){.refs = 1, .whole = !r->grouped, .free = analysed_free};
    a->arena = to.arena;
    a->n_uids = g->next_uid;
    a->memo.schema = rel_schema(r);
    a->source = to.arena && g->source ? gen_type(&to, dtype_ref(g->source)) : NULL;
    if (to.arena && a->memo.schema && (a->source || !g->source) && keep_rel(&to, r, &a->rel) &&
        keep_seen(g, r, a))
        return a;
    plan_memo_unref(&a->memo);
    return NULL;
}

enum lc sql_analyze(const struct ctx *ctx, const struct plan *p, const struct sql_env *env, struct err *err)
{
    struct err local;
    struct gen g = {.ctx = ctx,
                    .env = env,
                    .err = err ? err : &local,
                    .arena = arena_new(ARENA_LIMIT),
                    .analysing = true};
    struct analysed *a = NULL;
    struct rel r;
    enum lc code = g.arena ? rel_encode(&g, p, &r) : err_nomem(err);

    if (code == LC_OK && !(a = analysed_new(&g, &r)))
        code = err_nomem(err);
    if (a)
        plan_keep(p, &a->memo);
    arena_free(g.arena);
    mem_free(g.seen);
    return code;
}
