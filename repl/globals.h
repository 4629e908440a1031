/* globals.h: the names that every cell finds without require: what this program's sessions are opened with.
 *
 * Ownership static tables.
 * Errors    none.
 * Threads   any; constant.
 *
 * Example:
 *     struct session_options options = {.globals = lacus_globals};
 */
#ifndef LACUS_REPL_GLOBALS_H
#define LACUS_REPL_GLOBALS_H
#include "runtime/session/session.h"

extern const struct session_global lacus_globals[]; /* ends with a NULL name */
#endif
