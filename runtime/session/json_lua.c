/* JSON to Lua and back; the global `json`. */
#include "runtime/base/mem.h"
#include "runtime/base/real.h"
#include "runtime/base/utf8.h"
#include "runtime/session/manual.h"
#include "runtime/session/session_int.h"
#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Their addresses are keys of the registry and of the metatables of lists and maps. */
static const char list_mark = 0, map_mark = 0;

static const char bytes_key[] = "$binary";

enum { JSON_DEPTH = 200 };

/* ---- lists and maps ---- */
static int marked_to_string(lua_State *L)
{
    struct buf *text = session_buf(L, BUF_TEXT_MAX);

    session_repr(L, 1, text);
    lua_pushlstring(L, buf_str(text), text->len);
    return 1;
}

static int marked_concat(lua_State *L)
{
    for (int i = 1; i <= 2; i++) {
        if (!lua_isstring(L, i) && luaL_getmetafield(L, i, "__tostring") == LUA_TNIL)
            return luaL_error(L, "attempt to concatenate a %s value", luaL_typename(L, i));
        lua_settop(L, 2);
        luaL_tolstring(L, i, NULL);
        lua_replace(L, i);
    }
    lua_concat(L, 2);
    return 1;
}

static void set_mark(lua_State *L, const char *mark)
{
    static const luaL_Reg meta[] = {
        {"__tostring", marked_to_string}, {"__concat", marked_concat}, {NULL, NULL}};

    luaL_checkstack(L, 4, NULL);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, mark) == LUA_TNIL) {
        lua_pop(L, 1);
        luaL_newlib(L, meta);
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "__plain"); /* for our Lua */
        lua_pushboolean(L, 1);
        lua_rawsetp(L, -2, mark);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, mark);
    }
    lua_setmetatable(L, -2);
}

void session_mark_list(lua_State *L)
{
    set_mark(L, &list_mark);
}

void session_mark_map(lua_State *L)
{
    set_mark(L, &map_mark);
}

static bool is_marked(lua_State *L, int index, const char *mark)
{
    bool marked;

    if (!lua_getmetatable(L, index))
        return false;
    marked = lua_rawgetp(L, -1, mark) != LUA_TNIL;
    lua_pop(L, 2);
    return marked;
}

bool session_is_plain(lua_State *L, int index)
{
    if (!lua_istable(L, index))
        return false;
    if (!lua_getmetatable(L, index))
        return true;
    lua_pop(L, 1);
    return is_marked(L, index, &list_mark) || is_marked(L, index, &map_mark);
}

/* ---- JSON → Lua ---- */
typedef void push_fn(lua_State *L, json_t *value);

