#include "runtime/spark/describe.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/spark/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what a name is ---- */
struct subject {
    bool named;                   /* has a row in the catalog: table is filled */
    struct catalog_table table;   /* owned */
    char *location;               /* owned; NULL: a temporary view */
    const char *format;           /* borrowed */
    const struct dtype *schema;   /* owned */
    struct delta_snapshot *delta; /* owned; NULL: not a Delta table */
};

static void subject_release(struct subject *s)
{
    catalog_table_release(&s->table);
    mem_free(s->location);
    dtype_unref(s->schema);
    delta_close(s->delta);
    *s = (struct subject){0};
}

static enum lc analyze(const struct ctx *ctx, const struct spark_env *env, const struct plan *plan,
                       const struct dtype **schema, struct err *err)
{
    const struct plan *resolved;
    enum lc rc;

    TRY(catalog_resolve_quietly(ctx, env->catalog, &env->engine, plan, &resolved, err));
    rc = env->engine.ops->analyze(env->engine.engine, ctx, resolved, schema, err);
    plan_unref(resolved);
    return rc;
}

static enum lc analyze_name(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                            const struct dtype **schema, struct err *err)
{
    struct plan_options none = {0};
    const struct plan *read = plan_read_table(name->items, name->n, &none);
    enum lc rc = read ? analyze(ctx, env, read, schema, err) : err_nomem(err);

    plan_unref(read);
    return rc;
}

static enum lc open_delta(const struct ctx *ctx, const struct spark_env *env, struct subject *s,
                          struct err *err)
{
    TRY(delta_open(ctx, &env->engine, s->location, DELTA_LATEST, &s->delta, err));
    return dtype_from_json_text(s->delta->schema_json, strlen(s->delta->schema_json), &s->schema, err);
}

/* Tables, delta.`/path`, temporary views. */
static enum lc find(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                    struct subject *s, struct err *err)
{
    struct catalog_name full;

    if (name->n == 1 && catalog_view(env->catalog, name->items[0])) {
        s->format = "view";
        return analyze_name(ctx, env, name, &s->schema, err);
    }
    if (name->n == 2 && strcasecmp(name->items[0], "delta") == 0) {
        s->format = "delta";
        s->location = fs_absolute(name->items[1]);
        return s->location ? open_delta(ctx, env, s, err) : err_nomem(err);
    }
    TRY(catalog_complete_parts(env->catalog, name->items, name->n, &full, err));
    TRY(catalog_get_table(ctx, env->catalog, &full, &s->table, err));
    s->named = true;
    s->format = s->table.format;
    s->location = mem_strdup(s->table.location);
    if (!s->location)
        return err_nomem(err);
    if (strcmp(s->format, "delta") == 0)
        return open_delta(ctx, env, s, err);
    return analyze_name(ctx, env, name, &s->schema, err);
}

static enum lc need_delta(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                          struct subject *s, struct err *err)
{
    enum lc rc = find(ctx, env, name, s, err);

    if (rc == LC_OK && !s->delta)
        rc = err_set(err, LC_UNSUPPORTED, "'%s' is no Delta table, so it has no versions",
                     name->items[name->n - 1]);
    if (rc != LC_OK)
        subject_release(s);
    return rc;
}

/* ---- DESCRIBE TABLE ---- */
static void row(struct table *t, const char *a, const char *b, const char *c)
{
    table_text(t, a);
    table_text(t, b);
    table_text(t, c);
}

static void field_row(struct table *t, const struct dfield *f)
{
    struct buf type = BUF_INIT(1 << 16);
    json_t *metadata = f->metadata ? json_loads(f->metadata, 0, NULL) : NULL;

    dtype_simple(f->type, &type);
    row(t, f->name, buf_str(&type), json_string_value(json_object_get(metadata, "comment")));
    json_decref(metadata);
    buf_release(&type);
}

static void partition_rows(struct table *t, const struct subject *s)
{
    if (!s->delta || s->delta->n_partition_columns == 0)
        return;
    row(t, "# Partition Information", "", "");
    row(t, "# col_name", "data_type", "comment");
    for (size_t i = 0; i < s->delta->n_partition_columns; i++) {
        long at = dtype_field_index(s->schema, s->delta->partition_columns[i]);
        if (at >= 0)
            field_row(t, &s->schema->fields[at]);
    }
}

