/* debug_int.h: the inside of the debugger; for runtime/session only.
 *
 * Ownership struct debug owns all of it.
 * Threads   what is below `lock` is under it; the rest belongs to the session thread.
 */
#ifndef LACUS_SESSION_DEBUG_INT_H
#define LACUS_SESSION_DEBUG_INT_H
#include "runtime/session/debug.h"
#include "runtime/session/hook.h"
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    DEBUG_LINE_BITS = 4096,
    DEBUG_CHUNKS = 64,
    DEBUG_FRAMES_MAX = 4000,
    DEBUG_THREADS = 32,
    DEBUG_REFS_MAX = 20000,
    DEBUG_EXPR = 120
};
enum { DEBUG_PAGE = 500 }; /* children shown at once when nobody asks for a number */

struct breakpoint {
    int id, line;
    long hits;
    bool verified;
    char *condition, *hit, *log; /* owned or NULL */
};

struct source { /* the breakpoints of one file or cell */
    struct source *next;
    char *path; /* owned */
    int shift;  /* of its text: see lines.h */
    struct breakpoint *list;
    size_t n;
};

struct chunk {  /* what is known of a chunk name */
    char *name; /* owned: ar.source */
    char *path; /* owned or NULL: a text without a file */
    int last_line;
    int shift;   /* lines of the cell above a text that is its body */
    bool hidden; /* ours */
};

struct debug_frame {
    int id;
    lua_State *L; /* NULL: of an error that is over */
    lua_Debug ar;
    int kept; /* then: its number there, from 1 */
};

enum ref_kind { REF_LOCALS = 1, REF_UPVALUES, REF_GLOBALS, REF_VALUE };
struct debug_ref {
    enum ref_kind kind;
    int frame;             /* id */
    json_int_t start;      /* REF_VALUE: the first child, for what follows a page */
    char expr[DEBUG_EXPR]; /* how Lua says it; "" unknown */
};

struct debug {
    struct debug_front front;
    int wake_fd;
    atomic_bool attached;
    atomic_uint filters;
    atomic_uchar line_bits[DEBUG_LINE_BITS / 8]; /* lines (modulo) that have a breakpoint in some source */

    pthread_mutex_t lock;
    struct session *session; /* NULL: not bound */
    struct source *sources;
    size_t n_breakpoints;
    int last_breakpoint;
    struct debug_job *jobs, **jobs_end;
    enum debug_order order;
    int stopped; /* thread id, 0: runs */
    bool stepping;

    /* the session thread's */
    int (*console)(void *self, struct session *s);
    void *console_self;
    lua_State *work; /* for C code that looks around; anchored in the registry */
    int inside;      /* looking around: nothing stops */
    bool told;       /* of the error that is on its way */
    struct debug_step {
        enum debug_order order;
        lua_State *L;
        int frames, links;
        bool landed; /* a step out has returned */
    } step;
    bool post;     /* an error that is over is looked into */
    lua_State *at; /* where it stopped; NULL: runs */
    struct hook_link *links;
    char error[2048];           /* text of the one it stopped for; "" otherwise */
    struct debug_frame *frames; /* owned */
    int n_frames, cap_frames, last_frame;
    struct debug_ref *refs; /* owned; the values are in a table of the registry */
    int n_refs, cap_refs, ref_base;
    int looked_at; /* frame whose scopes were asked for last */
    struct chunk chunks[DEBUG_CHUNKS];
    int next_chunk, last_chunk;
    int last_thread;
    int threads[DEBUG_THREADS]; /* coroutines that the front end has been told of in this cell */
    int n_threads;
};

struct debug_call { /* a job that is being done; protected, may raise */
    struct debug *d;
    struct session *s;
    lua_State *L; /* d->work */
    json_t *args; /* an object */
    json_t **body;
    struct err *err;
};
typedef enum lc debug_fn(struct debug_call *c);
debug_fn debug_threads, debug_stack, debug_scopes, debug_variables, debug_set_variable, debug_evaluate,
    debug_set_expression, debug_source, debug_modules, debug_inspect, debug_rich_inspect, debug_copy,
    debug_completions, debug_exception;

/* Runs fn in protected mode on the work state. */
enum lc debug_protected(struct debug *d, debug_fn *fn, json_t *args, json_t **body, struct err *err);

