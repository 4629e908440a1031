#include "runtime/spark/describe.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/files.h"
#include "runtime/catalog/resolve.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/dataframe/folder.h"
#include "runtime/spark/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

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

    if (catalog_view_parts(env->catalog, name->items, name->n)) {
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
    if (s->table.kind == CATALOG_VIEW)
        return s->table.schema_json
                   ? dtype_from_json_text(s->table.schema_json, strlen(s->table.schema_json), &s->schema, err)
                   : analyze_name(ctx, env, name, &s->schema, err);
    s->location = mem_strdup(s->table.location);
    if (!s->location)
        return err_nomem(err);
    if (strcmp(s->format, "delta") == 0)
        return open_delta(ctx, env, s, err);
    return s->table.schema_json
               ? dtype_from_json_text(s->table.schema_json, strlen(s->table.schema_json), &s->schema, err)
               : analyze_name(ctx, env, name, &s->schema, err);
}

static size_t partition_count(const struct subject *s)
{
    return s->delta   ? s->delta->n_partition_columns
           : s->named ? json_array_size(files_partitions(&s->table))
                      : 0;
}

static const char *partition_name(const struct subject *s, size_t i)
{
    return s->delta ? s->delta->partition_columns[i]
                    : json_string_value(json_array_get(files_partitions(&s->table), i));
}

enum lc describe_partitioned(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                             const struct dtype *schema, bool *partition, struct err *err)
{
    struct subject s = {0};
    enum lc rc = find(ctx, env, name, &s, err);

    for (size_t i = 0; i < schema->n_fields; i++) {
        partition[i] = false;
        for (size_t k = 0; rc == LC_OK && k < partition_count(&s); k++)
            partition[i] = partition[i] || strcasecmp(partition_name(&s, k), schema->fields[i].name) == 0;
    }
    subject_release(&s);
    return rc;
}

static enum lc need_delta(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                          const char *what, struct subject *s, struct err *err)
{
    enum lc rc = find(ctx, env, name, s, err);

    if (rc == LC_OK && !s->delta)
        rc = err_set(
            err, LC_UNSUPPORTED,
            "[DELTA_TABLE_ONLY_OPERATION] `%s` is not a Delta table. %s is only supported for Delta tables. "
            "SQLSTATE: 0AKDD",
            name->items[name->n - 1], what);
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
    if (partition_count(s) == 0)
        return;
    row(t, "# Partition Information", "", "");
    row(t, "# col_name", "data_type", "comment");
    for (size_t i = 0; i < partition_count(s); i++) {
        long at = dtype_field_index(s->schema, partition_name(s, i));
        if (at >= 0)
            field_row(t, &s->schema->fields[at]);
    }
}

static void property_text(const json_t *properties, const char *separator, struct buf *out)
{
    const char *key;
    json_t *value;

    buf_putc(out, '[');
    json_object_foreach ((json_t *)properties, key, value)
        if (json_is_string(value))
            buf_printf(out, "%s%s=%s", out->len > 1 ? separator : "", key, json_string_value(value));
    buf_putc(out, ']');
}

/* Java's Date.toString, in UTC */
static void time_text(int64_t ms, char *out, size_t size)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(out, size, "%a %b %d %H:%M:%S UTC %Y", &tm);
}

/* What is known of a table or view beside its columns: a line each. */
typedef void detail_fn(void *arg, const char *key, const char *value);

static void view_details(const struct catalog_table *t, detail_fn *fn, void *arg)
{
    const char *text = json_string_value(json_object_get(t->options, "text"));
    const json_t *columns = json_object_get(t->options, "columns");
    struct buf b = BUF_INIT(1 << 16);

    fn(arg, "View Text", text ? text : "");
    fn(arg, "View Original Text", text ? text : "");
    fn(arg, "View Schema Mode", "COMPENSATION");
    name_quote(&b, json_string_value(json_object_get(t->options, "catalog")));
    buf_putc(&b, '.');
    name_quote(&b, json_string_value(json_object_get(t->options, "schema")));
    fn(arg, "View Catalog and Namespace", buf_str(&b));
    buf_clear(&b);
    for (size_t i = 0; i < json_array_size(columns); i++)
        buf_printf(&b, "%s`%s`", i ? ", " : "[", json_string_value(json_array_get(columns, i)));
    buf_putc(&b, ']');
    fn(arg, "View Query Output Columns", buf_str(&b));
    buf_release(&b);
}

