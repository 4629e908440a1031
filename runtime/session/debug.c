/* The debugger's life: breakpoints, the stop, stepping, jobs. What is looked at while it stands is in debug_frames.c,
 * debug_values.c and debug_eval.c. */
#include "runtime/session/debug.h"
#include "runtime/base/fs.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/lines.h"
#include "runtime/session/session_int.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- life ---- */
enum lc debug_new(const struct debug_front *front, struct debug **out, struct err *err)
{
    struct debug *d = mem_zalloc(sizeof *d);

    if (!d)
        return err_nomem(err);
    d->front = *front;
    d->jobs_end = &d->jobs;
    d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->wake_fd < 0) {
        mem_free(d);
        return err_errno(err, errno, "cannot open a debugger");
    }
    pthread_mutex_init(&d->lock, NULL);
    *out = d;
    return LC_OK;
}

static void breakpoint_release(struct breakpoint *b)
{
    mem_free(b->condition);
    mem_free(b->hit);
    mem_free(b->log);
}

static void source_free(struct source *src)
{
    for (size_t i = 0; i < src->n; i++)
        breakpoint_release(&src->list[i]);
    mem_free(src->list);
    mem_free(src->path);
    mem_free(src);
}

static void forget_sources_locked(struct debug *d)
{
    while (d->sources) {
        struct source *src = d->sources;
        d->sources = src->next;
        source_free(src);
    }
    d->n_breakpoints = 0;
    for (size_t i = 0; i < sizeof d->line_bits; i++)
        atomic_store(&d->line_bits[i], 0);
}

void debug_free(struct debug *d)
{
    if (!d)
        return;
    forget_sources_locked(d);
    for (size_t i = 0; i < DEBUG_CHUNKS; i++) {
        mem_free(d->chunks[i].name);
        mem_free(d->chunks[i].path);
    }
    mem_free(d->frames);
    mem_free(d->refs);
    close(d->wake_fd);
    pthread_mutex_destroy(&d->lock);
    mem_free(d);
}

void debug_bind(struct debug *d, struct session *s)
{
    pthread_mutex_lock(&d->lock);
    d->session = s;
    s->debug = d;
    pthread_mutex_unlock(&d->lock);
}

void debug_unbind(struct debug *d)
{
    struct debug_job *job;

    pthread_mutex_lock(&d->lock);
    if (d->session) {
        hook_withdraw(d->session, HOOK_LINES | HOOK_RETURNS | HOOK_PAUSE | HOOK_JOBS);
        d->session->debug = NULL;
    }
    d->session = NULL;
    d->work = NULL;
    job = d->jobs;
    d->jobs = NULL;
    d->jobs_end = &d->jobs;
    pthread_mutex_unlock(&d->lock);
    while (job) {
        struct debug_job *next = job->next;
        err_set(&job->err, LC_CANCELLED, "the session has ended");
        job->done(job);
        job = next;
    }
}

/* ---- what is hooked ---- */
static void rearm_locked(struct debug *d)
{
    bool lines = d->stepping || (atomic_load(&d->attached) && d->n_breakpoints > 0);

    if (!d->session)
        return;
    if (lines)
        hook_request(d->session, HOOK_LINES);
    else
        hook_withdraw(d->session, HOOK_LINES);
}

static void wake_locked(struct debug *d)
{
    uint64_t one = 1;

    if (write(d->wake_fd, &one, sizeof one) < 0)
        return; /* the counter is full: it is awake */
}

/* ---- attaching ---- */
bool debug_attached(struct debug *d)
{
    return atomic_load(&d->attached);
}

void debug_attach(struct debug *d, bool on)
{
    pthread_mutex_lock(&d->lock);
    atomic_store(&d->attached, on);
    if (!on) {
        forget_sources_locked(d);
        atomic_store(&d->filters, 0);
        if (d->stopped)
            d->order = DEBUG_CONTINUE;
        wake_locked(d);
    }
    rearm_locked(d);
    pthread_mutex_unlock(&d->lock);
}

