#include "runtime/session/history.h"
#include "runtime/base/fs.h"
#include "runtime/session/session_int.h"
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

enum { HISTORY_VERSION = 2, BUSY_MS = 5000, MOST = 100000, LINGER_MS = 200, OUTPUT_BYTES_MAX = 64 << 10 };

struct entry {
    struct entry *next;
    int line;
    size_t len, output_len; /* output_len 0: no result */
    char text[];            /* the cell, then its result */
};

struct history {
    char *path; /* owned */
    char session_id[UUID_TEXT];
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct entry *first, **last;
    bool writing, closing;
    int asked;            /* who waits until all is written */
    sqlite3_int64 number; /* of this session; 0 until the first cell is stored */
    struct err failure;   /* code LC_OK: none */
    bool told;
};

/* ---- the database ---- */
static enum lc sqlite_failed(sqlite3 *db, const char *path, struct err *err)
{
    err_set(err, LC_IO, "cannot use the history '%s': %s", path, db ? sqlite3_errmsg(db) : "no memory");
    sqlite3_close(db);
    return LC_IO;
}

static int user_version(sqlite3 *db)
{
    sqlite3_stmt *q;
    int version = -1;

    if (sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &q, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(q) == SQLITE_ROW)
        version = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return version;
}

/* What leads from each version to the next; 0 is an empty file. */
static const char *const steps[HISTORY_VERSION] = {
    "CREATE TABLE sessions(session INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, started TEXT NOT "
    "NULL);"
    "CREATE TABLE cells(session INTEGER NOT NULL, line INTEGER NOT NULL, source TEXT NOT NULL, "
    "PRIMARY KEY(session, line));",
    "ALTER TABLE cells ADD COLUMN output TEXT;",
};

/* Several processes may come at once: the version is looked at again when no other can write. */
static bool migrate(sqlite3 *db)
{
    char pragma[64];
    bool ok = sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
                           NULL, NULL, NULL) == SQLITE_OK;

    for (int v = user_version(db); ok && v < HISTORY_VERSION; v++)
        ok = v >= 0 && sqlite3_exec(db, steps[v], NULL, NULL, NULL) == SQLITE_OK;
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d; COMMIT", HISTORY_VERSION);
    return ok && sqlite3_exec(db, pragma, NULL, NULL, NULL) == SQLITE_OK;
}

static enum lc open_database(const char *path, sqlite3 **out, struct err *err)
{
    sqlite3 *db = NULL;
    int version;

    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return sqlite_failed(db, path, err);
    sqlite3_busy_timeout(db, BUSY_MS);
    sqlite3_exec(db, "PRAGMA cache_size = -128", NULL, NULL, NULL); /* KiB: it is only appended to */
    version = user_version(db);
    if (version > HISTORY_VERSION) {
        sqlite3_close(db);
        return err_set(err, LC_UNSUPPORTED,
                       "cannot use the history '%s': a newer lacus wrote it (version %d)", path, version);
    }
    if (version < HISTORY_VERSION && !migrate(db))
        return sqlite_failed(db, path, err);
    *out = db;
    return LC_OK;
}

static sqlite3_int64 begin_session(sqlite3 *db, const char *id)
{
    char now[ISO_TEXT];
    sqlite3_stmt *q;
    sqlite3_int64 number = 0;

    clock_iso(clock_wall_ms(), now);
    if (sqlite3_prepare_v2(db, "INSERT INTO sessions(id, started) VALUES(?, ?)", -1, &q, NULL) != SQLITE_OK)
        return 0;
    sqlite3_bind_text(q, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_text(q, 2, now, -1, SQLITE_STATIC);
    if (sqlite3_step(q) == SQLITE_DONE)
        number = sqlite3_last_insert_rowid(db);
    sqlite3_finalize(q);
    return number;
}

static bool store(sqlite3_stmt *insert, sqlite3_int64 number, const struct entry *e)
{
    sqlite3_bind_int64(insert, 1, number);
    sqlite3_bind_int(insert, 2, e->line);
    sqlite3_bind_text64(insert, 3, e->text, e->len, SQLITE_STATIC, SQLITE_UTF8);
    if (e->output_len > 0)
        sqlite3_bind_text64(insert, 4, e->text + e->len, e->output_len, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(insert, 4);
    bool ok = sqlite3_step(insert) == SQLITE_DONE;
    sqlite3_reset(insert);
    return ok;
}

/* ---- the writer ---- */
static void free_entries(struct entry *e)
{
    for (struct entry *next; e; e = next) {
        next = e->next;
        mem_free(e);
    }
}

static void fail(struct history *h, const struct err *err)
{
    pthread_mutex_lock(&h->lock);
    h->failure = *err;
    free_entries(h->first);
    h->first = NULL;
    h->last = &h->first;
    h->writing = false;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

/* Cells that follow each other closely are written together: the session thread does not have to wake the writer
 * (and share the processor with it) for each. */
static void linger(struct history *h)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)LINGER_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!h->closing && h->asked == 0 && rc == 0)
        rc = pthread_cond_timedwait(&h->changed, &h->lock, &until);
}

