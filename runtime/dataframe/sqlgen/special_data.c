/* special_data.c: CSV, JSON schemas, variants, patterns of numbers, and values of the session. */
#include "runtime/dataframe/csv/value.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static enum lc schema_arg(struct call *c, size_t arg, const struct dtype **out)
{
    const char *text = special_text(&c->args[arg]);

    if (!text)
        return special_unsupported(c, "a schema that is not a literal");
    TRY(dtype_parse_schema(text, out, c->g->err));
    *out = gen_type(c->g, *out);
    return LC_OK;
}

/* The columns of a line are those of the schema but the one for malformed records; -1: there is none. */
static long record_column(const struct dtype *t, const struct text_options *o)
{
    long at = dtype_field_index(t, o->corrupt);

    return at >= 0 && t->fields[at].type->id == DTYPE_STRING ? at : -1;
}

/* A field as Spark's reader takes it: integers without spaces around them, doubles with. What it does not take is NULL. */
static const char *plain_field(struct call *c, const struct dtype *t, const char *cell)
{
    const char *type = gen_sql_type(c->g, t);

    if (t->id == DTYPE_STRING)
        return cell;
    if (dtype_is_integral(t))
        return gen_printf(c->g,
                          "(CASE WHEN regexp_full_match(%s, '[+-]?[0-9]+') THEN TRY_CAST(%s AS %s) END)",
                          cell, cell, type);
    if (t->id == DTYPE_DOUBLE || t->id == DTYPE_FLOAT)
        return gen_printf(c->g,
                          "(CASE WHEN %s IN ('Inf', '-Inf') OR regexp_full_match(trim(%s), "
                          "'[+-]?(NaN|Infinity|([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?)') THEN "
                          "TRY_CAST(regexp_replace(trim(%s), '([0-9.])[dDfF]$', '\\1') AS %s) END)",
                          cell, cell, cell, type);
    if (t->id == DTYPE_BOOLEAN)
        return gen_printf(c->g, "(CASE lower(%s) WHEN 'true' THEN TRUE WHEN 'false' THEN FALSE END)", cell);
    if (t->id == DTYPE_DECIMAL)
        return gen_printf(
            c->g, "(CASE WHEN NOT regexp_matches(%s, '\\s') THEN TRY_CAST(replace(%s, ',', '') AS %s) END)",
            cell, cell, type);
    return gen_printf(c->g, "TRY_CAST(trim(%s) AS %s)", cell, type);
}

/* A cell as a value of the type: NULL where it is none. */
static enum lc cell_value(struct call *c, const struct text_options *o, const struct dtype *t,
                          const char *cell, const char **out)
{
    struct sx x = {.sql = cell, .name = "", .type = dtype_of(DTYPE_STRING), .nullable = true}, made;

    TRY(options_parse(c, o, t, cell, out));
    if (*out)
        return LC_OK;
    *out = plain_field(c, t, cell);
    if (t->id == DTYPE_DATE || t->id == DTYPE_TIMESTAMP || t->id == DTYPE_TIMESTAMP_NTZ) {
        TRY(sx_cast(c->g, &x, t, true, false, c->e, &made));
        *out = made.sql;
    }
    return LC_OK;
}

static enum lc from_csv(struct call *c, struct sx *out)
{
    struct buf b = BUF_INIT((size_t)16 << 20), wrong = BUF_INIT((size_t)16 << 20);
    const char *fields, *malformed, *x = c->args[0].sql;
    struct text_options o;
    const struct dtype *t;
    size_t n = 0;
    long record;

    TRY(schema_arg(c, 1, &t));
    TRY(special_options(c, 2, "csv", OPTION_SEP | OPTION_MODE | OPTION_TIMES | OPTION_CORRUPT, &o));
    record = record_column(t, &o);
    fields = gen_printf(c->g, "lacus_csv_fields(%s, %s)", x, gen_text(c->g, o.sep, strlen(o.sep)));
    buf_printf(&wrong, "(len(%s) <> %zu", fields, t->n_fields - (record >= 0));
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct dfield *f = &t->fields[i];
        const char *cell = gen_printf(c->g, "nullif((%s)[%zu], '')", fields, n + 1), *value;

