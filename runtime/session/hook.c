#include "runtime/session/hook.h"
#include "runtime/base/clock.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/profile.h"
#include "runtime/session/sanitize.h"
#include "runtime/session/session_int.h"
#include "runtime/session/traceback.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HOOK_SIGNAL = SIGURG }; /* ignored by default, used by nobody else */

/* A signal handler gets no argument, and each session has its thread. */
static _Thread_local struct session *volatile on_this_thread;

static void on_hook(lua_State *L, lua_Debug *ar);

/* Wanted at the next instruction. */
#define HOOK_NOW ((unsigned)(HOOK_INTERRUPT | HOOK_DRAIN | HOOK_JOBS | HOOK_PAUSE | HOOK_SAMPLE | HOOK_SERVE))

static int mask_of(unsigned want)
{
    /* a C function that a sample falls into is still there when it returns */
    return (want & HOOK_NOW ? LUA_MASKCOUNT : 0) | (want & HOOK_LINES ? LUA_MASKLINE : 0) |
           (want & (HOOK_RETURNS | HOOK_SAMPLE) ? LUA_MASKRET : 0);
}

/* Nobody asks: no hook; under ThreadSanitizer one that lets signals in now and then. */
static void rest(lua_State *L)
{
    if (SANITIZE_LOOKS > 0)
        lua_sethook(L, on_hook, LUA_MASKCOUNT, SANITIZE_LOOKS);
    else if (lua_gethook(L) == on_hook)
        lua_sethook(L, NULL, 0, 0);
}

/* Async-signal-safe: installs what is wanted, removes what is not. */
static void arm(struct hook *h, lua_State *L)
{
    unsigned want;

    do { /* again if a signal came between the load and the end of lua_sethook */
        want = atomic_load(&h->want);
        if (want)
            lua_sethook(L, on_hook, mask_of(want), 1);
        else
            rest(L);
    } while (want != atomic_load(&h->want));
}

static void look_later(struct hook *h, lua_State *L, int instructions)
{
    lua_sethook(L, on_hook, LUA_MASKCOUNT | (mask_of(atomic_load(&h->want)) & LUA_MASKLINE), instructions);
}

/* In the handler. No instruction of Lua has run since the interrupt, or it would have struck: the thread is inside a C
 * function, and its frame and that of its caller stay as they are. Only reads. */
static void tell_still(struct session *s, lua_State *L)
{
    struct hook *h = &s->hook;
    lua_Debug ar;

    if (!(atomic_load(&h->want) & HOOK_INTERRUPT) || h->struck || h->grace || !lua_getstack(L, 0, &ar) ||
        !lua_getinfo(L, "nS", &ar) || *ar.what != 'C')
        return;
    h->still = (struct session_still){.line = -1};
    if (ar.name)
        stpncpy(h->still.name, ar.name, sizeof h->still.name - 1);
    if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "Sl", &ar)) {
        stpncpy(h->still.source, ar.short_src, sizeof h->still.source - 1);
        h->still.line = ar.currentline;
    }
    atomic_store(&h->report, HOOK_TOLD);
}

static void on_signal(int sig)
{
    struct session *s = on_this_thread;

    (void)sig;
    if (!s)
        return;
    if (s->hook.closing && clock_mono_ns() >= s->hook.closing)
        atomic_fetch_or(&s->hook.want, HOOK_INTERRUPT);
    if (s->hook.running)
        arm(&s->hook, s->hook.running);
    if (s->hook.escape && (atomic_load(&s->hook.want) & HOOK_INTERRUPT))
        s->hook.escape(s);
    if (atomic_load(&s->hook.report) == HOOK_ASKED && s->hook.running)
        tell_still(s, s->hook.running);
}

bool session_still(struct session *s, struct session_still *out)
{
    struct hook *h = &s->hook;
    bool told = false;

    atomic_store(&h->report, HOOK_ASKED);
    hook_request(s, 0);
    for (int i = 0; i < 50 && !told; i++) {
        poll(NULL, 0, 1);
        told = atomic_load(&h->report) == HOOK_TOLD;
    }
    if (told)
        *out = h->still;
    atomic_store(&h->report, HOOK_QUIET);
    return told;
}

void hook_request(struct session *s, unsigned bits)
{
    atomic_fetch_or(&s->hook.want, bits);
    if (atomic_load(&s->busy))
        pthread_kill(s->hook.thread, HOOK_SIGNAL);
}

