/* JSON to Lua and back; the global `json`. */
#include "runtime/base/utf8.h"
#include "runtime/session/manual.h"
#include "runtime/session/session_int.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char session_array_mark = 0;

enum { JSON_DEPTH = 200 };

/* ---- JSON → Lua ---- */
static void mark_array(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &session_array_mark) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushboolean(L, 1);
        lua_rawsetp(L, -2, &session_array_mark);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &session_array_mark);
    }
    lua_setmetatable(L, -2);
}

static void push_array(lua_State *L, json_t *value)
{
    size_t n = json_array_size(value);

    lua_createtable(L, (int)(n < 1 << 20 ? n : 1 << 20), 0);
    if (n == 0)
        mark_array(L);
    for (size_t i = 0; i < n; i++) {
        session_push_json(L, json_array_get(value, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_object(lua_State *L, json_t *value)
{
    const char *key;
    json_t *item;

    lua_createtable(L, 0, (int)(json_object_size(value) < 1 << 20 ? json_object_size(value) : 1 << 20));
    json_object_foreach (value, key, item) {
        lua_pushstring(L, key);
        session_push_json(L, item);
        lua_rawset(L, -3);
    }
}

void session_push_json(lua_State *L, json_t *value)
{
    luaL_checkstack(L, 6, "JSON is nested too deeply");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, value);
        break;
    case JSON_ARRAY:
        push_array(L, value);
        break;
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, (lua_Integer)json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    default:
        lua_pushlightuserdata(L, NULL);
    }
}

/* ---- Lua → JSON ---- */
struct to_json {
    lua_State *L;
    struct err *err;
    int depth;
};

static json_t *convert(struct to_json *c, int index);

static json_t *refuse(struct to_json *c, enum lc code, const char *what)
{
    err_set(c->err, code, "cannot make JSON of %s", what);
    return NULL;
}

json_t *session_json_text(const char *s, size_t len)
{
    struct buf fixed = BUF_INIT(len * 3 + 16);
    json_t *text;

    if (utf8_valid(s, len))
        return json_stringn_nocheck(s, len);
    text = buf_utf8(&fixed, s, len) ? json_stringn_nocheck(buf_str(&fixed), fixed.len) : NULL;
    buf_release(&fixed);
    return text;
}

static json_t *convert_number(struct to_json *c, int index)
{
    lua_Number d;

    if (lua_isinteger(c->L, index))
        return json_integer((json_int_t)lua_tointeger(c->L, index));
    d = lua_tonumber(c->L, index);
    return isfinite(d) ? json_real(d) : json_null(); /* as JavaScript does */
}

static bool is_marked_array(lua_State *L, int index)
{
    bool marked;

    if (!lua_getmetatable(L, index))
        return false;
    marked = lua_rawgetp(L, -1, &session_array_mark) != LUA_TNIL;
    lua_pop(L, 2);
    return marked;
}

static json_t *convert_array(struct to_json *c, int index, lua_Integer n)
{
    json_t *array = json_array();

    for (lua_Integer i = 1; array && i <= n; i++) {
        lua_rawgeti(c->L, index, i);
        json_t *item = convert(c, -1);
        lua_pop(c->L, 1);
        if (!item || json_array_append_new(array, item)) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static bool set_field(struct to_json *c, json_t *object, json_t *value)
{
    lua_State *L = c->L; /* key at -2, value at -1 */
    char number[32];
    const char *key = number;
    size_t len;
    bool ok;

    if (!value)
        return false;
    if (lua_type(L, -2) != LUA_TSTRING && !lua_isinteger(L, -2)) {
        json_decref(value);
        return refuse(c, LC_TYPE, "a table whose keys are neither strings nor integers"), false;
    }
    if (lua_isinteger(L, -2)) /* lua_tolstring would change the key, and may raise */
        len = (size_t)snprintf(number, sizeof number, LUA_INTEGER_FMT, lua_tointeger(L, -2));
    else
        key = lua_tolstring(L, -2, &len);
    ok = !memchr(key, 0, len) && utf8_valid(key, len);
    if (ok)
        json_object_set_new_nocheck(object, key, value);
    else
        json_decref(value);
    return ok || (refuse(c, LC_DATA, "a table with a key that is no text"), false);
}

static json_t *convert_object(struct to_json *c, int index)
{
    json_t *object = json_object();

    lua_pushnil(c->L);
    while (object && lua_next(c->L, index)) {
        if (!set_field(c, object, convert(c, -1))) {
            json_decref(object);
            lua_pop(c->L, 2);
            return NULL;
        }
        lua_pop(c->L, 1);
    }
    return object;
}

/* A sequence 1..n and nothing else is an array. */
static bool is_sequence(lua_State *L, int index, lua_Integer *n)
{
    lua_Integer count = 0;

    *n = (lua_Integer)lua_rawlen(L, index);
    if (*n == 0)
        return is_marked_array(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1 || lua_tointeger(L, -1) > *n) {
            lua_pop(L, 1);
            return false;
        }
        count++;
    }
    return count == *n;
}

static json_t *convert_table(struct to_json *c, int index)
{
    lua_Integer n;
    json_t *value;

    if (c->depth >= JSON_DEPTH || !lua_checkstack(c->L, 8))
        return refuse(c, LC_LIMIT, "a table that contains itself or is nested too deeply");
    c->depth++;
    value = is_sequence(c->L, index, &n) ? convert_array(c, index, n) : convert_object(c, index);
    c->depth--;
    return value;
}

static json_t *convert(struct to_json *c, int index)
{
    lua_State *L = c->L;
    size_t len;
    const char *s;

    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return json_null();
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        return convert_number(c, index);
    case LUA_TSTRING:
        s = lua_tolstring(L, index, &len);
        return session_json_text(s, len);
    case LUA_TTABLE:
        return convert_table(c, index);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL)
            return json_null();
        /* fall through */
    default:
        return refuse(c, LC_TYPE, lua_typename(L, lua_type(L, index)));
    }
}

json_t *session_to_json(lua_State *L, int index, struct err *err)
{
    struct to_json c = {.L = L, .err = err};
    json_t *value;

    err_set(err, LC_NOMEM, "out of memory");
    value = convert(&c, index);
    if (value)
        err_clear(err);
    return value;
}

/* ---- the global ---- */

/* A JSON value that the stack lets go of; set *slot. */
static int slot_gc(lua_State *L)
{
    json_t **slot = lua_touserdata(L, 1);

    json_decref(*slot);
    *slot = NULL;
    return 0;
}

json_t **session_json_slot(lua_State *L)
{
    json_t **slot = lua_newuserdatauv(L, sizeof *slot, 0);

    *slot = NULL;
    if (luaL_newmetatable(L, "lacus.json")) {
        lua_pushcfunction(L, slot_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return slot;
}

static int add_text(const char *data, size_t len, void *arg)
{
    return buf_add(arg, data, len) ? 0 : -1;
}

static int l_encode(lua_State *L)
{
    bool indent = false;
    struct buf *out;
    struct err err;
    json_t **slot;
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(17);

    luaL_checkany(L, 1);
    if (lua_istable(L, 2)) {
        indent = lua_getfield(L, 2, "indent") != LUA_TNIL && lua_toboolean(L, -1);
        if (lua_getfield(L, 2, "sort_keys") != LUA_TNIL && lua_toboolean(L, -1))
            flags |= JSON_SORT_KEYS;
    }
    out = session_buf(L, BUF_TEXT_MAX * 16);
    slot = session_json_slot(L);
    *slot = session_to_json(L, 1, &err);
    if (!*slot)
        return session_raise(L, &err);
    flags |= indent ? (size_t)JSON_INDENT(2) : JSON_COMPACT;
    if (json_dump_callback(*slot, add_text, out, flags) != 0 || buf_check(out, &err) != LC_OK) {
        err_set(&err, LC_LIMIT, "cannot encode: the JSON text is too long or nested too deeply");
        return session_raise(L, &err);
    }
    lua_pushlstring(L, buf_str(out), out->len);
    return 1;
}

static int l_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    json_t **slot = session_json_slot(L);
    json_error_t at;
    struct err err;

    *slot = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
    if (!*slot) {
        err_set(&err, LC_PARSE, "cannot decode JSON: %s at line %d, column %d", at.text, at.line, at.column);
        err_at(&err, at.position);
        return session_raise(L, &err);
    }
    session_push_json(L, *slot);
    return 1;
}

static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1))
        lua_newtable(L);
    else
        luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    mark_array(L);
    return 1;
}

static const struct manual_row rows[] = {
    {"encode", l_encode,
     "encode(value: any, options?: {indent?: boolean, sort_keys?: boolean}) -> string\nJSON of a value: 1..n "
     "and nothing else is "
     "an array, other tables are objects\n\tjson.encode({1, {a = null}}, {indent = true})"},
    {"decode", l_decode,
     "decode(text: string) -> any\nthe value of a JSON text\n\tjson.decode('{\"a\": [1, null]}').a[1]"},
    {"array", l_array,
     "array(list?: table) -> table\nmarks a table as an array, even when it is "
     "empty\n\tjson.encode(json.array())"},
    {0}};
static const struct manual_row fields[] = {
    {"null", NULL, "null: lightuserdata\nJSON's null, the same as the global null"}, {0}};
static const struct manual_topic topic = {
    .name = "json", .doc = "values as JSON texts", .rows = rows, .fields = fields};
const struct manual_topic *const json_topics[] = {&topic, NULL};

int json_open(lua_State *L)
{
    static const luaL_Reg library[] = {
        {"encode", l_encode}, {"decode", l_decode}, {"array", l_array}, {NULL, NULL}};

    luaL_newlib(L, library);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
