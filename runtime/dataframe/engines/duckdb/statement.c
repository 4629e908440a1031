/* statement.c: one statement of DuckDB, from its text to its rows. */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/thread.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TELL_AFTER_MS = 2000, TELL_EVERY_MS = 250, ORPHANS_END_MS = 5000 };

static enum lc failed(struct statement *s, const struct watched *w, const char *text, struct err *err)
{
    return duck_fail(s->ctx, w->stopped, text, err);
}

static enum lc prepare(struct statement *s, const char *sql, struct watched *w, struct err *err)
{
    struct duck_api *api = &s->e->api;

    if (api->duckdb_prepare(s->connection, sql, &s->prepared) != DuckDBSuccess)
        return failed(s, w, api->duckdb_prepare_error(s->prepared), err);
    return LC_OK;
}

/* ---- interrupted statements ---- */
struct orphan {
    struct statement s;
    struct watched w; /* so that functions of Lua that run for it stop, too */
    char *folder;     /* owned: what it wrote so far, to be removed; may be NULL */
    bool stop,
        left; /* of a statement with a thread of its own; under engine's watch: end; nobody waits for it */
    bool done, bad; /* its thread has nothing to do any more; the query failed */
    pthread_t thread;
};

static void end_tasks(struct statement *s)
{
    struct duck_api *api = &s->e->api;
    duckdb_pending_state state;

    api->duckdb_interrupt(s->connection);
    do /* its next task finds the interrupt, and ends the query with all its tasks */
        state = api->duckdb_pending_execute_task(s->pending);
    while (state != DUCKDB_PENDING_ERROR && !api->duckdb_pending_execution_is_finished(state));
}

static void *clear_away(void *arg)
{
    struct orphan *o = arg;
    struct engine *e = o->s.e;

    end_tasks(&o->s);
    watch_forget_connection(e, &o->w); /* it is closed next; functions of other threads still have to stop */
    statement_close(&o->s);
    watch_end(e, &o->w);
    if (o->folder)
        (void)!fs_remove_tree(o->folder, NULL);
    mem_free(o->folder);
    pthread_mutex_lock(&e->watch);
    e->orphans--;
    pthread_cond_broadcast(&e->cleared);
    pthread_mutex_unlock(&e->watch);
    mem_free(o);
    return NULL;
}

/* Leaves the statement to a thread that ends it and frees what it holds. false: there is none, the caller has to do it. */
static bool leave(struct statement *s)
{
    struct orphan *o = mem_zalloc(sizeof *o);
    struct engine *e = s->e;
    pthread_t thread;

    if (!o)
        return false;
    o->s = *s;
    o->s.ctx = NULL;
    watch_begin(&o->w, NULL, s);
    o->w.stopped = true;
    pthread_mutex_lock(&e->watch);
    e->orphans++;
    pthread_mutex_unlock(&e->watch);
    if (thread_start(&thread, clear_away, o) == 0) {
        pthread_detach(thread);
        *s = (struct statement){.e = e, .ctx = s->ctx};
        return true;
    }
    watch_end(e, &o->w);
    pthread_mutex_lock(&e->watch);
    e->orphans--;
    pthread_mutex_unlock(&e->watch);
    mem_free(o);
    return false;
}

static void wait_a_little(struct engine *e);

bool statement_await_orphans(struct engine *e)
{
    int64_t end = clock_mono_ns() + ORPHANS_END_MS * 1000000LL;
    bool cleared;

    pthread_mutex_lock(&e->watch);
    while (e->orphans && clock_mono_ns() < end)
        wait_a_little(e);
    cleared = e->orphans == 0;
    pthread_mutex_unlock(&e->watch);
    return cleared;
}

static bool given_up(enum lc code)
{
    return code == LC_CANCELLED || code == LC_TIMEOUT;
}

