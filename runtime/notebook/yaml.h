/* yaml.h: YAML texts as JSON values, for parameters.
 *
 * What      one document of YAML 1.1 as papermill reads it: mappings, lists, anchors, aliases and merged keys;
 *           scalars have the types of YAML 1.1 (yes/no/on/off too, and 1e-4 is a number), dates stay texts; .inf and
 *           .nan are what real.h makes of them.
 * Ownership a new reference.
 * Units     texts of at most 16 MiB, YAML_DEPTH levels, YAML_NODES values.
 * Errors    LC_PARSE with line and column, LC_LIMIT, LC_MISSING when the plugin is not there.
 * Threads   any.
 *
 * Example:
 *     json_t *value;
 *     struct err err;
 *     if (yaml_read("lr: 1e-4", 8, "-y", &value, &err) == LC_OK)
 *         json_decref(value);
 */
#ifndef LACUS_NOTEBOOK_YAML_H
#define LACUS_NOTEBOOK_YAML_H
#include "runtime/base/err.h"
#include <jansson.h>

enum { YAML_DEPTH = 64, YAML_NODES = 1000000 };

/* name: for messages. */
typedef enum lc yaml_read_fn(const char *text, size_t len, const char *name, json_t **out, struct err *err);
enum lc yaml_read(const char *text, size_t len, const char *name, json_t **out, struct err *err) MUST_CHECK;
#endif
