#include "runtime/dataframe/types.h"
#include "runtime/base/mem.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct atomic_row {
    const char *name; /* in JSON and simpleString */
    const char *sql;
};

static const struct atomic_row rows[DTYPE_COUNT] = {
    [DTYPE_NULL] = {"void", "VOID"},
    [DTYPE_BOOLEAN] = {"boolean", "BOOLEAN"},
    [DTYPE_BYTE] = {"tinyint", "TINYINT"},
    [DTYPE_SHORT] = {"smallint", "SMALLINT"},
    [DTYPE_INT] = {"int", "INT"},
    [DTYPE_LONG] = {"bigint", "BIGINT"},
    [DTYPE_FLOAT] = {"float", "FLOAT"},
    [DTYPE_DOUBLE] = {"double", "DOUBLE"},
    [DTYPE_DECIMAL] = {"decimal", "DECIMAL"},
    [DTYPE_STRING] = {"string", "STRING"},
    [DTYPE_BINARY] = {"binary", "BINARY"},
    [DTYPE_DATE] = {"date", "DATE"},
    [DTYPE_TIMESTAMP] = {"timestamp", "TIMESTAMP"},
    [DTYPE_TIMESTAMP_NTZ] = {"timestamp_ntz", "TIMESTAMP_NTZ"},
    [DTYPE_INTERVAL] = {"interval", "INTERVAL"},
    [DTYPE_TIME] = {"time(6)", "TIME(6)"},
    [DTYPE_VARIANT] = {"variant", "VARIANT"},
    [DTYPE_ARRAY] = {"array", "ARRAY"},
    [DTYPE_MAP] = {"map", "MAP"},
    [DTYPE_STRUCT] = {"struct", "STRUCT"},
};

/* The names of the JSON form and of printSchema where they are not the simpleString's; and other spellings.
 */
static const struct {
    const char *name;
    enum dtype_id id;
    bool json;
} other_names[] = {
    {"byte", DTYPE_BYTE, true},
    {"short", DTYPE_SHORT, true},
    {"integer", DTYPE_INT, true},
    {"long", DTYPE_LONG, true},
    {"bool", DTYPE_BOOLEAN, false},
    {"real", DTYPE_FLOAT, false},
    {"dec", DTYPE_DECIMAL, false},
    {"numeric", DTYPE_DECIMAL, false},
    {"null", DTYPE_NULL, false},
    {"text", DTYPE_STRING, false},
    {"timestamp_ltz", DTYPE_TIMESTAMP, false},
    {"varchar", DTYPE_STRING, false},
    {"char", DTYPE_STRING, false},
    {"time", DTYPE_TIME, false},
};

const char *dtype_name_at(size_t i)
{
    if (i < DTYPE_COUNT)
        return rows[i].name;
    i -= DTYPE_COUNT;
    return i < sizeof other_names / sizeof *other_names ? other_names[i].name : NULL;
}

#define ATOMIC(i)                                                                                            \
    {                                                                                                        \
        .id = (i), .contains_null = true                                                                     \
    }
static const struct dtype atomic[DTYPE_COUNT] = {
    ATOMIC(DTYPE_NULL),      ATOMIC(DTYPE_BOOLEAN),       ATOMIC(DTYPE_BYTE),
    ATOMIC(DTYPE_SHORT),     ATOMIC(DTYPE_INT),           ATOMIC(DTYPE_LONG),
    ATOMIC(DTYPE_FLOAT),     ATOMIC(DTYPE_DOUBLE),        {.id = DTYPE_DECIMAL, .precision = 10},
    ATOMIC(DTYPE_STRING),    ATOMIC(DTYPE_BINARY),        ATOMIC(DTYPE_DATE),
    ATOMIC(DTYPE_TIMESTAMP), ATOMIC(DTYPE_TIMESTAMP_NTZ), ATOMIC(DTYPE_INTERVAL),
    ATOMIC(DTYPE_TIME),      ATOMIC(DTYPE_VARIANT),
};

/* Types are const to everyone but the counter of their owners. */
static struct dtype *counted(const struct dtype *t)
{
    union {
        const struct dtype *c;
        struct dtype *m;
    } u = {.c = t};

    return u.m;
}

const struct dtype *dtype_of(enum dtype_id id)
{
    return id < DTYPE_ARRAY ? &atomic[id] : NULL;
}

static struct dtype *dtype_alloc(enum dtype_id id)
{
    struct dtype *t = mem_zalloc(sizeof *t);

