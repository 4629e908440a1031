/* template_filter.c: the filters, tests, methods and functions that templates call: four tables at the end. */
#include "gpu/tokenizer/regex.h"
#include "gpu/tokenizer/template_int.h"
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RANGE_MAX = 100000 };

typedef bool run_fn(struct render *r, const struct value *in, const struct args *a, struct value *out);

const struct filter_row *filter_find(const struct filter_row *rows, const char *name, size_t n)
{
    for (; rows->name; rows++)
        if (strlen(rows->name) == n && memcmp(rows->name, name, n) == 0)
            return rows;
    return NULL;
}

static bool bad_type(struct render *r, const char *what, const struct value *v)
{
    return render_fail(r, LC_DATA, r->at, "%s does not take a value that is %s", what, v_kind(v));
}

/* Any value as a text. */
static bool text_of(struct render *r, const struct value *v, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    bool ok;

    if (v->kind == V_STRING) {
        *out = *v;
        return true;
    }
    ok = v_print(r, &b, v);
    if (ok)
        *out = v_taken(r, &b);
    buf_release(&b);
    return ok && r->rc == LC_OK;
}

static bool text_arg(struct render *r, const struct args *a, size_t i, const char *name, struct value *out)
{
    const struct value *v = arg(a, i, name);

    if (v && v->kind == V_STRING) {
        *out = *v;
        return true;
    }
    return render_fail(r, LC_DATA, r->at, "argument %zu must be a text", i + 1);
}

static int64_t int_arg(const struct args *a, size_t i, const char *name, int64_t otherwise)
{
    const struct value *v = arg(a, i, name);

    return v && v->kind == V_INT ? v->as.i : v && v->kind == V_BOOL ? v->as.b : otherwise;
}

static bool flag_arg(const struct args *a, size_t i, const char *name, bool otherwise)
{
    const struct value *v = arg(a, i, name);

    return v ? v_truth(v) : otherwise;
}

/* ---- letters ---- */
static bool python_space(uint32_t c)
{
    return is_white_space(c) || (c >= 0x1c && c <= 0x1f);
}

static bool in_set(uint32_t code, const char *set, size_t n)
{
    if (!set)
        return python_space(code);
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t c = 0;
        len = utf8_decode(set + at, n - at, &c);
        len = len ? len : 1;
        if (c == code)
            return true;
    }
    return false;
}

enum { LEFT = 1, RIGHT = 2 };

static struct value stripped(const struct value *v, const struct value *chars, unsigned sides)
{
    const char *s = v->as.str.s, *set = chars && chars->kind == V_STRING ? chars->as.str.s : NULL;
    size_t n = v->as.str.n, set_n = set ? chars->as.str.n : 0, start = 0, end = n, keep = 0;
    bool leading = sides & LEFT;

    for (size_t at = 0, len; at < n; at += len) {
        uint32_t code = 0;
        len = utf8_decode(s + at, n - at, &code);
        len = len ? len : 1;
        if (!in_set(code, set, set_n)) {
            leading = false;
            keep = at + len;
        } else if (leading) {
            start = at + len;
        }
    }
    if (sides & RIGHT)
        end = keep > start ? keep : start;
    return v_string(s + start, end - start);
}

/* Case needs Unicode's tables only beyond ASCII. */
enum letter_case { LOWER, UPPER };

static bool put_case(struct render *r, struct buf *b, const struct regex_vtable **re, uint32_t code,
                     enum letter_case c)
{
    char out[4];

    if (code < 128) {
        bool letter = c == LOWER ? code >= 'A' && code <= 'Z' : code >= 'a' && code <= 'z';
        return buf_putc(b, (char)(letter ? code ^ 32 : code));
    }
    if (!*re && (*re = regex_load(r->err)) == NULL) {
        r->rc = r->err->code;
        return false;
    }
    if (code == 0xdf && c == UPPER)
        return buf_puts(b, "SS");
    return buf_add(b, out, utf8_encode(c == LOWER ? (*re)->lower(code) : (*re)->upper(code), out));
}

static bool is_letter(struct render *r, const struct regex_vtable **re, uint32_t code)
{
    if (code < 128)
        return (code | 32) >= 'a' && (code | 32) <= 'z';
    if (!*re && (*re = regex_load(r->err)) == NULL) {
        r->rc = r->err->code;
        return false;
    }
    return (*re)->category(code)[0] == 'L';
}

enum case_style { ALL_LOWER, ALL_UPPER, CAPITAL, TITLE };

static bool recased(struct render *r, const struct value *v, enum case_style style, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    const struct regex_vtable *re = NULL;
    struct value text;
    bool start = true;

    if (!text_of(r, v, &text))
        return false;
    for (size_t at = 0, len; at < text.as.str.n && r->rc == LC_OK; at += len) {
        uint32_t code = 0;
        bool up;
        len = utf8_decode(text.as.str.s + at, text.as.str.n - at, &code);
        len = len ? len : 1;
        up = style == ALL_UPPER || (style != ALL_LOWER && start);
        put_case(r, &b, &re, code, up ? UPPER : LOWER);
        start = style == TITLE && !is_letter(r, &re, code);
    }
    if (r->rc == LC_OK)
        *out = v_taken(r, &b);
    buf_release(&b);
    return r->rc == LC_OK;
}