static void property_text(const json_t *properties, struct buf *out)
{
    const char *key;
    json_t *value;

    buf_putc(out, '[');
    json_object_foreach ((json_t *)properties, key, value)
        buf_printf(out, "%s%s=%s", out->len > 1 ? "," : "", key, json_string_value(value));
    buf_putc(out, ']');
}

static void detail_rows(struct table *t, const struct subject *s)
{
    char text[3 * CATALOG_NAME_MAX], time[ISO_TEXT];
    struct buf properties = BUF_INIT(1 << 16);

    row(t, "", "", "");
    row(t, "# Detailed Table Information", "", "");
    if (s->named) {
        row(t, "Catalog", s->table.name.catalog, "");
        row(t, "Database", s->table.name.schema, "");
        row(t, "Table", s->table.name.table, "");
        catalog_name_text(&s->table.name, text, sizeof text);
        clock_iso(s->table.created_ms, time);
        row(t, "Name", text, "");
        row(t, "Owner", s->table.owner, "");
        row(t, "Created Time", time, "");
        row(t, "Type", s->table.kind == CATALOG_MANAGED ? "MANAGED" : "EXTERNAL", "");
        if (s->table.comment)
            row(t, "Comment", s->table.comment, "");
        property_text(s->table.properties, &properties);
        row(t, "Table Properties", buf_str(&properties), "");
    }
    row(t, "Provider", s->format, "");
    if (s->location)
        row(t, "Location", s->location, "");
    if (s->delta) {
        snprintf(text, sizeof text, "%lld", (long long)s->delta->version);
        row(t, "Delta Version", text, "");
    }
    buf_release(&properties);
}

static void describe_start(struct table *t)
{
    table_column(t, "col_name", DTYPE_STRING);
    table_column(t, "data_type", DTYPE_STRING);
    table_column(t, "comment", DTYPE_STRING);
}

enum lc describe_table(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                       bool extended, const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    enum lc rc = find(ctx, env, name, &s, err);

    if (rc == LC_OK) {
        describe_start(&t);
        for (size_t i = 0; i < s.schema->n_fields; i++)
            field_row(&t, &s.schema->fields[i]);
        partition_rows(&t, &s);
        if (extended)
            detail_rows(&t, &s);
        rc = table_plan(&t, out, err);
    }
    subject_release(&s);
    return rc;
}

enum lc describe_query(const struct ctx *ctx, const struct spark_env *env, const struct plan *plan,
                       const struct plan **out, struct err *err)
{
    const struct dtype *schema = NULL;
    struct table t = TABLE_INIT;

    TRY(analyze(ctx, env, plan, &schema, err));
    describe_start(&t);
    for (size_t i = 0; i < schema->n_fields; i++)
        field_row(&t, &schema->fields[i]);
    dtype_unref(schema);
    return table_plan(&t, out, err);
}

enum lc describe_columns(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                         const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    enum lc rc = find(ctx, env, name, &s, err);

    if (rc == LC_OK) {
        table_column(&t, "col_name", DTYPE_STRING);
        for (size_t i = 0; i < s.schema->n_fields; i++)
            table_text(&t, s.schema->fields[i].name);
        rc = table_plan(&t, out, err);
    }
    subject_release(&s);
    return rc;
}

static void put_list(struct buf *b, const char *before, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_puts(b, i ? ", " : before);
        name_quote(b, names[i]);
    }
    buf_puts(b, n ? ")\n" : "");
}

enum lc describe_create(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                        const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    struct buf b = BUF_INIT(1 << 22), type = BUF_INIT(1 << 20);
    enum lc rc;

    TRY(need_delta(ctx, env, name, &s, err));
    buf_puts(&b, "CREATE TABLE ");
    for (size_t i = 0; i < name->n; i++) {
        buf_puts(&b, i ? "." : "");
        name_quote(&b, name->items[i]);
    }
    buf_puts(&b, " (");
    for (size_t i = 0; i < s.schema->n_fields; i++) {
        buf_puts(&b, i ? ",\n  " : "\n  ");
        name_quote(&b, s.schema->fields[i].name);
        buf_clear(&type);
        dtype_sql(s.schema->fields[i].type, &type);
        buf_printf(&b, " %s%s", buf_str(&type), s.schema->fields[i].nullable ? "" : " NOT NULL");
    }
    buf_puts(&b, ")\nUSING delta\n");
    put_list(&b, "PARTITIONED BY (", s.delta->partition_columns, s.delta->n_partition_columns);
    for (size_t i = 0; i < s.delta->n_properties; i++)
        buf_printf(&b, "%s  '%s' = '%s'", i ? ",\n" : "TBLPROPERTIES (\n", s.delta->properties[i].name,
                   s.delta->properties[i].value);
    buf_puts(&b, s.delta->n_properties ? ")\n" : "");
    table_column(&t, "createtab_stmt", DTYPE_STRING);
    table_text(&t, buf_str(&b));
    rc = table_plan(&t, out, err);
    buf_release(&b);
    buf_release(&type);
    subject_release(&s);
    return rc;
}

