/* closure_lua.c: packs and unpacks Lua functions; see closure.h for what may be copied. */
#include "runtime/base/mem.h"
#include "runtime/session/closure.h"
#include "runtime/session/session_lua.h"
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

enum { MAX_DEPTH = 100, MAX_BYTES = 64 << 20 };

/* ---- bytecode: what lua_dump writes (Lua 5.4) ---- */
struct dump {
    const unsigned char *p, *end;
    bool bad;
};

static unsigned byte_of(struct dump *d)
{
    if (d->p >= d->end)
        d->bad = true;
    return d->bad ? 0 : *d->p++;
}

static size_t size_of(struct dump *d)
{
    size_t n = 0;
    unsigned b = 0;

    for (int i = 0; i < 10 && !d->bad && !(b & 0x80); i++) {
        b = byte_of(d);
        n = n << 7 | (b & 0x7F);
    }
    return n;
}

static const unsigned char *bytes_of(struct dump *d, size_t n)
{
    const unsigned char *at = d->p;

    if (d->bad || (size_t)(d->end - d->p) < n)
        return d->bad = true, NULL;
    d->p += n;
    return at;
}

struct text {
    const char *s;
    size_t len;
};

static struct text string_of(struct dump *d)
{
    size_t n = size_of(d);
    const unsigned char *s = n ? bytes_of(d, n - 1) : NULL;

    return (struct text){.s = (const char *)s, .len = s ? n - 1 : 0};
}

enum { /* of Lua 5.4 */
       OP_GETTABUP = 11,
       OP_JMP = 56,
       OP_FORLOOP = 73,
       OP_TFORLOOP = 77,
       OP_CLOSURE = 79
};

/* Operations after which a function of symbols is still an expression: no branches, no text, no remainder (whose sign differs), and
 * division by constants only (whose zero differs). */
static bool straight(unsigned op)
{
    return op <= 3 || op == 9 || op == OP_GETTABUP || (op >= 21 && op <= 24) || op == 26 || op == 27 ||
           (op >= 34 && op <= 36) || op == 38 || (op >= 46 && op <= 49) || (op >= 70 && op <= 72);
}

struct scan {
    lua_State *L;
    int names; /* index of a table: globals that are read; 0: none wanted */
    struct closure_shape shape;
};

static void scan_code(struct scan *s, const unsigned char *code, size_t n, const struct text *constants,
                      size_t n_constants)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t instruction;
        unsigned op, c;

        memcpy(&instruction, code + 4 * i, 4);
        op = instruction & 0x7F;
        c = instruction >> 24;
        if (!straight(op))
            s->shape.straight = false;
        if (op == OP_CLOSURE || op == OP_FORLOOP || op == OP_TFORLOOP ||
            (op == OP_JMP && (instruction >> 7) < 0xFFFFFF)) /* sJ is excess-K: backwards */
            s->shape.loops = true;
        if (op == OP_GETTABUP && s->names && c < n_constants && constants[c].s) {
            lua_pushlstring(s->L, constants[c].s, constants[c].len);
            lua_pushboolean(s->L, true);
            lua_rawset(s->L, s->names);
        }
    }
}

static void scan_function(struct scan *s, struct dump *d, int depth);

static void scan_debug(struct dump *d)
{
    size_t n = size_of(d);

    bytes_of(d, n);
    n = size_of(d);
    for (size_t i = 0; i < n && !d->bad; i++) {
        size_of(d);
        size_of(d);
    }
    n = size_of(d);
    for (size_t i = 0; i < n && !d->bad; i++) {
        string_of(d);
        size_of(d);
        size_of(d);
    }
    n = size_of(d);
    for (size_t i = 0; i < n && !d->bad; i++)
        string_of(d);
}

