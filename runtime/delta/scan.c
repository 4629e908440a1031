/* A snapshot as a plan's scan. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/plan.h"
#include "runtime/delta/delta_int.h"
#include <string.h>

bool delta_is_mapped(const struct delta_snapshot *t)
{
    const char *mode = delta_property(t, "delta.columnMapping.mode");

    return mode && strcmp(mode, "none") != 0;
}

const char *delta_physical_name(struct arena *a, const struct dfield *f, bool mapped)
{
    json_t *o = mapped && f->metadata ? json_loads(f->metadata, 0, NULL) : NULL;
    const char *name = json_string_value(json_object_get(o, "delta.columnMapping.physicalName"));

    name = arena_strdup(a, name ? name : f->name);
    json_decref(o);
    return name;
}

/* Nested columns are found by their logical names, so a physical one that differs cannot be read. */
static enum lc check_nested(struct arena *a, const struct delta_snapshot *t, const struct dtype *type,
                            struct err *err)
{
    if (type->element)
        TRY(check_nested(a, t, type->element, err));
    if (type->key)
        TRY(check_nested(a, t, type->key, err));
    for (size_t i = 0; i < type->n_fields; i++) {
        const char *name = delta_physical_name(a, &type->fields[i], true);
        if (!name)
            return err_nomem(err);
        if (strcmp(name, type->fields[i].name) != 0)
            return err_set(
                err, LC_UNSUPPORTED,
                "cannot read the table '%s': the nested column '%s' was mapped to another name (Delta "
                "table feature 'columnMapping')",
                t->location, type->fields[i].name);
        TRY(check_nested(a, t, type->fields[i].type, err));
    }
    return LC_OK;
}

static enum lc set_names(struct arena *a, const struct delta_snapshot *t, struct scan *s, struct err *err)
{
    const char **names = arena_zalloc(a, (s->schema->n_fields + 1) * sizeof *names);

    if (!names)
        return err_nomem(err);
    for (size_t i = 0; i < s->schema->n_fields; i++) {
        TRY(check_nested(a, t, s->schema->fields[i].type, err));
        names[i] = delta_physical_name(a, &s->schema->fields[i], true);
        if (!names[i])
            return err_nomem(err);
    }
    return scan_set_physical(s, names) ? LC_OK : err_nomem(err);
}

/* The engine opens files by the names that this machine has for them. */
static enum lc set_file(const struct delta_snapshot *t, const struct storage *storage, struct scan *s,
                        size_t i, size_t at, struct err *err)
{
    char *location = delta_file_location(t, &t->files[i]), *path;
    struct storage other = *storage;
    enum lc rc = location ? LC_OK : err_nomem(err);

    if (rc == LC_OK && (t->files[i].path[0] == '/' || strstr(t->files[i].path, ":/")))
        rc = storage_open(location, &other, err);
    path = rc == LC_OK ? storage_local_path(&other, location) : NULL;
    if (rc == LC_OK && (!path || !scan_set_file(s, at, path, t->files[i].size, t->files[i].partitions)))
        rc = err_nomem(err);
    mem_free(path);
    mem_free(location);
    return rc;
}

static const struct dtype *with_places(const struct dtype *schema)
{
    const struct dtype *out = dtype_struct_new(schema->n_fields + 2);

    for (size_t i = 0; i < schema->n_fields; i++)
        out = dtype_struct_add(out, schema->fields[i].name, dtype_ref(schema->fields[i].type),
                               schema->fields[i].nullable, schema->fields[i].metadata);
    out = dtype_struct_add(out, DELTA_FILE_COLUMN, dtype_ref(dtype_of(DTYPE_STRING)), true, NULL);
    return dtype_struct_add(out, DELTA_ROW_COLUMN, dtype_ref(dtype_of(DTYPE_LONG)), true, NULL);
}

static enum lc read_schema(const struct delta_snapshot *t, const char *table, bool places,
                           const struct dtype **out, struct err *err)
{
    const struct dtype *schema = NULL;
    enum lc rc = dtype_from_json_text(t->schema_json, strlen(t->schema_json), &schema, err);

    if (rc != LC_OK) {
        err_wrap(err, "cannot read the table '%s': the schema in its Delta log is not valid", table);
        return rc == LC_PARSE ? LC_DATA : rc;
    }
    *out = places ? with_places(schema) : dtype_ref(schema);
    dtype_unref(schema);
    return *out ? LC_OK : err_nomem(err);
}

static enum lc scan_files(const struct delta_snapshot *t, const char *table, const bool *files, bool places,
                          struct scan **out, struct err *err)
{
    const struct dtype *schema = NULL;
    struct storage storage;
    struct scan *s;
    struct arena *a;
    size_t n = 0, at = 0;
    enum lc rc;

    *out = NULL;
    for (size_t i = 0; i < t->n_files; i++)
        n += !files || files[i];
    TRY(storage_open(t->location, &storage, err));
    TRY(read_schema(t, table, places, &schema, err));
    s = scan_new(table, schema, t->partition_columns, t->n_partition_columns, n);
    a = arena_new(0);
    rc = s && a ? LC_OK : err_nomem(err);
    if (rc == LC_OK && delta_is_mapped(t))
        rc = set_names(a, t, s, err);
    for (size_t i = 0; rc == LC_OK && i < t->n_files; i++)
        if (!files || files[i])
            rc = set_file(t, &storage, s, i, at++, err);
    arena_free(a);
    if (rc == LC_OK) {
        s->version = t->version;
        s->places = places;
        *out = s;
    } else {
        scan_unref(s);
    }
    return rc;
}

enum lc delta_scan(const struct delta_snapshot *t, const char *table, struct scan **out, struct err *err)
{
    return scan_files(t, table, NULL, false, out, err);
}

enum lc delta_scan_places(const struct delta_snapshot *t, const char *table, const bool *files,
                          struct scan **out, struct err *err)
{
    return scan_files(t, table, files, true, out, err);
}
