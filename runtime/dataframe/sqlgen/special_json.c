/* special_json.c: JSON texts from values and values from JSON texts, by the types. */
#include "runtime/dataframe/json/path.h"
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>
#include <strings.h>

static const char *json_value(struct call *c, const struct text_options *o, const struct dtype *t,
                              const char *x);

/* Fields that are NULL are left out, where no option says otherwise. */
static const char *json_struct(struct call *c, const struct text_options *o, const struct dtype *t,
                               const char *x)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = 0; i < t->n_fields; i++) {
        const char *name = gen_text(c->g, t->fields[i].name, strlen(t->fields[i].name));
        const char *field = gen_printf(c->g, "struct_extract(%s, %s)", x, name ? name : "''");

        buf_printf(&b,
                   ", CASE WHEN %s%s IS NOT NULL THEN CAST(to_json(%s) AS VARCHAR) || ':' || coalesce(%s, "
                   "'null') END",
                   o && o->nulls ? "TRUE OR " : "", field, name ? name : "''",
                   json_value(c, o, t->fields[i].type, field));
    }
    return gen_printf(c->g, "(CASE WHEN %s IS NOT NULL THEN '{' || concat_ws(','%s) || '}' END)", x,
                      t->n_fields ? gen_take(c->g, &b) : ", NULL");
}

static const char *json_list(struct call *c, const struct text_options *o, const struct dtype *t,
                             const char *x)
{
    const char *element = gen_printf(c->g, "lj%d", c->g->next_uid++);

    return gen_printf(
        c->g, "('[' || array_to_string(list_transform(%s, lambda %s: coalesce(%s, 'null')), ',') || ']')", x,
        element, json_value(c, o, t->element, element));
}

static const char *json_map(struct call *c, const struct text_options *o, const struct dtype *t,
                            const char *x)
{
    const char *entry = gen_printf(c->g, "lj%d", c->g->next_uid++);
    const char *value = gen_printf(c->g, "struct_extract(%s, 'value')", entry);

    return gen_printf(
        c->g,
        "('{' || array_to_string(list_transform(map_entries(%s), lambda %s: "
        "CAST(to_json(CAST(struct_extract(%s, 'key') AS VARCHAR)) AS VARCHAR) || ':' || coalesce(%s, "
        "'null')), ',') || '}')",
        x, entry, entry, json_value(c, o, t->element, value));
}

static const char *json_value(struct call *c, const struct text_options *o, const struct dtype *t,
                              const char *x)
{
    const char *time, *clock;

    if (t->id == DTYPE_STRUCT)
        return json_struct(c, o, t, x);
    if (t->id == DTYPE_ARRAY)
        return json_list(c, o, t, x);
    if (t->id == DTYPE_MAP)
        return json_map(c, o, t, x);
    if (options_format(c, o, t, x, &time) == LC_OK && time)
        return gen_printf(c->g, "CAST(to_json(%s) AS VARCHAR)", time);
    if (t->id == DTYPE_DATE)
        return gen_printf(
            c->g, "('\"' || %s || '\"')",
            sql_written_time(c->g, x, gen_printf(c->g, "CAST(%s AS VARCHAR)", x), "'yyyy-MM-dd'"));
    clock =
        t->id == DTYPE_TIMESTAMP || t->id == DTYPE_TIMESTAMP_NTZ
            ? sql_written_time(c->g, x, gen_printf(c->g, "strftime(%s, '%%Y-%%m-%%dT%%H:%%M:%%S.%%g')", x),
                               "'yyyy-MM-dd''T''HH:mm:ss.SSS'")
            : NULL;
    if (t->id == DTYPE_TIMESTAMP)
        return gen_printf(
            c->g,
            "('\"' || %s || (CASE WHEN strftime(%s, '%%z') = "
            "'+00' THEN 'Z' WHEN len(strftime(%s, '%%z')) = 3 THEN strftime(%s, '%%z') || ':00' ELSE "
            "strftime(%s, '%%z') END) || '\"')",
            clock, x, x, x, x);
    if (t->id == DTYPE_TIMESTAMP_NTZ)
        return gen_printf(c->g, "('\"' || %s || '\"')", clock);
    if (t->id == DTYPE_DOUBLE || t->id == DTYPE_FLOAT)
        return gen_printf(c->g,
                          "(CASE WHEN isfinite(%s) THEN lacus_java_number(CAST(%s AS VARCHAR)) ELSE '\"' || "
                          "lacus_java_number(CAST(%s AS VARCHAR)) || '\"' END)",
                          x, x, x);
    if (t->id == DTYPE_DECIMAL)
        return gen_printf(c->g, "CAST(%s AS VARCHAR)", x);
    if (t->id == DTYPE_BINARY)
        return gen_printf(c->g, "('\"' || base64(%s) || '\"')", x);
    return gen_printf(c->g, "CAST(to_json(%s) AS VARCHAR)", x);
}