void debug_set_filters(struct debug *d, unsigned filters)
{
    atomic_store(&d->filters, filters);
}

unsigned debug_filters(struct debug *d)
{
    return atomic_load(&d->filters);
}

void debug_cell_path(const struct debug *d, const char *text, size_t len, char *out, size_t size)
{
    snprintf(out, size, "%s%u%s", d->front.prefix, lines_murmur2(text, len, d->front.seed), d->front.suffix);
}

/* ---- breakpoints ---- */
static bool copy_text(json_t *from, const char *name, char **out)
{
    json_t *text = json_object_get(from, name);
    size_t len = json_string_length(text);

    if (!json_is_string(text) || len == 0)
        return true;
    if (len > DEBUG_TEXT_MAX)
        return false;
    *out = mem_strndup(json_string_value(text), len);
    return *out != NULL;
}

static bool fill_breakpoint(struct breakpoint *b, json_t *from)
{
    json_int_t line = json_integer_value(json_object_get(from, "line"));

    *b = (struct breakpoint){.line = line > 0 && line < 1 << 30 ? (int)line : 0};
    return copy_text(from, "condition", &b->condition) && copy_text(from, "hitCondition", &b->hit) &&
           copy_text(from, "logMessage", &b->log);
}

static json_t *answer_one(const struct breakpoint *b, const char *path, const char *problem)
{
    json_t *one = json_pack("{sisbsis{ss}}", "id", b->id, "verified", b->verified, "line", b->line, "source",
                            "path", path);

    if (problem)
        json_object_set_new(one, "message", json_string(problem));
    return one;
}

/* To the next line that has code. `lines` NULL: the text cannot be read; the breakpoint waits for a chunk of that name. */
static const char *place(struct breakpoint *b, const struct lines *lines, const struct err *problem)
{
    int line;

    if (!lines) {
        b->verified = problem->code == LC_NOTFOUND;
        return b->verified ? NULL : problem->message;
    }
    line = lines_next(lines, b->line);
    b->verified = line > 0;
    if (!b->verified)
        return "there is no code at this line or after it";
    b->line = line;
    return NULL;
}

static void count_locked(struct debug *d)
{
    unsigned char bits[sizeof d->line_bits] = {0};

    d->n_breakpoints = 0;
    for (struct source *src = d->sources; src; src = src->next)
        for (size_t i = 0; i < src->n; i++) {
            int line = (src->list[i].line - src->shift) % DEBUG_LINE_BITS; /* as the hook sees it */
            d->n_breakpoints += src->list[i].verified;
            if (src->list[i].verified && line >= 0)
                bits[line / 8] |= (unsigned char)(1 << line % 8);
        }
    for (size_t i = 0; i < sizeof bits; i++)
        atomic_store(&d->line_bits[i], bits[i]);
}

static void put_source_locked(struct debug *d, struct source *src, const char *path)
{
    for (struct source **at = &d->sources, *old; (old = *at) != NULL;)
        if (strcmp(old->path, path) == 0) {
            *at = old->next;
            source_free(old);
        } else {
            at = &old->next;
        }
    if (src->n > 0) {
        src->next = d->sources;
        d->sources = src;
    } else {
        source_free(src);
    }
    count_locked(d);
    rearm_locked(d);
}

static struct source *make_source(const char *path, json_t *list, struct err *err)
{
    struct source *src = mem_zalloc(sizeof *src);
    size_t n = json_array_size(list);
    bool ok = src && (src->path = mem_strdup(path)) != NULL &&
              (src->list = mem_calloc(n + 1, sizeof *src->list)) != NULL;

    for (; ok && src->n < n; src->n++)
        if (!fill_breakpoint(&src->list[src->n], json_array_get(list, src->n))) {
            breakpoint_release(&src->list[src->n]);
            ok = false;
        }
    if (ok)
        return src;
    if (src)
        source_free(src);
    err_set(err, LC_LIMIT, "a breakpoint's text has more than %d bytes, or there is no memory",
            DEBUG_TEXT_MAX);
    return NULL;
}