/* ---- running ---- */
/* While other threads have all the tasks; longer and longer, at most half a millisecond. */
static void nap(int *turns)
{
    struct timespec t = {.tv_nsec = *turns < 5 ? 20000 : *turns < 50 ? 100000 : 500000};

    ++*turns;
    nanosleep(&t, NULL);
}

struct told { /* when somebody hears of the progress */
    int64_t next;
    bool any;
};

static void tell(struct statement *s, struct told *t)
{
    const struct ctx_progress *p = s->ctx ? s->ctx->progress : NULL;
    int64_t now;

    if (!p || (now = clock_mono_ns()) < t->next)
        return;
    t->any = true;
    t->next = now + TELL_EVERY_MS * 1000000LL;
    p->told(p->self, s->e->api.duckdb_query_progress(s->connection).percentage / 100);
}

static enum lc next_tasks(struct statement *s, const struct watched *w, struct told *told, struct err *err)
{
    struct duck_api *api = &s->e->api;
    int turns = 0;

    for (;;) {
        duckdb_pending_state state = api->duckdb_pending_execute_task(s->pending);

        if (state == DUCKDB_PENDING_ERROR)
            return failed(s, w, api->duckdb_pending_error(s->pending), err);
        if (api->duckdb_pending_execution_is_finished(state))
            return LC_OK;
        TRY(ctx_check(s->ctx, err));
        if (w->stopped)
            return err_set(err, LC_CANCELLED, "the query was interrupted");
        tell(s, told);
        if (state == DUCKDB_PENDING_NO_TASKS_AVAILABLE)
            nap(&turns);
        else
            turns = 0;
    }
}

/* Until rows can be had. LC_CANCELLED and the like when ctx says so. */
static enum lc run_tasks(struct statement *s, const struct watched *w, struct err *err)
{
    struct told told = {.next = clock_mono_ns() + TELL_AFTER_MS * 1000000LL};
    enum lc code = next_tasks(s, w, &told, err);

    if (told.any)
        s->ctx->progress->told(s->ctx->progress->self, CTX_PROGRESS_OVER);
    return code;
}

/* The folder's new name, out of the place that is written to: nobody sees what still comes into it. NULL: it stays where it is. */
static char *move_aside(const char *folder)
{
    char *whole = folder ? realpath(folder, NULL) : NULL, *name = NULL, *end;
    const char *base = whole ? fs_basename(whole) : NULL;

    if (whole && (end = strrchr(whole, '/')) != NULL && end != whole) { /* /above/place/folder */
        *end = '\0';
        end = strrchr(whole, '/');
        name = mem_printf("%.*s/.%s", (int)(end - whole), whole, base);
    }
    if (name && rename(folder, name) != 0) {
        mem_free(name);
        name = NULL;
    }
    free(whole); /* realpath's */
    return name;
}

/* ---- writes ---- */
/* A task of a write may take long (a row group that is packed): a thread of its own runs them, and an interrupt does not wait for it. */
static void *work_apart(void *arg)
{
    struct orphan *o = arg;
    struct engine *e = o->s.e;
    struct duck_api *api = &e->api;
    bool stop = false, left;
    int turns = 0;

    while (!stop) {
        duckdb_pending_state state = api->duckdb_pending_execute_task(o->s.pending);

        o->bad = state == DUCKDB_PENDING_ERROR;
        if (o->bad || api->duckdb_pending_execution_is_finished(state))
            break;
        if (state == DUCKDB_PENDING_NO_TASKS_AVAILABLE)
            nap(&turns);
        else
            turns = 0;
        pthread_mutex_lock(&e->watch);
        stop = o->stop;
        pthread_mutex_unlock(&e->watch);
    }
    pthread_mutex_lock(&e->watch);
    o->done = true;
    left = o->left;
    pthread_cond_broadcast(&e->cleared);
    pthread_mutex_unlock(&e->watch);
    return left ? clear_away(o) : NULL;
}

