/* Rows into a table: files first, then one commit that names them. */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/plan.h"
#include "runtime/delta/delta_int.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct writing { /* one attempt */
    const struct ctx *ctx;
    const struct delta_engine *engine;
    const char *location;
    const struct delta_write *w;
    struct storage storage;
    char *dir;                       /* owned: the local folder of the location */
    struct delta_snapshot *table;    /* owned; NULL: there is none yet */
    const struct dtype *schema;      /* owned: of the table after the write */
    const char *const *partition_by; /* borrowed from w or table */
    size_t n_partition_by;
    bool new_metadata, overwrites, mapped;
    const struct delta_rewrite *rewrite; /* NULL: a write */
    json_t *configuration;               /* owned: of the table after the write */
    const struct dtype *physical;        /* owned: schema with the names that files have */
    struct written_files files;          /* owned */
    struct delta_commit commit;
};

static void writing_release(struct writing *a)
{
    mem_free(a->dir);
    delta_close(a->table);
    dtype_unref(a->schema);
    dtype_unref(a->physical);
    json_decref(a->configuration);
    written_files_release(&a->files);
    buf_release(&a->commit.text);
    json_decref(a->commit.removed);
}

/* ---- the actions ---- */
static const char *mode_name(const struct writing *a)
{
    static const char *const names[] = {"Append", "Overwrite", "ErrorIfExists", "Ignore"};

    return names[a->w->mode];
}

static const char *operation_name(const struct delta_write *w, bool rows)
{
    if (w->replace)
        return rows ? "CREATE OR REPLACE TABLE AS SELECT" : "CREATE OR REPLACE TABLE";
    if (w->create)
        return rows ? "CREATE TABLE AS SELECT" : "CREATE TABLE";
    return rows ? "WRITE" : "CREATE TABLE";
}

static json_t *parameters(const struct writing *a, const char *operation)
{
    json_t *p = json_object(), *properties = json_object();
    bool ok = p && properties;

    ok = ok && delta_set_json_text(p, "partitionBy", delta_text_array(a->partition_by, a->n_partition_by));
    if (strcmp(operation, "WRITE") == 0) {
        ok = ok && json_object_set_new(p, "mode", json_string(mode_name(a))) == 0;
    } else {
        for (size_t i = 0; ok && i < a->w->n_properties; i++)
            ok = json_object_set_new(properties, a->w->properties[i].name,
                                     json_string(a->w->properties[i].value)) == 0;
        ok = ok && delta_set_json_text(p, "properties", json_incref(properties));
        ok = ok && json_object_set_new(p, "description",
                                       a->w->description ? json_string(a->w->description) : json_null()) == 0;
    }
    json_decref(properties);
    if (ok)
        return p;
    json_decref(p);
    return NULL;
}

static bool set_metric(json_t *o, const char *name, int64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%lld", (long long)value);
    return json_object_set_new(o, name, json_string(text)) == 0;
}

static json_t *metrics(const struct writing *a)
{
    json_t *m = json_object();
    bool ok = m && set_metric(m, "numFiles", (int64_t)a->files.n) &&
              set_metric(m, "numOutputRows", a->files.rows) &&
              set_metric(m, "numOutputBytes", a->files.bytes);

    if (ok && a->overwrites && a->table)
        ok = set_metric(m, "numRemovedFiles", (int64_t)a->table->n_files);
    if (ok)
        return m;
    json_decref(m);
    return NULL;
}

static json_t *given(const json_t *o)
{
    return o ? json_incref((json_t *)o) : json_object();
}