/* Waits for entries; NULL: closing and nothing is left. */
static struct entry *take(struct history *h)
{
    struct entry *e;

    pthread_mutex_lock(&h->lock);
    h->writing = false;
    pthread_cond_broadcast(&h->changed);
    while (!h->first && !h->closing)
        pthread_cond_wait(&h->changed, &h->lock);
    linger(h);
    e = h->first;
    h->first = NULL;
    h->last = &h->first;
    h->writing = e != NULL;
    pthread_mutex_unlock(&h->lock);
    return e;
}

static bool write_entries(struct history *h, sqlite3 *db, sqlite3_stmt *insert, struct entry *e)
{
    bool ok = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK;

    if (ok && !h->number) {
        sqlite3_int64 number = begin_session(db, h->session_id);
        pthread_mutex_lock(&h->lock);
        h->number = number;
        pthread_mutex_unlock(&h->lock);
    }
    for (struct entry *p = e; ok && p; p = p->next)
        ok = store(insert, h->number, p);
    ok = ok && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    free_entries(e);
    return ok;
}

static void *writer(void *arg)
{
    static const char text[] =
        "INSERT OR REPLACE INTO cells(session, line, source, output) VALUES(?, ?, ?, ?)";
    struct history *h = arg;
    sqlite3_stmt *insert = NULL;
    sqlite3 *db;
    struct entry *e;
    struct err err;
    bool ok;

    if (open_database(h->path, &db, &err) != LC_OK) {
        fail(h, &err);
        return NULL;
    }
    ok = sqlite3_prepare_v2(db, text, -1, &insert, NULL) == SQLITE_OK;
    while (ok && (e = take(h)) != NULL)
        ok = write_entries(h, db, insert, e);
    if (!ok) {
        err_set(&err, LC_IO, "cannot write the history '%s': %s", h->path, sqlite3_errmsg(db));
        fail(h, &err);
    }
    sqlite3_finalize(insert);
    sqlite3_close(db);
    return NULL;
}

/* ---- the session's side ---- */
void history_open(struct session *s, const char *path)
{
    struct history *h = mem_zalloc(sizeof *h);

    if (!h)
        return;
    h->path = mem_strdup(path);
    if (!h->path) {
        mem_free(h);
        return;
    }
    memcpy(h->session_id, s->id, sizeof h->session_id);
    h->last = &h->first;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    s->history = h;
}

static void tell_failure(struct session *s, struct history *h)
{
    char line[sizeof h->failure.message + 32];

    if (h->told)
        return;
    h->told = true;
    snprintf(line, sizeof line, "%s; this session keeps no history\n", h->failure.message);
    session_print(s, STREAM_STDERR, line, strlen(line));
}

static bool start(struct history *h)
{
    struct err err;
    char *slash, *folder = mem_strdup(h->path);

    if (folder && (slash = strrchr(folder, '/')) != NULL && slash > folder) {
        *slash = '\0';
        if (fs_mkdirs(folder, &err) != LC_OK)
            h->failure = err;
    }
    mem_free(folder);
    h->started = h->failure.code == LC_OK && pthread_create(&h->thread, NULL, writer, h) == 0;
    return h->started;
}

/* As much of a result as is kept, whole characters. */
static size_t kept_output(const char *output)
{
    size_t len = output ? strlen(output) : 0;

    if (len <= OUTPUT_BYTES_MAX)
        return len;
    len = OUTPUT_BYTES_MAX;
    while (len > 0 && ((unsigned char)output[len] & 0xC0) == 0x80)
        len--;
    return len;
}

void history_add(struct session *s, int line, const char *text, size_t len, const char *output)
{
    size_t output_len = kept_output(output);
    struct history *h = s->history;
    struct entry *e;
    bool failed;

    if (!h || len == 0 || (!h->started && !h->told && !start(h)))
        return;
    pthread_mutex_lock(&h->lock);
    failed = h->failure.code != LC_OK;
    pthread_mutex_unlock(&h->lock);
    if (failed) {
        tell_failure(s, h);
        return;
    }
    e = mem_alloc(sizeof *e + len + output_len);
    if (!e)
        return;
    e->next = NULL;
    e->line = line;
    e->len = len;
    e->output_len = output_len;
    memcpy(e->text, text, len);
    memcpy(e->text + len, output ? output : "", output_len);
    pthread_mutex_lock(&h->lock);
    if (!h->first)
        pthread_cond_broadcast(&h->changed);
    *h->last = e;
    h->last = &e->next;
    pthread_mutex_unlock(&h->lock);
}

void history_close(struct session *s)
{
    struct history *h = s->history;

    if (!h)
        return;
    if (h->started) {
        pthread_mutex_lock(&h->lock);
        h->closing = true;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->thread, NULL);
    }
    free_entries(h->first);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->changed);
    mem_free(h->path);
    mem_free(h);
    s->history = NULL;
}

