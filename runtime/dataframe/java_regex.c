#include "runtime/dataframe/java_regex.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTH = 100 };

struct reader {
    const char *p;
    int groups, depth;
    bool lines; /* (?m): ^ is at the start of each line */
};

struct part { /* of a pattern */
    enum regex_empty empty;
    bool consumes, dollar;
};

static struct part alternatives(struct reader *r);

static enum regex_empty less(enum regex_empty a, enum regex_empty b)
{
    return a < b ? a : b;
}

/* [a-z&&[^x]]: behind its last bracket */
static void skip_class(struct reader *r)
{
    int depth = 1;

    r->p++;
    r->p += *r->p == '^';
    r->p += *r->p == ']';
    for (; *r->p && depth; r->p++) {
        if (*r->p == '\\' && r->p[1])
            r->p++;
        else if (*r->p == '[')
            depth++;
        else if (*r->p == ']')
            depth--;
    }
}

static struct part escaped(struct reader *r)
{
    char c = r->p[1];
    const char *end;

    r->p += c ? 2 : 1;
    if (c && strchr("bBAzZG", c)) /* what is only at the start of the text is not behind a match */
        return (struct part){.empty = c == 'A' ? REGEX_NEVER : REGEX_SOMETIMES};
    if (c == 'Q') {
        end = strstr(r->p, "\\E");
        r->p = end ? end + 2 : r->p + strlen(r->p);
    } else if (c && strchr("pPxu", c) && *r->p == '{') {
        end = strchr(r->p, '}');
        r->p = end ? end + 1 : r->p + strlen(r->p);
    }
    return (struct part){.consumes = true};
}

static struct part group(struct reader *r)
{
    struct part x;

    if (r->p[1] != '?') {
        r->groups++;
        r->p++;
    } else if (r->p[2] == '<' || r->p[2] == 'P') {
        r->groups++;
        r->p += strcspn(r->p, ">)");
        r->p += *r->p == '>';
    } else { /* (?: (?i) (?i: */
        for (r->p += 2; *r->p && *r->p != ':' && *r->p != ')'; r->p++)
            r->lines = r->lines || *r->p == 'm';
        r->p += *r->p == ':';
    }
    x = alternatives(r);
    r->p += *r->p == ')';
    return x;
}

static struct part atom(struct reader *r)
{
    switch (*r->p) {
    case '(':
        return group(r);
    case '[':
        skip_class(r);
        return (struct part){.consumes = true};
    case '\\':
        return escaped(r);
    case '^':
        r->p++;
        return (struct part){.empty = r->lines ? REGEX_SOMETIMES : REGEX_NEVER};
    case '$':
        r->p++;
        return (struct part){.empty = REGEX_SOMETIMES, .dollar = true};
    default:
        r->p++;
        return (struct part){.consumes = true};
    }
}

/* * + ? {n,m}, lazy or not: whether there need be none */
static bool may_be_left_out(struct reader *r)
{
    bool none = *r->p == '*' || *r->p == '?';

    if (*r->p == '{' && isdigit((unsigned char)r->p[1])) {
        none = atoi(r->p + 1) == 0;
        r->p += strcspn(r->p, "}");
        r->p += *r->p == '}';
    } else if (none || *r->p == '+') {
        r->p++;
    } else {
        return false;
    }
    r->p += *r->p == '?' || *r->p == '+';
    return none;
}

static struct part sequence(struct reader *r)
{
    struct part all = {.empty = REGEX_ALWAYS};

    while (*r->p && *r->p != '|' && *r->p != ')') {
        struct part x = atom(r);

        if (may_be_left_out(r)) {
            x.empty = REGEX_ALWAYS;
            x.dollar = false;
        }
        all.consumes = all.consumes || x.consumes;
        all.dollar = x.dollar;
        if (!x.dollar || (*r->p && *r->p != '|' && *r->p != ')'))
            all.empty = less(all.empty, x.empty);
    }
    return all;
}

static struct part alternatives(struct reader *r)
{
    struct part all = {0}, x;
    bool more = false;

    if (++r->depth > MOST_DEPTH) {
        r->p += strlen(r->p);
        return (struct part){.consumes = true};
    }
    for (;; r->p++, more = true) {
        x = sequence(r);
        if (x.dollar &&
            (more || *r->p == '|' || r->depth > 1)) /* at the end of all only it is seen as not there */
            x.empty = less(x.empty, REGEX_SOMETIMES);
        all.empty = x.empty > all.empty ? x.empty : all.empty;
        all.consumes = all.consumes || x.consumes;
        if (*r->p != '|')
            break;
    }
    r->depth--;
    return all;
}

void java_regex_read(const char *pattern, struct java_regex *out)
{
    struct reader r = {.p = pattern};
    struct part all = alternatives(&r);

    *out = (struct java_regex){.groups = r.groups, .empty = all.empty, .consumes = all.consumes};
}

/* (?im) or (?m: at p: are lines on? */
static bool turns_lines_on(const char *p)
{
    size_t n = p[0] == '(' && p[1] == '?' ? strcspn(p + 2, "-:)<=!>") : 0;

    return n && memchr(p + 2, 'm', n) != NULL;
}

void java_ends_read(const char *pattern, const char *end, struct java_ends *e, struct buf *out)
{
    struct reader r = {.p = pattern};
    int depth = 0, ends = 0;
    bool choice = false, last = false;

    *e = (struct java_ends){0};
    while (*r.p) {
        const char *start = r.p;
        bool is_end = *r.p == '$' || (r.p[0] == '\\' && r.p[1] == 'Z');

        if (turns_lines_on(r.p)) {
            *e = (struct java_ends){0};
            return;
        }
        choice = choice || (*r.p == '|' && depth == 0);
        depth += (*r.p == '(') - (*r.p == ')');
        if (*r.p == '[')
            skip_class(&r);
        else if (*r.p == '\\')
            escaped(&r);
        else
            r.p++;
        if (is_end) {
            ends++;
            e->nested |= depth > 0;
            buf_puts(out, end);
        } else {
            buf_add(out, start, (size_t)(r.p - start));
        }
        last = is_end;
    }
    e->any = ends > 0;
    e->last = ends == 1 && last && depth == 0 && !choice;
}

const char *java_replacement(const char *s, size_t len, int groups, struct buf *out, struct buf *empty)
{
    const char *end = s + len;

    for (; s < end; s++) {
        int group;

        if (*s == '$') {
            if (++s == end || !isdigit((unsigned char)*s))
                return s < end && *s == '{' ? "groups by their names are not there"
                                            : "a $ needs a number behind it";
            for (group = *s - '0';
                 s + 1 < end && isdigit((unsigned char)s[1]) && 10 * group + (s[1] - '0') <= groups; s++)
                group = 10 * group + (s[1] - '0');
            if (group > groups)
                return "there is no such group";
            if (group > 9)
                return "groups beyond the ninth are not there";
            buf_printf(out, "\\%d", group);
            continue;
        }
        if (*s == '\\' && ++s == end)
            return "a backslash needs a character behind it";
        buf_puts(out, *s == '\\' ? "\\" : "");
        buf_putc(out, *s);
        buf_putc(empty, *s);
    }
    return NULL;
}