void hook_withdraw(struct session *s, unsigned bits)
{
    atomic_fetch_and(&s->hook.want, ~bits);
}

bool hook_stopping(struct session *s)
{
    return (atomic_load(&s->hook.want) & HOOK_INTERRUPT) && clock_mono_ns() >= s->hook.grace;
}

/* ---- the strike ---- */
static void note_strike(struct session *s, lua_State *L)
{
    if (s->hook.struck)
        return;
    s->hook.struck = true;
    frames_clear(&s->frames);
    frames_add(&s->frames, L, 0);
}

int hook_strike(lua_State *L)
{
    struct session *s = session_of(L);

    note_strike(s, L);
    arm(&s->hook, L); /* at every instruction again, or a pcall in a loop would always win */
    if (!lua_isyieldable(L)) {
        lua_pushliteral(L, "not enough memory");
        return lua_error(L);
    }
    s->hook.yielded = true;
    return lua_yield(L, 0);
}

/* ---- a turn for others ---- */
static void serve_now(struct session *s)
{
    const int64_t due = s->hook.due;

    atomic_fetch_and(&s->hook.want, ~(unsigned)HOOK_SERVE);
    s->hook.left = false;
    if (s->frontend.ops && s->frontend.ops->serve)
        s->frontend.ops->serve(s->frontend.self, &s->ctx, clock_ms_until(due));
}

/* Finalizers and <close> handlers are not left. */
static bool must_stay(const struct hook *h)
{
    return h->pinned || h->grace;
}

static void leave(struct hook *h, lua_State *L)
{
    atomic_fetch_and(&h->want, ~(unsigned)HOOK_SERVE);
    h->left = true;
    lua_yield(L, 0);
}

/* While lines are looked at others are served in the middle of a cell, but for a cell above another one on the C stack:
 * the one below would wait until it ends. It is left when a line has been looked at (every loop comes to one): left at
 * the count before, Lua would look at the line of that instruction while the cell is leaving, and to stop there ended it. */
static bool leaves_at_lines(const struct hook *h, lua_State *L)
{
    return h->nested > 1 && !must_stay(h) && lua_isyieldable(L);
}

static void give_turn(struct session *s, lua_State *L)
{
    struct hook *h = &s->hook;

    if (must_stay(h)) {
        look_later(h, L, 1000);
        return;
    }
    if (lua_isyieldable(L) && !(atomic_load(&h->want) & HOOK_LINES)) {
        leave(h, L);
        return;
    }
    if (leaves_at_lines(h, L)) {
        look_later(h, L, 1000);
        return;
    }
    serve_now(s);
    if (atomic_load(&h->want) & HOOK_SERVE)
        look_later(h, L, 1000);
    else
        arm(h, L);
}

static int slept(lua_State *L, int status, lua_KContext until)
{
    (void)status;
    return hook_sleep(L, until);
}

int hook_sleep(lua_State *L, int64_t until)
{
    struct session *s = session_of(L);
    struct hook *h = &s->hook;
    bool serves = s->frontend.ops && s->frontend.ops->serve;

    while (!hook_stopping(s) && clock_mono_ns() < until) {
        if (serves && !must_stay(h) && lua_isyieldable(L)) {
            session_drain(s);
            h->due = until;
            h->left = true;
            return lua_yieldk(L, 0, until, slept);
        }
        session_wait(s, clock_ms_until(until));
    }
    return hook_stopping(s) ? hook_strike(L) : 0;
}

static unsigned take(struct hook *h, unsigned bit)
{
    return atomic_fetch_and(&h->want, ~bit) & bit;
}

/* What can wait until the next instruction of a Lua function, and is done there. */
static void at_instruction(struct session *s, lua_State *L)
{
    struct hook *h = &s->hook;

    if (take(h, HOOK_DRAIN))
        session_drain(s);
    if (take(h, HOOK_SAMPLE))
        profile_sample(s, L);
    if (take(h, HOOK_JOBS))
        debug_jobs(s);
    if (take(h, HOOK_PAUSE))
        debug_at_pause(s, L);
}

