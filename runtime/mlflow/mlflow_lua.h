/* mlflow_lua.h: the global `mlflow` of a session: tracking and the registry, in MLflow's words.
 *
 * What      the functions that talk to tracker.h and registry.h; the words on top of them are
 *           runtime/lib/lacus/mlflow.lua.
 * Ownership the session keeps one tracker and one registry, opened on first use and closed with it. A run
 *           that is active when its session closes is ended.
 * Units     as tracker.h.
 * Errors    raised in Lua.
 * Threads   session thread.
 *
 * Example:
 *     const struct session_global row = {"mlflow", mlflow_open, "experiments, runs, models"};
 */
#ifndef LACUS_MLFLOW_MLFLOW_LUA_H
#define LACUS_MLFLOW_MLFLOW_LUA_H

struct lua_State;
int mlflow_open(struct lua_State *L); /* leaves the module on the stack */
#endif
