/* template_value.c: the values of a template: made, compared, printed as Python prints them. */
#include "gpu/tokenizer/template_int.h"
#include "runtime/base/utf8.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JSON_DEPTH = 64 };

struct value v_string(const char *s, size_t n)
{
    return (struct value){.kind = V_STRING, .as.str = {s, n}};
}

struct value v_text(const char *s)
{
    return v_string(s, strlen(s));
}

struct value v_int(int64_t i)
{
    return (struct value){.kind = V_INT, .as.i = i};
}

struct value v_bool(bool b)
{
    return (struct value){.kind = V_BOOL, .as.b = b};
}

struct value v_list(struct render *r)
{
    struct list *list = render_alloc(r, sizeof *list);

    return list ? (struct value){.kind = V_LIST, .as.list = list} : (struct value){.kind = V_NONE};
}

struct value v_dict(struct render *r)
{
    struct dict *dict = render_alloc(r, sizeof *dict);

    return dict ? (struct value){.kind = V_DICT, .as.dict = dict} : (struct value){.kind = V_NONE};
}

struct value v_taken(struct render *r, struct buf *b)
{
    size_t n = b->len;
    char *copy = b->failed ? NULL : render_alloc(r, n + 1);

    if (b->failed)
        render_fail(r, LC_LIMIT, r->at, "a text of the template is too long");
    if (copy && n)
        memcpy(copy, b->data, n);
    buf_release(b);
    return copy ? v_string(copy, n) : (struct value){.kind = V_NONE};
}

static struct value *grown(struct render *r, struct value *old, size_t n, size_t cap)
{
    struct value *more = render_alloc(r, cap * sizeof *more);

    if (more && n)
        memcpy(more, old, n * sizeof *more);
    return more;
}

bool list_put(struct render *r, struct list *l, struct value v)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        if ((l->items = grown(r, l->items, l->n, cap)) == NULL)
            return false;
        l->cap = cap;
    }
    l->items[l->n++] = v;
    return true;
}

static size_t dict_index(const struct dict *d, const struct value *key)
{
    size_t i = 0;

    while (i < d->n && !v_equal(&d->keys[i], key))
        i++;
    return i;
}

bool dict_put(struct render *r, struct dict *d, struct value key, struct value v)
{
    size_t i = dict_index(d, &key);

    if (i == d->n) {
        if (d->n == d->cap) {
            size_t cap = d->cap ? d->cap * 2 : 8;
            d->keys = grown(r, d->keys, d->n, cap);
            d->values = grown(r, d->values, d->n, cap);
            if (!d->keys || !d->values)
                return false;
            d->cap = cap;
        }
        d->keys[d->n++] = key;
    }
    d->values[i] = v;
    return true;
}

const struct value *dict_get(const struct dict *d, const struct value *key)
{
    size_t i = dict_index(d, key);

    return i < d->n ? &d->values[i] : NULL;
}

const struct value *dict_text(const struct dict *d, const char *key, size_t n)
{
    struct value v = v_string(key, n);

    return dict_get(d, &v);
}

/* ---- from JSON ---- */
static bool from_json(struct render *r, const json_t *json, struct value *out, int depth)
{
    const json_t *item;
    const char *key;
    size_t i;

    if (depth > JSON_DEPTH)
        return render_fail(r, LC_LIMIT, 0, "the variables are nested too deeply");
    if (json_is_object(json)) {
        *out = v_dict(r);
        json_object_foreach ((json_t *)(uintptr_t)json, key, item) {
            struct value v;
            if (r->rc != LC_OK || !from_json(r, item, &v, depth + 1) ||
                !dict_put(r, out->as.dict, v_text(key), v))
                return false;
        }
    } else if (json_is_array(json)) {
        *out = v_list(r);
        json_array_foreach (json, i, item) {
            struct value v;
            if (r->rc != LC_OK || !from_json(r, item, &v, depth + 1) || !list_put(r, out->as.list, v))
                return false;
        }
    } else if (json_is_string(json)) {
        *out = v_string(json_string_value(json), json_string_length(json));
    } else if (json_is_integer(json)) {
        *out = v_int(json_integer_value(json));
    } else if (json_is_real(json)) {
        *out = (struct value){.kind = V_FLOAT, .as.f = json_real_value(json)};
    } else if (json_is_boolean(json)) {
        *out = v_bool(json_is_true(json));
    } else {
        *out = (struct value){.kind = V_NONE};
    }
    return r->rc == LC_OK;
}