static void push_array(lua_State *L, json_t *value, push_fn *push)
{
    size_t n = json_array_size(value);

    lua_createtable(L, (int)(n < 1 << 20 ? n : 1 << 20), 0);
    if (n == 0)
        session_mark_list(L);
    for (size_t i = 0; i < n; i++) {
        push(L, json_array_get(value, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_object(lua_State *L, json_t *value, push_fn *push)
{
    const char *key;
    json_t *item;

    lua_createtable(L, 0, (int)(json_object_size(value) < 1 << 20 ? json_object_size(value) : 1 << 20));
    json_object_foreach (value, key, item) {
        lua_pushstring(L, key);
        push(L, item);
        lua_rawset(L, -3);
    }
}

void session_push_json(lua_State *L, json_t *value)
{
    luaL_checkstack(L, 6, "JSON is nested too deeply");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, value, session_push_json);
        break;
    case JSON_ARRAY:
        push_array(L, value, session_push_json);
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

void session_push_parameter(lua_State *L, json_t *value)
{
    double real;

    luaL_checkstack(L, 6, "a parameter is nested too deeply");
    if (real_read(value, &real))
        lua_pushnumber(L, real);
    else if (json_is_object(value))
        push_object(L, value, session_push_parameter);
    else if (json_is_array(value))
        push_array(L, value, session_push_parameter);
    else
        session_push_json(L, value);
}

static bool push_bytes(lua_State *L, json_t *value)
{
    json_t *text = json_object_size(value) == 1 ? json_object_get(value, bytes_key) : NULL;
    size_t len;
    luaL_Buffer b;
    char *to;

    if (!json_is_string(text))
        return false;
    to = luaL_buffinitsize(L, &b, json_string_length(text) + 1);
    if (sodium_base642bin((unsigned char *)to, json_string_length(text) + 1, json_string_value(text),
                          json_string_length(text), NULL, &len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        luaL_error(L, "bytes that are no base64");
    luaL_pushresultsize(&b, len);
    return true;
}

void session_push_json_exact(lua_State *L, json_t *value)
{
    double real;

    luaL_checkstack(L, 6, "a value is nested too deeply");
    if (real_read(value, &real))
        lua_pushnumber(L, real);
    else if (json_is_object(value) && !push_bytes(L, value))
        push_object(L, value, session_push_json_exact);
    else if (json_is_array(value))
        push_array(L, value, session_push_json_exact);
    else if (!json_is_object(value))
        session_push_json(L, value);
}

/* ---- Lua → JSON ---- */
struct to_json {
    lua_State *L;
    struct err *err;
    int depth;
    bool exact;
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
    if (c->exact)
        return real_json(d);
    return isfinite(d) ? json_real(d) : json_null(); /* as JavaScript does */
}

static json_t *convert_text(struct to_json *c, int index)
{
    size_t len, size;
    const char *s = lua_tolstring(c->L, index, &len);
    json_t *value = NULL;
    char *text;

    if (!c->exact || utf8_valid(s, len))
        return session_json_text(s, len);
    size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    text = mem_alloc(size);
    if (text)
        value = json_pack(
            "{s:s}", bytes_key,
            sodium_bin2base64(text, size, (const unsigned char *)s, len, sodium_base64_VARIANT_ORIGINAL));
    mem_free(text);
    return value;
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
    if (*n == 0 || is_marked(L, index, &map_mark))
        return is_marked(L, index, &list_mark);
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

    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return json_null();
    case LUA_TBOOLEAN:
        return json_boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
        return convert_number(c, index);
    case LUA_TSTRING:
        return convert_text(c, index);
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

static json_t *to_json(struct to_json c, int index)
{
    json_t *value;

    err_set(c.err, LC_NOMEM, "out of memory");
    value = convert(&c, index);
    if (value)
        err_clear(c.err);
    return value;
}

json_t *session_to_json(lua_State *L, int index, struct err *err)
{
    return to_json((struct to_json){.L = L, .err = err}, index);
}

json_t *session_to_json_exact(lua_State *L, int index, struct err *err)
{
    return to_json((struct to_json){.L = L, .err = err, .exact = true}, index);
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
    return session_slot(L, sizeof(json_t *), "lacus.json", slot_gc);
}

/* ---- values as text ---- */
struct writer {
    lua_State *L;
    struct buf *out;
    struct err err;
    const char *indent; /* of one level; NULL: all in one line */
    bool sorted;
    int depth;
    struct place { /* where in the value it is, for errors */
        const char *key;
        lua_Integer index;
    } path[JSON_DEPTH + 1];
};

static bool write_value(struct writer *w, int index);

static bool fail(struct writer *w, enum lc code, const char *what)
{
    struct buf where = BUF_INIT(512);

    for (int i = 1; i <= w->depth && where.len < 40; i++)
        if (w->path[i].key)
            buf_printf(&where, ".%.60s", w->path[i].key);
        else
            buf_printf(&where, "[" LUA_INTEGER_FMT "]", w->path[i].index);
    err_set(&w->err, code, "cannot make JSON of %s%s%s", what, where.len ? " at value" : "", buf_str(&where));
    if (code == LC_TYPE)
        err_hint(&w->err, "JSON has texts, numbers, booleans, null, lists and tables of them");
    buf_release(&where);
    return false;
}

static void write_number(struct writer *w, int index)
{
    lua_Number d;
    char text[40];

    if (lua_isinteger(w->L, index)) {
        buf_printf(w->out, LUA_INTEGER_FMT, lua_tointeger(w->L, index));
        return;
    }
    d = lua_tonumber(w->L, index);
    if (!isfinite(d)) { /* as JavaScript does */
        buf_puts(w->out, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that gives the same number */
        snprintf(text, sizeof text, "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    buf_puts(w->out, text);
    if (!strpbrk(text, ".e"))
        buf_puts(w->out, ".0");
}

static void new_line(struct writer *w)
{
    if (!w->indent)
        return;
    buf_putc(w->out, '\n');
    for (int i = 0; i < w->depth; i++)
        buf_puts(w->out, w->indent);
}

static bool write_array(struct writer *w, int index, lua_Integer n)
{
    buf_putc(w->out, '[');
    for (lua_Integer i = 1; i <= n; i++) {
        w->path[w->depth] = (struct place){.index = i};
        if (i > 1)
            buf_putc(w->out, ',');
        new_line(w);
        lua_rawgeti(w->L, index, i);
        if (!write_value(w, -1))
            return false;
        lua_pop(w->L, 1);
    }
    w->depth--;
    if (n)
        new_line(w);
    w->depth++;
    return buf_putc(w->out, ']');
}

static bool write_field(struct writer *w, bool first) /* key at -2, value at -1; pops the value */
{
    lua_State *L = w->L;
    char number[32];
    const char *key = number;
    size_t len;

    if (lua_type(L, -2) != LUA_TSTRING && !lua_isinteger(L, -2))
        return fail(w, LC_TYPE, "a table whose keys are neither texts nor integers");
    if (lua_isinteger(L, -2)) /* lua_tolstring would change the key */
        len = (size_t)snprintf(number, sizeof number, LUA_INTEGER_FMT, lua_tointeger(L, -2));
    else
        key = lua_tolstring(L, -2, &len);
    if (!first)
        buf_putc(w->out, ',');
    new_line(w);
    w->path[w->depth] = (struct place){.key = key};
    buf_json(w->out, key, len);
    buf_puts(w->out, w->indent ? ": " : ":");
    if (!write_value(w, -1))
        return false;
    lua_pop(L, 1);
    return true;
}

struct key {
    const char *text; /* NULL: an integer */
    lua_Integer number;
};

static int by_key(const void *a, const void *b) /* numbers first, then texts by their bytes */
{
    const struct key *x = a, *y = b;

    if (!x->text || !y->text)
        return x->text || y->text ? (x->text ? 1 : -1) : (x->number > y->number) - (x->number < y->number);
    return strcmp(x->text, y->text);
}

static bool write_sorted(struct writer *w, int index)
{
    lua_State *L = w->L;
    size_t n = 0, count = 0;
    struct key *keys;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        count++;
    keys = lua_newuserdatauv(L, (count + 1) * sizeof *keys, 0);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING && !lua_isinteger(L, -2))
            return fail(w, LC_TYPE, "a table whose keys are neither texts nor integers");
        bool text = lua_type(L, -2) == LUA_TSTRING;
        keys[n++] = (struct key){text ? lua_tostring(L, -2) : NULL, text ? 0 : lua_tointeger(L, -2)};
    }
    qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].text)
            lua_pushstring(L, keys[i].text);
        else
            lua_pushinteger(L, keys[i].number);
        lua_pushvalue(L, -1);
        lua_rawget(L, index);
        if (!write_field(w, i == 0))
            return false;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return true;
}

static bool write_object(struct writer *w, int index)
{
    bool first = true;

    buf_putc(w->out, '{');
    if (w->sorted) {
        first = lua_next(w->L, (lua_pushnil(w->L), index)) == 0;
        lua_pop(w->L, first ? 0 : 2);
        if (!write_sorted(w, index))
            return false;
    } else {
        for (lua_pushnil(w->L); lua_next(w->L, index); first = false)
            if (!write_field(w, first))
                return false;
    }
    w->depth--;
    if (!first)
        new_line(w);
    w->depth++;
    return buf_putc(w->out, '}');
}

static bool write_table(struct writer *w, int index)
{
    lua_Integer n;
    bool ok;

    if (w->depth >= JSON_DEPTH || !lua_checkstack(w->L, 10))
        return fail(w, LC_LIMIT, "a table that contains itself or is nested too deeply");
    w->depth++;
    ok = is_sequence(w->L, index, &n) ? write_array(w, index, n) : write_object(w, index);
    w->depth -= ok;
    return ok && (buf_ok(w->out) || fail(w, LC_LIMIT, "so much"));
}

static bool write_value(struct writer *w, int index)
{
    lua_State *L = w->L;
    size_t len;
    const char *s;

    index = lua_absindex(L, index);
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return buf_puts(w->out, "null");
    case LUA_TBOOLEAN:
        return buf_puts(w->out, lua_toboolean(L, index) ? "true" : "false");
    case LUA_TNUMBER:
        write_number(w, index);
        return true;
    case LUA_TSTRING:
        s = lua_tolstring(L, index, &len);
        return buf_json(w->out, s, len) || fail(w, LC_LIMIT, "so much");
    case LUA_TTABLE:
        return write_table(w, index);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL)
            return buf_puts(w->out, "null");
        /* fall through */
    default:
        s = luaL_typename(L, index);
        lua_pushfstring(L, "a %s", s);
        return fail(w, LC_TYPE, lua_tostring(L, -1));
    }
}

static int write_json(lua_State *L, struct writer *w, int index) /* pushes the text */
{
    index = lua_absindex(L, index);
    w->L = L;
    w->out = session_buf(L, BUF_TEXT_MAX * 16);
    luaL_checkstack(L, 10, NULL);
    if (!write_value(w, index))
        return session_raise(L, &w->err);
    if (buf_check(w->out, &w->err) != LC_OK)
        return session_raise(L, &w->err);
    lua_pushlstring(L, buf_str(w->out), w->out->len);
    lua_remove(L, -2);
    return 1;
}

void session_push_json_text(lua_State *L, int index)
{
    struct writer *w = lua_newuserdatauv(L, sizeof *w, 0);

    index = index < 0 && index > LUA_REGISTRYINDEX ? index - 1 : index;
    memset(w, 0, sizeof *w);
    write_json(L, w, index);
    lua_remove(L, -2);
}

/* indent = true, a number of blanks, or a text. */
static const char *indent_option(lua_State *L)
{
    static const char blanks[] = "                ";
    lua_Integer n;

    switch (lua_getfield(L, 2, "indent")) {
    case LUA_TSTRING:
        return lua_tostring(L, -1); /* stays on the stack */
    case LUA_TNUMBER:
        n = lua_tointeger(L, -1);
        luaL_argcheck(L, n >= 0 && n <= 16, 2, "indent: 0 to 16 blanks");
        return blanks + 16 - n;
    default:
        return lua_toboolean(L, -1) ? "  " : NULL;
    }
}

static void check_options(lua_State *L) /* of the table at 2 */
{
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : luaL_typename(L, -2);
        if (strcmp(name, "indent") != 0 && strcmp(name, "sort_keys") != 0)
            luaL_argerror(L, 2,
                          lua_pushfstring(L, "no option '%s': there are 'indent' and 'sort_keys'", name));
    }
}

static int l_encode(lua_State *L)
{
    struct writer *w;

    luaL_checkany(L, 1);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2))
        luaL_argexpected(L, lua_istable(L, 2), 2, "table of options");
    w = lua_newuserdatauv(L, sizeof *w, 0);
    memset(w, 0, sizeof *w);
    if (lua_istable(L, 2)) {
        check_options(L);
        w->indent = indent_option(L);
        w->sorted = lua_getfield(L, 2, "sort_keys") != LUA_TNIL && lua_toboolean(L, -1);
    }
    return write_json(L, w, 1);
}

/* ---- texts as values ---- */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Integers that 64 bits do not hold become floats, or texts; everything else stays as it is. */
static void widen(const char *text, size_t len, bool strings, struct buf *out)
{
    const char *p = text, *end = text + len, *done = text;

    while (p < end) {
        if (*p == '"') {
            for (p++; p < end && *p != '"'; p++)
                p += *p == '\\';
            p++;
            continue;
        }
        if (!is_digit(*p) && *p != '-') {
            p++;
            continue;
        }
        const char *from = p;
        for (p++; p < end && is_digit(*p);)
            p++;
        bool whole = p == end || !strchr(".eE", *p);
        errno = 0;
        if (whole && p - from >= 19 && (strtoll(from, NULL, 10), errno == ERANGE)) {
            buf_add(out, done, (size_t)(from - done));
            buf_puts(out, strings ? "\"" : "");
            buf_add(out, from, (size_t)(p - from));
            buf_puts(out, strings ? "\"" : ".0");
            done = p;
        }
        while (p < end && (is_digit(*p) || strchr(".eE+-", *p)))
            p++;
    }
    if (done < end)
        buf_add(out, done, (size_t)(end - done));
}

void session_push_json_value(lua_State *L, const char *text, size_t len, const char *big)
{
    json_t **slot = session_json_slot(L);
    json_error_t at;
    struct err err;

    *slot = json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
    if (!*slot && json_error_code(&at) == json_error_numeric_overflow) {
        struct buf *wide = session_buf(L, len * 2 + 16);
        widen(text, len, big && strcmp(big, "string") == 0, wide);
        *slot = json_loadb(buf_str(wide), wide->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
        lua_pop(L, 1);
    }
    if (!*slot) {
        err_set(&err, LC_PARSE, "cannot decode JSON: %s at line %d, column %d", at.text, at.line, at.column);
        err_at(&err, at.position);
        session_raise(L, &err);
    }
    session_push_json(L, *slot);
    lua_remove(L, -2);
}

static int l_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len), *big = NULL;

    lua_settop(L, 2);
    if (lua_istable(L, 2) && lua_getfield(L, 2, "big") != LUA_TNIL) {
        big = lua_tostring(L, -1);
        luaL_argcheck(L, big && (strcmp(big, "string") == 0 || strcmp(big, "float") == 0), 2,
                      "big: \"string\" or \"float\" expected");
    }
    session_push_json_value(L, text, len, big);
    return 1;
}

