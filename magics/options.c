#include "magics/options.h"
#include "magics/line.h"
#include "runtime/base/nearest.h"
#include "runtime/session/lookup.h"
#include "runtime/session/magic.h"
#include "runtime/session/scan.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    lua_State *L;
    struct options *o;
    const char *at; /* what is still to be read */
    char *to;       /* where the next word goes */
};

static void skip_blanks(struct reader *r)
{
    while (isspace((unsigned char)*r->at))
        r->at++;
}

/* One word without its quotes. */
static const char *take_word(struct reader *r)
{
    const char *word = r->to;
    char quote = 0;

    for (; *r->at && (quote || !isspace((unsigned char)*r->at)); r->at++) {
        if (quote ? *r->at == quote : *r->at == '"' || *r->at == '\'')
            quote = quote ? 0 : *r->at;
        else
            *r->to++ = *r->at;
    }
    *r->to++ = '\0';
    if (quote)
        line_error(r->L, r->o->magic, "a quote is not closed in", word);
    return word;
}

static bool find(const char *usage, const char *name, size_t len, struct magic_option *out)
{
    while (magic_option_next(&usage, out))
        if (magic_option_is(out, name, len))
            return true;
    return false;
}

static void unknown(struct reader *r, const char *word)
{
    const char *names[OPTIONS_GIVEN], *usage = r->o->usage;
    struct magic_option option;
    struct buf near = BUF_INIT(256);
    struct err err;
    size_t n = 0;

    while (n < OPTIONS_GIVEN && magic_option_next(&usage, &option))
        names[n++] = lua_pushlstring(r->L, option.names, strcspn(option.names, "|] "));
    err_set(&err, LC_ARG, "%%%s: no option '%s'", r->o->magic, word);
    if (nearest_list(&near, word, names, n, 3) && near.len)
        err_hint(&err, "did you mean %s? usage: %s", buf_str(&near), r->o->usage);
    else
        err_hint(&err, "usage: %s", r->o->usage);
    buf_release(&near);
    session_raise(r->L, &err);
}

static void give(struct reader *r, const struct magic_option *option, const char *value)
{
    if (r->o->given_n == OPTIONS_GIVEN)
        line_error(r->L, r->o->magic, "too many options", NULL);
    r->o->given[r->o->given_n].option = option->names;
    r->o->given[r->o->given_n++].value = value;
}

/* The value of an option: what is attached to it, else the next word. */
static const char *value_of(struct reader *r, const char *name, const char *attached)
{
    if (attached)
        return attached;
    skip_blanks(r);
    if (!*r->at)
        line_error(r->L, r->o->magic, "a value must follow", name);
    return take_word(r);
}

static bool long_option(struct reader *r, const char *word)
{
    const char *equals = strchr(word, '=');
    struct magic_option option;

    if (!find(r->o->usage, word, equals ? (size_t)(equals - word) : strlen(word), &option))
        return false;
    if (equals && !option.value)
        line_error(r->L, r->o->magic, "no value goes with", word);
    give(r, &option, option.value ? value_of(r, word, equals ? equals + 1 : NULL) : NULL);
    return true;
}

/* -n3, -nq: the first letter must be an option, then all must be. */
static bool short_options(struct reader *r, const char *word)
{
    struct magic_option option;

    for (const char *p = word + 1; *p; p++) {
        char name[3] = {'-', *p, '\0'};
        if (!find(r->o->usage, name, 2, &option)) {
            if (p == word + 1)
                return false;
            unknown(r, name);
        }
        if (option.value) {
            give(r, &option, value_of(r, name, p[1] ? p + 1 : NULL));
            return true;
        }
        give(r, &option, NULL);
    }
    return true;
}

static bool is_option(struct reader *r, const char *word)
{
    struct magic_option option;

    if (word[1] == '-')
        return long_option(r, word);
    if (find(r->o->usage, word, strlen(word), &option) && word[2]) { /* -inplace */
        give(r, &option, option.value ? value_of(r, word, NULL) : NULL);
        return true;
    }
    return short_options(r, word);
}

static bool looks_like_option(const char *at)
{
    return at[0] == '-' && at[1] && !isspace((unsigned char)at[1]) && !isdigit((unsigned char)at[1]);
}

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

/* Does the session have a value of this name? */
static bool has_value(lua_State *L, const char *name)
{
    struct chain c = {.n = 1, .parts = {{.name = name, .len = strlen(name)}}};
    int top = lua_gettop(L);
    bool found = lookup_push(L, &c, 1) && !lua_isnil(L, -1);

    lua_settop(L, top);
    return found;
}

