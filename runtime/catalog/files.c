/* Tables of files: folders of Parquet, CSV, JSON and text, without a log. */
#include "runtime/catalog/files.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/folder.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool files_is_format(const char *format)
{
    static const char *const formats[] = {"parquet", "csv", "json", "text"};

    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcasecmp(formats[i], format) == 0)
            return true;
    return false;
}

const json_t *files_partitions(const struct catalog_table *t)
{
    const json_t *list = json_object_get(t->options, FILES_PARTITIONS);

    return json_is_array(list) ? list : NULL;
}

/* ---- rows into a folder ---- */
static enum lc list_old(const char *path, char ***names, size_t *n, struct err *err)
{
    *names = NULL;
    *n = 0;
    return fs_is_dir(path) ? fs_list(path, names, n, err) : LC_OK;
}

/* What is done with what was there before. */
struct clearing {
    const char *root;
    const struct written_files *written;
    bool dynamic; /* only in folders that have new files */
    struct err *err;
};
enum age { OLD, HOLDS_NEW, NEW };

static enum age age_of(const struct clearing *c, const char *relative)
{
    size_t len = strlen(relative);

    for (size_t i = 0; i < c->written->n; i++) {
        const char *path = c->written->files[i].path;

        if (strncmp(path, relative, len) == 0 && (path[len] == '\0' || path[len] == '/'))
            return path[len] ? HOLDS_NEW : NEW;
    }
    return OLD;
}

static bool has_new_files(const struct clearing *c, const char *folder)
{
    for (size_t i = 0; i < c->written->n; i++) {
        const char *path = c->written->files[i].path, *slash = strrchr(path, '/');
        size_t len = slash ? (size_t)(slash - path) : 0;

        if (strlen(folder) == len && strncmp(path, folder, len) == 0)
            return true;
    }
    return false;
}

static enum lc remove_old(const struct clearing *c, const char *folder, char **names, size_t n);

static enum lc remove_in(const struct clearing *c, const char *relative, const char *path)
{
    char **names;
    size_t n;
    enum lc rc;

    TRY(fs_list(path, &names, &n, c->err));
    rc = remove_old(c, relative, names, n);
    fs_free_list(names, n);
    return rc;
}

static enum lc remove_old(const struct clearing *c, const char *folder, char **names, size_t n)
{
    bool here = !c->dynamic || has_new_files(c, folder);
    enum lc rc = LC_OK;

    for (size_t i = 0; i < n && rc == LC_OK; i++) {
        char *relative = *folder ? fs_join(folder, names[i]) : mem_strdup(names[i]),
             *path = relative ? fs_join(c->root, relative) : NULL;

        if (!path) {
            rc = err_nomem(c->err);
        } else {
            enum age age = age_of(c, relative);

            if (age == HOLDS_NEW)
                rc = remove_in(c, relative, path);
            else if (age == OLD && here)
                rc = fs_remove_tree(path, c->err);
        }
        mem_free(relative);
        mem_free(path);
    }
    return rc;
}

static enum lc mark_success(const char *path, struct err *err)
{
    char *mark = fs_join(path, "_SUCCESS");
    enum lc rc = mark ? fs_write(mark, "", 0, err) : err_nomem(err);

    mem_free(mark);
    return rc;
}

/* What is there goes, but for what is new. */
static enum lc clear(const struct clearing *c, const struct files_write *w, char **old, size_t n)
{
    char *below;
    enum lc rc;

    if (!w->below)
        return remove_old(c, "", old, n);
    if ((below = fs_join(w->dir, w->below)) == NULL)
        return err_nomem(c->err);
    rc = fs_is_dir(below) ? remove_in(c, w->below, below) : LC_OK;
    mem_free(below);
    return rc;
}

enum lc files_write(const struct ctx *ctx, const struct delta_engine *engine, const struct plan *plan,
                    const struct files_write *w, int64_t *rows, struct err *err)
{
    struct write_spec spec = {.dir = w->dir,
                              .format = w->format,
                              .partition_by = w->partition_by,
                              .n_partition = w->n_partition_by,
                              .options = w->options};
    struct written_files written = {0};
    struct clearing clearing = {w->dir, &written, w->dynamic, err};
    bool made = !fs_exists(w->dir);
    char **old;
    size_t n_old;
    enum lc rc;

    TRY(list_old(w->dir, &old, &n_old, err));
    rc = fs_mkdirs(w->dir, err);
    if (rc == LC_OK)
        rc = engine->ops->write_files(engine->engine, ctx, plan, &spec, &written, err);
    if (rc == LC_OK && w->overwrite)
        rc = clear(&clearing, w, old, n_old);
    if (rc == LC_OK)
        rc = mark_success(w->dir, err);
    if (rc != LC_OK && made) /* so that the corrected write does not find the folder of the failed one */
        (void)!fs_remove_tree(w->dir, NULL);
    *rows = written.rows;
    written_files_release(&written);
    fs_free_list(old, n_old);
    return rc;
}

