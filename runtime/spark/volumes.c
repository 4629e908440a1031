/* Volumes, and what lies in them: CREATE, DROP, SHOW, DESCRIBE VOLUME, LIST. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/spark/command_int.h"
#include "runtime/spark/table.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static enum lc volume_name(struct command *c, struct catalog_name *out)
{
    return catalog_complete_parts(c->env->catalog, c->s->name.items, c->s->name.n, out, c->err);
}

enum lc run_create_volume(struct command *c)
{
    struct catalog_name name;
    char *location = NULL;
    enum lc rc;

    TRY(volume_name(c, &name));
    if (c->s->location) {
        if (catalog_is_volume_path(c->s->location))
            return err_set(c->err, LC_ARG, "the LOCATION of a volume cannot be in a volume: '%s'",
                           c->s->location);
        location =
            fs_absolute(strncmp(c->s->location, "file:", 5) == 0 ? c->s->location + 5 : c->s->location);
        if (!location)
            return err_nomem(c->err);
        if (strstr(c->s->location, "://") && strncmp(c->s->location, "file:", 5) != 0)
            rc = err_set(c->err, LC_UNSUPPORTED,
                         "the LOCATION of a volume is a folder of this machine, not '%s'", c->s->location);
        else
            rc = fs_mkdirs(location, c->err);
        if (rc != LC_OK)
            return mem_free(location), rc;
    }
    rc = catalog_create_volume(c->ctx, c->env->catalog, &name, location, c->s->comment, c->s->if_not_exists,
                               c->err);
    mem_free(location);
    return rc;
}

enum lc run_drop_volume(struct command *c)
{
    struct catalog_name name;

    TRY(volume_name(c, &name));
    return catalog_drop_volume(c->ctx, c->env->catalog, &name, c->s->if_exists, c->err);
}

enum lc run_show_volumes(struct command *c)
{
    struct catalog_list all;
    struct table t = TABLE_INIT;
    const char *catalog, *schema;

    TRY(command_schema(&c->s->name, &catalog, &schema, c->err));
    TRY(catalog_list_volumes(c->ctx, c->env->catalog, catalog, schema, &all, c->err));
    table_column(&t, "database", DTYPE_STRING);
    table_column(&t, "volume_name", DTYPE_STRING);
    for (size_t i = 0; i < all.n; i++)
        if (command_matches(c->s->pattern, all.items[i].name)) {
            table_text(&t, schema ? schema : catalog_current_schema(c->env->catalog));
            table_text(&t, all.items[i].name);
        }
    catalog_list_release(&all);
    return table_plan(&t, c->result, c->err);
}

/* One row, with Databricks' columns. */
enum lc run_describe_volume(struct command *c)
{
    struct catalog_name name;
    struct catalog_volume v;
    struct table t = TABLE_INIT;

    TRY(volume_name(c, &name));
    TRY(catalog_get_volume(c->ctx, c->env->catalog, &name, &v, c->err));
    {
        const struct {
            const char *column, *value;
        } cells[] = {{"name", v.name.table},
                     {"catalog", v.name.catalog},
                     {"database", v.name.schema},
                     {"owner", v.owner},
                     {"storageLocation", v.location},
                     {"volumeType", v.kind == CATALOG_MANAGED ? "MANAGED" : "EXTERNAL"},
                     {"comment", v.comment ? v.comment : ""}};

        for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
            table_column(&t, cells[i].column, DTYPE_STRING);
        for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
            table_text(&t, cells[i].value);
    }
    catalog_volume_release(&v);
    return table_plan(&t, c->result, c->err);
}

/* ---- LIST ---- */
static void list_row(struct table *t, const char *shown, const char *path, const char *name)
{
    struct stat st = {0};
    bool folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    struct buf full = BUF_INIT(1 << 16);

    buf_printf(&full, "%s%s%s%s", shown, shown[0] && shown[strlen(shown) - 1] == '/' ? "" : "/", name,
               folder ? "/" : "");
    table_text(t, buf_str(&full));
    buf_release(&full);
    buf_printf(&full, "%s%s", name, folder ? "/" : "");
    table_text(t, buf_str(&full));
    buf_release(&full);
    table_long(t, folder ? 0 : (int64_t)st.st_size);
    table_time(t, (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000);
}

static enum lc list_folder(struct command *c, const char *folder)
{
    struct table t = TABLE_INIT;
    char **names;
    size_t n, most = c->s->value ? (size_t)strtoull(c->s->value, NULL, 10) : SIZE_MAX;

    TRY(fs_list(folder, &names, &n, c->err));
    table_column(&t, "path", DTYPE_STRING);
    table_column(&t, "name", DTYPE_STRING);
    table_column(&t, "size", DTYPE_LONG);
    table_column(&t, "modification_time", DTYPE_TIMESTAMP);
    for (size_t i = 0; i < n && i < most; i++) {
        char *path = fs_join(folder, names[i]);
        if (path)
            list_row(&t, c->s->location, path, names[i]);
        mem_free(path);
    }
    fs_free_list(names, n);
    return table_plan(&t, c->result, c->err);
}

enum lc run_list(struct command *c)
{
    const char *path = c->s->location;
    char *place, *folder;
    enum lc rc;

    if (strncmp(path, "file:", 5) == 0)
        path += 5;
    TRY(catalog_path(c->ctx, c->env->catalog, path, &place, c->err));
    folder = fs_absolute(place);
    mem_free(place);
    if (!folder)
        return err_nomem(c->err);
    rc = fs_exists(folder)
             ? list_folder(c, folder)
             : err_set(c->err, LC_NOTFOUND,
                       "[PATH_NOT_FOUND] cannot list '%s': there is no such folder. SQLSTATE: 42K03",
                       c->s->location);
    mem_free(folder);
    return rc;
}