static void scan_function(struct scan *s, struct dump *d, int depth)
{
    struct text *constants = NULL;
    const unsigned char *code;
    size_t n_code, n;

    d->bad = d->bad || depth > MAX_DEPTH;
    string_of(d);
    size_of(d);
    size_of(d);
    byte_of(d);
    if (byte_of(d))
        s->shape.straight = false;
    byte_of(d);
    n_code = size_of(d);
    code = n_code < MAX_BYTES ? bytes_of(d, 4 * n_code) : NULL;
    n = size_of(d);
    if (!code || n > MAX_BYTES / 16 || !(constants = mem_calloc(n + 1, sizeof *constants))) {
        d->bad = true;
        return;
    }
    for (size_t i = 0; i < n && !d->bad; i++) {
        unsigned type = byte_of(d);

        if (type == 0x13 || type == 0x03)
            bytes_of(d, 8);
        else if (type == 0x04 || type == 0x14)
            constants[i] = string_of(d);
    }
    scan_code(s, code, n_code, constants, n);
    mem_free(constants);
    n = size_of(d);
    bytes_of(d, n < MAX_BYTES ? 3 * n : (size_t)MAX_BYTES * 2);
    n = size_of(d);
    for (size_t i = 0; i < n && !d->bad; i++)
        scan_function(s, d, depth + 1);
    scan_debug(d);
}

static bool scan_dump(struct scan *s, const char *data, size_t len)
{
    struct dump d = {.p = (const unsigned char *)data, .end = (const unsigned char *)data + len};

    s->shape = (struct closure_shape){.straight = true};
    bytes_of(&d, 4 + 1 + 1 + 6 + 3 + 8 + 8 + 1);
    scan_function(s, &d, 0);
    return !d.bad;
}

static int write_chunk(lua_State *L, const void *p, size_t n, void *out)
{
    (void)L;
    return buf_add(out, p, n) ? 0 : 1;
}

/* ---- packing ---- */
struct pack {
    lua_State *L;
    struct buf *out; /* in a userdata: it is freed when something raises */
    int seen;        /* table: object -> number */
    int upvalues;    /* table: identity of a variable -> {number of a function, which of its upvalues} */
    int libraries;   /* table: function or table of the standard library -> "string.upper" */
    int names;       /* globals that the functions read */
    lua_Integer n_seen;
    int depth;
};

static void put_u32(struct buf *b, size_t n)
{
    uint32_t v = (uint32_t)n;

    buf_add(b, &v, 4);
}

static void put_text(struct buf *b, const char *s, size_t n)
{
    put_u32(b, n);
    buf_add(b, s, n);
}

static int refuse(struct pack *p, const char *what, const char *path)
{
    return luaL_error(
        p->L,
        "cannot copy the function: it uses %s, %s; only nil, booleans, numbers, texts, tables and Lua "
        "functions are copied",
        path, what);
}

static void pack_value(struct pack *p, int index, const char *path);

static void pack_table(struct pack *p, int index, const char *path)
{
    size_t at, n = 0;

    if (!session_is_plain(p->L, index))
        refuse(p, "a table with a metatable", path);
    buf_putc(p->out, 'T');
    at = p->out->len;
    put_u32(p->out, 0);
    for (lua_pushnil(p->L); lua_next(p->L, index); lua_pop(p->L, 1)) {
        pack_value(p, lua_gettop(p->L) - 1, path);
        pack_value(p, lua_gettop(p->L), path);
        n++;
    }
    if (buf_ok(p->out))
        memcpy(p->out->data + at, &(uint32_t){(uint32_t)n}, 4);
}

/* A variable that another function has, too: 'J', that function's number and the place there. Else it is noted. */
static bool pack_shared(struct pack *p, int index, int upvalue)
{
    void *id = lua_upvalueid(p->L, index, upvalue);
    bool shared = lua_rawgetp(p->L, p->upvalues, id) == LUA_TTABLE;

    if (shared) {
        buf_putc(p->out, 'J');
        for (int i = 1; i <= 2; i++) {
            lua_rawgeti(p->L, -1, i);
            put_u32(p->out, (size_t)lua_tointeger(p->L, -1));
            lua_pop(p->L, 1);
        }
    } else {
        lua_createtable(p->L, 2, 0);
        lua_pushvalue(p->L, index);
        lua_rawget(p->L, p->seen);
        lua_rawseti(p->L, -2, 1);
        lua_pushinteger(p->L, upvalue);
        lua_rawseti(p->L, -2, 2);
        lua_rawsetp(p->L, p->upvalues, id);
    }
    lua_pop(p->L, 1);
    return shared;
}

