/* encode_type.c: DataType both ways. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/connect/encode.h"
#include <string.h>

enum { DEEPEST = 100 };

/* The field of DataType's kind. */
static const unsigned char kinds[DTYPE_COUNT] = {[DTYPE_NULL] = 1,       [DTYPE_BINARY] = 2,
                                                 [DTYPE_BOOLEAN] = 3,    [DTYPE_BYTE] = 4,
                                                 [DTYPE_SHORT] = 5,      [DTYPE_INT] = 6,
                                                 [DTYPE_LONG] = 7,       [DTYPE_FLOAT] = 8,
                                                 [DTYPE_DOUBLE] = 9,     [DTYPE_DECIMAL] = 10,
                                                 [DTYPE_STRING] = 11,    [DTYPE_DATE] = 14,
                                                 [DTYPE_TIMESTAMP] = 15, [DTYPE_TIMESTAMP_NTZ] = 16,
                                                 [DTYPE_INTERVAL] = 17,  [DTYPE_VARIANT] = 25,
                                                 [DTYPE_TIME] = 28,      [DTYPE_ARRAY] = 20,
                                                 [DTYPE_STRUCT] = 21,    [DTYPE_MAP] = 22};

static void put_field(struct buf *out, const struct dfield *f)
{
    size_t mark = pb_begin(out, 1);

    pb_text(out, 1, f->name);
    connect_type(out, 2, f->type);
    pb_int(out, 3, f->nullable);
    pb_text(out, 4, f->metadata);
    pb_end(out, mark);
}

static void put_content(struct buf *out, const struct dtype *t)
{
    switch (t->id) {
    case DTYPE_DECIMAL:
        pb_int(out, 1, t->scale);
        pb_int(out, 2, t->precision);
        break;
    case DTYPE_TIME:
        pb_int(out, 1, 6);
        break;
    case DTYPE_INTERVAL:
        if (dtype_interval_kind(t) != INTERVAL_CALENDAR) {
            pb_int(out, 1, t->scale / 4);
            pb_int(out, 2, t->scale % 4);
        }
        break;
    case DTYPE_ARRAY:
        connect_type(out, 1, t->element);
        pb_int(out, 2, t->contains_null);
        break;
    case DTYPE_MAP:
        connect_type(out, 1, t->key);
        connect_type(out, 2, t->element);
        pb_int(out, 3, t->contains_null);
        break;
    case DTYPE_STRUCT:
        for (size_t i = 0; i < t->n_fields; i++)
            put_field(out, &t->fields[i]);
        break;
    default:
        break;
    }
}

static unsigned kind_of(const struct dtype *type)
{
    static const unsigned char intervals[] = {
        [INTERVAL_CALENDAR] = 17, [INTERVAL_YEAR_MONTH] = 18, [INTERVAL_DAY_TIME] = 19};

    return type->id == DTYPE_INTERVAL ? intervals[dtype_interval_kind(type)] : kinds[type->id];
}

void connect_type(struct buf *out, unsigned field, const struct dtype *type)
{
    size_t mark = pb_begin(out, field), kind = pb_begin(out, kind_of(type));

    put_content(out, type);
    pb_end(out, kind);
    pb_end(out, mark);
}

/* ---- reading ---- */
static enum lc read_type(struct pb_reader r, int depth, const struct dtype **out, struct err *err);

static enum lc read_child(struct pb_reader r, unsigned number, int depth, const struct dtype **out,
                          struct err *err)
{
    struct pb_field f;

    *out = NULL;
    if (!pb_find(r, number, &f))
        return err_set(err, LC_DATA, "the server sent a type without its element");
    return read_type(pb_inside(&f), depth + 1, out, err);
}

static int64_t read_number(struct pb_reader r, unsigned number, int64_t missing)
{
    struct pb_field f;

    while (pb_next(&r, &f))
        if (f.number == number && f.wire == PB_VARINT)
            missing = (int64_t)f.value;
    return missing;
}

static enum lc made(const struct dtype *t, const struct dtype **out, struct err *err)
{
    *out = t;
    return t ? LC_OK : err_nomem(err);
}

static enum lc read_decimal(struct pb_reader r, const struct dtype **out, struct err *err)
{
    int64_t scale = read_number(r, 1, 0), precision = read_number(r, 2, 10);

    if (precision < 1 || precision > 38 || scale < 0 || scale > precision)
        return err_set(err, LC_DATA, "the server sent a decimal of precision %lld and scale %lld",
                       (long long)precision, (long long)scale);
    return made(dtype_decimal((int)precision, (int)scale), out, err);
}

static enum lc read_interval(struct pb_reader r, enum interval_kind kind, int64_t last,
                             const struct dtype **out, struct err *err)
{
    int64_t from = read_number(r, 1, 0), to = read_number(r, 2, last);

    if (from < 0 || to < from || to > last)
        return err_set(err, LC_DATA, "the server sent an interval of fields %lld to %lld", (long long)from,
                       (long long)to);
    return made(dtype_interval(kind, (int)from, (int)to), out, err);
}

