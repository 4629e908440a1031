/* sqlite_api.h: the functions of libsqlite3 that lacus calls, found on first use: a kernel that only computes does not load it.
 *
 * What      one struct of function pointers, named as SQLite names them without "sqlite3_".
 * Ownership the caller's struct is filled; the library is never closed.
 * Units     those of SQLite.
 * Errors    LC_MISSING, naming the package; LC_UNSUPPORTED: a library that is too old.
 * Threads   any; a filled struct is only read.
 *
 * Example:
 *     struct sqlite_api sqlite;
 *     if (sqlite_api_open(&sqlite, &err) == LC_OK)
 *         puts(sqlite.libversion());
 */
#ifndef LACUS_STORAGE_SQLITE_API_H
#define LACUS_STORAGE_SQLITE_API_H
#include "runtime/base/err.h"
#include <sqlite3.h>

#define SQLITE_FUNCTIONS(X)                                                                                  \
    X(bind_blob64)                                                                                           \
    X(bind_double)                                                                                           \
    X(bind_int)                                                                                              \
    X(bind_int64)                                                                                            \
    X(bind_null)                                                                                             \
    X(bind_text)                                                                                             \
    X(bind_text64)                                                                                           \
    X(busy_timeout)                                                                                          \
    X(changes64)                                                                                             \
    X(clear_bindings)                                                                                        \
    X(close)                                                                                                 \
    X(close_v2)                                                                                              \
    X(column_blob)                                                                                           \
    X(column_bytes)                                                                                          \
    X(column_double)                                                                                         \
    X(column_int)                                                                                            \
    X(column_int64)                                                                                          \
    X(column_text)                                                                                           \
    X(column_type)                                                                                           \
    X(errcode)                                                                                               \
    X(errmsg)                                                                                                \
    X(exec)                                                                                                  \
    X(extended_errcode)                                                                                      \
    X(file_control)                                                                                          \
    X(finalize)                                                                                              \
    X(get_autocommit)                                                                                        \
    X(last_insert_rowid)                                                                                     \
    X(libversion)                                                                                            \
    X(open_v2)                                                                                               \
    X(prepare_v2)                                                                                            \
    X(reset)                                                                                                 \
    X(step)                                                                                                  \
    X(stmt_readonly)                                                                                         \
    X(system_errno)

struct sqlite_api {
#define X(name) __typeof__(&sqlite3_##name) name;
    SQLITE_FUNCTIONS(X)
#undef X
};

enum lc sqlite_api_open(struct sqlite_api *api, struct err *err) MUST_CHECK;
#endif
