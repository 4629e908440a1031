/* plugin.h: shared objects opened on first use and never closed (Arrow callbacks and threads may point into
 * them).
 *
 * What      finds plugins/NAME.so beside the executable or in the library folder, opens it RTLD_NOW |
 *           RTLD_LOCAL, and returns its one exported symbol.
 * Ownership the symbol stays valid until the process ends.
 * Errors    LC_MISSING with the loader's text and what to run; LC_CONFLICT when another build took this
 *           program's place meanwhile: its plugins may not fit.
 * Threads   any.
 *
 * Example:
 *     struct err err;
 *     const void *vtable = plugin_symbol("gpu_cpu", "lacus_gpu_cpu", &err);
 *     if (!vtable)
 *         puts(err.message);
 */
#ifndef LACUS_BASE_PLUGIN_H
#define LACUS_BASE_PLUGIN_H
#include "runtime/base/err.h"

void *plugin_symbol(const char *name, const char *symbol, struct err *err); /* NULL on failure */
/* A function of a library that dlopen gave, into the pointer at slot; false: it has none, and slot gets NULL. */
bool plugin_function(void *library, const char *name, void *slot);
#endif
