/* dataframe_lua.h: the Lua class DataFrame, with its readers, writers and groups; and the session's struct
 * spark.
 *
 * Ownership a DataFrame userdata holds one reference of its plan.
 * Units     rows.
 * Errors    raise.
 * Threads   session thread.
 *
 * Example:
 *     dataframe_push(L, plan_range(0, 10, 1));
 */
#ifndef LACUS_SPARK_DATAFRAME_LUA_H
#define LACUS_SPARK_DATAFRAME_LUA_H
#include "runtime/session/manual.h"
#include "runtime/session/session_lua.h"
#include "runtime/spark/spark.h"

extern const struct manual_topic dataframe_topic, reader_topic, writer_topic, grouped_topic;
extern const struct manual_topic *const spark_topics[],
    *const builder_topics[]; /* of spark, of SparkSession */

struct spark *spark_of(lua_State *L); /* the session's; made on first use */
/* Takes the reference; raises when it is NULL (no memory). */
int dataframe_push(lua_State *L, const struct plan *p);
const struct plan *dataframe_at(lua_State *L, int index);    /* NULL: no DataFrame; borrowed */
const struct plan *dataframe_check(lua_State *L, int index); /* borrowed */
/* Borrowed from the DataFrame, analysed once. */
const struct dtype *dataframe_schema(lua_State *L, int index);
int dataframe_describe(lua_State *L); /* methods of a DataFrame, in derived_lua.c */
int dataframe_summary(lua_State *L);
int dataframe_replace(lua_State *L);
int dataframe_to_json(lua_State *L);
int dataframe_sample(lua_State *L); /* in sample_lua.c */
int dataframe_random_split(lua_State *L);
int reader_push(lua_State *L);                /* spark.read */
int writer_push(lua_State *L, int dataframe); /* df.write */
int grouped_push(lua_State *L, int dataframe, int first, int n, enum group_kind kind);
int schema_push(lua_State *L, const struct dtype *schema); /* df.schema: fields, simpleString, json */
/* A schema argument: DDL or JSON text, a df.schema table, or (names: allowed) a list of names. New reference or NULL for a list. */
const struct dtype *schema_arg(lua_State *L, int index, bool names);
int spark_lua_open(lua_State *L);         /* the global spark */
int spark_session_lua_open(lua_State *L); /* the global SparkSession */
int types_lua_open(lua_State *L);         /* the global types */
int observation_lua_open(lua_State *L);   /* the global Observation */
int delta_table_lua_open(lua_State *L);   /* the global DeltaTable */
#endif
