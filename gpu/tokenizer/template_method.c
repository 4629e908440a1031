/* template_method.c: the methods of values, as "text".strip(); the table is at the end. */
#include "gpu/tokenizer/template_int.h"
#include "runtime/base/utf8.h"
#include <string.h>

static bool m_strip(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)r;
    *out = v_stripped(self, arg(a, 0, NULL), STRIP_LEFT | STRIP_RIGHT);
    return true;
}

static bool m_lstrip(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)r;
    *out = v_stripped(self, arg(a, 0, NULL), STRIP_LEFT);
    return true;
}

static bool m_rstrip(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    (void)r;
    *out = v_stripped(self, arg(a, 0, NULL), STRIP_RIGHT);
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

    if (!arg_text(r, a, 0, NULL, &what))
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
        if (is_python_space(code) == !inside)
            continue;
        if (inside && !list_put(r, out->as.list, v_string(s + start, at - start)))
            return false;
        inside = !inside;
        start = at;
        if (inside && most-- == 0) { /* the rest, less the spaces at its end */
            struct value rest = v_string(s + at, n - at);
            return list_put(r, out->as.list, v_stripped(&rest, NULL, STRIP_RIGHT));
        }
    }
    return !inside || list_put(r, out->as.list, v_string(s + start, n - start));
}

static bool m_split(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    const struct value *by = arg(a, 0, "sep");
    int64_t most = arg_int(a, 1, "maxsplit", -1);
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
    int64_t most = arg_int(a, 1, "maxsplit", -1);
    struct args only = {.items = a->items, .n = a->n ? 1 : 0};
    size_t n, keep = 0;

    if (most < 0)
        return m_split(r, self, &only, out);
    if (!arg_text(r, a, 0, "sep", &by) || !m_split(r, self, &only, &list))
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
    bool keep = arg_flag(a, 0, "keepends", false);
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
    return filter_join(r, &a->items[0], &between, out);
}

static bool m_find(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    struct value what;
    const char *hit;

    if (!arg_text(r, a, 0, NULL, &what))
        return false;
    hit = memmem(self->as.str.s, self->as.str.n, what.as.str.s, what.as.str.n);
    *out = v_int(hit ? (int64_t)utf8_count(self->as.str.s, (size_t)(hit - self->as.str.s)) : -1);
    return true;
}

static bool m_rfind(struct render *r, const struct value *self, const struct args *a, struct value *out)
{
    struct value what;

    if (!arg_text(r, a, 0, NULL, &what))
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

    if (!arg_text(r, a, 0, NULL, &what) || what.as.str.n == 0)
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
    return v_copied_list(r, self, out);
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
    {"upper", V_STRING, filter_upper},
    {"lower", V_STRING, filter_lower},
    {"title", V_STRING, filter_title},
    {"capitalize", V_STRING, filter_capitalize},
    {"replace", V_STRING, filter_replace},
    {"get", V_DICT, m_get},
    {"items", V_DICT, filter_items},
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
