/* lookup.h: what stands at a place in a text: a name with dots, the value it has now, the names it offers.
 *
 * What      completion, inspection and "did you mean" ask the same: which chain a.b:c is here, what is its
 *           value, what are its members. Values are looked up raw, through __index tables, and through
 *           __index functions written in C (ours); functions of the user's are not called. A type may name
 *           its members in a metamethod __dir(self) that returns a list of names.
 * Ownership points into the text.
 * Units     bytes.
 * Errors    lookup_push and lookup_members may raise what opening a lazy global raises.
 * Threads   session thread.
 *
 * Example:
 *     struct chain c;
 *     if (lookup_chain("df.wri", 6, &c) && lookup_push(L, &c, c.n - 1))
 *         lookup_members(L, -1, add_match, &matches);
 */
#ifndef LACUS_SESSION_LOOKUP_H
#define LACUS_SESSION_LOOKUP_H
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

enum { CHAIN_PARTS = 16 };

struct chain {
    struct chain_part {
        const char *name;
        size_t len;
        char separator; /* '.', ':' or 0 before the first */
    } parts[CHAIN_PARTS];
    int n;
    bool literal;             /* it begins with a string literal: parts[0] is empty */
    bool unknown;             /* something that has to be run stands before: f(x).name */
    bool in_string;           /* the text ends inside a string or comment */
    const char *string_start; /* after the quote, when in_string */
};

/* The chain that ends at the end of the text. Its last part may be empty (after '.') or unfinished. False:
 * no name can stand here. */
bool lookup_chain(const char *text, size_t len, struct chain *c);
/* Pushes the value of the first n parts; false and nothing when it has none. Opens lazy globals. */
bool lookup_push(lua_State *L, const struct chain *c, int n);
/* Pushes value.name of the value at index; false and nothing when there is none. */
bool lookup_field(lua_State *L, int index, const char *name, size_t len);

/* Called with the member's value on the top of the stack (nil when only its name is known). */
typedef void lookup_fn(lua_State *L, void *arg, const char *name);
void lookup_members(lua_State *L, int index, lookup_fn *fn, void *arg);
#endif
