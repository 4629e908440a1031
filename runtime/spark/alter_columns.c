/* The columns of a table after ALTER TABLE. */
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/spark/alter.h"
#include <string.h>
#include <strings.h>

struct altering {
    struct arena *arena;
    const struct sql_statement *s;
    const struct delta_snapshot *t;
    const struct sql_change *change;
    const char **partition_by; /* a copy, once one is renamed */
    struct err *err;
};

/* A struct that is changed: its fields one by one, references owned. */
struct fields {
    struct dfield *items; /* in the arena; types owned */
    size_t n;
};

static bool load(struct altering *a, const struct dtype *t, struct fields *f)
{
    f->n = t->n_fields;
    f->items = arena_zalloc(a->arena, (t->n_fields + 2) * sizeof *f->items);
    for (size_t i = 0; f->items && i < t->n_fields; i++) {
        f->items[i] = t->fields[i];
        dtype_ref(t->fields[i].type);
    }
    return f->items != NULL;
}

static const struct dtype *store(const struct fields *f)
{
    const struct dtype *out = dtype_struct_new(f->n);

    for (size_t i = 0; i < f->n; i++)
        out = dtype_struct_add(out, f->items[i].name, f->items[i].type, f->items[i].nullable,
                               f->items[i].metadata);
    return out;
}

static void drop(struct fields *f)
{
    for (size_t i = 0; i < f->n; i++)
        dtype_unref(f->items[i].type);
    f->n = 0;
}

static const char *path_text(struct altering *a)
{
    const char *out = a->change->path.items[0];

    for (size_t i = 1; out && i < a->change->path.n; i++)
        out = arena_printf(a->arena, "%s.%s", out, a->change->path.items[i]);
    return out ? out : "";
}

static enum lc no_column(struct altering *a, const struct dtype *t, const char *name)
{
    const char **names = arena_zalloc(a->arena, (t->n_fields + 1) * sizeof *names);
    struct buf near = BUF_INIT(300);

    for (size_t i = 0; names && i < t->n_fields; i++)
        names[i] = t->fields[i].name;
    err_set(a->err, LC_ENGINE,
            "[UNRESOLVED_COLUMN.WITH_SUGGESTION] the table has no column '%s'. SQLSTATE: 42703",
            path_text(a));
    if (names)
        nearest_list(&near, name, names, t->n_fields, 3);
    if (near.len)
        err_hint(a->err, "did you mean %s?", buf_str(&near));
    buf_release(&near);
    return LC_ENGINE;
}

/* ---- metadata ---- */
static char *with_key(struct altering *a, const char *metadata, const char *key, json_t *value)
{
    json_t *o = metadata ? json_loads(metadata, 0, NULL) : NULL;
    char *text, *out = NULL;

    if (!json_is_object(o)) {
        json_decref(o);
        o = json_object();
    }
    if (o && value)
        json_object_set_new(o, key, value);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    if (text)
        out = arena_strdup(a->arena, text);
    json_decref(o);
    free(text);
    return out;
}

static enum lc set_comment(struct altering *a, struct dfield *f)
{
    if (!a->change->comment)
        return LC_OK;
    f->metadata = with_key(a, f->metadata, "comment", json_string(a->change->comment));
    return f->metadata ? LC_OK : err_nomem(a->err);
}

/* ---- ADD ---- */
static enum lc place(struct altering *a, struct fields *f, size_t from, size_t *to)
{
    *to = a->change->first ? 0 : f->n - 1;
    if (!a->change->after)
        return LC_OK;
    for (size_t i = 0; i < f->n; i++)
        if (i != from && strcasecmp(f->items[i].name, a->change->after) == 0) {
            *to = i < from ? i + 1 : i;
            return LC_OK;
        }
    return err_set(a->err, LC_ENGINE,
                   "[UNRESOLVED_COLUMN.WITH_SUGGESTION] AFTER '%s': there is no such column. "
                   "SQLSTATE: 42703",
                   a->change->after);
}