static enum lc read_lines(const char *path, const char *known, struct lines *lines, struct err *err)
{
    struct buf text = BUF_INIT(64 << 20);
    enum lc rc;

    if (known)
        return lines_of(known, strlen(known), lines, err);
    rc = debug_read_file(path, &text, err);
    if (rc == LC_OK)
        rc = lines_of(buf_str(&text), text.len, lines, err);
    buf_release(&text);
    return rc;
}

json_t *debug_set_breakpoints(struct debug *d, const char *path, const char *text, json_t *list,
                              struct err *err)
{
    struct lines lines = {0};
    struct err problem = {.code = LC_OK};
    struct source *src;
    json_t *answer = json_array();
    bool known = json_array_size(list) > 0 && read_lines(path, text, &lines, &problem) == LC_OK;

    if (json_array_size(list) > DEBUG_BREAKPOINTS_MAX) {
        err_set(err, LC_LIMIT, "more than %d breakpoints", DEBUG_BREAKPOINTS_MAX);
        src = NULL;
    } else {
        src = make_source(path, list, err);
    }
    if (src) {
        src->shift = lines.shift;
        pthread_mutex_lock(&d->lock);
        for (size_t i = 0; i < src->n; i++) {
            const char *why = place(&src->list[i], known ? &lines : NULL, &problem);
            src->list[i].id = ++d->last_breakpoint;
            json_array_append_new(answer, answer_one(&src->list[i], path, why));
        }
        put_source_locked(d, src, path);
        pthread_mutex_unlock(&d->lock);
    }
    lines_release(&lines);
    if (src)
        return answer;
    json_decref(answer);
    return NULL;
}

json_t *debug_breakpoints(struct debug *d)
{
    json_t *all = json_array();

    pthread_mutex_lock(&d->lock);
    for (struct source *src = d->sources; src; src = src->next) {
        json_t *list = json_array();
        for (size_t i = 0; i < src->n; i++) {
            const struct breakpoint *b = &src->list[i];
            json_t *one = json_pack("{si}", "line", b->line);
            if (b->condition)
                json_object_set_new(one, "condition", json_string(b->condition));
            if (b->hit)
                json_object_set_new(one, "hitCondition", json_string(b->hit));
            if (b->log)
                json_object_set_new(one, "logMessage", json_string(b->log));
            json_array_append_new(list, one);
        }
        json_array_append_new(all, json_pack("{ssso}", "source", src->path, "breakpoints", list));
    }
    pthread_mutex_unlock(&d->lock);
    return all;
}

/* ---- jobs ---- */
static const struct row {
    const char *command;
    debug_fn *fn;
} rows[] = {
    {"threads", debug_threads},
    {"stackTrace", debug_stack},
    {"scopes", debug_scopes},
    {"variables", debug_variables},
    {"setVariable", debug_set_variable},
    {"setExpression", debug_set_expression},
    {"evaluate", debug_evaluate},
    {"source", debug_source},
    {"modules", debug_modules},
    {"exceptionInfo", debug_exception},
    {"completions", debug_completions},
    {"inspectVariables", debug_inspect},
    {"richInspectVariables", debug_rich_inspect},
    {"copyToGlobals", debug_copy},
};

static const struct row *find(const char *command)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].command, command) == 0)
            return &rows[i];
    return NULL;
}

bool debug_knows(const char *command)
{
    return find(command) != NULL;
}

static int protected_main(lua_State *L) /* (lightuserdata call, fn) */
{
    struct debug_call *c = lua_touserdata(L, 1);
    debug_fn *const *fn = lua_touserdata(L, 2);

    lua_settop(L, 0);
    luaL_checkstack(L, 40, NULL);
    (*fn)(c);
    return 0;
}

static bool open_work(struct debug *d, struct session *s)
{
    static const char key;

    if (d->work)
        return true;
    if (!lua_checkstack(s->L, 4))
        return false;
    d->work = lua_newthread(
        s->L); /* memory: the panic of a state that cannot hold one more thread is avoided below */
    lua_sethook(d->work, NULL, 0, 0);
    lua_rawsetp(s->L, LUA_REGISTRYINDEX, &key);
    return true;
}