bool v_from_json(struct render *r, const json_t *json, struct value *out)
{
    return from_json(r, json, out, 0);
}

/* ---- what they are ---- */
const char *v_kind(const struct value *v)
{
    static const char *const names[] = {
        [V_UNDEFINED] = "undefined", [V_NONE] = "None",         [V_BOOL] = "bool",    [V_INT] = "int",
        [V_FLOAT] = "float",         [V_STRING] = "str",        [V_LIST] = "list",    [V_DICT] = "dict",
        [V_MACRO] = "macro",         [V_FUNCTION] = "function", [V_METHOD] = "method"};

    return v->kind == V_LIST && v->tuple ? "tuple" : names[v->kind];
}

bool is_number(const struct value *v)
{
    return v->kind == V_INT || v->kind == V_FLOAT || v->kind == V_BOOL;
}

double as_double(const struct value *v)
{
    return v->kind == V_FLOAT ? v->as.f : v->kind == V_INT ? (double)v->as.i : v->as.b ? 1 : 0;
}

static int64_t as_int(const struct value *v)
{
    return v->kind == V_INT ? v->as.i : v->as.b;
}

bool v_truth(const struct value *v)
{
    switch (v->kind) {
    case V_UNDEFINED:
    case V_NONE:
        return false;
    case V_BOOL:
        return v->as.b;
    case V_INT:
        return v->as.i != 0;
    case V_FLOAT:
        return v->as.f < 0 || v->as.f > 0 || isnan(v->as.f);
    case V_STRING:
        return v->as.str.n > 0;
    case V_LIST:
        return v->as.list->n > 0;
    case V_DICT:
        return v->as.dict->n > 0;
    default:
        return true;
    }
}

int64_t v_length(const struct value *v)
{
    switch (v->kind) {
    case V_UNDEFINED:
        return 0;
    case V_STRING:
        return (int64_t)utf8_count(v->as.str.s, v->as.str.n);
    case V_LIST:
        return (int64_t)v->as.list->n;
    case V_DICT:
        return (int64_t)v->as.dict->n;
    default:
        return -1;
    }
}

static int order(const char *a, size_t n, const char *b, size_t m)
{
    int c = memcmp(a, b, n < m ? n : m);

    return c ? c : n < m ? -1 : n > m;
}

static bool equal_lists(const struct list *a, const struct list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!v_equal(&a->items[i], &b->items[i]))
            return false;
    return true;
}

static bool equal_dicts(const struct dict *a, const struct dict *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct value *other = dict_get(b, &a->keys[i]);
        if (!other || !v_equal(&a->values[i], other))
            return false;
    }
    return true;
}

bool v_equal(const struct value *a, const struct value *b)
{
    if (is_number(a) && is_number(b)) {
        double x = as_double(a), y = as_double(b);
        if (a->kind != V_FLOAT && b->kind != V_FLOAT)
            return as_int(a) == as_int(b);
        return !(x < y) && !(x > y) && !isnan(x) && !isnan(y);
    }
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case V_UNDEFINED:
    case V_NONE:
        return true;
    case V_STRING:
        return a->as.str.n == b->as.str.n &&
               (a->as.str.n == 0 || memcmp(a->as.str.s, b->as.str.s, a->as.str.n) == 0);
    case V_LIST:
        return a->tuple == b->tuple && equal_lists(a->as.list, b->as.list);
    case V_DICT:
        return a->as.dict == b->as.dict || equal_dicts(a->as.dict, b->as.dict);
    default:
        return false;
    }
}

