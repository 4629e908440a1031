/* special_maps.c: maps with lambdas, and what makes several columns. */
#include "runtime/dataframe/sqlgen/sqlgen_int.h"
#include <string.h>
#include <strings.h>

static enum lc not_a(struct call *c, size_t i, const char *required)
{
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"%s(%s)\" due to data type mismatch: the "
        "parameter requires the \"%s\" type, however \"%s\" has the type \"%s\". SQLSTATE: 42K09",
        c->f->name, c->args[0].name, required, c->args[i].name, gen_type_words(c->g, c->args[i].type));
}

/* The lambda of key and value over the entries of the map. */
static enum lc over_entries(struct call *c, struct sx *body, const char **entry)
{
    const struct dtype *m = c->args[0].type, *types[2];
    const char *values[2], *head;

    if (m->id != DTYPE_MAP)
        return not_a(c, 0, "MAP");
    *entry = gen_printf(c->g, "le%d", c->g->next_uid++);
    types[0] = m->key;
    types[1] = m->element;
    values[0] = gen_printf(c->g, "struct_extract(%s, 'key')", *entry);
    values[1] = gen_printf(c->g, "struct_extract(%s, 'value')", *entry);
    return special_lambda(c, 1, types, 2, values, &head, body);
}

static enum lc map_filter(struct call *c, struct sx *out)
{
    struct sx body;
    const char *entry;

    TRY(over_entries(c, &body, &entry));
    return special_done(c, out, c->args[0].type,
                        gen_printf(c->g, "map_from_entries(list_filter(map_entries(%s), lambda %s: %s))",
                                   c->args[0].sql, entry, body.sql));
}

static enum lc change_entries(struct call *c, struct sx *out, bool keys)
{
    const struct dtype *m = c->args[0].type, *made;
    struct sx body;
    const char *entry;

    TRY(over_entries(c, &body, &entry));
    made = keys ? dtype_map(dtype_ref(body.type), dtype_ref(m->element), m->contains_null)
                : dtype_map(dtype_ref(m->key), dtype_ref(body.type), body.nullable);
    return special_done(
        c, out, gen_type(c->g, made),
        gen_printf(
            c->g,
            "map_from_entries(list_transform(map_entries(%s), lambda %s: struct_pack(key := %s%s%s, value := "
            "%s%s%s)))",
            c->args[0].sql, entry, keys ? body.sql : "struct_extract(", keys ? "" : entry,
            keys ? "" : ", 'key')", keys ? "struct_extract(" : body.sql, keys ? entry : "",
            keys ? ", 'value')" : ""));
}

static enum lc transform_keys(struct call *c, struct sx *out)
{
    return change_entries(c, out, true);
}

static enum lc transform_values(struct call *c, struct sx *out)
{
    return change_entries(c, out, false);
}

static enum lc map_zip_with(struct call *c, struct sx *out)
{
    const struct dtype *a = c->args[0].type, *b = c->args[1].type, *types[3];
    const char *key = gen_printf(c->g, "lk%d", c->g->next_uid++), *values[3], *head;
    struct sx body;

    if (a->id != DTYPE_MAP || b->id != DTYPE_MAP)
        return not_a(c, a->id != DTYPE_MAP ? 0 : 1, "MAP");
    types[0] = a->key;
    types[1] = a->element;
    types[2] = b->element;
    values[0] = key;
    values[1] = gen_printf(c->g, "(%s)[%s]", c->args[0].sql, key);
    values[2] = gen_printf(c->g, "(%s)[%s]", c->args[1].sql, key);
    TRY(special_lambda(c, 2, types, 3, values, &head, &body));
    return special_done(
        c, out, gen_type(c->g, dtype_map(dtype_ref(a->key), dtype_ref(body.type), true)),
        gen_printf(
            c->g,
            "(CASE WHEN %s IS NULL OR %s IS NULL THEN NULL ELSE map_from_entries(list_transform(list_concat("
            "map_keys(%s), list_filter(map_keys(%s), lambda lf: NOT list_contains(map_keys(%s), lf))), "
            "lambda "
            "%s: struct_pack(key := %s, value := %s))) END)",
            c->args[0].sql, c->args[1].sql, c->args[0].sql, c->args[1].sql, c->args[0].sql, key, key,
            body.sql));
}

