/* local.h: the catalog in the workspace database (private to runtime/catalog).
 *
 * What      catalog_ops on SQLite; managed tables lie below $LACUS_HOME/tables.
 * Ownership catalog_local_open gives self; ops->close ends it.
 * Errors    those of catalog.h.
 * Threads   one.
 *
 * Example:
 *     void *self;
 *     if (catalog_local_open(&self, &err) == LC_OK)
 *         catalog_local.close(self);
 */
#ifndef LACUS_CATALOG_LOCAL_H
#define LACUS_CATALOG_LOCAL_H
#include "runtime/catalog/catalog.h"

extern const struct catalog_ops catalog_local;
enum lc catalog_local_open(void **self, struct err *err) MUST_CHECK;
#endif
