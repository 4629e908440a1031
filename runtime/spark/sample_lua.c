/* sample_lua.c: df:sample and df:randomSplit. */
#include "runtime/base/clock.h"
#include "runtime/spark/args_lua.h"
#include "runtime/spark/dataframe_lua.h"
#include <math.h>

static int64_t seed_arg(lua_State *L, int index) /* without one: another sample each time, as Spark */
{
    return lua_isnoneornil(L, index) ? clock_mono_ns() % INT32_MAX : luaL_checkinteger(L, index);
}

int dataframe_sample(lua_State *L) /* sample(fraction, seed), sample(withReplacement, fraction, seed) */
{
    static const char *const names[] = {"withReplacement", "fraction", "seed", NULL};
    const struct plan *p = dataframe_check(L, 1);

    if (lua_type(L, 2) == LUA_TNUMBER) {
        lua_pushboolean(L, 0);
        lua_insert(L, 2);
    }
    spark_args(L, 2, names);
    if (lua_type(L, 2) == LUA_TNUMBER) { /* {0.5, seed = 1} */
        if (lua_isnil(L, 4))
            lua_copy(L, 3, 4);
        lua_copy(L, 2, 3);
        lua_pushboolean(L, 0);
        lua_replace(L, 2);
    }
    double fraction = luaL_checknumber(L, 3);
    bool again = spark_bool(L, 2);
    luaL_argcheck(L, fraction >= 0 && (fraction <= 1 || (again && fraction < 1e6)), 3,
                  "a fraction between 0 and 1 expected");
    return dataframe_push(L, plan_sample(plan_ref(p), 0, fraction, again, seed_arg(L, 4)));
}

/* Rows fall into parts by a hash of their content and the seed, so the same input is split the same way every time, and the parts
 * are disjoint and complete. */
static double total_weight(lua_State *L, int index, int n)
{
    double total = 0;

    for (int i = 1; i <= n; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, index, i);
        luaL_argcheck(L, lua_isnumber(L, -1) && lua_tonumber(L, -1) >= 0, index,
                      "a weight must be a number, not negative");
        total += lua_tonumber(L, -1);
    }
    luaL_argcheck(L, total > 0 && isfinite(total), index, "weights must have a sum above zero");
    return total;
}

int dataframe_random_split(lua_State *L)
{
    static const char *const names[] = {"weights", "seed", NULL};
    const struct plan *p = dataframe_check(L, 1);
    double total, lower = 0, sum = 0;
    int64_t seed;
    int n;

    if (lua_gettop(L) == 2 && spark_is_plain_table(L, 2)) { /* {0.8, 0.2}: not the named form */
        lua_rawgeti(L, 2, 1);
        lua_settop(L, lua_isnumber(L, -1) ? 3 : 2);
        if (lua_gettop(L) == 3)
            lua_getfield(L, 2, "seed"), lua_replace(L, 3);
    }
    spark_args(L, 2, names);
    luaL_checktype(L, 2, LUA_TTABLE);
    n = (int)lua_rawlen(L, 2);
    luaL_argcheck(L, n > 0 && n <= 1000, 2, "a list of weights expected");
    seed = seed_arg(L, 3);
    luaL_checkstack(L, n + 8, NULL);
    total = total_weight(L, 2, n);
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, 2, i);
        sum += lua_tonumber(L, -1);
        lua_pop(L, 1);
        double upper = i == n ? 1 : sum / total;
        dataframe_push(L, plan_sample(plan_ref(p), lower, upper, false, seed));
        lower = upper;
    }
    return n;
}