static bool add_info(struct writing *a, bool rows)
{
    const char *operation = a->rewrite ? a->rewrite->operation : operation_name(a->w, rows);
    json_t *info = json_pack("{s:I,s:s,s:o?,s:b,s:s,s:s}", "timestamp", (json_int_t)clock_wall_ms(),
                             "operation", operation, "operationParameters",
                             a->rewrite ? given(a->rewrite->parameters) : parameters(a, operation),
                             "isBlindAppend", a->commit.blind_append, "isolationLevel", "WriteSerializable",
                             "engineInfo", "lacus/" LACUS_VERSION);
    bool ok = info != NULL;

    if (ok && rows)
        ok = json_object_set_new(info, "operationMetrics",
                                 a->rewrite ? given(a->rewrite->metrics) : metrics(a)) == 0;
    if (ok && a->table)
        ok = json_object_set_new(info, "readVersion", json_integer(a->table->version)) == 0;
    if (ok && a->ctx && a->ctx->principal && *a->ctx->principal)
        ok = json_object_set_new(info, "userName", json_string(a->ctx->principal)) == 0;
    if (ok)
        return delta_commit_line(&a->commit, "commitInfo", info);
    json_decref(info);
    return false;
}

/* The properties of the table after the write. */
static json_t *configuration(const struct writing *a)
{
    json_t *o = json_object();
    const struct delta_property *p = a->table && !a->w->replace ? a->table->properties : a->w->properties;
    size_t n = a->table && !a->w->replace ? a->table->n_properties : a->w->n_properties;

    for (size_t i = 0; o && i < n; i++)
        if (json_object_set_new(o, p[i].name, json_string(p[i].value)) != 0) {
            json_decref(o);
            return NULL;
        }
    return o;
}

static bool add_metadata(struct writing *a)
{
    const struct delta_metadata m = {.table = a->table,
                                     .name = a->table ? a->table->name : a->w->name,
                                     .description = a->table && !a->w->replace ? a->table->description
                                                                               : a->w->description,
                                     .schema = a->schema,
                                     .partition_columns = a->partition_by,
                                     .n_partition_columns = a->n_partition_by,
                                     .configuration = a->configuration};
    json_t *action = delta_metadata_action(&m);

    return action && delta_commit_line(&a->commit, "metaData", action);
}

static enum lc add_protocol(struct writing *a, struct err *err)
{
    json_t *p;

    TRY(delta_protocol_for(a->table, a->schema, a->configuration, &p, err));
    delta_drop_versions(a->configuration);
    return !p || delta_commit_line(&a->commit, "protocol", p) ? LC_OK : err_nomem(err);
}

static bool add_removes(struct writing *a)
{
    const struct delta_snapshot *t = a->table;

    for (size_t i = 0; i < t->n_files; i++) {
        const struct delta_file *f = &t->files[i];
        struct buf path = BUF_INIT(1 << 20);
        json_t *values, *remove;
        if (a->rewrite && !a->rewrite->files[i])
            continue;
        values = json_object();
        delta_path_encode(&path, f->path);
        for (size_t k = 0; values && k < t->n_partition_columns; k++)
            json_object_set_new(values, t->partition_names[k],
                                f->partitions[k] ? json_string(f->partitions[k]) : json_null());
        remove = json_pack("{s:s,s:I,s:b,s:b,s:o?,s:I}", "path", buf_str(&path), "deletionTimestamp",
                           (json_int_t)clock_wall_ms(), "dataChange", 1, "extendedFileMetadata", 1,
                           "partitionValues", values, "size", (json_int_t)f->size);
        buf_release(&path);
        if (!remove || !delta_commit_line(&a->commit, "remove", remove))
            return false;
    }
    return true;
}

/* Engines give "2024-01-02 03:04:05+00" for an instant; Delta has it without the zone, in UTC. */
static json_t *partition_value(const struct writing *a, const char *column, const char *text)
{
    long at = dtype_field_index(a->schema, column);
    const struct dtype *type = at >= 0 ? a->schema->fields[at].type : dtype_of(DTYPE_STRING);
    size_t n = text ? strlen(text) : 0;

    if (!text)
        return json_null();
    if (type->id == DTYPE_TIMESTAMP && n > 3 && strcmp(text + n - 3, "+00") == 0)
        n -= 3;
    else if (type->id == DTYPE_TIMESTAMP && n > 6 && strcmp(text + n - 6, "+00:00") == 0)
        n -= 6;
    return json_stringn(text, n);
}

/* The name that files have for a column. */
static const char *physical_of(const struct writing *a, const char *column)
{
    long at = dtype_field_index(a->schema, column);

    return at >= 0 ? a->physical->fields[at].name : column;
}

