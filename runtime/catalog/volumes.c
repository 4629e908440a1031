/* Volumes: folders with a name in a schema, and the paths below /Volumes. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog_int.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum lc catalog_create_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                              const char *location, const char *comment, bool if_not_exists, struct err *err)
{
    struct catalog_volume v = {.name = *name, .kind = location ? CATALOG_EXTERNAL : CATALOG_MANAGED};
    char full[3 * CATALOG_NAME_MAX];
    struct err local;
    enum lc rc;

    TRY(catalog_need_schema(ctx, c, name->catalog, name->schema, err));
    v.location = (char *)(uintptr_t)location;
    v.comment = (char *)(uintptr_t)comment;
    rc = c->ops->create_volume(ctx, c->self, &v, &local);
    if (rc == LC_EXISTS) {
        catalog_name_text(name, full, sizeof full);
        err_set(&local, LC_EXISTS, "[VOLUME_ALREADY_EXISTS] cannot make the volume '%s': it is there already",
                full);
        err_hint(&local, "CREATE VOLUME IF NOT EXISTS %s", full);
    }
    return catalog_forgive(rc, LC_EXISTS, if_not_exists, &local, err);
}

static enum lc no_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                         struct err *err)
{
    char full[3 * CATALOG_NAME_MAX];
    struct catalog_list all;

    TRY(catalog_need_schema(ctx, c, name->catalog, name->schema, err));
    TRY(c->ops->list_volumes(ctx, c->self, name->catalog, name->schema, &all, err));
    catalog_name_text(name, full, sizeof full);
    err_set(err, LC_NOTFOUND, "[VOLUME_NOT_FOUND] cannot find the volume '%s'", full);
    catalog_hint_names(&all, name->table, "SHOW VOLUMES lists them, CREATE VOLUME makes one", err);
    catalog_list_release(&all);
    return LC_NOTFOUND;
}

/* What the seam says, with the nearest names when there is no such volume. */
static enum lc answer(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name, enum lc rc,
                      const struct err *local, struct err *err)
{
    return rc == LC_NOTFOUND ? no_volume(ctx, c, name, err) : catalog_forgive(rc, LC_OK, false, local, err);
}

enum lc catalog_drop_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                            bool if_exists, struct err *err)
{
    struct err local, where;
    enum lc rc = answer(ctx, c, name, c->ops->drop_volume(ctx, c->self, name, &local), &local, &where);

    return catalog_forgive(rc, LC_NOTFOUND, if_exists, &where, err);
}

enum lc catalog_get_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                           struct catalog_volume *out, struct err *err)
{
    struct err local;

    *out = (struct catalog_volume){0};
    return answer(ctx, c, name, c->ops->get_volume(ctx, c->self, name, out, &local), &local, err);
}

static enum lc alter(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                     const struct catalog_name *to, const char *comment, struct err *err)
{
    struct err local;
    enum lc rc = c->ops->alter_volume(ctx, c->self, name, to, comment, &local);

    if (rc == LC_EXISTS)
        return err_set(err, LC_EXISTS,
                       "[VOLUME_ALREADY_EXISTS] cannot rename the volume to '%s': it is there already",
                       to ? to->table : "");
    return answer(ctx, c, name, rc, &local, err);
}

enum lc catalog_rename_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *from,
                              const struct catalog_name *to, struct err *err)
{
    TRY(catalog_need_schema(ctx, c, to->catalog, to->schema, err));
    return alter(ctx, c, from, to, NULL, err);
}

enum lc catalog_comment_volume(const struct ctx *ctx, struct catalog *c, const struct catalog_name *name,
                               const char *comment, struct err *err)
{
    return alter(ctx, c, name, NULL, comment, err);
}

enum lc catalog_list_volumes(const struct ctx *ctx, struct catalog *c, const char *catalog,
                             const char *schema, struct catalog_list *out, struct err *err)
{
    char a[CATALOG_NAME_MAX], b[CATALOG_NAME_MAX];

    *out = (struct catalog_list){0};
    TRY(catalog_take_name("catalog", catalog ? catalog : c->catalog, a, err));
    TRY(catalog_take_name("schema", schema ? schema : catalog ? "default" : c->schema, b, err));
    TRY(catalog_need_schema(ctx, c, a, b, err));
    return c->ops->list_volumes(ctx, c->self, a, b, out, err);
}

/* ---- paths ---- */
static const char *below_volumes(const char *path)
{
    if (strncmp(path, "dbfs:", 5) == 0)
        path += 5;
    return strncmp(path, "/Volumes/", 9) == 0 ? path + 9 : NULL;
}

bool catalog_is_volume_path(const char *path)
{
    return below_volumes(path) != NULL;
}

/* The next part of a path; *path goes behind it and its slash. */
static enum lc next_part(const char **path, const char *kind, char out[CATALOG_NAME_MAX], const char *whole,
                         struct err *err)
{
    size_t n = strcspn(*path, "/");
    char part[CATALOG_NAME_MAX];

    if (n == 0) {
        err_set(err, LC_ARG, "the path '%s' has no %s", whole, kind);
        return err_hint(err, "/Volumes/catalog/schema/volume/path");
    }
    snprintf(part, sizeof part, "%.*s", (int)(n < sizeof part ? n : sizeof part - 1), *path);
    *path += n + ((*path)[n] == '/');
    return catalog_take_name(kind, part, out, err);
}

/* Nothing that a volume's paths say may lead out of it. */
static bool climbs(const char *rest)
{
    for (const char *p = rest; p && *p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
            return true;
    return false;
}

enum lc catalog_path(const struct ctx *ctx, struct catalog *c, const char *path, char **out, struct err *err)
{
    const char *rest = below_volumes(path);
    struct catalog_name name;
    struct catalog_volume v;

    *out = NULL;
    if (!rest)
        return (*out = mem_strdup(path)) ? LC_OK : err_nomem(err);
    TRY(next_part(&rest, "catalog", name.catalog, path, err));
    TRY(next_part(&rest, "schema", name.schema, path, err));
    TRY(next_part(&rest, "volume", name.table, path, err));
    if (climbs(rest))
        return err_set(err, LC_ARG, "the path '%s' leads out of its volume", path);
    TRY(catalog_get_volume(ctx, c, &name, &v, err));
    *out = *rest ? fs_join(v.location, rest) : mem_strdup(v.location);
    catalog_volume_release(&v);
    return *out ? LC_OK : err_nomem(err);
}