static enum lc read_array(struct pb_reader r, int depth, const struct dtype **out, struct err *err)
{
    const struct dtype *element;

    TRY(read_child(r, 1, depth, &element, err));
    return made(dtype_array(element, read_number(r, 2, 0) != 0), out, err);
}

static enum lc read_map(struct pb_reader r, int depth, const struct dtype **out, struct err *err)
{
    const struct dtype *key, *value;
    enum lc rc;

    TRY(read_child(r, 1, depth, &key, err));
    rc = read_child(r, 2, depth, &value, err);
    if (rc != LC_OK) {
        dtype_unref(key);
        return rc;
    }
    return made(dtype_map(key, value, read_number(r, 3, 0) != 0), out, err);
}

static enum lc name_in(struct err *err, enum lc rc, const char *name)
{
    if (rc == LC_UNSUPPORTED)
        err_wrap(err, "column '%.200s'", name);
    return rc;
}

static enum lc read_field(struct pb_reader r, int depth, const struct dtype **s, struct err *err)
{
    struct pb_field name = {.data = "", .wire = PB_BYTES}, metadata;
    const struct dtype *type;
    char *text, *json = NULL;
    enum lc rc;

    pb_find(r, 1, &name);
    text = mem_strndup(name.data, name.len);
    if (!text)
        return err_nomem(err);
    rc = name_in(err, read_child(r, 2, depth, &type, err), text);
    if (rc == LC_OK) {
        if (pb_find(r, 4, &metadata) && metadata.len > 2 && !memchr(metadata.data, 0, metadata.len))
            json = mem_strndup(metadata.data, metadata.len);
        *s = dtype_struct_add(*s, text, type, read_number(r, 3, 0) != 0, json);
        rc = *s ? LC_OK : err_nomem(err);
    }
    mem_free(json);
    mem_free(text);
    return rc;
}

static enum lc read_struct(struct pb_reader r, int depth, const struct dtype **out, struct err *err)
{
    const struct dtype *s = dtype_struct_new(0);
    struct pb_field f;
    enum lc rc = s ? LC_OK : err_nomem(err);

    while (rc == LC_OK && pb_next(&r, &f))
        if (f.number == 1)
            rc = read_field(pb_inside(&f), depth, &s, err);
    if (rc != LC_OK)
        dtype_unref(s);
    else
        *out = s;
    return rc;
}

static enum lc read_udt(struct pb_reader r, int depth, const struct dtype **out, struct err *err)
{
    struct pb_field f;

    if (!pb_find(r, 5, &f))
        return err_set(err, LC_UNSUPPORTED, "the server's user-defined type has no SQL type");
    return read_type(pb_inside(&f), depth + 1, out, err);
}

static const struct {
    unsigned kind;
    const char *name;
} others[] = {{24, "unparsed"},
              {26, "geometry"},
              {27, "geography"},
              {29, "timestamp_ntz(9)"},
              {30, "timestamp_ltz(9)"}};

static enum lc not_here(unsigned kind, struct err *err)
{
    const char *name = "a type newer than this program";

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].kind == kind)
            name = others[i].name;
    err_set(err, LC_UNSUPPORTED, "the type %s of the server has no counterpart here", name);
    return err_hint(err, "cast the column on the server: F.col(name):cast(\"string\")");
}

static enum lc read_kind(const struct pb_field *f, int depth, const struct dtype **out, struct err *err)
{
    struct pb_reader r = pb_inside(f);

    switch (f->number) {
    case 10:
        return read_decimal(r, out, err);
    case 12: /* char, varchar: texts; the server pads and checks */
    case 13:
        *out = dtype_of(DTYPE_STRING);
        return LC_OK;
    case 18:
        return read_interval(r, INTERVAL_YEAR_MONTH, 1, out, err);
    case 19:
        return read_interval(r, INTERVAL_DAY_TIME, 3, out, err);
    case 20:
        return read_array(r, depth, out, err);
    case 21:
        return read_struct(r, depth, out, err);
    case 22:
        return read_map(r, depth, out, err);
    case 23:
        return read_udt(r, depth, out, err);
    default:
        for (int id = 0; id < DTYPE_COUNT; id++)
            if (kinds[id] == f->number) {
                *out = dtype_of((enum dtype_id)id);
                return LC_OK;
            }
        return not_here(f->number, err);
    }
}

static enum lc read_type(struct pb_reader r, int depth, const struct dtype **out, struct err *err)
{
    struct pb_field f;

    *out = NULL;
    if (depth > DEEPEST)
        return err_set(err, LC_LIMIT, "the server sent a type that is nested deeper than %d", DEEPEST);
    if (!pb_next(&r, &f))
        return err_set(err, LC_DATA, "the server sent a type without a kind");
    return read_kind(&f, depth, out, err);
}

enum lc connect_type_read(struct pb_reader r, const struct dtype **out, struct err *err)
{
    return read_type(r, 0, out, err);
}