static bool add_file(struct writing *a, const struct written_file *f)
{
    struct buf path = BUF_INIT(1 << 20), stats = BUF_INIT(1 << 20);
    json_t *values = json_object(), *add;
    bool ok = values && delta_path_encode(&path, f->path) && delta_stats(a->physical, f, &stats);

    for (size_t i = 0; ok && i < f->n_partition; i++)
        ok = json_object_set_new(values, physical_of(a, a->partition_by[i]),
                                 partition_value(a, a->partition_by[i], f->partition[i])) == 0;
    add = ok ? json_pack("{s:s,s:O,s:I,s:I,s:b,s:s}", "path", buf_str(&path), "partitionValues", values,
                         "size", (json_int_t)f->size, "modificationTime", (json_int_t)clock_wall_ms(),
                         "dataChange", 1, "stats", buf_str(&stats))
             : NULL;
    json_decref(values);
    buf_release(&path);
    buf_release(&stats);
    return add && delta_commit_line(&a->commit, "add", add);
}

static enum lc build_commit(struct writing *a, bool rows, struct err *err)
{
    bool ok;

    a->commit.location = a->location;
    a->commit.read_version = a->table ? a->table->version : -1;
    a->commit.blind_append = a->table && !a->overwrites && !a->w->reads;
    buf_init(&a->commit.text, DELTA_COMMIT_BYTES_MAX);
    ok = add_info(a, rows);
    if (ok && a->new_metadata)
        TRY(add_protocol(a, err));
    if (ok && a->new_metadata)
        ok = add_metadata(a);
    if (ok && a->overwrites && a->table)
        ok = add_removes(a);
    for (size_t i = 0; ok && i < a->files.n; i++)
        if (a->files.files[i].rows > 0)
            ok = add_file(a, &a->files.files[i]);
    return ok ? LC_OK : buf_check(&a->commit.text, err) == LC_LIMIT ? LC_LIMIT : err_nomem(err);
}

/* ---- the attempt ---- */
static enum lc check_partitions(const struct writing *a, struct err *err)
{
    for (size_t i = 0; i < a->n_partition_by; i++) {
        long at = dtype_field_index(a->schema, a->partition_by[i]);
        if (at < 0)
            return err_set(err, LC_ENGINE,
                           "[DELTA_PARTITION_COLUMN_NOT_FOUND] cannot partition by '%s': it is not among the "
                           "columns",
                           a->partition_by[i]);
        if (!dtype_is_atomic(a->schema->fields[at].type))
            return err_set(
                err, LC_ENGINE,
                "[DELTA_INVALID_PARTITION_COLUMN_TYPE] cannot partition by '%s': its type is nested",
                a->partition_by[i]);
    }
    if (a->n_partition_by > 0 && a->n_partition_by >= a->schema->n_fields)
        return err_set(err, LC_ENGINE,
                       "[ALL_PARTITION_COLUMNS_NOT_ALLOWED] cannot partition by all columns of a table");
    return LC_OK;
}

static enum lc same_partitions(const struct writing *a, struct err *err)
{
    const struct delta_snapshot *t = a->table;
    bool same = a->w->n_partition_by == t->n_partition_columns;

    for (size_t i = 0; same && i < t->n_partition_columns; i++)
        same = strcasecmp(t->partition_columns[i], a->w->partition_by[i]) == 0;
    if (same || a->w->n_partition_by == 0)
        return LC_OK;
    err_set(err, LC_ENGINE,
            "[DELTA_PARTITION_MISMATCH] cannot write to '%s': it is partitioned by other columns",
            a->location);
    return err_hint(err, "leave partitionBy out, or replace the table with mode('overwrite') and "
                         "option('overwriteSchema', true)");
}

/* Ids and physical names for columns that have none, and the names that files get. */
static enum lc finish_schema(struct writing *a, struct err *err)
{
    const struct dtype *complete = NULL;

    if (!a->configuration && (a->configuration = configuration(a)) == NULL)
        return err_nomem(err);
    a->mapped = delta_metadata_is_mapped(a->configuration);
    if (a->new_metadata) {
        TRY(delta_schema_check(a->schema, a->mapped, err));
        TRY(delta_mapping_complete(a->schema, a->configuration, false, &complete, err));
        dtype_unref(a->schema);
        a->schema = complete;
    }
    a->physical = delta_mapping_physical(a->schema, a->mapped);
    return a->physical ? LC_OK : err_nomem(err);
}

