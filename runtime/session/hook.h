/* hook.h: the one hook of a session: how another thread reaches into running Lua.
 *
 * What      another thread sets a bit in `want` and signals the session thread; the handler arms the hook of
 *           the coroutine that runs, and every change of coroutine arms the one that goes on. Nothing is
 *           installed while nobody asks. A cell is a coroutine. An interrupt is a yield that is never
 *           resumed: pcall cannot catch it, the stack is whole for the traceback, and each coroutine on the
 *           way out is closed, so <close> variables are, undisturbed for HOOK_GRACE_NS. Where a C frame
 *           forbids the yield (sort, gsub, __tostring, message handlers), the hook raises at every
 *           instruction until it can; it raises "not enough memory", the one error for which Lua calls no
 *           message handler.
 *           Stock Lua turns hooks off inside __gc (so finalizers run in a coroutine of their own) and in the
 *           <close> of a coroutine that died of an error raised by a hook (so a cell's body must run under
 *           lua_pcallk).
 *           HOOK_SERVE lets others have their turn: the cell yields, up to who stepped it, and is gone on with
 *           later. Where a C frame forbids that, and in what is no cell of its own (hook_run), the front end's
 *           `serve` is called in the middle of it.
 * Ownership part of struct session.
 * Errors    hook_run's result.
 * Threads   hook_request and hook_withdraw from any thread and from signal handlers, the others on the session thread.
 *
 * Example:
 *     int results;
 *     if (hook_run(s, co, 0, &results) == HOOK_INTERRUPTED)
 *         puts("interrupted");
 */
#ifndef LACUS_SESSION_HOOK_H
#define LACUS_SESSION_HOOK_H
#include "runtime/session/session.h"
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    HOOK_INTERRUPT = 1,
    HOOK_DRAIN = 2,    /* captured output waits */
    HOOK_JOBS = 4,     /* the debugger has work for the session thread */
    HOOK_PAUSE = 8,    /* the debugger wants to stop at once */
    HOOK_SAMPLE = 16,  /* the profiler wants to know where it is */
    HOOK_LINES = 32,   /* the debugger looks at each line: stays until it is taken back */
    HOOK_RETURNS = 64, /* and at each return: likewise */
    HOOK_SERVE = 128,  /* others want their turn */
};
enum hook_end { HOOK_DONE, HOOK_ERROR, HOOK_INTERRUPTED, HOOK_LEFT };
enum { HOOK_QUIET, HOOK_ASKED, HOOK_TOLD };
#define HOOK_GRACE_NS INT64_C(200000000)

struct hook_link { /* a coroutine that executes, or has resumed the one that does */
    lua_State *L;
    struct hook_link *outer; /* the one that resumed it */
    int depth;               /* 1: the outermost */
};

struct hook {
    pthread_t thread;
    struct hook_link *links;     /* the innermost */
    lua_State *top;              /* the outermost coroutine of what runs: the cell */
    lua_State *volatile running; /* the coroutine that executes, NULL between cells; read by the handler */
    atomic_uint want;            /* HOOK_… */
    bool yielded;                /* set just before a strike yields, taken by the one who resumed */
    bool left;                   /* likewise, when it yields to others */
    int64_t due;                 /* then: it need not go on before (monotonic ns); 0: as soon as it can */
    atomic_int going;            /* cells that have begun and not ended, one that sleeps too */
    int between;                 /* coroutines that gave others a turn, about */
    int nested;                  /* cells on the C stack */
    int pinned;                  /* finalizers that run: nobody else may have a turn */
    atomic_uint interrupts;      /* how many there were */
    bool struck;                 /* an interrupt has arrived in what runs */
    atomic_int_least64_t grace;  /* until then <close> handlers run undisturbed; 0: nothing is being closed */
    atomic_int report;           /* HOOK_ASKED by another thread, HOOK_TOLD by the handler: what still runs */
    struct session_still still;
    void (*volatile escape)(
        struct session *s);       /* called by the handler on an interrupt: may leave a C call */
    bool finalizers;              /* Lua functions are finalizers of something */
    atomic_int_least64_t closing; /* then what still runs at the close is interrupted; 0: no close */
    char cut[LUA_IDSIZE + 32];    /* the first finalizer that was */
};

/* Closes the Lua state: as lua_close, but finalizers that loop or wait are interrupted after so many seconds, and later ones
 * at once; hook.cut says which was the first. */
void hook_close(struct session *s, int seconds);
/* Installs the handler and replaces coroutine.* and setmetatable. Runs protected, may raise. */
void hook_open(struct session *s);
void hook_request(struct session *s, unsigned bits);
void hook_withdraw(struct session *s, unsigned bits);
/* Is this Lua's coroutine.resume here, which turns errors into results? */
bool hook_is_resume(lua_CFunction f);
bool hook_stopping(struct session *s); /* a C call that runs for long looks here, and then strikes */
/* Ends the running coroutine, uncatchably. Does not return: `return hook_strike(L);` */
int hook_strike(lua_State *L);
/* Waits until that time (monotonic ns): a cell leaves for others, and where it cannot they are served in the middle of
 * it. In a C function only: `return hook_sleep(L, until);` */
int hook_sleep(lua_State *L, int64_t until);
/* Runs a coroutine (function and nargs arguments on its stack) from the main state or, nested, from the
 * running one. HOOK_DONE: n results on its stack; HOOK_ERROR: the error value is on its top. */
enum hook_end hook_run(struct session *s, lua_State *co, int nargs, int *n);
/* As hook_run, but HOOK_LEFT when the coroutine lets others have their turn: call again, nargs 0. An interrupt that
 * came since `since` (a count of hook.interrupts) is for it. */
enum hook_end hook_step(struct session *s, lua_State *co, int nargs, unsigned since, int *n);
/* Waits until a descriptor can be read, an interrupt comes (false) or the time is up (false); timeout in
 * milliseconds, -1 for none. fd -1 only waits. */
bool hook_wait_fd(struct session *s, int fd, int timeout_ms);
#endif