static void file_details(const struct subject *s, detail_fn *fn, void *arg)
{
    struct buf options = BUF_INIT(1 << 16);

    property_text(s->table.options, ", ", &options);
    if (options.len > 2) /* [] */
        fn(arg, "Storage Properties", buf_str(&options));
    if (partition_count(s))
        fn(arg, "Partition Provider", "Catalog");
    buf_release(&options);
}

static void each_detail(const struct subject *s, detail_fn *fn, void *arg)
{
    static const char *const kinds[] = {"MANAGED", "EXTERNAL", "VIEW"};
    char text[64];
    struct buf properties = BUF_INIT(1 << 16);

    if (s->named) {
        fn(arg, "Catalog", s->table.name.catalog);
        fn(arg, "Database", s->table.name.schema);
        fn(arg, "Table", s->table.name.table);
        if (s->table.owner && *s->table.owner)
            fn(arg, "Owner", s->table.owner);
        time_text(s->table.created_ms, text, sizeof text);
        fn(arg, "Created Time", text);
        fn(arg, "Last Access", "UNKNOWN");
        fn(arg, "Created By", "lacus " LACUS_VERSION);
        fn(arg, "Type", kinds[s->table.kind]);
        if (s->table.kind != CATALOG_VIEW)
            fn(arg, "Provider", s->format);
        if (s->table.comment)
            fn(arg, "Comment", s->table.comment);
        if (s->table.kind == CATALOG_VIEW)
            view_details(&s->table, fn, arg);
        if (json_object_size(s->table.properties)) {
            property_text(s->table.properties, ",", &properties);
            fn(arg, "Table Properties", buf_str(&properties));
        }
    } else {
        fn(arg, "Provider", s->format);
    }
    if (s->location && *s->location)
        fn(arg, "Location", s->location);
    if (s->named && s->location && !s->delta)
        file_details(s, fn, arg);
    if (s->delta) {
        snprintf(text, sizeof text, "%lld", (long long)s->delta->version);
        fn(arg, "Delta Version", text);
    }
    buf_release(&properties);
}

static void detail_line(void *arg, const char *key, const char *value)
{
    row(arg, key, value, "");
}