static run_fn f_upper, f_lower, f_capitalize, f_title;
static bool f_upper(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, ALL_UPPER, out);
}

static bool f_lower(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, ALL_LOWER, out);
}

static bool f_capitalize(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, CAPITAL, out);
}

static bool f_title(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, TITLE, out);
}

static bool f_trim(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct value text;

    if (!text_of(r, in, &text))
        return false;
    *out = stripped(&text, arg(a, 0, "chars"), LEFT | RIGHT);
    return true;
}

/* ---- texts ---- */
static bool replaced(struct render *r, const struct value *in, const struct value *from,
                     const struct value *to, int64_t most, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    const char *s = in->as.str.s;
    size_t n = in->as.str.n, at = 0, m = from->as.str.n;

    while (at <= n && most != 0) {
        const char *hit = m ? memmem(s + at, n - at, from->as.str.s, m) : s + at;
        size_t step = 0, next = hit ? (size_t)(hit - s) : 0;
        if (!hit)
            break;
        buf_add(&b, s + at, next - at);
        buf_add(&b, to->as.str.s, to->as.str.n);
        if (m == 0 && next < n) { /* an empty text stands between all characters */
            uint32_t code;
            step = utf8_decode(s + next, n - next, &code);
            buf_add(&b, s + next, step);
        }
        at = next + m + step;
        if (m == 0 && step == 0)
            at = n + 1;
        most--;
    }
    if (at < n)
        buf_add(&b, s + at, n - at);
    *out = v_taken(r, &b);
    return r->rc == LC_OK;
}

static bool f_replace(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct value text, from, to;

    return text_of(r, in, &text) && text_arg(r, a, 0, "old", &from) && text_arg(r, a, 1, "new", &to) &&
           replaced(r, &text, &from, &to, int_arg(a, 2, "count", -1), out);
}

static bool f_join(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    const struct value *between = arg(a, 0, "d"), *attribute = arg(a, 1, "attribute");
    struct list *items;
    bool ok = v_iterate(r, in, &items);

    for (size_t i = 0; ok && i < items->n; i++) {
        struct value v = items->items[i];
        if (i && between)
            ok = v_print(r, &b, between);
        if (ok && attribute && attribute->kind == V_STRING)
            ok = get_attribute(r, &items->items[i], attribute->as.str.s, attribute->as.str.n, &v);
        ok = ok && v_print(r, &b, &v);
    }
    if (ok)
        *out = v_taken(r, &b);
    buf_release(&b);
    return ok && r->rc == LC_OK;
}

static bool f_indent(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    const struct value *width = arg(a, 0, "width");
    int64_t spaces =
        width && width->kind == V_INT && width->as.i >= 0 && width->as.i < 1000 ? width->as.i : 4;
    bool first = flag_arg(a, 1, "first", false), blank = flag_arg(a, 2, "blank", false);
    struct value text;

    if (!text_of(r, in, &text))
        return false;
    for (size_t at = 0, line = 0; at <= text.as.str.n; line++) {
        const char *s = text.as.str.s + at, *end = memchr(s, '\n', text.as.str.n - at);
        size_t n = end ? (size_t)(end - s) : text.as.str.n - at;
        if ((line > 0 || first) && (n > 0 || blank || line == 0)) {
            if (width && width->kind == V_STRING)
                buf_add(&b, width->as.str.s, width->as.str.n);
            else
                for (int64_t i = 0; i < spaces; i++)
                    buf_putc(&b, ' ');
        }
        buf_add(&b, s, n + (end != NULL));
        at += n + 1;
        if (!end)
            break;
    }
    *out = v_taken(r, &b);
    return r->rc == LC_OK;
}

static bool f_escape(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    struct value text;

    (void)a;
    if (!text_of(r, in, &text))
        return false;
    for (size_t i = 0; i < text.as.str.n; i++) {
        static const char from[] = "&<>\"'";
        static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#34;", "&#39;"};
        const char *hit = text.as.str.s[i] ? strchr(from, text.as.str.s[i]) : NULL;
        if (hit)
            buf_puts(&b, to[hit - from]);
        else
            buf_putc(&b, text.as.str.s[i]);
    }
    *out = v_taken(r, &b);
    return r->rc == LC_OK;
}

static bool f_string(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return text_of(r, in, out);
}

static bool f_tojson(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    int64_t indent = int_arg(a, 1, "indent", -1);
    bool ok = true;

    if (arg(a, 2, "separators"))
        return render_fail(r, LC_UNSUPPORTED, r->at, "tojson's argument 'separators' is not supported");
    if (indent > 32)
        return render_fail(r, LC_LIMIT, r->at, "tojson's indent is too large");
    ok = v_json(r, &b, in, (int)indent, flag_arg(a, 3, "sort_keys", false),
                flag_arg(a, 0, "ensure_ascii", false));
    if (ok)
        *out = v_taken(r, &b);
    buf_release(&b);
    return ok && r->rc == LC_OK;
}

