/* source_json.c: JSON files: what the engine's lacus_json is told, in JSON, and what SQL makes of its columns. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum column_kind { COLUMN_FIELD, COLUMN_RECORD, COLUMN_PART };

enum lc sql_json_options(const struct plan *read, struct json_options *o, struct err *err)
{
    const struct plan_options *given = &read->u.source.options;

    json_defaults(o);
    for (size_t i = 0; i < given->n; i++)
        TRY(json_option(o, given->items[i].key, given->items[i].value, err));
    return LC_OK;
}

/* What travels as a text and is cast by SQL. */
static bool is_cast(const struct dtype *t)
{
    bool inside = t->id == DTYPE_TIMESTAMP || t->id == DTYPE_DECIMAL || t->id == DTYPE_TIME ||
                  t->id == DTYPE_VARIANT || t->id == DTYPE_NULL;

    if (t->id == DTYPE_ARRAY || t->id == DTYPE_MAP)
        return is_cast(t->element);
    for (size_t i = 0; t->id == DTYPE_STRUCT && i < t->n_fields && !inside; i++)
        inside = is_cast(t->fields[i].type);
    return inside;
}

static const char *pattern_of(const struct plan *read, enum dtype_id id)
{
    const char *name = id == DTYPE_DATE        ? "dateFormat"
                       : id == DTYPE_TIMESTAMP ? "timestampFormat"
                                               : "timestampNTZFormat";

    return id == DTYPE_DATE || id == DTYPE_TIMESTAMP || id == DTYPE_TIMESTAMP_NTZ
               ? plan_option(&read->u.source.options, name)
               : NULL;
}

/* A type that JSON has no values of, or none in this place; NULL: there is none. */
static const char *why_not(const struct plan *read, const struct dtype *t, bool inside)
{
    const char *why = NULL;

    if (t->id == DTYPE_INTERVAL)
        return "an interval";
    if (inside && pattern_of(read, t->id))
        return "dateFormat and timestampFormat inside of arrays, maps and structs";
    if (t->id == DTYPE_MAP && t->key->id != DTYPE_STRING)
        return "a map whose keys are no texts";
    if (t->id == DTYPE_ARRAY || t->id == DTYPE_MAP)
        return why_not(read, t->element, true);
    for (size_t i = 0; t->id == DTYPE_STRUCT && i < t->n_fields && !why; i++)
        why = why_not(read, t->fields[i].type, true);
    return why;
}

static enum lc put_column(const struct plan *read, size_t i, const struct dtype *t, bool part,
                          struct buf *out, struct err *err)
{
    const char *pattern = part ? NULL : pattern_of(read, t->id);
    char column[24];

    snprintf(column, sizeof column, "c%zu", i);
    buf_puts(out, i ? ", " : "");
    if (pattern)
        return sql_time_column(out, column, pattern, t, err);
    if (!part && !is_cast(t)) {
        buf_puts(out, column);
        return LC_OK;
    }
    buf_printf(out, "TRY_CAST(%s AS ", column);
    sql_type(t, out);
    buf_putc(out, ')');
    return LC_OK;
}

static json_t *carried_json(const struct plan *read, const struct dtype *schema)
{
    json_t *type = dtype_to_json(schema), *field;
    size_t i;

    json_array_foreach (json_object_get(type, "fields"), i, field)
        if (pattern_of(read, schema->fields[i].type->id)) /* the text, as it is */
            json_object_set_new(field, "type", json_string("string"));
    return type;
}

enum lc sql_source_json(const struct plan *read, const struct dtype *schema, char **files, size_t n,
                        struct buf *out, struct err *err)
{
    const struct plan_options *given = &read->u.source.options;
    json_t *paths = json_array(), *options = json_object(), *kinds = json_array(), *what;
    struct json_options o;
    char *text = NULL;
    enum lc code = sql_json_options(read, &o, err);

    for (size_t i = 0; i < n; i++)
        json_array_append_new(paths, json_string(files[i]));
    for (size_t i = 0; i < given->n; i++)
        json_object_set_new(options, given->items[i].key, json_string(given->items[i].value));
    buf_puts(out, "(SELECT ");
    for (size_t i = 0; i < schema->n_fields && code == LC_OK; i++) {
        const struct dfield *f = &schema->fields[i];
        bool corrupt = strcmp(f->name, o.corrupt_name) == 0 && f->type->id == DTYPE_STRING;
        bool part = !corrupt && n && sql_path_has(files[0], f->name);
        const char *why = why_not(read, f->type, false);

        if (why)
            code = err_set(err, LC_UNSUPPORTED, "cannot read the column '%s' from JSON: its type is %s",
                           f->name, why);
        else
            code = put_column(read, i, f->type, part, out, err);
        json_array_append_new(kinds, json_integer(corrupt ? COLUMN_RECORD
                                                  : part  ? COLUMN_PART
                                                          : COLUMN_FIELD));
    }
    what = json_pack("{s:o, s:o, s:o, s:o}", "files", paths, "options", options, "kinds", kinds, "schema",
                     carried_json(read, schema));
    text = what && code == LC_OK ? json_dumps(what, JSON_COMPACT) : NULL;
    if (code == LC_OK && !text)
        code = err_nomem(err);
    buf_puts(out, " FROM lacus_json(");
    if (text)
        sql_quote_text(out, text, strlen(text));
    buf_puts(out, "))");
    free(text);
    json_decref(what);
    return code;
}