        if ((long)i == record)
            continue;
        TRY(cell_value(c, &o, f->type, cell, &value));
        buf_printf(&wrong, " OR coalesce(%s IS NOT NULL AND (%s) IS NULL, FALSE)", cell, value);
        n++;
    }
    buf_putc(&wrong, ')');
    malformed = gen_take(c->g, &wrong);
    n = 0;
    buf_puts(&b, "struct_pack(");
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct dfield *f = &t->fields[i];
        const char *value = gen_printf(c->g, "CASE WHEN %s THEN %s END", malformed, x);

        if ((long)i != record)
            TRY(cell_value(c, &o, f->type, gen_printf(c->g, "nullif((%s)[%zu], '')", fields, ++n), &value));
        buf_puts(&b, i ? ", " : "");
        sql_quote_name(&b, f->name);
        buf_printf(&b, " := %s", value);
    }
    buf_putc(&b, ')');
    TRY(special_done(
        c, out, t,
        gen_printf(c->g, "(CASE WHEN %s IS NULL THEN NULL %s ELSE %s END)", x,
                   o.fail ? gen_printf(c->g, "WHEN %s THEN %s", malformed, options_malformed(c, x)) : "",
                   gen_take(c->g, &b))));
    out->nullable = c->args[0].nullable;
    return LC_OK;
}

/* A time in a line of CSV: by the option's pattern, else as Spark has it there. *out NULL: it is no time. */
static enum lc csv_time(struct call *c, const struct text_options *o, const struct dtype *t, const char *x,
                        const char **out)
{
    TRY(options_format(c, o, t, x, out));
    if (*out || (t->id != DTYPE_TIMESTAMP && t->id != DTYPE_TIMESTAMP_NTZ))
        return LC_OK;
    return sql_time_text(
        c, x, t->id == DTYPE_TIMESTAMP ? "yyyy-MM-dd'T'HH:mm:ss.SSSXXX" : "yyyy-MM-dd'T'HH:mm:ss.SSS", out);
}

static enum lc to_csv(struct call *c, struct sx *out)
{
    const struct dtype *t = c->args[0].type;
    struct buf b = BUF_INIT((size_t)16 << 20);
    struct text_options o;
    const char *sep;

    TRY(special_options(c, 1, "csv", OPTION_SEP | OPTION_TIMES, &o));
    sep = gen_text(c->g, o.sep, strlen(o.sep));
    buf_printf(&b, "(CASE WHEN %s IS NULL THEN NULL ELSE array_to_string([", c->args[0].sql);
    for (size_t i = 0; i < t->n_fields; i++) {
        struct sx f = {.sql = gen_printf(c->g, "struct_extract(%s, %s)", c->args[0].sql,
                                         gen_text(c->g, t->fields[i].name, strlen(t->fields[i].name))),
                       .name = t->fields[i].name,
                       .type = t->fields[i].type,
                       .nullable = true};
        const char *time;

        TRY(csv_time(c, &o, f.type, f.sql, &time));
        if (time)
            f.sql = time;
        else
            TRY(sx_coerce(c->g, &f, dtype_of(DTYPE_STRING), c->e));
        if (time || t->fields[i].type->id == DTYPE_STRING)
            f.sql = gen_printf(c->g, "lacus_csv_quote(%s, %s)", f.sql, sep);
        buf_printf(&b, "%scoalesce(%s, '')", i ? ", " : "", f.sql);
    }
    buf_printf(&b, "], %s) END)", sep);
    TRY(special_done(c, out, dtype_of(DTYPE_STRING), gen_take(c->g, &b)));
    out->nullable = true;
    return LC_OK;
}