static void detail_rows(struct table *t, const struct subject *s)
{
    row(t, "", "", "");
    row(t, "# Detailed Table Information", "", "");
    each_detail(s, detail_line, t);
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

static void put_partitions(struct buf *b, const struct subject *s)
{
    for (size_t i = 0; i < partition_count(s); i++) {
        buf_puts(b, i ? ", " : "PARTITIONED BY (");
        name_quote(b, partition_name(s, i));
    }
    buf_puts(b, partition_count(s) ? ")\n" : "");
}

static void put_comment(struct buf *b, const char *before, const char *comment)
{
    if (!comment)
        return;
    buf_puts(b, before);
    for (const char *p = comment; *p; p++) {
        if (*p == '\'' || *p == '\\')
            buf_putc(b, '\\');
        buf_putc(b, *p);
    }
    buf_puts(b, "'");
}

static void put_column(struct buf *b, const struct dfield *f, bool types)
{
    json_t *metadata = f->metadata ? json_loads(f->metadata, 0, NULL) : NULL;

    name_quote(b, f->name);
    if (types) {
        buf_putc(b, ' ');
        dtype_sql(f->type, b);
        buf_puts(b, f->nullable ? "" : " NOT NULL");
    }
    put_comment(b, " COMMENT '", json_string_value(json_object_get(metadata, "comment")));
    json_decref(metadata);
}

static void put_pair(struct buf *b, const char *before, const char *key, const char *value)
{
    put_comment(b, before ? before : ",\n  '", key);
    put_comment(b, " = '", value);
}

/* What the files are read and written with. */
static void put_options(struct buf *b, const struct subject *s)
{
    const char *key;
    json_t *value;
    bool any = false;

    json_object_foreach (s->table.options, key, value)
        if (json_is_string(value)) {
            put_pair(b, any ? NULL : "OPTIONS (\n  '", key, json_string_value(value));
            any = true;
        }
    buf_puts(b, any ? ")\n" : "");
}

#define PROPERTIES "TBLPROPERTIES (\n  '"
static void put_properties(struct buf *b, const struct subject *s)
{
    const char *key;
    json_t *value;
    bool any = false;

    if (s->delta) {
        for (size_t i = 0; i < s->delta->n_properties; i++) {
            if (strcmp(s->delta->properties[i].name, "delta.columnMapping.maxColumnId") == 0)
                continue;
            put_pair(b, any ? NULL : PROPERTIES, s->delta->properties[i].name, s->delta->properties[i].value);
            any = true;
        }
    } else {
        json_object_foreach (s->table.properties, key, value) {
            put_pair(b, any ? NULL : PROPERTIES, key, json_string_value(value));
            any = true;
        }
    }
    buf_puts(b, any ? ")\n" : "");
}

/* A view of spark_catalog without its catalog, as Spark writes it. */
static void put_create_name(struct buf *b, const struct subject *s, const struct sql_names *name)
{
    char full[3 * CATALOG_NAME_MAX];
    bool view = s->named && s->table.kind == CATALOG_VIEW;

    if (!s->named) {
        for (size_t i = 0; i < name->n; i++) {
            buf_puts(b, i ? "." : "");
            name_quote(b, name->items[i]);
        }
        return;
    }
    catalog_name_text(&s->table.name, full, sizeof full);
    buf_puts(b, view && strcmp(s->table.name.catalog, "spark_catalog") == 0 ? full + strlen("spark_catalog.")
                                                                            : full);
}

static void put_create(struct buf *b, const struct subject *s, const struct sql_names *name)
{
    bool view = s->named && s->table.kind == CATALOG_VIEW;
    const char *comment = s->named ? s->table.comment : s->delta ? s->delta->description : NULL;

    buf_puts(b, view ? "CREATE VIEW " : "CREATE TABLE ");
    put_create_name(b, s, name);
    for (size_t i = 0; i < s->schema->n_fields; i++) {
        buf_puts(b, i ? ",\n  " : " (\n  ");
        put_column(b, &s->schema->fields[i], !view);
    }
    buf_puts(b, ")\n");
    if (!view)
        buf_printf(b, "USING %s\n", s->format);
    if (s->named && !view && !s->delta)
        put_options(b, s);
    if (!view)
        put_partitions(b, s);
    if (comment) {
        put_comment(b, "COMMENT '", comment);
        buf_putc(b, '\n');
    }
    if (s->named && s->table.kind == CATALOG_EXTERNAL) {
        put_comment(b, "LOCATION '", s->location);
        buf_putc(b, '\n');
    }
    put_properties(b, s);
    if (view)
        buf_printf(b, "WITH SCHEMA COMPENSATION\nAS %s\n",
                   json_string_value(json_object_get(s->table.options, "text")));
}

enum lc describe_create(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                        const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    struct buf b = BUF_INIT(1 << 22);
    enum lc rc = find(ctx, env, name, &s, err);

    if (rc == LC_OK && !s.named && !s.delta)
        rc = err_set(
            err, LC_UNSUPPORTED,
            "[UNSUPPORTED_SHOW_CREATE_TABLE.ON_TEMPORARY_VIEW] '%s' is a temporary view: it has no statement "
            "that made it. SQLSTATE: 0A000",
            name->items[name->n - 1]);
    if (rc == LC_OK) {
        put_create(&b, &s, name);
        table_column(&t, "createtab_stmt", DTYPE_STRING);
        table_text(&t, buf_str(&b));
        rc = table_plan(&t, out, err);
    }
    buf_release(&b);
    subject_release(&s);
    return rc;
}

/* ---- SHOW TBLPROPERTIES ---- */
static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct delta_property *)a)->name, ((const struct delta_property *)b)->name);
}