static void at_event(struct session *s, lua_State *L, lua_Debug *ar)
{
    if (ar->event == LUA_HOOKLINE) {
        debug_at_line(s, L, ar);
        if ((atomic_load(&s->hook.want) & (HOOK_SERVE | HOOK_INTERRUPT)) == HOOK_SERVE &&
            leaves_at_lines(&s->hook, L)) {
            leave(&s->hook, L);
            return;
        }
    } else {
        if (take(&s->hook, HOOK_SAMPLE))
            profile_sample(s, L);
        if (atomic_load(&s->hook.want) & HOOK_RETURNS)
            debug_at_return(s, L);
    }
    if (lua_gethookmask(L) != mask_of(atomic_load(&s->hook.want))) /* arming walks the stack */
        arm(&s->hook, L);
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    struct session *s = session_of(L);
    struct hook *h = &s->hook;
    unsigned want;

    if (h->yielded || h->left) /* Lua looks at the line of an instruction at which it has yielded */
        return;
    if (ar->event != LUA_HOOKCOUNT) {
        at_event(s, L, ar);
        return;
    }
    at_instruction(s, L);
    want = atomic_load(&h->want);
    if (!(want & HOOK_INTERRUPT)) {
        if (want & HOOK_SERVE)
            give_turn(s, L);
        else
            arm(h, L);
        return;
    }
    if (clock_mono_ns() < h->grace) {
        look_later(h, L, 10000); /* a <close> handler cleans up */
        return;
    }
    if (h->grace)
        atomic_store(&s->cancel, true);
    hook_strike(L); /* a hook that has yielded must return at once */
}

/* ---- coroutines: everything that changes the running one ---- */
/* Lua marks a frame that was left in a hook and passes over the next instruction there that a hook could look at: be it
 * the one that it was left at, and not one much later. */
static void take_mark(lua_State *co)
{
    lua_Debug ar;

    if (lua_status(co) == LUA_YIELD && !(lua_gethookmask(co) & LUA_MASKLINE) && lua_getstack(co, 0, &ar) &&
        lua_getinfo(co, "l", &ar) && ar.currentline >= 0) /* not in a C function: coroutine.yield */
        lua_sethook(co, on_hook, lua_gethookmask(co) | LUA_MASKCOUNT, 1);
}

/* Resumes co, or (n NULL) closes it, while it is the one that runs. */
static int enter(struct hook *h, lua_State *co, lua_State *from, int nargs, int *n)
{
    lua_State *outer = h->running;
    struct hook_link link = {co, h->links, h->links ? h->links->depth + 1 : 1};
    int rc;

    h->links = &link;
    h->running = co;
    arm(h, co);
    if (n)
        take_mark(co);
    rc = n ? lua_resume(co, from, nargs, n) : lua_resetthread(co);
    h->links = link.outer;
    h->running = outer;
    if (outer)
        arm(h, outer);
    return rc;
}

static int close_thread(struct hook *h, lua_State *co)
{
    return enter(h, co, NULL, 0, NULL);
}

/* Closes a coroutine that a strike has ended; its <close> handlers get the grace, and may call C again. */
static void kill_thread(struct session *s, lua_State *co)
{
    s->hook.yielded = false; /* its handlers may be struck in turn */
    if (!s->hook.grace)
        s->hook.grace = clock_mono_ns() + HOOK_GRACE_NS;
    atomic_store(&s->cancel, clock_mono_ns() >= s->hook.grace);
    close_thread(&s->hook, co);
    lua_settop(co, 0);
    atomic_store(&s->cancel, true);
}