/* ---- schemas of texts ---- */
static enum lc type_text(struct call *c, struct sx *out, const struct dtype *t)
{
    struct buf b = BUF_INIT(1 << 22);
    const char *text;

    if (!t)
        return err_nomem(c->g->err);
    dtype_sql(t, &b);
    text = gen_take(c->g, &b);
    TRY(special_done(c, out, dtype_of(DTYPE_STRING), text ? gen_text(c->g, text, strlen(text)) : NULL));
    out->nullable = false;
    return LC_OK;
}

static enum lc schema_of_csv(struct call *c, struct sx *out)
{
    const char *text = special_text(&c->args[0]);
    struct text_options given;
    const struct dtype *s;
    struct csv_options o;
    struct csv_row row = {0};
    char name[24];

    if (!text)
        return special_unsupported(c, "a text that is not a literal");
    TRY(special_options(c, 1, "csv", OPTION_SEP, &given));
    csv_defaults(&o);
    TRY(csv_option(&o, "sep", given.sep, c->g->err));
    s = dtype_struct_new(4);
    if (!csv_line(&o, text, strlen(text), &row))
        return dtype_unref(s), err_nomem(c->g->err);
    for (size_t i = 0; s && i < row.n; i++) {
        struct csv_guess g = {CSV_NOTHING, 0};

        if (!csv_is_null(&o, &row.fields[i]))
            csv_guess_add(&g, &o, row.fields[i].s, row.fields[i].len);
        snprintf(name, sizeof name, "_c%zu", i);
        s = dtype_struct_add(s, name, csv_guess_dtype(g), true, NULL);
    }
    csv_row_release(&row);
    return type_text(c, out, gen_type(c->g, s));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const struct dtype *json_dtype(json_t *v);

static const struct dtype *json_struct(json_t *v)
{
    const struct dtype *s = dtype_struct_new(json_object_size(v));
    const char *names[512], *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach (v, key, value)
        if (n < 512)
            names[n++] = key;
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; s && i < n; i++)
        s = dtype_struct_add(s, names[i], json_dtype(json_object_get(v, names[i])), true, NULL);
    return s;
}

static const struct dtype *json_both(const struct dtype *a, const struct dtype *b);

/* The fields of both, by name; both are sorted. */
static const struct dtype *json_merged(const struct dtype *a, const struct dtype *b)
{
    const struct dtype *s = dtype_struct_new(a->n_fields + b->n_fields);
    size_t i = 0, k = 0;

    while (s && (i < a->n_fields || k < b->n_fields)) {
        int order = i == a->n_fields   ? 1
                    : k == b->n_fields ? -1
                                       : strcmp(a->fields[i].name, b->fields[k].name);
        const struct dfield *one = order <= 0 ? &a->fields[i] : &b->fields[k];
        const struct dtype *type = dtype_ref(one->type);

        if (order == 0)
            type = json_both(type, dtype_ref(b->fields[k].type));
        s = dtype_struct_add(s, one->name, type, true, NULL);
        i += order <= 0;
        k += order >= 0;
    }
    return s;
}

static bool json_number(const struct dtype *t)
{
    return t->id == DTYPE_LONG || t->id == DTYPE_DOUBLE;
}

/* The type that takes both values; what is as different as a number and an object is a text. Takes both. */
static const struct dtype *json_both(const struct dtype *a, const struct dtype *b)
{
    const struct dtype *both = NULL;

    if (!a || !b)
        both = NULL;
    else if (a->id == DTYPE_NULL || b->id == DTYPE_NULL)
        both = dtype_ref(a->id == DTYPE_NULL ? b : a);
    else if (a->id == DTYPE_STRUCT && b->id == DTYPE_STRUCT)
        both = json_merged(a, b);
    else if (a->id == DTYPE_ARRAY && b->id == DTYPE_ARRAY)
        both = dtype_array(json_both(dtype_ref(a->element), dtype_ref(b->element)), true);
    else if (a->id == b->id)
        both = dtype_ref(a);
    else
        both = dtype_of(json_number(a) && json_number(b) ? DTYPE_DOUBLE : DTYPE_STRING);
    dtype_unref(a);
    dtype_unref(b);
    return both;
}