bool v_compare(struct render *r, const struct value *a, const struct value *b, int *out)
{
    if (is_number(a) && is_number(b)) {
        double x = as_double(a), y = as_double(b);
        *out = x < y ? -1 : x > y;
        return true;
    }
    if (a->kind == V_STRING && b->kind == V_STRING) {
        *out = order(a->as.str.s, a->as.str.n, b->as.str.s, b->as.str.n);
        return true;
    }
    if (a->kind == V_LIST && b->kind == V_LIST) {
        const struct list *x = a->as.list, *y = b->as.list;
        for (size_t i = 0; i < x->n && i < y->n; i++)
            if (!v_equal(&x->items[i], &y->items[i]))
                return v_compare(r, &x->items[i], &y->items[i], out);
        *out = x->n < y->n ? -1 : x->n > y->n;
        return true;
    }
    return render_fail(r, LC_DATA, r->at, "'%s' and '%s' cannot be ordered", v_kind(a), v_kind(b));
}

bool v_contains(struct render *r, const struct value *in, const struct value *what, bool *out)
{
    *out = false;
    if (in->kind == V_STRING && what->kind == V_STRING) {
        *out =
            what->as.str.n == 0 || memmem(in->as.str.s, in->as.str.n, what->as.str.s, what->as.str.n) != NULL;
    } else if (in->kind == V_DICT) {
        *out = dict_get(in->as.dict, what) != NULL;
    } else if (in->kind == V_LIST) {
        for (size_t i = 0; i < in->as.list->n && !*out; i++)
            *out = v_equal(&in->as.list->items[i], what);
    } else if (in->kind == V_STRING || in->kind != V_UNDEFINED) {
        return render_fail(r, LC_DATA, r->at, "'in' does not work with '%s' on its right", v_kind(in));
    }
    return true;
}

bool v_iterate(struct render *r, const struct value *v, struct list **out)
{
    struct value list;

    if (v->kind == V_LIST) {
        *out = v->as.list;
        return true;
    }
    list = v_list(r);
    if (r->rc != LC_OK)
        return false;
    *out = list.as.list;
    if (v->kind == V_UNDEFINED)
        return true;
    if (v->kind == V_DICT) {
        for (size_t i = 0; i < v->as.dict->n; i++)
            if (!list_put(r, *out, v->as.dict->keys[i]))
                return false;
        return true;
    }
    if (v->kind != V_STRING)
        return render_fail(r, LC_DATA, r->at, "'%s' object is not iterable", v_kind(v));
    for (size_t at = 0, n; at < v->as.str.n; at += n) {
        uint32_t code;
        n = utf8_decode(v->as.str.s + at, v->as.str.n - at, &code);
        n = n ? n : 1;
        if (!list_put(r, *out, v_string(v->as.str.s + at, n)))
            return false;
    }
    return true;
}

/* ---- printing ---- */
static void print_float(struct buf *out, double f, bool json)
{
    char text[40];

    if (isnan(f) || isinf(f)) {
        buf_puts(out, isnan(f) ? (json ? "NaN" : "nan")
                      : f < 0  ? (json ? "-Infinity" : "-inf")
                      : json   ? "Infinity"
                               : "inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) { /* the shortest that reads back the same */
        snprintf(text, sizeof text, "%.*g", digits, f);
        double back = strtod(text, NULL);
        if (!(back < f) && !(back > f))
            break;
    }
    if (fabs(f) >= 1e16 || (fabs(f) < 1e-4 && f * f > 0)) {
        buf_puts(out, text);
        return;
    }
    if (strchr(text, 'e')) /* Python writes 1e+15 as 1000000000000000.0 */
        snprintf(text, sizeof text, "%.0f", f);
    buf_puts(out, text);
    if (!strpbrk(text, ".n"))
        buf_puts(out, ".0");
}

/* A string as Python's repr writes it. */
static void print_quoted(struct buf *out, const char *s, size_t n)
{
    bool single = n && memchr(s, '\'', n) != NULL, both = single && memchr(s, '"', n) != NULL;
    char quote = single && !both ? '"' : '\'';

    buf_putc(out, quote);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == (unsigned char)quote || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c == '\n' || c == '\r' || c == '\t')
            buf_printf(out, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < 32 || c == 127)
            buf_printf(out, "\\x%02x", c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, quote);
}

