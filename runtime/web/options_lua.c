#include "runtime/web/options_lua.h"
#include "runtime/base/nearest.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct making { /* a request in the making */
    lua_State *L;
    int options, anchor;
    struct web_request *q;
    struct web_extra extra;
    const char **headers; /* in a userdata of anchor */
    size_t max_headers;
};

static const char *const known[] = {
    "params",        "headers", "json",  "data",   "file",     "files",           "auth",
    "timeout",       "follow",  "key",   "cert",   "verify",   "connect_timeout", "method",
    "max_redirects", "url",     "proxy", "output", "max_bytes"};

static const char *keep(struct making *m) /* the text on the top lives on; pops it */
{
    const char *s = luaL_checkstring(m->L, -1);

    lua_rawseti(m->L, m->anchor, (lua_Integer)lua_rawlen(m->L, m->anchor) + 1);
    return s;
}

static int wrong(lua_State *L, const char *option, const char *expected)
{
    struct err err;

    err_set(&err, LC_ARG, "the option '%s' must be %s", option, expected);
    return session_raise(L, &err);
}

static const char *text_option(struct making *m, const char *name)
{
    int type = lua_getfield(m->L, m->options, name);

    if (type == LUA_TNIL) {
        lua_pop(m->L, 1);
        return NULL;
    }
    if (type != LUA_TSTRING)
        wrong(m->L, name, "a text");
    return keep(m);
}

static int seconds_option(struct making *m, const char *name, int fallback_ms)
{
    int type = lua_getfield(m->L, m->options, name);
    lua_Number n = lua_tonumber(m->L, -1);

    lua_pop(m->L, 1);
    if (type == LUA_TNIL)
        return fallback_ms;
    if (type == LUA_TBOOLEAN)
        return 0; /* timeout = false: none */
    if (type != LUA_TNUMBER || !(n > 0) || n > 2e6)
        wrong(m->L, name, "a number of seconds, or false for none");
    return n < 0.001 ? 1 : (int)(n * 1000);
}

/* What Python's requests and JavaScript's fetch call it. */
static const struct {
    const char *name, *hint;
} foreign_options[] = {
    {"stream", "http.stream(url) gives a response whose lines() come as they are sent"},
    {"body", "data = \"text\" is sent as it is, json = value as JSON"},
    {"content", "data = \"text\" is sent as it is, json = value as JSON"},
    {"allow_redirects", "follow = false stays where it is"},
    {"redirect", "follow = false stays where it is"},
    {"proxies", "HTTPS_PROXY and NO_PROXY in the environment name a proxy"},
    {"proxy", "HTTPS_PROXY and NO_PROXY in the environment name a proxy"},
    {"query", "params = {name = value} is the query"},
};

static const char *foreign_option(const char *name)
{
    for (size_t i = 0; name && i < sizeof foreign_options / sizeof *foreign_options; i++)
        if (strcmp(foreign_options[i].name, name) == 0)
            return foreign_options[i].hint;
    return NULL;
}

static void check_names(struct making *m)
{
    lua_State *L = m->L;

    for (lua_pushnil(L); lua_next(L, m->options); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        struct buf near = BUF_INIT(256);
        bool found = lua_isinteger(L, -2) && lua_tointeger(L, -2) == 1; /* http.get{url} */
        struct err err;

        for (size_t i = 0; name && !found && i < sizeof known / sizeof *known; i++)
            found = strcmp(known[i], name) == 0;
        if (found)
            continue;
        err_set(&err, LC_ARG, "a request has no option '%s'", name ? name : luaL_typename(L, -2));
        if (foreign_option(name))
            err_hint(&err, "%s", foreign_option(name));
        else if (name && nearest_list(&near, name, known, sizeof known / sizeof *known, 3) && near.len)
            err_hint(&err, "did you mean %s?", buf_str(&near));
        buf_release(&near);
        session_raise(L, &err);
    }
}

/* ---- a=1&b=2 ---- */
static void escape(struct buf *out, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (isalnum((unsigned char)s[i]) || (s[i] && strchr("-._~", s[i])))
            buf_putc(out, s[i]);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)s[i]);
}

static void put_scalar(lua_State *L, int index, const char *option, struct buf *out)
{
    size_t len;

    if (lua_type(L, index) == LUA_TBOOLEAN)
        escape(out, lua_toboolean(L, index) ? "true" : "false", lua_toboolean(L, index) ? 4 : 5);
    else if (lua_isstring(L, index)) {
        lua_pushvalue(L, index); /* tolstring changes numbers */
        const char *s = lua_tolstring(L, -1, &len);
        escape(out, s, len);
        lua_pop(L, 1);
    } else {
        wrong(L, option, "a table of texts, numbers, booleans, or lists of them");
    }
}