/* ---- what lies in the folder ---- */
/* As Spark: nothing whose name starts with _ or ., unless it is a partition folder (_p=1). */
static bool is_hidden(const char *name)
{
    return (name[0] == '_' || name[0] == '.') && !strchr(name, '=');
}

enum { MOST_PARTITIONS = 64 };
struct walk {
    const json_t *partitions;
    char *values[MOST_PARTITIONS]; /* owned; NULL: SQL's NULL */
    files_fn *fn;
    void *arg;
    struct err *err;
};

/* p=a%20b: the value at the column's place. *at < 0: no such column. */
static enum lc take_value(struct walk *w, const char *folder, long *at)
{
    const char *equal = strchr(folder, '=');
    char *name = equal ? folder_unescape(folder, (size_t)(equal - folder)) : NULL;

    *at = -1;
    if (!equal)
        return LC_OK;
    for (size_t i = 0; name && i < json_array_size(w->partitions) && i < MOST_PARTITIONS; i++)
        if (strcasecmp(json_string_value(json_array_get(w->partitions, i)), name) == 0)
            *at = (long)i;
    mem_free(name);
    if (*at < 0)
        return name ? LC_OK : err_nomem(w->err);
    w->values[*at] =
        strcmp(equal + 1, FOLDER_NULL) == 0 ? NULL : folder_unescape(equal + 1, strlen(equal + 1));
    return LC_OK;
}

static enum lc walk_folder(struct walk *w, const char *dir, int depth);

static enum lc walk_entry(struct walk *w, const char *dir, const char *name, int depth)
{
    char *path = fs_join(dir, name);
    long at = -1;
    enum lc rc = path ? LC_OK : err_nomem(w->err);

    if (rc == LC_OK && !fs_is_dir(path)) {
        rc = w->fn(w->arg, path, (const char *const *)w->values, w->err);
    } else if (rc == LC_OK && strchr(name, '=')) {
        rc = take_value(w, name, &at);
        if (rc == LC_OK)
            rc = walk_folder(w, path, depth + 1);
        if (at >= 0) {
            mem_free(w->values[at]);
            w->values[at] = NULL;
        }
    }
    mem_free(path);
    return rc;
}

static enum lc walk_folder(struct walk *w, const char *dir, int depth)
{
    char **names;
    size_t n;
    enum lc rc = LC_OK;

    if (depth > MOST_PARTITIONS)
        return err_set(w->err, LC_LIMIT, "the folder '%s' is nested too deep", dir);
    TRY(fs_list(dir, &names, &n, w->err));
    for (size_t i = 0; rc == LC_OK && i < n; i++)
        if (!is_hidden(names[i]))
            rc = walk_entry(w, dir, names[i], depth);
    fs_free_list(names, n);
    return rc;
}

enum lc files_each(const struct catalog_table *t, files_fn *fn, void *arg, struct err *err)
{
    struct walk w = {.partitions = files_partitions(t), .fn = fn, .arg = arg, .err = err};

    if (!fs_is_dir(t->location))
        return err_set(err, LC_NOTFOUND, "there is no folder '%s'", t->location);
    return walk_folder(&w, t->location, 0);
}

static bool push_text(char ***list, size_t *n, char *text)
{
    char **more = text ? mem_reallocn(*list, *n + 1, sizeof *more) : NULL;

    if (!more)
        return mem_free(text), false;
    *list = more;
    more[(*n)++] = text;
    return true;
}

/* One step down: the first folder name=value. NULL: there is none. */
static enum lc first_partition(const char *dir, char **folder, struct err *err)
{
    char **names;
    size_t n;

    *folder = NULL;
    TRY(fs_list(dir, &names, &n, err));
    for (size_t i = 0; i < n && !*folder; i++) {
        char *path = strchr(names[i], '=') ? fs_join(dir, names[i]) : NULL;
        if (path && fs_is_dir(path))
            *folder = path;
        else
            mem_free(path);
    }
    fs_free_list(names, n);
    return LC_OK;
}

enum lc files_guess_partitions(const char *dir, char ***names, size_t *n, struct err *err)
{
    char *at = mem_strdup(dir), *below;
    enum lc rc = at ? LC_OK : err_nomem(err);

