/* line.h: the words of a magic's line, and errors about them.
 *
 * What      line_words splits as a shell does: blanks part words, quotes keep them together; $, * and the
 *           like mean nothing.
 * Ownership the words live in a userdata that is left on the Lua stack.
 * Units     none.
 * Errors    raised: a quote that is not closed, more than LINE_WORDS words.
 * Threads   session thread.
 *
 * Example:
 *     struct line_words *w = line_words(L, "-n 3 'a b'");
 *     const char *third = w->words[2]; // "a b"
 */
#ifndef LACUS_MAGICS_LINE_H
#define LACUS_MAGICS_LINE_H
#include "runtime/session/session_lua.h"

enum { LINE_WORDS = 256 };

struct line_words {
    size_t n;
    const char *words[LINE_WORDS + 1]; /* ends with NULL */
    char text[];
};
struct line_words *line_words(lua_State *L, const char *line);
/* Raises LC_ARG with the usage of the magic as hint. */
int line_error(lua_State *L, const char *magic, const char *what, const char *subject);
/* The path with the home folder in the place of a ~ at its beginning, as a shell would have it; it may be pushed. */
const char *line_path(lua_State *L, const char *path);
/* Raises LC_ARG when a variable cannot be called so. */
void line_check_name(lua_State *L, const char *magic, const char *name);
/* A printf to the cell's standard output. */
void line_print(lua_State *L, const char *fmt, ...) PRINTF_LIKE(2, 3);
#endif