/* "-z x" is no expression, and "-z" only when there is a z. at: after the word. */
static bool no_expression(const struct reader *r, const char *word, const char *at)
{
    for (const char *p = word + 1; *p; p++)
        if (!is_letter(*p) && !isdigit((unsigned char)*p))
            return false;
    while (isspace((unsigned char)*at))
        at++;
    if (!*at || (at[0] == '-' && is_letter(at[1]))) /* "-z -n 3": of a value z it could be a difference */
        return !has_value(r->L, word + 1);
    if (scan_begin(at, strlen(at)).kind == SCAN_KEYWORD) /* and, or; not, nil … begin something else */
        return strncmp(at, "and", 3) != 0 && strncmp(at, "or", 2) != 0;
    return is_letter(*at) || isdigit((unsigned char)*at);
}

static void add_word(struct reader *r, const char *word)
{
    if (r->o->n == OPTIONS_WORDS)
        line_error(r->L, r->o->magic, "too many words on the line", NULL);
    r->o->words[r->o->n++] = word;
}

static const char *usage_of(lua_State *L, const char *magic)
{
    const struct session_magic *m = magic_find(session_of(L), magic, strlen(magic), MAGIC_LINE | MAGIC_CELL);

    return m ? m->usage : "";
}

static void read_all(struct reader *r, enum options_mode mode)
{
    bool open = true; /* options may still come */

    for (skip_blanks(r); *r->at; skip_blanks(r)) {
        const char *start = r->at, *word;
        char *to = r->to;
        bool may = open && looks_like_option(start);
        if (mode == OPTIONS_REST && !may)
            break;
        word = take_word(r);
        if (may && strcmp(word, "--") == 0) {
            open = false;
            if (mode == OPTIONS_KNOWN && r->o->n)
                add_word(r, word);
            if (mode == OPTIONS_REST) {
                skip_blanks(r);
                break;
            }
        } else if (!may) {
            add_word(r, word);
        } else if (!is_option(r, word)) {
            if (mode == OPTIONS_KNOWN && r->o->n) {
                add_word(r, word);
                continue;
            }
            if (mode == OPTIONS_ALL || word[1] == '-' || no_expression(r, word, r->at))
                unknown(r, word);
            r->at = start; /* the minus of an expression */
            r->to = to;
            break;
        }
    }
    r->o->rest = r->at;
    r->o->words[r->o->n] = NULL;
}

struct options *options_read(lua_State *L, const char *magic, const char *line, enum options_mode mode)
{
    size_t len = strlen(line);
    struct options *o = lua_newuserdatauv(L, sizeof *o + 2 * len + OPTIONS_WORDS + 4, 0);
    struct reader r = {.L = L, .o = o, .to = o->text + len + 1};

    memset(o, 0, sizeof *o);
    o->magic = magic;
    o->usage = usage_of(L, magic);
    memcpy(o->text, line, len + 1); /* `rest` points in here */
    r.at = o->text;
    read_all(&r, mode);
    return o;
}

static bool same(const struct options *o, const char *place, const char *name)
{
    struct magic_option option;

    return find(o->usage, name, strlen(name), &option) && option.names == place;
}

bool options_is(const struct options *o, size_t i, const char *name)
{
    return same(o, o->given[i].option, name);
}

bool options_has(const struct options *o, const char *name)
{
    for (size_t i = 0; i < o->given_n; i++)
        if (same(o, o->given[i].option, name))
            return true;
    return false;
}

const char *options_value(const struct options *o, const char *name)
{
    for (size_t i = o->given_n; i-- > 0;)
        if (same(o, o->given[i].option, name))
            return o->given[i].value;
    return NULL;
}

long options_count(lua_State *L, const struct options *o, const char *name, long otherwise)
{
    const char *text = options_value(o, name);
    char *end;
    long n;

    if (!text)
        return otherwise;
    errno = 0;
    n = strtol(text, &end, 10);
    if (end == text || *end || n < 1 || errno)
        line_error(L, o->magic, "a positive number must follow", name);
    return n;
}

const char *options_one(lua_State *L, const struct options *o, const char *what)
{
    if (o->n == 0)
        line_error(L, o->magic, what, NULL);
    if (o->n > 1)
        line_error(L, o->magic, "one word too many:", o->words[1]);
    return o->words[0];
}