/* What the table will look like: a->schema, a->partition_by, a->new_metadata. */
static enum lc plan_schema(struct writing *a, const struct dtype *rows, struct err *err)
{
    const struct dtype *old = NULL;
    enum lc rc;

    if (!a->table || (a->overwrites && (a->w->overwrite_schema || a->w->replace))) {
        a->schema = a->w->schema ? dtype_ref(a->w->schema) : delta_schema_nullable(rows);
        a->partition_by = a->w->partition_by;
        a->n_partition_by = a->w->n_partition_by;
        a->new_metadata = true;
        return a->schema ? finish_schema(a, err) : err_nomem(err);
    }
    TRY(same_partitions(a, err));
    a->partition_by = a->table->partition_columns;
    a->n_partition_by = a->table->n_partition_columns;
    TRY(dtype_from_json_text(a->table->schema_json, strlen(a->table->schema_json), &old, err));
    rc = delta_schema_merge(old, rows, a->w, &a->schema, err);
    a->new_metadata = rc == LC_OK && a->schema->n_fields != old->n_fields;
    dtype_unref(old);
    return rc == LC_OK ? finish_schema(a, err) : rc;
}

/* The rows' own mapping, if they come from a table that has one, is not that of this table. */
static enum lc plan_columns(struct writing *a, const struct dtype *rows, struct err *err)
{
    const struct dtype *plain = NULL;
    enum lc rc;

    TRY(delta_mapping_complete(rows, NULL, false, &plain, err));
    rc = plan_schema(a, plain, err);
    dtype_unref(plain);
    return rc;
}

static enum lc check_nulls(const struct writing *a, struct err *err)
{
    for (size_t i = 0; i < a->schema->n_fields; i++) {
        const struct dfield *f = &a->schema->fields[i];
        for (size_t k = 0; !f->nullable && k < a->files.n; k++)
            for (size_t c = 0; c < a->files.files[k].n_columns; c++) {
                const struct column_stats *s = &a->files.files[k].columns[c];
                if (strcmp(s->name, a->physical->fields[i].name) == 0 && s->null_count > 0)
                    return err_set(err, LC_RUNTIME,
                                   "[DELTA_NOT_NULL_CONSTRAINT_VIOLATED] cannot write to '%s': the column "
                                   "'%s' may not be NULL, and %lld row%s NULL there",
                                   a->location, f->name, (long long)s->null_count,
                                   s->null_count == 1 ? " has" : "s have");
            }
    }
    return LC_OK;
}

/* An unreferenced file that cannot be removed stays: it harms nobody. */
static void drop_files(const struct writing *a)
{
    struct ctx ctx = ctx_background(); /* also after an interrupt */
    struct err ignored;
    size_t left = 0;

    for (size_t i = 0; i < a->files.n; i++) {
        char *path = fs_join(a->location, a->files.files[i].path);
        left += path && storage_remove(&ctx, &a->storage, path, &ignored) != LC_OK;
        mem_free(path);
    }
    (void)left;
}

/* Writes rows that have exactly the table's columns, under the names that files have. */
static enum lc write_aligned(struct writing *a, const struct plan *aligned, struct err *err)
{
    const struct engine_ops *ops = a->engine->ops;
    struct arena *arena = arena_new(0);
    size_t n = a->physical->n_fields;
    const char **names = arena ? arena_zalloc(arena, (n + 1) * sizeof *names) : NULL;
    const char **partition_by =
        arena ? arena_zalloc(arena, (a->n_partition_by + 1) * sizeof *partition_by) : NULL;
    struct write_spec spec = {
        .dir = a->dir, .format = "parquet", .n_partition = a->n_partition_by, .zones = true};
    const struct plan *renamed = NULL;
    enum lc rc = names && partition_by ? LC_OK : err_nomem(err);

