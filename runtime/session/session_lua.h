/* session_lua.h: what *_lua.c files, magics and widgets may ask of the session they run in.
 *
 * Ownership everything returned is borrowed from the session.
 * Errors    session_raise turns a struct err into a Lua error value: a table {code=…, message=…, hint=…,
 *           cause=…} with a metatable whose __tostring is the message and the hint; the front end shows its
 *           ename. Nothing from mem_alloc may be live across it.
 * Threads   session thread only.
 *
 * Example:
 *     static int l_now(lua_State *L)
 *     {
 *         struct err err;
 *         if (ctx_check(session_ctx(session_of(L)), &err) != LC_OK)
 *             return session_raise(L, &err);
 *         lua_pushinteger(L, 42);
 *         return 1;
 *     }
 */
#ifndef LACUS_SESSION_SESSION_LUA_H
#define LACUS_SESSION_SESSION_LUA_H
#include "runtime/session/session.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

struct session *session_of(lua_State *L); /* never NULL inside a session's state */
const struct ctx *session_ctx(struct session *s);
const struct frontend *session_frontend(struct session *s);
json_t *session_params(struct session *s); /* borrowed object, or NULL */
/* Takes a reference of its own; NULL for none (%run NOTEBOOK $name=value). */
void session_set_params(struct session *s, json_t *params);
/* What is shown goes elsewhere for a while (%%capture); returns the front end of before, to be set again. */
struct frontend session_set_frontend(struct session *s, struct frontend frontend);
/* Who draws the progress of calls that last; borrowed until the session closes. NULL: nobody. */
void session_set_progress(struct session *s, const struct ctx_progress *progress);
/* Did the cell that ended last fail? */
bool session_failed(const struct session *s);
/* False: the running cell came to a text that does not compile. */
bool session_has_run(const struct session *s);
/* The last error's lines once more, in another mode ("Minimal", "Plain", "Context", "Verbose", "Folded") or (NULL) as it was; NULL: there was
 * none. New reference; raises for a mode that is not known. */
json_t *session_traceback(lua_State *L, const char *mode);
/* The same for a front end that shows HTML: each call is a part that opens with a click. False: it shows none, there was no error, or
 * the mode leaves the calls out. */
bool session_traceback_html(lua_State *L, const char *mode, struct buf *page);
/* Sets the mode (NULL: does not) and returns it. */
const char *session_traceback_mode(lua_State *L, const char *mode);
int session_raise(lua_State *L, const struct err *err);
/* The same for the parts of the program that are written in Lua: (code, message, hint or nothing). */
int session_raise_text(lua_State *L);
/* Pushes what require gives for a module. */
void session_require(lua_State *L, const char *module);
/* Pushes a module that is a function of its core, a table that push_core pushes; made once for a session. */
void session_push_module(lua_State *L, const char *module, void (*push_core)(lua_State *L));
/* luaL_ref-free module state: one userdata per key and session, zero-filled, made on first use; free_fn (may
 * be NULL) runs at close. */
void *session_state(lua_State *L, const void *key, size_t size, void (*free_fn)(void *state));

/* Output from C. Texts of any bytes are made valid UTF-8 first. */
void session_print(struct session *s, enum stream stream, const char *text, size_t len);
void session_display(struct session *s, const struct display *d);
/* The MIME bundle of a Lua value, as `display` would send it (honours __mimebundle and __tostring); new
 * reference. */
json_t *session_mimebundle(lua_State *L, int index);
/* A bounded, cycle-safe rendering of a value, as the last expression of a cell is shown. */
bool session_repr(lua_State *L, int index, struct buf *out);

/* dbutils.notebook.exit: ends the cell, well, and with it the notebook. Does not return. */
int session_end_notebook(lua_State *L, const char *value);
/* From now on this value never gets out: front ends, notebooks and replies have [REDACTED] for it and its usual
 * encodings. False: it is too short, or there is no memory. */
bool session_mask(struct session *s, const char *value, size_t len);
bool session_masked(struct session *s, const char *text, size_t len); /* is such a value in the text? */
struct redact;
const struct redact *
session_secrets(struct session *s); /* all of them; NULL: there is none. Until the next one */

/* Pushes a table name → value of what the user has defined: globals that lacus did not bring, and carried
 * locals (for %who, %whos). session_forget drops a name; false when there was none. */
int session_user_names(lua_State *L);
bool session_forget(lua_State *L, const char *name);
/* The running coroutine, or the main state between cells. */
lua_State *session_lua(struct session *s);
/* The tracking run that is active, for lineage; NULL for none. */
void session_set_run(struct session *s, const char *run_id);