static enum lc zip_with(struct call *c, struct sx *out)
{
    const struct dtype *types[2];
    const char *at = gen_printf(c->g, "li%d", c->g->next_uid++), *values[2], *head, *a = c->args[0].sql,
               *b = c->args[1].sql;
    struct sx body;

    types[0] = c->args[0].type->element;
    types[1] = c->args[1].type->element;
    values[0] = gen_printf(c->g, "(%s)[%s + 1]", a, at);
    values[1] = gen_printf(c->g, "(%s)[%s + 1]", b, at);
    TRY(special_lambda(c, 2, types, 2, values, &head, &body));
    return special_done(
        c, out, gen_type(c->g, dtype_array(dtype_ref(body.type), true)),
        gen_printf(
            c->g,
            "(CASE WHEN %s IS NULL OR %s IS NULL THEN NULL ELSE list_transform(range(greatest(len(%s), "
            "len(%s))), lambda %s: %s) END)",
            a, b, a, b, at, body.sql));
}

/* Texts and others have no common type here. */
static bool mixes(const struct dtype *a, const struct dtype *b)
{
    return a->id == DTYPE_MAP && ((a->key->id == DTYPE_STRING) != (b->key->id == DTYPE_STRING) ||
                                  ((a->element->id == DTYPE_STRING) != (b->element->id == DTYPE_STRING) &&
                                   a->element->id != DTYPE_NULL && b->element->id != DTYPE_NULL));
}

/* map_concat: of the common type; the same key in two of them is an error */
static enum lc map_concat(struct call *c, struct sx *out)
{
    const struct dtype *type = c->args[0].type;
    struct buf nulls = BUF_INIT((size_t)64 << 20), entries = BUF_INIT((size_t)64 << 20);

    for (size_t i = 1; i < c->n && type; i++)
        type = c->args[i].type->id == DTYPE_MAP && mixes(type, c->args[i].type)
                   ? NULL
                   : gen_type(c->g, dtype_common(type, c->args[i].type));
    if (!type || c->args[c->n - 1].type->id != DTYPE_MAP)
        return gen_fail(c->g, c->e, LC_ENGINE,
                        "[DATATYPE_MISMATCH.%s] Cannot resolve \"map_concat(%s, %s)\" due "
                        "to data type "
                        "mismatch: The `map_concat` should all be of type map, but it's [\"%s\", \"%s\"]. "
                        "SQLSTATE: 42K09",
                        type ? "MAP_CONCAT_DIFF_TYPES" : "DATA_DIFF_TYPES", c->args[0].name, c->args[1].name,
                        gen_type_words(c->g, c->args[0].type), gen_type_words(c->g, c->args[1].type));
    for (size_t i = 0; i < c->n; i++) {
        TRY(sx_coerce(c->g, &c->args[i], type, c->e));
        buf_printf(&nulls, "%s%s IS NULL", i ? " OR " : "", c->args[i].sql);
        buf_printf(&entries, "%smap_entries(%s)", i ? ", " : "", c->args[i].sql);
    }
    return special_done(c, out, type,
                        gen_printf(c->g,
                                   "(CASE WHEN %s THEN NULL ELSE map_from_entries(list_concat(%s)) END)",
                                   gen_take(c->g, &nulls), gen_take(c->g, &entries)));
}

/* ---- several columns ---- */
struct columns { /* of a generator whose rows are written out */
    size_t n, rows;
    const char **names, **sqls;
    const struct dtype **types;
};

static bool columns_init(struct call *c, struct columns *to, size_t n, size_t rows)
{
    *to = (struct columns){.n = n,
                           .rows = rows,
                           .names = arena_alloc(c->g->arena, n * sizeof *to->names),
                           .sqls = arena_alloc(c->g->arena, n * sizeof *to->sqls),
                           .types = arena_alloc(c->g->arena, n * sizeof *to->types)};
    return to->names && to->sqls && to->types;
}

/* Column k of the rows, which begin at the second argument; what there is no argument for is NULL. */
static enum lc put_column(struct call *c, struct columns *to, size_t k)
{
    struct buf b = BUF_INIT((size_t)64 << 20);