static const struct dtype *json_dtype(json_t *v)
{
    const struct dtype *element = dtype_of(DTYPE_NULL);

    if (json_is_object(v))
        return json_struct(v);
    if (json_is_array(v)) {
        for (size_t i = 0; i < json_array_size(v) && element; i++)
            element = json_both(element, json_dtype(json_array_get(v, i)));
        return dtype_array(element, true);
    }
    return dtype_of(json_is_integer(v)   ? DTYPE_LONG
                    : json_is_real(v)    ? DTYPE_DOUBLE
                    : json_is_boolean(v) ? DTYPE_BOOLEAN
                    : json_is_null(v)    ? DTYPE_NULL
                                         : DTYPE_STRING);
}

/* What was NULL everywhere is a text. */
static const struct dtype *json_known(const struct dtype *t)
{
    const struct dtype *s;

    if (!t || t->id == DTYPE_NULL)
        return t ? dtype_of(DTYPE_STRING) : NULL;
    if (t->id == DTYPE_ARRAY)
        return dtype_array(json_known(t->element), true);
    if (t->id != DTYPE_STRUCT)
        return dtype_ref(t);
    s = dtype_struct_new(t->n_fields);
    for (size_t i = 0; s && i < t->n_fields; i++)
        s = dtype_struct_add(s, t->fields[i].name, json_known(t->fields[i].type), true, NULL);
    return s;
}

/* Field names without quotes, as Spark's reader may be told to take them, are not taken here. */
static enum lc schema_of_json(struct call *c, struct sx *out)
{
    const char *text = special_text(&c->args[0]);
    json_error_t e;
    const struct dtype *t;
    struct text_options o;
    json_t *v;

    if (!text)
        return special_unsupported(c, "a text that is not a literal");
    TRY(special_options(c, 1, "json", 0, &o));
    v = json_loads(text, JSON_DECODE_ANY, &e);
    if (!v)
        return gen_fail(c->g, c->e, LC_ENGINE, "[MALFORMED_RECORD_IN_PARSING] the text is no JSON: %s",
                        e.text);
    t = gen_type(c->g, json_dtype(v));
    json_decref(v);
    return type_text(c, out, gen_type(c->g, json_known(t)));
}

/* ---- variants ---- */
static enum lc get_variant(struct call *c, struct sx *out, bool try_it)
{
    const char *path = special_text(&c->args[1]), *type = c->n > 2 ? special_text(&c->args[2]) : "variant",
               *at;
    const struct dtype *t;

    if (!path || !type)
        return special_unsupported(c, "a path or type that is not a literal");
    TRY(dtype_parse(type, &t, c->g->err));
    t = gen_type(c->g, t);
    at = gen_text(c->g, path, strlen(path));
    if (t->id == DTYPE_VARIANT)
        TRY(special_done(c, out, t, gen_printf(c->g, "json_extract(%s, %s)", c->args[0].sql, at)));
    else if (t->id == DTYPE_STRING)
        TRY(special_done(c, out, t, gen_printf(c->g, "json_extract_string(%s, %s)", c->args[0].sql, at)));
    else
        TRY(special_done(c, out, t,
                         gen_printf(c->g, "%s(json_extract(%s, %s) AS %s)", try_it ? "TRY_CAST" : "CAST",
                                    c->args[0].sql, at, gen_sql_type(c->g, t))));
    out->nullable = true;
    return LC_OK;
}

static enum lc variant_get(struct call *c, struct sx *out)
{
    return get_variant(c, out, false);
}

static enum lc try_variant_get(struct call *c, struct sx *out)
{
    return get_variant(c, out, true);
}

