/* debug.h: the debugger of a session: breakpoints, stepping, frames, variables; what the Debug Adapter Protocol asks.
 *
 * What      one struct debug for one session. Breakpoints and orders to go on come from any thread; what needs the Lua
 *           state is a job: it is posted, and the session thread does it while it stands at a breakpoint, between two
 *           instructions of a cell that runs, or when it is idle. Nothing is hooked while no breakpoint is set, no step
 *           is under way and no job waits. Cells are known by the path that Jupyter gives them (a hash of their text),
 *           files by theirs; error messages go on to name cells by number.
 * Ownership debug_new gives it, debug_free (after debug_unbind) ends it. A job belongs to its poster, who may not free
 *           it before done(); `args` is borrowed, `body` the poster's afterwards.
 * Units     lines and columns from 1.
 * Errors    a job's err; LC_ARG for arguments that are wrong or no longer valid.
 * Threads   as said above; debug_bind, debug_unbind, debug_serve and debug_do on the session thread.
 *
 * Example:
 *     struct debug_front front = {.prefix = "/tmp/cells/", .suffix = ".lua"};
 *     struct debug *d;
 *     if (debug_new(&front, &d, NULL) == LC_OK) {
 *         debug_bind(d, s);
 *         debug_unbind(d);
 *         debug_free(d);
 *     }
 */
#ifndef LACUS_SESSION_DEBUG_H
#define LACUS_SESSION_DEBUG_H
#include "runtime/session/session.h"

struct debug;

struct debug_front {
    const char *prefix, *suffix; /* borrowed: a cell's path is prefix + decimal hash of its text + suffix */
    uint32_t seed;               /* of the hash */
    void *self;
    /* stopped, continued, thread: on the session thread; body is borrowed. May be NULL. */
    void (*event)(void *self, const char *event, json_t *body);
    /* Any thread: a job waits while no cell runs; call debug_serve soon. May be NULL. */
    void (*wake)(void *self);
};

enum debug_order { DEBUG_WAIT, DEBUG_CONTINUE, DEBUG_OVER, DEBUG_IN, DEBUG_OUT, DEBUG_ABORT };
enum { DEBUG_RAISED = 1, DEBUG_UNCAUGHT = 2 }; /* which errors stop */
enum { DEBUG_BREAKPOINTS_MAX = 4096, DEBUG_TEXT_MAX = 64 << 10 };

enum lc debug_new(const struct debug_front *front, struct debug **out, struct err *err) MUST_CHECK;
void debug_free(struct debug *d); /* NULL is fine */
void debug_bind(struct debug *d, struct session *s);
void debug_unbind(struct debug *d); /* jobs that wait are answered LC_CANCELLED; nothing stops any more */

/* ---- any thread ---- */
/* Off: breakpoints and filters are forgotten, and what has stopped goes on. */
void debug_attach(struct debug *d, bool on);
bool debug_attached(struct debug *d);
/* Replaces those of one source; `list` is DAP's [{line, condition?, hitCondition?, logMessage?}]. The source's text is
 * `text`, or NULL: read from `path`. Returns DAP's [{id, verified, line, source, message?}], a new reference. */
json_t *debug_set_breakpoints(struct debug *d, const char *path, const char *text, json_t *list,
                              struct err *err);
json_t *debug_breakpoints(struct debug *d); /* [{source, breakpoints}], new */
void debug_set_filters(struct debug *d, unsigned filters);
unsigned debug_filters(struct debug *d);
json_t *debug_stopped(struct debug *d);                     /* [thread ids], new */
bool debug_resume(struct debug *d, enum debug_order order); /* false: nothing has stopped */
void debug_pause(struct debug *d);
void debug_cell_path(const struct debug *d, const char *text, size_t len, char *out, size_t size);

/* ---- jobs ---- */
struct debug_job {
    struct debug_job *next;
    const char *command;                 /* a row's name: "stackTrace"; borrowed */
    json_t *args;                        /* borrowed object, may be NULL */
    json_t *body;                        /* owned by the poster once done */
    struct err err;                      /* LC_OK, or why there is no body */
    void (*done)(struct debug_job *job); /* session thread, or the one that unbinds */
    void *self;
};
bool debug_knows(const char *command); /* is there a job of that name? */
void debug_post(struct debug *d, struct debug_job *job);
/* True: it had not begun and never will; done() is not called. */
bool debug_withdraw(struct debug *d, struct debug_job *job);
void debug_serve(struct debug *d);
/* Does it at once. New reference, or NULL and err. */
json_t *debug_do(struct debug *d, const char *command, json_t *args, struct err *err);

/* ---- a prompt instead of a client (%debug); session thread ---- */
struct debug *debug_of(struct session *s); /* borrowed; NULL: none is bound */
/* Called when it has stopped: asks, and returns a debug_order. NULL: waits for debug_resume. */
void debug_set_console(struct debug *d, int (*console)(void *self, struct session *s), void *self);
/* The error that ended a cell last is looked into; false: there was none. */
bool debug_open_error(struct debug *d);
void debug_close_error(struct debug *d);
void debug_step_next(struct debug *d); /* stops at the next line of Lua */
#endif
