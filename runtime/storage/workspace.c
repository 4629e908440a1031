#include "runtime/storage/workspace.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/storage/sqlite_api.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

enum {
    BUSY_MS = 15000,
    CACHE = 64,              /* prepared statements kept per handle */
    FILE_VERSION = 1,        /* of the file as a whole; components have their own */
    APPLICATION = 0x4C616373 /* "Lacs" in SQLite's application_id */
};

struct cached {
    const char *sql; /* borrowed: a string constant */
    sqlite3_stmt *statement;
    bool used;
};

struct workspace {
    struct sqlite_api sqlite;
    sqlite3 *db;
    char *path; /* owned */
    int depth;  /* of nested transactions */
    size_t turn;
    struct cached cache[CACHE];
};

/* ---- errors ------------------------------------------------------------------------------------------ */

static enum lc code_of(int extended, int errnum)
{
    static const struct {
        int sqlite;
        enum lc code;
    } codes[] = {
        {SQLITE_FULL, LC_NOSPACE},
        {SQLITE_CORRUPT, LC_DATA},
        {SQLITE_NOTADB, LC_DATA},
        {SQLITE_BUSY, LC_TIMEOUT},
        {SQLITE_LOCKED, LC_TIMEOUT},
        {SQLITE_NOMEM, LC_NOMEM},
        {SQLITE_CONSTRAINT, LC_CONFLICT},
        {SQLITE_READONLY, LC_PERM},
        {SQLITE_PERM, LC_PERM},
        {SQLITE_INTERRUPT, LC_CANCELLED},
        {SQLITE_TOOBIG, LC_LIMIT},
        {SQLITE_CANTOPEN, LC_IO},
        {SQLITE_IOERR, LC_IO},
    };

    if (errnum == ENOSPC || errnum == EFBIG || errnum == EDQUOT)
        return LC_NOSPACE;
    if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY)
        return LC_EXISTS;
    if (errnum == EACCES || errnum == EPERM)
        return LC_PERM;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].sqlite == (extended & 0xff))
            return codes[i].code;
    return LC_INTERNAL;
}

static const char *hint_of(enum lc code)
{
    return code == LC_NOSPACE   ? "free some space, or set LACUS_HOME to a folder with room"
           : code == LC_DATA    ? "move the file away, or restore a copy of it; 'lacus doctor' looks at it"
           : code == LC_TIMEOUT ? "another lacus process is writing; try again"
           : code == LC_PERM    ? "check who owns the folder, or set LACUS_HOME to another one"
                                : "";
}

/* The errno of the file that failed: the log's (a quota or a file size limit shows only there), else the
 * database's, else SQLite's last one, which a clean-up may have overwritten. */
static int system_errno(struct workspace *ws)
{
    sqlite3_file *log = NULL;
    int errnum = 0;

    ws->sqlite.file_control(ws->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (log && log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &errnum);
    if (errnum == 0)
        ws->sqlite.file_control(ws->db, "main", SQLITE_FCNTL_LAST_ERRNO, &errnum);
    return errnum ? errnum : ws->sqlite.system_errno(ws->db);
}

static enum lc fail(struct workspace *ws, struct err *err, const char *what)
{
    int extended = ws->sqlite.extended_errcode(ws->db), primary = extended & 0xff, errnum = 0;
    enum lc code;

    if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN || primary == SQLITE_FULL)
        errnum = system_errno(ws);
    code = code_of(extended, errnum);
    err_set(err, code, "cannot %s the workspace '%s': %s", what, ws->path,
            code == LC_NOSPACE ? "no space left on device" : ws->sqlite.errmsg(ws->db));
    if (hint_of(code)[0])
        err_hint(err, "%s", hint_of(code));
    return code;
}

/* ---- opening ----------------------------------------------------------------------------------------- */