/* OBJECT<a: BIGINT, b: ARRAY<STRING>>: the type of a variant's text, from DuckDB's json_structure */
static enum lc schema_of_variant(struct call *c, struct sx *out)
{
    const char *s = gen_printf(c->g, "CAST(json_structure(%s) AS VARCHAR)", c->args[0].sql);
    static const char *const steps[][2] = {{"UBIGINT", "BIGINT"},      {"VARCHAR", "STRING"},
                                           {"NULL", "VOID"},           {"\"([A-Z]+)\"", "\\1"},
                                           {"\\{", "OBJECT<"},         {"\\}", ">"},
                                           {"\\[", "ARRAY<"},          {"\\]", ">"},
                                           {"\"([^\"]*)\":", "\\1: "}, {",", ", "}};

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        s = gen_printf(c->g, "regexp_replace(%s, '%s', '%s', 'g')", s, steps[i][0], steps[i][1]);
    return special_done(c, out, dtype_of(DTYPE_STRING), s);
}

/* ---- patterns ---- */
static enum lc to_binary(struct call *c, struct sx *out)
{
    const char *format = c->n > 1 ? special_text(&c->args[1]) : "hex", *sql;
    bool try_it = strncmp(c->f->name, "try_", 4) == 0;

    if (!format)
        return special_unsupported(c, "a format that is not a literal");
    if (strcasecmp(format, "hex") == 0)
        sql = gen_printf(c->g, "unhex(CASE WHEN length(%s) %% 2 = 1 THEN '0' || %s ELSE %s END)",
                         c->args[0].sql, c->args[0].sql, c->args[0].sql);
    else if (strcasecmp(format, "base64") == 0)
        sql = gen_printf(c->g, "from_base64(%s)", c->args[0].sql);
    else if (strcasecmp(format, "utf-8") == 0 || strcasecmp(format, "utf8") == 0)
        sql = gen_printf(c->g, "encode(%s)", c->args[0].sql);
    else
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[CONVERSION_INVALID_INPUT] to_binary knows the formats hex, base64 and utf-8, not '%s'. "
            "SQLSTATE: 22018",
            format);
    return special_done(c, out, dtype_of(DTYPE_BINARY), try_it ? gen_printf(c->g, "TRY(%s)", sql) : sql);
}

static enum lc to_char(struct call *c, struct sx *out)
{
    struct sx x = c->args[0];

    if (x.type->id == DTYPE_DATE || x.type->id == DTYPE_TIMESTAMP || x.type->id == DTYPE_TIMESTAMP_NTZ) {
        out->name = gen_printf(c->g, "date_format(%s, %s)", x.name, c->args[1].name);
        return special_find("date_format")(c, out);
    }
    if (x.type->id == DTYPE_BINARY && special_text(&c->args[1])) {
        const char *format = special_text(&c->args[1]);

        return special_done(c, out, dtype_of(DTYPE_STRING),
                            gen_printf(c->g,
                                       strcasecmp(format, "hex") == 0      ? "hex(%s)"
                                       : strcasecmp(format, "base64") == 0 ? "to_base64(%s)"
                                                                           : "decode(%s)",
                                       x.sql));
    }
    return special_done(c, out, dtype_of(DTYPE_STRING),
                        gen_printf(c->g, "lacus_to_char(CAST(%s AS VARCHAR), %s)", x.sql, c->args[1].sql));
}

static enum lc to_number(struct call *c, struct sx *out)
{
    const char *p = special_text(&c->args[1]);
    int whole = 0, scale = 0;
    bool point = false, try_it = strncmp(c->f->name, "try_", 4) == 0;
    const struct dtype *t;

