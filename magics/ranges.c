#include "magics/ranges.h"
#include "magics/line.h"
#include "runtime/session/magic.h"
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

struct place {
    long session; /* 0: this one, negative: before it */
    long line;    /* 0: not said */
    bool relative;
};

/* [~S/]N, [S/]N, ~S/; NULL: no such thing. */
static const char *read_place(const char *p, struct place *out)
{
    bool back = *p == '~';
    char *end;
    long n;

    *out = (struct place){0};
    p += back;
    if (!isdigit((unsigned char)*p))
        return NULL;
    n = strtol(p, &end, 10);
    if (n < 0 || n == LONG_MAX)
        return NULL;
    if (*end != '/') {
        out->line = n;
        return back ? NULL : end;
    }
    out->session = back ? -n : n;
    out->relative = back;
    p = end + 1;
    if (!isdigit((unsigned char)*p))
        return p;
    out->line = strtol(p, &end, 10);
    return out->line >= 0 && out->line < LONG_MAX ? end : NULL;
}

/* From – to; without "-": one cell, or a whole session. */
static bool read_range(const char *word, struct place *from, struct place *to)
{
    const char *p = read_place(word, from);

    if (!p)
        return false;
    *to = *from;
    if (*p == '\0') {
        to->line = from->line ? from->line : LONG_MAX;
        return true;
    }
    if (*p++ != '-')
        return false;
    if (*p == '\0') {
        to->line = LONG_MAX;
        return true;
    }
    struct place end;
    p = read_place(p, &end);
    if (!p || *p)
        return false;
    if (end.session == 0 && !end.relative)
        end.session = from->session;
    *to = end;
    if (to->line == 0)
        to->line = LONG_MAX;
    return true;
}

bool ranges_is(const char *word)
{
    struct place from, to;

    return read_range(word, &from, &to);
}

static void ask(lua_State *L, json_t *into, json_t *request) /* takes request */
{
    json_t *reply = session_history(session_of(L), request), *row;
    size_t i;

    json_array_foreach (json_object_get(reply, "history"), i, row) {
        json_t *both = json_array_get(row, 2); /* [text, output] */
        json_array_append_new(into, json_pack("[OOOO]", json_array_get(row, 0), json_array_get(row, 1),
                                              json_array_get(both, 0), json_array_get(both, 1)));
    }
    json_decref(reply);
    json_decref(request);
}

static void ask_range(lua_State *L, json_t *into, long session, long start, long stop)
{
    if (stop > INT_MAX - 1)
        stop = INT_MAX - 1;
    ask(L, into,
        json_pack("{s:s, s:I, s:I, s:I, s:b, s:b}", "hist_access_type", "range", "session",
                  (json_int_t)session, "start", (json_int_t)start, "stop", (json_int_t)stop + 1, "raw", 1,
                  "output", 1));
}

static void add_range(lua_State *L, json_t *into, const struct place *from, const struct place *to)
{
    for (long session = from->session; session <= to->session; session++)
        ask_range(L, into, session, session == from->session ? from->line : 0,
                  session == to->session ? to->line : LONG_MAX);
}

json_t *ranges_read(lua_State *L, const char *magic, const char *const *words)
{
    json_t **cells = session_json_slot(L);
    struct place from, to;

    *cells = json_array();
    if (!*words)
        ask_range(L, *cells, 0, 0, LONG_MAX);
    for (; *words; words++) {
        if (!read_range(*words, &from, &to))
            line_error(L, magic, "no range of cells (4, 4-6, ~1/7, ~2/1-~1/5):", *words);
        add_range(L, *cells, &from, &to);
    }
    return *cells;
}

json_t *ranges_tail(lua_State *L, long n)
{
    json_t **cells = session_json_slot(L);

    *cells = json_array();
    ask(L, *cells,
        json_pack("{s:s, s:I, s:b, s:b}", "hist_access_type", "tail", "n", (json_int_t)n, "raw", 1, "output",
                  1));
    return *cells;
}

json_t *ranges_search(lua_State *L, const char *pattern, long n, bool unique)
{
    json_t **cells = session_json_slot(L);

    *cells = json_array();
    ask(L, *cells,
        json_pack("{s:s, s:o, s:I, s:b, s:b, s:b}", "hist_access_type", "search", "pattern",
                  json_sprintf("*%s*", pattern), "n", (json_int_t)n, "raw", 1, "output", 1, "unique",
                  (int)unique));
    return *cells;
}

const char *ranges_push_text(lua_State *L, json_t *cells, bool more)
{
    struct buf *out = session_buf(L, BUF_TEXT_MAX);
    json_t *row;
    size_t i;

    json_array_foreach (cells, i, row) {
        json_t *text = json_array_get(row, 2);
        size_t len = json_string_length(text), before = out->len;
        if ((!more && json_array_size(cells) == 1) ||
            !magic_translate_cell(json_string_value(text), len, out))
            buf_add(out, json_string_value(text), len);
        if (out->len == before || out->data[out->len - 1] != '\n')
            buf_putc(out, '\n');
    }
    lua_pushlstring(L, buf_str(out), out->len);
    return lua_tostring(L, -1);
}