static void put_pair(lua_State *L, int key, int value, const char *option, struct buf *out)
{
    key = lua_absindex(L, key);
    value = lua_absindex(L, value);
    if (lua_istable(L, value)) {
        for (lua_Integer i = 1; lua_rawgeti(L, value, i) != LUA_TNIL; i++, lua_pop(L, 1))
            put_pair(L, key, -1, option, out);
        lua_pop(L, 1);
        return;
    }
    if (lua_islightuserdata(L, value))
        return; /* null: left out */
    if (out->len && out->data[out->len - 1] != '?' && out->data[out->len - 1] != '&')
        buf_putc(out, '&');
    put_scalar(L, key, option, out);
    buf_putc(out, '=');
    put_scalar(L, value, option, out);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A table of names and values in the order of the names, or a list of pairs in its order. */
static void put_pairs(lua_State *L, int table, const char *option, struct buf *out)
{
    size_t n = 0, count = 0;
    const char **names;

    for (lua_Integer i = 1; lua_rawgeti(L, table, i) == LUA_TTABLE; i++, lua_pop(L, 1)) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        put_pair(L, -2, -1, option, out);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        count += lua_type(L, -2) == LUA_TSTRING;
    names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING)
            names[n++] = lua_tostring(L, -2);
    qsort(names, n, sizeof *names, by_text);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, names[i]);
        lua_pushvalue(L, -1);
        lua_rawget(L, table);
        put_pair(L, -2, -1, option, out);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

static void add_params(struct making *m)
{
    lua_State *L = m->L;
    const char *hash = strchr(m->q->url, '#'), *query;
    struct buf *out;

    if (lua_getfield(L, m->options, "params") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    if (!lua_istable(L, -1))
        wrong(L, "params", "a table of names and values");
    out = session_buf(L, 16 << 20);
    buf_add(out, m->q->url, hash ? (size_t)(hash - m->q->url) : strlen(m->q->url));
    query = strchr(buf_str(out), '?');
    if (!query)
        buf_putc(out, '?');
    put_pairs(L, lua_gettop(L) - 1, "params", out);
    lua_pushlstring(L, buf_str(out), out->len);
    m->q->url = keep(m);
    lua_pop(L, 2);
}

/* ---- headers ---- */
static void add_header(struct making *m, const char *name, const char *value)
{
    if (m->q->n_headers == m->max_headers)
        wrong(m->L, "headers", "a table of at most 200 names and values");
    lua_pushfstring(m->L, *value ? "%s: %s" : "%s:%s", name, value);
    m->headers[m->q->n_headers++] = keep(m);
}

static bool has_header(const struct making *m, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < m->q->n_headers; i++)
        if (strncasecmp(m->headers[i], name, n) == 0 && m->headers[i][n] == ':')
            return true;
    return false;
}

static void add_headers(struct making *m)
{
    lua_State *L = m->L;
    int table;

    m->max_headers = 200;
    m->headers = lua_newuserdatauv(L, m->max_headers * sizeof *m->headers, 0);
    lua_setfield(L, m->anchor, "headers");
    m->q->headers = m->headers;
    if (lua_getfield(L, m->options, "headers") != LUA_TNIL && !lua_istable(L, -1))
        wrong(L, "headers", "a table of names and values");
    table = lua_gettop(L);
    for (lua_pushnil(L); lua_istable(L, table) && lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1))
            wrong(L, "headers", "a table of names and values");
        lua_pushvalue(L, -1);
        add_header(m, lua_tostring(L, -3), lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_settop(L, table - 1);
}

/* ---- bodies ---- */
static void body_text(struct making *m, const char *type) /* the text on the top */
{
    size_t len;

    m->q->body = lua_tolstring(m->L, -1, &len);
    m->q->body_len = len;
    lua_setfield(m->L, m->anchor, "body");
    if (type && !has_header(m, "Content-Type"))
        add_header(m, "Content-Type", type);
}

static bool json_body(struct making *m)
{
    if (lua_getfield(m->L, m->options, "json") == LUA_TNIL) {
        lua_pop(m->L, 1);
        return false;
    }
    session_push_json_text(m->L, -1);
    body_text(m, "application/json");
    lua_pop(m->L, 1);
    return true;
}

static bool data_body(struct making *m)
{
    lua_State *L = m->L;
    int type = lua_getfield(L, m->options, "data");

    if (type == LUA_TSTRING) {
        body_text(m, NULL);
        if (!has_header(m, "Content-Type"))
            add_header(m, "Content-Type", "application/octet-stream");
        return true;
    }
    if (type == LUA_TTABLE) {
        struct buf *out = session_buf(L, BUF_TEXT_MAX);
        put_pairs(L, lua_gettop(L) - 1, "data", out);
        lua_pushlstring(L, buf_str(out), out->len);
        body_text(m, "application/x-www-form-urlencoded");
        lua_pop(L, 2);
        return true;
    }
    if (type != LUA_TNIL)
        wrong(L, "data", "a text, or a table of a form's fields");
    lua_pop(L, 1);
    return false;
}