static int open_protected(lua_State *L)
{
    struct session *s = session_of(L);

    lua_pushboolean(L, open_work(s->debug, s));
    return 1;
}

enum lc debug_protected(struct debug *d, debug_fn *fn, json_t *args, json_t **body, struct err *err)
{
    struct session *s = d->session;
    struct debug_call call = {.d = d, .s = s, .args = args, .body = body, .err = err};
    lua_State *at = session_lua(s);
    int top;

    err_clear(err);
    if (!d->work) {
        if (!lua_checkstack(at, 4))
            return err_nomem(err);
        lua_pushcfunction(at, open_protected);
        if (lua_pcall(at, 0, 1, 0) != LUA_OK || !lua_toboolean(at, -1)) {
            lua_pop(at, 1);
            return err_nomem(err);
        }
        lua_pop(at, 1);
    }
    call.L = d->work;
    top = lua_gettop(d->work);
    if (!lua_checkstack(d->work, 10))
        return err_nomem(err);
    d->inside++;
    lua_pushcfunction(d->work, protected_main);
    lua_pushlightuserdata(d->work, &call);
    lua_pushlightuserdata(d->work, &fn);
    if (lua_pcall(d->work, 2, 0, 0) != LUA_OK && err->code == LC_OK)
        err_set(err, LC_RUNTIME, "%s", lua_tostring(d->work, -1) ? lua_tostring(d->work, -1) : "failed");
    lua_settop(d->work, top);
    d->inside--;
    return err->code;
}

json_t *debug_do(struct debug *d, const char *command, json_t *args, struct err *err)
{
    const struct row *row = find(command);
    json_t *body = NULL, *own = json_is_object(args) ? json_incref(args) : json_object();

    if (!row)
        err_set(err, LC_UNSUPPORTED, "the debugger has no command '%s'", command);
    else if (debug_protected(d, row->fn, own, &body, err) != LC_OK) {
        json_decref(body);
        body = NULL;
    } else if (!body) {
        body = json_object();
    }
    json_decref(own);
    return body;
}

void debug_post(struct debug *d, struct debug_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&d->lock);
    *d->jobs_end = job;
    d->jobs_end = &job->next;
    if (d->session) {
        if (d->stopped)
            wake_locked(d);
        else
            hook_request(d->session, HOOK_JOBS);
    }
    pthread_mutex_unlock(&d->lock);
    if (d->front.wake)
        d->front.wake(d->front.self);
}

static struct debug_job *take_job(struct debug *d)
{
    struct debug_job *job;

    pthread_mutex_lock(&d->lock);
    job = d->jobs;
    if (job)
        d->jobs = job->next;
    if (!d->jobs)
        d->jobs_end = &d->jobs;
    pthread_mutex_unlock(&d->lock);
    return job;
}

bool debug_withdraw(struct debug *d, struct debug_job *job)
{
    bool found = false;

    pthread_mutex_lock(&d->lock);
    for (struct debug_job **at = &d->jobs; *at && !found; at = found ? at : &(*at)->next)
        if (*at == job) {
            *at = job->next;
            found = true;
        }
    d->jobs_end = &d->jobs;
    while (*d->jobs_end)
        d->jobs_end = &(*d->jobs_end)->next;
    pthread_mutex_unlock(&d->lock);
    return found;
}

void debug_serve(struct debug *d)
{
    struct debug_job *job;

    if (d->session)
        hook_withdraw(d->session, HOOK_JOBS);
    while (d->session && !d->inside && (job = take_job(d)) != NULL) {
        job->body = debug_do(d, job->command, job->args, &job->err);
        session_drain(d->session);
        job->done(job);
    }
}

void debug_jobs(struct session *s)
{
    if (s->debug && !s->debug->inside)
        debug_serve(s->debug);
}