/* ---- numbers ---- */
static bool f_int(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    char digits[64], *end;
    struct value text;

    *out = v_int(int_arg(a, 0, "default", 0));
    if (is_number(in)) {
        double f = as_double(in);
        *out = in->kind == V_INT ? *in : v_int(fabs(f) < 9e18 ? (int64_t)f : 0);
    } else if (in->kind == V_STRING) {
        text = stripped(in, NULL, LEFT | RIGHT);
        if (text.as.str.n == 0 || text.as.str.n >= sizeof digits)
            return true;
        memcpy(digits, text.as.str.s, text.as.str.n);
        digits[text.as.str.n] = '\0';
        double f = strtod(digits, &end);
        if (*end == '\0' && fabs(f) < 9e18)
            *out = v_int(strpbrk(digits, ".eE") ? (int64_t)f : strtoll(digits, NULL, 10));
    }
    return r->rc == LC_OK;
}

static bool f_float(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    const struct value *otherwise = arg(a, 0, "default");
    char digits[64], *end;
    double f = otherwise && is_number(otherwise) ? as_double(otherwise) : 0, parsed;

    if (is_number(in)) {
        f = as_double(in);
    } else if (in->kind == V_STRING && in->as.str.n > 0 && in->as.str.n < sizeof digits) {
        memcpy(digits, in->as.str.s, in->as.str.n);
        digits[in->as.str.n] = '\0';
        parsed = strtod(digits, &end);
        f = *end == '\0' ? parsed : f;
    }
    *out = (struct value){.kind = V_FLOAT, .as.f = f};
    return r->rc == LC_OK;
}

static bool f_abs(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    if (!is_number(in))
        return bad_type(r, "abs", in);
    *out = in->kind == V_FLOAT ? (struct value){.kind = V_FLOAT, .as.f = fabs(in->as.f)}
                               : v_int(llabs(in->kind == V_INT ? in->as.i : in->as.b));
    return true;
}

static bool f_round(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    double scale = pow(10, (double)int_arg(a, 0, "precision", 0)), f;
    const struct value *method = arg(a, 1, "method");

    if (!is_number(in))
        return bad_type(r, "round", in);
    f = as_double(in) * scale;
    if (method && method->kind == V_STRING && method->as.str.n == 4)
        f = ceil(f);
    else if (method && method->kind == V_STRING && method->as.str.n == 5)
        f = floor(f);
    else
        f = nearbyint(f);
    *out = (struct value){.kind = V_FLOAT, .as.f = f / scale};
    return true;
}

/* ---- collections ---- */
static bool f_length(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    int64_t n = v_length(in);

    (void)a;
    *out = v_int(n);
    return n >= 0 || bad_type(r, "length", in);
}

static bool f_first(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct list *items;

    (void)a;
    if (!v_iterate(r, in, &items))
        return false;
    *out = items->n ? items->items[0] : (struct value){.kind = V_UNDEFINED, .as.str = {"first", 5}};
    return true;
}

static bool f_last(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct list *items;

    (void)a;
    if (!v_iterate(r, in, &items))
        return false;
    *out = items->n ? items->items[items->n - 1] : (struct value){.kind = V_UNDEFINED, .as.str = {"last", 4}};
    return true;
}

static bool copy_list(struct render *r, const struct value *in, struct value *out)
{
    struct list *items;

    *out = v_list(r);
    if (r->rc != LC_OK || !v_iterate(r, in, &items))
        return false;
    for (size_t i = 0; i < items->n; i++)
        if (!list_put(r, out->as.list, items->items[i]))
            return false;
    return true;
}

static bool f_list(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return copy_list(r, in, out);
}

static bool f_default(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    const struct value *otherwise = arg(a, 0, "default_value");
    bool missing = in->kind == V_UNDEFINED || (flag_arg(a, 1, "boolean", false) && !v_truth(in));

    (void)r;
    *out = !missing ? *in : otherwise ? *otherwise : v_string("", 0);
    return true;
}

static bool pair(struct render *r, const struct value *a, const struct value *b, struct list *into)
{
    struct value t = v_list(r);

    t.tuple = true;
    return r->rc == LC_OK && list_put(r, t.as.list, *a) && list_put(r, t.as.list, *b) && list_put(r, into, t);
}

static bool f_items(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    *out = v_list(r);
    if (in->kind == V_UNDEFINED)
        return r->rc == LC_OK;
    if (in->kind != V_DICT)
        return bad_type(r, "items", in);
    for (size_t i = 0; r->rc == LC_OK && i < in->as.dict->n; i++)
        pair(r, &in->as.dict->keys[i], &in->as.dict->values[i], out->as.list);
    return r->rc == LC_OK;
}

/* a.b.0 of each item, as attribute= takes it */
static bool deep_attribute(struct render *r, const struct value *v, const struct value *path,
                           struct value *out)
{
    const char *s = path->as.str.s;
    size_t n = path->as.str.n, at = 0;

    *out = *v;
    while (at < n) {
        const char *dot = memchr(s + at, '.', n - at);
        size_t len = dot ? (size_t)(dot - s) - at : n - at;
        struct value inner = *out;
        if (!get_attribute(r, &inner, s + at, len, out))
            return false;
        at += len + 1;
    }
    return true;
}

static bool sort_key(struct render *r, const struct value *v, const struct value *attribute, bool fold,
                     struct value *out)
{
    *out = *v;
    if (attribute && attribute->kind == V_STRING && !deep_attribute(r, v, attribute, out))
        return false;
    return !fold || out->kind != V_STRING ||
           recased(r, &(struct value){.kind = V_STRING, .as.str = out->as.str}, ALL_LOWER, out);
}

