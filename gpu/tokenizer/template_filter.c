/* template_filter.c: the filters of templates; the table is at the end. */
#include "gpu/tokenizer/regex.h"
#include "gpu/tokenizer/template_int.h"
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
bool v_as_text(struct render *r, const struct value *v, struct value *out)
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

bool arg_text(struct render *r, const struct args *a, size_t i, const char *name, struct value *out)
{
    const struct value *v = arg(a, i, name);

    if (v && v->kind == V_STRING) {
        *out = *v;
        return true;
    }
    return render_fail(r, LC_DATA, r->at, "argument %zu must be a text", i + 1);
}

int64_t arg_int(const struct args *a, size_t i, const char *name, int64_t otherwise)
{
    const struct value *v = arg(a, i, name);

    return v && v->kind == V_INT ? v->as.i : v && v->kind == V_BOOL ? v->as.b : otherwise;
}

bool arg_flag(const struct args *a, size_t i, const char *name, bool otherwise)
{
    const struct value *v = arg(a, i, name);

    return v ? v_truth(v) : otherwise;
}

/* ---- letters ---- */
bool is_python_space(uint32_t c)
{
    return is_white_space(c) || (c >= 0x1c && c <= 0x1f);
}

static bool in_set(uint32_t code, const char *set, size_t n)
{
    if (!set)
        return is_python_space(code);
    for (size_t at = 0, len; at < n; at += len) {
        uint32_t c = 0;
        len = utf8_decode(set + at, n - at, &c);
        len = len ? len : 1;
        if (c == code)
            return true;
    }
    return false;
}

struct value v_stripped(const struct value *v, const struct value *chars, unsigned sides)
{
    const char *s = v->as.str.s, *set = chars && chars->kind == V_STRING ? chars->as.str.s : NULL;
    size_t n = v->as.str.n, set_n = set ? chars->as.str.n : 0, start = 0, end = n, keep = 0;
    bool leading = sides & STRIP_LEFT;

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
    if (sides & STRIP_RIGHT)
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

enum case_style { ALL_LOWER, ALL_UPPER, CAPITAL, TITLE, BEGINNINGS };

static bool recased(struct render *r, const struct value *v, enum case_style style, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    const struct regex_vtable *re = NULL;
    struct value text;
    bool start = true;

    if (!v_as_text(r, v, &text))
        return false;
    for (size_t at = 0, len; at < text.as.str.n && r->rc == LC_OK; at += len) {
        uint32_t code = 0;
        bool up;
        len = utf8_decode(text.as.str.s + at, text.as.str.n - at, &code);
        len = len ? len : 1;
        up = style == ALL_UPPER || (style != ALL_LOWER && start);
        put_case(r, &b, &re, code, up ? UPPER : LOWER);
        start = style == TITLE ? !is_letter(r, &re, code)
                : style == BEGINNINGS
                    ? is_white_space(code) || (code < 128 && code && strchr("-({[<", (int)code))
                    : false;
    }
    if (r->rc == LC_OK)
        *out = v_taken(r, &b);
    buf_release(&b);
    return r->rc == LC_OK;
}

bool filter_upper(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, ALL_UPPER, out);
}

bool filter_lower(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, ALL_LOWER, out);
}

bool filter_capitalize(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, CAPITAL, out);
}

bool filter_title(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, TITLE, out);
}

/* Jinja's own: an upper case behind spaces, dashes and brackets that open, where Python's begins any word. */
static bool f_title(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    (void)a;
    return recased(r, in, BEGINNINGS, out);
}

static bool f_trim(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct value text;

    if (!v_as_text(r, in, &text))
        return false;
    *out = v_stripped(&text, arg(a, 0, "chars"), STRIP_LEFT | STRIP_RIGHT);
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

bool filter_replace(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct value text, from, to;

    return v_as_text(r, in, &text) && arg_text(r, a, 0, "old", &from) && arg_text(r, a, 1, "new", &to) &&
           replaced(r, &text, &from, &to, arg_int(a, 2, "count", -1), out);
}

bool filter_join(struct render *r, const struct value *in, const struct args *a, struct value *out)
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
    bool first = arg_flag(a, 1, "first", false), blank = arg_flag(a, 2, "blank", false);
    struct value text;

    if (!v_as_text(r, in, &text))
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
    if (!v_as_text(r, in, &text))
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
    return v_as_text(r, in, out);
}

