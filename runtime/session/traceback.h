/* traceback.h: what of an error is shown: four modes, and the last error once more (%tb, %xmode).
 *
 * What      MINIMAL: the sentence. PLAIN: a line per call. CONTEXT: lines of the source around the place, and a caret. VERBOSE:
 *           the variables of each call as well, as they were when the error was raised.
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
/* In a message handler: the variables of the calls, in the mode that shows them. */
void traceback_note(lua_State *L, int level);
const char *traceback_mode_at(size_t i); /* names of %xmode; NULL: past the end */
void traceback_close(struct session *s);
#endif
