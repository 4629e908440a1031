#include "runtime/dataframe/json/path.h"
#include "runtime/base/mem.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct path { /* that is written: as $."a"[0], or as the pointer /a/0, in which names may hold quotes */
    struct buf *out;
    bool pointer;
};

static bool put_name(struct path *p, const char *s, const char *end)
{
    if (s == end || (end - s == 1 && *s == '*'))
        return false;
    if (!p->pointer)
        return !memchr(s, '"', (size_t)(end - s)) && buf_puts(p->out, ".\"") &&
               buf_add(p->out, s, (size_t)(end - s)) && buf_puts(p->out, "\"");
    buf_putc(p->out, '/');
    for (; s < end; s++)
        if (*s == '~' || *s == '/')
            buf_puts(p->out, *s == '~' ? "~0" : "~1");
        else
            buf_putc(p->out, *s);
    return true;
}

/* .name */
static const char *child(const char *s, const char *end, struct path *p)
{
    const char *from = s;

    while (from < end && isspace((unsigned char)*from))
        from++;
    for (s = from; s < end && *s != '.' && *s != '['; s++) {
    }
    return put_name(p, from, s) ? s : NULL;
}

/* ['name'], [3] or [*], behind the bracket */
static const char *subscript(const char *s, const char *end, struct path *p)
{
    const char *from = s;

    if (s < end && *s == '\'') {
        for (from = ++s; s < end && *s != '\''; s++) {
        }
        if (s + 1 >= end || s[1] != ']' || !put_name(p, from, s))
            return NULL;
        return s + 2;
    }
    if (s < end && *s == '*')
        s++;
    else
        while (s < end && isdigit((unsigned char)*s))
            s++;
    if (s == from || s == end || *s != ']')
        return NULL;
    if (p->pointer && *from == '*')
        return NULL;
    buf_putc(p->out, p->pointer ? '/' : '[');
    buf_add(p->out, from, (size_t)(s - from));
    buf_puts(p->out, p->pointer ? "" : "]");
    return s + 1;
}

static bool put_path(const char *s, const char *end, struct path *p)
{
    if (!p->pointer)
        buf_putc(p->out, '$');
    while (s && s < end)
        s = *s == '.' ? child(s + 1, end, p) : *s == '[' ? subscript(s + 1, end, p) : NULL;
    return s != NULL;
}

bool json_path(const char *s, size_t len, struct buf *out)
{
    const char *end = s + len;
    struct path plain = {out, false}, pointer = {out, true};
    size_t before = out->len;

    if (s == end || *s++ != '$')
        return false;
    if (put_path(s, end, &plain))
        return true;
    if (!memchr(s, '"', (size_t)(end - s)))
        return false;
    out->len = before;
    return put_path(s, end, &pointer);
}

/* A text in quotes of either kind; gives what is behind it. */
static const char *quoted(const char *s, const char *end, struct buf *out)
{
    char mark = *s;

    buf_putc(out, '"');
    for (s++; s < end && *s != mark; s++) {
        if (*s == '\\' && s + 1 < end) {
            s++;
            buf_puts(out, *s == '\'' ? "" : "\\");
        } else if (*s == '"')
            buf_putc(out, '\\');
        buf_putc(out, *s);
    }
    buf_putc(out, '"');
    return s < end ? s + 1 : s;
}

bool json_first(const char *s, size_t len, struct buf *out)
{
    const char *end = s + len;
    size_t depth = 0;

    while (s < end) {
        if (depth && (*s == '"' || *s == '\'')) {
            s = quoted(s, end, out);
            continue;
        }
        buf_putc(out, *s);
        if (*s == '{' || *s == '[')
            depth++;
        else if (depth == 0 && !isspace((unsigned char)*s))
            return false; /* a number or a text is not looked at */
        else if ((*s == '}' || *s == ']') && --depth == 0)
            return true;
        s++;
    }
    return false;
}

/* ---- of members with one name the last ---- */
enum { MOST_NESTED = 1000 };

struct member {
    const char *key, *value, *end; /* the key with its quotes; end: behind the value */
    size_t n_key;
};

struct members {
    struct member *items;
    size_t n, cap;
};

static const char *skip_space(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r'))
        s++;
    return s;
}

static const char *skip_text(const char *s, const char *end)
{
    for (s++; s < end && *s != '"'; s++)
        s += *s == '\\' && s + 1 < end;
    return s < end ? s + 1 : NULL;
}

/* Behind the value at s; NULL: it has no end. */
static const char *skip_value(const char *s, const char *end)
{
    size_t depth = 0;

    do {
        if (s >= end)
            return NULL;
        if (*s == '"') {
            if (!(s = skip_text(s, end)))
                return NULL;
            continue;
        }
        depth += *s == '{' || *s == '[';
        if (*s == '}' || *s == ']') {
            if (depth == 0)
                return NULL;
            depth--;
        }
        s++;
    } while (depth || (s < end && !strchr(",}] \t\n\r", *s)));
    return s;
}

static bool add_member(struct members *m, struct member one)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 16;
        struct member *grown = mem_realloc(m->items, cap * sizeof *grown);

        if (!grown)
            return false;
        m->items = grown;
        m->cap = cap;
    }
    m->items[m->n++] = one;
    return true;
}

/* The name at s, and where its value begins. */
static bool read_key(const char *s, const char *end, struct member *out)
{
    *out = (struct member){.key = s};
    s = s < end && *s == '"' ? skip_text(s, end) : NULL;
    if (!s)
        return false;
    out->n_key = (size_t)(s - out->key);
    s = skip_space(s, end);
    if (s == end || *s != ':')
        return false;
    out->value = skip_space(s + 1, end);
    return true;
}

