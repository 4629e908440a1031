/* source_csv.c: CSV files: what the engine's lacus_csv is told, in JSON. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/folder.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WHOLE_RECORD = -1, PATH_PART = -2 };

enum lc sql_csv_options(const struct plan *read, struct csv_options *o, struct err *err)
{
    const struct plan_options *given = &read->u.source.options;

    csv_defaults(o);
    for (size_t i = 0; i < given->n; i++)
        TRY(csv_option(o, given->items[i].key, given->items[i].value, err));
    return csv_check(o, err);
}

/* Where the value of a name stands in a folder's name=value; NULL: nowhere. */
static const char *path_part(const char *path, const char *name)
{
    for (const char *at = path, *slash; (slash = strchr(at, '/')) != NULL; at = slash + 1) {
        const char *equal = memchr(at, '=', (size_t)(slash - at));
        char *own = equal ? folder_unescape(at, (size_t)(equal - at)) : NULL;
        bool same = own && strcasecmp(own, name) == 0;

        mem_free(own);
        if (same)
            return equal + 1;
    }
    return NULL;
}

bool sql_path_has(const char *path, const char *name)
{
    return path_part(path, name) != NULL;
}

char *sql_path_value(const char *path, const char *name)
{
    const char *at = path_part(path, name), *end = at ? strchr(at, '/') : NULL;
    size_t len = end ? (size_t)(end - at) : 0;
    bool none = !end || (len == strlen(FOLDER_NULL) && memcmp(at, FOLDER_NULL, len) == 0);

    return none ? NULL : folder_unescape(at, len);
}

static json_t *described(const struct plan *read, char **files, size_t n, json_t *columns, size_t fields,
                         bool infer)
{
    const struct plan_options *given = &read->u.source.options;
    json_t *paths = json_array(), *options = json_object();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(paths, json_string(files[i]));
    for (size_t i = 0; i < given->n; i++)
        json_object_set_new(options, given->items[i].key, json_string(given->items[i].value));
    return json_pack("{s:o, s:o, s:o, s:I, s:b}", "files", paths, "options", options, "columns", columns,
                     "fields", (json_int_t)fields, "infer", infer);
}

static bool put_call(struct buf *out, json_t *what)
{
    char *text = what ? json_dumps(what, JSON_COMPACT) : NULL;
    bool made = text != NULL;

    if (text) {
        buf_puts(out, "lacus_csv(");
        sql_quote_text(out, text, strlen(text));
        buf_putc(out, ')');
    }
    free(text);
    json_decref(what);
    return made;
}

bool sql_csv_infer(const struct plan *read, char **files, size_t n, size_t fields, struct buf *out)
{
    buf_puts(out, "SELECT c0 FROM ");
    return put_call(out, described(read, files, n, json_array(), fields, true));
}

/* ---- columns ---- */
struct csv_call {
    const struct plan *read;
    const struct csv_options *options;
    char *const *files;
    size_t n_files, fields;
    json_t *columns;      /* owned */
    struct buf *selected; /* what SQL makes of them */
    struct err *err;
};

static const char *time_pattern(const struct csv_call *c, enum dtype_id id)
{
    const char *name =
        id == DTYPE_DATE ? "dateFormat" : (id == DTYPE_TIMESTAMP ? "timestampFormat" : "timestampNTZFormat");

    return id == DTYPE_DATE || id == DTYPE_TIMESTAMP || id == DTYPE_TIMESTAMP_NTZ
               ? plan_option(&c->read->u.source.options, name)
               : NULL;
}

static enum lc put_column(struct csv_call *c, size_t i, const struct dfield *f)
{
    const struct dtype *t = f->type;
    const char *pattern = time_pattern(c, t->id);
    bool corrupt = strcasecmp(f->name, c->options->corrupt_name) == 0 && t->id == DTYPE_STRING,
         part = !corrupt && c->n_files && path_part(c->files[0], f->name);
    struct buf name = BUF_INIT(4096);
    char text[24];
    json_int_t field = corrupt ? WHOLE_RECORD : (part ? PATH_PART : (json_int_t)c->fields);

    if (dtype_is_atomic(t))
        dtype_simple(dtype_of(t->id), &name);
    if (!dtype_is_atomic(t) || t->id == DTYPE_BINARY || t->id == DTYPE_INTERVAL || t->id == DTYPE_NULL ||
        t->id == DTYPE_VARIANT) {
        struct buf type = BUF_INIT(1 << 20);

        dtype_sql(t, &type);
        err_set(c->err, LC_ENGINE,
                "[UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE] The CSV datasource doesn't support the column `%s` "
                "of the type \"%s\". SQLSTATE: 0A000",
                f->name, buf_str(&type));
        buf_release(&type);
        buf_release(&name);
        return c->err->code;
    }
    c->fields += !corrupt && !part;
    json_array_append_new(
        c->columns, json_pack("{s:s, s:s, s:I, s:i, s:i}", "as",
                              pattern || t->id == DTYPE_STRING || t->id == DTYPE_TIME ? "string"
                              : t->id == DTYPE_DECIMAL                                ? "decimal"
                                                                                      : buf_str(&name),
                              "name", f->name, "field", field, "precision", t->precision, "scale", t->scale));
    buf_release(&name);
    if (i)
        buf_puts(c->selected, ", ");
    snprintf(text, sizeof text, "c%zu", i);
    if (pattern)
        return sql_time_column(c->selected, text, pattern, t, c->err);
    if (t->id == DTYPE_TIMESTAMP) {
        sql_instant_of_text(c->selected, text);
    } else if (t->id == DTYPE_DECIMAL || t->id == DTYPE_TIME) {
        buf_printf(c->selected, "TRY_CAST(%s AS ", text);
        sql_type(t, c->selected);
        buf_putc(c->selected, ')');
    } else {
        buf_puts(c->selected, text);
    }
    return LC_OK;
}

enum lc sql_source_csv(const struct plan *read, const struct dtype *schema, char **files, size_t n,
                       struct buf *out, struct err *err)
{
    struct csv_options o;
    struct buf selected = BUF_INIT((size_t)16 << 20);
    struct csv_call c = {
        .read = read, .options = &o, .files = files, .n_files = n, .selected = &selected, .err = err};
    enum lc code = sql_csv_options(read, &o, err);

    c.columns = json_array();
    for (size_t i = 0; i < schema->n_fields && code == LC_OK; i++)
        code = put_column(&c, i, &schema->fields[i]);
    if (code != LC_OK) {
        json_decref(c.columns);
        buf_release(&selected);
        return code;
    }
    buf_puts(out, "(SELECT ");
    buf_add(out, buf_str(&selected), selected.len);
    buf_puts(out, " FROM ");
    if (!put_call(out, described(read, files, n, c.columns, c.fields, false)))
        code = err_nomem(err);
    buf_putc(out, ')');
    buf_release(&selected);
    return code;
}