    for (size_t i = 0; rc == LC_OK && i < n; i++)
        names[i] = a->physical->fields[i].name;
    for (size_t i = 0; rc == LC_OK && i < a->n_partition_by; i++)
        partition_by[i] = physical_of(a, a->partition_by[i]);
    if (rc == LC_OK) {
        spec.partition_by = partition_by;
        spec.field_ids = delta_mapping_ids(arena, a->schema, a->mapped);
        renamed = a->mapped ? plan_to_df(plan_ref(aligned), names, n) : plan_ref(aligned);
        rc = renamed ? fs_mkdirs(a->dir, err) : err_nomem(err);
    }
    if (rc == LC_OK)
        rc = ops->write_files(a->engine->engine, a->ctx, renamed, &spec, &a->files, err);
    plan_unref(renamed);
    arena_free(arena);
    return rc;
}

static enum lc write_rows(struct writing *a, const struct plan *plan, struct err *err)
{
    const struct engine_ops *ops = a->engine->ops;
    const struct dtype *rows = NULL;
    const struct plan *aligned = NULL;
    enum lc rc = ops->analyze(a->engine->engine, a->ctx, plan, &rows, err);

    if (rc == LC_OK)
        rc = plan_columns(a, rows, err);
    if (rc == LC_OK)
        rc = check_partitions(a, err);
    if (rc == LC_OK)
        rc = delta_schema_align(plan, rows, a->schema, a->w->by_position && !a->new_metadata, &aligned, err);
    if (rc == LC_OK)
        rc = write_aligned(a, aligned, err);
    if (rc == LC_OK)
        rc = check_nulls(a, err);
    plan_unref(aligned);
    dtype_unref(rows);
    return rc;
}

/* Opens the table, if there is one, and says whether anything is to be written. */
static enum lc open_table(struct writing *a, bool *go, struct err *err)
{
    bool exists;

    *go = true;
    TRY(storage_open(a->location, &a->storage, err));
    if ((a->dir = storage_local_path(&a->storage, a->location)) == NULL)
        return err_nomem(err);
    TRY(delta_exists(a->ctx, a->location, &exists, err));
    if (!exists)
        return LC_OK;
    if (a->w->mode == DELTA_IGNORE) {
        *go = false;
        return LC_OK;
    }
    if (a->w->mode == DELTA_ERROR) {
        err_set(err, LC_EXISTS, "cannot write to '%s': there is a table already", a->location);
        return err_hint(err, "use mode('append') or mode('overwrite')");
    }
    TRY(delta_open(a->ctx, a->engine, a->location, a->w->reads ? a->w->read_version : DELTA_LATEST, &a->table,
                   err));
    TRY(delta_check_writer(a->table, err));
    a->overwrites = a->w->mode == DELTA_OVERWRITE;
    if (a->overwrites && delta_property(a->table, "delta.appendOnly") &&
        strcasecmp(delta_property(a->table, "delta.appendOnly"), "true") == 0)
        return err_set(err, LC_PERM,
                       "[DELTA_CANNOT_MODIFY_APPEND_ONLY] cannot overwrite '%s': its property "
                       "delta.appendOnly is true",
                       a->location);
    return LC_OK;
}

static bool has_v2_checkpoints(const struct delta_snapshot *t)
{
    for (size_t i = 0; i < t->n_writer_features; i++)
        if (strcmp(t->writer_features[i], "v2Checkpoint") == 0)
            return true;
    return false;
}

/* A checkpoint makes reading faster; without one the table is as good. */
static void maybe_checkpoint(const struct writing *a, int64_t version)
{
    enum { DEFAULT_INTERVAL = 10 };
    const char *set = a->table ? delta_property(a->table, "delta.checkpointInterval") : NULL;
    long interval = set ? strtol(set, NULL, 10) : DEFAULT_INTERVAL;
    struct err ignored;

    if (interval <= 0)
        interval = DEFAULT_INTERVAL;
    if (!a->table || version == 0 || version % interval != 0 || has_v2_checkpoints(a->table))
        return;
    if (delta_checkpoint_write(a->ctx, a->engine, a->location, version, &ignored) != LC_OK)
        return; /* the next one will be tried again */
}