/* WAL's shared memory works on one host only. */
static const char *network_file_system(const char *path)
{
    static const struct {
        unsigned long magic;
        const char *name;
    } kinds[] = {{0x6969, "NFS"},        {0xFF534D42, "CIFS"},  {0xFE534D42, "SMB"},  {0x517B, "SMB"},
                 {0x0BD00BD0, "Lustre"}, {0x47504653, "GPFS"},  {0x00C36400, "Ceph"}, {0x5346414F, "AFS"},
                 {0x7461636F, "OCFS2"},  {0x19830326, "BeeGFS"}};
    struct statfs fs;

    if (statfs(path, &fs) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (((unsigned long)fs.f_type & 0xFFFFFFFFul) == kinds[i].magic)
            return kinds[i].name;
    return NULL;
}

static enum lc check_place(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash && slash != path ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup("/");
    const char *kind = dir ? network_file_system(dir) : NULL;

    mem_free(dir);
    if (!kind)
        return LC_OK;
    err_set(err, LC_UNSUPPORTED, "cannot open the workspace '%s': it is on a network file system (%s)", path,
            kind);
    return err_hint(err, "run 'lacus server' on the machine that has the disk and set LACUS_SERVER to its "
                         "address, or set LACUS_HOME to a local folder");
}

static enum lc pragma_int(struct workspace *ws, const char *sql, int64_t *out, struct err *err)
{
    struct workspace_rows rows;
    enum lc rc = workspace_query(ws, &rows, err, sql, NULL);

    if (rc == LC_OK && workspace_next(&rows, &rc, err))
        *out = workspace_int(&rows, 0);
    workspace_rows_close(&rows);
    return rc;
}

static enum lc run_text(struct workspace *ws, const char *sql, const char *what, struct err *err)
{
    return ws->sqlite.exec(ws->db, sql, NULL, NULL, NULL) == SQLITE_OK ? LC_OK : fail(ws, err, what);
}

static enum lc newer(struct workspace *ws, const char *what, int64_t found, int64_t known, struct err *err)
{
    err_set(err, LC_UNSUPPORTED,
            "cannot use the workspace '%s': its %s has schema version %lld, and this lacus knows %lld",
            ws->path, what, (long long)found, (long long)known);
    return err_hint(err, "use the newer lacus that wrote it, or set LACUS_HOME to another folder");
}

static enum lc first_tables(struct workspace *ws, struct err *err)
{
    char text[64];

    TRY(run_text(ws,
                 "CREATE TABLE IF NOT EXISTS components(name TEXT PRIMARY KEY, version INTEGER NOT NULL) "
                 "WITHOUT ROWID",
                 "prepare", err));
    snprintf(text, sizeof text, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION,
             FILE_VERSION);
    return run_text(ws, text, "prepare", err);
}

static enum lc file_version(struct workspace *ws, int64_t *application, int64_t *version, struct err *err)
{
    TRY(pragma_int(ws, "PRAGMA application_id", application, err));
    return pragma_int(ws, "PRAGMA user_version", version, err);
}

/* In a writing transaction, so that a process that prepares the same new file is seen before or after, never
 * halfway. */
static enum lc adopt_file(struct workspace *ws, struct err *err)
{
    int64_t application, version, tables = 0;

    TRY(file_version(ws, &application, &version, err));
    if (application == APPLICATION && version == FILE_VERSION)
        return LC_OK;
    if (application == APPLICATION && version > FILE_VERSION)
        return newer(ws, "file", version, FILE_VERSION, err);
    TRY(pragma_int(ws, "SELECT count(*) FROM sqlite_schema WHERE name <> 'components'", &tables, err));
    if (application == APPLICATION || (application == 0 && tables == 0))
        return first_tables(ws, err);
    err_set(err, LC_DATA, "cannot use the workspace '%s': it is an SQLite database of another program",
            ws->path);
    return err_hint(err, "set LACUS_HOME to another folder");
}

static enum lc check_file(struct workspace *ws, struct err *err)
{
    int64_t application, version;

    TRY(file_version(ws, &application, &version, err));
    if (application == APPLICATION && version == FILE_VERSION)
        return LC_OK;
    TRY(workspace_begin(ws, err));
    return workspace_end(ws, adopt_file(ws, err), err);
}

/* The very first change to WAL does not wait for other processes that make the same change: ask again. */
static enum lc use_wal(struct workspace *ws, struct err *err)
{
    const struct timespec pause = {.tv_nsec = 5 * 1000 * 1000};
    int64_t until = clock_mono_ns() + BUSY_MS * INT64_C(1000000);

    while (ws->sqlite.exec(ws->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK) {
        if (ws->sqlite.errcode(ws->db) != SQLITE_BUSY || clock_mono_ns() > until)
            return fail(ws, err, "open");
        nanosleep(&pause, NULL);
    }
    return run_text(ws, "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON", "open", err);
}

static enum lc start(struct workspace *ws, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX;

    TRY(sqlite_api_open(&ws->sqlite, err));
    if (ws->sqlite.open_v2(ws->path, &ws->db, flags, NULL) != SQLITE_OK) {
        if (!ws->db)
            return err_nomem(err);
        return fail(ws, err, "open");
    }
    ws->sqlite.busy_timeout(ws->db, BUSY_MS);
    TRY(use_wal(ws, err));
    return check_file(ws, err);
}

enum lc workspace_open(const char *path, struct workspace **out, struct err *err)
{
    struct workspace *ws = mem_zalloc(sizeof *ws);
    enum lc rc;

    *out = NULL;
    if (!ws)
        return err_nomem(err);
    if (err)
        err_clear(err);
    ws->path = path ? fs_absolute(path) : fs_home("workspace.db", err);
    if (!ws->path) {
        rc = err && err->code != LC_OK ? err->code : err_nomem(err);
    } else {
        rc = check_place(ws->path, err);
        if (rc == LC_OK)
            rc = start(ws, err);
    }
    if (rc != LC_OK) {
        workspace_close(ws);
        return rc;
    }
    *out = ws;
    return LC_OK;
}

void workspace_close(struct workspace *ws)
{
    if (!ws)
        return;
    for (size_t i = 0; ws->db && i < CACHE; i++)
        ws->sqlite.finalize(ws->cache[i].statement);
    if (ws->db)
        ws->sqlite.close_v2(ws->db);
    mem_free(ws->path);
    mem_free(ws);
}

const char *workspace_path(const struct workspace *ws)
{
    return ws->path;
}

/* ---- statements -------------------------------------------------------------------------------------- */

static enum lc compile(struct workspace *ws, const char *sql, sqlite3_stmt **out, struct err *err)
{
    return ws->sqlite.prepare_v2(ws->db, sql, -1, out, NULL) == SQLITE_OK ? LC_OK : fail(ws, err, "ask");
}

static struct cached *slot_for(struct workspace *ws, const char *sql)
{
    struct cached *victim = NULL;

    for (size_t i = 0; i < CACHE; i++)
        if (ws->cache[i].sql == sql)
            return ws->cache[i].used ? NULL : &ws->cache[i];
    for (size_t tries = 0; tries < CACHE && !victim; tries++) {
        struct cached *c = &ws->cache[ws->turn++ % CACHE];
        if (!c->used)
            victim = c;
    }
    if (victim) {
        ws->sqlite.finalize(victim->statement);
        *victim = (struct cached){0};
    }
    return victim;
}

static enum lc take_statement(struct workspace *ws, const char *sql, struct workspace_rows *rows,
                              struct err *err)
{
    struct cached *c = slot_for(ws, sql);
    sqlite3_stmt *statement = c ? c->statement : NULL;

    *rows = (struct workspace_rows){.ws = ws, .cached = c != NULL};
    if (!statement)
        TRY(compile(ws, sql, &statement, err));
    if (c)
        *c = (struct cached){.sql = sql, .statement = statement, .used = true};
    rows->statement = statement;
    return LC_OK;
}

void workspace_rows_close(struct workspace_rows *rows)
{
    sqlite3_stmt *statement = rows->statement;

    if (!statement)
        return;
    rows->statement = NULL;
    if (!rows->cached) {
        rows->ws->sqlite.finalize(statement);
        return;
    }
    rows->ws->sqlite.reset(statement);
    rows->ws->sqlite.clear_bindings(statement);
    for (size_t i = 0; i < CACHE; i++)
        if (rows->ws->cache[i].statement == statement)
            rows->ws->cache[i].used = false;
}

static int bind_one(const struct sqlite_api *sqlite, sqlite3_stmt *s, int at, const struct workspace_value *v)
{
    switch (v->type) {
    case 't':
        return sqlite->bind_text(s, at, v->text, -1, SQLITE_TRANSIENT);
    case 'b':
        return sqlite->bind_blob64(s, at, v->text, (sqlite3_uint64)v->integer, SQLITE_TRANSIENT);
    case 'i':
        return sqlite->bind_int64(s, at, v->integer);
    case 'd':
        return sqlite->bind_double(s, at, v->real);
    default:
        return sqlite->bind_null(s, at);
    }
}

static enum lc bind(struct workspace_rows *rows, const char *types, va_list ap, struct err *err)
{
    for (int at = 1; types && types[at - 1]; at++) {
        struct workspace_value v = {.type = types[at - 1]};
        if (v.type == 't' || v.type == 'b')
            v.text = va_arg(ap, const char *);
        if (v.type == 'b')
            v.integer = (int64_t)va_arg(ap, size_t);
        else if (v.type == 'i')
            v.integer = va_arg(ap, int64_t);
        else if (v.type == 'd')
            v.real = va_arg(ap, double);
        if (bind_one(&rows->ws->sqlite, rows->statement, at, &v) != SQLITE_OK)
            return fail(rows->ws, err, "ask");
    }
    return LC_OK;
}

static enum lc open_rows(struct workspace *ws, struct workspace_rows *rows, struct err *err, const char *sql,
                         const char *types, va_list ap)
{
    enum lc rc = take_statement(ws, sql, rows, err);

    if (rc == LC_OK)
        rc = bind(rows, types, ap, err);
    if (rc != LC_OK)
        workspace_rows_close(rows);
    return rc;
}

enum lc workspace_query(struct workspace *ws, struct workspace_rows *rows, struct err *err, const char *sql,
                        const char *types, ...)
{
    va_list ap;
    enum lc rc;

    va_start(ap, types);
    rc = open_rows(ws, rows, err, sql, types, ap);
    va_end(ap);
    return rc;
}

enum lc workspace_query_values(struct workspace *ws, struct workspace_rows *rows, struct err *err,
                               const char *sql, const struct workspace_value *values, size_t n)
{
    sqlite3_stmt *statement = NULL;

    *rows = (struct workspace_rows){.ws = ws};
    TRY(compile(ws, sql, &statement, err));
    rows->statement = statement;
    for (size_t i = 0; i < n; i++)
        if (bind_one(&ws->sqlite, statement, (int)i + 1, &values[i]) != SQLITE_OK) {
            enum lc rc = fail(ws, err, "ask");
            workspace_rows_close(rows);
            return rc;
        }
    return LC_OK;
}

bool workspace_next(struct workspace_rows *rows, enum lc *rc, struct err *err)
{
    int step = rows->statement ? rows->ws->sqlite.step(rows->statement) : SQLITE_DONE;

    if (step == SQLITE_ROW)
        return true;
    if (step != SQLITE_DONE)
        *rc = fail(rows->ws, err, rows->ws->sqlite.stmt_readonly(rows->statement) ? "read" : "write");
    return false;
}

enum lc workspace_exec(struct workspace *ws, struct err *err, const char *sql, const char *types, ...)
{
    struct workspace_rows rows;
    va_list ap;
    enum lc rc;

    va_start(ap, types);
    rc = open_rows(ws, &rows, err, sql, types, ap);
    va_end(ap);
    while (rc == LC_OK && workspace_next(&rows, &rc, err))
        ;
    workspace_rows_close(&rows);
    return rc;
}

int64_t workspace_changes(const struct workspace *ws)
{
    return ws->sqlite.changes64(ws->db);
}

int64_t workspace_last_id(const struct workspace *ws)
{
    return ws->sqlite.last_insert_rowid(ws->db);
}

bool workspace_is_null(const struct workspace_rows *rows, int column)
{
    return rows->ws->sqlite.column_type(rows->statement, column) == SQLITE_NULL;
}

const char *workspace_text(const struct workspace_rows *rows, int column)
{
    const char *text = (const char *)rows->ws->sqlite.column_text(rows->statement, column);

    return text ? text : "";
}

const void *workspace_blob(const struct workspace_rows *rows, int column, size_t *len)
{
    const void *data = rows->ws->sqlite.column_blob(rows->statement, column);

    *len = (size_t)rows->ws->sqlite.column_bytes(rows->statement, column);
    return data;
}

int64_t workspace_int(const struct workspace_rows *rows, int column)
{
    return rows->ws->sqlite.column_int64(rows->statement, column);
}

double workspace_real(const struct workspace_rows *rows, int column)
{
    return rows->ws->sqlite.column_double(rows->statement, column);
}

/* ---- transactions ------------------------------------------------------------------------------------ */

enum lc workspace_begin(struct workspace *ws, struct err *err)
{
    TRY(workspace_exec(ws, err, ws->depth == 0 ? "BEGIN IMMEDIATE" : "SAVEPOINT inner", NULL));
    ws->depth++;
    return LC_OK;
}

static void roll_back(struct workspace *ws)
{
    if (ws->sqlite.get_autocommit(ws->db))
        return; /* a full disk has rolled all of it back already */
    if (ws->depth == 0)
        ws->sqlite.exec(ws->db, "ROLLBACK", NULL, NULL, NULL);
    else
        ws->sqlite.exec(ws->db, "ROLLBACK TO inner; RELEASE inner", NULL, NULL, NULL);
}

enum lc workspace_end(struct workspace *ws, enum lc rc, struct err *err)
{
    ws->depth--;
    if (rc == LC_OK && ws->sqlite.get_autocommit(ws->db))
        return err_set(err, LC_IO, "cannot write the workspace '%s': the transaction was rolled back",
                       ws->path);
    if (rc == LC_OK)
        rc = workspace_exec(ws, err, ws->depth == 0 ? "COMMIT" : "RELEASE inner", NULL);
    if (rc != LC_OK)
        roll_back(ws);
    return rc;
}

/* ---- migrations -------------------------------------------------------------------------------------- */

static enum lc component_version(struct workspace *ws, const char *component, int64_t *version,
                                 struct err *err)
{
    struct workspace_rows rows;
    enum lc rc =
        workspace_query(ws, &rows, err, "SELECT version FROM components WHERE name = ?", "t", component);

    *version = 0;
    if (rc == LC_OK && workspace_next(&rows, &rc, err))
        *version = workspace_int(&rows, 0);
    workspace_rows_close(&rows);
    return rc;
}

/* Runs under the write lock: another process may have made the steps while this one waited for it. */
static enum lc make_steps(struct workspace *ws, const char *component, const char *const *steps, size_t n,
                          struct err *err)
{
    int64_t version;

    TRY(component_version(ws, component, &version, err));
    for (size_t i = (size_t)version; i < n; i++)
        if (run_text(ws, steps[i], "migrate", err) != LC_OK)
            return err_wrap(err, "cannot bring '%s' in the workspace '%s' to version %zu", component,
                            ws->path, i + 1);
    return workspace_exec(ws, err,
                          "INSERT INTO components VALUES(?, ?) ON CONFLICT(name) DO UPDATE SET version = "
                          "max(version, excluded.version)",
                          "ti", component, (int64_t)n);
}

enum lc workspace_migrate(struct workspace *ws, const char *component, const char *const *steps, size_t n,
                          struct err *err)
{
    int64_t version;
    enum lc rc;

    TRY(component_version(ws, component, &version, err));
    if (version > (int64_t)n)
        return newer(ws, component, version, (int64_t)n, err);
    if (version == (int64_t)n)
        return LC_OK;
    TRY(workspace_begin(ws, err));
    rc = make_steps(ws, component, steps, n, err);
    return workspace_end(ws, rc, err);
}
