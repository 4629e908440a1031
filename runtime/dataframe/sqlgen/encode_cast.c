/* encode_cast.c: explicit and implicit conversions with Spark's results and errors. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>

bool sx_may_coerce(const struct dtype *from, const struct dtype *to)
{
    if (from->id == DTYPE_NULL || dtype_same(from, to))
        return true;
    if (dtype_is_numeric(from) && dtype_is_numeric(to))
        return true;
    if (from->id == DTYPE_INTERVAL && to->id == DTYPE_INTERVAL)
        return true;
    if (from->id == DTYPE_STRING)
        return dtype_is_atomic(to) && to->id != DTYPE_NULL && to->id != DTYPE_VARIANT;
    if (to->id == DTYPE_STRING)
        return dtype_is_atomic(from);
    if (from->id >= DTYPE_DATE && from->id <= DTYPE_TIMESTAMP_NTZ && to->id >= DTYPE_DATE &&
        to->id <= DTYPE_TIMESTAMP_NTZ)
        return true;
    if (from->id != to->id)
        return false;
    if (from->id == DTYPE_ARRAY)
        return sx_may_coerce(from->element, to->element);
    return from->id == DTYPE_MAP && sx_may_coerce(from->key, to->key) &&
           sx_may_coerce(from->element, to->element);
}

static const char *malformed(struct gen *g, const struct sx *in, const struct dtype *to)
{
    const char *words = gen_type_words(g, to);

    return gen_printf(
        g,
        "error('[CAST_INVALID_INPUT] The value ''' || %s || ''' of the type \"STRING\" cannot be cast to "
        "\"%s\" "
        "because it is malformed. Correct the value as per the syntax, or change its target type. Use "
        "`try_cast` to tolerate malformed input and return NULL instead. SQLSTATE: 22018')",
        in->sql, words);
}

/* DuckDB reads '1.5', '1e3', '0x1F' and '1_000' as integers; Spark does not. */
static const char *string_to_integer(struct gen *g, const struct sx *in, const struct dtype *to,
                                     bool try_cast)
{
    const char *type = gen_sql_type(g, to);

    return gen_printf(
        g,
        "(CASE WHEN regexp_full_match(%s, '\\s*[+-]?[0-9]+\\s*') THEN %s(%s AS %s) WHEN %s IS NULL THEN NULL "
        "ELSE %s END)",
        in->sql, try_cast ? "TRY_CAST" : "CAST", in->sql, type, in->sql,
        try_cast ? "NULL" : malformed(g, in, to));
}

