/* yaml.c: the plugin `yaml`: libyaml's events made into JSON values. */
#include "runtime/notebook/yaml.h"
#include "runtime/base/real.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    const char *name;
    json_t *anchors; /* name → value */
    int depth, nodes;
    struct err *err;
};

enum lc lacus_yaml(const char *text, size_t len, const char *name, json_t **out, struct err *err);

static enum lc broken(struct reader *r, const char *what, yaml_mark_t at)
{
    return err_set(r->err, LC_PARSE, "cannot read the YAML of '%s': line %zu, column %zu: %s", r->name,
                   at.line + 1, at.column + 1, what);
}

static enum lc next(struct reader *r, yaml_event_t *e)
{
    if (yaml_parser_parse(&r->parser, e))
        return LC_OK;
    return broken(r, r->parser.problem ? r->parser.problem : "no memory", r->parser.problem_mark);
}

/* ---- scalars ---- */
static bool one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static bool all(const char *text, const char *set)
{
    return *text && text[strspn(text, set)] == '\0';
}

static json_t *integer(const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    char clean[64];
    size_t n = 0;
    int base = 10;

    if (strlen(text) >= sizeof clean || !isdigit((unsigned char)*digits))
        return NULL;
    if (digits[0] == '0' && digits[1] == 'x' && all(digits + 2, "0123456789abcdefABCDEF_"))
        base = 16;
    else if (digits[0] == '0' && digits[1] == 'b' && all(digits + 2, "01_"))
        base = 2;
    else if (digits[0] == '0' && digits[1] && all(digits, "01234567_"))
        base = 8;
    else if (!all(digits, "0123456789_") || (digits[0] == '0' && digits[1]))
        return NULL;
    for (const char *p = digits + (base == 16 || base == 2 ? 2 : 0); *p; p++)
        if (*p != '_')
            clean[n++] = *p;
    clean[n] = '\0';
    errno = 0;
    long long value = strtoll(clean, NULL, base);
    if (errno == ERANGE) /* a float, as a Lua program has it */
        return NULL;
    return json_integer(*text == '-' ? -value : value);
}

/* PyYAML's 1_000.5: _ from the second character on, in a number with a dot, not in its exponent. false: it is a text. */
static bool without_parts(const char *text, char *clean, size_t size)
{
    const char *digits = text + (*text == '-' || *text == '+');
    size_t mantissa = strcspn(text, "eE"), n = 0;

    if (strlen(text) >= size || !strchr(text, '.') || strchr(text + mantissa, '_') ||
        !isdigit((unsigned char)digits[*digits == '.']))
        return false;
    for (const char *p = text; *p; p++)
        if (*p != '_')
            clean[n++] = *p;
    clean[n] = '\0';
    return true;
}

/* PyYAML's float: a dot is needed, and an exponent has its sign; 1e-4 is what people write, and is one here. */
static json_t *real(const char *text)
{
    static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    const char *digits = text + (*text == '-' || *text == '+');
    char clean[64], *end;
    double value;

    if (one_of(digits, infinities))
        return real_json(*text == '-' ? -INFINITY : INFINITY);
    if (one_of(text, nans))
        return real_json(NAN);
    if (strchr(text, '_')) {
        if (!without_parts(text, clean, sizeof clean))
            return NULL;
        text = digits = clean;
    }
    if (!strpbrk(digits, "0123456789") || !all(digits, "0123456789.eE+-"))
        return NULL;
    value = strtod(text, &end);
    return *end == '\0' ? real_json(value) : NULL;
}

static json_t *scalar(const yaml_event_t *e)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", NULL};
    static const char *const none[] = {"", "~", "null", "Null", "NULL", NULL};
    const char *text = (const char *)e->data.scalar.value, *tag = (const char *)e->data.scalar.tag;
    json_t *value = NULL;

    if (e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !(tag && strcmp(tag, YAML_STR_TAG) == 0)) {
        if (one_of(text, none))
            return json_null();
        if (one_of(text, yes))
            return json_true();
        if (one_of(text, no))
            return json_false();
        value = integer(text);
        value = value ? value : real(text);
    }
    return value ? value : json_stringn(text, e->data.scalar.length);
}

/* ---- nodes ---- */
static enum lc node(struct reader *r, yaml_event_t *e, json_t **out);

static enum lc sequence(struct reader *r, json_t *list)
{
    for (;;) {
        yaml_event_t e;
        json_t *item = NULL;
        TRY(next(r, &e));
        if (e.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&e);
            return LC_OK;
        }
        enum lc rc = node(r, &e, &item);
        yaml_event_delete(&e);
        TRY(rc);
        json_array_append_new(list, item);
    }
}