static int l_array(lua_State *L)
{
    if (lua_isnoneornil(L, 1))
        lua_newtable(L);
    else
        luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    session_mark_list(L);
    return 1;
}

static int l_object(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    session_mark_map(L);
    return 1;
}

static const struct manual_row rows[] = {
    {"encode", l_encode,
     "encode(value: any, options?: {indent?: boolean|integer|string, sort_keys?: boolean}) -> string\nJSON "
     "of a value: 1..n "
     "and nothing else is "
     "an array, other tables are objects\n\tjson.encode({1, {a = null}}, {indent = true})"},
    {"decode", l_decode,
     "decode(text: string, options?: {big?: string}) -> any\nthe value of a JSON text; big = \"string\": "
     "integers of more than 64 bits stay texts, else they become floats\n\tjson.decode('{\"a\": [1, "
     "null]}').a[1]"},
    {"array", l_array,
     "array(list?: table) -> table\nmarks a table as an array, even when it is "
     "empty; print and .. then have its items, as with the lists that functions of lacus "
     "return\n\tjson.encode(json.array())"},
    {"object", l_object,
     "object(map: table) -> table\nmarks a table as an object, whatever its keys are; print and .. then have "
     "its "
     "fields\n\tjson.encode(json.object{\"zero\", \"one\"})"},
    {0}};
static const struct manual_row fields[] = {
    {"null", NULL, "null: lightuserdata\nJSON's null, the same as the global null"}, {0}};
static const struct manual_topic topic = {
    .name = "json", .doc = "values as JSON texts", .rows = rows, .fields = fields};
const struct manual_topic *const json_topics[] = {&topic, NULL};

int json_open(lua_State *L)
{
    static const luaL_Reg library[] = {
        {"encode", l_encode}, {"decode", l_decode}, {"array", l_array}, {"object", l_object}, {NULL, NULL}};

    luaL_newlib(L, library);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