    if (t) {
        t->refs = 1;
        t->id = id;
    }
    return t;
}

const struct dtype *dtype_decimal(int precision, int scale)
{
    struct dtype *t = dtype_alloc(DTYPE_DECIMAL);

    if (t) {
        t->precision = precision;
        t->scale = scale;
    }
    return t;
}

const struct dtype *dtype_interval(enum interval_kind kind, int from, int to)
{
    struct dtype *t = kind == INTERVAL_CALENDAR ? NULL : dtype_alloc(DTYPE_INTERVAL);

    if (kind == INTERVAL_CALENDAR)
        return dtype_of(DTYPE_INTERVAL);
    if (t) {
        t->contains_null = true;
        t->precision = (int)kind;
        t->scale = from * 4 + to;
    }
    return t;
}

enum interval_kind dtype_interval_kind(const struct dtype *t)
{
    return (enum interval_kind)t->precision;
}

static const char *const interval_fields[3][4] = {
    {"", "", "", ""}, {"year", "month", "", ""}, {"day", "hour", "minute", "second"}};

static bool put_interval(const struct dtype *t, struct buf *out)
{
    const char *const *names = interval_fields[t->precision];
    int from = t->scale / 4, to = t->scale % 4;

    if (t->precision == INTERVAL_CALENDAR)
        return buf_puts(out, "interval");
    return from == to ? buf_printf(out, "interval %s", names[from])
                      : buf_printf(out, "interval %s to %s", names[from], names[to]);
}

const struct dtype *dtype_array(const struct dtype *element, bool contains_null)
{
    struct dtype *t = element ? dtype_alloc(DTYPE_ARRAY) : NULL;

    if (!t)
        return dtype_unref(element), NULL;
    t->element = element;
    t->contains_null = contains_null;
    return t;
}

const struct dtype *dtype_map(const struct dtype *key, const struct dtype *value, bool contains_null)
{
    struct dtype *t = key && value ? dtype_alloc(DTYPE_MAP) : NULL;

    if (!t)
        return dtype_unref(key), dtype_unref(value), NULL;
    t->key = key;
    t->element = value;
    t->contains_null = contains_null;
    return t;
}

const struct dtype *dtype_struct_new(size_t capacity_hint)
{
    (void)capacity_hint;
    return dtype_alloc(DTYPE_STRUCT);
}

const struct dtype *dtype_struct_add(const struct dtype *s, const char *name, const struct dtype *type,
                                     bool nullable, const char *metadata)
{
    struct dtype *t = counted(s);
    struct dfield f = {.type = type, .nullable = nullable};
    struct dfield *grown = NULL;

    if (s && type && name) {
        f.name = mem_strdup(name);
        f.metadata = metadata ? mem_strdup(metadata) : NULL;
        grown = f.name && (f.metadata || !metadata)
                    ? mem_reallocn(t->fields, t->n_fields + 1, sizeof *t->fields)
                    : NULL;
    }
    if (!grown) {
        mem_free(f.name);
        mem_free(f.metadata);
        dtype_unref(type);
        dtype_unref(s);
        return NULL;
    }
    t->fields = grown;
    t->fields[t->n_fields++] = f;
    return s;
}

const struct dtype *dtype_ref(const struct dtype *t)
{
    if (t && t->refs)
        __atomic_add_fetch(&counted(t)->refs, 1, __ATOMIC_RELAXED);
    return t;
}