static enum lc member(struct reader *r, const yaml_event_t *key, json_t *object)
{
    const char *name = (const char *)key->data.scalar.value;
    yaml_event_t e;
    json_t *value = NULL;
    enum lc rc;

    if (key->type != YAML_SCALAR_EVENT)
        return broken(r, "a name must be a text", key->start_mark);
    TRY(next(r, &e));
    rc = node(r, &e, &value);
    yaml_event_delete(&e);
    TRY(rc);
    if (strcmp(name, "<<") == 0 && json_is_object(value)) {
        json_object_update_missing(object, value); /* what is merged gives way */
        json_decref(value);
    } else if (json_object_set_new(object, name, value) != 0) {
        return broken(r, "a name is no UTF-8 text", key->start_mark);
    }
    return LC_OK;
}

static enum lc mapping(struct reader *r, json_t *object)
{
    for (;;) {
        yaml_event_t key;
        TRY(next(r, &key));
        if (key.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&key);
            return LC_OK;
        }
        enum lc rc = member(r, &key, object);
        yaml_event_delete(&key);
        TRY(rc);
    }
}

static void remember(struct reader *r, const yaml_char_t *anchor, json_t *value)
{
    if (anchor)
        json_object_set(r->anchors, (const char *)anchor, value);
}

/* How many values there are in it: aliases of aliases grow fast. */
static int weight(const json_t *value)
{
    int sum = 1;
    const char *name;
    json_t *item;
    size_t i;

    json_array_foreach (value, i, item)
        sum += weight(item);
    json_object_foreach ((json_t *)value, name, item)
        sum += weight(item);
    return sum;
}

static enum lc alias(struct reader *r, const yaml_event_t *e, json_t **out)
{
    json_t *value = json_object_get(r->anchors, (const char *)e->data.alias.anchor);

    if (!value)
        return broken(r, "an alias of nothing", e->start_mark);
    r->nodes += weight(value);
    if (r->nodes > YAML_NODES)
        return broken(r, "its aliases make it too large", e->start_mark);
    *out = json_deep_copy(value);
    return *out ? LC_OK : err_nomem(r->err);
}

static enum lc node(struct reader *r, yaml_event_t *e, json_t **out)
{
    enum lc rc = LC_OK;

    if (++r->nodes > YAML_NODES || ++r->depth > YAML_DEPTH)
        return err_set(r->err, LC_LIMIT, "cannot read the YAML of '%s': it is too large or too deep",
                       r->name);
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        rc = alias(r, e, out);
        break;
    case YAML_SCALAR_EVENT:
        *out = scalar(e);
        remember(r, e->data.scalar.anchor, *out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        *out = json_array();
        rc = sequence(r, *out);
        remember(r, e->data.sequence_start.anchor, *out);
        break;
    case YAML_MAPPING_START_EVENT:
        *out = json_object();
        rc = mapping(r, *out);
        remember(r, e->data.mapping_start.anchor, *out);
        break;
    default:
        rc = broken(r, "a value was expected", e->start_mark);
    }
    r->depth--;
    if (rc == LC_OK && !*out)
        rc = broken(r, "a text is no UTF-8", e->start_mark);
    if (rc != LC_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

/* The first document's value; an empty one is null. */
static enum lc document(struct reader *r, json_t **out)
{
    bool begun = false;

    for (;;) {
        yaml_event_t e;
        enum lc rc = LC_OK;
        TRY(next(r, &e));
        int type = (int)e.type;
        if (type == YAML_DOCUMENT_START_EVENT && begun)
            rc = broken(r, "there is a second document", e.start_mark);
        begun = begun || type == YAML_DOCUMENT_START_EVENT;
        if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
            type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT)
            rc = node(r, &e, out);
        yaml_event_delete(&e);
        TRY(rc);
        if (type == YAML_STREAM_END_EVENT)
            return LC_OK;
    }
}

enum lc lacus_yaml(const char *text, size_t len, const char *name, json_t **out, struct err *err)
{
    struct reader r = {.name = name, .err = err};
    enum lc rc;

    *out = NULL;
    if (!yaml_parser_initialize(&r.parser))
        return err_nomem(err);
    r.anchors = json_object();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    rc = document(&r, out);
    yaml_parser_delete(&r.parser);
    json_decref(r.anchors);
    if (rc != LC_OK) {
        json_decref(*out);
        *out = NULL;
    } else if (!*out) {
        *out = json_null();
    }
    return rc;
}