static void move_field(struct fields *f, size_t from, size_t to)
{
    struct dfield field = f->items[from];

    if (from < to)
        memmove(&f->items[from], &f->items[from + 1], (to - from) * sizeof field);
    else
        memmove(&f->items[to + 1], &f->items[to], (from - to) * sizeof field);
    f->items[to] = field;
}

static enum lc add_field(struct altering *a, struct fields *f, const char *name)
{
    size_t to;

    for (size_t i = 0; i < f->n; i++)
        if (strcasecmp(f->items[i].name, name) == 0)
            return err_set(
                a->err, LC_ENGINE,
                "[FIELD_ALREADY_EXISTS] cannot add the column '%s': it is there already. SQLSTATE: 42710",
                path_text(a));
    if (a->change->nulls == NULLS_REFUSED)
        return err_set(
            a->err, LC_ENGINE,
            "[DELTA_ADD_COLUMN_NOT_NULL] cannot add '%s' NOT NULL: rows that are there would have NULL in it",
            path_text(a));
    f->items[f->n++] = (struct dfield){
        .name = (char *)(uintptr_t)name, .type = dtype_ref(a->change->type), .nullable = true};
    TRY(set_comment(a, &f->items[f->n - 1]));
    TRY(place(a, f, f->n - 1, &to));
    move_field(f, f->n - 1, to);
    return LC_OK;
}

/* ---- DROP, RENAME ---- */
static bool is_partition(const struct altering *a, const char *name)
{
    for (size_t i = 0; i < a->t->n_partition_columns; i++)
        if (strcasecmp(a->t->partition_columns[i], name) == 0)
            return true;
    return false;
}

static enum lc need_mapping(struct altering *a, const char *verb)
{
    const char *mode = delta_property(a->t, "delta.columnMapping.mode");

    if (mode && strcmp(mode, "none") != 0) {
        if (a->change->path.n == 1)
            return LC_OK;
        return err_set(a->err, LC_UNSUPPORTED,
                       "cannot %s '%s': only columns of the table itself, not fields of a struct", verb,
                       path_text(a));
    }
    err_set(a->err, LC_ENGINE,
            "[DELTA_UNSUPPORTED_%s_COLUMN] cannot %s the column '%s': the files have it by its name, and the "
            "table has no "
            "column mapping. SQLSTATE: 0AKDC",
            strcmp(verb, "drop") == 0 ? "DROP" : "RENAME", verb, path_text(a));
    return err_hint(
        a->err, "ALTER TABLE … SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name') first: readers then "
                "need Delta reader version 2");
}

static enum lc drop_field(struct altering *a, struct fields *f, size_t at)
{
    TRY(need_mapping(a, "drop"));
    if (a->change->path.n == 1 && is_partition(a, f->items[at].name))
        return err_set(a->err, LC_ENGINE,
                       "[DELTA_UNSUPPORTED_DROP_PARTITION_COLUMN] cannot drop '%s': the table is "
                       "partitioned by it",
                       path_text(a));
    if (f->n == 1)
        return err_set(a->err, LC_ENGINE,
                       "[DELTA_DROP_COLUMN_ON_SINGLE_FIELD_SCHEMA] cannot drop '%s': it is the only "
                       "column",
                       path_text(a));
    dtype_unref(f->items[at].type);
    memmove(&f->items[at], &f->items[at + 1], (f->n - at - 1) * sizeof *f->items);
    f->n--;
    return LC_OK;
}

static enum lc rename_partition(struct altering *a, const char *old, const char *name)
{
    const char **copy = arena_zalloc(a->arena, (a->t->n_partition_columns + 1) * sizeof *copy);
    const char *const *from =
        a->partition_by ? (const char *const *)a->partition_by : a->t->partition_columns;

    if (!copy)
        return err_nomem(a->err);
    for (size_t i = 0; i < a->t->n_partition_columns; i++)
        copy[i] = strcasecmp(from[i], old) == 0 ? name : from[i];
    a->partition_by = copy;
    return LC_OK;
}

