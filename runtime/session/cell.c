#include "runtime/session/cell.h"
#include "runtime/session/magic.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <stdio.h>
#include <string.h>

enum {
    GROUP = 180 /* a function holds 200 locals: more carried names are declared in nested functions */
};

struct keys { /* names that the text does not contain */
    char capture[24], magic[24];
};

/* ---- capturing ---- */

static int find_upvalue(lua_State *L, int function, const char *name) /* 0: it has none of that name */
{
    const char *up;

    for (int i = 1; (up = lua_getupvalue(L, function, i)) != NULL; i++) {
        lua_pop(L, 1);
        if (strcmp(up, name) == 0)
            return i;
    }
    return 0;
}

/* The holders are Lua functions, because upvalues of C functions cannot be joined. */
static void push_holder(lua_State *L)
{
    static const char maker_key;

    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &maker_key) == LUA_TNIL) {
        static const char maker[] = "local v; return function() return v end";
        lua_pop(L, 1);
        if (luaL_loadbufferx(L, maker, sizeof maker - 1, "=lacus.holder", "t") != LUA_OK)
            lua_error(L);
        lua_pushvalue(L, -1);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &maker_key);
    }
    lua_call(L, 0, 1);
}

/* capture(closure, spec…): spec is '=' (const), '<' (close) or ' ', then the name. */
static int l_capture(lua_State *L)
{
    int top = lua_gettop(L);

    luaL_checktype(L, 1, LUA_TFUNCTION);
    for (int i = 2, values = 0; i <= top; i++, lua_settop(L, top)) {
        const char *spec = luaL_checkstring(L, i);
        int up;

        session_table(L, TABLE_CARRIED);
        if (*spec == '<') {
            lua_pushnil(L);
        } else {
            push_holder(L);
            values++;
            up = find_upvalue(L, 1, spec + 1);
            if (up) {
                lua_upvaluejoin(L, top + 2, 1, 1, up);
            } else { /* a folded constant: ours is the last value */
                lua_pushvalue(L, 1);
                lua_call(L, 0, values);
                lua_setupvalue(L, top + 2, 1);
                lua_settop(L, top + 2);
            }
        }
        lua_setfield(L, top + 1, spec + 1);
        session_table(L, TABLE_CONSTS);
        lua_pushboolean(L, *spec == '=');
        lua_setfield(L, -2, spec + 1);
    }
    return 0;
}

struct capture_names {
    struct buf *out;
    bool arguments; /* " a","=x" instead of a,x */
    bool any;
};

static void write_name(void *arg, const char *name, size_t len, char attribute)
{
    struct capture_names *c = arg;

    if (len == 4 && memcmp(name, "_ENV", 4) == 0)
        return;
    if (c->arguments) {
        buf_printf(c->out, ",\"%c%.*s\"", attribute ? attribute : ' ', (int)len, name);
    } else if (attribute != '<') {
        buf_printf(c->out, "%s%.*s", c->any ? "," : "", (int)len, name);
        c->any = true;
    }
}

static void write_capture(struct buf *out, const char *key, struct scan local)
{
    struct capture_names names = {.out = out};
    struct scan again = local;

    buf_printf(out, ";%s(function()return ", key);
    scan_local(&again, write_name, &names);
    buf_puts(out, " end");
    names.arguments = true;
    scan_local(&local, write_name, &names);
    buf_puts(out, ");");
}

/* ---- compiling ---- */
static void make_key(char key[24], const char *stem, const char *text, size_t len)
{
    snprintf(key, 24, "%s", stem);
    for (int i = 0; memmem(text, len, key, strlen(key)); i++)
        snprintf(key, 24, "%s%d_", stem, i);
}

