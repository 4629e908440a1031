#include "runtime/dataframe/json/wildcard.h"
#include <ctype.h>
#include <string.h>

enum { MOST_STEPS = 100, MOST_NESTED = 1000 };
enum step_kind { NAME, INDEX, ALL };
enum style { RAW, QUOTED, FLAT };

struct step {
    enum step_kind kind;
    const char *name;
    size_t n_name, index;
};

struct search {
    const struct step *steps;
    size_t n, base; /* where in out it began */
    struct buf *out;
    int depth;
};

/* ---- paths ---- */
static const char *read_name(const char *s, const char *end, struct step *one)
{
    while (s < end && isspace((unsigned char)*s))
        s++;
    one->kind = NAME;
    one->name = s;
    while (s < end && *s != '.' && *s != '[')
        s++;
    one->n_name = (size_t)(s - one->name);
    return one->n_name ? s : NULL;
}

/* Behind the bracket: 'name', a number or *. */
static const char *read_subscript(const char *s, const char *end, struct step *one)
{
    const char *from = s;

    if (s < end && *s == '\'') {
        one->kind = NAME;
        one->name = ++s;
        while (s < end && *s != '\'')
            s++;
        one->n_name = (size_t)(s - one->name);
        s += s < end;
    } else if (s < end && *s == '*') {
        one->kind = ALL;
        s++;
    } else {
        one->kind = INDEX;
        for (one->index = 0; s < end && isdigit((unsigned char)*s) && one->index < SIZE_MAX / 10 - 10; s++)
            one->index = 10 * one->index + (size_t)(*s - '0');
    }
    return s > from && s < end && *s == ']' ? s + 1 : NULL;
}

static size_t read_steps(const char *s, const char *end, struct step *steps)
{
    size_t n = 0;

    if (s == end || *s++ != '$')
        return 0;
    while (s && s < end && n < MOST_STEPS) {
        steps[n] = (struct step){0};
        s = *s == '.'   ? read_name(s + 1, end, &steps[n])
            : *s == '[' ? read_subscript(s + 1, end, &steps[n])
                        : NULL;
        n++;
    }
    return s == end ? n : 0;
}

/* ---- values ---- */
static const char *behind_text(const char *s, const char *end)
{
    for (s++; s < end && *s != '"'; s++)
        s += *s == '\\' && s + 1 < end;
    return s < end ? s + 1 : end;
}

static const char *behind_value(const char *s, const char *end)
{
    size_t depth = 0;

    while (s < end) {
        if (depth == 0 && (*s == ',' || *s == ']' || *s == '}'))
            return s;
        if (*s == '"') {
            s = behind_text(s, end);
            continue;
        }
        depth += *s == '{' || *s == '[';
        depth -= *s == '}' || *s == ']';
        s++;
    }
    return s;
}

/* ---- the search; each appends what it finds ---- */
static bool find(struct search *f, const char *s, const char *end, size_t step, enum style style);

static void put_comma(struct search *f)
{
    if (f->out->len > f->base && f->out->data[f->out->len - 1] != '[')
        buf_putc(f->out, ',');
}

static void shorten(struct buf *b, size_t len)
{
    b->len = len;
    if (b->data)
        b->data[len] = '\0';
}

/* How many of the elements have something by the steps from there on. */
static size_t find_in_elements(struct search *f, const char *s, const char *end, size_t step,
                               enum style style)
{
    size_t found = 0;

    for (s++; s < end && *s != ']';) {
        const char *behind = behind_value(s, end);

        found += find(f, s, behind, step, style);
        s = behind + (behind < end && *behind == ',');
        if (behind < end && *behind == '}')
            break;
    }
    return found;
}

static bool find_in_all(struct search *f, const char *s, const char *end, size_t step, enum style style)
{
    size_t before = f->out->len, from, found;
    bool twice = step + 1 < f->n && f->steps[step + 1].kind == ALL;

    put_comma(f);
    from = f->out->len;
    buf_putc(f->out, '[');
    found = find_in_elements(f, s, end, step + (twice ? 2 : 1), twice ? FLAT : style == RAW ? QUOTED : style);
    buf_putc(f->out, ']');
    if (twice || style == QUOTED || found > 1 || f->out->len < from + 2)
        return found > 0;
    if (found == 0) {
        shorten(f->out, before);
        return false;
    }
    memmove(f->out->data + from, f->out->data + from + 1,
            f->out->len - from - 2); /* one stands without brackets */
    shorten(f->out, f->out->len - 2);
    return true;
}

static bool find_in_element(struct search *f, const char *s, const char *end, size_t step, enum style style)
{
    size_t at = 0;

    for (s++; s < end && *s != ']'; at++) {
        const char *behind = behind_value(s, end);

        if (at == f->steps[step].index)
            return find(f, s, behind, step + 1,
                        step + 1 < f->n && f->steps[step + 1].kind == ALL ? QUOTED : style);
        if (behind < end && *behind != ',')
            break;
        s = behind + (behind < end);
    }
    return false;
}

static bool find_in_members(struct search *f, const char *s, const char *end, size_t step, enum style style)
{
    const struct step *one = &f->steps[step];

    for (s++; s < end && *s == '"';) {
        const char *key = s + 1, *value = behind_text(s, end), *behind;
        bool same = value > key && (size_t)(value - key) == one->n_name + 1 &&
                    memcmp(key, one->name, one->n_name) == 0;

        value += value < end && *value == ':';
        behind = behind_value(value, end);
        if (same && !(behind - value == 4 && memcmp(value, "null", 4) == 0) &&
            find(f, value, behind, step + 1, style))
            return true;
        if (behind < end && *behind != ',')
            break;
        s = behind + (behind < end);
    }
    return false;
}

static bool find(struct search *f, const char *s, const char *end, size_t step, enum style style)
{
    bool found = false;

    if (s >= end || f->depth > MOST_NESTED)
        return false;
    f->depth++;
    if (step == f->n && style == FLAT && *s == '[')
        found = find_in_elements(f, s, end, step, FLAT) > 0;
    else if (step == f->n) {
        put_comma(f);
        found = buf_add(f->out, s, (size_t)(end - s));
    } else if (*s == '[' && f->steps[step].kind == ALL)
        found = find_in_all(f, s, end, step, style);
    else if (*s == '[' && f->steps[step].kind == INDEX)
        found = find_in_element(f, s, end, step, style);
    else if (*s == '{' && f->steps[step].kind == NAME)
        found = find_in_members(f, s, end, step, style);
    f->depth--;
    return found;
}

bool json_wildcard(const char *text, size_t len, const char *path, size_t path_len, struct buf *out)
{
    struct step steps[MOST_STEPS];
    size_t n = read_steps(path, path + path_len, steps);
    struct search f = {.steps = steps, .n = n, .base = out->len, .out = out};

    if (n == 0 || !find(&f, text, text + len, 0, RAW)) {
        shorten(out, f.base);
        return false;
    }
    return true;
}
