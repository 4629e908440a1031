/* names.h: the globals of a session: which are lacus's, which are the user's, and opening them when first
 * used.
 *
 * Ownership names_known's list is the caller's (names_free).
 * Units     none.
 * Errors    none: without memory the list is NULL.
 * Threads   session thread.
 *
 * Example:
 *     size_t n;
 *     const char **names = names_known(s, &n);
 *     names_free(names, n);
 */
#ifndef LACUS_SESSION_NAMES_H
#define LACUS_SESSION_NAMES_H
#include "runtime/session/session.h"
#include <lua.h>

/* Globals, names that are opened lazily, and carried locals: for "did you mean" and completion. */
const char **names_known(struct session *s, size_t *n);
void names_free(const char **names, size_t n);
/* The row of a lazily opened global, or NULL. */
const struct session_global *names_lazy(const struct session *s, const char *name);
/* The names that lacus opens itself (display, json, …). */
extern const struct session_global names_builtin[];
#endif
