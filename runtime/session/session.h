/* session.h: one Lua state and the cells that run in it.
 *
 * What      executes cells (Lua 5.4 with the locals rule of the manual), and answers completion, inspection,
 *           is_complete and history.
 * Ownership session_open gives a session, session_close ends it. Requests are borrowed; a reply is released
 *           by its receiver.
 * Units     cursor positions are in Unicode code points, as in the Jupyter protocol.
 * Errors    session_execute returns LC_OK when the cell ran, whatever it did: the cell's own error is in the
 *           reply. Other codes mean that the session could not run it at all.
 * Threads   all functions on the thread that opened the session, except session_interrupt and session_serve (any
 *           thread, async-signal-safe). Two sessions in one process, each on its own thread, must work; only one of
 *           them may capture file descriptors.
 *
 * Example:
 *     struct session_options options = {.frontend = {&recorder_ops, &recorder}};
 *     struct session *s;
 *     struct cell_request cell = {.code = "return 1 + 1", .len = 12, .store_history = true};
 *     struct cell_reply reply;
 *     struct err err;
 *     if (session_open(&options, &s, &err) == LC_OK && session_execute(s, &cell, &reply, &err) == LC_OK)
 *         cell_reply_release(&reply);
 */
#ifndef LACUS_SESSION_SESSION_H
#define LACUS_SESSION_SESSION_H
#include "runtime/session/frontend.h"

struct lua_State;
struct manual_topic;
struct session;

struct session_global {               /* one name that a cell finds without require; opened when first used */
    const char *name;                 /* "spark" */
    int (*open)(struct lua_State *L); /* leaves the value on the stack; may use session_of(L) */
    const char *doc;                  /* one line for completion and inspection */
    /* What can be reached through it (session/manual.h); ends with NULL, may be NULL. */
    const struct manual_topic *const *topics;
};

struct session_magic { /* one % or %% command; defined in magics/ */
    const char *name;  /* without % */
    const char *usage; /* "%time EXPRESSION" */
    const char *doc;
    unsigned kinds; /* MAGIC_LINE | MAGIC_CELL */
    /* line: the rest of the first line; body: what follows it, for %%magics, else NULL. Runs inside the
     * cell's coroutine as a Lua C function would: it may raise, and leaves its results on the stack. */
    int (*run)(struct lua_State *L, const char *line, const char *body);
    const char *example; /* a cell; may be NULL */
    /* What its last word may be, for completion: (nil, word, "", line up to the cursor) gives a list of texts, or nothing: as
     * the usage says. May be NULL. */
    int (*words)(struct lua_State *L);
    /* What a word of its text (behind the name, no Lua) is, for inspection: (text, word) gives a text, or nothing. May be NULL. */
    int (*explain)(struct lua_State *L);
};
enum { MAGIC_LINE = 1, MAGIC_CELL = 2 };

enum { SESSION_CLOSE_SECONDS = 5 };

struct session_options {
    struct frontend frontend;
    const struct session_global *globals; /* ends with a NULL name; may be NULL */
    const struct session_magic *magics;   /* likewise */
    const char *principal;                /* NULL: the local user */
    const char *notebook;                 /* path for lineage, may be NULL */
    const char *job;                      /* job id for lineage, may be NULL */
    json_t *params;                       /* object: values for dbutils.widgets (run -p), may be NULL */
    const char *history;                  /* path of the history database; NULL: none kept */
    const char *const *args;              /* of a script: arg and ...; args[0] is its name; NULL: none */
    bool capture;                         /* file descriptors 1 and 2 go to the front end */
    bool real_stdin;                      /* io.read reads descriptor 0 instead of asking the front end */
    int close_seconds; /* what finalizers may take at the close; 0: SESSION_CLOSE_SECONDS */
};

struct cell_request {
    const char *code;
    size_t len;
    const char *cell_id; /* for lineage and errors; may be NULL */
    const char *name;    /* what errors call it ("script.lua"); NULL: Cell In[3] */
    bool silent, store_history, allow_stdin;
    json_t *user_expressions; /* object name → expression; may be NULL */
};