/* Stable; n is what a template has. */
static bool sorted(struct render *r, struct list *l, const struct value *attribute, bool fold, bool reverse)
{
    struct value *keys = render_alloc(r, (l->n + 1) * sizeof *keys);

    for (size_t i = 0; keys && i < l->n; i++) {
        struct value item = l->items[i], key;
        size_t at = i;
        if (!sort_key(r, &item, attribute, fold, &key))
            return false;
        for (; at > 0; at--) {
            int c = 0;
            if (++r->steps > 5000000)
                return render_fail(r, LC_LIMIT, r->at, "the template takes too many steps");
            if (!v_compare(r, &keys[at - 1], &key, &c))
                return false;
            if (reverse ? c >= 0 : c <= 0)
                break;
            keys[at] = keys[at - 1];
            l->items[at] = l->items[at - 1];
        }
        keys[at] = key;
        l->items[at] = item;
    }
    return keys != NULL;
}

static bool f_sort(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    return copy_list(r, in, out) &&
           sorted(r, out->as.list, arg(a, 2, "attribute"), !flag_arg(a, 1, "case_sensitive", false),
                  flag_arg(a, 0, "reverse", false));
}

static bool f_dictsort(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct list *keys;
    struct value list;

    if (in->kind != V_DICT)
        return bad_type(r, "dictsort", in);
    if (arg(a, 1, "by"))
        return render_fail(r, LC_UNSUPPORTED, r->at, "dictsort's argument 'by' is not supported");
    if (!copy_list(r, in, &list) || !sorted(r, list.as.list, NULL, !flag_arg(a, 0, "case_sensitive", false),
                                            flag_arg(a, 2, "reverse", false)))
        return false;
    keys = list.as.list;
    *out = v_list(r);
    for (size_t i = 0; r->rc == LC_OK && i < keys->n; i++)
        pair(r, &keys->items[i], dict_get(in->as.dict, &keys->items[i]), out->as.list);
    return r->rc == LC_OK;
}

static bool f_reverse(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct value list;
    struct buf b = BUF_INIT(BUF_TEXT_MAX);

    (void)a;
    if (!copy_list(r, in, &list))
        return false;
    for (size_t i = 0, k = list.as.list->n; i + 1 < k; i++) {
        struct value t = list.as.list->items[i];
        list.as.list->items[i] = list.as.list->items[--k];
        list.as.list->items[k] = t;
    }
    *out = list;
    if (in->kind != V_STRING)
        return true;
    for (size_t i = 0; i < list.as.list->n; i++)
        buf_add(&b, list.as.list->items[i].as.str.s, list.as.list->items[i].as.str.n);
    *out = v_taken(r, &b);
    return r->rc == LC_OK;
}

static bool f_unique(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct list *items;

    (void)a;
    *out = v_list(r);
    if (r->rc != LC_OK || !v_iterate(r, in, &items))
        return false;
    for (size_t i = 0; r->rc == LC_OK && i < items->n; i++) {
        bool seen = false;
        if (!v_contains(r, out, &items->items[i], &seen))
            return false;
        if (!seen)
            list_put(r, out->as.list, items->items[i]);
    }
    return r->rc == LC_OK;
}

static bool extreme(struct render *r, const struct value *in, int sign, struct value *out)
{
    struct list *items;

    if (!v_iterate(r, in, &items))
        return false;
    *out = (struct value){.kind = V_UNDEFINED, .as.str = {"min", 3}};
    for (size_t i = 0; i < items->n; i++) {
        int c = sign;
        if (i && !v_compare(r, &items->items[i], out, &c))
            return false;
        if (c * sign > 0)
            *out = items->items[i];
    }
    return true;
}

static bool f_min(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return extreme(r, in, -1, out);
}

static bool f_max(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return extreme(r, in, 1, out);
}

static bool f_sum(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    const struct value *attribute = arg(a, 0, "attribute");
    struct list *items;
    int64_t whole = 0;
    double real = 0;
    bool is_real = false;

    if (!v_iterate(r, in, &items))
        return false;
    for (size_t i = 0; i < items->n; i++) {
        struct value v = items->items[i];
        if (attribute && attribute->kind == V_STRING && !deep_attribute(r, &items->items[i], attribute, &v))
            return false;
        if (!is_number(&v))
            return bad_type(r, "sum", &v);
        is_real = is_real || v.kind == V_FLOAT;
        real += as_double(&v);
        if (v.kind != V_FLOAT && __builtin_add_overflow(whole, v.kind == V_INT ? v.as.i : v.as.b, &whole))
            is_real = true;
    }
    *out = is_real ? (struct value){.kind = V_FLOAT, .as.f = real} : v_int(whole);
    return true;
}

/* ---- select, reject, map ---- */
static bool passes(struct render *r, const struct value *v, const struct args *a, size_t skip, bool *yes)
{
    struct args rest = {.items = a->items + skip + 1, .n = a->n > skip + 1 ? a->n - skip - 1 : 0};
    const struct filter_row *test;
    struct value out;

    if (a->n <= skip) {
        *yes = v_truth(v);
        return true;
    }
    test = a->items[skip].kind == V_STRING
               ? filter_find(template_tests, a->items[skip].as.str.s, a->items[skip].as.str.n)
               : NULL;
    if (!test)
        return render_fail(r, LC_UNSUPPORTED, r->at, "select and its kin need the name of a known test");
    if (!test->run(r, v, &rest, &out))
        return false;
    *yes = v_truth(&out);
    return true;
}

