/* habits_int.h: what the rooms of habits.h share: habits.c (texts that do not compile, or do not what they say), habits_run.c
 * (errors of a running cell), habits_form.c (a dot where a colon belongs).
 *
 * Ownership hints go to the session's `problem`; lines are borrowed from the Lua value that is pushed.
 * Units     bytes.
 * Errors    none.
 * Threads   session thread.
 *
 * Example:
 *     size_t len;
 *     const char *line = habits_push_line(L, frame, &len);
 */
#ifndef LACUS_SESSION_HABITS_INT_H
#define LACUS_SESSION_HABITS_INT_H
#include "runtime/session/error.h"
#include <ctype.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct session;

static inline bool habits_in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static inline bool habits_boundary(char c)
{
    return c == '\0' || strchr(" \t\r\n()[]{};,=:", c) != NULL;
}

/* The text of the line that failed; NULL: unknown. Pushes one value always. */
const char *habits_push_line(lua_State *L, const struct frame *f, size_t *len);
/* Pushes the value of a name as the function that failed sees it; false: it has none (and something may be pushed). */
bool habits_push_visible(lua_State *L, const char *name, size_t len);
/* "… (global 'x')": the kind and the name that Lua's message ends with. */
bool habits_named(const char *message, char kind[16], char name[64]);

/* Each says its hint, or is false. */
bool habits_property(struct session *s, const char *name, size_t len); /* df:columns(): it is no method */
bool habits_foreign_module(struct session *s, const char *name, size_t len); /* pandas */
/* df.count(), json:encode(t): an error of a line that calls a method with '.', or a module's function with ':'. message NULL:
 * the error is no text. */
bool habits_form(lua_State *L, const char *message, const struct frame *f);
#endif
