/* session_int.h: the inside of a session; for runtime/session only.
 *
 * Ownership struct session owns all of it; every part is opened by session_open or on first use, and closed
 *           by session_close.
 * Errors, Threads: as session.h.
 *
 * Example:
 *     struct session *s = session_of(L);
 *     s->execution_count++;
 */
#ifndef LACUS_SESSION_SESSION_INT_H
#define LACUS_SESSION_SESSION_INT_H
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/session/error.h"
#include "runtime/session/hook.h"
#include "runtime/session/session_lua.h"

struct capture; /* capture.c: descriptors 1 and 2 */
struct comms;   /* comm.c */
struct debug;   /* debug.c */
struct profile; /* profile.c */
struct guard;   /* long_calls.c: string functions that can run for long */
struct history; /* history.c */
struct masks;   /* masks.c: what keeps secrets in */
struct told;    /* traceback.c */
struct state;   /* session.c: module states, latest first */

/* Tables of the session in Lua's registry, by the address of these. */
enum session_table {
    TABLE_CARRIED, /* name → closure that holds the variable */
    TABLE_CONSTS,  /* name → true when <const> */
    TABLE_SOURCES, /* chunk name → text of the cell */
    TABLE_BASE,    /* global name → value at the start, or when opened lazily */
    TABLE_BETWEEN, /* coroutines that gave others a turn; weak keys */
    TABLE_COUNT
};

struct ceiling {       /* how a cell goes on where it gets no more */
    const void *block; /* what was refused last; size 0: nothing since */
    size_t size, used;
    int64_t asked;     /* then; this and the others in ns of the thread's CPU time */
    int64_t since;     /* of the first failure, */
    int64_t collected; /* spent in collections that failures begin */
    unsigned failures;
};

struct heap {           /* what Lua has allocated */
    size_t used, limit; /* bytes; limit 0: not known yet */
    size_t swept;       /* used after the last session_idle */
    size_t room;        /* above the limit: with it the cell begins, or nobody could free anything */
    bool over;          /* the limit was hit since the cell began */
    bool relaxed;       /* while an error is told, a little more is allowed */
    bool ended;         /* the cell went on at the limit: it was struck */
    struct ceiling ceiling;
};

struct error_context {
    char name[64], hint[256];
    bool syntax;
    bool sure; /* the hint is better than what the error says itself */
    int line, column;
};

struct cut { /* the begin of a character whose other bytes have not been written yet */
    char bytes[4];
    size_t n;
};

/* What belongs to the cell that runs, while another has its turn. */
struct set_aside {
    struct frontend frontend;
    const struct cell_request *cell;
    struct cell_reply *reply;
    struct frames frames, inner;
    struct error_context problem;
    bool exit_asked;
    int exit_status;
    char operation[17], cell_id[64];
    struct cut cut[2];
};

struct session {
    lua_State *L;
    struct frontend frontend, home;       /* home: where a cell's output goes until something captures it */
    const struct session_global *globals; /* borrowed */
    const struct session_magic *magics;   /* borrowed */
    json_t *params;                       /* owned or NULL */
    int close_seconds;
    char id[UUID_TEXT];
    char operation[17];
    char cell_id[64];
    char run[64];
    char *principal, *notebook, *job; /* owned or NULL */
    char *
        here; /* owned: the file whose text runs, when it is not `notebook` or that is relative (beside.h); or NULL */
    int entered; /* how many files run in one another */
    struct ctx ctx;
    const struct ctx_progress *progress; /* borrowed, may be NULL */
    atomic_bool cancel, busy;
    struct hook hook;
    struct heap heap;
    int execution_count;
    bool real_stdin;
    const char *const *args; /* borrowed */

    /* the cell that runs */
    const struct cell_request *cell;
    struct cell_reply *reply;
    struct frames frames, inner; /* where the error was raised; in the coroutine that it came out of */
    struct error_context problem;
    struct cut cut[2];          /* of both streams */
    bool failed;                /* the cell that ended last */
    struct session_task *spare; /* owned or NULL */
    bool expects;               /* session_expect was called, */
    unsigned expected;          /* when so many interrupts had been */
    bool exit_asked;
    int exit_status;

    struct debug *debug;     /* borrowed; NULL: none is bound */
    struct profile *profile; /* borrowed, while one is taken */
    struct state *states;
    struct capture *capture;
    struct comms *comms;
    struct guard *guard;
    struct history *history;
    struct masks *masks;
    struct told *told;      /* traceback.c: the last error; NULL: none */
    lua_CFunction around;   /* session_around_cells */
    lua_CFunction after[4]; /* session_after_cell; NULL: free */
};

void session_table(lua_State *L, enum session_table which); /* pushes it */
/* heap.c */
void heap_open(struct session *s);
void *heap_alloc(void *session, void *p, size_t old, size_t size); /* a lua_Alloc */
void heap_forget(struct heap *h);                                  /* a cell begins */
void session_strike(struct session *s); /* what runs on this thread is ended, as by an interrupt */
void output_finish(struct session *s);  /* what has been cut and is at its end is sent as it is */
void session_drain(struct session *s);  /* captured output that has come goes to the front end */
json_t *session_json_text(const char *s, size_t len); /* a JSON string; bytes that are no text are replaced */
int session_ask(lua_State *L);                        /* the global `input` */
int json_open(lua_State *L);
int fmt_call(lua_State *L);     /* the global `fmt` */
int session_exit(lua_State *L); /* os.exit */
int builtin_exit(lua_State *L); /* the globals `exit` and `quit`; as a cell's value it is called */
int plot_open(lua_State *L);
extern const struct manual_topic *const json_topics[], *const plot_topics[]; /* what these globals hold */

/* output.c and others: what a session's state is filled with; protected, may raise */
void names_open(struct session *s);
void output_open(struct session *s);
void long_open(struct session *s);
void long_close(struct session *s);
#endif