static bool selected(struct render *r, const struct value *in, const struct args *a, bool by_attribute,
                     bool keep, struct value *out)
{
    struct list *items;

    *out = v_list(r);
    if (by_attribute && (a->n == 0 || a->items[0].kind != V_STRING))
        return render_fail(r, LC_DATA, r->at, "selectattr and rejectattr need the name of an attribute");
    if (r->rc != LC_OK || !v_iterate(r, in, &items))
        return false;
    for (size_t i = 0; i < items->n; i++) {
        struct value v = items->items[i];
        bool yes = false;
        if (by_attribute && !deep_attribute(r, &items->items[i], &a->items[0], &v))
            return false;
        if (!passes(r, &v, a, by_attribute, &yes))
            return false;
        if (yes == keep && !list_put(r, out->as.list, items->items[i]))
            return false;
    }
    return true;
}

static bool f_select(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    return selected(r, in, a, false, true, out);
}

static bool f_reject(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    return selected(r, in, a, false, false, out);
}

static bool f_selectattr(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    return selected(r, in, a, true, true, out);
}

static bool f_rejectattr(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    return selected(r, in, a, true, false, out);
}

static bool map_one(struct render *r, const struct value *v, const struct args *a, struct value *out)
{
    const struct value *attribute = arg(a, SIZE_MAX, "attribute"), *otherwise = arg(a, SIZE_MAX, "default");
    struct args rest = {.items = a->items + 1, .n = a->n ? a->n - 1 : 0};
    const struct filter_row *filter;

    if (attribute && attribute->kind == V_STRING) {
        if (!deep_attribute(r, v, attribute, out))
            return false;
        if (out->kind == V_UNDEFINED && otherwise)
            *out = *otherwise;
        return true;
    }
    filter = a->n && a->items[0].kind == V_STRING
                 ? filter_find(template_filters, a->items[0].as.str.s, a->items[0].as.str.n)
                 : NULL;
    if (!filter)
        return render_fail(r, LC_UNSUPPORTED, r->at, "map needs attribute= or the name of a known filter");
    return filter->run(r, v, &rest, out);
}

static bool f_map(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct list *items;

    *out = v_list(r);
    if (r->rc != LC_OK || !v_iterate(r, in, &items))
        return false;
    for (size_t i = 0; i < items->n; i++) {
        struct value v;
        if (!map_one(r, &items->items[i], a, &v) || !list_put(r, out->as.list, v))
            return false;
    }
    return true;
}

const struct filter_row template_filters[] = {
    {"abs", f_abs},
    {"capitalize", f_capitalize},
    {"count", f_length},
    {"d", f_default},
    {"default", f_default},
    {"dictsort", f_dictsort},
    {"e", f_escape},
    {"escape", f_escape},
    {"first", f_first},
    {"float", f_float},
    {"indent", f_indent},
    {"int", f_int},
    {"items", f_items},
    {"join", f_join},
    {"last", f_last},
    {"length", f_length},
    {"list", f_list},
    {"lower", f_lower},
    {"map", f_map},
    {"max", f_max},
    {"min", f_min},
    {"reject", f_reject},
    {"rejectattr", f_rejectattr},
    {"replace", f_replace},
    {"reverse", f_reverse},
    {"round", f_round},
    {"safe", f_string},
    {"select", f_select},
    {"selectattr", f_selectattr},
    {"sort", f_sort},
    {"string", f_string},
    {"sum", f_sum},
    {"title", f_title},
    {"tojson", f_tojson},
    {"trim", f_trim},
    {"unique", f_unique},
    {"upper", f_upper},
    {NULL, NULL},
};

/* ---- tests ---- */
#define TEST(name, expression)                                                                               \
    static bool name(struct render *r, const struct value *in, const struct args *a, struct value *out)      \
    {                                                                                                        \
        (void)r, (void)a;                                                                                    \
        *out = v_bool(expression);                                                                           \
        return true;                                                                                         \
    }

TEST(t_defined, in->kind != V_UNDEFINED)
TEST(t_undefined, in->kind == V_UNDEFINED)
TEST(t_none, in->kind == V_NONE)
TEST(t_boolean, in->kind == V_BOOL)
TEST(t_true, in->kind == V_BOOL && in->as.b)
TEST(t_false, in->kind == V_BOOL && !in->as.b)
TEST(t_integer, in->kind == V_INT)
TEST(t_float, in->kind == V_FLOAT)
TEST(t_number, is_number(in))
TEST(t_string, in->kind == V_STRING)
TEST(t_mapping, in->kind == V_DICT)
TEST(t_sequence, in->kind == V_STRING || in->kind == V_LIST || in->kind == V_DICT || in->kind == V_UNDEFINED)
TEST(t_callable, in->kind == V_MACRO || in->kind == V_FUNCTION || in->kind == V_METHOD)
TEST(t_odd, in->kind == V_INT && in->as.i % 2 != 0)
TEST(t_even, in->kind == V_INT && in->as.i % 2 == 0)
TEST(t_equal, a->n > 0 && v_equal(in, &a->items[0]))
TEST(t_unequal, a->n > 0 && !v_equal(in, &a->items[0]))
TEST(t_divisible, in->kind == V_INT && a->n > 0 && a->items[0].kind == V_INT && a->items[0].as.i != 0 &&
                      in->as.i % a->items[0].as.i == 0)

