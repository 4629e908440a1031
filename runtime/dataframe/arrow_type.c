#include "runtime/dataframe/arrow_type.h"
#include <stdio.h>
#include <string.h>

enum { DEEPEST = 64 };

/* Arrow's formats; "tsu:" with a zone behind it is an instant. */
static const struct {
    const char *format;
    enum dtype_id id;
} rows[] = {{"b", DTYPE_BOOLEAN},
            {"c", DTYPE_BYTE},
            {"s", DTYPE_SHORT},
            {"i", DTYPE_INT},
            {"l", DTYPE_LONG},
            {"f", DTYPE_FLOAT},
            {"g", DTYPE_DOUBLE},
            {"u", DTYPE_STRING},
            {"U", DTYPE_STRING},
            {"z", DTYPE_BINARY},
            {"Z", DTYPE_BINARY},
            {"tdD", DTYPE_DATE},
            {"tsu:", DTYPE_TIMESTAMP_NTZ}};

static enum lc of(const struct ArrowSchema *s, int depth, const struct dtype **out, struct err *err);

static enum lc refuse(const struct ArrowSchema *s, struct err *err)
{
    return err_set(err, LC_UNSUPPORTED,
                   "the column '%.200s' has a type that Spark does not know: Arrow's '%.60s'",
                   s->name ? s->name : "", s->format);
}

static enum lc made(const struct dtype *type, const struct dtype **out, struct err *err)
{
    *out = type;
    return type ? LC_OK : err_nomem(err);
}

static enum lc struct_of(const struct ArrowSchema *s, int depth, const struct dtype **out, struct err *err)
{
    const struct dtype *type = dtype_struct_new((size_t)s->n_children), *field;

    for (int64_t i = 0; type && i < s->n_children; i++) {
        enum lc rc = of(s->children[i], depth + 1, &field, err);
        if (rc != LC_OK)
            return dtype_unref(type), rc;
        type = dtype_struct_add(type, s->children[i]->name ? s->children[i]->name : "", field, true, NULL);
    }
    return made(type, out, err);
}

static enum lc list_of(const struct ArrowSchema *s, int depth, const struct dtype **out, struct err *err)
{
    const struct dtype *element;

    TRY(of(s->children[0], depth + 1, &element, err));
    return made(dtype_array(element, true), out, err);
}

static enum lc map_of(const struct ArrowSchema *s, int depth, const struct dtype **out, struct err *err)
{
    const struct ArrowSchema *entry = s->children[0];
    const struct dtype *key, *value;
    enum lc rc;

    if (entry->n_children != 2)
        return refuse(s, err);
    TRY(of(entry->children[0], depth + 1, &key, err));
    rc = of(entry->children[1], depth + 1, &value, err);
    if (rc != LC_OK)
        return dtype_unref(key), rc;
    return made(dtype_map(key, value, true), out, err);
}

/* "d:10,2", "d:10,2,128": 128 bits are what a decimal has that does not say how many. */
static enum lc decimal_of(const struct ArrowSchema *s, const struct dtype **out, struct err *err)
{
    enum { DIGITS = 38 };
    int precision, scale, end = 0;

    if (sscanf(s->format, "d:%d,%d%n", &precision, &scale, &end) != 2 ||
        (s->format[end] && strcmp(s->format + end, ",128") != 0) || precision < 1 || precision > DIGITS ||
        scale < 0 || scale > precision)
        return refuse(s, err);
    return made(dtype_decimal(precision, scale), out, err);
}

static enum lc of(const struct ArrowSchema *s, int depth, const struct dtype **out, struct err *err)
{
    const char *format = s->format;

    if (depth > DEEPEST || s->dictionary)
        return refuse(s, err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].format, format) == 0)
            return made(dtype_of(rows[i].id), out, err);
    if (strncmp(format, "tsu:", 4) == 0)
        return made(dtype_of(DTYPE_TIMESTAMP), out, err);
    if (strncmp(format, "d:", 2) == 0)
        return decimal_of(s, out, err);
    if (strcmp(format, "+s") == 0)
        return struct_of(s, depth, out, err);
    if ((strcmp(format, "+l") == 0 || strcmp(format, "+L") == 0) && s->n_children == 1)
        return list_of(s, depth, out, err);
    return strcmp(format, "+m") == 0 && s->n_children == 1 ? map_of(s, depth, out, err) : refuse(s, err);
}

enum lc dtype_from_arrow(const struct ArrowSchema *schema, const struct dtype **out, struct err *err)
{
    return of(schema, 0, out, err);
}
