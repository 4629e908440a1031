/* workspace.h: the state of lacus on this machine: one SQLite database that every part and process shares.
 *
 * What      opens $LACUS_HOME/workspace.db (WAL, foreign keys, busy timeout), brings each component's tables
 *           to the version this program knows, and runs statements with struct err. A file or component that
 *           is newer than this program is refused, never guessed. Statements are prepared once per handle and
 *           kept.
 * Ownership workspace_open gives a handle, workspace_close ends it. Texts read from rows are borrowed until
 *           the next call on those rows; every workspace_query is ended with workspace_rows_close (also after
 *           an error; closing twice is fine). SQL texts must be string constants: they are remembered by
 *           address.
 * Units     integers are int64_t, times milliseconds since 1970, texts UTF-8.
 * Errors    NOSPACE (disk full), DATA (not a database, damaged), UNSUPPORTED (newer schema, network file
 *           system), TIMEOUT (another process kept the write lock), EXISTS (unique value is there already),
 *           CONFLICT (other constraint), PERM, IO. err comes before the SQL because the values to bind follow
 *           it.
 * Threads   one handle: one thread at a time. Any number of handles and processes on one host; a handle does
 *           not survive fork.
 *
 * Example:
 *     static const char *const steps[] = {"CREATE TABLE colours(name TEXT PRIMARY KEY, rgb INTEGER)"};
 *     struct workspace *ws;
 *     struct workspace_rows rows;
 *     struct err err;
 *     if (workspace_open(NULL, &ws, &err) == LC_OK) {
 *         enum lc rc = workspace_migrate(ws, "colours", steps, 1, &err);
 *         if (rc == LC_OK)
 *             rc = workspace_exec(ws, &err, "INSERT INTO colours VALUES(?, ?)", "ti", "red", (int64_t)0xff0000);
 *         if (rc == LC_OK)
 *             rc = workspace_query(ws, &rows, &err, "SELECT name FROM colours WHERE rgb > ?", "i", (int64_t)0);
 *         while (rc == LC_OK && workspace_next(&rows, &rc, &err))
 *             puts(workspace_text(&rows, 0));
 *         workspace_rows_close(&rows);
 *         workspace_close(ws);
 *     }
 */
#ifndef LACUS_STORAGE_WORKSPACE_H
#define LACUS_STORAGE_WORKSPACE_H
#include "runtime/base/err.h"
#include <stddef.h>

struct workspace;

/* path NULL: $LACUS_HOME/workspace.db, made when absent. */
enum lc workspace_open(const char *path, struct workspace **out, struct err *err) MUST_CHECK;
void workspace_close(struct workspace *ws); /* NULL is fine */
const char *workspace_path(const struct workspace *ws);

/* Component tables: steps[i] is the SQL (one or more statements) that leads from version i to i + 1. Each
 * pending step runs once, in a transaction, whatever number of processes start at the same time. Published
 * steps are never edited, only added to. Prefix table names with the component. */
enum lc workspace_migrate(struct workspace *ws, const char *component, const char *const *steps, size_t n,
                          struct err *err) MUST_CHECK;

/* types, one letter per ?: t text (const char *; NULL is NULL), i int64_t, d double (NaN becomes NULL, as
 * SQLite has it), b blob (const void *, size_t), n NULL (no argument). NULL or "" binds nothing. */
enum lc workspace_exec(struct workspace *ws, struct err *err, const char *sql, const char *types,
                       ...) MUST_CHECK;
int64_t workspace_changes(const struct workspace *ws); /* rows changed by the last exec */
int64_t workspace_last_id(const struct workspace *ws); /* rowid of the last insert */

struct workspace_rows { /* contents are private */
    struct workspace *ws;
    void *statement;
    bool cached;
};
/* On failure rows is empty and may still be closed. */
enum lc workspace_query(struct workspace *ws, struct workspace_rows *rows, struct err *err, const char *sql,
                        const char *types, ...) MUST_CHECK;
/* For SQL that is built at run time: not remembered. Values always go through ?. */
struct workspace_value {
    char type; /* as in types */
    const char *text;
    int64_t integer;
    double real;
};
enum lc workspace_query_values(struct workspace *ws, struct workspace_rows *rows, struct err *err,
                               const char *sql, const struct workspace_value *values, size_t n) MUST_CHECK;
/* True while there is a row. At the end *rc is unchanged; on failure *rc and err are set. */
bool workspace_next(struct workspace_rows *rows, enum lc *rc, struct err *err);
void workspace_rows_close(struct workspace_rows *rows);
bool workspace_is_null(const struct workspace_rows *rows, int column);
const char *workspace_text(const struct workspace_rows *rows, int column); /* "" for NULL */
const void *workspace_blob(const struct workspace_rows *rows, int column, size_t *len);
int64_t workspace_int(const struct workspace_rows *rows, int column);
double workspace_real(const struct workspace_rows *rows, int column);

/* Transactions take the write lock at once and may be nested (the inner ones are savepoints). Each begin is
 * ended by one workspace_end: rc LC_OK commits, anything else rolls back; it returns rc, or why the commit
 * failed. */
enum lc workspace_begin(struct workspace *ws, struct err *err) MUST_CHECK;
enum lc workspace_end(struct workspace *ws, enum lc rc, struct err *err) MUST_CHECK;
#endif