    if (!p)
        return special_unsupported(c, "a format that is not a literal");
    for (; *p; p++) {
        point = point || *p == '.' || *p == 'D' || *p == 'd';
        if (*p == '0' || *p == '9')
            *(point ? &scale : &whole) += 1;
    }
    if (whole + scale == 0)
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[INVALID_FORMAT.WRONG_NUM_DIGIT] The format is invalid: '%s'. The format string requires "
            "at least one number digit. SQLSTATE: 42601",
            special_text(&c->args[1]));
    t = gen_type(c->g, dtype_decimal(whole + scale > 38 ? 38 : whole + scale, scale));
    TRY(special_done(c, out, t,
                     gen_printf(c->g, "CAST(lacus_to_number(%s, %s, %d) AS %s)", c->args[0].sql,
                                c->args[1].sql, !try_it, t ? gen_sql_type(c->g, t) : "")));
    out->nullable = true;
    return LC_OK;
}

/* As Java sees them, which has them as Spark keeps them: days, microseconds, nanoseconds of the day. What it would print the address of is refused. */
static enum lc as_java(struct call *c, struct sx *x)
{
    enum dtype_id id = x->type->id;
    enum interval_kind kind = id == DTYPE_INTERVAL ? dtype_interval_kind(x->type) : INTERVAL_CALENDAR;

    if (id == DTYPE_DATE)
        x->sql = gen_printf(c->g, "(%s - DATE '1970-01-01')", x->sql);
    else if (id == DTYPE_TIMESTAMP || id == DTYPE_TIMESTAMP_NTZ || kind == INTERVAL_DAY_TIME)
        x->sql = gen_printf(c->g, "epoch_us(%s)", x->sql);
    else if (id == DTYPE_TIME)
        x->sql = gen_printf(c->g, "(epoch_us(%s) * 1000)", x->sql);
    else if (kind == INTERVAL_YEAR_MONTH)
        x->sql = gen_printf(c->g, "(date_part('year', %s) * 12 + date_part('month', %s))", x->sql, x->sql);
    else if (!dtype_is_numeric(x->type) && id != DTYPE_STRING && id != DTYPE_BOOLEAN && id != DTYPE_NULL)
        return special_unsupported(c, gen_printf(c->g, "a value of type %s", gen_type_words(c->g, x->type)));
    else
        return LC_OK;
    x->type = dtype_of(DTYPE_LONG);
    return x->sql ? LC_OK : err_nomem(c->g->err);
}

/* format_string, printf: the values travel as texts with a letter each for what they are */
static enum lc format_string(struct call *c, struct sx *out)
{
    struct buf values = BUF_INIT((size_t)64 << 20), kinds = BUF_INIT(4096);
    const char *list, *letters;

    for (size_t i = 1; i < c->n; i++) {
        const struct dtype *t;

        TRY(as_java(c, &c->args[i]));
        t = c->args[i].type;
        buf_putc(&kinds, dtype_is_integral(t)     ? 'i'
                         : dtype_is_numeric(t)    ? 'f'
                         : t->id == DTYPE_BOOLEAN ? 'o'
                                                  : 's');
        TRY(sx_coerce(c->g, &c->args[i], dtype_of(DTYPE_STRING), c->e));
        buf_printf(&values, "%s%s", i > 1 ? ", " : "", c->args[i].sql);
    }
    list = gen_take(c->g, &values);
    letters = gen_take(c->g, &kinds);
    TRY(special_done(
        c, out, dtype_of(DTYPE_STRING),
        gen_printf(c->g, "lacus_format(%s, CAST([%s] AS VARCHAR[]), '%s')", c->args[0].sql, list, letters)));
    out->nullable = c->args[0].nullable; /* other values are printed as null */
    return LC_OK;
}

/* ---- values of the session ---- */
static enum lc session_value(struct call *c, struct sx *out)
{
    const char *name = c->f->name, *user = c->g->ctx && c->g->ctx->principal ? c->g->ctx->principal : "",
               *value;

    const struct passwd *account = *user ? NULL : getpwuid(geteuid());

    if (strcmp(name, "version") == 0)
        value = LACUS_VERSION;
    else if (strstr(name, "user"))
        value = *user ? user : account ? account->pw_name : "";
    else
        value = strstr(name, "catalog") ? "spark_catalog"
                : strstr(name, "path")  ? "system.builtin,system.session"
                                        : "default";
    value = value ? value : "";
    TRY(special_done(c, out, dtype_of(DTYPE_STRING), gen_text(c->g, value, strlen(value))));
    out->nullable = false;
    return LC_OK;
}