const char *special_json_text(struct call *c, const struct dtype *t, const char *x)
{
    return json_value(c, NULL, t, x);
}

static enum lc to_json(struct call *c, struct sx *out)
{
    const struct dtype *t = c->args[0].type;
    struct text_options o;

    TRY(special_options(c, 1, "json", OPTION_TIMES | OPTION_NULLS, &o));
    out->name = gen_printf(c->g, "to_json(%s)", c->args[0].name);

    if (t->id != DTYPE_STRUCT && t->id != DTYPE_ARRAY && t->id != DTYPE_MAP)
        return special_done(c, out, dtype_of(DTYPE_STRING),
                            gen_printf(c->g,
                                       "CAST(json_merge_patch(CAST('{}' AS JSON), to_json(%s)) AS VARCHAR)",
                                       c->args[0].sql));
    TRY(special_done(c, out, dtype_of(DTYPE_STRING), json_value(c, &o, t, c->args[0].sql)));
    out->nullable = true;
    return LC_OK;
}

/* A path as DuckDB takes it; what is none finds nothing. */
static const char *path_of(struct call *c, const char *path)
{
    struct buf b = BUF_INIT(1 << 20);
    const char *made;

    if (!path)
        return gen_printf(c->g, "lacus_json_path(%s)", c->args[1].sql);
    if (!json_path(path, strlen(path), &b))
        return buf_release(&b), "NULL";
    made = gen_take(c->g, &b);
    return made ? gen_text(c->g, made, strlen(made)) : NULL;
}

/* What the path finds in a text that is JSON. A path with [*] may find several, which DuckDB has no Spark's rules for. */
static const char *found_at(struct call *c, const char *x, const char *at)
{
    const char *path = c->args[1].sql, *plain = gen_printf(c->g, "json_extract_string(%s, %s)", x, at),
               *all = gen_printf(c->g, "lacus_json_wildcard(CAST(json(%s) AS VARCHAR), %s)", x, path);

    if (special_text(&c->args[1]))
        return strstr(at, "[*]") ? all : plain;
    return gen_printf(c->g, "(CASE WHEN contains(%s, '[*]') THEN %s ELSE %s END)", path, all, plain);
}

static enum lc get_json_object(struct call *c, struct sx *out)
{
    const char *x = c->args[0].sql, *at = path_of(c, special_text(&c->args[1])),
               *first = gen_printf(c->g, "lacus_json_first(%s)", x);

    if (!at || !first)
        return err_nomem(c->g->err);
    if (strcmp(at, "NULL") == 0)
        TRY(special_done(c, out, dtype_of(DTYPE_STRING), "CAST(NULL AS VARCHAR)"));
    else
        TRY(special_done(c, out, dtype_of(DTYPE_STRING),
                         gen_printf(c->g,
                                    "(CASE WHEN json_valid(%s) THEN %s WHEN json_valid(%s) THEN %s END)", x,
                                    found_at(c, x, at), first, found_at(c, first, at))));
    out->nullable = true;
    return LC_OK;
}

/* A struct whose fields are NULL: what Spark makes of a text that is no JSON, and is not blank. */
static const char *empty_struct(struct call *c, const struct dtype *t, const char *x)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = 0; i < t->n_fields; i++) {
        buf_puts(&b, i ? ", " : "");
        sql_quote_name(&b, t->fields[i].name);
        buf_puts(&b, " := NULL");
    }
    return gen_printf(c->g, "(CASE WHEN trim(%s) <> '' THEN CAST(struct_pack(%s) AS %s) END)", x,
                      gen_take(c->g, &b), gen_sql_type(c->g, t));
}