static void pack_function(struct pack *p, int index, const char *path)
{
    struct scan scan = {.L = p->L, .names = p->names};
    size_t at, start;
    const char *name;
    int n = 0;

    if (lua_iscfunction(p->L, index))
        refuse(p, "a function of C that is not in the standard library", path);
    buf_putc(p->out, 'F');
    at = p->out->len;
    put_u32(p->out, 0);
    start = p->out->len;
    lua_pushvalue(p->L, index);
    lua_dump(p->L, write_chunk, p->out, 0);
    lua_pop(p->L, 1);
    if (!buf_ok(p->out))
        luaL_error(p->L, "cannot copy the function: it is too large");
    memcpy(p->out->data + at, &(uint32_t){(uint32_t)(p->out->len - start)}, 4);
    if (!scan_dump(&scan, p->out->data + start, p->out->len - start))
        luaL_error(p->L, "cannot copy the function: its code is not of Lua 5.4");
    while (lua_getupvalue(p->L, index, n + 1)) {
        lua_pop(p->L, 1);
        n++;
    }
    buf_putc(p->out, (char)n);
    for (int i = 1; i <= n; i++) {
        name = lua_getupvalue(p->L, index, i);
        if (strcmp(name, "_ENV") == 0)
            buf_putc(p->out, 'E');
        else if (!pack_shared(p, index, i))
            pack_value(p, lua_gettop(p->L), name);
        lua_pop(p->L, 1);
    }
}

static bool pack_known(struct pack *p, int index)
{
    bool known = true;

    lua_pushvalue(p->L, index);
    if (lua_rawget(p->L, p->libraries) == LUA_TSTRING) {
        size_t len;
        const char *name = lua_tolstring(p->L, -1, &len);

        buf_putc(p->out, 'L');
        put_text(p->out, name, len);
        lua_pop(p->L, 1);
        return true;
    }
    lua_pop(p->L, 1);
    lua_pushvalue(p->L, index);
    if (lua_rawget(p->L, p->seen) == LUA_TNUMBER) {
        buf_putc(p->out, 'R');
        put_u32(p->out, (size_t)lua_tointeger(p->L, -1));
    } else {
        lua_pushvalue(p->L, index);
        lua_pushinteger(p->L, p->n_seen++);
        lua_rawset(p->L, p->seen);
        known = false;
    }
    lua_pop(p->L, 1);
    return known;
}

static void pack_value(struct pack *p, int index, const char *path)
{
    lua_Integer i;
    lua_Number f;
    size_t len;
    const char *s;

    luaL_checkstack(p->L, 10, NULL);
    if (++p->depth > MAX_DEPTH)
        refuse(p, "nested too deeply", path);
    if (!buf_ok(p->out))
        luaL_error(p->L, "cannot copy the function: what it uses is more than 64 MiB");
    switch (lua_type(p->L, index)) {
    case LUA_TNIL:
        buf_putc(p->out, 'n');
        break;
    case LUA_TBOOLEAN:
        buf_putc(p->out, lua_toboolean(p->L, index) ? 't' : 'f');
        break;
    case LUA_TNUMBER:
        buf_putc(p->out, lua_isinteger(p->L, index) ? 'i' : 'd');
        i = lua_tointeger(p->L, index);
        f = lua_tonumber(p->L, index);
        buf_add(p->out, lua_isinteger(p->L, index) ? (const void *)&i : (const void *)&f, 8);
        break;
    case LUA_TSTRING:
        s = lua_tolstring(p->L, index, &len);
        buf_putc(p->out, 's');
        put_text(p->out, s, len);
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(p->L, index))
            refuse(p, "an address", path);
        buf_putc(p->out, 'N');
        break;
    case LUA_TTABLE:
        if (!pack_known(p, index))
            pack_table(p, index, path);
        break;
    case LUA_TFUNCTION:
        if (!pack_known(p, index))
            pack_function(p, index, path);
        break;
    default:
        refuse(p, luaL_typename(p->L, index), path);
    }
    p->depth--;
}

/* The standard library's tables and functions, by value. */
static void push_libraries(lua_State *L)
{
    static const char *const tables[] = {"string", "table", "math", "utf8"};
    static const char *const plain[] = {"assert", "error",        "ipairs",       "next",     "pairs",
                                        "pcall",  "rawequal",     "rawget",       "rawlen",   "rawset",
                                        "select", "setmetatable", "getmetatable", "tonumber", "tostring",
                                        "type",   "xpcall"};

    lua_newtable(L);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        lua_getglobal(L, plain[i]);
        lua_pushstring(L, plain[i]);
        if (lua_isnil(L, -2))
            lua_pop(L, 2);
        else
            lua_rawset(L, -3);
    }
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        if (lua_getglobal(L, tables[i]) != LUA_TTABLE) {
            lua_pop(L, 1);
            continue;
        }
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            if (lua_isfunction(L, -1)) {
                lua_pushvalue(L, -1);
                lua_pushfstring(L, "%s.%s", tables[i], lua_tostring(L, -3));
                lua_rawset(L, -6);
            }
        lua_pushstring(L, tables[i]);
        lua_rawset(L, -3);
    }
}

