/* args_lua.h: arguments as PySpark takes them: positions, or one table with names (df:show{5, truncate =
 * 80}).
 *
 * What      spark_args puts the arguments into fixed places of the stack; spark_list lays a list (one table,
 *           or the rest of the arguments) out on the stack.
 * Ownership Lua's.
 * Units     none.
 * Errors    raise, an unknown name with the nearest.
 * Threads   session thread.
 *
 * Example:
 *     static const char *const names[] = {"n", "truncate", NULL};
 *     spark_args(L, 2, names);
 */
#ifndef LACUS_SPARK_ARGS_LUA_H
#define LACUS_SPARK_ARGS_LUA_H
#include "runtime/dataframe/options.h"
#include "runtime/dataframe/plan.h"
#include "runtime/session/manual.h"
#include "runtime/session/session_lua.h"

/* Afterwards index first + i holds the argument names[i], or nil, and nothing else is above. Names may also come last, behind
 * positions: df:join(b, {on = "k", how = "left"}). */
void spark_args(lua_State *L, int first, const char *const *names);
/* The arguments from `first` on, where one plain table stands for its elements: they follow each other from index first on, and
 * their number is returned. */
int spark_list(lua_State *L, int first);
void spark_names(lua_State *L, int table,
                 const char *const *names); /* raises when the table has other names */
/* The text at index; raises for a number, too, which Lua would take for its digits. */
const char *spark_text(lua_State *L, int index);
/* "select: ", of the function of Lua's that runs; pushes it. "" where it has no name. */
const char *spark_caller(lua_State *L);
bool spark_bool(lua_State *L,
                int index); /* nil: false; raises for what is no boolean ("false" would be true) */
bool spark_is_plain_table(lua_State *L, int index); /* a table without a metatable */
/* The place in names (lower case, without '_') of the text at index, as Spark compares such texts; raises with the nearest:
 * "no join type is named 'lef'". */
int spark_choice(lua_State *L, int index, const char *fallback, const char *what, const char *const *names);
/* The keys of the table at index in the order of their bytes, n of them, in a userdata that it pushes; borrowed from the table. */
const char **spark_keys(lua_State *L, int index, int *n);

/* Raises when an option is a misspelt one of that format, as Spark does not (it ignores what it does not know). */
void spark_options(lua_State *L, const char *format, enum source_use use, const struct plan_options *options);

/* Pushes a table of the functions of these rows, */
void spark_functions(lua_State *L, const struct manual_row *functions);
/* or of the methods of that class. */
void spark_methods(lua_State *L, const struct manual_row *methods, const char *class);
/* What the table on top does not have is looked for among the methods of that class which are written in Lua. */
void spark_extend(lua_State *L, const char *class);
void spark_library(lua_State *L); /* pushes the classes and functions that are written in Lua */
#endif