/* Spaces and control characters around the word do not count; DuckDB has more words, and none with spaces. */
static const char *string_to_boolean(struct gen *g, const struct sx *in, bool try_cast)
{
    static const char blanks[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12"
                                 "\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f \x7f";
    const char *word = gen_printf(g, "lower(trim(%s, '%s'))", in->sql, blanks);

    return gen_printf(
        g,
        "%s(CASE WHEN %s IN ('true', 't', 'yes', 'y', '1') THEN 'true' WHEN %s IN ('false', 'f', 'no', "
        "'n', '0') THEN 'false' ELSE %s END AS BOOLEAN)",
        try_cast ? "TRY_CAST" : "CAST", word, word, in->sql);
}

/* DuckDB reads '1_000', and neither '1d' nor '0x1p3'. */
static const char *string_to_real(struct gen *g, const struct sx *in, const struct dtype *to, bool try_cast)
{
    const char *type = gen_sql_type(g, to);

    return gen_printf(g, "CAST(lacus_java_double(%s, '%s') AS %s)", in->sql, try_cast ? "" : type, type);
}

/* Two underscores are no digits to DuckDB, one is. */
static const char *string_to_decimal(struct gen *g, const struct sx *in, const struct dtype *to,
                                     bool try_cast)
{
    return gen_printf(g, "%s(replace(%s, '_', '__') AS %s)", try_cast ? "TRY_CAST" : "CAST", in->sql,
                      gen_sql_type(g, to));
}

/* Texts of values. Spark writes NULL inside of a value as null; what show prints (pretty) has NULL, and bytes in hexadecimal. */
struct words {
    bool pretty;
    int depth; /* of lists, for names of lambda parameters */
};

static const char *value_text(struct gen *g, const char *sql, const struct dtype *type, struct words w);

static const char *inner_text(struct gen *g, const char *sql, const struct dtype *type, struct words w)
{
    return gen_printf(g, "coalesce(%s, '%s')", value_text(g, sql, type, w), w.pretty ? "NULL" : "null");
}

static const char *elements_text(struct gen *g, const char *sql, const char *variable, const char *element,
                                 const char *brackets)
{
    return gen_printf(
        g,
        "(CASE WHEN %s IS NULL THEN NULL ELSE '%c' || coalesce(array_to_string(list_transform(%s, "
        "lambda %s: %s), ', '), '') || '%c' END)",
        sql, brackets[0], sql, variable, element, brackets[1]);
}

static const char *array_text(struct gen *g, const char *sql, const struct dtype *type, struct words w)
{
    const char *variable = gen_printf(g, "ls%d", w.depth++);

    return elements_text(g, sql, variable, inner_text(g, variable, type->element, w), "[]");
}

static const char *map_text(struct gen *g, const char *sql, const struct dtype *type, struct words w)
{
    const char *variable = gen_printf(g, "ls%d", w.depth++);
    const char *key = gen_printf(g, "struct_extract(%s, 'key')", variable);
    const char *value = gen_printf(g, "struct_extract(%s, 'value')", variable);
    const char *pair = gen_printf(g, "%s || ' -> ' || %s", value_text(g, key, type->key, w),
                                  inner_text(g, value, type->element, w));

    return elements_text(g, gen_printf(g, "map_entries(%s)", sql), variable, pair, "{}");
}

static const char *struct_text(struct gen *g, const char *sql, const struct dtype *type, struct words w)
{
    struct buf out;

    buf_init(&out, BUF_TEXT_MAX);
    buf_printf(&out, "(CASE WHEN %s IS NULL THEN NULL ELSE '{'", sql);
    for (size_t i = 0; i < type->n_fields; i++) {
        const char *name = gen_text(g, type->fields[i].name, strlen(type->fields[i].name));
        const char *field = gen_printf(g, "struct_extract(%s, %s)", sql, name);
        buf_printf(&out, " || %s%s", i ? "', ' || " : "", inner_text(g, field, type->fields[i].type, w));
    }
    buf_puts(&out, " || '}' END)");
    return gen_take(g, &out);
}

const char *sql_written_time(struct gen *g, const char *time, const char *usual, const char *pattern)
{
    return gen_printf(g,
                      "(CASE WHEN %s >= TIMESTAMP '0001-01-01' AND %s < TIMESTAMP '10000-01-01' THEN %s ELSE "
                      "lacus_date_format(epoch_us(CAST(%s AS TIMESTAMP)), 0, '', %s) END)",
                      time, time, usual, time, pattern);
}

/* A TIMESTAMP of DuckDB, with as many digits behind the seconds as there are. */
static const char *moment_text(struct gen *g, const char *sql)
{
    const char *usual = gen_printf(g, "CAST(%s AS VARCHAR)", sql);

    return gen_printf(
        g,
        "(CASE WHEN %s >= TIMESTAMP '0001-01-01' AND %s < TIMESTAMP '10000-01-01' THEN %s ELSE "
        "lacus_date_format(epoch_us(%s), 0, '', 'yyyy-MM-dd ') || CAST(CAST(%s AS TIME) AS VARCHAR) END)",
        sql, sql, usual, sql, sql);
}

static const char *value_text(struct gen *g, const char *sql, const struct dtype *type, struct words w)
{
    switch (type->id) {
    case DTYPE_DATE:
        return sql_written_time(g, sql, gen_printf(g, "CAST(%s AS VARCHAR)", sql), "'yyyy-MM-dd'");
    case DTYPE_TIMESTAMP_NTZ:
        return moment_text(g, sql);
    case DTYPE_FLOAT:
    case DTYPE_DOUBLE:
        return gen_printf(g, "lacus_java_number(CAST(%s AS VARCHAR))", sql);
    case DTYPE_TIMESTAMP:
        return moment_text(g, gen_printf(g, "CAST(%s AS TIMESTAMP)", sql));
    case DTYPE_TIME:
        return gen_printf(g, "regexp_replace(CAST(%s AS VARCHAR), '(\\.[0-9]*?)0+$', '\\1')", sql);
    case DTYPE_INTERVAL:
        return gen_printf(g, "lacus_interval_text(%s, %d, %d)", sql, type->precision, type->scale);
    case DTYPE_BINARY:
        return w.pretty
                   ? gen_printf(g, "'[' || rtrim(regexp_replace(hex(%s), '..', '\\0 ', 'g')) || ']'", sql)
                   : gen_printf(g, "decode(%s)", sql);
    case DTYPE_ARRAY:
        return array_text(g, sql, type, w);
    case DTYPE_MAP:
        return map_text(g, sql, type, w);
    case DTYPE_STRUCT:
        return struct_text(g, sql, type, w);
    default:
        return gen_printf(g, "CAST(%s AS VARCHAR)", sql);
    }
}

const char *sx_pretty(struct gen *g, const struct sx *in)
{
    return value_text(g, in->sql, in->type, (struct words){.pretty = true});
}

static const char *to_string(struct gen *g, const struct sx *in)
{
    return value_text(g, in->sql, in->type, (struct words){0});
}

static const char *to_integer(struct gen *g, const struct sx *in, const struct dtype *to, const char *cast)
{
    const char *type = gen_sql_type(g, to);

    switch (in->type->id) {
    case DTYPE_FLOAT:
    case DTYPE_DOUBLE:
    case DTYPE_DECIMAL:
        return gen_printf(g, "%s(trunc(%s) AS %s)", cast, in->sql, type);
    case DTYPE_TIMESTAMP:
        return gen_printf(g, "%s(floor(epoch(%s)) AS %s)", cast, in->sql, type);
    default:
        return gen_printf(g, "%s(%s AS %s)", cast, in->sql, type);
    }
}

static bool possible(const struct dtype *from, const struct dtype *to)
{
    enum dtype_id f = from->id, t = to->id;

    if (f == DTYPE_NULL || f == t || t == DTYPE_STRING)
        return f != DTYPE_STRUCT || t != DTYPE_STRUCT || from->n_fields == to->n_fields;
    if (f == DTYPE_STRING)
        return dtype_is_atomic(to) && t != DTYPE_NULL;
    if (f == DTYPE_VARIANT || t == DTYPE_VARIANT)
        return true;
    if (f == DTYPE_TIMESTAMP || f == DTYPE_TIMESTAMP_NTZ) {
        if (t == DTYPE_TIME)
            return true;
    }
    if (dtype_is_numeric(from) || f == DTYPE_BOOLEAN)
        return dtype_is_numeric(to) || t == DTYPE_BOOLEAN || (t == DTYPE_TIMESTAMP && f != DTYPE_BOOLEAN) ||
               (t == DTYPE_BINARY && dtype_is_integral(from));
    if (f >= DTYPE_DATE && f <= DTYPE_TIMESTAMP_NTZ)
        return (t >= DTYPE_DATE && t <= DTYPE_TIMESTAMP_NTZ) ||
               (f == DTYPE_TIMESTAMP && dtype_is_numeric(to));
    return false;
}

static const char *string_to_date(struct gen *g, const struct sx *in, const struct dtype *to, bool try_cast)
{
    const char *days = gen_printf(g, "lacus_date_days(%s)", in->sql),
               *date = gen_printf(g, "(DATE '1970-01-01' + CAST(%s AS INTEGER))", days);

    return try_cast ? date
                    : gen_printf(g, "(CASE WHEN %s IS NOT NULL THEN %s WHEN %s IS NOT NULL THEN %s END)",
                                 days, date, in->sql, malformed(g, in, to));
}

/* The first of the instants at which a clock shows that: an hour comes twice at the end of summer, on Lord Howe half of one. As variables: nothing
 * is worked out twice. */
static void put_first_instant(struct buf *out, const char *zone, const char *clock)
{
    const char *at = "struct_extract_at(lq, 1)",
               *there = zone ? "struct_extract_at(lq, 2)" : "current_setting('TimeZone')";
    static const char *const spans[] = {"3600000000", "1800000000"};

    buf_printf(out,
               "list_transform([row(%s%s%s)], lambda lq: list_transform([timezone(%s, %s)], lambda lt: CASE",
               clock, zone ? ", " : "", zone ? zone : "", there, at);
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        buf_printf(out,
                   " WHEN timezone(%s, make_timestamptz(epoch_us(lt) - %s)) = %s THEN "
                   "make_timestamptz(epoch_us(lt) - %s)",
                   there, spans[i], at, spans[i]);
    buf_puts(out, " ELSE lt END)[1])[1]");
}

void sql_instant(struct buf *out, const char *zone, const char *clock)
{
    buf_puts(out, "(CASE ");
    if (zone) {
        buf_printf(out, "WHEN %s IS NOT NULL THEN ", zone);
        put_first_instant(out, zone, clock);
        buf_putc(out, ' ');
    }
    buf_printf(out, "WHEN " SESSION_IS_UTC " THEN CAST(%s AS TIMESTAMPTZ) ELSE ", clock);
    put_first_instant(out, NULL, clock);
    buf_puts(out, " END)");
}

void sql_instant_in(struct buf *out, const char *zone, const char *clock)
{
    buf_printf(out,
               "(CASE WHEN lacus_zone_offset(%s) IS NOT NULL THEN make_timestamptz(epoch_us(%s) - "
               "lacus_zone_offset(%s)) ELSE ",
               zone, clock, zone);
    put_first_instant(out, zone, clock);
    buf_puts(out, " END)");
}

void sql_instant_of_text(struct buf *out, const char *text)
{
    struct buf zone = BUF_INIT((size_t)64 << 20), clock = BUF_INIT((size_t)64 << 20);

    buf_printf(&zone, "lacus_time_zone(%s)", text);
    buf_printf(&clock, "make_timestamp(lacus_time_micros(%s, 1))", text);
    sql_instant(out, buf_str(&zone), buf_str(&clock));
    buf_release(&zone);
    buf_release(&clock);
}

/* DuckDB's own cast lets a zone in one row change the rows behind it, knows no '+05:30' behind a space and takes UTC for the session. */
static const char *string_to_timestamp(struct gen *g, const struct sx *in, const struct dtype *to,
                                       bool try_cast)
{
    bool instant = to->id == DTYPE_TIMESTAMP;
    const char *micros = gen_printf(g, "lacus_time_micros(%s, %d)", in->sql, instant), *at;
    struct buf b = BUF_INIT((size_t)64 << 20);

    if (instant)
        sql_instant_of_text(&b, in->sql);
    else
        buf_printf(&b, "make_timestamp(%s)", micros);
    at = gen_take(g, &b);
    if (try_cast)
        return gen_printf(g, instant ? "try(%s)" : "%s", at);
    return gen_printf(g, "(CASE WHEN %s IS NOT NULL THEN %s WHEN %s IS NOT NULL THEN %s END)", micros, at,
                      in->sql, malformed(g, in, to));
}

static const char *cast_text(struct gen *g, const struct sx *in, const struct dtype *to, bool try_cast)
{
    const char *cast = try_cast ? "TRY_CAST" : "CAST";
    enum dtype_id from = in->type->id;

    if (to->id == DTYPE_STRING)
        return to_string(g, in);
    if (from == DTYPE_STRING && dtype_is_integral(to))
        return string_to_integer(g, in, to, try_cast);
    if (from == DTYPE_STRING && (to->id == DTYPE_TIMESTAMP || to->id == DTYPE_TIMESTAMP_NTZ))
        return string_to_timestamp(g, in, to, try_cast);
    if (from == DTYPE_STRING && to->id == DTYPE_BOOLEAN)
        return string_to_boolean(g, in, try_cast);
    if (from == DTYPE_STRING && (to->id == DTYPE_DOUBLE || to->id == DTYPE_FLOAT))
        return string_to_real(g, in, to, try_cast);
    if (from == DTYPE_STRING && to->id == DTYPE_DECIMAL)
        return string_to_decimal(g, in, to, try_cast);
    if (from == DTYPE_STRING && to->id == DTYPE_BINARY)
        return gen_printf(g, "encode(%s)", in->sql);
    if (from == DTYPE_STRING && to->id == DTYPE_DATE)
        return string_to_date(g, in, to, try_cast);
    if (dtype_is_integral(to))
        return to_integer(g, in, to, cast);
    if (from == DTYPE_TIMESTAMP && dtype_is_numeric(to))
        return gen_printf(g, "%s(epoch(%s) AS %s)", cast, in->sql, gen_sql_type(g, to));
    if (to->id == DTYPE_INTERVAL && from == DTYPE_STRING)
        return gen_printf(g,
                          "%s(regexp_replace(%s, '^ *interval +''?([^'']*)''?.*$', '\\1', 'i') AS INTERVAL)",
                          cast, in->sql);
    if (to->id == DTYPE_VARIANT)
        return gen_printf(g, "to_json(%s)", in->sql);
    if (from == DTYPE_VARIANT)
        return gen_printf(g, "%s(%s AS %s)", cast, in->sql, gen_sql_type(g, to));
    if (to->id == DTYPE_TIMESTAMP && (from == DTYPE_TIMESTAMP_NTZ || from == DTYPE_DATE)) {
        struct buf b = BUF_INIT((size_t)64 << 20);

        sql_instant(&b, NULL, from == DTYPE_DATE ? gen_printf(g, "CAST(%s AS TIMESTAMP)", in->sql) : in->sql);
        return gen_take(g, &b);
    }
    if (to->id == DTYPE_TIMESTAMP && dtype_is_numeric(in->type))
        return gen_printf(g, "to_timestamp(CAST(%s AS DOUBLE))", in->sql);
    return gen_printf(g, "%s(%s AS %s)", cast, in->sql, gen_sql_type(g, to));
}

/* Whether every value of a decimal, or of an integral type, has a place in another decimal. */
static bool holds(const struct dtype *from, const struct dtype *to)
{
    static const int digits[DTYPE_COUNT] = {
        [DTYPE_BOOLEAN] = 1, [DTYPE_BYTE] = 3, [DTYPE_SHORT] = 5, [DTYPE_INT] = 10, [DTYPE_LONG] = 20};
    int precision = from->id == DTYPE_DECIMAL ? from->precision : digits[from->id],
        scale = from->id == DTYPE_DECIMAL ? from->scale : 0;

    return precision && ((to->precision - to->scale >= precision - scale && to->scale >= scale) ||
                         (from->id == DTYPE_DECIMAL && precision - scale < to->precision - to->scale));
}

/* As Spark sees it, a cast may give NULL where its dialect without errors would. */
static bool may_fail(const struct dtype *from, const struct dtype *to)
{
    if (from->id == DTYPE_NULL)
        return false;
    if (from->id == DTYPE_STRING)
        return to->id != DTYPE_STRING && to->id != DTYPE_BINARY;
    if (to->id == DTYPE_DECIMAL)
        return !holds(from, to);
    return (from->id == DTYPE_FLOAT || from->id == DTYPE_DOUBLE || from->id == DTYPE_DECIMAL) &&
           (dtype_is_integral(to) || to->id == DTYPE_TIMESTAMP);
}

enum lc sx_cast(struct gen *g, const struct sx *in, const struct dtype *to, bool try_cast, bool user,
                const struct expr *at, struct sx *out)
{
    if (!possible(in->type, to))
        return gen_fail(
            g, at, LC_ENGINE,
            "[DATATYPE_MISMATCH.%s] Cannot resolve \"%s\" due to data type mismatch: cannot cast \"%s\" to "
            "\"%s\". SQLSTATE: 42K09",
            user ? "CAST_WITHOUT_SUGGESTION" : "UNEXPECTED_INPUT_TYPE", in->name, gen_type_words(g, in->type),
            gen_type_words(g, to));
    *out = *in;
    out->type = to;
    if (dtype_same(in->type, to))
        return LC_OK;
    out->col = NULL;
    out->simple = false;
    out->nullable = in->nullable || try_cast || may_fail(in->type, to);
    out->sql = in->type->id == DTYPE_NULL ? gen_printf(g, "CAST(NULL AS %s)", gen_sql_type(g, to))
                                          : cast_text(g, in, to, try_cast);
    return out->sql ? LC_OK : err_nomem(g->err);
}

enum lc sx_coerce(struct gen *g, struct sx *x, const struct dtype *to, const struct expr *at)
{
    struct sx in = *x;

    if (dtype_same(x->type, to))
        return LC_OK;
    TRY(sx_cast(g, &in, to, false, false, at, x));
    x->from = in.from;
    return LC_OK;
}

enum lc sx_fields_as(struct gen *g, struct sx *x, const struct dtype *like)
{
    const struct dtype *t = x->type, *made;
    struct buf b = BUF_INIT((size_t)64 << 20);
    bool same = true;

    if (t->id != DTYPE_STRUCT || like->id != DTYPE_STRUCT || t->n_fields != like->n_fields)
        return LC_OK;
    for (size_t i = 0; i < t->n_fields; i++)
        same = same && strcasecmp(t->fields[i].name, like->fields[i].name) == 0;
    if (same)
        return LC_OK;
    made = dtype_struct_new(t->n_fields);
    for (size_t i = 0; i < t->n_fields; i++) {
        buf_puts(&b, i ? ", " : "");
        sql_quote_name(&b, like->fields[i].name);
        buf_printf(&b, " := struct_extract_at(%s, %zu)", x->sql, i + 1);
        made = dtype_struct_add(made, like->fields[i].name, dtype_ref(t->fields[i].type),
                                t->fields[i].nullable, NULL);
    }
    x->type = gen_type(g, made);
    x->sql =
        gen_printf(g, "CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(%s) END", x->sql, gen_take(g, &b));
    x->col = NULL;
    x->simple = false;
    return x->type && x->sql ? LC_OK : err_nomem(g->err);
}