static bool t_in(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    bool yes = false;

    if (a->n == 0 || !v_contains(r, &a->items[0], in, &yes))
        return a->n ? false : render_fail(r, LC_DATA, r->at, "the test 'in' needs a value");
    *out = v_bool(yes);
    return true;
}

static bool ordered(struct render *r, const struct value *in, const struct args *a, int *c)
{
    return a->n ? v_compare(r, in, &a->items[0], c)
                : render_fail(r, LC_DATA, r->at, "the test needs a value");
}

#define ORDER_TEST(name, expression)                                                                         \
    static bool name(struct render *r, const struct value *in, const struct args *a, struct value *out)      \
    {                                                                                                        \
        int c = 0;                                                                                           \
        if (!ordered(r, in, a, &c))                                                                          \
            return false;                                                                                    \
        *out = v_bool(expression);                                                                           \
        return true;                                                                                         \
    }

ORDER_TEST(t_less, c < 0)
ORDER_TEST(t_less_equal, c <= 0)
ORDER_TEST(t_greater, c > 0)
ORDER_TEST(t_greater_equal, c >= 0)

const struct filter_row template_tests[] = {
    {"boolean", t_boolean},
    {"callable", t_callable},
    {"defined", t_defined},
    {"divisibleby", t_divisible},
    {"eq", t_equal},
    {"equalto", t_equal},
    {"even", t_even},
    {"false", t_false},
    {"float", t_float},
    {"ge", t_greater_equal},
    {"greaterthan", t_greater},
    {"gt", t_greater},
    {"in", t_in},
    {"integer", t_integer},
    {"iterable", t_sequence},
    {"le", t_less_equal},
    {"lessthan", t_less},
    {"lt", t_less},
    {"mapping", t_mapping},
    {"ne", t_unequal},
    {"none", t_none},
    {"number", t_number},
    {"odd", t_odd},
    {"sameas", t_equal},
    {"sequence", t_sequence},
    {"string", t_string},
    {"true", t_true},
    {"undefined", t_undefined},
    {NULL, NULL},
};

/* ---- methods ---- */
static bool m_strip(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)r;
    *out = stripped(self, arg(a, 0, NULL), LEFT | RIGHT);
    return true;
}

static bool m_lstrip(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)r;
    *out = stripped(self, arg(a, 0, NULL), LEFT);
    return true;
}

static bool m_rstrip(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)r;
    *out = stripped(self, arg(a, 0, NULL), RIGHT);
    return true;
}

static bool ends_match(const struct value *self, const struct value *what, bool front)
{
    size_t n = self->as.str.n, m = what->as.str.n;

    return what->kind == V_STRING && n >= m &&
           (m == 0 || memcmp(self->as.str.s + (front ? 0 : n - m), what->as.str.s, m) == 0);
}

static bool has_end(struct render *r, const struct value *self, const struct args *a, bool front,
                    struct value *out)
{
    const struct value *what = arg(a, 0, NULL);
    bool yes = false;

    if (!what || (what->kind != V_STRING && what->kind != V_LIST))
        return render_fail(r, LC_DATA, r->at, "startswith and endswith need a text");
    if (what->kind == V_STRING)
        yes = ends_match(self, what, front);
    else
        for (size_t i = 0; i < what->as.list->n; i++)
            yes = yes || ends_match(self, &what->as.list->items[i], front);
    *out = v_bool(yes);
    return true;
}

static bool m_startswith(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    return has_end(r, self, a, true, out);
}

static bool m_endswith(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    return has_end(r, self, a, false, out);
}

static bool cut_end(struct render *r, const struct value *self, const struct args *a, bool front,
                    struct value *out)
{
    struct value what;

    if (!text_arg(r, a, 0, NULL, &what))
        return false;
    *out = *self;
    if (ends_match(self, &what, front))
        *out = v_string(self->as.str.s + (front ? what.as.str.n : 0), self->as.str.n - what.as.str.n);
    return true;
}

static bool m_removeprefix(struct render *r, const struct value *self, const struct args *a,
                           struct value *out)
{
    return cut_end(r, self, a, true, out);
}

static bool m_removesuffix(struct render *r, const struct value *self, const struct args *a,
                           struct value *out)
{
    return cut_end(r, self, a, false, out);
}

static bool split_spaces(struct render *r, const struct value *self, int64_t most, struct value *out)
{
    const char *s = self->as.str.s;
    size_t n = self->as.str.n, start = 0, at = 0;
    bool inside = false;

    for (size_t len; at < n; at += len) {
        uint32_t code = 0;
        len = utf8_decode(s + at, n - at, &code);
        len = len ? len : 1;
        if (python_space(code) == !inside)
            continue;
        if (inside && !list_put(r, out->as.list, v_string(s + start, at - start)))
            return false;
        inside = !inside;
        start = at;
        if (inside && most-- == 0) { /* the rest, less the spaces at its end */
            struct value rest = v_string(s + at, n - at);
            return list_put(r, out->as.list, stripped(&rest, NULL, RIGHT));
        }
    }
    return !inside || list_put(r, out->as.list, v_string(s + start, n - start));
}