/* ---- values of JSON: of the kinds that Spark takes for a type; what is of another kind is NULL, and so is an array or a map of it ---- */
static const char *value_of(struct call *c, const struct text_options *o, const struct dtype *t,
                            const char *j);

static const char *fresh(struct call *c)
{
    return gen_printf(c->g, "lj%d", c->g->next_uid++);
}

static const char *fields_of(struct call *c, const struct text_options *o, const struct dtype *t,
                             const char *j)
{
    struct buf type = BUF_INIT((size_t)16 << 20), pack = BUF_INIT((size_t)16 << 20);
    const char *row = fresh(c);

    for (size_t i = 0; i < t->n_fields; i++) {
        buf_puts(&type, i ? ", " : "");
        sql_quote_name(&type, t->fields[i].name);
        buf_puts(&type, " JSON");
        buf_puts(&pack, i ? ", " : "");
        sql_quote_name(&pack, t->fields[i].name);
        buf_printf(
            &pack, " := %s",
            value_of(c, o, t->fields[i].type, gen_printf(c->g, "struct_extract_at(%s, %zu)", row, i + 1)));
    }
    return gen_printf(c->g,
                      "(CASE WHEN json_type(%s) = 'OBJECT' THEN list_transform([TRY_CAST(%s AS STRUCT(%s))], "
                      "lambda %s: CAST(struct_pack(%s) AS %s))[1] END)",
                      j, j, gen_take(c->g, &type), row, gen_take(c->g, &pack), gen_sql_type(c->g, t));
}

static const char *elements_of(struct call *c, const struct text_options *o, const struct dtype *t,
                               const char *j)
{
    const char *all = fresh(c), *one = fresh(c), *value = value_of(c, o, t->element, one);

    return gen_printf(
        c->g,
        "(CASE WHEN json_type(%s) = 'ARRAY' THEN list_transform([TRY_CAST(%s AS JSON[])], lambda %s: "
        "CASE WHEN len(list_filter(%s, lambda %s: json_type(%s) <> 'NULL' AND (%s) IS NULL)) = 0 "
        "THEN CAST(list_transform(%s, lambda %s: %s) AS %s) END)[1] END)",
        j, j, all, all, one, one, value, all, one, value, gen_sql_type(c->g, t));
}

static const char *entries_of(struct call *c, const struct text_options *o, const struct dtype *t,
                              const char *j)
{
    const char *all = fresh(c), *one = fresh(c), *json = gen_printf(c->g, "struct_extract(%s, 'value')", one),
               *value = value_of(c, o, t->element, json);

    if (t->key->id != DTYPE_STRING)
        return gen_printf(c->g, "TRY_CAST(%s AS %s)", j, gen_sql_type(c->g, t));
    return gen_printf(
        c->g,
        "(CASE WHEN json_type(%s) = 'OBJECT' THEN list_transform([map_entries(TRY_CAST(%s AS MAP(VARCHAR, "
        "JSON)))], lambda %s: CASE WHEN len(list_filter(%s, lambda %s: json_type(%s) <> 'NULL' AND (%s) IS "
        "NULL)) = 0 THEN CAST(map_from_entries(list_transform(%s, lambda %s: row(struct_extract(%s, 'key'), "
        "%s))) "
        "AS %s) END)[1] END)",
        j, j, all, all, one, json, value, all, one, one, value, gen_sql_type(c->g, t));
}

#define A_NUMBER "'BIGINT', 'UBIGINT', 'HUGEINT', 'UHUGEINT', 'DOUBLE'"