/* Declares the carried names that the text uses. Returns the number of groups. */
static int declare(lua_State *L, struct buf *out, const char *text, size_t len)
{
    int groups = 1, n = 2, top = lua_gettop(L);

    lua_newtable(L); /* already declared */
    session_table(L, TABLE_CARRIED);
    session_table(L, TABLE_CONSTS);
    for (struct scan x = scan_begin(text, len); x.kind; scan_next(&x), lua_settop(L, top + 3)) {
        if (x.kind != SCAN_NAME || x.field)
            continue;
        lua_pushlstring(L, x.at, x.len);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, top + 2) == LUA_TNIL)
            continue;
        lua_pushvalue(L, top + 4);
        if (lua_rawget(L, top + 1) != LUA_TNIL)
            continue;
        lua_pushvalue(L, top + 4);
        lua_pushboolean(L, 1);
        lua_rawset(L, top + 1);
        lua_pushvalue(L, top + 4);
        lua_rawget(L, top + 3);
        buf_printf(out, "%s%.*s%s", n < GROUP ? "," : " return(function()local ", (int)x.len, x.at,
                   lua_toboolean(L, -1) ? " <const>" : "");
        n = n < GROUP ? n + 1 : (groups++, 1);
    }
    lua_settop(L, top);
    return groups;
}

static int load_text(lua_State *L, const struct buf *b, const char *chunk)
{
    if (!buf_ok(b))
        return luaL_error(L, "not enough memory to compile the cell");
    return luaL_loadbufferx(L, buf_str(b), b->len, chunk, "t");
}

/* x = 'it''s': a text or a number right behind a statement is a slip, no expression to show. */
static bool sticks(const char *text, const struct scan *at)
{
    const char *end = at->prev_end;

    return (at->kind == SCAN_STRING || at->kind == SCAN_NUMBER) && end && end > text && end[-1] != ';' &&
           !memchr(end, '\n', (size_t)(at->at - end)) && !(end - text >= 3 && memcmp(end - 3, "end", 3) == 0);
}

/* The text with captures; *expr is where the last bare expression starts, or NULL. */
static bool write_body(struct buf *out, const struct keys *keys, const char *text, size_t len,
                       const char **expr, size_t *expr_at, struct cell_shape *shape)
{
    struct scan x = scan_begin(text, len);
    const char *done = text;
    bool ok = true, bare;

    while (x.kind && ok) {
        struct scan at = x;

        ok = scan_statement(&x, &bare);
        if (!ok)
            break;
        bare = bare && !sticks(text, &at);
        if (scan_is(&at, ";")) {
            shape->silent = *expr != NULL;
            continue;
        }
        *expr = bare ? at.at : NULL;
        shape->silent = false;
        if (bare) {
            buf_add(out, done, (size_t)(at.at - done));
            done = at.at;
            *expr_at = out->len;
        }
        if (scan_is(&at, "local")) {
            buf_add(out, done, (size_t)(x.prev_end - done));
            done = x.prev_end;
            write_capture(out, keys->capture, at);
        }
    }
    buf_add(out, done, (size_t)(text + len - done));
    return ok;
}

/* Is TEXT a block when its last expression is made a return? */
static bool compiles_as_return(lua_State *L, struct buf *b, const char *text, size_t len, const char *expr,
                               const char *chunk)
{
    bool ok;

    buf_clear(b);
    buf_add(b, text, (size_t)(expr - text));
    buf_puts(b, "return ");
    buf_add(b, expr, (size_t)(text + len - expr));
    ok = load_text(L, b, chunk) == LUA_OK;
    lua_pop(L, 1);
    return ok;
}

static void join_carried(lua_State *L, const struct keys *keys)
{
    int closure = lua_gettop(L);
    const char *up;

    session_table(L, TABLE_CARRIED);
    for (int i = 1; (up = lua_getupvalue(L, closure, i)) != NULL; i++) {
        lua_pop(L, 1);
        if (strcmp(up, keys->capture) == 0) {
            lua_pushcfunction(L, l_capture);
            lua_setupvalue(L, closure, i);
        } else if (strcmp(up, keys->magic) == 0) {
            lua_pushcfunction(L, magic_call);
            lua_setupvalue(L, closure, i);
        } else {
            if (lua_getfield(L, closure + 1, up) != LUA_TNIL) /* nil: _ENV */
                lua_upvaluejoin(L, closure, i, -1, 1);
            lua_pop(L, 1);
        }
    }
    lua_settop(L, closure);
}

static int load_whole(lua_State *L, struct buf *whole, const struct buf *body, const struct keys *keys,
                      const char *text, size_t len, const char *chunk)
{
    int groups;

    buf_clear(whole);
    buf_printf(whole, "local %s,%s", keys->capture, keys->magic);
    groups = declare(L, whole, text, len);
    buf_puts(whole, " return function(...) ");
    buf_add(whole, buf_str(body), body->len);
    buf_puts(whole, "\n end");
    while (--groups > 0)
        buf_puts(whole, " end)()");
    return load_text(L, whole, chunk);
}

