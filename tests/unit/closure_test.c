/* closure_test.c: functions of Lua as bytes and back, in another state. */
#include "runtime/session/closure.h"
#include "tests/support/unit.h"
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

static lua_State *state(void)
{
    lua_State *L = luaL_newstate();

    assert_non_null(L);
    luaL_openlibs(L);
    lua_pushlightuserdata(L, NULL);
    lua_setglobal(L, "null");
    return L;
}

static int packed(lua_State *L) /* (shape, function) */
{
    struct closure_shape *shape = lua_touserdata(L, 1);

    closure_pack(L, 2, shape);
    return 1;
}

static int unpacked(lua_State *L) /* (light userdata: the source state with the text on top) */
{
    size_t len;
    const char *s = lua_tolstring(lua_touserdata(L, 1), -1, &len);

    closure_unpack(L, s, len);
    return 1;
}

/* The function that `code` returns, packed; or the error. */
static bool pack(lua_State *L, const char *code, struct closure_shape *shape)
{
    assert_int_equal(luaL_dostring(L, code), LUA_OK);
    lua_pushcfunction(L, packed);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, shape);
    lua_insert(L, -2);
    return lua_pcall(L, 2, 1, 0) == LUA_OK;
}

/* What the copied function gives for 5, as a text. */
static void gives(const char *code, const char *expected)
{
    lua_State *from = state(), *to = state();
    struct closure_shape shape;

    assert_true(pack(from, code, &shape));
    lua_pushcfunction(to, unpacked);
    lua_pushlightuserdata(to, from);
    if (lua_pcall(to, 1, 1, 0) != LUA_OK)
        fail_msg("%s: %s", code, lua_tostring(to, -1));
    lua_close(from); /* nothing of it is used */
    lua_pushinteger(to, 5);
    if (lua_pcall(to, 1, 1, 0) != LUA_OK)
        fail_msg("%s: %s", code, lua_tostring(to, -1));
    assert_string_equal(luaL_tolstring(to, -1, NULL), expected);
    lua_close(to);
}

static void functions_take_what_they_use(void **unused)
{
    (void)unused;
    gives("return function(x) return x + 1 end", "6");
    gives("local k, s = 2.5, 'a\\0b' return function(x) return x * k .. #s end", "12.53");
    gives("local function fact(n) if n < 2 then return 1 end return n * fact(n - 1) end return fact", "120");
    gives("function helper(a) return a * factor end factor = 3 return function(x) return helper(x) end",
          "15");
    gives("local up = string.upper return function(x) return up('v') .. math.floor(x / 2) end", "V2");
    gives("local t = {n = {1, 2}} t.self = t return function(x) return t.self.self.n[2] + x end", "7");
    gives("local n = 1 local function inc() n = n + 1 end return function(x) inc() inc() return n + x end",
          "8");
    gives("return function(x) if null == nil then return 'nil' end return tostring(x == null) end", "false");
}

static void other_things_are_refused_by_name(void **unused)
{
    static const char *const cases[][2] = {
        {"local f = io.stdout return function() return f end", "it uses f, userdata"},
        {"local t = setmetatable({}, {}) return function() return t end",
         "it uses t, a table with a metatable"},
        {"local c = coroutine.create(print) return function() return c end", "it uses c, thread"},
        {"local g = io.open return function() return g end", "it uses g, a function of C"},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lua_State *L = state();
        struct closure_shape shape;

        assert_false(pack(L, cases[i][0], &shape));
        if (!strstr(lua_tostring(L, -1), cases[i][1]))
            fail_msg("%s", lua_tostring(L, -1));
        lua_close(L);
    }
}

static void shapes_are_seen(void **unused)
{
    static const struct {
        const char *code;
        bool straight, loops;
    } cases[] = {
        {"return function(x) return 2 * x + 1 end", true, false},
        {"local k = 3 return function(x, y) return (x - k) * y / 2 end", true, false},
        {"return function(x) if x == 5 then return 1 end return x end", false, false},
        {"return function(x) return x .. 'a' end", false, false},
        {"return function(x) return x % 3 end", false, false},
        {"return function(x) for i = 1, 3 do x = x + i end return x end", false, true},
        {"return function(x) while x < 10 do x = x + 1 end return x end", false, true},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lua_State *L = state();
        struct closure_shape shape;

        assert_true(pack(L, cases[i].code, &shape));
        if (shape.straight != cases[i].straight || shape.loops != cases[i].loops)
            fail_msg("%s: straight %d, loops %d", cases[i].code, shape.straight, shape.loops);
        lua_close(L);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_take_what_they_use),
        cmocka_unit_test(other_things_are_refused_by_name),
        cmocka_unit_test(shapes_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
