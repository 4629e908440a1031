/* local.h: storage.h on the files of this machine (private to runtime/storage).
 *
 * Ownership static.
 * Errors    as in storage.h.
 * Threads   any.
 *
 * Example:
 *     const struct storage s = {&storage_local, NULL};
 */
#ifndef LACUS_STORAGE_LOCAL_H
#define LACUS_STORAGE_LOCAL_H
#include "runtime/storage/storage.h"

extern const struct storage_ops storage_local;
#endif
