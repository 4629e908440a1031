/* complete_int.h: between the files of completion: what may stand at the cursor is added to an answer.
 *
 * Ownership the answer's list is owned by session_complete.
 * Units     bytes.
 * Errors    without memory the list is shorter.
 * Threads   session thread.
 *
 * Example:
 *     complete_add(a, "print", "function", 1, NULL);
 */
#ifndef LACUS_SESSION_COMPLETE_INT_H
#define LACUS_SESSION_COMPLETE_INT_H
#include "runtime/session/place.h"
#include "runtime/session/session_int.h"

struct match {
    char *text; /* owned */
    const char *type;
    char *signature; /* owned or NULL */
    int rank;        /* lower first */
};

struct answer {
    const char *text;
    size_t len;      /* up to the cursor */
    const char *end; /* of the whole text */
    const char *prefix;
    size_t prefix_len;
    bool methods;      /* after ':' */
    bool folders;      /* of paths: nothing else */
    bool fold;         /* case does not matter: SQL */
    const char *first; /* in a call: its first argument, a text; NULL: none */
    size_t first_len;
    const char *call;     /* where the call begins, as written; NULL: in none */
    const char *call_end; /* NULL: the cursor */
    const char *more;     /* behind each text of a list: " = "; NULL: nothing */
    struct session *s;
    struct match *list; /* owned */
    size_t n, cap;
};

void complete_add(struct answer *a, const char *text, const char *type, int rank,
                  const struct manual_entry *e);
/* Paths that go on from `start`, which ends at the cursor. */
void complete_path(struct answer *a, const char *start);
/* Lua, with the cursor at its end. */
void complete_lua(lua_State *L, struct answer *a);
/* Lua that begins at `start`, in something else. */
void complete_lua_from(lua_State *L, struct answer *a, const char *start);
/* A text that a parameter of this type takes, from `start` on; self: stack index of the object, 0: none. */
bool complete_value(lua_State *L, struct answer *a, struct manual_text type, const char *start, int self);
/* The texts that a parameter of this type takes, where a name is being written; false: it is no such type. */
bool complete_listed(lua_State *L, struct answer *a, struct manual_text type, int self);
/* The texts that a list of an object's gives, from `start` on; false: none. */
bool complete_asked(lua_State *L, struct answer *a, lua_CFunction list, const char *start, int self);
/* Lines that are no Lua: magics and commands; false: it is Lua. */
bool complete_magic(lua_State *L, struct answer *a);
#endif