    buf_puts(&b, "unnest([");
    for (size_t row = 0; row < to->rows; row++) {
        size_t i = 1 + row * to->n + k;

        if (i < c->n)
            TRY(sx_coerce(c->g, &c->args[i], to->types[k], c->e));
        buf_printf(&b, "%s%s", row ? ", " : "", i < c->n ? c->args[i].sql : "NULL");
    }
    buf_puts(&b, "])");
    to->sqls[k] = gen_take(c->g, &b);
    return to->sqls[k] ? LC_OK : err_nomem(c->g->err);
}

static const char *argument_names(struct call *c)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = 0; i < c->n; i++)
        buf_printf(&b, "%s%s", i ? ", " : "", c->args[i].name);
    return gen_take(c->g, &b);
}

/* The values below each other have one type; Spark converts none of them. */
static enum lc one_type(struct call *c, size_t k, size_t width, const struct dtype **type)
{
    *type = dtype_of(DTYPE_NULL);
    for (size_t i = 1 + k; i < c->n; i += width) {
        const struct dtype *t = c->args[i].type;

        if ((*type)->id == DTYPE_NULL)
            *type = t;
        if (t->id == DTYPE_NULL || strcmp(gen_type_words(c->g, t), gen_type_words(c->g, *type)) == 0)
            continue;
        return gen_fail(
            c->g, c->e, LC_ENGINE,
            "[DATATYPE_MISMATCH.STACK_COLUMN_DIFF_TYPES] Cannot resolve \"stack(%s)\" due to data type "
            "mismatch: "
            "The data type of the column (%zu) do not have the same type: \"%s\" (%zu) <> \"%s\" (%zu). "
            "SQLSTATE: 42K09",
            argument_names(c), k, gen_type_words(c->g, *type), k + 1, gen_type_words(c->g, t), i);
    }
    return LC_OK;
}

static enum lc stack(struct call *c, struct sx *out)
{
    struct columns all;
    int64_t rows;
    size_t width;

    if (!special_int(&c->args[0], &rows) || rows < 1 || rows > 10000)
        return special_unsupported(c, "a number of rows that is not a literal of at most 10000");
    width = (c->n - 1 + (size_t)rows - 1) / (size_t)rows;
    if (!columns_init(c, &all, width, (size_t)rows))
        return err_nomem(c->g->err);
    for (size_t k = 0; k < width; k++) {
        all.names[k] = gen_printf(c->g, "col%zu", k);
        TRY(one_type(c, k, width, &all.types[k]));
        TRY(put_column(c, &all, k));
    }
    return special_generated(c, out, all.names, all.types, all.sqls, width, true);
}

/* "INT" (`a`), "STRING" (`b`): the types of the columns that are to be one. */
static enum lc no_common_type(struct call *c, size_t first, size_t step)
{
    struct buf b = BUF_INIT((size_t)16 << 20);

    for (size_t i = first; i < c->n; i += step) {
        const char *words = gen_type_words(c->g, c->args[i].type);
        bool said = false;

        for (size_t j = first; j < i; j += step)
            said = said || strcmp(gen_type_words(c->g, c->args[j].type), words) == 0;
        if (said)
            continue;
        buf_printf(&b, "%s\"%s\" (`%s`", b.len ? ", " : "", words, c->args[i].name);
        for (size_t j = i + step; j < c->n; j += step)
            if (strcmp(gen_type_words(c->g, c->args[j].type), words) == 0)
                buf_printf(&b, ", `%s`", c->args[j].name);
        buf_putc(&b, ')');
    }
    return gen_fail(
        c->g, c->e, LC_ENGINE,
        "[UNPIVOT_VALUE_DATA_TYPE_MISMATCH] Unpivot value columns must share a least common type, "
        "some types do not: [%s]. SQLSTATE: 42K09",
        gen_take(c->g, &b));
}

