#include "magics/line.h"
#include "magics/magics.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies one word without its quotes; NULL when a quote is open at the end. */
static const char *take_word(const char *from, char **to)
{
    char quote = 0;

    for (; *from && (quote || !isspace((unsigned char)*from)); from++) {
        if (quote ? *from == quote : *from == '"' || *from == '\'')
            quote = quote ? 0 : *from;
        else
            *(*to)++ = *from;
    }
    *(*to)++ = '\0';
    return quote ? NULL : from;
}

struct line_words *line_words(lua_State *L, const char *line)
{
    struct line_words *w = lua_newuserdatauv(L, sizeof *w + strlen(line) + LINE_WORDS + 2, 0);
    char *to = w->text;
    struct err err;

    w->n = 0;
    while (isspace((unsigned char)*line))
        line++;
    while (line && *line) {
        if (w->n == LINE_WORDS)
            luaL_error(L, "more than %d words on the line", (int)LINE_WORDS);
        w->words[w->n++] = to;
        line = take_word(line, &to);
        while (line && isspace((unsigned char)*line))
            line++;
    }
    w->words[w->n] = NULL;
    if (!line) {
        err_set(&err, LC_SYNTAX, "a quote is not closed in '%s'", w->words[w->n - 1]);
        session_raise(L, &err);
    }
    return w;
}

int line_error(lua_State *L, const char *magic, const char *what, const char *subject)
{
    struct err err;

    err_set(&err, LC_ARG, "%%%s: %s%s%s%s", magic, what, subject ? " '" : "", subject ? subject : "",
            subject ? "'" : "");
    for (const struct session_magic *m = lacus_magics; m->name; m++)
        if (strcmp(m->name, magic) == 0)
            err_hint(&err, "usage: %s", m->usage);
    return session_raise(L, &err);
}

const char *line_path(lua_State *L, const char *path)
{
    const char *home = getenv("HOME");

    if (!home || !path || path[0] != '~' || (path[1] && path[1] != '/'))
        return path;
    return lua_pushfstring(L, "%s%s", home, path + 1);
}

void line_check_name(lua_State *L, const char *magic, const char *name)
{
    bool fine = !isdigit((unsigned char)*name) && *name;

    for (const char *p = name; *p; p++)
        fine = fine && (isalnum((unsigned char)*p) || *p == '_');
    if (!fine)
        line_error(L, magic, "no variable can be called", name);
}

void line_print(lua_State *L, const char *fmt, ...)
{
    struct buf b = BUF_INIT(BUF_TEXT_MAX);
    char text[4096];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof text) {
        session_print(session_of(L), STREAM_STDOUT, text, (size_t)n);
        return;
    }
    va_start(ap, fmt);
    if (n > 0 && buf_reserve(&b, (size_t)n)) {
        vsnprintf(b.data, (size_t)n + 1, fmt, ap);
        session_print(session_of(L), STREAM_STDOUT, b.data, (size_t)n);
    }
    va_end(ap);
    buf_release(&b);
}
