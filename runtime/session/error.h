/* error.h: what a person sees when a cell fails: ename, evalue, and a traceback with source lines.
 *
 * What      frames of a Lua stack, collected where the error was raised; the texts made of them and of the
 *           error value. Our own frames are left out.
 * Ownership plain data; error_describe fills a cell_reply.
 * Units     lines from 1, columns in bytes from 0 (-1 unknown).
 * Errors    none: without memory the texts are shorter.
 * Threads   session thread.
 *
 * Example:
 *     frames_clear(&s->frames);
 *     frames_add(&s->frames, L, 1);
 */
#ifndef LACUS_SESSION_ERROR_H
#define LACUS_SESSION_ERROR_H
#include "runtime/session/session.h"
#include <lua.h>

enum { FRAMES_FIRST = 16, FRAMES_LAST = 8 };

struct frame {
    char source[LUA_IDSIZE]; /* chunk name as messages show it */
    char name[48];           /* function's name, "" unknown, "main chunk" */
    int line;                /* -1: a C function */
};

struct frames { /* the innermost first; in the middle of a deep stack some are left out */
    struct frame list[FRAMES_FIRST + FRAMES_LAST];
    int n;
    int skipped; /* between FRAMES_FIRST and the rest */
};

void frames_clear(struct frames *f);
/* Is it C, or Lua of our own? The caller's line is what helps. */
bool frame_is_ours(const lua_Debug *ar);
void frames_add(struct frames *f, lua_State *L, int level);

/* A message handler (lua_CFunction): collects the frames and what was being indexed or called. */
int error_handler(lua_State *L);
/* The error value at index becomes ename, evalue and traceback of the reply. Runs protected; may raise. */
void error_describe(lua_State *L, int index, struct cell_reply *reply);
void error_interrupted(struct session *s, struct cell_reply *reply);
/* The text of an error value for a log line: "ename: evalue". */
void error_line(lua_State *L, int index, struct buf *out);
#endif