static const char *value_of(struct call *c, const struct text_options *o, const struct dtype *t,
                            const char *j)
{
    const char *type = gen_sql_type(c->g, t), *as = gen_printf(c->g, "TRY_CAST(%s AS %s)", j, type), *time;

    if (options_parse(c, o, t, gen_printf(c->g, "(%s ->> '$')", j), &time) == LC_OK && time)
        return gen_printf(c->g, "(CASE WHEN json_type(%s) = 'VARCHAR' THEN %s END)", j, time);
    if (t->id == DTYPE_STRUCT && t->n_fields)
        return fields_of(c, o, t, j);
    if (t->id == DTYPE_ARRAY)
        return elements_of(c, o, t, j);
    if (t->id == DTYPE_MAP)
        return entries_of(c, o, t, j);
    if (t->id == DTYPE_STRING)
        return gen_printf(c->g, "(CASE WHEN json_type(%s) <> 'NULL' THEN (%s ->> '$') END)", j, j);
    if (t->id == DTYPE_BOOLEAN)
        return gen_printf(c->g, "(CASE WHEN json_type(%s) = 'BOOLEAN' THEN %s END)", j, as);
    if (dtype_is_integral(t))
        return gen_printf(c->g, "(CASE WHEN json_type(%s) IN ('BIGINT', 'UBIGINT') THEN %s END)", j, as);
    if (t->id == DTYPE_DECIMAL)
        return gen_printf(c->g, "(CASE WHEN json_type(%s) IN ('VARCHAR', " A_NUMBER ") THEN %s END)", j, as);
    if (t->id == DTYPE_DOUBLE || t->id == DTYPE_FLOAT)
        return gen_printf(c->g,
                          "(CASE WHEN json_type(%s) IN (" A_NUMBER
                          ") OR (%s ->> '$') IN ('NaN', '+INF', 'INF', "
                          "'+Infinity', 'Infinity', '-INF', '-Infinity') THEN %s END)",
                          j, j, as);
    if (t->id == DTYPE_BINARY)
        return gen_printf(c->g, "(CASE WHEN json_type(%s) = 'VARCHAR' THEN TRY(from_base64(%s ->> '$')) END)",
                          j, j);
    if (t->id == DTYPE_TIMESTAMP)
        return gen_printf(
            c->g,
            "(CASE WHEN json_type(%s) IN ('BIGINT', 'UBIGINT') THEN to_timestamp(TRY_CAST(%s AS "
            "BIGINT)) ELSE %s END)",
            j, j, as);
    return as;
}

/* The value of a whole text; an object is an array of one. */
static const char *root_of(struct call *c, const struct text_options *o, const struct dtype *t,
                           const char *json)
{
    const char *value = value_of(c, o, t, json);

    if (t->id != DTYPE_ARRAY || t->element->id != DTYPE_STRUCT)
        return value;
    return gen_printf(c->g, "(CASE WHEN json_type(%s) = 'OBJECT' THEN [%s] ELSE %s END)", json,
                      value_of(c, o, t->element, json), value);
}

/* Whether a value, or one inside of a struct, is of another kind than the type's; never NULL. */
static const char *is_wrong(struct call *c, const struct text_options *o, const struct dtype *t,
                            const char *j)
{
    struct buf type = BUF_INIT((size_t)16 << 20), any = BUF_INIT((size_t)16 << 20);
    const char *row = fresh(c);

    if (t->id != DTYPE_STRUCT || !t->n_fields)
        return gen_printf(c->g, "coalesce(json_type(%s) <> 'NULL' AND (%s) IS NULL, FALSE)", j,
                          value_of(c, o, t, j));
    for (size_t i = 0; i < t->n_fields; i++) {
        buf_puts(&type, i ? ", " : "");
        sql_quote_name(&type, t->fields[i].name);
        buf_puts(&type, " JSON");
        buf_printf(
            &any, "%s%s", i ? " OR " : "",
            is_wrong(c, o, t->fields[i].type, gen_printf(c->g, "struct_extract_at(%s, %zu)", row, i + 1)));
    }
    return gen_printf(c->g,
                      "coalesce(CASE coalesce(json_type(%s), 'NULL') WHEN 'OBJECT' THEN "
                      "list_transform([TRY_CAST(%s AS STRUCT(%s))], lambda "
                      "%s: %s)[1] WHEN 'NULL' THEN FALSE ELSE TRUE END, FALSE)",
                      j, j, gen_take(c->g, &type), row, gen_take(c->g, &any));
}

/* The struct with the record in the place of its column for such, where the record is malformed. */
static const char *with_record(struct call *c, const struct dtype *t, size_t column, const char *value,
                               const char *malformed, const char *x)
{
    struct buf b = BUF_INIT((size_t)16 << 20);
    const char *row = fresh(c);

    for (size_t i = 0; i < t->n_fields; i++) {
        buf_puts(&b, i ? ", " : "");
        sql_quote_name(&b, t->fields[i].name);
        if (i == column)
            buf_printf(&b, " := CASE WHEN %s THEN %s END", malformed, x);
        else
            buf_printf(&b, " := struct_extract_at(%s, %zu)", row, i + 1);
    }
    return gen_printf(
        c->g,
        "list_transform([%s], lambda %s: CASE WHEN %s IS NOT NULL THEN CAST(struct_pack(%s) AS %s) END)[1]",
        value, row, row, gen_take(c->g, &b), gen_sql_type(c->g, t));
}