static bool f_tojson(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    int64_t indent = arg_int(a, 1, "indent", -1);
    bool ok = true;

    if (arg(a, 2, "separators"))
        return render_fail(r, LC_UNSUPPORTED, r->at, "tojson's argument 'separators' is not supported");
    if (indent > 32)
        return render_fail(r, LC_LIMIT, r->at, "tojson's indent is too large");
    ok = v_json(r, &b, in, (int)indent, arg_flag(a, 3, "sort_keys", false),
                arg_flag(a, 0, "ensure_ascii", false));
    if (ok)
        *out = v_taken(r, &b);
    buf_release(&b);
    return ok && r->rc == LC_OK;
}

/* ---- numbers ---- */
/* A text as a number, as Python reads it: no hexadecimal ones. *whole: its value without a fraction. */
static bool number_of(const struct value *in, double *out, int64_t *whole)
{
    struct value text = v_stripped(in, NULL, STRIP_LEFT | STRIP_RIGHT);
    char digits[64], *end;

    if (text.as.str.n == 0 || text.as.str.n >= sizeof digits)
        return false;
    memcpy(digits, text.as.str.s, text.as.str.n);
    digits[text.as.str.n] = '\0';
    *out = strtod(digits, &end);
    *whole = strpbrk(digits, ".eEnN") ? (int64_t)fmax(fmin(*out, 9e18), -9e18) : strtoll(digits, NULL, 10);
    return *end == '\0' && !strpbrk(digits, "xX");
}

static bool f_int(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    int64_t whole = 0;
    double f = NAN;

    *out = v_int(arg_int(a, 0, "default", 0));
    if (in->kind == V_INT)
        return *out = *in, true;
    if (in->kind == V_STRING ? !number_of(in, &f, &whole) : !is_number(in))
        return r->rc == LC_OK;
    f = in->kind == V_STRING ? f : as_double(in);
    if (!isfinite(f))
        return r->rc == LC_OK;
    if (fabs(f) >= 9e18)
        return render_fail(r, LC_LIMIT, r->at, "the whole number %g is too large", f);
    *out = v_int(in->kind == V_STRING ? whole : (int64_t)f);
    return r->rc == LC_OK;
}