/* Globals that the functions read and that the library does not have; packing one may bring more. */
static void pack_globals(struct pack *p)
{
    bool more = true;
    size_t at, n = 0;

    at = p->out->len;
    put_u32(p->out, 0);
    lua_newtable(p->L); /* done */
    int done = lua_gettop(p->L);
    while (more) {
        more = false;
        for (lua_pushnil(p->L); lua_next(p->L, p->names); lua_pop(p->L, 1)) {
            lua_pushvalue(p->L, -2);
            if (lua_rawget(p->L, done) != LUA_TNIL) {
                lua_pop(p->L, 1);
                continue;
            }
            lua_pop(p->L, 1);
            lua_pushvalue(p->L, -2);
            lua_pushboolean(p->L, true);
            lua_rawset(p->L, done);
            lua_getglobal(p->L, lua_tostring(p->L, -2));
            if (!lua_isnil(p->L, -1)) {
                size_t len;
                const char *name = lua_tolstring(p->L, -3, &len);

                put_text(p->out, name, len);
                pack_value(p, lua_gettop(p->L), name);
                n++;
            }
            more = true;
            lua_pop(p->L, 3); /* the table may have grown: begin again */
            break;
        }
    }
    if (buf_ok(p->out))
        memcpy(p->out->data + at, &(uint32_t){(uint32_t)n}, 4);
    lua_settop(p->L, done - 1);
}