static enum lc rename_field(struct altering *a, struct fields *f, size_t at)
{
    const char *old = f->items[at].name, *name = a->change->rename;

    TRY(need_mapping(a, "rename"));
    for (size_t i = 0; i < f->n; i++)
        if (i != at && strcasecmp(f->items[i].name, name) == 0)
            return err_set(
                a->err, LC_ENGINE,
                "[FIELD_ALREADY_EXISTS] cannot rename the column '%s' to '%s': there is one. SQLSTATE: 42710",
                path_text(a), name);
    f->items[at].name = (char *)(uintptr_t)name;
    return is_partition(a, old) ? rename_partition(a, old, name) : LC_OK;
}

/* ---- ALTER COLUMN ---- */
static int rank(enum dtype_id id)
{
    static const enum dtype_id order[] = {DTYPE_BYTE, DTYPE_SHORT, DTYPE_INT, DTYPE_LONG};

    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (order[i] == id)
            return (int)i;
    return -1;
}

/* Delta's type widening: what every value of the narrower type is in the wider one, too. */
static bool can_widen(const struct dtype *from, const struct dtype *to)
{
    int a = rank(from->id), b = rank(to->id);
    static const int digits[] = {3, 5, 10, 20};

    if (a >= 0 && b >= 0)
        return b > a;
    if (from->id == DTYPE_FLOAT)
        return to->id == DTYPE_DOUBLE;
    if (to->id == DTYPE_DOUBLE)
        return a >= 0 && a < 3;
    if (from->id == DTYPE_DATE)
        return to->id == DTYPE_TIMESTAMP_NTZ;
    if (to->id != DTYPE_DECIMAL)
        return false;
    if (a >= 0)
        return to->precision - to->scale >= digits[a];
    return from->id == DTYPE_DECIMAL && to->scale >= from->scale &&
           to->precision - to->scale >= from->precision - from->scale;
}

static void type_text(const struct dtype *t, char *out, size_t size)
{
    struct buf b = BUF_INIT(1 << 16);

    dtype_sql(t, &b);
    snprintf(out, size, "%s", buf_str(&b));
    buf_release(&b);
}

static json_t *type_json(const struct dtype *t)
{
    return dtype_to_json(t);
}

/* [{"fromType": "integer", "toType": "long"}], behind the changes that were before */
static json_t *type_changes(const char *metadata, const struct dtype *from, const struct dtype *to)
{
    json_t *o = metadata ? json_loads(metadata, 0, NULL) : NULL;
    json_t *before = json_object_get(o, "delta.typeChanges");
    json_t *all = json_is_array(before) ? json_incref(before) : json_array();

    if (all)
        json_array_append_new(all,
                              json_pack("{s:o?,s:o?}", "fromType", type_json(from), "toType", type_json(to)));
    json_decref(o);
    return all;
}

static enum lc change_type(struct altering *a, struct dfield *f)
{
    const struct dtype *to = a->change->type;
    const char *on = delta_property(a->t, "delta.enableTypeWidening");
    char x[200], y[200];

    if (!to || dtype_same(f->type, to))
        return LC_OK;
    type_text(f->type, x, sizeof x);
    type_text(to, y, sizeof y);
    if (!can_widen(f->type, to)) {
        err_set(a->err, LC_ENGINE,
                "[NOT_SUPPORTED_CHANGE_COLUMN] cannot change the type of '%s' from %s to %s: only to a wider "
                "one. "
                "SQLSTATE: 0A000",
                path_text(a), x, y);
        return err_hint(a->err, "CREATE OR REPLACE TABLE … AS SELECT … CAST(… AS %s)", y);
    }
    if (!on || strcasecmp(on, "true") != 0) {
        err_set(a->err, LC_ENGINE,
                "[DELTA_UNSUPPORTED_ALTER_TABLE_CHANGE_COL_OP] cannot change the type of '%s' from %s to %s: "
                "type "
                "widening is not enabled for the table. SQLSTATE: 0AKDC",
                path_text(a), x, y);
        return err_hint(
            a->err, "ALTER TABLE … SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true') first: readers "
                    "then need the table feature typeWidening");
    }
    f->metadata = with_key(a, f->metadata, "delta.typeChanges", type_changes(f->metadata, f->type, to));
    dtype_unref(f->type);
    f->type = dtype_ref(to);
    return f->metadata ? LC_OK : err_nomem(a->err);
}

