/* The debugger's life: the stop, stepping, jobs. What is looked at while it stands is in debug_frames.c,
 * debug_values.c and debug_eval.c. */
#include "runtime/session/debug.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/lines.h"
#include "runtime/session/masks.h"
#include "runtime/session/session_int.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STOP_MS = 100 }; /* a word that comes just before the wait is heard after this time */

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

void debug_free(struct debug *d)
{
    if (!d)
        return;
    debug_forget_breakpoints(d);
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
    debug_rearm_locked(d); /* breakpoints may have been set before there was a session */
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
void debug_rearm_locked(struct debug *d)
{
    /* while it stands nothing else stops, and what is served meanwhile takes turns freely */
    bool lines = !d->stopped && (d->stepping || (atomic_load(&d->attached) && d->n_breakpoints > 0));

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

    if (d->front.wake)
        d->front.wake(d->front.self);
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
        debug_forget_breakpoints(d);
        atomic_store(&d->filters, 0);
        if (d->stopped)
            d->order = DEBUG_CONTINUE;
        wake_locked(d);
    }
    debug_rearm_locked(d);
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
    return body && d->session ? masks_json(d->session, body) : body; /* secrets are not shown here either */
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
    debug_rearm_locked(d);
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

/* Until there is something to do; others are served meanwhile where the front end can. False: interrupted. */
static bool wait_for_word(struct debug *d, struct session *s)
{
    uint64_t count;
    bool go_on;

    if (s->frontend.ops && s->frontend.ops->serve && d->front.wake) {
        d->inside++; /* what is served does not stop */
        go_on = session_wait(s, STOP_MS);
        d->inside--;
        return go_on;
    }
    if (!hook_wait_fd(s, d->wake_fd, -1))
        return false;
    return read(d->wake_fd, &count, sizeof count) > 0 || errno == EAGAIN;
}

/* Serves jobs until somebody says how to go on; an interrupt ends the cell. */
static enum debug_order wait_for_order(struct debug *d, struct session *s)
{
    enum debug_order order;

    if (d->console)
        return (enum debug_order)d->console(d->console_self, s);
    for (;;) {
        debug_serve(d);
        order = take_order(d);
        if (order != DEBUG_WAIT)
            return order;
        if (!wait_for_word(d, s))
            return DEBUG_CONTINUE;
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
    debug_rearm_locked(d);
    pthread_mutex_unlock(&d->lock);
    tell_stop(d, "stopped", d->session ? masks_json(d->session, body) : body);
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
    hook_withdraw(s, HOOK_RETURNS | HOOK_PAUSE); /* a step that had just landed has its stop: this one */
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
    if (d->session && !d->stopped &&
        (atomic_load(&d->session->busy) || atomic_load(&d->session->hook.going) > 0))
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
        ids = debug_breakpoints_here(d, s, L, c->path, line + c->shift);
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

    if (!d || d->inside || atomic_load(&s->hook.going) > 0)
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