/* ---- the stop ---- */
static void emit(struct debug *d, const char *event, json_t *body)
{
    if (d->front.event)
        d->front.event(d->front.self, event, body);
    json_decref(body);
}

static void set_stepping(struct debug *d, bool on)
{
    pthread_mutex_lock(&d->lock);
    d->stepping = on;
    rearm_locked(d);
    pthread_mutex_unlock(&d->lock);
}

static void set_step(struct debug *d, struct session *s, enum debug_order order)
{
    bool steps = order == DEBUG_OVER || order == DEBUG_IN || order == DEBUG_OUT;

    d->step = (struct debug_step){.order = steps ? order : DEBUG_WAIT,
                                  .L = d->at,
                                  .frames = debug_levels(d->at),
                                  .links = d->links->depth};
    set_stepping(d, steps);
    if (order == DEBUG_OUT)
        hook_request(s, HOOK_RETURNS);
    else
        hook_withdraw(s, HOOK_RETURNS);
    if (order == DEBUG_ABORT)
        session_interrupt(s);
}

static enum debug_order take_order(struct debug *d)
{
    enum debug_order order;

    pthread_mutex_lock(&d->lock);
    order = d->order;
    d->order = DEBUG_WAIT;
    pthread_mutex_unlock(&d->lock);
    return order;
}

/* Serves jobs until somebody says how to go on; an interrupt ends the cell. */
static enum debug_order wait_for_order(struct debug *d, struct session *s)
{
    enum debug_order order;
    uint64_t count;

    if (d->console)
        return (enum debug_order)d->console(d->console_self, s);
    for (;;) {
        debug_serve(d);
        order = take_order(d);
        if (order != DEBUG_WAIT)
            return order;
        if (!hook_wait_fd(s, d->wake_fd, -1))
            return DEBUG_CONTINUE;
        if (read(d->wake_fd, &count, sizeof count) < 0)
            continue;
    }
}

/* With a prompt of its own, nobody else is told. */
static void tell_stop(struct debug *d, const char *event, json_t *body)
{
    if (d->console)
        json_decref(body);
    else
        emit(d, event, body);
}

static void tell_thread(struct debug *d, const char *reason, int id)
{
    tell_stop(d, "thread", json_pack("{sssi}", "reason", reason, "threadId", id));
}

/* The coroutines that are in the stop. */
static void tell_threads(struct debug *d)
{
    for (struct hook_link *link = d->links; link; link = link->outer) {
        int id = debug_thread_id(d, d->work, link->L);
        bool told = id <= 1;
        for (int i = 0; i < d->n_threads && !told; i++)
            told = d->threads[i] == id;
        if (told || d->n_threads == DEBUG_THREADS)
            continue;
        d->threads[d->n_threads++] = id;
        tell_thread(d, "started", id);
    }
}

static void announce(struct debug *d, lua_State *L, const char *reason, json_t *more)
{
    json_t *body = json_pack("{sssisb}", "reason", reason, "threadId",
                             debug_thread_id(d, d->work ? d->work : L, L), "allThreadsStopped", 1);

    if (more)
        json_object_update(body, more);
    json_decref(more);
    pthread_mutex_lock(&d->lock);
    d->order = DEBUG_WAIT;
    d->stopped = (int)json_integer_value(json_object_get(body, "threadId"));
    pthread_mutex_unlock(&d->lock);
    tell_stop(d, "stopped", body);
}

static enum lc nothing(struct debug_call *c)
{
    (void)c;
    return LC_OK;
}

void debug_stop(struct debug *d, struct session *s, lua_State *L, const char *reason, json_t *more)
{
    enum debug_order order;
    struct err err;
    json_t *none = NULL;
    int thread;

    if (debug_protected(d, nothing, NULL, &none, &err) != LC_OK) { /* no memory even to look around */
        json_decref(more);
        return;
    }
    d->at = L;
    d->links = s->hook.links;
    d->step = (struct debug_step){0};
    hook_withdraw(s, HOOK_RETURNS);
    session_drain(s);
    tell_threads(d);
    announce(d, L, reason, more);
    order = wait_for_order(d, s);
    pthread_mutex_lock(&d->lock);
    thread = d->stopped;
    d->stopped = 0;
    pthread_mutex_unlock(&d->lock);
    set_step(d, s, order);
    debug_frames_forget(d);
    debug_refs_forget(d);
    d->at = NULL;
    d->links = NULL;
    if (order == DEBUG_CONTINUE || order == DEBUG_ABORT)
        tell_stop(d, "continued", json_pack("{sisb}", "threadId", thread, "allThreadsContinued", 1));
}