    *names = NULL;
    *n = 0;
    while (rc == LC_OK && fs_is_dir(at) && *n < MOST_PARTITIONS &&
           (rc = first_partition(at, &below, err)) == LC_OK && below) {
        const char *base = fs_basename(below);
        if (!push_text(names, n, folder_unescape(base, (size_t)(strchr(base, '=') - base))))
            rc = err_nomem(err);
        mem_free(at);
        at = below;
    }
    mem_free(at);
    return rc;
}

/* ---- reading ---- */
struct found { /* the files of a table, with their values */
    char **paths;
    size_t n;
    char **values; /* n × n_partition */
    size_t n_values, n_partition;
};

static enum lc note_file(void *arg, const char *path, const char *const *values, struct err *err)
{
    struct found *f = arg;
    char **more;

    if (!push_text(&f->paths, &f->n, mem_strdup(path)))
        return err_nomem(err);
    more = f->n_partition ? mem_reallocn(f->values, f->n_values + f->n_partition, sizeof *more) : f->values;
    if (!more && f->n_partition)
        return err_nomem(err);
    f->values = more;
    for (size_t i = 0; i < f->n_partition; i++) {
        char *copy = values[i] ? mem_strdup(values[i]) : NULL;
        if (values[i] && !copy)
            return err_nomem(err);
        f->values[f->n_values++] = copy;
    }
    return LC_OK;
}

static void found_release(struct found *f)
{
    for (size_t i = 0; i < f->n; i++)
        mem_free(f->paths[i]);
    for (size_t i = 0; i < f->n_values; i++)
        mem_free(f->values[i]);
    mem_free(f->paths);
    mem_free(f->values);
}

/* The files as a scan, as those of a Delta table: what one of them lacks is NULL in it. */
static enum lc scan_of(const struct catalog_table *t, const char *full, const struct dtype *schema,
                       const struct found *f, bool rows, const struct plan **out, struct err *err)
{
    const json_t *list = files_partitions(t);
    const char *names[MOST_PARTITIONS];
    struct scan *scan;
    bool ok;

    for (size_t i = 0; i < f->n_partition; i++)
        names[i] = json_string_value(json_array_get(list, i));
    scan = scan_new(full, dtype_ref(schema), names, f->n_partition, rows ? f->n : 0);
    ok = scan != NULL;
    for (size_t i = 0; ok && rows && i < f->n; i++)
        ok = scan_set_file(scan, i, f->paths[i], fs_size(f->paths[i]),
                           f->n_partition ? (const char *const *)f->values + i * f->n_partition : NULL);
    if (!ok) {
        scan_unref(scan);
        return err_nomem(err);
    }
    scan->version = -1;
    *out = plan_scan(scan);
    return *out ? LC_OK : err_nomem(err);
}

enum lc files_options(const struct catalog_table *t, struct plan_options *o, struct err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach (t->options, key, value)
        if (json_is_string(value) && !plan_options_set(o, key, json_string_value(value)))
            return err_nomem(err);
    return LC_OK;
}

static enum lc source_of(const struct catalog_table *t, const struct dtype *schema, const struct plan **out,
                         struct err *err)
{
    const char *location = t->location;
    struct plan_options options = {0};
    enum lc rc = files_options(t, &options, err);

    if (rc == LC_OK && (*out = plan_read_source(t->format, &location, 1, &options,
                                                schema ? dtype_ref(schema) : NULL)) == NULL)
        rc = err_nomem(err);
    plan_options_release(&options);
    return rc;
}

enum lc files_read(const struct catalog_table *t, const char *full, const struct plan **out, struct err *err)
{
    struct found f = {.n_partition = json_array_size(files_partitions(t))};
    const struct dtype *schema = NULL;
    bool parquet = strcmp(t->format, "parquet") == 0;
    enum lc rc;

    if (t->schema_json)
        TRY(dtype_from_json_text(t->schema_json, strlen(t->schema_json), &schema, err));
    if (!schema || (!fs_is_dir(t->location) && (fs_exists(t->location) || strpbrk(t->location, "*?[{")))) {
        rc = source_of(t, schema, out, err); /* files by a pattern */
        dtype_unref(schema);
        return rc;
    }
    rc = files_each(t, note_file, &f, err);
    if (rc == LC_OK && (parquet || f.n == 0))
        rc = scan_of(t, full, schema, &f, parquet, out, err);
    else if (rc == LC_OK)
        rc = source_of(t, schema, out, err);
    dtype_unref(schema);
    found_release(&f);
    return rc;
}