/* Everything that was added is in the file. */
static void flush(struct history *h)
{
    if (!h->started)
        return;
    pthread_mutex_lock(&h->lock);
    h->asked++;
    pthread_cond_broadcast(&h->changed);
    while ((h->first || h->writing) && h->failure.code == LC_OK)
        pthread_cond_wait(&h->changed, &h->lock);
    h->asked--;
    pthread_mutex_unlock(&h->lock);
}

/* ---- answers ---- */
struct request {
    const char *type, *pattern;
    sqlite3_int64 session, start, stop, n;
    bool output, unique;
};

static sqlite3_int64 integer(json_t *object, const char *name, sqlite3_int64 otherwise)
{
    json_t *value = json_object_get(object, name);

    return json_is_integer(value) ? (sqlite3_int64)json_integer_value(value) : otherwise;
}

static struct request read_request(json_t *object, const struct history *h)
{
    const char *type = json_string_value(json_object_get(object, "hist_access_type"));
    const char *pattern = json_string_value(json_object_get(object, "pattern"));
    struct request r = {
        .type = type ? type : "tail",
        .pattern = pattern ? pattern : "*",
        .session = integer(object, "session", 0),
        .start = integer(object, "start", 1),
        .stop = integer(object, "stop", INT32_MAX),
        .n = integer(object, "n", MOST),
        .output = json_is_true(json_object_get(object, "output")),
        .unique = json_is_true(json_object_get(object, "unique")),
    };

    if (r.n < 0 || r.n > MOST)
        r.n = MOST;
    if (r.session <= 0) /* 0 is this session, -1 the one before */
        r.session += h->number ? h->number : INT32_MAX;
    return r;
}

/* The newest of what is asked for, told in the order in which it ran. unique: of cells with the same text the last
 * one. */
#define NEWEST(from)                                                                                         \
    "SELECT * FROM (SELECT session, line, source, output FROM " from                                         \
    " ORDER BY session DESC, line DESC LIMIT ?4) ORDER BY session, line"
#define LAST_OF_EACH(where)                                                                                  \
    "(SELECT session, line, source, output, row_number() OVER (PARTITION BY source ORDER BY session DESC, "  \
    "line DESC) "                                                                                            \
    "AS n FROM cells" where ") WHERE n = 1"

static sqlite3_stmt *prepare(sqlite3 *db, const struct request *r)
{
    static const char range[] =
        "SELECT session, line, source, output FROM cells WHERE session = ?1 AND line >= ?2 AND "
        "line < ?3 ORDER BY line LIMIT ?4";
    static const char *const tail[] = {NEWEST("cells"), NEWEST(LAST_OF_EACH(""))};
    static const char *const search[] = {NEWEST("cells WHERE source GLOB ?5"),
                                         NEWEST(LAST_OF_EACH(" WHERE source GLOB ?5"))};
    bool ranged = strcmp(r->type, "range") == 0, searched = strcmp(r->type, "search") == 0;
    const char *text = ranged ? range : searched ? search[r->unique] : tail[r->unique];
    sqlite3_stmt *q = NULL;

    if (sqlite3_prepare_v2(db, text, -1, &q, NULL) != SQLITE_OK)
        return NULL;
    if (ranged) {
        sqlite3_bind_int64(q, 1, r->session);
        sqlite3_bind_int64(q, 2, r->start);
        sqlite3_bind_int64(q, 3, r->stop);
    }
    sqlite3_bind_int64(q, 4, r->n);
    if (searched)
        sqlite3_bind_text(q, 5, r->pattern, -1, SQLITE_STATIC);
    return q;
}

static json_t *column_text(sqlite3_stmt *q, int column)
{
    const char *text = (const char *)sqlite3_column_text(q, column);

    return text ? session_json_text(text, (size_t)sqlite3_column_bytes(q, column)) : json_null();
}

static void add_rows(json_t *list, sqlite3_stmt *q, bool output)
{
    while (sqlite3_step(q) == SQLITE_ROW) {
        json_t *source = column_text(q, 2);
        json_t *item = output ? json_pack("[oo]", source, column_text(q, 3)) : source;
        json_array_append_new(list, json_pack("[IIo]", (json_int_t)sqlite3_column_int64(q, 0),
                                              (json_int_t)sqlite3_column_int64(q, 1), item));
    }
}

json_t *session_history(struct session *s, json_t *request)
{
    struct history *h = s->history;
    json_t *list = json_array();
    sqlite3 *db;
    sqlite3_stmt *q;

    if (h && (h->started || fs_exists(h->path))) {
        flush(h);
        if (open_database(h->path, &db, NULL) == LC_OK) {
            struct request r = read_request(request, h);
            q = prepare(db, &r);
            if (q)
                add_rows(list, q, r.output);
            sqlite3_finalize(q);
            sqlite3_close(db);
        }
    }
    return json_pack("{ssso}", "status", "ok", "history", list);
}