static enum lc alter_field(struct altering *a, struct fields *f, size_t at)
{
    struct dfield *field = &f->items[at];
    size_t to;

    if (a->change->rename)
        TRY(rename_field(a, f, at));
    TRY(change_type(a, field));
    TRY(set_comment(a, field));
    if (a->change->nulls != NULLS_KEPT)
        field->nullable = a->change->nulls == NULLS_ALLOWED;
    if (!a->change->first && !a->change->after)
        return LC_OK;
    TRY(place(a, f, at, &to));
    move_field(f, at, to);
    return LC_OK;
}

static enum lc change_field(struct altering *a, struct fields *f, size_t at)
{
    if (a->s->action == ACTION_DROP_COLUMNS)
        return drop_field(a, f, at);
    return a->s->action == ACTION_RENAME_COLUMN ? rename_field(a, f, at) : alter_field(a, f, at);
}

/* ---- along the path ---- */
static enum lc descend(struct altering *a, const struct dtype *t, size_t depth, const struct dtype **out)
{
    const char *name = a->change->path.items[depth];
    bool last = depth + 1 == a->change->path.n, add = a->s->action == ACTION_ADD_COLUMNS;
    const struct dtype *inner = NULL;
    struct fields f;
    long at;
    enum lc rc = LC_OK;

    *out = NULL;
    if (t->id != DTYPE_STRUCT)
        return err_set(a->err, LC_ENGINE,
                       "[INVALID_FIELD_NAME] '%s' is no field of a struct. SQLSTATE: 42000", path_text(a));
    at = dtype_field_index(t, name);
    if (at < 0 && last && a->s->if_exists) {
        *out = dtype_ref(t);
        return LC_OK;
    }
    if (at < 0 && !(last && add))
        return no_column(a, t, name);
    if (!load(a, t, &f))
        return err_nomem(a->err);
    if (!last) {
        rc = descend(a, f.items[at].type, depth + 1, &inner);
        if (rc == LC_OK) {
            dtype_unref(f.items[at].type);
            f.items[at].type = inner;
        }
    } else {
        rc = add ? add_field(a, &f, name) : change_field(a, &f, (size_t)at);
    }
    if (rc != LC_OK)
        return drop(&f), rc;
    *out = store(&f);
    return *out ? LC_OK : err_nomem(a->err);
}

enum lc alter_schema_columns(struct arena *arena, const struct sql_statement *s,
                             const struct delta_snapshot *t, const struct dtype *schema,
                             const struct dtype **out, const char *const **partition_by, struct err *err)
{
    struct altering a = {.arena = arena, .s = s, .t = t, .err = err};
    const struct dtype *now = dtype_ref(schema), *next;
    enum lc rc = LC_OK;

    for (size_t i = 0; rc == LC_OK && i < s->n_changes; i++) {
        a.change = &s->changes[i];
        rc = descend(&a, now, 0, &next);
        if (rc == LC_OK) {
            dtype_unref(now);
            now = next;
        }
    }
    *partition_by = (const char *const *)a.partition_by;
    if (rc != LC_OK) {
        dtype_unref(now);
        now = NULL;
    }
    *out = now;
    return rc;
}

bool alter_same_schema(const struct dtype *a, const struct dtype *b)
{
    char *x = dtype_json_text(a), *y = dtype_json_text(b);
    bool same = x && y && strcmp(x, y) == 0;

    mem_free(x);
    mem_free(y);
    return same;
}