enum lc describe_properties(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                            const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    char version[16];
    enum lc rc;

    TRY(need_delta(ctx, env, name, &s, err));
    table_column(&t, "key", DTYPE_STRING);
    table_column(&t, "value", DTYPE_STRING);
    for (size_t i = 0; i < s.delta->n_properties; i++) {
        table_text(&t, s.delta->properties[i].name);
        table_text(&t, s.delta->properties[i].value);
    }
    table_text(&t, "delta.minReaderVersion");
    snprintf(version, sizeof version, "%d", s.delta->reader_version);
    table_text(&t, version);
    table_text(&t, "delta.minWriterVersion");
    snprintf(version, sizeof version, "%d", s.delta->writer_version);
    table_text(&t, version);
    rc = table_plan(&t, out, err);
    subject_release(&s);
    return rc;
}

enum lc describe_schema(const struct ctx *ctx, const struct spark_env *env, const char *catalog,
                        const char *schema, const struct plan **out, struct err *err)
{
    struct catalog_list all;
    struct table t = TABLE_INIT;
    const char *comment = NULL;
    bool found = false;

    TRY(catalog_list_tables(ctx, env->catalog, catalog, schema, &all, err)); /* says when it is not there */
    catalog_list_release(&all);
    TRY(catalog_list_schemas(ctx, env->catalog, catalog, &all, err));
    for (size_t i = 0; !found && i < all.n; i++)
        if (strcasecmp(all.items[i].name, schema) == 0) {
            comment = all.items[i].comment;
            found = true;
        }
    table_column(&t, "info_name", DTYPE_STRING);
    table_column(&t, "info_value", DTYPE_STRING);
    table_text(&t, "Catalog Name");
    table_text(&t, catalog ? catalog : catalog_current(env->catalog));
    table_text(&t, "Namespace Name");
    table_text(&t, schema);
    table_text(&t, "Comment");
    table_text(&t, comment ? comment : "");
    catalog_list_release(&all);
    return table_plan(&t, out, err);
}

/* ---- DESCRIBE HISTORY, DETAIL ---- */
static const struct dtype *text_map(void)
{
    return dtype_map(dtype_of(DTYPE_STRING), dtype_of(DTYPE_STRING), true);
}

/* A JSON object as map<string,string>: values that are no texts as JSON. */
static void table_map(struct table *t, const json_t *o)
{
    enum { PAIRS = 64 };
    struct expr *args[2 * PAIRS];
    size_t n = 0;
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)o, key, value) {
        char *text = json_is_string(value) || json_is_null(value)
                         ? NULL
                         : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        const char *shown = text ? text : json_string_value(value);
        if (n + 2 <= 2 * PAIRS && shown) {
            args[n++] = expr_string(key, strlen(key));
            args[n++] = expr_string(shown, strlen(shown));
        }
        free(text);
    }
    if (n == 0)
        table_null(t);
    else
        table_expr(t, expr_cast(expr_call("map", false, args, n), text_map(), false));
}

static void table_list(struct table *t, const char *const *texts, size_t n)
{
    struct expr **args = mem_calloc(n + 1, sizeof(struct expr *));

    for (size_t i = 0; args && i < n; i++)
        args[i] = expr_string(texts[i], strlen(texts[i]));
    table_expr(t, args ? expr_cast(expr_call("array", false, args, n),
                                   dtype_array(dtype_of(DTYPE_STRING), true), false)
                       : NULL);
    mem_free(args);
}

