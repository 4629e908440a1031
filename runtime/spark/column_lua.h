/* column_lua.h: the Lua class Column: an expression, its operators and methods; and F, the functions.
 *
 * Ownership a Column userdata holds one reference of its expression; column_at borrows it for as long as the
 *           userdata is on the stack.
 * Units     none.
 * Errors    raise.
 * Threads   session thread.
 *
 * Example:
 *     struct expr *e = column_arg(L, 2, COLUMN_NAME);
 *     column_push(L, expr_unary("isnull", expr_ref(e)));
 */
#ifndef LACUS_SPARK_COLUMN_LUA_H
#define LACUS_SPARK_COLUMN_LUA_H
#include "runtime/dataframe/expr.h"
#include "runtime/session/manual.h"
#include "runtime/session/session_lua.h"

extern const struct manual_topic column_topic;
extern const struct manual_topic *const functions_topics[], *const window_topics[]; /* of F, of Window */

enum column_text { COLUMN_NAME, COLUMN_VALUE, COLUMN_SQL }; /* what a plain string means */

/* Takes the reference; raises when e is NULL (no memory). */
int column_push(lua_State *L, struct expr *e);
/* The column at index, NULL when it is none; borrowed. */
struct expr *column_at(lua_State *L, int index);
/* What the value at index means as a column; it takes that value's place on the stack. Borrowed from there. */
struct expr *column_arg(lua_State *L, int index, enum column_text text);
/* A boolean is what is left of `df.n == 1`: raises, with the reason. expected: "a Column expected" */
void column_refuse_boolean(lua_State *L, int index, const char *expected);
/* A column or its name, where one of several is expected: no boolean, and no list (a list goes alone). Borrowed as column_arg. */
struct expr *column_one(lua_State *L, int index, const char *expected);
/* A condition: a Column or SQL text; no boolean. */
struct expr *column_condition(lua_State *L, int index);
/* n columns from index first on, as an array (in a userdata pushed on the stack) of new references, for a constructor that
 * takes them over: call it at once. */
struct expr **column_list(lua_State *L, int first, int n, enum column_text text);
/* A sort order: ascending, unless the column there says otherwise. Borrowed from the stack, like column_arg. */
struct expr *column_order(lua_State *L, int index);
/* The same for sort orders: names and columns, each ascending unless it says otherwise. */
struct expr **column_orders(lua_State *L, int first, int n);
/* Makes an expression of the Lua function at index by calling it with variables; pushes it. Raises what the function raises. */
int column_lambda(lua_State *L, int index);
int functions_lua_open(lua_State *L); /* the global F */
int window_lua_open(lua_State *L);    /* the global Window */
/* Defined with Window: column:over(spec). */
int window_over(lua_State *L);
#endif
