/* magic.h: lines of a cell that are not Lua: %magic, !command, name?.
 *
 * What      such lines are found where a statement could begin (never inside strings, comments or brackets)
 *           and become calls of one function, on the same line, so that line numbers stay; a backslash at the
 *           end of such a line takes the next one in. %%magic at the top of a cell takes the whole cell. The
 *           options of a magic are read from its usage: "[-n LOOPS] [-q|--quiet]".
 * Ownership texts are borrowed.
 * Units     bytes.
 * Errors    magic_call raises.
 * Threads   session thread.
 *
 * Example:
 *     struct buf out = BUF_INIT(1000);
 *     if (magic_rewrite(s, "_m", "%time f()", 9, &out))
 *         puts(buf_str(&out));
 *     buf_release(&out);
 */
#ifndef LACUS_SESSION_MAGIC_H
#define LACUS_SESSION_MAGIC_H
#include "runtime/session/session.h"
#include <lua.h>

/* Appends the text with such lines rewritten to calls of `function` (NULL: as a cell can say it, lacus.magic("%cd /tmp"));
 * false when there are none. s may be NULL: then any %name counts. */
bool magic_rewrite(const struct session *s, const char *function, const char *text, size_t len,
                   struct buf *out);
/* The function that is called: (kind, text): runs a line magic, a command or a question. */
int magic_call(lua_State *L);
/* lacus.magic(text): a line or a cell that is one of these. */
int magic_run_text(lua_State *L);
/* Appends the cell with all of them, %%magic too, as calls that run; false when there are none. */
bool magic_translate_cell(const char *text, size_t len, struct buf *out); /* only a %%magic */
bool magic_translate(const struct session *s, const char *text, size_t len, struct buf *out);

struct magic_cell { /* %%name line, then the body */
    const char *name, *line, *body;
    size_t name_len, line_len, body_len;
};
bool magic_split(const char *text, size_t len, struct magic_cell *out);
bool magic_has_lua(const struct magic_cell *m); /* is the body Lua? %%time */
/* Runs a %%magic: (name, line, body) as strings. */
int magic_run_cell(lua_State *L);
const struct session_magic *magic_find(const struct session *s, const char *name, size_t len, unsigned kind);

struct magic_option {  /* one of a usage; points into it */
    const char *names; /* "-q|--quiet" */
    size_t len;
    bool value; /* a value follows: "[-n LOOPS]" */
};
/* The next option of a usage; *usage moves on. False: no more. */
bool magic_option_next(const char **usage, struct magic_option *out);
bool magic_option_is(const struct magic_option *o, const char *name, size_t len);
#endif
