/* traceback.h: what of an error is shown: four modes, and the last error once more (%tb, %xmode).
 *
 * What      MINIMAL: the sentence. PLAIN: a line per call. CONTEXT: lines of the source around the place, and a caret. VERBOSE:
 *           the variables of each call as well, as they were when the error was raised. FOLDED: where HTML is seen, a part for
 *           each call that opens with a click (the innermost is open) is shown before the error, which is then the sentence, so
 *           that programs that read the error find it; elsewhere as CONTEXT. %tb shows that form whatever the mode.
 * Ownership the session owns what it remembers (session_close calls traceback_close); lists are the caller's.
 * Units     lines from 1, columns in bytes from 0 (-1 unknown).
 * Errors    none: without memory there is less to see.
 * Threads   session thread.
 *
 * Example:
 *     json_t *lines = session_traceback(L, "Verbose");
 *     json_decref(lines);
 */
#ifndef LACUS_SESSION_TRACEBACK_H
#define LACUS_SESSION_TRACEBACK_H
#include "runtime/session/session_int.h"

enum { CAUSES_MAX = 8 };

struct description { /* of an error value */
    const char *ename;
    struct buf *evalue, *hint, *cause; /* cause: one line for each */
    int line;                          /* in a cell whose text is known; 0 unknown */
    char source[LUA_IDSIZE];
    int column;
};

/* Appends the lines; remembers them for %tb. Runs protected; may raise. */
void traceback_write(lua_State *L, json_t *list, const struct frames *frames, const struct description *d);
/* In a message handler, or of a coroutine that died: the variables of the calls; the innermost is the from-th of the error's. */
void traceback_note(lua_State *L, int level, int from);
/* An error that came with lines of its own: what %tb shows. */
void traceback_given(lua_State *L, const struct description *d, json_t *list);
/* The text without colours, and an end of line. */
void traceback_plain(const char *text, struct buf *out);
const char *traceback_mode_at(size_t i); /* names of %xmode; NULL: past the end */
void traceback_close(struct session *s);
#endif
