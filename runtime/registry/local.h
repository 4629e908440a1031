/* local.h: the registry of this machine's workspace: SQLite for names, $LACUS_HOME/models/NAME/VERSION for
 * the files.
 *
 * Ownership, Units, Errors, Threads: as registry.h.
 *
 * Example:
 *     void *self;
 *     if (registry_local.open(NULL, &self, &err) == LC_OK)
 *         registry_local.close(self);
 */
#ifndef LACUS_REGISTRY_LOCAL_H
#define LACUS_REGISTRY_LOCAL_H
#include "runtime/registry/registry.h"

extern const struct registry_ops registry_local;
#endif