static bool m_split(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    const struct value *by = arg(a, 0, "sep");
    int64_t most = int_arg(a, 1, "maxsplit", -1);
    const char *s = self->as.str.s, *hit;
    size_t n = self->as.str.n, at = 0;

    *out = v_list(r);
    if (r->rc != LC_OK)
        return false;
    if (!by || by->kind == V_NONE)
        return split_spaces(r, self, most, out);
    if (by->kind != V_STRING || by->as.str.n == 0)
        return render_fail(r, LC_DATA, r->at, "split needs a separator that is not empty");
    while (most-- != 0 && (hit = memmem(s + at, n - at, by->as.str.s, by->as.str.n)) != NULL) {
        if (!list_put(r, out->as.list, v_string(s + at, (size_t)(hit - s) - at)))
            return false;
        at = (size_t)(hit - s) + by->as.str.n;
    }
    return list_put(r, out->as.list, v_string(s + at, n - at));
}

static bool m_rsplit(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    struct value by, list;
    int64_t most = int_arg(a, 1, "maxsplit", -1);
    struct args only = {.items = a->items, .n = a->n ? 1 : 0};
    size_t n, keep = 0;

    if (most < 0)
        return m_split(r, self, &only, out);
    if (!text_arg(r, a, 0, "sep", &by) || !m_split(r, self, &only, &list))
        return false;
    n = list.as.list->n;
    if (n <= (size_t)most + 1) {
        *out = list;
        return true;
    }
    *out = v_list(r);
    for (size_t i = 0; i < n - (size_t)most; i++)
        keep += list.as.list->items[i].as.str.n + (i ? by.as.str.n : 0);
    if (r->rc != LC_OK || !list_put(r, out->as.list, v_string(self->as.str.s, keep)))
        return false;
    for (size_t i = n - (size_t)most; i < n; i++)
        if (!list_put(r, out->as.list, list.as.list->items[i]))
            return false;
    return true;
}

static bool m_splitlines(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    bool keep = flag_arg(a, 0, "keepends", false);
    const char *s = self->as.str.s;

    *out = v_list(r);
    for (size_t at = 0, n = self->as.str.n; r->rc == LC_OK && at < n;) {
        size_t end = at, next;
        while (end < n && s[end] != '\n' && s[end] != '\r')
            end++;
        next = end + (end < n) + (end + 1 < n && s[end] == '\r' && s[end + 1] == '\n');
        list_put(r, out->as.list, v_string(s + at, (keep ? next : end) - at));
        at = next;
    }
    return r->rc == LC_OK;
}

static bool m_join(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    struct args between = {.items = render_alloc(r, sizeof(struct value)), .n = 1};

    if (!between.items)
        return false;
    if (a->n != 1)
        return render_fail(r, LC_DATA, r->at, "join needs a list");
    between.items[0] = *self;
    return f_join(r, &a->items[0], &between, out);
}

static bool m_find(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    struct value what;
    const char *hit;

    if (!text_arg(r, a, 0, NULL, &what))
        return false;
    hit = memmem(self->as.str.s, self->as.str.n, what.as.str.s, what.as.str.n);
    *out = v_int(hit ? (int64_t)utf8_count(self->as.str.s, (size_t)(hit - self->as.str.s)) : -1);
    return true;
}

static bool m_rfind(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    struct value what;

    if (!text_arg(r, a, 0, NULL, &what))
        return false;
    *out = v_int(-1);
    for (size_t at = self->as.str.n + 1; at-- > 0;)
        if (self->as.str.n - at >= what.as.str.n &&
            (what.as.str.n == 0 || memcmp(self->as.str.s + at, what.as.str.s, what.as.str.n) == 0)) {
            *out = v_int((int64_t)utf8_count(self->as.str.s, at));
            break;
        }
    return true;
}

static bool m_count(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    struct value what;
    int64_t n = 0;
    const char *at = self->as.str.s, *end = at + self->as.str.n, *hit;

    if (!text_arg(r, a, 0, NULL, &what) || what.as.str.n == 0)
        return r->rc == LC_OK ? render_fail(r, LC_DATA, r->at, "count needs a text that is not empty")
                              : false;
    for (; (hit = memmem(at, (size_t)(end - at), what.as.str.s, what.as.str.n)) != NULL;
         at = hit + what.as.str.n)
        n++;
    *out = v_int(n);
    return true;
}

static bool m_isdigit(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    bool yes = self->as.str.n > 0;

    (void)r, (void)a;
    for (size_t i = 0; i < self->as.str.n; i++)
        yes = yes && self->as.str.s[i] >= '0' && self->as.str.s[i] <= '9';
    *out = v_bool(yes);
    return true;
}

static bool m_get(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    const struct value *found, *otherwise = arg(a, 1, "default");

    if (a->n == 0)
        return render_fail(r, LC_DATA, r->at, "get needs a key");
    found = dict_get(self->as.dict, &a->items[0]);
    *out = found ? *found : otherwise ? *otherwise : (struct value){.kind = V_NONE};
    return true;
}

static bool m_keys(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)a;
    return copy_list(r, self, out);
}

static bool m_values(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)a;
    *out = v_list(r);
    for (size_t i = 0; r->rc == LC_OK && i < self->as.dict->n; i++)
        list_put(r, out->as.list, self->as.dict->values[i]);
    return r->rc == LC_OK;
}

