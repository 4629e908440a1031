/* Temporary views: names that live as long as the session. */
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog_int.h"
#include "runtime/dataframe/plan.h"
#include <string.h>
#include <strings.h>

static size_t find_view(const struct catalog *c, const char *name, bool global)
{
    size_t i = 0;

    while (i < c->n_views && (c->views[i].global != global || strcasecmp(c->views[i].name, name) != 0))
        i++;
    return i;
}

static size_t find_parts(const struct catalog *c, const char *const *parts, size_t n)
{
    if (n == 1)
        return find_view(c, parts[0], false);
    return n == 2 && strcasecmp(parts[0], CATALOG_GLOBAL) == 0 ? find_view(c, parts[1], true) : c->n_views;
}

/* Views stand for their plans, tables for themselves. */
static enum lc inline_view(void *self, const struct ctx *ctx, const struct plan *read,
                           const struct plan **out, struct err *err)
{
    const struct plan *view = catalog_view_parts(self, (const char *const *)read->names, read->n_names);

    (void)ctx, (void)err;
    *out = plan_ref(view ? view : read);
    return LC_OK;
}

static enum lc set_view(struct catalog *c, const char *lower, const struct plan *plan, bool global,
                        bool replace, struct err *err)
{
    size_t i = find_view(c, lower, global);
    struct view *more;

    if (i < c->n_views) {
        const struct plan *old = c->views[i].plan;
        if (!replace) {
            err_set(err, LC_EXISTS,
                    "[TEMP_TABLE_OR_VIEW_ALREADY_EXISTS] cannot make the temporary view '%s': it is there "
                    "already. SQLSTATE: 42P07",
                    lower);
            return err_hint(err, "CREATE OR REPLACE TEMP VIEW, or createOrReplaceTempView");
        }
        c->views[i].plan = plan_ref(plan);
        plan_unref(old);
        return LC_OK;
    }
    more = mem_reallocn(c->views, c->n_views + 1, sizeof *more);
    if (!more)
        return err_nomem(err);
    c->views = more;
    more[i] = (struct view){.name = mem_strdup(lower), .global = global};
    if (!more[i].name)
        return err_nomem(err);
    more[i].plan = plan_ref(plan);
    c->n_views++;
    return LC_OK;
}

enum lc catalog_put_view(struct catalog *c, const char *name, const struct plan *plan, bool global,
                         bool replace, struct err *err)
{
    const struct plan_resolver resolver = {.table = inline_view, .self = c};
    const struct plan *inlined;
    char lower[CATALOG_NAME_MAX];
    enum lc rc;

    TRY(catalog_take_name("temporary view", name, lower, err));
    TRY(plan_resolve(NULL, plan, &resolver, &inlined, err));
    rc = set_view(c, lower, inlined, global, replace, err);
    plan_unref(inlined);
    return rc;
}

const struct plan *catalog_view(const struct catalog *c, const char *name)
{
    return catalog_view_parts(c, &name, 1);
}

const struct plan *catalog_view_parts(const struct catalog *c, const char *const *parts, size_t n)
{
    size_t i = find_parts(c, parts, n);

    return i < c->n_views ? c->views[i].plan : NULL;
}

bool catalog_drop_view(struct catalog *c, const char *name)
{
    return catalog_drop_view_parts(c, &name, 1);
}

bool catalog_drop_view_parts(struct catalog *c, const char *const *parts, size_t n)
{
    size_t i = find_parts(c, parts, n);

    if (i == c->n_views)
        return false;
    mem_free(c->views[i].name);
    plan_unref(c->views[i].plan);
    c->views[i] = c->views[--c->n_views];
    return true;
}