/* Sorted, in the arena. */
static struct delta_property *all_properties(struct arena *a, const struct subject *s, size_t *n)
{
    size_t most = s->delta ? s->delta->n_properties + 2 : json_object_size(s->table.properties);
    struct delta_property *out = arena_zalloc(a, (most + 1) * sizeof *out);
    const char *key;
    json_t *value;

    *n = 0;
    if (out && s->delta) {
        for (; *n < s->delta->n_properties; ++*n)
            out[*n] = s->delta->properties[*n];
        out[(*n)++] = (struct delta_property){"delta.minReaderVersion",
                                              arena_printf(a, "%d", s->delta->reader_version)};
        out[(*n)++] = (struct delta_property){"delta.minWriterVersion",
                                              arena_printf(a, "%d", s->delta->writer_version)};
    } else if (out) {
        json_object_foreach (s->table.properties, key, value)
            out[(*n)++] = (struct delta_property){key, json_string_value(value)};
    }
    if (out && *n)
        qsort(out, *n, sizeof *out, by_key);
    return out;
}

static void missing_property(struct table *t, const struct subject *s, const char *key)
{
    char full[3 * CATALOG_NAME_MAX];
    struct buf text = BUF_INIT(8 * CATALOG_NAME_MAX);

    catalog_name_text(&s->table.name, full, sizeof full);
    buf_printf(&text, "Table %s does not have property: %s", s->named ? full : s->location, key);
    table_text(t, key);
    table_text(t, buf_str(&text));
    buf_release(&text);
}

enum lc describe_properties(const struct ctx *ctx, const struct spark_env *env, const struct sql_names *name,
                            const char *key, const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    struct arena *arena = arena_new(0);
    struct delta_property *all = NULL;
    size_t n = 0, shown = 0;
    enum lc rc = arena ? find(ctx, env, name, &s, err) : err_nomem(err);

    if (rc == LC_OK && (all = all_properties(arena, &s, &n)) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK) {
        table_column(&t, "key", DTYPE_STRING);
        table_column(&t, "value", DTYPE_STRING);
        for (size_t i = 0; i < n; i++)
            if (!key || strcmp(key, all[i].name) == 0) {
                shown++;
                table_text(&t, all[i].name);
                table_text(&t, all[i].value);
            }
        if (key && !shown)
            missing_property(&t, &s, key);
        rc = table_plan(&t, out, err);
    }
    subject_release(&s);
    arena_free(arena);
    return rc;
}

/* ---- SHOW PARTITIONS ---- */
static bool in_partition(const struct sql_statement *st, const struct subject *s, const char *const *values)
{
    for (size_t i = 0; i < st->n_partition; i++)
        for (size_t k = 0; k < partition_count(s); k++)
            if (st->partition[i].value && strcasecmp(partition_name(s, k), st->partition[i].name) == 0 &&
                strcmp(st->partition[i].value, values[k] ? values[k] : "") != 0)
                return false;
    return true;
}

/* As it stands in a folder's name. */
static const char *escaped(struct arena *a, const char *text)
{
    struct buf b = BUF_INIT(1 << 20);
    const char *out = folder_escape(&b, text, strlen(text)) ? arena_strdup(a, buf_str(&b)) : NULL;

    buf_release(&b);
    return out ? out : text;
}

struct partitions { /* a=1/b=x of each file */
    const struct sql_statement *st;
    const struct subject *s;
    struct arena *arena;
    const char **texts; /* owned */
    size_t n;
};

static enum lc note_partition(void *arg, const char *path, const char *const *values, struct err *err)
{
    struct partitions *p = arg;
    const char **more, *text = "";