/* The values of one column of an unpivot have a type in common, but no text becomes a number. */
static enum lc common_type(struct call *c, size_t first, size_t step, const struct dtype **type,
                           bool *nullable)
{
    const struct dtype *common = c->args[first].type;
    bool texts = false, others = false;

    *nullable = false;
    for (size_t i = first; i < c->n; i += step) {
        enum dtype_id id = c->args[i].type->id;

        if (!c->args[i].col)
            return gen_fail(
                c->g, c->e, LC_ENGINE,
                "[UNPIVOT_REQUIRES_ATTRIBUTES] UNPIVOT requires all given value expressions to be "
                "columns when no id expressions are given. These are not columns: [\"%s\"]. SQLSTATE: "
                "42K0A",
                c->args[i].name);
        texts = texts || id == DTYPE_STRING;
        others = others || (id != DTYPE_STRING && id != DTYPE_NULL);
        *nullable = *nullable || c->args[i].nullable;
        common = common ? gen_type(c->g, dtype_common(common, c->args[i].type)) : NULL;
    }
    *type = common;
    return !common || (texts && others) ? no_common_type(c, first, step) : LC_OK;
}

/* unpivot(number of values, label, values …, label, values …): a row for each label. */
static enum lc unpivot(struct call *c, struct sx *out)
{
    struct columns all;
    int64_t values;
    bool nullable[64] = {false};

    if (!special_int(&c->args[0], &values) || values < 1 || values >= 64)
        return special_unsupported(c, "more than 63 columns of values");
    if (!columns_init(c, &all, (size_t)values + 1, (c->n - 1) / ((size_t)values + 1)))
        return err_nomem(c->g->err);
    for (size_t k = 0; k < all.n; k++) {
        all.names[k] = gen_printf(c->g, "col%zu", k);
        all.types[k] = dtype_of(DTYPE_STRING);
        if (k > 0)
            TRY(common_type(c, 1 + k, all.n, &all.types[k], &nullable[k]));
        TRY(put_column(c, &all, k));
    }
    TRY(special_generated(c, out, all.names, all.types, all.sqls, all.n, true));
    for (size_t k = 0; k < all.n; k++)
        out->many[k].nullable = nullable[k];
    return LC_OK;
}

static enum lc json_tuple(struct call *c, struct sx *out)
{
    size_t n = c->n - 1;
    const char **names = arena_alloc(c->g->arena, n * sizeof *names);
    const char **sqls = arena_alloc(c->g->arena, n * sizeof *sqls);
    const struct dtype **types = arena_alloc(c->g->arena, n * sizeof *types);

    if (!names || !sqls || !types)
        return err_nomem(c->g->err);
    for (size_t i = 0; i < n; i++) {
        names[i] = gen_printf(c->g, "c%zu", i);
        types[i] = dtype_of(DTYPE_STRING);
        sqls[i] = gen_printf(c->g,
                             "unnest([CASE WHEN json_valid(%s) THEN json_extract_string(lacus_json_last(%s), "
                             "'$.\"' || %s || '\"') END])",
                             c->args[0].sql, c->args[0].sql, c->args[i + 1].sql);
    }
    return special_generated(c, out, names, types, sqls, n, true);
}

/* str_to_map(text, between pairs, between key and value); the last value of a key counts */
static enum lc str_to_map(struct call *c, struct sx *out)
{
    const char *pairs = c->n > 1 ? c->args[1].sql : "','", *keys = c->n > 2 ? c->args[2].sql : "':'";
    const char *entries = gen_printf(
        c->g,
        "list_transform(regexp_split_to_array(%s, %s), lambda lx: struct_pack(key := "
        "regexp_split_to_array(lx, "
        "%s)[1], value := nullif(substr(lx, length(regexp_split_to_array(lx, %s)[1]) + 2), CASE WHEN "
        "regexp_matches(lx, %s) THEN NULL ELSE '' END)))",
        c->args[0].sql, pairs, keys, keys, keys);

    return special_done(c, out,
                        gen_type(c->g, dtype_map(dtype_of(DTYPE_STRING), dtype_of(DTYPE_STRING), true)),
                        gen_printf(c->g, "(CASE WHEN %s IS NULL THEN NULL ELSE map_from_entries(%s) END)",
                                   c->args[0].sql, entries));
}

/* array_sort(array, comparator): places are counted: an element goes behind those the comparator puts before it */
static enum lc array_sort(struct call *c, struct sx *out)
{
    const struct dtype *types[2];
    const char *list = c->args[0].sql, *values[2], *head, *i = gen_printf(c->g, "li%d", c->g->next_uid++),
               *j = gen_printf(c->g, "li%d", c->g->next_uid++);
    struct sx body;