void dtype_unref(const struct dtype *t)
{
    struct dtype *m = counted(t);

    if (!t || !t->refs || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    dtype_unref(m->element);
    dtype_unref(m->key);
    for (size_t i = 0; i < m->n_fields; i++) {
        mem_free(m->fields[i].name);
        mem_free(m->fields[i].metadata);
        dtype_unref(m->fields[i].type);
    }
    mem_free(m->fields);
    mem_free(m);
}

/* ---- comparing ---- */
static bool compare(const struct dtype *a, const struct dtype *b, bool strict);

static bool text_equal(const char *a, const char *b)
{
    return (!a && !b) || (a && b && strcmp(a, b) == 0);
}

static bool fields_equal(const struct dtype *a, const struct dtype *b, bool strict)
{
    if (a->n_fields != b->n_fields)
        return false;
    for (size_t i = 0; i < a->n_fields; i++) {
        const struct dfield *f = &a->fields[i], *g = &b->fields[i];

        if (strcmp(f->name, g->name) != 0 || !compare(f->type, g->type, strict))
            return false;
        if (strict && (f->nullable != g->nullable || !text_equal(f->metadata, g->metadata)))
            return false;
    }
    return true;
}

static bool compare(const struct dtype *a, const struct dtype *b, bool strict)
{
    if (a == b)
        return true;
    if (!a || !b || a->id != b->id)
        return false;
    if (a->id == DTYPE_DECIMAL || a->id == DTYPE_INTERVAL)
        return a->precision == b->precision && a->scale == b->scale;
    if (strict && a->contains_null != b->contains_null)
        return false;
    if (a->id == DTYPE_ARRAY)
        return compare(a->element, b->element, strict);
    if (a->id == DTYPE_MAP)
        return compare(a->key, b->key, strict) && compare(a->element, b->element, strict);
    return fields_equal(a, b, strict);
}

bool dtype_equal(const struct dtype *a, const struct dtype *b)
{
    return compare(a, b, true);
}

bool dtype_same(const struct dtype *a, const struct dtype *b)
{
    return compare(a, b, false);
}

bool dtype_is_integral(const struct dtype *t)
{
    return t && t->id >= DTYPE_BYTE && t->id <= DTYPE_LONG;
}

bool dtype_has_map(const struct dtype *t)
{
    bool found = t->id == DTYPE_MAP || (t->id == DTYPE_ARRAY && dtype_has_map(t->element));

    for (size_t i = 0; t->id == DTYPE_STRUCT && !found && i < t->n_fields; i++)
        found = dtype_has_map(t->fields[i].type);
    return found;
}

bool dtype_is_numeric(const struct dtype *t)
{
    return t && t->id >= DTYPE_BYTE && t->id <= DTYPE_DECIMAL;
}

bool dtype_is_atomic(const struct dtype *t)
{
    return t && t->id < DTYPE_ARRAY;
}

/* ---- widening ---- */
static int integral_digits(enum dtype_id id)
{
    static const int digits[DTYPE_COUNT] = {
        [DTYPE_BYTE] = 3, [DTYPE_SHORT] = 5, [DTYPE_INT] = 10, [DTYPE_LONG] = 20};

    return digits[id];
}

/* Spark bounds a decimal that grew too wide: it keeps the integral digits and gives up scale, down to none.
 */
static const struct dtype *decimal_wider(int integral, int scale)
{
    if (integral + scale > 38)
        scale = integral > 38 ? 0 : 38 - integral;
    return dtype_decimal(integral + scale > 38 ? 38 : integral + scale, scale);
}

static const struct dtype *common_numeric(const struct dtype *a, const struct dtype *b)
{
    int ia, ib;

    if (a->id != DTYPE_DECIMAL && b->id != DTYPE_DECIMAL) {
        /* int or long with float: float, as Spark has it without ANSI; ANSI widens to double */
        if ((a->id == DTYPE_FLOAT && dtype_is_integral(b)) || (b->id == DTYPE_FLOAT && dtype_is_integral(a)))
            return dtype_of(DTYPE_DOUBLE);
        return dtype_of(a->id > b->id ? a->id : b->id);
    }
    if (a->id == DTYPE_FLOAT || a->id == DTYPE_DOUBLE || b->id == DTYPE_FLOAT || b->id == DTYPE_DOUBLE)
        return dtype_of(DTYPE_DOUBLE);
    ia = a->id == DTYPE_DECIMAL ? a->precision - a->scale : integral_digits(a->id);
    ib = b->id == DTYPE_DECIMAL ? b->precision - b->scale : integral_digits(b->id);
    return decimal_wider(ia > ib ? ia : ib, a->scale > b->scale ? a->scale : b->scale);
}

static const struct dtype *common_struct(const struct dtype *a, const struct dtype *b)
{
    const struct dtype *s;

    if (a->n_fields != b->n_fields)
        return NULL;
    s = dtype_struct_new(a->n_fields);
    for (size_t i = 0; s && i < a->n_fields; i++) {
        const struct dfield *f = &a->fields[i], *g = &b->fields[i];

        if (strcasecmp(f->name, g->name) != 0)
            return dtype_unref(s), NULL;
        s = dtype_struct_add(s, f->name, dtype_common(f->type, g->type), f->nullable || g->nullable,
                             f->metadata);
    }
    return s;
}

/* What a string is turned into when it meets another type (ANSI: the other type; int family: bigint, float:
 * double). */
static const struct dtype *common_string(const struct dtype *other)
{
    if (dtype_is_integral(other))
        return dtype_of(DTYPE_LONG);
    if (other->id == DTYPE_FLOAT || other->id == DTYPE_DECIMAL)
        return dtype_of(DTYPE_DOUBLE);
    return dtype_is_atomic(other) ? dtype_ref(other) : NULL;
}

const struct dtype *dtype_common(const struct dtype *a, const struct dtype *b)
{
    if (!a || !b)
        return NULL;
    if (a->id == DTYPE_NULL || dtype_equal(a, b))
        return dtype_ref(b);
    if (b->id == DTYPE_NULL)
        return dtype_ref(a);
    if (dtype_is_numeric(a) && dtype_is_numeric(b))
        return common_numeric(a, b);
    if (a->id == DTYPE_STRING || b->id == DTYPE_STRING)
        return a->id == b->id ? dtype_ref(a) : common_string(a->id == DTYPE_STRING ? b : a);
    if (a->id >= DTYPE_DATE && a->id <= DTYPE_TIMESTAMP_NTZ && b->id >= DTYPE_DATE &&
        b->id <= DTYPE_TIMESTAMP_NTZ)
        return dtype_of(a->id == DTYPE_TIMESTAMP || b->id == DTYPE_TIMESTAMP ? DTYPE_TIMESTAMP
                                                                             : DTYPE_TIMESTAMP_NTZ);
    if (a->id != b->id)
        return NULL;
    if (a->id == DTYPE_INTERVAL) {
        int from = a->scale / 4 < b->scale / 4 ? a->scale / 4 : b->scale / 4;
        int to = a->scale % 4 > b->scale % 4 ? a->scale % 4 : b->scale % 4;

        return a->precision == b->precision ? dtype_interval(dtype_interval_kind(a), from, to)
                                            : dtype_of(DTYPE_INTERVAL);
    }
    if (a->id == DTYPE_ARRAY)
        return dtype_array(dtype_common(a->element, b->element), a->contains_null || b->contains_null);
    if (a->id == DTYPE_MAP)
        return dtype_map(dtype_common(a->key, b->key), dtype_common(a->element, b->element),
                         a->contains_null || b->contains_null);
    return a->id == DTYPE_STRUCT ? common_struct(a, b) : dtype_ref(a);
}

long dtype_field_index(const struct dtype *schema, const char *name)
{
    long found = -1;

    for (size_t i = 0; schema && i < schema->n_fields; i++)
        if (strcasecmp(schema->fields[i].name, name) == 0) {
            if (found >= 0)
                return -2;
            found = (long)i;
        }
    return found;
}

/* ---- writing ---- */
bool dtype_simple(const struct dtype *t, struct buf *out)
{
    switch (t->id) {
    case DTYPE_DECIMAL:
        return buf_printf(out, "decimal(%d,%d)", t->precision, t->scale);
    case DTYPE_ARRAY:
        return buf_puts(out, "array<") && dtype_simple(t->element, out) && buf_putc(out, '>');
    case DTYPE_MAP:
        return buf_puts(out, "map<") && dtype_simple(t->key, out) && buf_putc(out, ',') &&
               dtype_simple(t->element, out) && buf_putc(out, '>');
    case DTYPE_STRUCT:
        buf_puts(out, "struct<");
        for (size_t i = 0; i < t->n_fields; i++) {
            buf_printf(out, "%s%s:", i ? "," : "", t->fields[i].name);
            dtype_simple(t->fields[i].type, out);
        }
        return buf_putc(out, '>');
    case DTYPE_INTERVAL:
        return put_interval(t, out);
    default:
        return buf_puts(out, rows[t->id].name);
    }
}

static bool plain_name(const char *name)
{
    if (!*name || isdigit((unsigned char)*name))
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

static void put_name(struct buf *out, const char *name)
{
    if (plain_name(name)) {
        buf_puts(out, name);
        return;
    }
    buf_putc(out, '`');
    for (; *name; name++) {
        if (*name == '`')
            buf_putc(out, '`');
        buf_putc(out, *name);
    }
    buf_putc(out, '`');
}

bool dtype_sql(const struct dtype *t, struct buf *out)
{
    size_t from;

    switch (t->id) {
    case DTYPE_DECIMAL:
        return buf_printf(out, "DECIMAL(%d,%d)", t->precision, t->scale);
    case DTYPE_ARRAY:
        return buf_puts(out, "ARRAY<") && dtype_sql(t->element, out) && buf_putc(out, '>');
    case DTYPE_MAP:
        return buf_puts(out, "MAP<") && dtype_sql(t->key, out) && buf_puts(out, ", ") &&
               dtype_sql(t->element, out) && buf_putc(out, '>');
    case DTYPE_STRUCT:
        buf_puts(out, "STRUCT<");
        for (size_t i = 0; i < t->n_fields; i++) {
            buf_puts(out, i ? ", " : "");
            put_name(out, t->fields[i].name);
            buf_puts(out, ": ");
            dtype_sql(t->fields[i].type, out);
            buf_puts(out, t->fields[i].nullable ? "" : " NOT NULL");
        }
        return buf_putc(out, '>');
    case DTYPE_INTERVAL:
        from = out->len;
        put_interval(t, out);
        for (; from < out->len; from++)
            out->data[from] = (char)toupper((unsigned char)out->data[from]);
        return buf_ok(out);
    default:
        return buf_puts(out, rows[t->id].sql);
    }
}

bool dtype_ddl(const struct dtype *schema, struct buf *out)
{
    for (size_t i = 0; i < schema->n_fields; i++) {
        buf_puts(out, i ? "," : "");
        put_name(out, schema->fields[i].name);
        buf_putc(out, ' ');
        dtype_sql(schema->fields[i].type, out);
        buf_puts(out, schema->fields[i].nullable ? "" : " NOT NULL");
    }
    return buf_ok(out);
}

static const char *json_name(enum dtype_id id)
{
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++)
        if (other_names[i].json && other_names[i].id == id)
            return other_names[i].name;
    return rows[id].name;
}

static void type_name(const struct dtype *t, struct buf *out)
{
    if (t->id == DTYPE_DECIMAL || t->id == DTYPE_INTERVAL)
        dtype_simple(t, out);
    else
        buf_puts(out, json_name(t->id));
}

static void tree_children(const struct dtype *t, int depth, struct buf *out);

static void tree_line(const char *name, const struct dtype *t, const char *flag, bool value, int depth,
                      struct buf *out)
{
    for (int i = 0; i < depth; i++)
        buf_puts(out, " |   ");
    buf_printf(out, " |-- %s: ", name);
    type_name(t, out);
    if (flag)
        buf_printf(out, " (%s = %s)", flag, value ? "true" : "false");
    buf_putc(out, '\n');
    tree_children(t, depth + 1, out);
}

static void tree_children(const struct dtype *t, int depth, struct buf *out)
{
    if (t->id == DTYPE_ARRAY) {
        tree_line("element", t->element, "containsNull", t->contains_null, depth, out);
    } else if (t->id == DTYPE_MAP) {
        tree_line("key", t->key, NULL, false, depth, out);
        tree_line("value", t->element, "valueContainsNull", t->contains_null, depth, out);
    } else if (t->id == DTYPE_STRUCT) {
        for (size_t i = 0; i < t->n_fields; i++)
            tree_line(t->fields[i].name, t->fields[i].type, "nullable", t->fields[i].nullable, depth, out);
    }
}

bool dtype_tree(const struct dtype *schema, struct buf *out)
{
    buf_puts(out, "root\n");
    tree_children(schema, 0, out);
    return buf_ok(out);
}

/* ---- JSON ---- */
static json_t *field_to_json(const struct dfield *f)
{
    json_t *metadata = f->metadata ? json_loads(f->metadata, 0, NULL) : NULL;

    return json_pack("{s:s, s:o, s:b, s:o}", "name", f->name, "type", dtype_to_json(f->type), "nullable",
                     f->nullable, "metadata", metadata ? metadata : json_object());
}

json_t *dtype_to_json(const struct dtype *t)
{
    json_t *fields;
    struct buf words;
    char text[40];

    switch (t->id) {
    case DTYPE_DECIMAL:
        snprintf(text, sizeof text, "decimal(%d,%d)", t->precision, t->scale);
        return json_string(text);
    case DTYPE_INTERVAL:
        buf_init(&words, 100);
        put_interval(t, &words);
        fields = json_string(buf_str(&words));
        buf_release(&words);
        return fields;
    case DTYPE_ARRAY:
        return json_pack("{s:s, s:o, s:b}", "type", "array", "elementType", dtype_to_json(t->element),
                         "containsNull", t->contains_null);
    case DTYPE_MAP:
        return json_pack("{s:s, s:o, s:o, s:b}", "type", "map", "keyType", dtype_to_json(t->key), "valueType",
                         dtype_to_json(t->element), "valueContainsNull", t->contains_null);
    case DTYPE_STRUCT:
        fields = json_array();
        for (size_t i = 0; i < t->n_fields; i++)
            json_array_append_new(fields, field_to_json(&t->fields[i]));
        return json_pack("{s:s, s:o}", "type", "struct", "fields", fields);
    default:
        return json_string(json_name(t->id));
    }
}

char *dtype_json_text(const struct dtype *t)
{
    json_t *json = dtype_to_json(t);
    char *raw = json ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL,
         *text = raw ? mem_strdup(raw) : NULL;

    free(raw);
    json_decref(json);
    return text;
}

enum { MAX_DEPTH = 100 };

static enum lc from_json(json_t *json, int depth, const struct dtype **out, struct err *err);

static enum lc field_from_json(json_t *field, int depth, const struct dtype **s, struct err *err)
{
    const char *name = json_string_value(json_object_get(field, "name"));
    json_t *type = json_object_get(field, "type"), *nullable = json_object_get(field, "nullable");
    json_t *metadata = json_object_get(field, "metadata");
    const struct dtype *t;
    char *text = NULL;

    if (!name || !type)
        return err_set(err, LC_PARSE, "a field of the schema has no name or no type");
    TRY(from_json(type, depth, &t, err));
    if (json_is_object(metadata) && json_object_size(metadata))
        text = json_dumps(metadata, JSON_COMPACT);
    *s = dtype_struct_add(*s, name, t, !json_is_false(nullable), text);
    free(text);
    return *s ? LC_OK : err_nomem(err);
}

static enum lc struct_from_json(json_t *json, int depth, const struct dtype **out, struct err *err)
{
    json_t *fields = json_object_get(json, "fields"), *field;
    const struct dtype *s;
    size_t i;

    if (!json_is_array(fields))
        return err_set(err, LC_PARSE, "a struct type in the schema has no array 'fields'");
    s = dtype_struct_new(json_array_size(fields));
    json_array_foreach (fields, i, field) {
        enum lc code = s ? field_from_json(field, depth, &s, err) : err_nomem(err);

        if (code != LC_OK)
            return dtype_unref(s), code;
    }
    *out = s;
    return s ? LC_OK : err_nomem(err);
}

static enum lc complex_from_json(json_t *json, const char *kind, int depth, const struct dtype **out,
                                 struct err *err)
{
    const struct dtype *key, *value;
    enum lc code;

    if (strcmp(kind, "struct") == 0)
        return struct_from_json(json, depth, out, err);
    if (strcmp(kind, "array") == 0) {
        TRY(from_json(json_object_get(json, "elementType"), depth, &value, err));
        *out = dtype_array(value, !json_is_false(json_object_get(json, "containsNull")));
        return *out ? LC_OK : err_nomem(err);
    }
    if (strcmp(kind, "map") != 0)
        return err_set(err, LC_UNSUPPORTED, "the type '%s' of the schema is not known", kind);
    TRY(from_json(json_object_get(json, "keyType"), depth, &key, err));
    code = from_json(json_object_get(json, "valueType"), depth, &value, err);
    if (code != LC_OK)
        return dtype_unref(key), code;
    *out = dtype_map(key, value, !json_is_false(json_object_get(json, "valueContainsNull")));
    return *out ? LC_OK : err_nomem(err);
}

static enum lc from_json(json_t *json, int depth, const struct dtype **out, struct err *err)
{
    const char *kind = json_string_value(json_object_get(json, "type"));

    if (depth > MAX_DEPTH)
        return err_set(err, LC_LIMIT, "the schema is nested more than %d deep", MAX_DEPTH);
    if (json_is_string(json))
        return dtype_parse(json_string_value(json), out, err);
    if (!kind)
        return err_set(err, LC_PARSE, "a type of the schema is neither a name nor an object with 'type'");
    return complex_from_json(json, kind, depth + 1, out, err);
}

enum lc dtype_from_json(json_t *json, const struct dtype **out, struct err *err)
{
    return from_json(json, 0, out, err);
}

enum lc dtype_from_json_text(const char *text, size_t len, const struct dtype **out, struct err *err)
{
    json_error_t bad;
    json_t *json = json_loadb(text, len, JSON_DECODE_ANY, &bad);
    enum lc code;

    if (!json)
        return err_at(err, bad.position), err_set(err, LC_PARSE, "cannot parse the schema: %s", bad.text);
    code = dtype_from_json(json, out, err);
    json_decref(json);
    return code;
}

/* ---- parsing of type names and DDL ---- */
struct parser {
    const char *start, *p;
    int depth;
    struct err *err;
};

static void skip(struct parser *s)
{
    while (isspace((unsigned char)*s->p))
        s->p++;
}

static bool accept(struct parser *s, char c)
{
    skip(s);
    if (*s->p != c)
        return false;
    s->p++;
    return true;
}

static enum lc bad(struct parser *s, const char *expected)
{
    err_set(s->err, LC_PARSE, "cannot parse the type '%.200s': %s expected at '%.40s'", s->start, expected,
            s->p);
    return err_at(s->err, s->p - s->start);
}

static enum lc expect(struct parser *s, char c)
{
    char text[] = {'\'', c, '\'', '\0'};

    return accept(s, c) ? LC_OK : bad(s, text);
}

/* An identifier, quoted with backticks or not, into name (size bytes). */
static enum lc identifier(struct parser *s, char *name, size_t size)
{
    size_t n = 0;
    bool quoted;

    skip(s);
    quoted = *s->p == '`';
    for (s->p += quoted; *s->p; s->p++) {
        unsigned char c = (unsigned char)*s->p;

        if (quoted && c == '`' && s->p[1] == '`')
            s->p++;
        else if (quoted ? c == '`' : !(isalnum(c) || c == '_' || c >= 0x80))
            break;
        if (n + 1 >= size)
            return bad(s, "a shorter name");
        name[n++] = *s->p;
    }
    name[n] = '\0';
    if (quoted && *s->p++ != '`')
        return s->p--, bad(s, "a closing backtick");
    return n ? LC_OK : bad(s, "a name");
}

static bool keyword(struct parser *s, const char *word)
{
    size_t n = strlen(word);

    skip(s);
    if (strncasecmp(s->p, word, n) != 0 || isalnum((unsigned char)s->p[n]) || s->p[n] == '_')
        return false;
    s->p += n;
    return true;
}

static enum lc parse_type(struct parser *s, const struct dtype **out);

static enum lc number(struct parser *s, int *out)
{
    char *end;
    long v;

    skip(s);
    v = strtol(s->p, &end, 10);
    if (end == s->p || v < 0 || v > INT_MAX)
        return bad(s, "a number");
    s->p = end;
    *out = (int)v;
    return LC_OK;
}

static enum lc parse_decimal(struct parser *s, const struct dtype **out)
{
    int precision = 10, scale = 0;

    if (accept(s, '(')) {
        TRY(number(s, &precision));
        if (accept(s, ','))
            TRY(number(s, &scale));
        TRY(expect(s, ')'));
    }
    if (precision < 1 || precision > 38 || scale > precision)
        return err_set(s->err, LC_PARSE,
                       "decimal(%d,%d) is not possible: precision goes to 38, scale to the precision",
                       precision, scale);
    *out = dtype_decimal(precision, scale);
    return *out ? LC_OK : err_nomem(s->err);
}

static enum lc parse_field(struct parser *s, const struct dtype **fields, bool top)
{
    char name[512];
    const struct dtype *type;
    bool nullable = true;

    TRY(identifier(s, name, sizeof name));
    if (!accept(s, ':') && !top && !isspace((unsigned char)s->p[-1]) && *s->p != '`')
        return bad(s, "':'");
    TRY(parse_type(s, &type));
    if (keyword(s, "not")) {
        if (!keyword(s, "null"))
            return dtype_unref(type), bad(s, "NULL");
        nullable = false;
    }
    *fields = dtype_struct_add(*fields, name, type, nullable, NULL);
    if (!*fields)
        return err_nomem(s->err);
    if (keyword(s, "comment")) {
        skip(s);
        if (*s->p != '\'')
            return bad(s, "a quoted comment");
        for (s->p++; *s->p && *s->p != '\''; s->p++)
            ;
        return expect(s, '\'');
    }
    return LC_OK;
}

static enum lc parse_fields(struct parser *s, char end, const struct dtype **out)
{
    const struct dtype *fields = dtype_struct_new(8);
    enum lc code = fields ? LC_OK : err_nomem(s->err);

    skip(s);
    while (code == LC_OK && *s->p != end) {
        code = parse_field(s, &fields, end == '\0');
        if (code == LC_OK && !accept(s, ',')) {
            skip(s);
            if (*s->p != end)
                code = bad(s, "','");
        }
    }
    if (code != LC_OK)
        return dtype_unref(fields), code;
    *out = fields;
    return LC_OK;
}

static enum lc parse_nested(struct parser *s, enum dtype_id id, const struct dtype **out)
{
    const struct dtype *key = NULL, *value = NULL;
    enum lc code;

    TRY(expect(s, '<'));
    if (id == DTYPE_STRUCT) {
        code = parse_fields(s, '>', out);
        return code == LC_OK ? expect(s, '>') : code;
    }
    TRY(parse_type(s, id == DTYPE_MAP ? &key : &value));
    if (id == DTYPE_MAP) {
        code = expect(s, ',');
        if (code == LC_OK)
            code = parse_type(s, &value);
        if (code != LC_OK)
            return dtype_unref(key), code;
    }
    code = expect(s, '>');
    if (code != LC_OK)
        return dtype_unref(key), dtype_unref(value), code;
    *out = id == DTYPE_MAP ? dtype_map(key, value, true) : dtype_array(value, true);
    return *out ? LC_OK : err_nomem(s->err);
}

static int find_name(const char *name)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (strcasecmp(rows[i].name, name) == 0)
            return i;
    for (size_t i = 0; i < sizeof other_names / sizeof *other_names; i++)
        if (strcasecmp(other_names[i].name, name) == 0)
            return (int)other_names[i].id;
    return -1;
}