json_t *debug_stopped(struct debug *d)
{
    json_t *list = json_array();

    pthread_mutex_lock(&d->lock);
    if (d->stopped)
        json_array_append_new(list, json_integer(d->stopped));
    pthread_mutex_unlock(&d->lock);
    return list;
}

bool debug_resume(struct debug *d, enum debug_order order)
{
    bool stopped;

    pthread_mutex_lock(&d->lock);
    stopped = d->stopped != 0;
    if (stopped) {
        d->order = order;
        wake_locked(d);
    }
    pthread_mutex_unlock(&d->lock);
    return stopped;
}

void debug_pause(struct debug *d)
{
    pthread_mutex_lock(&d->lock);
    if (d->session && !d->stopped && atomic_load(&d->session->busy))
        hook_request(d->session, HOOK_PAUSE);
    pthread_mutex_unlock(&d->lock);
}

bool debug_open_error(struct debug *d)
{
    d->post = debug_kept(d->session->L) > 0;
    return d->post;
}

void debug_close_error(struct debug *d)
{
    d->post = false;
    debug_frames_forget(d);
    debug_refs_forget(d);
}

struct debug *debug_of(struct session *s)
{
    return s->debug;
}

void debug_set_console(struct debug *d, int (*console)(void *self, struct session *s), void *self)
{
    d->console = console;
    d->console_self = self;
}

void debug_step_next(struct debug *d)
{
    d->step = (struct debug_step){.order = DEBUG_IN};
    set_stepping(d, true);
}

/* ---- stepping ---- */

/* Frames are counted by asking for the one that would be too many: no walk of a deep stack. */
static bool has_frames(lua_State *L, int n)
{
    lua_Debug ar;
    return n <= 0 || lua_getstack(L, n - 1, &ar);
}

static bool step_reached(const struct debug *d, const struct session *s, lua_State *L)
{
    const struct debug_step *p = &d->step;

    if (p->order == DEBUG_WAIT)
        return false;
    if (p->order == DEBUG_IN || s->hook.links->depth < p->links)
        return true;
    return L == p->L && !has_frames(L, p->order == DEBUG_OVER ? p->frames + 1 : p->frames);
}

void debug_at_return(struct session *s, lua_State *L)
{
    struct debug *d = s->debug;

    if (!d || d->inside || d->step.order != DEBUG_OUT || L != d->step.L)
        return;
    if (has_frames(L, d->step.frames) && !has_frames(L, d->step.frames + 1)) {
        d->step.landed = true;
        hook_withdraw(s, HOOK_RETURNS);
        hook_request(s, HOOK_PAUSE);
    }
}

void debug_at_pause(struct session *s, lua_State *L)
{
    struct debug *d = s->debug;
    lua_Debug ar;
    bool landed;

    if (!d || d->inside)
        return;
    landed = d->step.landed;
    if ((landed && !step_reached(d, s, L)) || !lua_getstack(L, 0, &ar) || !debug_visible(d, s, L, &ar)) {
        hook_request(s, HOOK_PAUSE); /* not yet */
        return;
    }
    debug_stop(d, s, L, landed ? "step" : "pause", NULL);
}

/* ---- lines ---- */
struct hit { /* what of a breakpoint has to be looked at without the lock */
    int id;
    char *condition, *hit, *log; /* owned */
};
enum { HITS = 8 };

