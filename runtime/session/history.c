#include "runtime/session/history.h"
#include "runtime/base/fs.h"
#include "runtime/base/thread.h"
#include "runtime/session/session_int.h"
#include "runtime/storage/sqlite_api.h"
#include <pthread.h>
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
struct store { /* one per thread that uses it, while it does */
    struct sqlite_api api;
    sqlite3 *db;
};

static void close_store(struct store *st)
{
    if (st->db)
        st->api.close(st->db);
    st->db = NULL;
}

static enum lc store_failed(struct store *st, const char *path, struct err *err)
{
    err_set(err, LC_IO, "cannot use the history '%s': %s", path,
            st->db ? st->api.errmsg(st->db) : "no memory");
    close_store(st);
    return LC_IO;
}

static bool run(struct store *st, const char *sql)
{
    return st->api.exec(st->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static sqlite3_stmt *statement(struct store *st, const char *sql)
{
    sqlite3_stmt *q = NULL;

    return st->api.prepare_v2(st->db, sql, -1, &q, NULL) == SQLITE_OK ? q : NULL;
}

static int user_version(struct store *st)
{
    sqlite3_stmt *q = statement(st, "PRAGMA user_version");
    int version = -1;

    if (!q)
        return -1;
    if (st->api.step(q) == SQLITE_ROW)
        version = st->api.column_int(q, 0);
    st->api.finalize(q);
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
static bool migrate(struct store *st)
{
    char pragma[64];
    bool ok = run(st, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE");

    for (int v = user_version(st); ok && v < HISTORY_VERSION; v++)
        ok = v >= 0 && run(st, steps[v]);
    snprintf(pragma, sizeof pragma, "PRAGMA user_version = %d; COMMIT", HISTORY_VERSION);
    return ok && run(st, pragma);
}

static enum lc open_store(const char *path, struct store *st, struct err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int version;

    st->db = NULL;
    TRY(sqlite_api_open(&st->api, err));
    if (st->api.open_v2(path, &st->db, flags, NULL) != SQLITE_OK)
        return store_failed(st, path, err);
    st->api.busy_timeout(st->db, BUSY_MS);
    run(st, "PRAGMA cache_size = -128"); /* KiB: it is only appended to */
    version = user_version(st);
    if (version > HISTORY_VERSION) {
        close_store(st);
        return err_set(err, LC_UNSUPPORTED,
                       "cannot use the history '%s': a newer lacus wrote it (version %d)", path, version);
    }
    if (version < HISTORY_VERSION && !migrate(st))
        return store_failed(st, path, err);
    return LC_OK;
}

static sqlite3_int64 begin_session(struct store *st, const char *id)
{
    char now[ISO_TEXT];
    sqlite3_stmt *q = statement(st, "INSERT INTO sessions(id, started) VALUES(?, ?)");
    sqlite3_int64 number = 0;

    if (!q)
        return 0;
    clock_iso(clock_wall_ms(), now);
    st->api.bind_text(q, 1, id, -1, SQLITE_STATIC);
    st->api.bind_text(q, 2, now, -1, SQLITE_STATIC);
    if (st->api.step(q) == SQLITE_DONE)
        number = st->api.last_insert_rowid(st->db);
    st->api.finalize(q);
    return number;
}

static bool insert_entry(struct store *st, sqlite3_stmt *insert, sqlite3_int64 number, const struct entry *e)
{
    st->api.bind_int64(insert, 1, number);
    st->api.bind_int(insert, 2, e->line);
    st->api.bind_text64(insert, 3, e->text, e->len, SQLITE_STATIC, SQLITE_UTF8);
    if (e->output_len > 0)
        st->api.bind_text64(insert, 4, e->text + e->len, e->output_len, SQLITE_STATIC, SQLITE_UTF8);
    else
        st->api.bind_null(insert, 4);
    bool ok = st->api.step(insert) == SQLITE_DONE;
    st->api.reset(insert);
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

static bool write_entries(struct history *h, struct store *st, sqlite3_stmt *insert, struct entry *e)
{
    bool ok = run(st, "BEGIN IMMEDIATE");

    if (ok && !h->number) {
        sqlite3_int64 number = begin_session(st, h->session_id);
        pthread_mutex_lock(&h->lock);
        h->number = number;
        pthread_mutex_unlock(&h->lock);
    }
    for (struct entry *p = e; ok && p; p = p->next)
        ok = insert_entry(st, insert, h->number, p);
    ok = ok && run(st, "COMMIT");
    free_entries(e);
    return ok;
}

static void *writer(void *arg)
{
    static const char text[] =
        "INSERT OR REPLACE INTO cells(session, line, source, output) VALUES(?, ?, ?, ?)";
    struct history *h = arg;
    sqlite3_stmt *insert;
    struct store st;
    struct entry *e;
    struct err err;
    bool ok;

    if (open_store(h->path, &st, &err) != LC_OK) {
        fail(h, &err);
        return NULL;
    }
    insert = statement(&st, text);
    ok = insert != NULL;
    while (ok && (e = take(h)) != NULL)
        ok = write_entries(h, &st, insert, e);
    if (!ok) {
        err_set(&err, LC_IO, "cannot write the history '%s': %s", h->path, st.api.errmsg(st.db));
        fail(h, &err);
    }
    st.api.finalize(insert);
    close_store(&st);
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
    char line[sizeof h->failure.message + sizeof h->failure.hint + 40];
    const char *hint = h->failure.hint;

    if (h->told)
        return;
    h->told = true;
    snprintf(line, sizeof line, "%s; this session keeps no history%s%s\n", h->failure.message,
             hint[0] ? "; " : "", hint);
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
    h->started = h->failure.code == LC_OK && thread_start(&h->thread, writer, h) == 0;
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

static sqlite3_stmt *prepare(struct store *st, const struct request *r)
{
    static const char range[] =
        "SELECT session, line, source, output FROM cells WHERE session = ?1 AND line >= ?2 AND "
        "line < ?3 ORDER BY line LIMIT ?4";
    static const char *const tail[] = {NEWEST("cells"), NEWEST(LAST_OF_EACH(""))};
    static const char *const search[] = {NEWEST("cells WHERE source GLOB ?5"),
                                         NEWEST(LAST_OF_EACH(" WHERE source GLOB ?5"))};
    bool ranged = strcmp(r->type, "range") == 0, searched = strcmp(r->type, "search") == 0;
    const char *text = ranged ? range : searched ? search[r->unique] : tail[r->unique];
    sqlite3_stmt *q = statement(st, text);

    if (!q)
        return NULL;
    if (ranged) {
        st->api.bind_int64(q, 1, r->session);
        st->api.bind_int64(q, 2, r->start);
        st->api.bind_int64(q, 3, r->stop);
    }
    st->api.bind_int64(q, 4, r->n);
    if (searched)
        st->api.bind_text(q, 5, r->pattern, -1, SQLITE_STATIC);
    return q;
}

static json_t *column_text(struct store *st, sqlite3_stmt *q, int column)
{
    const char *text = (const char *)st->api.column_text(q, column);

    return text ? session_json_text(text, (size_t)st->api.column_bytes(q, column)) : json_null();
}

static void add_rows(json_t *list, struct store *st, sqlite3_stmt *q, bool output)
{
    while (st->api.step(q) == SQLITE_ROW) {
        json_t *source = column_text(st, q, 2);
        json_t *item = output ? json_pack("[oo]", source, column_text(st, q, 3)) : source;
        json_array_append_new(list, json_pack("[IIo]", (json_int_t)st->api.column_int64(q, 0),
                                              (json_int_t)st->api.column_int64(q, 1), item));
    }
}

/* NULL: it is one that there is, or left out. */
static json_t *wrong_type(json_t *request)
{
    static const char *const types[] = {"tail", "range", "search"};
    json_t *type = json_object_get(request, "hist_access_type");
    const char *text = json_string_value(type);

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!type || (text && strcmp(text, types[i]) == 0))
            return NULL;
    return json_pack(
        "{ss ss so s[]}", "status", "error", "ename", lc_ename(LC_ARG), "evalue",
        json_sprintf("hist_access_type is 'tail', 'range' or 'search', not '%s'", text ? text : "(no text)"),
        "traceback");
}

json_t *session_history(struct session *s, json_t *request)
{
    struct history *h = s->history;
    json_t *list = wrong_type(request);

    if (list)
        return list;
    list = json_array();
    struct store st;
    sqlite3_stmt *q;

    if (h && (h->started || fs_exists(h->path))) {
        flush(h);
        if (open_store(h->path, &st, NULL) == LC_OK) {
            struct request r = read_request(request, h);
            q = prepare(&st, &r);
            if (q)
                add_rows(list, &st, q, r.output);
            st.api.finalize(q);
            close_store(&st);
        }
    }
    return json_pack("{ssso}", "status", "ok", "history", list);
}