static int resume_error(lua_State *L, lua_State *co, int rc, bool wrap)
{
    struct session *s = session_of(L);

    debug_died(s, L, co, !wrap);
    if (!wrap) {
        lua_pushboolean(L, 0);
        lua_xmove(co, L, 1);
        return 2;
    }
    frames_clear(&s->inner);
    frames_add(&s->inner, co, 0);
    traceback_note(co, 0, 0);
    if (lua_status(co) != LUA_OK)
        rc = close_thread(&s->hook, co);
    lua_xmove(co, L, 1);
    if (rc != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* A coroutine that gave others a turn is suspended, but not for Lua code: only who resumed it may go on with it.
 * Marked in a table with weak keys. */
static void set_between(lua_State *L, int co, bool between)
{
    session_table(L, TABLE_BETWEEN);
    lua_pushvalue(L, co);
    if (between)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    session_of(L)->hook.between += between ? 1 : -1;
}

static bool is_between(lua_State *L, int co)
{
    bool between;

    if (session_of(L)->hook.between <= 0)
        return false;
    session_table(L, TABLE_BETWEEN);
    lua_pushvalue(L, co);
    lua_rawget(L, -2);
    between = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return between;
}

/* Where resume and wrap have their coroutine. */
static int place_of(bool wrap)
{
    return wrap ? lua_upvalueindex(1) : 1;
}

static int drive(lua_State *L, lua_State *co, int nargs, bool wrap);

static int again(lua_State *L, int status, lua_KContext wrap)
{
    int at = place_of(wrap != 0);

    (void)status;
    set_between(L, at, false);
    return drive(L, lua_tothread(L, at), 0, wrap != 0);
}

/* Resumes co until it is its own code that yields. False: the turn is passed on to who resumed L. */
static bool go_on(lua_State *L, lua_State *co, int nargs, bool wrap, int *n, int *rc)
{
    struct session *s = session_of(L);

    for (;; nargs = 0) {
        s->hook.yielded = s->hook.left = false;
        s->hook.due = 0;
        *rc = enter(&s->hook, co, L, nargs, n);
        if (*rc != LUA_YIELD || !s->hook.left)
            return true;
        if (lua_isyieldable(L)) {
            set_between(L, place_of(wrap), true);
            s->hook.left = true;
            return false;
        }
        serve_now(s); /* a C frame below us */
    }
}

static int drive(lua_State *L, lua_State *co, int nargs, bool wrap)
{
    struct session *s = session_of(L);
    int n, rc;

    if (!go_on(L, co, nargs, wrap, &n, &rc))
        return lua_yieldk(L, 0, wrap, again);
    if (rc == LUA_YIELD && s->hook.yielded) {
        s->hook.yielded = false;
        frames_add(&s->frames, L, 1);
        kill_thread(s, co);
        return hook_strike(L);
    }
    if (rc != LUA_OK && rc != LUA_YIELD)
        return resume_error(L, co, rc, wrap);
    if (!lua_checkstack(L, n + 1)) {
        lua_pop(co, n);
        return luaL_error(L, "too many results to resume");
    }
    if (!wrap)
        lua_pushboolean(L, 1);
    lua_xmove(co, L, n);
    return wrap ? n : n + 1;
}

static int start(lua_State *L, lua_State *co, int first, bool wrap)
{
    int nargs = lua_gettop(L) - first + 1;
    const char *text = NULL;

    if (co == L || session_of(L)->hook.top == co || is_between(L, place_of(wrap)))
        text = "cannot resume non-suspended coroutine";
    else if (lua_status(co) == LUA_OK && lua_gettop(co) == 0)
        text = "cannot resume dead coroutine";
    else if (!lua_checkstack(co, nargs))
        text = "too many arguments to resume";
    if (text && wrap)
        return luaL_error(L, "%s", text);
    if (text) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, text);
        return 2;
    }
    debug_resumed(session_of(L), L, co);
    lua_xmove(L, co, nargs);
    return drive(L, co, nargs, wrap);
}

static lua_State *check_thread(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTHREAD);
    return lua_tothread(L, 1);
}

static int l_resume(lua_State *L)
{
    return start(L, check_thread(L), 2, false);
}

bool hook_is_resume(lua_CFunction f)
{
    return f == l_resume;
}

static int l_wrapped(lua_State *L)
{
    return start(L, lua_tothread(L, lua_upvalueindex(1)), 1, true);
}

static int l_wrap(lua_State *L)
{
    lua_State *co;

    luaL_checktype(L, 1, LUA_TFUNCTION);
    co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, l_wrapped, 1);
    return 1;
}

