/* remote_lua.h: what spark does when its session is on a Spark server.
 *
 * What      the members of spark that differ there: sql, catalog, conf, version, tags, interrupts. Names, settings and
 *           views are the server's.
 * Ownership none.
 * Errors    raise.
 * Threads   session thread.
 *
 * Example:
 *     if (remote_member(L, "catalog"))
 *         return 1;
 */
#ifndef LACUS_SPARK_REMOTE_LUA_H
#define LACUS_SPARK_REMOTE_LUA_H
#include "runtime/session/manual.h"
#include "runtime/spark/dataframe_lua.h"

/* Pushes the member and gives true when the session is remote and has one of its own by this name. */
bool remote_member(lua_State *L, const char *name);
/* spark:sql on the server; out: a new reference. */
enum lc remote_sql(const struct ctx *ctx, struct spark *s, const struct engine_text *text,
                   const struct plan **out, struct err *err) MUST_CHECK;
/* df.write on the server: raises on failure. */
int remote_save(lua_State *L, const struct plan *p, const struct engine_save *save);
/* df:writeTo on the server: raises on failure. */
int remote_save_v2(lua_State *L, const struct plan *p, const struct engine_save_v2 *save);
extern const struct manual_row remote_methods[]; /* of spark: tags and interrupts */
#endif