/* What follows INTERVAL: nothing, or fields: DAY TO SECOND. */
static enum lc parse_interval(struct parser *s, const struct dtype **out)
{
    int kind = 0, from = 0, to = 0;

    for (int k = 1; k <= 2 && !kind; k++)
        for (int f = 0; f < 4 && !kind; f++)
            if (*interval_fields[k][f] && keyword(s, interval_fields[k][f])) {
                kind = k;
                from = to = f;
            }
    if (kind && keyword(s, "to")) {
        for (to = from + 1; to < 4; to++)
            if (*interval_fields[kind][to] && keyword(s, interval_fields[kind][to]))
                break;
        if (to == 4)
            return bad(s, "a smaller field of the interval");
    }
    *out = dtype_interval((enum interval_kind)kind, from, to);
    return *out ? LC_OK : err_nomem(s->err);
}

static enum lc parse_type(struct parser *s, const struct dtype **out)
{
    char name[64];
    int id, ignored;
    enum lc code;
    const char *at;

    skip(s);
    at = s->p;
    TRY(identifier(s, name, sizeof name));
    id = find_name(name);
    if (id < 0) {
        err_set(s->err, LC_PARSE, "the type '%s' is not known", name);
        err_hint(s->err,
                 "types are boolean, tinyint, smallint, int, bigint, float, double, decimal(p,s), string, "
                 "binary, date, timestamp, timestamp_ntz, array<…>, map<…,…>, struct<…>");
        return err_at(s->err, at - s->start);
    }
    if (id == DTYPE_DECIMAL)
        return parse_decimal(s, out);
    if (id == DTYPE_INTERVAL)
        return parse_interval(s, out);
    if (id >= DTYPE_ARRAY) {
        if (++s->depth > MAX_DEPTH)
            return err_set(s->err, LC_LIMIT, "the type is nested more than %d deep", MAX_DEPTH);
        code = parse_nested(s, (enum dtype_id)id, out);
        s->depth--;
        return code;
    }
    if ((id == DTYPE_STRING || id == DTYPE_TIME) && accept(s, '(')) { /* varchar(n), char(n): strings */
        TRY(number(s, &ignored));
        TRY(expect(s, ')'));
    }
    *out = dtype_of((enum dtype_id)id);
    return LC_OK;
}

enum lc dtype_parse(const char *text, const struct dtype **out, struct err *err)
{
    struct parser s = {.start = text, .p = text, .err = err};
    enum lc code = parse_type(&s, out);

    skip(&s);
    if (code == LC_OK && *s.p) {
        dtype_unref(*out);
        return bad(&s, "the end");
    }
    return code;
}

enum lc dtype_parse_schema(const char *text, const struct dtype **out, struct err *err)
{
    struct parser s = {.start = text, .p = text, .err = err};
    const struct dtype *type;

    skip(&s);
    if (*s.p == '{') {
        TRY(dtype_from_json_text(text, strlen(text), &type, err));
    } else if (strncasecmp(s.p, "struct<", 7) == 0) {
        TRY(dtype_parse(text, &type, err));
    } else {
        TRY(parse_fields(&s, '\0', &type));
    }
    if (type->id != DTYPE_STRUCT || type->n_fields == 0) {
        dtype_unref(type);
        return err_set(err, LC_PARSE, "cannot parse the schema '%.200s': it names no columns", text);
    }
    *out = type;
    return LC_OK;
}