    (void)path;
    if (!in_partition(p->st, p->s, values))
        return LC_OK;
    more = mem_reallocn(p->texts, p->n + 1, sizeof *more);
    if (!more)
        return err_nomem(err);
    p->texts = more;
    for (size_t k = 0; text && k < partition_count(p->s); k++)
        text = arena_printf(p->arena, "%s%s%s=%s", text, k ? "/" : "",
                            escaped(p->arena, partition_name(p->s, k)),
                            values[k] ? escaped(p->arena, values[k]) : FOLDER_NULL);
    more[p->n++] = text;
    return text ? LC_OK : err_nomem(err);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum lc partition_texts(const struct sql_statement *st, const struct subject *s, struct arena *a,
                               struct table *t, struct err *err)
{
    struct partitions p = {.st = st, .s = s, .arena = a};
    enum lc rc = s->delta ? LC_OK : files_each(&s->table, note_partition, &p, err);

    for (size_t i = 0; rc == LC_OK && s->delta && i < s->delta->n_files; i++)
        rc = note_partition(&p, NULL, s->delta->files[i].partitions, err);
    if (p.n)
        qsort(p.texts, p.n, sizeof *p.texts, by_text);
    for (size_t i = 0; rc == LC_OK && i < p.n; i++)
        if (i == 0 || strcmp(p.texts[i], p.texts[i - 1]) != 0)
            table_text(t, p.texts[i]);
    mem_free(p.texts);
    return rc;
}

enum lc describe_partitions(const struct ctx *ctx, const struct spark_env *env,
                            const struct sql_statement *st, const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    struct arena *arena = arena_new(0);
    enum lc rc = arena ? find(ctx, env, &st->name, &s, err) : err_nomem(err);

    if (rc == LC_OK && partition_count(&s) == 0)
        rc = err_set(
            err, LC_ENGINE,
            "[INVALID_PARTITION_OPERATION.PARTITION_SCHEMA_IS_EMPTY] the table '%s' is not partitioned. "
            "SQLSTATE: 42601",
            st->name.items[st->name.n - 1]);
    if (rc == LC_OK) {
        table_column(&t, "partition", DTYPE_STRING);
        rc = partition_texts(st, &s, arena, &t, err);
    }
    if (rc == LC_OK)
        rc = table_plan(&t, out, err);
    subject_release(&s);
    arena_free(arena);
    return rc;
}

/* ---- DESCRIBE t column ---- */
static void info_start(struct table *t)
{
    table_column(t, "info_name", DTYPE_STRING);
    table_column(t, "info_value", DTYPE_STRING);
}

static void info_row(struct table *t, const char *name, const char *value)
{
    table_text(t, name);
    table_text(t, value);
}

static void column_rows(struct table *t, const struct dfield *f, bool extended)
{
    static const char *const more[] = {"min",         "max",         "num_nulls", "distinct_count",
                                       "avg_col_len", "max_col_len", "histogram"};
    json_t *metadata = f->metadata ? json_loads(f->metadata, 0, NULL) : NULL;
    const char *comment = json_string_value(json_object_get(metadata, "comment"));
    struct buf type = BUF_INIT(1 << 16);

    dtype_simple(f->type, &type);
    info_row(t, "col_name", f->name);
    info_row(t, "data_type", buf_str(&type));
    info_row(t, "comment", comment ? comment : "NULL");
    for (size_t i = 0; extended && i < sizeof more / sizeof *more; i++)
        info_row(t, more[i], "NULL");
    json_decref(metadata);
    buf_release(&type);
}

enum lc describe_column(const struct ctx *ctx, const struct spark_env *env, const struct sql_statement *st,
                        const struct plan **out, struct err *err)
{
    struct subject s = {0};
    struct table t = TABLE_INIT;
    long at = -1;
    enum lc rc = find(ctx, env, &st->name, &s, err);

    if (rc == LC_OK && (st->columns.n > 1 || (at = dtype_field_index(s.schema, st->columns.items[0])) < 0))
        rc = err_set(err, LC_ENGINE,
                     "[UNRESOLVED_COLUMN.WITHOUT_SUGGESTION] '%s' has no column '%s'. SQLSTATE: 42703",
                     st->name.items[st->name.n - 1], st->columns.items[st->columns.n - 1]);
    if (rc == LC_OK) {
        info_start(&t);
        column_rows(&t, &s.schema->fields[at], st->extended);
        rc = table_plan(&t, out, err);
    }
    subject_release(&s);
    return rc;
}

/* ---- SHOW TABLE EXTENDED ---- */
static void information_line(void *arg, const char *key, const char *value)
{
    buf_printf(arg, "%s: %s\n", key, value);
}

enum lc describe_information(const struct ctx *ctx, const struct spark_env *env,
                             const struct catalog_item *item, const char *catalog, const char *schema,
                             struct table *t, struct err *err)
{
    const char *parts[3] = {catalog ? catalog : catalog_current(env->catalog), schema, item->name};
    const char *global[2] = {"global_temp", item->name};
    struct sql_names name = item->global      ? (struct sql_names){global, 2}
                            : item->temporary ? (struct sql_names){parts + 2, 1}
                                              : (struct sql_names){parts, 3};
    struct subject s = {0};
    struct buf b = BUF_INIT(1 << 22);
    enum lc rc = find(ctx, env, &name, &s, err);