static int l_close(lua_State *L)
{
    lua_State *co = check_thread(L);
    lua_Debug ar;

    if (co == L || session_of(L)->hook.top == co || is_between(L, 1) ||
        (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar)))
        return luaL_error(L, "cannot close a running coroutine");
    if (close_thread(&session_of(L)->hook, co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

/* A cell is the main program as far as its author can see. */
static int l_yield(lua_State *L)
{
    if (L == session_of(L)->hook.top)
        return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

static int l_running(lua_State *L)
{
    lua_pushthread(L);
    lua_pushboolean(L, L == session_of(L)->hook.top);
    return 2;
}

static int l_isyieldable(lua_State *L)
{
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;

    lua_pushboolean(L, co != session_of(L)->hook.top && lua_isyieldable(co));
    return 1;
}

/* ---- finalizers ---- */
static void note_cut(struct session *s, lua_State *L, int function)
{
    lua_Debug ar;

    if (!s->hook.closing || s->hook.cut[0])
        return;
    lua_pushvalue(L, function);
    lua_getinfo(L, ">S", &ar);
    snprintf(s->hook.cut, sizeof s->hook.cut, "%s, line %d", ar.short_src, ar.linedefined);
}

static int finalize(lua_State *L) /* __gc of a Lua function: hooks are off in L, but not in a new coroutine */
{
    struct session *s = session_of(L);
    lua_State *co = lua_newthread(L);
    bool outer = s->hook.yielded;
    int n, rc;

    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 2);
    s->hook.yielded = false;
    s->hook.pinned++;
    rc = enter(&s->hook, co, L, 1, &n);
    s->hook.pinned--;
    if (rc == LUA_YIELD && s->hook.yielded) {
        note_cut(s, L, lua_upvalueindex(1));
        kill_thread(s, co); /* the interrupt goes on when the finalizer has returned */
    } else if (rc != LUA_OK && rc != LUA_YIELD) {
        lua_xmove(co, L, 1);
        s->hook.yielded = outer;
        return lua_error(L);
    }
    s->hook.yielded = outer;
    return 0;
}

/* Costs: getmetatable(x).__gc is not the function that was put there. */
static int l_setmetatable(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE); /* here: the message names the function that was called */
    if (lua_istable(L, 2)) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) == LUA_TFUNCTION && !lua_iscfunction(L, -1)) {
            session_of(L)->hook.finalizers = true;
            lua_pushcclosure(L, finalize, 1);
            lua_pushliteral(L, "__gc");
            lua_insert(L, -2);
            lua_rawset(L, 2);
        }
    }
    lua_settop(L, 2);
    lua_pushvalue(L, lua_upvalueindex(1)); /* Lua's own */
    lua_insert(L, 1);
    lua_call(L, 2, 1);
    return 1;
}

static void begin(struct session *s)
{
    if (!pthread_equal(s->hook.thread, pthread_self())) /* others read it */
        s->hook.thread = pthread_self();
    s->hook.struck = s->hook.yielded = false;
    s->hook.grace = 0;
    atomic_store(&s->cancel, false);
    /* an interrupt that came between cells is for none of them */
    atomic_fetch_and(&s->hook.want, ~(unsigned)HOOK_INTERRUPT);
    atomic_store(&s->busy, true);
}

static void end(struct session *s)
{
    atomic_store(&s->busy, false);
    atomic_fetch_and(&s->hook.want, ~(unsigned)HOOK_INTERRUPT);
    atomic_store(&s->cancel, false);
    s->hook.grace = 0;
    s->hook.yielded = false;
}

/* The handler on this thread when the time is up, and again and again: a finalizer may wait in C. */
static bool set_timer(struct session *s, int seconds, timer_t *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = HOOK_SIGNAL};
    struct itimerspec when = {.it_value.tv_sec = seconds, .it_interval.tv_nsec = 100000000};

    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, timer) != 0)
        return false;
    s->hook.closing = clock_mono_ns() + seconds * INT64_C(1000000000);
    timer_settime(*timer, 0, &when, NULL);
    return true;
}

void hook_close(struct session *s, int seconds)
{
    struct session *outer = on_this_thread;
    timer_t timer;
    bool timed;

    if (!s->hook.finalizers) {
        lua_close(s->L);
        return;
    }
    begin(s);
    on_this_thread = s;
    timed = set_timer(s, seconds, &timer);
    lua_close(s->L);
    if (timed)
        timer_delete(timer);
    on_this_thread = outer;
    end(s);
}

void hook_open(struct session *s)
{
    static const luaL_Reg library[] = {
        {"resume", l_resume}, {"wrap", l_wrap},       {"close", l_close},
        {"yield", l_yield},   {"running", l_running}, {"isyieldable", l_isyieldable},
        {NULL, NULL}};
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: blocking calls return EINTR */
    lua_State *L = s->L;

    s->hook.thread = pthread_self();
    sigaction(HOOK_SIGNAL, &action, NULL);
    lua_getglobal(L, "coroutine");
    luaL_setfuncs(L, library, 0);
    lua_pop(L, 1);
    lua_getglobal(L, "setmetatable");
    lua_pushcclosure(L, l_setmetatable, 1);
    lua_setglobal(L, "setmetatable");
}