enum cell_status { CELL_OK, CELL_ERROR, CELL_ABORTED };

struct cell_reply {
    enum cell_status status;
    int execution_count;
    bool interrupted;
    bool exit_asked; /* os.exit was called; the front end ends with exit_status */
    int exit_status;
    char *notebook_exit;      /* owned: the notebook ended itself with this value; nothing more is to run */
    json_t *user_expressions; /* owned */
    json_t *payload;          /* owned array */
    char *ename, *evalue;     /* owned, when CELL_ERROR */
    json_t *traceback;        /* owned array, when CELL_ERROR */
};
void cell_reply_release(struct cell_reply *r);

enum lc session_open(const struct session_options *options, struct session **out, struct err *err) MUST_CHECK;
void session_close(struct session *s);
enum lc session_execute(struct session *s, const struct cell_request *cell, struct cell_reply *reply,
                        struct err *err) MUST_CHECK;
void session_interrupt(struct session *s);
/* What a call into C that no interrupt can reach is doing: its name ("" unknown), and where it was called. False: the
 * session is not in such a call. Any thread, about 2 s after session_interrupt; waits at most 50 ms. */
struct session_still {
    char name[48], source[64];
    int line;
};
bool session_still(struct session *s, struct session_still *out);
/* From now on an interrupt is for the cell that is executed next, although it has not begun. (Otherwise one that comes
 * between cells is for none of them.) */
void session_expect(struct session *s);

/* A cell that lets others have their turn: between two steps another task, a comm message or a question about code
 * may be served. session_execute is a task that is stepped until it has ended. cell, its texts and reply are borrowed
 * until then. */
struct session_task;
enum lc session_task_new(struct session *s, const struct cell_request *cell, struct cell_reply *reply,
                         struct session_task **out, struct err *err) MUST_CHECK;
/* Runs it until it ends (true) or gives others a turn, as session_serve asks for. Not while it is being stepped. */
bool session_task_step(struct session_task *t);
/* A step before that time (monotonic ns) would do nothing: it sleeps. 0: it goes on at once. */
int64_t session_task_due(const struct session_task *t);
/* After the end; as session_execute's result. */
enum lc session_task_free(struct session_task *t, struct err *err) MUST_CHECK;
/* Somebody waits: the cell that runs gives a turn (or calls the front end's serve) soon. Any thread. */
void session_serve(struct session *s);
/* What C code and children have printed so far goes to the front end now (see frontend_ops.output_waits). */
void session_flush(struct session *s);
/* How much Lua values may take from now on ("500M", "2GB"; "0": no limit; "": as at the start). LC_ARG: no amount, or less
 * than they take already. */
enum lc session_limit_memory(struct session *s, const char *text, struct err *err) MUST_CHECK;
/* The text without the values that are to be hidden (those of dbutils.secrets); NULL: there are none in it. New
 * reference. */
json_t *session_masked_text(struct session *s, const char *text, size_t len);
/* The front end has had nothing to do for a while: memory that cells left behind goes back to the system. */
void session_idle(struct session *s);
int session_execution_count(const struct session *s);
const char *session_id(const struct session *s);

/* Answers are the contents of the Jupyter replies (complete_reply, inspect_reply, is_complete_reply,
 * history_reply); new references. */
json_t *session_complete(struct session *s, const char *code, size_t len, size_t cursor);
json_t *session_inspect(struct session *s, const char *code, size_t len, size_t cursor, int detail);
json_t *session_is_complete(struct session *s, const char *code, size_t len);
json_t *session_history(struct session *s, json_t *request);

/* A comm message from the front end; LC_NOTFOUND when nobody registered that comm or target. */
enum lc session_comm(struct session *s, enum comm_kind kind, const char *comm_id, const char *target,
                     json_t *data, json_t *metadata, const struct comm_buffers *buffers,
                     struct err *err) MUST_CHECK;
/* Whether somebody would get such a message. */
bool session_comm_known(struct session *s, enum comm_kind kind, const char *comm_id, const char *target);
/* comm_id → {target_name}, restricted to a target unless NULL; new reference. */
json_t *session_comm_info(struct session *s, const char *target);
#endif