    if (rc == LC_OK && !s.named)
        buf_printf(&b, "Table: %s\nType: VIEW\n", item->name);
    else if (rc == LC_OK)
        each_detail(&s, information_line, &b);
    if (rc == LC_OK) {
        buf_puts(&b, "Schema: ");
        dtype_tree(s.schema, &b);
        buf_puts(&b, "\n");
        table_text(t, buf_str(&b));
    }
    buf_release(&b);
    subject_release(&s);
    return rc;
}

/* ---- DESCRIBE SCHEMA, CATALOG ---- */
/* ((a,b), (c,d)), as Spark has it */
static void pairs_text(const json_t *properties, struct buf *b)
{
    const char *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach ((json_t *)properties, key, value)
        buf_printf(b, "%s(%s,%s)", n++ ? ", " : "(", key, json_string_value(value));
    buf_puts(b, n ? ")" : "");
}

enum lc describe_schema(const struct ctx *ctx, const struct spark_env *env, const char *catalog,
                        const char *schema, bool extended, const struct plan **out, struct err *err)
{
    struct catalog_schema s;
    struct table t = TABLE_INIT;
    struct buf b = BUF_INIT(1 << 20);
    char *below, *folder;

    TRY(catalog_get_schema(ctx, env->catalog, catalog, schema, &s, err));
    below = mem_printf("tables/%s/%s", s.catalog, s.name);
    folder = s.location ? mem_strdup(s.location) : below ? fs_home(below, err) : NULL;
    info_start(&t);
    info_row(&t, "Catalog Name", s.catalog);
    info_row(&t, "Namespace Name", s.name);
    if (s.comment)
        info_row(&t, "Comment", s.comment);
    info_row(&t, "Location", folder ? folder : "");
    if (s.owner && *s.owner)
        info_row(&t, "Owner", s.owner);
    pairs_text(s.properties, &b);
    if (extended)
        info_row(&t, "Properties", buf_str(&b));
    buf_release(&b);
    mem_free(below);
    mem_free(folder);
    catalog_schema_release(&s);
    return table_plan(&t, out, err);
}

enum lc describe_catalog(const struct ctx *ctx, const struct spark_env *env, const char *catalog,
                         const struct plan **out, struct err *err)
{
    struct catalog_list all;
    struct table t = TABLE_INIT;
    const char *comment = NULL;
    char *name = NULL;

    TRY(catalog_list_schemas(ctx, env->catalog, catalog, &all, err)); /* says when it is not there */
    catalog_list_release(&all);
    TRY(catalog_list_catalogs(ctx, env->catalog, &all, err));
    for (size_t i = 0; i < all.n; i++)
        if (strcasecmp(all.items[i].name, catalog) == 0) {
            name = all.items[i].name;
            comment = all.items[i].comment;
        }
    info_start(&t);
    info_row(&t, "Catalog Name", name ? name : catalog);
    info_row(&t, "Comment", comment ? comment : "");
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

    TRY(need_delta(ctx, env, name, "DESCRIBE HISTORY", &s, err));
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

    TRY(need_delta(ctx, env, name, "DESCRIBE DETAIL", &s, err));
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