/* Until its thread is done, ctx says so or some time has passed. Under the lock. */
static void wait_a_little(struct engine *e)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 2000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&e->cleared, &e->watch, &until);
}

static enum lc await(struct orphan *o, struct statement *s, const struct watched *w, struct err *err)
{
    struct engine *e = s->e;
    struct told told = {.next = clock_mono_ns() + TELL_AFTER_MS * 1000000LL};
    bool done = false;
    enum lc code = LC_OK;

    while (!done && code == LC_OK) {
        pthread_mutex_lock(&e->watch);
        if (!o->done)
            wait_a_little(e);
        done = o->done;
        pthread_mutex_unlock(&e->watch);
        if (!done)
            code =
                w->stopped ? err_set(err, LC_CANCELLED, "the query was interrupted") : ctx_check(s->ctx, err);
        if (!done)
            tell(s, &told);
    }
    if (told.any)
        s->ctx->progress->told(s->ctx->progress->self, CTX_PROGRESS_OVER);
    return code;
}

/* It goes on without us, to its end, which the interrupt makes come soon. folder: what it writes into, or NULL. false: it has to be
 * waited for. */
static bool part_with(struct orphan *o, struct statement *s, struct watched *w, const char *folder)
{
    struct engine *e = s->e;
    char *aside = move_aside(folder);

    if (folder && !aside) {
        e->api.duckdb_interrupt(s->connection);
        return false;
    }
    watch_end(e, w); /* the connection is not ours any more */
    watch_begin(&o->w, NULL, s);
    o->w.stopped = true;
    pthread_mutex_lock(&e->watch);
    if (!o->done) {
        o->folder = aside;
        o->stop = o->left = true;
        e->orphans++;
        pthread_mutex_unlock(&e->watch);
        pthread_detach(o->thread);
        return true;
    }
    pthread_mutex_unlock(&e->watch);
    watch_end(e, &o->w);
    if (aside)
        (void)!fs_remove_tree(aside, NULL);
    mem_free(aside);
    return false;
}

static enum lc run_apart(struct statement *s, struct watched *w, const char *folder, struct err *err)
{
    struct orphan *o = mem_zalloc(sizeof *o);
    struct engine *e = s->e;
    enum lc code;

    if (!o)
        return err_nomem(err);
    o->s = *s;
    o->s.ctx = NULL;
    if (thread_start(&o->thread, work_apart, o) != 0) {
        mem_free(o);
        return run_tasks(s, w, err);
    }
    code = await(o, s, w, err);
    if (code != LC_OK && part_with(o, s, w, folder)) {
        *s = (struct statement){.e = e, .ctx = s->ctx};
        return code;
    }
    pthread_mutex_lock(&e->watch);
    o->stop = true;
    pthread_mutex_unlock(&e->watch);
    pthread_join(o->thread, NULL);
    if (code == LC_OK && o->bad)
        code = failed(s, w, e->api.duckdb_pending_error(s->pending), err);
    mem_free(o);
    return code;
}

/* apart: a task of it may take long, it has a thread of its own. */
static enum lc execute(struct statement *s, enum statement_kind kind, bool apart, const char *folder,
                       struct watched *w, struct err *err)
{
    struct duck_api *api = &s->e->api;
    duckdb_state state = kind == STATEMENT_STREAM && api->pending_streaming
                             ? api->pending_streaming(s->prepared, &s->pending)
                             : api->duckdb_pending_prepared(s->prepared, &s->pending);

    if (state != DuckDBSuccess)
        return failed(s, w, api->duckdb_pending_error(s->pending), err);
    TRY(apart ? run_apart(s, w, folder, err) : run_tasks(s, w, err));
    state = api->duckdb_execute_pending(s->pending, &s->result);
    s->has_result = true;
    return state == DuckDBSuccess ? LC_OK : failed(s, w, api->duckdb_result_error(&s->result), err);
}