int cell_load(lua_State *L, const char *text, size_t len, const char *chunk, struct cell_shape *shape)
{
    int top = lua_gettop(L), rc, bare;
    size_t max = len * 8 + (1 << 16), expr_at = 0;
    const char *expr = NULL;
    struct buf *body = session_buf(L, max), *work = session_buf(L, max), *lines = session_buf(L, max);
    struct keys keys;
    bool understood;

    luaL_checkstack(L, 20, NULL);
    *shape = (struct cell_shape){0};
    make_key(keys.magic, "_m", text, len);
    if (magic_rewrite(session_of(L), keys.magic, text, len, lines)) {
        text = buf_str(lines);
        len = lines->len;
    }
    make_key(keys.capture, "_k", text, len);
    understood = write_body(body, &keys, text, len, &expr, &expr_at, shape);
    bare = luaL_loadbufferx(L, text, len, chunk, "t"); /* Lua's own message and line */
    if (expr && understood && compiles_as_return(L, work, text, len, expr, chunk)) {
        shape->implicit = true;
        shape->call = bare == LUA_OK;
        buf_clear(work);
        buf_add(work, buf_str(body), expr_at);
        buf_puts(work, "return true,");
        buf_add(work, buf_str(body) + expr_at, body->len - expr_at);
        struct buf *swap = body;
        body = work;
        work = swap;
    } else if (bare != LUA_OK) {
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
        return bare;
    }
    rc = load_whole(L, work, body, &keys, text, len, chunk);
    if (rc == LUA_OK) {
        lua_call(L, 0, 1);
        join_carried(L, &keys);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return rc;
}

/* ---- where a syntax error is ---- */
struct feed {
    const char *text;
    size_t len, given;
};

static const char *feed_byte(lua_State *L, void *arg, size_t *size)
{
    struct feed *f = arg;

    (void)L;
    *size = f->given < f->len;
    return *size ? f->text + f->given++ : NULL;
}

long cell_error_offset(lua_State *L, const char *text, size_t len)
{
    struct feed f = {.text = text, .len = len};
    int rc = lua_load(L, feed_byte, &f, "=x", "t");
    long at = -1;

    lua_pop(L, 1);
    if (rc != LUA_ERRSYNTAX)
        return -1;
    /* Lua has read one character past the token at fault */
    for (struct scan x = scan_begin(text, len); x.kind && x.at < text + f.given; scan_next(&x))
        if (x.next < text + f.given || f.given == len)
            at = (long)(x.at - text);
    return at;
}

/* ---- carried locals from C ---- */
bool cell_local(lua_State *L, const char *name, size_t len)
{
    session_table(L, TABLE_CARRIED);
    lua_pushlstring(L, name, len);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 2);
        return false;
    }
    lua_getupvalue(L, -1, 1);
    lua_replace(L, -3);
    lua_pop(L, 1);
    return true;
}

void cell_push_variable(lua_State *L, const char *name, const char *verb)
{
    struct err err;

    if (!cell_local(L, name, strlen(name)))
        lua_getglobal(L, name);
    if (!lua_isnil(L, -1))
        return;
    err_set(&err, LC_NOTFOUND, "cannot %s '%s': there is no such variable", verb, name);
    session_raise(L, &err);
}

void cell_set_variable(lua_State *L, const char *name)
{
    session_table(L, TABLE_CARRIED);
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pop(L, 2);
        lua_setglobal(L, name);
        return;
    }
    lua_pushvalue(L, -3);
    lua_setupvalue(L, -2, 1);
    lua_pop(L, 3);
}

bool cell_is_ours(lua_CFunction f)
{
    return f == l_capture || f == magic_call;
}

bool cell_forget(lua_State *L, const char *name)
{
    bool known;

    session_table(L, TABLE_CARRIED);
    known = lua_getfield(L, -1, name) != LUA_TNIL;
    lua_pushnil(L);
    lua_setfield(L, -3, name);
    lua_pop(L, 2);
    return known;
}