static bool f_float(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    const struct value *otherwise = arg(a, 0, "default");
    double f = is_number(in) ? as_double(in) : 0;
    int64_t whole;
    bool known = is_number(in) || (in->kind == V_STRING && number_of(in, &f, &whole));

    *out = !known && otherwise ? *otherwise : (struct value){.kind = V_FLOAT, .as.f = known ? f : 0};
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

static bool is_text(const struct value *v, const char *text)
{
    return v && v->kind == V_STRING && v->as.str.n == strlen(text) &&
           memcmp(v->as.str.s, text, v->as.str.n) == 0;
}

/* To the nearest, of two the even one: of the number itself, as Python does, not of it times a power of ten. */
static double nearest(double f, int64_t precision)
{
    double scale = pow(10, (double)-precision);
    char text[400];

    if (precision < 0 || !isfinite(f))
        return precision < 0 ? nearbyint(f / scale) * scale : f;
    (void)snprintf(text, sizeof text, "%.*f", precision > 60 ? 60 : (int)precision, f);
    return strtod(text, NULL);
}

static bool f_round(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    int64_t precision = arg_int(a, 0, "precision", 0);
    const struct value *method = arg(a, 1, "method");
    double scale = pow(10, (double)precision), f;

    if (!is_number(in))
        return bad_type(r, "round", in);
    f = as_double(in);
    if (is_text(method, "ceil"))
        f = ceil(f * scale) / scale;
    else if (is_text(method, "floor"))
        f = floor(f * scale) / scale;
    else if (method && !is_text(method, "common"))
        return render_fail(r, LC_DATA, r->at, "round's method must be 'common', 'ceil' or 'floor'");
    else if (in->kind != V_FLOAT) /* a whole number stays one */
        return *out = v_int(precision >= 0 ? (int64_t)f : (int64_t)nearest(f, precision)), true;
    else
        f = nearest(f, precision);
    *out = (struct value){.kind = V_FLOAT, .as.f = f};
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

bool v_copied_list(struct render *r, const struct value *in, struct value *out)
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
    return v_copied_list(r, in, out);
}

static bool f_default(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    const struct value *otherwise = arg(a, 0, "default_value");
    bool missing = in->kind == V_UNDEFINED || (arg_flag(a, 1, "boolean", false) && !v_truth(in));

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

bool filter_items(struct render *r, const struct value *in, const struct args *a, struct value *out)
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
    return v_copied_list(r, in, out) &&
           sorted(r, out->as.list, arg(a, 2, "attribute"), !arg_flag(a, 1, "case_sensitive", false),
                  arg_flag(a, 0, "reverse", false));
}

static bool f_dictsort(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct list *keys;
    struct value list;

    if (in->kind != V_DICT)
        return bad_type(r, "dictsort", in);
    if (arg(a, 1, "by"))
        return render_fail(r, LC_UNSUPPORTED, r->at, "dictsort's argument 'by' is not supported");
    if (!v_copied_list(r, in, &list) ||
        !sorted(r, list.as.list, NULL, !arg_flag(a, 0, "case_sensitive", false),
                arg_flag(a, 2, "reverse", false)))
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
    if (!v_copied_list(r, in, &list))
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

/* By the attribute that is asked for, and without regard to case unless that is asked for. */
static bool key_of(struct render *r, const struct value *item, const struct args *a, struct value *out)
{
    return sort_key(r, item, arg(a, 1, "attribute"), !arg_flag(a, 0, "case_sensitive", false), out);
}

static bool f_unique(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    struct value keys, key;
    struct list *items;

    *out = v_list(r);
    keys = v_list(r);
    if (r->rc != LC_OK || !v_iterate(r, in, &items))
        return false;
    for (size_t i = 0; r->rc == LC_OK && i < items->n; i++) {
        bool seen = false;
        if (!key_of(r, &items->items[i], a, &key) || !v_contains(r, &keys, &key, &seen))
            return false;
        if (!seen && list_put(r, keys.as.list, key))
            list_put(r, out->as.list, items->items[i]);
    }
    return r->rc == LC_OK;
}

static bool extreme(struct render *r, const struct value *in, const struct args *a, int sign,
                    struct value *out)
{
    struct value best, key;
    struct list *items;

    if (!v_iterate(r, in, &items))
        return false;
    *out = (struct value){.kind = V_UNDEFINED, .as.str = {"min", 3}};
    for (size_t i = 0; i < items->n; i++) {
        int c = sign;
        if (!key_of(r, &items->items[i], a, &key) || (i && !v_compare(r, &key, &best, &c)))
            return false;
        if (c * sign <= 0)
            continue;
        best = key;
        *out = items->items[i];
    }
    return true;
}

static bool f_min(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    return extreme(r, in, a, -1, out);
}

static bool f_max(struct render *r, const struct value *in, const struct args *a, struct value *out)
{
    return extreme(r, in, a, 1, out);
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
    {"capitalize", filter_capitalize},
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
    {"items", filter_items},
    {"join", filter_join},
    {"last", f_last},
    {"length", f_length},
    {"list", f_list},
    {"lower", filter_lower},
    {"map", f_map},
    {"max", f_max},
    {"min", f_min},
    {"reject", f_reject},
    {"rejectattr", f_rejectattr},
    {"replace", filter_replace},
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
    {"upper", filter_upper},
    {NULL, NULL},
};
