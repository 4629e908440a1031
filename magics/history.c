/* %history, %recall and %rerun: what was run, and running it again. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "magics/ranges.h"
#include "magics/run_text.h"
#include "runtime/base/fs.h"
#include "runtime/session/magic.h"
#include <stdio.h>
#include <string.h>

enum { SEARCH_MOST = 10000, RERUN_SEEN = 200 };

/* ---- %history ---- */

static void add_prompted(struct buf *out, const char *text)
{
    for (const char *mark = ">>> "; *text; mark = "... ") {
        size_t n = strcspn(text, "\n");
        buf_printf(out, "%s%.*s\n", mark, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* Pushes the text as Lua that runs: magics, commands and questions are calls. */
static const char *push_translated(lua_State *L, const char *text)
{
    struct buf *out = session_buf(L, BUF_TEXT_MAX);

    if (!magic_translate(session_of(L), text, strlen(text), out))
        return text;
    return lua_pushlstring(L, buf_str(out), out->len);
}

/* As IPython prints it: "   4: text", "  12/4:" before texts of several lines. */
static void add_cell(lua_State *L, const struct options *o, struct buf *out, json_t *row, bool sessions)
{
    json_int_t session = json_integer_value(json_array_get(row, 0)),
               line = json_integer_value(json_array_get(row, 1));
    const char *text = json_string_value(json_array_get(row, 2));
    int top = lua_gettop(L);
    char number[48];

    if (options_has(o, "-t"))
        text = push_translated(L, text);
    if (sessions)
        snprintf(number, sizeof number, "%lld/%lld", (long long)session, (long long)line);
    else
        snprintf(number, sizeof number, "%lld", (long long)line);
    if (options_has(o, "-n"))
        buf_printf(out, "%4s:%s", number, strchr(text, '\n') ? "\n" : " ");
    if (options_has(o, "-p"))
        add_prompted(out, text);
    else
        buf_printf(out, "%s\n", text);
    if (options_has(o, "-o") && json_is_string(json_array_get(row, 3)))
        buf_printf(out, "%s\n", json_string_value(json_array_get(row, 3)));
    lua_settop(L, top);
}

static void write_out(lua_State *L, const struct options *o, const struct buf *out)
{
    const char *file = line_path(L, options_value(o, "-f"));
    struct err err;

    if (!file)
        session_print(session_of(L), STREAM_STDOUT, buf_str(out), out->len);
    else if (fs_write(file, buf_str(out), out->len, &err) != LC_OK)
        session_raise(L, &err);
}

/* -l and -g alone, at the end: the last ten, and all of them. */
static const char *with_values(lua_State *L, const char *line)
{
    size_t n = strlen(line);
    const char *last;

    while (n && strchr(" \t", line[n - 1]))
        n--;
    last = n >= 2 ? line + n - 2 : "";
    if (n > 2 && !strchr(" \t", line[n - 3]))
        return line;
    if (strncmp(last, "-l", 2) == 0)
        return lua_pushfstring(L, "%s 10", line);
    return strncmp(last, "-g", 2) == 0 ? lua_pushfstring(L, "%s *", line) : line;
}

int magic_history(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "history", with_values(L, line), OPTIONS_ALL);
    const char *pattern = options_value(o, "-g");
    long last = options_count(L, o, "-l", 0);
    struct buf *out = session_buf(L, BUF_TEXT_MAX);
    bool unique = options_has(o, "-u");
    json_t *cells, *row;
    size_t i;

    (void)body;
    if (pattern && o->n) /* -g two words */
        pattern = lua_pushfstring(L, "%s %s", pattern, o->words[0]);
    if (pattern || unique)
        cells = ranges_search(L, pattern ? pattern : "*", last ? last : SEARCH_MOST, unique);
    else
        cells = last ? ranges_tail(L, last) : ranges_read(L, "history", o->words);
    json_array_foreach (cells, i, row)
        add_cell(L, o, out, row, pattern || unique || last || (o->n && strpbrk(o->words[0], "~/")));
    write_out(L, o, out);
    return 0;
}

/* ---- %recall, %rerun ---- */

/* _ as a text, as IPython's %recall alone has it; NULL: there was no value yet. */
static const char *push_last_value(lua_State *L)
{
    struct buf *text;

    lua_getglobal(L, "_");
    if (lua_isnil(L, -1))
        return NULL;
    text = session_buf(L, BUF_TEXT_MAX);
    session_repr(L, -2, text);
    return lua_pushlstring(L, buf_str(text), text->len);
}

/* The cells that an argument names: ranges, else the last one with this part in it. Pushes their text; NULL: none. */
static const char *push_named(lua_State *L, const char *magic, const struct options *o)
{
    json_t *cells;

    if (ranges_is(o->words[0]))
        cells = ranges_read(L, magic, o->words);
    else
        cells = ranges_search(L, o->words[0], 1, false);
    return json_array_size(cells) ? ranges_push_text(L, cells, false) : NULL;
}

static int none(lua_State *L, const char *magic)
{
    struct err err;

    err_set(&err, LC_NOTFOUND, "%%%s: no earlier cell is meant by that", magic);
    err_hint(&err, "%%history -n lists them");
    return session_raise(L, &err);
}

int magic_recall(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "recall", line, OPTIONS_ALL);
    const char *text = o->n ? push_named(L, "recall", o) : push_last_value(L);
    size_t n;

    (void)body;
    if (!text)
        return none(L, "recall");
    n = strlen(text);
    text = lua_pushlstring(L, text, n && text[n - 1] == '\n' ? n - 1 : n);
    session_set_next_input(session_of(L), text, false);
    return 0;
}

/* The last `most` of the cells, without those that run cells again: they would without end. */
static json_t *once_only(json_t *cells, size_t most)
{
    for (size_t i = json_array_size(cells); i-- > 0;)
        if (strstr(json_string_value(json_array_get(json_array_get(cells, i), 2)), "%rerun"))
            json_array_remove(cells, i);
    while (json_array_size(cells) > most)
        json_array_remove(cells, 0);
    return cells;
}

int magic_rerun(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "rerun", line, OPTIONS_ALL);
    const char *pattern = options_value(o, "-g"), *text;
    long last = options_count(L, o, "-l", 0);
    json_t *cells;

    (void)body;
    if (pattern)
        cells = once_only(ranges_search(L, pattern, RERUN_SEEN, false), 1);
    else if (last || !o->n)
        cells = once_only(ranges_tail(L, last + RERUN_SEEN), last ? (size_t)last : 1);
    else
        cells = once_only(ranges_read(L, "rerun", o->words), SEARCH_MOST);
    if (!json_array_size(cells))
        return none(L, "rerun");
    text = ranges_push_text(L, cells, false);
    line_print(L, "=== Executing: ===\n%s=== Output: ===\n", text);
    run_text(L, 0, text, strlen(text), "%rerun");
    return 0;
}