static enum lc commit_written(struct writing *a, struct delta_written *out, struct err *err)
{
    TRY(build_commit(a, true, err));
    TRY(delta_commit_put(a->ctx, &a->commit, &out->version, err));
    out->rows = a->files.rows;
    out->files = (int64_t)a->files.n;
    out->bytes = a->files.bytes;
    maybe_checkpoint(a, out->version);
    return LC_OK;
}

static enum lc attempt(struct writing *a, const struct plan *plan, struct delta_written *out, struct err *err)
{
    bool go;

    TRY(open_table(a, &go, err));
    if (!go)
        return LC_OK;
    TRY(write_rows(a, plan, err));
    return commit_written(a, out, err);
}

enum lc delta_write(const struct ctx *ctx, const struct delta_engine *engine, const struct plan *plan,
                    const char *location, const struct delta_write *w, struct delta_written *out,
                    struct err *err)
{
    for (;;) {
        struct writing a = {.ctx = ctx, .engine = engine, .location = location, .w = w};
        enum lc rc;
        bool again;
        *out = (struct delta_written){.version = -1};
        rc = attempt(&a, plan, out, err);
        if (rc != LC_OK)
            drop_files(&a);
        /* somebody else made the table first: now it is one to write to */
        again = rc == LC_EXISTS && !a.table && w->mode != DELTA_ERROR;
        writing_release(&a);
        if (!again)
            return rc;
        TRY(ctx_check(ctx, err));
    }
}

/* The plan's rows as files of the table, and a commit in which they stand for those that go. */
static enum lc rewrite(struct writing *a, struct delta_written *out, struct err *err)
{
    const struct delta_rewrite *r = a->rewrite;
    const char *append_only = delta_property(r->t, "delta.appendOnly");

    TRY(storage_open(a->location, &a->storage, err));
    if ((a->dir = storage_local_path(&a->storage, a->location)) == NULL)
        return err_nomem(err);
    TRY(delta_check_writer(r->t, err));
    if (append_only && strcasecmp(append_only, "true") == 0)
        return err_set(err, LC_PERM,
                       "[DELTA_CANNOT_MODIFY_APPEND_ONLY] cannot change rows of '%s': its property "
                       "delta.appendOnly is true",
                       a->location);
    TRY(delta_open(a->ctx, a->engine, a->location, r->t->version, &a->table, err));
    a->overwrites = true;
    if (r->plan)
        TRY(write_rows(a, r->plan, err));
    return commit_written(a, out, err);
}

enum lc delta_rewrite(const struct ctx *ctx, const struct delta_engine *engine, const struct delta_rewrite *r,
                      struct delta_written *out, struct err *err)
{
    static const struct delta_write append = {.mode = DELTA_APPEND};
    struct writing a = {.ctx = ctx, .engine = engine, .location = r->t->location, .w = &append, .rewrite = r};
    bool goes = r->plan != NULL;
    enum lc rc;

    *out = (struct delta_written){.version = -1};
    for (size_t i = 0; i < r->t->n_files; i++)
        goes |= r->files[i];
    if (!goes)
        return LC_OK;
    rc = rewrite(&a, out, err);
    if (rc != LC_OK)
        drop_files(&a);
    writing_release(&a);
    return rc;
}

enum lc delta_create(const struct ctx *ctx, const char *location, const char *schema_json,
                     const struct delta_write *w, struct err *err)
{
    struct writing a = {.ctx = ctx, .location = location, .w = w, .new_metadata = true};
    int64_t version;
    enum lc rc = dtype_from_json_text(schema_json, strlen(schema_json), &a.schema, err);

    a.partition_by = w->partition_by;
    a.n_partition_by = w->n_partition_by;
    if (rc == LC_OK)
        rc = finish_schema(&a, err);
    if (rc == LC_OK)
        rc = check_partitions(&a, err);
    if (rc == LC_OK)
        rc = build_commit(&a, false, err);
    if (rc == LC_OK)
        rc = delta_commit_put(ctx, &a.commit, &version, err);
    if (rc == LC_EXISTS)
        rc = err_set(err, LC_EXISTS, "cannot make a table at '%s': there is one already", location);
    writing_release(&a);
    return rc;
}
