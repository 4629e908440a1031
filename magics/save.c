/* %save and %load: cells to a file, and a file (or cells) to the next cell. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "magics/ranges.h"
#include "runtime/base/fs.h"
#include "runtime/notebook/notebook.h"
#include "runtime/session/shell.h"
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 8 << 20 };

/* Asks; without anybody to ask: no. */
static bool agreed(lua_State *L, const char *question)
{
    struct session *s = session_of(L);
    const struct frontend *f = session_frontend(s);
    struct buf *answer = session_buf(L, 4096);
    struct err err;
    enum lc rc = LC_UNSUPPORTED;

    if (f->ops && f->ops->input)
        rc = f->ops->input(f->self, session_ctx(s), question, false, answer, &err);
    if (rc == LC_CANCELLED)
        session_raise(L, &err);
    return rc == LC_OK && (buf_str(answer)[0] == 'y' || buf_str(answer)[0] == 'Y');
}

/* With .lua behind it when it has no ending. */
static const char *file_of(lua_State *L, const char *name)
{
    return strchr(fs_basename(name), '.') ? name : lua_pushfstring(L, "%s.lua", name);
}

int magic_save(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "save", shell_expand(L, line), OPTIONS_ALL);
    struct buf *out = session_buf(L, BUF_TEXT_MAX);
    const char *file, *text;
    struct err err;
    json_t *cells;
    bool there;

    (void)body;
    if (o->n == 0)
        return line_error(L, "save", "no file named", NULL);
    cells = ranges_read(L, "save", o->words + 1);
    if (!json_array_size(cells)) {
        err_set(&err, LC_NOTFOUND, "%%save: no earlier cell is meant by that");
        err_hint(&err, "%%history -n lists them");
        return session_raise(L, &err);
    }
    file = file_of(L, line_path(L, o->words[0]));
    there = fs_exists(file);
    if (there && !options_has(o, "-a") && !options_has(o, "-f") &&
        !agreed(L, lua_pushfstring(L, "File `%s` exists. Overwrite (y/[N])? ", file))) {
        line_print(L, "Operation cancelled.\n");
        return 0;
    }
    if (there && options_has(o, "-a") && fs_read(file, out, &err) != LC_OK)
        return session_raise(L, &err);
    text = ranges_push_text(L, cells, there && options_has(o, "-a"));
    buf_puts(out, text);
    if (buf_check(out, &err) != LC_OK || fs_write(file, buf_str(out), out->len, &err) != LC_OK)
        return session_raise(L, &err);
    line_print(L, "The following commands were %s file `%s`:\n%s",
               there && options_has(o, "-a") ? "appended to" : "written to", file, text);
    return 0;
}

/* ---- %load ---- */

/* Pushes the lines from-to ("5-10", "5-", "7") of a text. */
static const char *push_lines(lua_State *L, const char *text, const char *range)
{
    char *end;
    long from = strtol(range, &end, 10), to = from;
    const char *start, *stop;

    if (end == range || from < 1)
        line_error(L, "load", "lines are meant as 5-10:", range);
    if (*end == '-')
        to = end[1] ? strtol(end + 1, NULL, 10) : 1L << 30;
    for (start = text; --from > 0 && *start; to--)
        start += strcspn(start, "\n") + (start[strcspn(start, "\n")] == '\n');
    for (stop = start; to-- > 0 && *stop;)
        stop += strcspn(stop, "\n") + (stop[strcspn(stop, "\n")] == '\n');
    return lua_pushlstring(L, start, (size_t)(stop - start));
}

/* Pushes http.get(url):raise_for_status().text */
static const char *push_page(lua_State *L, const char *url)
{
    lua_getglobal(L, "http");
    lua_getfield(L, -1, "get");
    lua_pushstring(L, url);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "raise_for_status");
    lua_insert(L, -2);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "text");
    return luaL_checkstring(L, -1);
}

static int l_free_notebook(lua_State *L)
{
    struct notebook **nb = lua_touserdata(L, 1);

    notebook_free(*nb);
    *nb = NULL;
    return 0;
}

/* Pushes the code cells of a notebook, one below the other. */
static const char *push_notebook(lua_State *L, const char *file)
{
    struct notebook **nb = session_slot(L, sizeof(struct notebook *), "lacus.magics.load", l_free_notebook);
    struct buf *text = session_buf(L, FILE_MAX);
    struct err err;

    if (notebook_load(file, nb, &err) != LC_OK)
        session_raise(L, &err);
    for (size_t i = 0; i < notebook_cell_count(*nb); i++) {
        if (!cell_is_code(notebook_cell(*nb, i)))
            continue;
        if (text->len)
            buf_puts(text, "\n\n");
        cell_source(notebook_cell(*nb, i), text);
    }
    buf_putc(text, '\n');
    if (buf_check(text, &err) != LC_OK)
        session_raise(L, &err);
    return lua_pushlstring(L, buf_str(text), text->len);
}

/* Pushes the text of a file, with .lua where that is missing. */
static const char *push_file(lua_State *L, const char *name)
{
    struct buf *text = session_buf(L, FILE_MAX);
    const char *path = line_path(L, name), *file = fs_exists(path) ? path : file_of(L, path);
    const char *ending = strrchr(file, '.');
    struct err err;

    if (strncmp(name, "http://", 7) == 0 || strncmp(name, "https://", 8) == 0)
        return push_page(L, name);
    if (ending && strcmp(ending, ".ipynb") == 0)
        return push_notebook(L, file);
    if (fs_read(file, text, &err) != LC_OK)
        session_raise(L, &err);
    return lua_pushlstring(L, buf_str(text), text->len);
}

int magic_load(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "load", shell_expand(L, line), OPTIONS_ALL);
    const char *text, *lines = options_value(o, "-r");

    (void)body;
    if (o->n == 0)
        return line_error(L, "load", "no file and no range of cells named", NULL);
    if (ranges_is(o->words[0]) && !fs_exists(o->words[0]))
        text = ranges_push_text(L, ranges_read(L, "load", o->words), false);
    else
        text = push_file(L, options_one(L, o, "no file named"));
    if (lines)
        text = push_lines(L, text, lines);
    text = lua_pushfstring(L, "-- %%load %s\n%s", line, text);
    session_set_next_input(session_of(L), text, true);
    return 0;
}