static size_t find_hits(struct debug *d, const char *path, int line, struct hit *hits)
{
    size_t n = 0;

    pthread_mutex_lock(&d->lock);
    for (struct source *src = d->sources; src; src = src->next) {
        if (strcmp(src->path, path) != 0)
            continue;
        for (size_t i = 0; i < src->n && n < HITS; i++) {
            const struct breakpoint *b = &src->list[i];
            if (b->line == line && b->verified)
                hits[n++] =
                    (struct hit){b->id, b->condition ? mem_strdup(b->condition) : NULL,
                                 b->hit ? mem_strdup(b->hit) : NULL, b->log ? mem_strdup(b->log) : NULL};
        }
    }
    pthread_mutex_unlock(&d->lock);
    return n;
}

static long count_hit(struct debug *d, int id)
{
    long hits = 0;

    pthread_mutex_lock(&d->lock);
    for (struct source *src = d->sources; src; src = src->next)
        for (size_t i = 0; i < src->n; i++)
            if (src->list[i].id == id)
                hits = ++src->list[i].hits;
    pthread_mutex_unlock(&d->lock);
    return hits;
}

/* "5": the fifth time; ">5", ">=5", "<5", "<=5", "==5", "%5": every fifth. What is none of these always holds. */
static bool hit_holds(const char *text, long hits)
{
    char op[3] = "";
    size_t n = strspn(text += strspn(text, " "), "<>=%");
    char *end;
    long want = strtol(text + n, &end, 10);

    if (n > 2 || end == text + n)
        return true;
    memcpy(op, text, n);
    if (strcmp(op, "%") == 0)
        return want <= 0 || hits % want == 0;
    if (*op == '>')
        return op[1] ? hits >= want : hits > want;
    if (*op == '<')
        return op[1] ? hits <= want : hits < want;
    return hits == want;
}

struct frame_question { /* a text asked of the frame on top of L */
    lua_State *at;
    const char *text;
    bool log;
    bool truth;
    struct buf *out;
};

static enum lc ask(struct debug_call *c, struct debug_frame *f, const char *text, size_t len)
{
    int n;
    enum lc rc = debug_run(c->d, c->L, f, text, len, &n, c->err);

    if (rc == LC_OK && n == 0)
        lua_pushnil(c->L);
    else if (rc == LC_OK)
        lua_settop(c->L, lua_gettop(c->L) - n + 1);
    return rc;
}

/* The texts between braces are replaced by their values. */
static enum lc fill_log(struct debug_call *c, struct debug_frame *f, const char *text, struct buf *out)
{
    for (const char *p = text; *p;) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        size_t len;
        if (!end) {
            buf_putc(out, *p++);
            continue;
        }
        TRY(ask(c, f, p + 1, (size_t)(end - p - 1)));
        if (lua_type(c->L, -1) == LUA_TSTRING) {
            const char *value = lua_tolstring(c->L, -1, &len);
            buf_utf8(out, value, len);
        } else {
            debug_value_text(c->L, -1, out);
        }
        lua_pop(c->L, 1);
        p = end + 1;
    }
    return LC_OK;
}

/* args carries the question as an address: this never leaves the process. */
static enum lc ask_frame(struct debug_call *c)
{
    struct frame_question *q =
        (struct frame_question *)(uintptr_t)json_integer_value(json_object_get(c->args, "q"));
    struct debug_frame *f;
    lua_Debug ar;
    enum lc rc;

    if (!lua_getstack(q->at, 0, &ar) || !(f = debug_frame_add(c->d, q->at, &ar)))
        return err_nomem(c->err);
    rc = q->log ? fill_log(c, f, q->text, q->out) : ask(c, f, q->text, strlen(q->text));
    q->truth = rc == LC_OK && !q->log && lua_toboolean(c->L, -1);
    debug_frames_forget(c->d);
    return rc;
}

static enum lc question(struct debug *d, struct frame_question *q, struct err *err)
{
    json_t *args = json_pack("{sI}", "q", (json_int_t)(uintptr_t)q), *none = NULL;
    enum lc rc = args ? debug_protected(d, ask_frame, args, &none, err) : err_nomem(err);