/* ---- debug.c: called by the hook; s->debug may be NULL in all of them ---- */
void debug_at_line(struct session *s, lua_State *L, lua_Debug *ar);
void debug_at_return(struct session *s, lua_State *L);
void debug_at_pause(struct session *s, lua_State *L);
void debug_jobs(struct session *s);
void debug_resumed(struct session *s, lua_State *L, lua_State *co); /* before its arguments are moved */
void debug_died(struct session *s, lua_State *L, lua_State *co, bool caught); /* an error has ended co */
/* Stands in L until somebody says how to go on; `more` (may be NULL, taken) joins the event's body. */
void debug_stop(struct debug *d, struct session *s, lua_State *L, const char *reason, json_t *more);
void debug_ended(struct session *s); /* no cell runs any more */
void debug_raised(lua_State *L);     /* error on top, no pcall above */
void debug_open(struct session *s);  /* pcall and xpcall */

void debug_rearm_locked(struct debug *d); /* hooks what is wanted now; under lock */

/* ---- debug_breakpoints.c ---- */
void debug_forget_breakpoints(struct debug *d); /* under lock */
/* [ids] of those that stop here, or NULL; messages are printed. */
json_t *debug_breakpoints_here(struct debug *d, struct session *s, lua_State *L, const char *path, int line);

/* ---- debug_frames.c ---- */
int debug_thread_id(struct debug *d, lua_State *L, lua_State *co);
struct chunk *debug_chunk(struct debug *d, struct session *s, lua_State *L, const lua_Debug *ar);
bool debug_visible(struct debug *d, struct session *s, lua_State *L,
                   lua_Debug *ar); /* fills it with "Slnt" */
struct debug_frame *debug_frame_add(struct debug *d, lua_State *L,
                                    const lua_Debug *ar); /* NULL without memory */
struct debug_frame *debug_frame_by_id(struct debug *d, json_int_t id);
struct debug_frame *debug_frame_of(struct debug_call *c); /* args.frameId; NULL when there is none */
void debug_frames_forget(struct debug *d);
/* A regular file: a device or a pipe would be waited for. Any thread. */
enum lc debug_read_file(const char *path, struct buf *out, struct err *err) MUST_CHECK;
int debug_levels(lua_State *L); /* how many frames a coroutine has */
/* Push a variable of a frame on L and return its name; NULL (and nothing) after the last. */
const char *debug_local(lua_State *L, struct debug_frame *f, int n);
const char *debug_upvalue(lua_State *L, struct debug_frame *f, int n);
/* Pop the new value. */
void debug_put_local(lua_State *L, struct debug_frame *f, int n);
void debug_put_upvalue(lua_State *L, struct debug_frame *f, int n);
bool debug_hides(lua_State *L,
                 const char *name); /* a variable that our wrapper brought; its value is on top */

/* ---- debug_post.c ---- */
/* Keeps the frames of an error that ends the cell; co: a coroutine that it came out of, which is about to be closed. */
void debug_keep(lua_State *L, lua_State *co);
int debug_kept(lua_State *L); /* how many frames there are */
void debug_kept_chunk(lua_State *L, int frame, lua_Debug *ar);
const char *debug_kept_variable(lua_State *L, int frame, bool up, int n); /* as debug_local */
void debug_kept_put(lua_State *L, int frame, bool up, int n);

/* ---- debug_values.c ---- */
void debug_refs_forget(struct debug *d);
/* A reference to a scope; for REF_VALUE to the value on top of L, which is popped. 0: no more are given. */
int debug_ref_add(struct debug *d, lua_State *L, enum ref_kind kind, int frame, json_int_t start,
                  const char *expr);
void debug_value_text(lua_State *L, int index, struct buf *out);

/* ---- debug_eval.c ---- */
/* Runs a text in a frame (NULL: among the globals); leaves *n results on L. */
enum lc debug_run(struct debug *d, lua_State *L, struct debug_frame *f, const char *text, size_t len, int *n,
                  struct err *err) MUST_CHECK;
/* A function in a coroutine that an interrupt ends: it and its arguments on top of L become its results. */
enum lc debug_run_c(struct debug *d, lua_State *L, int nargs, int *n, struct err *err) MUST_CHECK;
/* Does a frame (NULL: the next cell) see a variable of that name? */
bool debug_has(lua_State *L, struct debug_frame *f, const char *name);
/* Assigns the value on top to a name that a frame or a cell sees, and pops it. */
void debug_assign(lua_State *L, struct debug *d, struct debug_frame *f, const char *name);
#endif