static bool m_index(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    for (size_t i = 0; a->n && i < self->as.list->n; i++)
        if (v_equal(&self->as.list->items[i], &a->items[0])) {
            *out = v_int((int64_t)i);
            return true;
        }
    return render_fail(r, LC_DATA, r->at, "the value is not in the list");
}

/* Templates may not change what they are given: so says the sandbox that transformers renders them in. */
static bool m_change(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)self, (void)a, (void)out;
    return render_fail(r, LC_DATA, r->at, "a template may not change a list or dict; join with '+' instead");
}

const struct method_row template_methods[] = {
    {"strip", V_STRING, m_strip},
    {"lstrip", V_STRING, m_lstrip},
    {"rstrip", V_STRING, m_rstrip},
    {"startswith", V_STRING, m_startswith},
    {"endswith", V_STRING, m_endswith},
    {"removeprefix", V_STRING, m_removeprefix},
    {"removesuffix", V_STRING, m_removesuffix},
    {"split", V_STRING, m_split},
    {"rsplit", V_STRING, m_rsplit},
    {"splitlines", V_STRING, m_splitlines},
    {"join", V_STRING, m_join},
    {"find", V_STRING, m_find},
    {"rfind", V_STRING, m_rfind},
    {"count", V_STRING, m_count},
    {"isdigit", V_STRING, m_isdigit},
    {"upper", V_STRING, f_upper},
    {"lower", V_STRING, f_lower},
    {"title", V_STRING, f_title},
    {"capitalize", V_STRING, f_capitalize},
    {"replace", V_STRING, f_replace},
    {"get", V_DICT, m_get},
    {"items", V_DICT, f_items},
    {"keys", V_DICT, m_keys},
    {"values", V_DICT, m_values},
    {"pop", V_DICT, m_change},
    {"update", V_DICT, m_change},
    {"index", V_LIST, m_index},
    {"append", V_LIST, m_change},
    {"extend", V_LIST, m_change},
    {"pop", V_LIST, m_change},
    {NULL, V_NONE, NULL},
};

/* ---- functions ---- */
static bool fn_range(struct render *r, const struct args *a, struct value *out)
{
    int64_t start = a->n > 1 ? int_arg(a, 0, NULL, 0) : 0, stop = int_arg(a, a->n > 1, NULL, 0),
            step = int_arg(a, 2, NULL, 1), i = start;

    *out = v_list(r);
    if (a->n == 0 || step == 0)
        return render_fail(r, LC_DATA, r->at, "range needs a bound and a step that is not 0");
    while (r->rc == LC_OK && (step > 0 ? i < stop : i > stop)) {
        if (out->as.list->n >= RANGE_MAX)
            return render_fail(r, LC_LIMIT, r->at, "range is limited to %d numbers", RANGE_MAX);
        list_put(r, out->as.list, v_int(i));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    return r->rc == LC_OK;
}

static bool fn_dict(struct render *r, const struct args *a, struct value *out)
{
    *out = v_dict(r);
    if (r->rc == LC_OK && a->n && a->items[0].kind == V_DICT)
        for (size_t i = 0; i < a->items[0].as.dict->n; i++)
            if (!dict_put(r, out->as.dict, a->items[0].as.dict->keys[i], a->items[0].as.dict->values[i]))
                return false;
    for (size_t i = 0; r->rc == LC_OK && i < a->n_names; i++)
        dict_put(r, out->as.dict, v_string(a->names[i]->text, a->names[i]->len), a->items[a->n + i]);
    return r->rc == LC_OK;
}

static bool fn_namespace(struct render *r, const struct args *a, struct value *out)
{
    if (!fn_dict(r, a, out))
        return false;
    out->as.dict->is_namespace = true;
    return true;
}

static bool fn_raise(struct render *r, const struct args *a, struct value *out)
{
    struct value text = v_string("", 0);

    (void)out;
    if (a->n && !text_of(r, &a->items[0], &text))
        return false;
    return render_fail(r, LC_DATA, r->at, "the chat template refuses the messages: %.*s",
                       (int)(text.as.str.n < 800 ? text.as.str.n : 800), text.as.str.s);
}

static bool fn_strftime(struct render *r, const struct args *a, struct value *out)
{
    struct value format;
    struct buf b = BUF_INIT(4096);
    char pattern[200], text[400];
    time_t now = time(NULL);
    struct tm local;

    if (!text_arg(r, a, 0, "format", &format))
        return false;
    if (format.as.str.n >= sizeof pattern || !localtime_r(&now, &local))
        return render_fail(r, LC_LIMIT, r->at, "strftime_now's format is too long");
    memcpy(pattern, format.as.str.s, format.as.str.n);
    pattern[format.as.str.n] = '\0';
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is the template's, and bounded */
    buf_add(&b, text, strftime(text, sizeof text, pattern, &local));
#pragma GCC diagnostic pop
    *out = v_taken(r, &b);
    return r->rc == LC_OK;
}

const struct function template_functions[] = {
    {"range", fn_range},           {"dict", fn_dict},
    {"namespace", fn_namespace},   {"raise_exception", fn_raise},
    {"strftime_now", fn_strftime}, {NULL, NULL},
};