static void discard(struct statement *s, enum statement_kind kind, bool interrupted)
{
    bool runs = interrupted && s->pending && !s->has_result;

    if (runs && kind != STATEMENT_WRITE && leave(s))
        return;
    if (runs)
        end_tasks(s);
    statement_close(s);
}

static idx_t connection_number(struct engine *e, duckdb_connection connection)
{
    duckdb_client_context context = NULL;
    idx_t number;

    e->api.duckdb_connection_get_client_context(connection, &context);
    number = e->api.duckdb_client_context_get_connection_id(context);
    e->api.duckdb_destroy_client_context(&context);
    return number;
}

static enum lc run(struct engine *e, const struct ctx *ctx, const char *sql, enum statement_kind kind,
                   const char *folder, struct statement *out, struct err *err)
{
    bool udf = strstr(sql, "lacus_udf_") != NULL;
    struct watched w;
    enum lc code;

    *out = (struct statement){.e = e, .ctx = ctx, .functions = udf && kind == STATEMENT_STREAM};
    TRY(ctx_check(ctx, err));
    if (e->api.duckdb_connect(e->database, &out->connection) != DuckDBSuccess)
        return err_set(err, LC_RUNTIME, "cannot open a connection to DuckDB");
    out->query = connection_number(e, out->connection);
    if (ctx && ctx->progress) /* it counts for those connections only that ask for it */
        (void)e->api.duckdb_query(
            out->connection, "SET enable_progress_bar_print = false; SET enable_progress_bar = true", NULL);
    watch_begin(&w, ctx, out);
    w.polled = true;
    code = prepare(out, sql, &w, err);
    if (code == LC_OK)
        code = execute(out, kind, folder || (udf && kind != STATEMENT_WRITE), folder, &w, err);
    watch_end(e, &w);
    if (code != LC_OK)
        discard(out, kind, given_up(code));
    return code;
}

enum lc statement_run(struct engine *e, const struct ctx *ctx, const char *sql, enum statement_kind kind,
                      struct statement *out, struct err *err)
{
    return run(e, ctx, sql, kind, NULL, out, err);
}

enum lc statement_run_into(struct engine *e, const struct ctx *ctx, const char *sql, const char *folder,
                           struct statement *out, struct err *err)
{
    return run(e, ctx, sql, STATEMENT_WRITE, folder, out, err);
}

enum lc statement_fetch(struct statement *s, duckdb_data_chunk *out, struct err *err)
{
    struct duck_api *api = &s->e->api;
    struct watched w;
    const char *text;

    TRY(ctx_check(s->ctx, err));
    if (!s->connection && !s->fetcher) /* an interrupt has taken it away */
        return err_set(err, LC_CANCELLED, "the query was interrupted");
    if (s->fetcher || (s->functions && fetcher_open(s)))
        return fetcher_next(s, out, err);
    watch_begin(&w, s->ctx, s);
    *out = api->duckdb_fetch_chunk(s->result);
    watch_end(s->e, &w);
    if (*out)
        return LC_OK;
    text = api->duckdb_result_error(&s->result);
    return text && *text ? failed(s, &w, text, err) : ctx_check(s->ctx, err);
}

void statement_close(struct statement *s)
{
    struct duck_api *api = &s->e->api;

    if (s->fetcher) {
        fetcher_close(s);
        return;
    }
    if (s->has_result)
        api->duckdb_destroy_result(&s->result);
    if (s->pending)
        api->duckdb_destroy_pending(&s->pending);
    if (s->prepared)
        api->duckdb_destroy_prepare(&s->prepared);
    if (s->connection)
        api->duckdb_disconnect(&s->connection);
    s->has_result = false;
}

enum lc duck_execute(struct engine *e, const struct ctx *ctx, const char *sql, struct err *err)
{
    struct statement s;

    TRY(statement_run(e, ctx, sql, STATEMENT_WRITE, &s, err));
    statement_close(&s);
    return LC_OK;
}