/* ---- random ---- */
static const char *seed_text(struct call *c, size_t arg)
{
    int64_t seed;

    if (arg < c->n && special_int(&c->args[arg], &seed))
        return gen_printf(c->g, "hash(row_number() OVER (), %" PRId64 ")", seed);
    return "hash(random())";
}

/* hash gives 64 evenly spread bits; this is what they are in [0, 1) */
static const char *fraction(struct call *c, const char *bits)
{
    return gen_printf(c->g, "(CAST((%s) >> 11 AS DOUBLE) / 9007199254740992.0::DOUBLE)", bits);
}

static enum lc randn(struct call *c, struct sx *out)
{
    const char *bits = seed_text(c, 0);

    TRY(special_done(c, out, dtype_of(DTYPE_DOUBLE),
                     gen_printf(c->g, "(sqrt(-2 * ln(1 - %s)) * cos(2 * pi() * %s))", fraction(c, bits),
                                fraction(c, gen_printf(c->g, "hash(%s, 1)", bits)))));
    out->window = c->n > 0;
    return LC_OK;
}

static enum lc randstr(struct call *c, struct sx *out)
{
    const char *bits = seed_text(c, 1);

    TRY(special_done(
        c, out, dtype_of(DTYPE_STRING),
        gen_printf(
            c->g,
            "coalesce(array_to_string(list_transform(range(%s), lambda li: substr("
            "'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz', CAST(hash(%s, li) %% 62 AS "
            "INTEGER) + 1, 1)), ''), '')",
            c->args[0].sql, bits)));
    out->window = c->n > 1;
    return LC_OK;
}

static enum lc uniform(struct call *c, struct sx *out)
{
    const struct dtype *t = gen_type(c->g, dtype_common(c->args[0].type, c->args[1].type));
    const char *low = c->args[0].sql, *high = c->args[1].sql, *at = fraction(c, seed_text(c, 2));
    bool whole = t && dtype_is_integral(t);

    if (!t)
        return err_nomem(c->g->err);
    if (t->id == DTYPE_DECIMAL)
        t = gen_type(c->g, dtype_decimal(t->precision, t->scale));
    TRY(special_done(c, out, t,
                     gen_printf(c->g, "CAST(%s(%s + %s * (%s - %s)) AS %s)", whole ? "floor" : "", low, at,
                                high, low, gen_sql_type(c->g, t))));
    out->window = c->n > 2;
    return LC_OK;
}

static enum lc shuffle(struct call *c, struct sx *out)
{
    const char *bits = seed_text(c, 1);

    TRY(special_done(
        c, out, c->args[0].type,
        gen_printf(
            c->g,
            "list_transform(list_sort(list_transform(%s, lambda lx, li: struct_pack(r := hash(%s, li), "
            "v := lx))), lambda lz: lz.v)",
            c->args[0].sql, bits)));
    out->window = c->n > 1;
    return LC_OK;
}

/* ---- the rest ---- */
/* decode(x, search, result, …, default): NULL is equal to NULL */
static enum lc decode(struct call *c, struct sx *out)
{
    const struct dtype *common = NULL;
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = 2; i < c->n; i += i + 2 == c->n ? 1 : 2)
        common = common ? gen_type(c->g, dtype_common(common, c->args[i].type)) : c->args[i].type;
    if (!common)
        return special_unsupported(c, "results of different types");
    buf_puts(&b, "(CASE");
    for (size_t i = 1; i < c->n; i += 2) {
        bool last = i + 1 == c->n;

        TRY(sx_coerce(c->g, &c->args[last ? i : i + 1], common, c->e));
        if (last)
            buf_printf(&b, " ELSE %s", c->args[i].sql);
        else
            buf_printf(&b, " WHEN %s IS NOT DISTINCT FROM %s THEN %s", c->args[0].sql, c->args[i].sql,
                       c->args[i + 1].sql);
    }
    buf_puts(&b, " END)");
    TRY(special_done(c, out, common, gen_take(c->g, &b)));
    out->nullable = true;
    return LC_OK;
}