/* Puts text in front of the user as the next cell (replace: instead of this one). Through the front end's function
 * when it has one, else as payload of the cell's reply. */
void session_set_next_input(struct session *s, const char *text, bool replace);

/* A long text to be read and left: a prompt's pager, a page of Jupyter's; where there is neither it is nowhere. */
void session_page(struct session *s, const char *text, size_t len);

/* fn() runs once, when the running cell has ended well and its temporary values are garbage. */
void session_after_cell(struct session *s, lua_CFunction fn);

/* Runs text as part of the running cell (magics): same locals, same globals. Pushes its results, returns
 * their number; raises. */
int session_run_text(lua_State *L, const char *text, size_t len, const char *chunkname);
/* As session_run_text; the text's "..." are the nargs values on the top, which are popped. */
int session_run_script(lua_State *L, int nargs, const char *text, size_t len, const char *chunkname);
/* Is the value nil, or the thing that a call wrote to: io.write(…), handle:update(…)? */
bool session_says_nothing(lua_State *L, int index);
/* What errors show of a chunk, when it is not quite what was run. */
void session_set_source(lua_State *L, const char *chunkname, const char *text, size_t len);

/* fn(true) before each cell from now on, fn(false) behind each that ends well; inside its coroutine: it may raise. */
void session_around_cells(struct session *s, lua_CFunction fn);

/* Waits for up to timeout_ms, serving the front end's messages; returns false when the cell was interrupted.
 */
bool session_wait(struct session *s, int timeout_ms);

/* Runs fn(arg) outside of a cell, or in the middle of one that waits, as a cell would run: in a coroutine that
 * an interrupt ends, with its error shown. arg is a light userdata. For what comm handlers call in Lua. */
void session_callback(struct session *s, lua_CFunction fn, void *arg);

/* Comms. The handler is no Lua function: what it does in Lua goes through session_callback. */
typedef void session_comm_fn(struct session *s, void *arg, enum comm_kind kind, const char *comm_id,
                             json_t *data, const struct comm_buffers *buffers);
enum lc session_comm_open(struct session *s, const char *comm_id, const char *target, json_t *data,
                          json_t *metadata, const struct comm_buffers *buffers, session_comm_fn *fn,
                          void *arg, struct err *err) MUST_CHECK;
enum lc session_comm_send(struct session *s, enum comm_kind kind, const char *comm_id, json_t *data,
                          json_t *metadata, const struct comm_buffers *buffers, struct err *err) MUST_CHECK;
/* A target that the front end may open comms to. */
enum lc session_comm_target(struct session *s, const char *target, session_comm_fn *fn, void *arg,
                            struct err *err) MUST_CHECK;

/* What must not leak when something raises: a userdata on the stack, zero-filled, with one user value. release (a function of the
 * userdata; it may run twice) is called when the stack lets go of it, also as a variable that is to be closed. `type` is release's own. */
void *session_slot(lua_State *L, size_t size, const char *type, lua_CFunction release);
/* The same with a buffer, with a JSON reference (set *slot), with a list of texts (set both). */
struct session_texts {
    char **list; /* owned, with its texts */
    size_t n;
};
struct buf *session_buf(lua_State *L, size_t max);
json_t **session_json_slot(lua_State *L);
struct session_texts *session_texts(lua_State *L);

/* JSON ↔ Lua. null is the light userdata NULL (the global `null`); empty tables become {} unless marked as
 * arrays. */
void session_push_json(lua_State *L, json_t *value);
void session_push_parameter(lua_State *L, json_t *value); /* the same with the numbers of base/real.h */
json_t *session_to_json(lua_State *L, int index, struct err *err); /* new reference, NULL on failure */
/* The same, and back, with nothing lost: numbers as base/real.h has them, texts that are no UTF-8 as {"$binary": base64}. */
json_t *session_to_json_exact(lua_State *L, int index, struct err *err);
void session_push_json_exact(lua_State *L, json_t *value);
/* Pushes the JSON text of the value at index, compact; raises. */
void session_push_json_text(lua_State *L, int index);
/* Pushes the value of a JSON text; raises. big: what an integer of more than 64 bits becomes, "string" or (NULL) a float. */
void session_push_json_value(lua_State *L, const char *text, size_t len, const char *big);
/* Makes the table at the top a list: an array in JSON even when empty; print, tostring and .. have its items. What functions of
 * ours return as a list is one. */
void session_mark_list(lua_State *L);
void session_mark_map(lua_State *L); /* the same for names and values: always an object in JSON */
/* A table without a metatable, or with no other than what marks a list or a map. */
bool session_is_plain(lua_State *L, int index);
#endif