    json_decref(args);
    json_decref(none);
    return rc;
}

static void complain(struct session *s, const char *what, const char *text, const struct err *err)
{
    struct buf out = BUF_INIT(DEBUG_TEXT_MAX * 2);

    buf_printf(&out, "the breakpoint's %s '%s' failed: %s\n", what, text, err->message);
    session_print(s, STREAM_STDERR, buf_str(&out), out.len);
    buf_release(&out);
}

static void write_log(struct debug *d, struct session *s, lua_State *L, const char *text)
{
    struct buf out = BUF_INIT(1 << 20);
    struct frame_question q = {.at = L, .text = text, .log = true, .out = &out};
    struct err err;

    if (question(d, &q, &err) != LC_OK)
        complain(s, "message", text, &err);
    buf_putc(&out, '\n');
    if (buf_ok(&out))
        session_print(s, STREAM_STDOUT, buf_str(&out), out.len);
    buf_release(&out);
}

/* Does this one stop? A condition that fails does, so that it is seen. */
static bool stops(struct debug *d, struct session *s, lua_State *L, const struct hit *h)
{
    struct frame_question q = {.at = L, .text = h->condition};
    struct err err;

    if (h->condition) {
        if (question(d, &q, &err) != LC_OK)
            complain(s, "condition", h->condition, &err);
        else if (!q.truth)
            return false;
    }
    if (!hit_holds(h->hit ? h->hit : "", count_hit(d, h->id)))
        return false;
    if (h->log)
        write_log(d, s, L, h->log);
    return !h->log;
}

/* [ids] of the breakpoints that stop here, or NULL. */
static json_t *breakpoints_here(struct debug *d, struct session *s, lua_State *L, const char *path, int line)
{
    struct hit hits[HITS];
    size_t n = find_hits(d, path, line, hits);
    json_t *ids = NULL;

    for (size_t i = 0; i < n; i++) {
        if (stops(d, s, L, &hits[i])) {
            ids = ids ? ids : json_array();
            json_array_append_new(ids, json_integer(hits[i].id));
        }
        mem_free(hits[i].condition);
        mem_free(hits[i].hit);
        mem_free(hits[i].log);
    }
    return ids;
}

void debug_at_line(struct session *s, lua_State *L, lua_Debug *ar)
{
    struct debug *d = s->debug;
    int line = ar->currentline;
    unsigned bit = line > 0 ? (unsigned)line % DEBUG_LINE_BITS : 0;
    bool listed, step;
    struct chunk *c;
    json_t *ids = NULL;

    if (!d || d->inside)
        return;
    listed = atomic_load(&d->line_bits[bit / 8]) & 1u << bit % 8;
    step = step_reached(d, s, L);
    if ((!listed && !step) || !debug_visible(d, s, L, ar))
        return;
    c = debug_chunk(d, s, L, ar);
    if (listed && c && c->path)
        ids = breakpoints_here(d, s, L, c->path, line + c->shift);
    d->told = false;
    if (ids)
        debug_stop(d, s, L, "breakpoint", json_pack("{so}", "hitBreakpointIds", ids));
    else if (step)
        debug_stop(d, s, L, "step", NULL);
}

/* ---- coroutines ---- */
void debug_resumed(struct session *s, lua_State *L, lua_State *co)
{
    if (s->debug && atomic_load(&s->debug->attached))
        debug_thread_id(s->debug, L, co);
}

void debug_ended(struct session *s)
{
    struct debug *d = s->debug;

    if (!d || d->inside)
        return;
    d->told = false;
    while (d->n_threads > 0)
        tell_thread(d, "exited", d->threads[--d->n_threads]);
    hook_withdraw(s, HOOK_PAUSE | HOOK_RETURNS);
    if (d->step.order == DEBUG_WAIT)
        return;
    if (d->step.L) /* the step led out of the cell */
        tell_stop(d, "continued", json_pack("{sisb}", "threadId", 1, "allThreadsContinued", 1));
    d->step = (struct debug_step){0};
    set_stepping(d, false);
}