static bool print_inside(struct render *r, struct buf *out, const struct value *v, int depth);

static bool print_list(struct render *r, struct buf *out, const struct value *v, int depth)
{
    const struct list *l = v->as.list;

    buf_putc(out, v->tuple ? '(' : '[');
    for (size_t i = 0; i < l->n; i++) {
        buf_puts(out, i ? ", " : "");
        if (!print_inside(r, out, &l->items[i], depth + 1))
            return false;
    }
    if (v->tuple && l->n == 1)
        buf_putc(out, ',');
    return buf_putc(out, v->tuple ? ')' : ']');
}

static bool print_dict(struct render *r, struct buf *out, const struct value *v, int depth)
{
    const struct dict *d = v->as.dict;

    buf_putc(out, '{');
    for (size_t i = 0; i < d->n; i++) {
        buf_puts(out, i ? ", " : "");
        if (!print_inside(r, out, &d->keys[i], depth + 1) || !buf_puts(out, ": ") ||
            !print_inside(r, out, &d->values[i], depth + 1))
            return false;
    }
    return buf_putc(out, '}');
}

static bool print_any(struct render *r, struct buf *out, const struct value *v, int depth)
{
    if (depth > JSON_DEPTH)
        return render_fail(r, LC_LIMIT, r->at, "a value is nested too deeply to be printed");
    switch (v->kind) {
    case V_UNDEFINED:
        break;
    case V_NONE:
        buf_puts(out, "None");
        break;
    case V_BOOL:
        buf_puts(out, v->as.b ? "True" : "False");
        break;
    case V_INT:
        buf_printf(out, "%lld", (long long)v->as.i);
        break;
    case V_FLOAT:
        print_float(out, v->as.f, false);
        break;
    case V_STRING:
        buf_add(out, v->as.str.s, v->as.str.n);
        break;
    case V_LIST:
        return print_list(r, out, v, depth);
    case V_DICT:
        return print_dict(r, out, v, depth);
    default:
        return render_fail(r, LC_DATA, r->at, "a %s cannot be printed (is its call missing?)", v_kind(v));
    }
    return out->failed ? render_fail(r, LC_LIMIT, r->at, "the text that the template makes is too long")
                       : true;
}

static bool print_inside(struct render *r, struct buf *out, const struct value *v, int depth)
{
    if (v->kind == V_UNDEFINED)
        return buf_puts(out, "Undefined");
    if (v->kind != V_STRING)
        return print_any(r, out, v, depth);
    print_quoted(out, v->as.str.s, v->as.str.n);
    return true;
}

bool v_print(struct render *r, struct buf *out, const struct value *v)
{
    return print_any(r, out, v, 0);
}

/* ---- JSON, as json.dumps ---- */
struct json_style {
    int indent; /* -1: one line */
    bool sort, ascii;
};

static void json_break(struct buf *out, const struct json_style *style, int depth)
{
    if (style->indent < 0)
        return;
    buf_putc(out, '\n');
    for (int i = 0; i < depth * style->indent; i++)
        buf_putc(out, ' ');
}

