/* names.h: which keys, values and artifact paths a tracker takes, and names for runs that have none.
 *
 * What      MLflow's rules: keys of letters, digits, _ - . : / and spaces, at most 250 characters, not like a
 *           path that leads elsewhere; artifact paths are relative and stay below their run.
 * Ownership arguments are borrowed.
 * Units     bytes for limits.
 * Errors    LC_ARG naming the key or path.
 * Threads   any.
 *
 * Example:
 *     struct err err;
 *     if (name_check("metric", "train/loss", &err) != LC_OK)
 *         puts(err.message);
 */
#ifndef LACUS_TRACKING_NAMES_H
#define LACUS_TRACKING_NAMES_H
#include "runtime/base/err.h"
#include <stddef.h>

enum { NAME_KEY_MAX = 250, NAME_PARAM_MAX = 6000, NAME_TAG_MAX = 8000, NAME_RUN_TEXT = 64 };

/* what: "metric", "param", "tag" */
enum lc name_check(const char *what, const char *key, struct err *err) MUST_CHECK;
enum lc value_check(const char *what, const char *key, const char *value, size_t max,
                    struct err *err) MUST_CHECK;
enum lc path_check(const char *path, struct err *err) MUST_CHECK; /* "" is the top */
void name_run(char out[NAME_RUN_TEXT]);                           /* "calm-tide-417" */
#endif