    types[0] = types[1] = c->args[0].type->element;
    values[0] = gen_printf(c->g, "(%s)[%s]", list, j);
    values[1] = gen_printf(c->g, "(%s)[%s]", list, i);
    TRY(special_lambda(c, 1, types, 2, values, &head, &body));
    return special_done(c, out, c->args[0].type,
                        gen_printf(c->g,
                                   "(CASE WHEN %s IS NULL THEN NULL ELSE "
                                   "list_transform(list_sort(list_transform(range(1, len(%s) + 1), "
                                   "lambda %s: struct_pack(p := len(list_filter(range(1, len(%s) + 1), "
                                   "lambda %s: (%s) < 0 OR ((%s) = 0 "
                                   "AND %s < %s))), i := %s))), lambda lz: (%s)[lz.i]) END)",
                                   list, list, i, list, j, body.sql, body.sql, j, i, i, list));
}

/* ---- fields of a struct ---- */
static bool listed(const struct call *c, const char *name)
{
    for (size_t i = 1; i < c->n; i++)
        if (special_text(&c->args[i]) && strcasecmp(special_text(&c->args[i]), name) == 0)
            return true;
    return false;
}

/* The struct without the named fields, or with one in another's place or at the end. */
static enum lc change_fields(struct call *c, struct sx *out, bool drop)
{
    const struct sx *in = &c->args[0];
    const struct dtype *t = dtype_struct_new(in->type->n_fields + 1);
    struct buf b = BUF_INIT((size_t)16 << 20);
    bool placed = drop;
    size_t n = 0;

    if (in->type->id != DTYPE_STRUCT)
        return dtype_unref(t), not_a(c, 0, "STRUCT");
    buf_printf(&b, "(CASE WHEN %s IS NULL THEN NULL ELSE struct_pack(", in->sql);
    for (size_t i = 0; i <= in->type->n_fields; i++) {
        bool more = i == in->type->n_fields, there = !more && listed(c, in->type->fields[i].name);
        const char *name = more || (there && !drop) ? special_text(&c->args[1]) : in->type->fields[i].name;
        bool given = !drop && (there || more);

        if ((there && drop) || (more && placed) || !name || !t)
            continue;
        placed = placed || given;
        buf_puts(&b, n++ ? ", " : "");
        sql_quote_name(&b, name);
        buf_printf(
            &b, " := %s",
            given ? c->args[2].sql
                  : gen_printf(c->g, "struct_extract(%s, %s)", in->sql, gen_text(c->g, name, strlen(name))));
        t = dtype_struct_add(t, name, dtype_ref(given ? c->args[2].type : in->type->fields[i].type),
                             given ? c->args[2].nullable : in->type->fields[i].nullable, NULL);
    }
    buf_puts(&b, ") END)");
    if (n == 0)
        return buf_release(&b), dtype_unref(t),
               gen_fail(c->g, c->e, LC_ENGINE,
                        "[DATATYPE_MISMATCH.CANNOT_DROP_ALL_FIELDS] Cannot resolve \"%s\" due to data type "
                        "mismatch: "
                        "Cannot drop all fields in struct. SQLSTATE: 42K09",
                        in->name);
    out->name = gen_printf(c->g, "update_fields(%s, %s)", in->name, drop ? "dropfield()" : "WithField(...)");
    return special_done(c, out, gen_type(c->g, t), gen_take(c->g, &b));
}

static enum lc with_field(struct call *c, struct sx *out)
{
    return change_fields(c, out, false);
}

static enum lc drop_fields(struct call *c, struct sx *out)
{
    return change_fields(c, out, true);
}

const struct special special_maps[] = {
    {"with_field", with_field},
    {"drop_fields", drop_fields},
    {"map_concat", map_concat},
    {"map_filter", map_filter},
    {"transform_keys", transform_keys},
    {"transform_values", transform_values},
    {"map_zip_with", map_zip_with},
    {"zip_with", zip_with},
    {"stack", stack},
    {"unpivot", unpivot},
    {"json_tuple", json_tuple},
    {"str_to_map", str_to_map},
    {"array_sort", array_sort},
    {0},
};