static void json_string_put(struct buf *out, const char *s, size_t n, bool ascii)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";

    buf_putc(out, '"');
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t code = 0;
        const char *simple;
        len = utf8_decode(s + at, n - at, &code);
        len = len ? len : 1;
        simple = code && code < 128 ? strchr(from, (int)code) : NULL;
        if (simple)
            buf_printf(out, "\\%c", to[simple - from]);
        else if (code < 32 || (ascii && code > 126 && code < 0x10000))
            buf_printf(out, "\\u%04x", (unsigned)code);
        else if (ascii && code >= 0x10000)
            buf_printf(out, "\\u%04x\\u%04x", 0xd800 + (unsigned)((code - 0x10000) >> 10),
                       0xdc00 + (unsigned)((code - 0x10000) & 0x3ff));
        else
            buf_add(out, s + at, len);
    }
    buf_putc(out, '"');
}

static bool json_put(struct render *r, struct buf *out, const struct value *v, const struct json_style *style,
                     int depth);

static bool json_list(struct render *r, struct buf *out, const struct list *l, const struct json_style *style,
                      int depth)
{
    buf_putc(out, '[');
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            buf_puts(out, style->indent < 0 ? ", " : ",");
        json_break(out, style, depth + 1);
        if (!json_put(r, out, &l->items[i], style, depth + 1))
            return false;
    }
    if (l->n)
        json_break(out, style, depth);
    return buf_putc(out, ']');
}

static size_t next_key(const struct dict *d, size_t last, bool sort, size_t done)
{
    size_t best = d->n;

    if (!sort)
        return done;
    for (size_t i = 0; i < d->n; i++) {
        const struct value *k = &d->keys[i];
        if (k->kind != V_STRING || (last < d->n && order(k->as.str.s, k->as.str.n, d->keys[last].as.str.s,
                                                         d->keys[last].as.str.n) <= 0))
            continue;
        if (best == d->n ||
            order(k->as.str.s, k->as.str.n, d->keys[best].as.str.s, d->keys[best].as.str.n) < 0)
            best = i;
    }
    return best;
}

static bool json_dict(struct render *r, struct buf *out, const struct dict *d, const struct json_style *style,
                      int depth)
{
    size_t key = d->n;

    buf_putc(out, '{');
    for (size_t i = 0; i < d->n; i++) {
        key = next_key(d, key, style->sort, i);
        if (key >= d->n || d->keys[key].kind != V_STRING)
            return render_fail(r, LC_DATA, r->at, "tojson needs keys that are texts");
        if (i)
            buf_puts(out, style->indent < 0 ? ", " : ",");
        json_break(out, style, depth + 1);
        json_string_put(out, d->keys[key].as.str.s, d->keys[key].as.str.n, style->ascii);
        buf_puts(out, ": ");
        if (!json_put(r, out, &d->values[key], style, depth + 1))
            return false;
    }
    if (d->n)
        json_break(out, style, depth);
    return buf_putc(out, '}');
}

static bool json_put(struct render *r, struct buf *out, const struct value *v, const struct json_style *style,
                     int depth)
{
    if (depth > JSON_DEPTH)
        return render_fail(r, LC_LIMIT, r->at, "a value is nested too deeply for tojson");
    switch (v->kind) {
    case V_NONE:
        return buf_puts(out, "null");
    case V_BOOL:
        return buf_puts(out, v->as.b ? "true" : "false");
    case V_INT:
        return buf_printf(out, "%lld", (long long)v->as.i);
    case V_FLOAT:
        print_float(out, v->as.f, true);
        return true;
    case V_STRING:
        json_string_put(out, v->as.str.s, v->as.str.n, style->ascii);
        return true;
    case V_LIST:
        return json_list(r, out, v->as.list, style, depth);
    case V_DICT:
        return json_dict(r, out, v->as.dict, style, depth);
    default:
        return render_fail(r, LC_DATA, r->at, "tojson cannot write a value that is %s", v_kind(v));
    }
}

bool v_json(struct render *r, struct buf *out, const struct value *v, int indent, bool sort, bool ascii)
{
    struct json_style style = {indent, sort, ascii};

    return json_put(r, out, v, &style, 0);
}