void closure_pack(lua_State *L, int index, struct closure_shape *shape)
{
    struct pack p = {.L = L};
    struct scan scan = {.L = L};
    uint32_t len;
    int top;

    index = lua_absindex(L, index);
    luaL_checktype(L, index, LUA_TFUNCTION);
    luaL_checkstack(L, 20, NULL);
    top = lua_gettop(L);
    p.out = session_buf(L, MAX_BYTES);
    lua_newtable(L);
    p.seen = lua_gettop(L);
    lua_newtable(L);
    p.names = lua_gettop(L);
    lua_newtable(L);
    p.upvalues = lua_gettop(L);
    push_libraries(L);
    p.libraries = lua_gettop(L);
    pack_value(&p, index, "itself");
    pack_globals(&p);
    if (!buf_ok(p.out))
        luaL_error(L, "cannot copy the function: what it uses is more than 64 MiB");
    if (shape && p.out->data[0] == 'F') {
        memcpy(&len, p.out->data + 1, 4);
        scan_dump(&scan, p.out->data + 5, len);
        *shape = scan.shape;
    } else if (shape) {
        *shape = (struct closure_shape){.loops = true};
    }
    lua_pushlstring(L, p.out->data, p.out->len);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

/* ---- unpacking ---- */
struct unpack {
    lua_State *L;
    const char *p, *end;
    int seen; /* table: number -> object */
    lua_Integer n_seen;
    int depth;
};

static const char *take(struct unpack *u, size_t n)
{
    const char *at = u->p;

    if ((size_t)(u->end - u->p) < n)
        luaL_error(u->L, "a packed function ends too early");
    u->p += n;
    return at;
}

static size_t take_u32(struct unpack *u)
{
    uint32_t v;

    memcpy(&v, take(u, 4), 4);
    return v;
}

static void remember(struct unpack *u)
{
    lua_pushvalue(u->L, -1);
    lua_rawseti(u->L, u->seen, u->n_seen++);
}

static void unpack_value(struct unpack *u);

static void unpack_library(struct unpack *u)
{
    size_t n = take_u32(u);
    const char *name = take(u, n), *dot = memchr(name, '.', n);

    lua_pushglobaltable(u->L);
    lua_pushlstring(u->L, name, dot ? (size_t)(dot - name) : n);
    lua_rawget(u->L, -2);
    lua_remove(u->L, -2);
    if (!dot || !lua_istable(u->L, -1))
        return;
    lua_pushlstring(u->L, dot + 1, n - (size_t)(dot + 1 - name));
    lua_rawget(u->L, -2);
    lua_remove(u->L, -2);
}

/* The function on top shares its i-th upvalue with another one. */
static void unpack_shared(struct unpack *u, int i)
{
    lua_Integer number = (lua_Integer)take_u32(u);
    int upvalue = (int)take_u32(u);

    if (lua_rawgeti(u->L, u->seen, number) != LUA_TFUNCTION || !lua_upvalueid(u->L, -1, upvalue))
        luaL_error(u->L, "a packed function shares a variable with none");
    lua_upvaluejoin(u->L, -2, i, -1, upvalue);
    lua_pop(u->L, 1);
}

static void unpack_function(struct unpack *u)
{
    size_t n = take_u32(u);
    const char *code = take(u, n);
    int ups;

    if (luaL_loadbufferx(u->L, code, n, "=function", "b") != LUA_OK)
        lua_error(u->L);
    remember(u);
    ups = (unsigned char)*take(u, 1);
    for (int i = 1; i <= ups; i++) {
        if (u->p < u->end && *u->p == 'E') {
            u->p++;
            lua_pushglobaltable(u->L);
        } else if (u->p < u->end && *u->p == 'J') {
            u->p++;
            unpack_shared(u, i);
            continue;
        } else {
            unpack_value(u);
        }
        if (!lua_setupvalue(u->L, -2, i))
            lua_pop(u->L, 1);
    }
}

static void unpack_value(struct unpack *u)
{
    lua_Integer i;
    lua_Number f;
    size_t n;

    luaL_checkstack(u->L, 10, NULL);
    if (++u->depth > MAX_DEPTH + 2)
        luaL_error(u->L, "a packed function is nested too deeply");
    switch (*take(u, 1)) {
    case 'n':
        lua_pushnil(u->L);
        break;
    case 'N':
        lua_pushlightuserdata(u->L, NULL);
        break;
    case 't':
        lua_pushboolean(u->L, true);
        break;
    case 'f':
        lua_pushboolean(u->L, false);
        break;
    case 'i':
        memcpy(&i, take(u, 8), 8);
        lua_pushinteger(u->L, i);
        break;
    case 'd':
        memcpy(&f, take(u, 8), 8);
        lua_pushnumber(u->L, f);
        break;
    case 's':
        n = take_u32(u);
        lua_pushlstring(u->L, take(u, n), n);
        break;
    case 'R':
        lua_rawgeti(u->L, u->seen, (lua_Integer)take_u32(u));
        break;
    case 'L':
        unpack_library(u);
        break;
    case 'T':
        lua_newtable(u->L);
        remember(u);
        for (n = take_u32(u); n > 0; n--) {
            unpack_value(u);
            unpack_value(u);
            if (lua_isnil(u->L, -2))
                luaL_error(u->L, "a packed table has no key");
            lua_rawset(u->L, -3);
        }
        break;
    case 'F':
        unpack_function(u);
        break;
    default:
        luaL_error(u->L, "a packed function has an unknown part");
    }
    u->depth--;
}

void closure_unpack(lua_State *L, const char *data, size_t len)
{
    struct unpack u = {.L = L, .p = data, .end = data + len};
    int top = lua_gettop(L);

    lua_newtable(L);
    u.seen = top + 1;
    unpack_value(&u);
    for (size_t n = take_u32(&u); n > 0; n--) {
        size_t length = take_u32(&u);

        lua_pushlstring(L, take(&u, length), length);
        unpack_value(&u);
        lua_pushglobaltable(L);
        lua_insert(L, -3);
        lua_rawset(L, -3);
        lua_pop(L, 1);
    }
    lua_replace(L, top + 1);
}

void closure_open(lua_State *L, const char *data, size_t len)
{
    static const luaL_Reg libraries[] = {{LUA_GNAME, luaopen_base},
                                         {LUA_TABLIBNAME, luaopen_table},
                                         {LUA_STRLIBNAME, luaopen_string},
                                         {LUA_MATHLIBNAME, luaopen_math},
                                         {LUA_UTF8LIBNAME, luaopen_utf8}};

    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        luaL_requiref(L, libraries[i].name, libraries[i].func, 1);
        lua_pop(L, 1);
    }
    lua_pushlightuserdata(L, NULL);
    lua_setglobal(L, "null");
    closure_unpack(L, data, len);
}