static void history_row(struct table *t, const struct delta_history_entry *e)
{
    const json_t *info = e->info, *v;

    table_long(t, e->version);
    table_time(t, e->timestamp_ms);
    table_text(t, json_string_value(json_object_get(info, "userId")));
    table_text(t, json_string_value(json_object_get(info, "userName")));
    table_text(t, json_string_value(json_object_get(info, "operation")));
    table_map(t, json_object_get(info, "operationParameters"));
    v = json_object_get(info, "readVersion");
    if (json_is_integer(v))
        table_long(t, json_integer_value(v));
    else
        table_null(t);
    table_text(t, json_string_value(json_object_get(info, "isolationLevel")));
    v = json_object_get(info, "isBlindAppend");
    if (json_is_boolean(v))
        table_bool(t, json_is_true(v));
    else
        table_null(t);
    table_map(t, json_object_get(info, "operationMetrics"));
    table_text(t, json_string_value(json_object_get(info, "userMetadata")));
    table_text(t, json_string_value(json_object_get(info, "engineInfo")));
}

enum lc describe_history(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                         const struct plan **out, struct err *err)
{
    struct delta_history history = {0};
    struct subject s = {0};
    struct table t = TABLE_INIT;
    enum lc rc;

    TRY(need_delta(ctx, env, name, &s, err));
    rc = delta_history(ctx, s.location, 0, &history, err);
    subject_release(&s);
    TRY(rc);
    table_column(&t, "version", DTYPE_LONG);
    table_column(&t, "timestamp", DTYPE_TIMESTAMP);
    table_column(&t, "userId", DTYPE_STRING);
    table_column(&t, "userName", DTYPE_STRING);
    table_column(&t, "operation", DTYPE_STRING);
    table_column_type(&t, "operationParameters", text_map());
    table_column(&t, "readVersion", DTYPE_LONG);
    table_column(&t, "isolationLevel", DTYPE_STRING);
    table_column(&t, "isBlindAppend", DTYPE_BOOLEAN);
    table_column_type(&t, "operationMetrics", text_map());
    table_column(&t, "userMetadata", DTYPE_STRING);
    table_column(&t, "engineInfo", DTYPE_STRING);
    for (size_t i = 0; i < history.n; i++)
        history_row(&t, &history.entries[i]);
    delta_history_release(&history);
    return table_plan(&t, out, err);
}

static json_t *property_object(const struct delta_snapshot *d)
{
    json_t *o = json_object();

    for (size_t i = 0; o && i < d->n_properties; i++)
        json_object_set_new(o, d->properties[i].name, json_string(d->properties[i].value));
    return o;
}

static void detail_row(struct table *t, const struct subject *s)
{
    const struct delta_snapshot *d = s->delta;
    char name[3 * CATALOG_NAME_MAX];
    json_t *properties = property_object(d);
    int64_t bytes = 0;

    for (size_t i = 0; i < d->n_files; i++)
        bytes += d->files[i].size;
    catalog_name_text(&s->table.name, name, sizeof name);
    table_text(t, "delta");
    table_text(t, d->id);
    table_text(t, s->named ? name : d->name);
    table_text(t, s->named && s->table.comment ? s->table.comment : d->description);
    table_text(t, s->location);
    if (d->created_ms)
        table_time(t, d->created_ms);
    else
        table_null(t);
    table_time(t, d->timestamp_ms);
    table_list(t, d->partition_columns, d->n_partition_columns);
    table_long(t, (int64_t)d->n_files);
    table_long(t, bytes);
    table_map(t, properties);
    table_int(t, d->reader_version);
    table_int(t, d->writer_version);
    table_list(t, d->writer_features, d->n_writer_features);
    json_decref(properties);
}

enum lc describe_detail(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                        const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    enum lc rc;

    TRY(need_delta(ctx, env, name, &s, err));
    table_column(&t, "format", DTYPE_STRING);
    table_column(&t, "id", DTYPE_STRING);
    table_column(&t, "name", DTYPE_STRING);
    table_column(&t, "description", DTYPE_STRING);
    table_column(&t, "location", DTYPE_STRING);
    table_column(&t, "createdAt", DTYPE_TIMESTAMP);
    table_column(&t, "lastModified", DTYPE_TIMESTAMP);
    table_column_type(&t, "partitionColumns", dtype_array(dtype_of(DTYPE_STRING), true));
    table_column(&t, "numFiles", DTYPE_LONG);
    table_column(&t, "sizeInBytes", DTYPE_LONG);
    table_column_type(&t, "properties", text_map());
    table_column(&t, "minReaderVersion", DTYPE_INT);
    table_column(&t, "minWriterVersion", DTYPE_INT);
    table_column_type(&t, "tableFeatures", dtype_array(dtype_of(DTYPE_STRING), true));
    detail_row(&t, &s);
    rc = table_plan(&t, out, err);
    subject_release(&s);
    return rc;
}