static enum lc json_schema_arg(struct call *c, const struct dtype **out)
{
    const char *text = special_text(&c->args[1]);

    if (!text)
        return special_unsupported(c, "a schema that is not a literal");
    if (strncasecmp(text, "array<", 6) == 0 || strncasecmp(text, "map<", 4) == 0)
        TRY(dtype_parse(text, out, c->g->err));
    else
        TRY(dtype_parse_schema(text, out, c->g->err));
    *out = gen_type(c->g, *out);
    return *out ? LC_OK : err_nomem(c->g->err);
}

/* A text as JSON: its value, with `otherwise` where it is of another kind; and whether it is of one, or one inside of it. */
struct reading {
    const struct text_options *options;
    const struct dtype *type;
    const char *otherwise;
};

static const char *read_as(struct call *c, const struct reading *r, const char *text)
{
    return gen_printf(c->g, "coalesce(%s, %s)",
                      root_of(c, r->options, r->type, gen_printf(c->g, "CAST(%s AS JSON)", text)),
                      r->otherwise);
}

static const char *wrong_as(struct call *c, const struct reading *r, const char *text)
{
    const char *json = gen_printf(c->g, "CAST(%s AS JSON)", text);

    if (r->type->id == DTYPE_STRUCT)
        return is_wrong(c, r->options, r->type, json);
    return gen_printf(c->g, "coalesce(json_type(%s) <> 'NULL' AND (%s) IS NULL, FALSE)", json,
                      root_of(c, r->options, r->type, json));
}

/* What is said of the text itself, else of the first value in it, else of none. */
static const char *by_text(struct call *c, const struct reading *r, const char *x, const char *none,
                           const char *(*say)(struct call *, const struct reading *, const char *))
{
    const char *first = gen_printf(c->g, "lacus_json_first(%s)", x);

    return gen_printf(c->g, "(CASE WHEN json_valid(%s) THEN %s WHEN json_valid(%s) THEN %s ELSE %s END)", x,
                      say(c, r, x), first, say(c, r, first), none);
}

static enum lc from_json(struct call *c, struct sx *out)
{
    const char *x = c->args[0].sql, *once = fresh(c), *value, *malformed = NULL;
    struct text_options o;
    struct reading r = {.options = &o, .otherwise = "NULL"};
    const struct dtype *t;
    long record;

    TRY(json_schema_arg(c, &t));
    TRY(special_options(c, 2, "json", OPTION_MODE | OPTION_TIMES | OPTION_CORRUPT, &o));
    r.type = t;
    record = t->id == DTYPE_STRUCT ? dtype_field_index(t, o.corrupt) : -1;
    if (t->id == DTYPE_STRUCT && t->n_fields)
        r.otherwise = empty_struct(c, t, x);
    value = gen_printf(c->g, "list_transform([lacus_json_last(%s)], lambda %s: %s)[1]", x, once,
                       by_text(c, &r, once, r.otherwise, read_as));
    if (o.fail || (record >= 0 && t->fields[record].type->id == DTYPE_STRING))
        malformed = gen_printf(c->g, "(trim(%s) <> '' AND %s)", x, by_text(c, &r, x, "TRUE", wrong_as));
    if (o.fail)
        value =
            gen_printf(c->g, "(CASE WHEN %s THEN %s ELSE %s END)", malformed, options_malformed(c, x), value);
    else if (malformed)
        value = with_record(c, t, (size_t)record, value, malformed, x);
    out->name =
        t->id == DTYPE_MAP ? "entries" : gen_printf(c->g, "from_json(%s)", c->args[0].name); /* Spark's own */
    TRY(special_done(c, out, t, value));
    out->nullable = true;
    return LC_OK;
}

const struct special special_json[] = {
    {"to_json", to_json},
    {"get_json_object", get_json_object},
    {"from_json", from_json},
    {0},
};