/* Behind a member's value: the next member, or (more: false) what is behind the object; NULL: neither is there. */
static const char *behind_value(const char *s, const char *end, bool *more)
{
    s = skip_space(s, end);
    *more = s < end && *s == ',';
    if (*more)
        return skip_space(s + 1, end);
    return s < end && *s == '}' ? s + 1 : NULL;
}

/* The members of the object at s, behind its brace; gives what is behind it, NULL: it is none. */
static const char *read_members(const char *s, const char *end, struct members *m)
{
    s = skip_space(s, end);
    if (s < end && *s == '}')
        return s + 1;
    for (bool more = true; more;) {
        struct member one;

        if (!read_key(s, end, &one) || !(one.end = skip_value(one.value, end)) || !add_member(m, one))
            return NULL;
        s = behind_value(one.end, end, &more);
    }
    return s;
}

static int by_key(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int order = memcmp(x->key, y->key, x->n_key < y->n_key ? x->n_key : y->n_key);

    return order                  ? order
           : x->n_key != y->n_key ? (x->n_key < y->n_key ? -1 : 1)
                                  : (x->value < y->value ? -1 : x->value > y->value);
}

static bool same_key(const struct member *a, const struct member *b)
{
    return a->n_key == b->n_key && memcmp(a->key, b->key, a->n_key) == 0;
}

/* Is there a later one of the same name? sorted: by name and place */
static bool is_replaced(const struct member *one, const struct members *sorted)
{
    const struct member *at = bsearch(one, sorted->items, sorted->n, sizeof *one, by_key);

    return at && at + 1 < sorted->items + sorted->n && same_key(at, at + 1);
}

static const char *put_value(const char *s, const char *end, struct buf *out, int depth);

static const char *put_object(const char *s, const char *end, struct buf *out, int depth)
{
    struct members m = {0}, sorted = {0};
    const char *behind = read_members(s + 1, end, &m);
    size_t n = 0;

    for (size_t i = 0; behind && i < m.n; i++)
        behind = add_member(&sorted, m.items[i]) ? behind : NULL;
    if (behind && sorted.n > 1)
        qsort(sorted.items, sorted.n, sizeof *sorted.items, by_key);
    buf_putc(out, '{');
    for (size_t i = 0; behind && i < m.n; i++) {
        if (is_replaced(&m.items[i], &sorted))
            continue;
        buf_puts(out, n++ ? "," : "");
        buf_add(out, m.items[i].key, m.items[i].n_key);
        buf_putc(out, ':');
        if (!put_value(m.items[i].value, m.items[i].end, out, depth + 1))
            behind = NULL;
    }
    buf_putc(out, '}');
    mem_free(m.items);
    mem_free(sorted.items);
    return behind;
}

static const char *put_array(const char *s, const char *end, struct buf *out, int depth)
{
    buf_putc(out, '[');
    s = skip_space(s + 1, end);
    if (s < end && *s == ']')
        return buf_putc(out, ']'), s + 1;
    while (s && s < end) {
        s = put_value(s, end, out, depth + 1);
        s = s ? skip_space(s, end) : NULL;
        if (!s || s == end || (*s != ',' && *s != ']'))
            return NULL;
        buf_putc(out, *s);
        if (*s++ == ']')
            return s;
        s = skip_space(s, end);
    }
    return NULL;
}

static const char *put_value(const char *s, const char *end, struct buf *out, int depth)
{
    const char *behind;

    if (s == end || depth > MOST_NESTED)
        return NULL;
    if (*s == '{')
        return put_object(s, end, out, depth);
    if (*s == '[')
        return put_array(s, end, out, depth);
    behind = skip_value(s, end);
    if (behind)
        buf_add(out, s, (size_t)(behind - s));
    return behind;
}

/* ---- most texts have no such members: looked through without a copy ---- */
enum { FEW_MEMBERS = 24 };

static const char *look_through(const char *s, const char *end, int depth, bool *may);

static const char *look_through_object(const char *s, const char *end, int depth, bool *may)
{
    struct member seen[FEW_MEMBERS];
    size_t n = 0;

    s = skip_space(s + 1, end);
    if (s < end && *s == '}')
        return s + 1;
    for (bool more = true; more;) {
        struct member one;

        if (!read_key(s, end, &one))
            return NULL;
        for (size_t i = 0; i < n && !*may; i++)
            *may = same_key(&seen[i], &one);
        *may = *may || n == FEW_MEMBERS; /* more are for the copy to tell */
        if (*may)
            return NULL;
        seen[n++] = one;
        s = look_through(one.value, end, depth + 1, may);
        s = s ? behind_value(s, end, &more) : NULL;
        more = more && s;
    }
    return s;
}

/* Behind the value; NULL: it has no end, or *may says that an object in it may have two members of one name. */
static const char *look_through(const char *s, const char *end, int depth, bool *may)
{
    if (s == end || depth > MOST_NESTED)
        return NULL;
    if (*s == '{')
        return look_through_object(s, end, depth, may);
    if (*s != '[')
        return skip_value(s, end);
    s = skip_space(s + 1, end);
    if (s < end && *s == ']')
        return s + 1;
    while (s && s < end) {
        s = look_through(s, end, depth + 1, may);
        s = s ? skip_space(s, end) : NULL;
        if (!s || s == end || (*s != ',' && *s != ']'))
            return NULL;
        if (*s++ == ']')
            return s;
        s = skip_space(s, end);
    }
    return NULL;
}

bool json_repeats(const char *s, size_t len)
{
    bool may = false;

    look_through(skip_space(s, s + len), s + len, 0, &may);
    return may;
}

bool json_last(const char *s, size_t len, struct buf *out)
{
    const char *end = s + len, *behind = put_value(skip_space(s, end), end, out, 0);

    return behind && skip_space(behind, end) == end;
}