/* ---- running ---- */
/* What an interrupt between two turns of a cell left behind is for the cell. */
static void take_interrupt(struct session *s, unsigned since)
{
    if (atomic_load(&s->hook.interrupts) == since)
        return;
    atomic_store(&s->cancel, true);
    atomic_fetch_or(&s->hook.want, HOOK_INTERRUPT);
}

/* One turn of co as the top of what runs. */
static int turn(struct session *s, lua_State *co, int nargs, int *n)
{
    struct hook *h = &s->hook;
    lua_State *top = h->top, *from = h->running ? h->running : s->L;
    struct session *outer = on_this_thread;
    int rc;

    on_this_thread = s;
    h->top = co;
    h->left = h->yielded = false;
    h->due = 0;
    h->nested++;
    rc = enter(h, co, from, nargs, n);
    h->nested--;
    if (rc == LUA_YIELD && !h->left)
        kill_thread(s, co);
    h->yielded = false;
    h->top = top;
    on_this_thread = outer;
    return rc;
}

static enum hook_end end_of(struct session *s, int rc)
{
    if (s->hook.struck || (rc != LUA_OK && (atomic_load(&s->hook.want) & HOOK_INTERRUPT)))
        rc = LUA_YIELD;
    return rc == LUA_OK ? HOOK_DONE : rc == LUA_YIELD ? HOOK_INTERRUPTED : HOOK_ERROR;
}

enum hook_end hook_run(struct session *s, lua_State *co, int nargs, int *n)
{
    bool nested = s->hook.running != NULL;
    enum hook_end how;
    int rc, results = 0;

    if (!nested)
        begin(s);
    for (;; nargs = 0) {
        rc = turn(s, co, nargs, &results);
        if (rc != LUA_YIELD || !s->hook.left)
            break;
        serve_now(s);
    }
    how = end_of(s, rc);
    if (!nested) {
        end(s);
        debug_ended(s);
    }
    *n = how == HOOK_DONE ? results : 0;
    return how;
}

enum hook_end hook_step(struct session *s, lua_State *co, int nargs, unsigned since, int *n)
{
    bool nested = s->hook.running != NULL, struck = s->hook.struck;
    int64_t grace = s->hook.grace;
    enum hook_end how;
    int rc, results = 0;

    if (lua_status(co) == LUA_OK) /* it begins */
        atomic_fetch_add(&s->hook.going, 1);
    if (!nested)
        begin(s);
    s->hook.struck = false;
    take_interrupt(s, since);
    rc = turn(s, co, nargs, &results);
    how = rc == LUA_YIELD && s->hook.left ? HOOK_LEFT : end_of(s, rc);
    s->hook.left = false;
    if (how != HOOK_LEFT)
        atomic_fetch_sub(&s->hook.going, 1);
    if (nested) {
        s->hook.struck = struck;
        s->hook.grace = grace;
    } else {
        end(s);
        if (how != HOOK_LEFT)
            debug_ended(s);
    }
    *n = how == HOOK_DONE ? results : 0;
    return how;
}

/* ---- blocking calls ---- */

/* The signal is let in only by ppoll, so none is lost between the look and the sleep. */
bool hook_wait_fd(struct session *s, int fd, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t until = clock_mono_ns() + (int64_t)timeout_ms * 1000000, left;
    sigset_t block, old;
    int n = 0;

    sigemptyset(&block);
    sigaddset(&block, HOOK_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &block, &old);
    while (!hook_stopping(s)) {
        left = timeout_ms < 0 ? 1000000000 : until - clock_mono_ns();
        if (left < 0)
            left = 0;
        n = ppoll(&p, 1, &(struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000}, &old);
        if (n > 0 || (n < 0 && errno != EINTR) || (n == 0 && timeout_ms >= 0))
            break;
        if (atomic_load(&s->hook.want) & HOOK_DRAIN) {
            atomic_fetch_and(&s->hook.want, ~(unsigned)HOOK_DRAIN);
            session_drain(s);
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n > 0;
}