static enum lc octet_length(struct call *c, struct sx *out)
{
    bool bytes = c->args[0].type->id == DTYPE_BINARY;
    int times = strcmp(c->f->name, "bit_length") == 0 ? 8 : 1;

    return special_done(c, out, dtype_of(DTYPE_INT),
                        gen_printf(c->g, "CAST(octet_length(%s%s%s) * %d AS INTEGER)", bytes ? "" : "encode(",
                                   c->args[0].sql, bytes ? "" : ")", times));
}

static int width_of(const struct dtype *t)
{
    return t->id == DTYPE_LONG ? 64 : 32;
}

static enum lc shift(struct call *c, struct sx *out, const char *form)
{
    const struct dtype *t = dtype_of(c->args[0].type->id == DTYPE_LONG ? DTYPE_LONG : DTYPE_INT);
    int bits = width_of(t);
    const char *by = gen_printf(c->g, "(%s & %d)", c->args[1].sql, bits - 1);
    /* in 128 bits nothing overflows; the lowest bits are then read as a number with a sign */
    const char *wide =
        strcmp(form, ">>>") == 0
            ? gen_printf(c->g, "((CAST(%s AS HUGEINT) & %s) >> %s)", c->args[0].sql,
                         bits == 64 ? "18446744073709551615::HUGEINT" : "4294967295::HUGEINT", by)
        : strcmp(form, ">>") == 0
            ? gen_printf(c->g, "CAST(floor(CAST(%s AS HUGEINT) // pow(2::HUGEINT, %s)) AS HUGEINT)",
                         c->args[0].sql, by)
            : gen_printf(c->g, "(CAST(%s AS HUGEINT) * CAST(pow(2, %s) AS HUGEINT))", c->args[0].sql, by);
    const char *size = bits == 64 ? "18446744073709551616::HUGEINT" : "4294967296::HUGEINT",
               *half = bits == 64 ? "9223372036854775808::HUGEINT" : "2147483648::HUGEINT";

    if (strcmp(form, ">>") == 0)
        return special_done(c, out, t,
                            gen_printf(c->g, "(CAST(%s AS %s) >> CAST(%s AS %s))", c->args[0].sql,
                                       gen_sql_type(c->g, t), by, gen_sql_type(c->g, t)));
    return special_done(c, out, t,
                        gen_printf(c->g, "CAST((((%s + %s) %% %s) + %s) %% %s - %s AS %s)", wide, half, size,
                                   size, size, half, gen_sql_type(c->g, t)));
}

static enum lc shiftrightunsigned(struct call *c, struct sx *out)
{
    return shift(c, out, ">>>");
}

static enum lc shiftright(struct call *c, struct sx *out)
{
    return shift(c, out, ">>");
}

static enum lc shiftleft(struct call *c, struct sx *out)
{
    return shift(c, out, "<<");
}

const struct special special_data[] = {
    {"decode", decode},
    {"octet_length", octet_length},
    {"from_csv", from_csv},
    {"to_csv", to_csv},
    {"schema_of_csv", schema_of_csv},
    {"schema_of_json", schema_of_json},
    {"variant_get", variant_get},
    {"try_variant_get", try_variant_get},
    {"schema_of_variant", schema_of_variant},
    {"to_binary", to_binary},
    {"to_char", to_char},
    {"to_number", to_number},
    {"format_string", format_string},
    {"session_value", session_value},
    {"randn", randn},
    {"randstr", randstr},
    {"uniform", uniform},
    {"shuffle", shuffle},
    {"shiftrightunsigned", shiftrightunsigned},
    {"shiftright", shiftright},
    {"shiftleft", shiftleft},
    {0},
};