/* files = {field = "path"}: a multipart form; the fields of a table `data` go with it. */
static bool file_parts(struct making *m)
{
    lua_State *L = m->L;
    enum { MOST = 100 };
    struct web_part *parts;
    static const char *const options[] = {"data", "files"};

    if (lua_getfield(L, m->options, "files") == LUA_TNIL) {
        lua_pop(L, 1);
        return false;
    }
    if (!lua_istable(L, -1))
        wrong(L, "files", "a table of field names and paths");
    lua_pop(L, 1);
    parts = lua_newuserdatauv(L, MOST * sizeof *parts, 0);
    lua_setfield(L, m->anchor, "parts");
    m->q->parts = parts;
    for (int o = 0; o < 2; o++) {
        if (lua_getfield(L, m->options, options[o]) == LUA_TTABLE)
            for (lua_pushnil(L); lua_next(L, -2);) {
                struct web_part *p = &parts[m->q->n_parts];
                if (m->q->n_parts++ == MOST || lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1))
                    wrong(L, options[o], "a table of at most 100 field names and texts");
                *p = (struct web_part){0};
                p->len = lua_rawlen(L, -1);
                const char *value = keep(m);
                lua_pushvalue(L, -1);
                p->name = keep(m);
                *(o ? &p->file : &p->value) = value;
                if (!o)
                    p->len = strlen(value);
            }
        lua_pop(L, 1);
    }
    return true;
}

/* ---- the rest ---- */
static void add_auth(struct making *m)
{
    lua_State *L = m->L;
    int type = lua_getfield(L, m->options, "auth");

    if (type == LUA_TSTRING) {
        m->q->bearer = keep(m);
        return;
    }
    if (type == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        m->q->user = keep(m);
        lua_rawgeti(L, -1, 2);
        m->q->password = lua_isnil(L, -1) ? (lua_pop(L, 1), "") : keep(m);
    } else if (type != LUA_TNIL) {
        wrong(L, "auth", "{user, password}, or a token");
    }
    lua_pop(L, 1);
}

static void add_trust(struct making *m)
{
    int type = lua_getfield(m->L, m->options, "verify");

    m->q->verify = type == LUA_TNIL || type == LUA_TSTRING || lua_toboolean(m->L, -1);
    if (type == LUA_TSTRING) {
        m->q->ca_file = keep(m);
        return;
    }
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        wrong(m->L, "verify", "a PEM file to trust, or false to trust anybody");
    lua_pop(m->L, 1);
}

static void add_redirects(struct making *m)
{
    bool follow = lua_getfield(m->L, m->options, "follow") == LUA_TNIL || lua_toboolean(m->L, -1);

    m->q->redirects = 10;
    if (lua_getfield(m->L, m->options, "max_redirects") != LUA_TNIL)
        m->q->redirects = (int)luaL_checkinteger(m->L, -1);
    if (!follow || m->q->redirects < 0)
        m->q->redirects = 0;
    lua_pop(m->L, 2);
}

static void add_limits(struct making *m)
{
    lua_State *L = m->L;

    m->q->timeout_ms = seconds_option(m, "timeout", 60000);
    m->q->connect_ms = seconds_option(m, "connect_timeout", 0);
    if (lua_getfield(L, m->options, "max_bytes") != LUA_TNIL) {
        lua_Integer n = lua_tointeger(L, -1);
        if (n < 1)
            wrong(L, "max_bytes", "a positive number");
        m->q->max_bytes = (size_t)n;
    }
    lua_pop(L, 1);
}

struct web_extra web_options(lua_State *L, int options, int anchor, struct web_request *q)
{
    struct making m = {.L = L, .options = options, .anchor = lua_absindex(L, anchor), .q = q};

    luaL_checkstack(L, 20, NULL);
    if (lua_isnoneornil(L, options)) {
        lua_newtable(L);
        m.options = lua_gettop(L);
    } else {
        luaL_checktype(L, options, LUA_TTABLE);
        m.options = lua_absindex(L, options);
    }
    check_names(&m);
    add_params(&m);
    add_headers(&m);
    q->body_file = text_option(&m, "file");
    if (!q->body_file && !json_body(&m) && !file_parts(&m) && !data_body(&m) &&
        strcasecmp(q->method, "POST") == 0) {
        q->body = "";
        q->body_len = 0;
    }
    add_auth(&m);
    add_trust(&m);
    add_redirects(&m);
    add_limits(&m);
    q->cert = text_option(&m, "cert");
    q->key = text_option(&m, "key");
    q->proxy = text_option(&m, "proxy");
    m.extra.output = text_option(&m, "output");
    return m.extra;
}
