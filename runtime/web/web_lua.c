#include "runtime/web/web_lua.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include "runtime/web/options_lua.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SLICE_MS = 10, PAUSE_BYTES = 1 << 20, LINE_MAX_BYTES = 16 << 20 };
#define FILE_MAX ((size_t)1 << 42)

static const char class_name[] = "lacus.HttpResponse";
static const char state_key = 0;

/* ---- the session's connections ---- */
struct connections {
    const struct web_vtable *web;
    struct web_client *client;
};

static void free_connections(void *p)
{
    struct connections *c = p;

    if (c->client)
        c->web->client_close(c->client);
}

static struct connections *connections_of(lua_State *L)
{
    struct connections *c = session_state(L, &state_key, sizeof *c, free_connections);
    struct err err;

    if (!c->web && !(c->web = web_load(&err)))
        session_raise(L, &err);
    if (!c->client && c->web->client_open(&c->client, &err) != LC_OK)
        session_raise(L, &err);
    return c;
}

/* ---- responses ---- */
enum part { PART_ANCHOR = 1, PART_HEADERS, PART_BODY, PARTS = PART_BODY };

struct response {
    const struct web_vtable *web;
    struct web_call *call; /* owned; NULL: closed */
    bool busy, streams;
    size_t at; /* of the body that waits, so much has been read */
    int status;
    double seconds;
    char reason[128];
    char *url;     /* owned */
    FILE *file;    /* owned: what takes the body */
    char *partial; /* owned: its path meanwhile */
};

static void response_close(struct response *r)
{
    if (r->call && !r->busy)
        r->web->finish(r->call);
    r->call = r->busy ? r->call : NULL;
    if (r->file) {
        fclose(r->file);
        unlink(r->partial);
    }
    r->file = NULL;
}

static int l_gc(lua_State *L)
{
    struct response *r = luaL_checkudata(L, 1, class_name);

    r->busy = false;
    response_close(r);
    mem_free(r->url);
    mem_free(r->partial);
    r->url = r->partial = NULL;
    return 0;
}

static struct response *check(lua_State *L)
{
    return luaL_checkudata(L, 1, class_name);
}

/* Works for a moment; serves the front end in between. Raises. */
static void step(lua_State *L, struct response *r, int64_t *served)
{
    struct session *s = session_of(L);
    struct err err;
    enum lc rc;

    if (!r->call) {
        err_set(&err, LC_CLOSED, "this response was closed");
        session_raise(L, &err);
    }
    rc = ctx_check(session_ctx(s), &err);
    if (rc == LC_OK)
        rc = r->web->step(r->call, SLICE_MS, &err);
    if (rc == LC_OK && clock_mono_ns() - *served > (int64_t)SLICE_MS * 1000000) {
        r->busy = true;
        bool goes_on = session_wait(s, 0);
        r->busy = false;
        *served = clock_mono_ns();
        if (!goes_on)
            rc = err_set(&err, LC_CANCELLED, "interrupted");
    }
    if (rc == LC_OK)
        return;
    response_close(r);
    session_raise(L, &err);
}

static void push_fields(lua_State *L, const char *fields);

static void note(lua_State *L, int index, struct response *r, const struct web_info *info)
{
    r->status = info->status;
    r->seconds = info->seconds;
    snprintf(r->reason, sizeof r->reason, "%s", info->reason);
    if (!r->url)
        r->url = mem_strdup(info->url);
    push_fields(L, info->fields);
    lua_setiuservalue(L, index, PART_HEADERS);
}

/* Until the headers, or the end, are there. */
static void wait_for(lua_State *L, int index, struct response *r, bool all)
{
    int64_t served = clock_mono_ns();
    struct web_info info;
    struct err err;

    for (;;) {
        step(L, r, &served);
        r->web->info(r->call, &info);
        struct buf *body = r->web->body(r->call);
        if (r->file && body->len) {
            if (fwrite(body->data, 1, body->len, r->file) != body->len) {
                err_errno(&err, errno, "cannot write '%s'", r->partial);
                response_close(r);
                session_raise(L, &err);
            }
            buf_clear(body);
        }
        if (info.done || (info.headers && !all))
            break;
    }
    note(L, index, r, &info);
}

static void save(lua_State *L, struct response *r, const char *path)
{
    struct err err;
    bool written = fclose(r->file) == 0;

    r->file = NULL;
    if (written && rename(r->partial, path) == 0)
        return;
    err_errno(&err, errno, "cannot write '%s'", path);
    unlink(r->partial);
    session_raise(L, &err);
}

static void open_file(lua_State *L, struct response *r, const char *path)
{
    struct err err;

    r->partial = mem_printf("%s.part", path);
    r->file = r->partial ? fopen(r->partial, "wbe") : NULL;
    if (r->file)
        return;
    err_errno(&err, errno, "cannot write '%s'", path);
    session_raise(L, &err);
}

static void open_class(lua_State *L);

static const char *
method_of(lua_State *L) /* at 3, else of the options, in capitals; stays on the stack at 3 */
{
    size_t len;
    const char *given;
    luaL_Buffer b;

    if (lua_isnil(L, 3) && lua_istable(L, 2)) {
        lua_getfield(L, 2, "method");
        lua_replace(L, 3);
    }
    given = luaL_optlstring(L, 3, "GET", &len);
    luaL_argcheck(L, len > 0 && len < 32, 1, "a method like \"GET\" expected");
    luaL_buffinitsize(L, &b, len);
    for (size_t i = 0; i < len; i++) {
        luaL_argcheck(L, isalpha((unsigned char)given[i]), 1, "a method like \"GET\" expected");
        luaL_addchar(&b, (char)toupper((unsigned char)given[i]));
    }
    luaL_pushresult(&b);
    lua_replace(L, 3);
    return lua_tostring(L, 3);
}

static void url_first(lua_State *L) /* http.get{url, …}: url at 1, options at 2 */
{
    if (!lua_istable(L, 1) || !lua_isnil(L, 2))
        return;
    lua_pushvalue(L, 1);
    lua_replace(L, 2);
    if (lua_rawgeti(L, 2, 1) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_getfield(L, 2, "url");
    }
    lua_replace(L, 1);
}

/* An empty response; what must live as long as its request goes into a table that stays on the stack. */
static struct response *new_response(lua_State *L, const struct web_vtable *web, bool stream)
{
    struct response *r = lua_newuserdatauv(L, sizeof *r, PARTS);

    *r = (struct response){.web = web, .streams = stream};
    if (luaL_newmetatable(L, class_name))
        open_class(L);
    lua_setmetatable(L, -2);
    lua_newtable(L);
    for (int i = 1; i <= 3; i++) {
        lua_pushvalue(L, i);
        lua_rawseti(L, -2, i);
    }
    for (int i = 1; lua_isnil(L, i) && i <= 3; i++) { /* no holes: rawlen counts what is kept */
        lua_pushboolean(L, 0);
        lua_rawseti(L, -2, i);
    }
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, PART_ANCHOR);
    return r;
}

static void keep_body(lua_State *L, int index, struct response *r)
{
    struct buf *body = r->web->body(r->call);

    lua_pushlstring(L, buf_str(body), body->len);
    lua_setiuservalue(L, index, PART_BODY);
    response_close(r);
}

/* (url, options, method); leaves the response. */
static int request(lua_State *L, bool stream)
{
    enum { RESPONSE = 4, ANCHOR };
    struct connections *c = connections_of(L);
    struct web_request q = {0};
    struct web_extra extra;
    struct response *r;
    struct err err;

    lua_settop(L, 3);
    url_first(L);
    q.method = method_of(L);
    luaL_argcheck(L, lua_type(L, 1) == LUA_TSTRING, 1, "a URL expected");
    q.url = lua_tostring(L, 1);
    r = new_response(L, c->web, stream);
    extra = web_options(L, 2, ANCHOR, &q);
    if (extra.output)
        open_file(L, r, extra.output);
    if (extra.output || stream)
        q.max_bytes = q.max_bytes ? q.max_bytes : FILE_MAX;
    q.pause_bytes = extra.output || stream ? PAUSE_BYTES : 0;
    if (c->web->start(c->client, &q, &r->call, &err) != LC_OK)
        return session_raise(L, &err);
    wait_for(L, RESPONSE, r, !stream);
    if (extra.output)
        save(L, r, extra.output);
    if (!stream)
        keep_body(L, RESPONSE, r);
    lua_settop(L, RESPONSE);
    return 1;
}

#define METHOD(name, text)                                                                                   \
    static int name(lua_State *L)                                                                            \
    {                                                                                                        \
        lua_settop(L, 2);                                                                                    \
        lua_pushliteral(L, text);                                                                            \
        return request(L, false);                                                                            \
    }
METHOD(l_get, "GET")
METHOD(l_post, "POST")
METHOD(l_put, "PUT")
METHOD(l_patch, "PATCH")
METHOD(l_delete, "DELETE")
METHOD(l_head, "HEAD")

static void method_last(lua_State *L) /* (method, url, options), (url, options) or (options) */
{
    bool first = lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING;

    lua_settop(L, first ? 3 : 2);
    if (first) {
        lua_pushvalue(L, 1);
        lua_remove(L, 1);
    } else {
        lua_pushnil(L);
    }
}

static int l_request(lua_State *L)
{
    method_last(L);
    return request(L, false);
}

static int l_stream(lua_State *L)
{
    method_last(L);
    return request(L, true);
}

/* ---- headers ---- */
static void push_lower(lua_State *L, const char *s, size_t len)
{
    luaL_Buffer b;

    luaL_buffinitsize(L, &b, len);
    for (size_t i = 0; i < len; i++)
        luaL_addchar(&b, (char)tolower((unsigned char)s[i]));
    luaL_pushresult(&b);
}

static int l_header(lua_State *L) /* __index: in any case */
{
    size_t len;
    const char *name = luaL_checklstring(L, 2, &len);

    push_lower(L, name, len);
    lua_rawget(L, 1);
    return 1;
}

static void push_fields(lua_State *L, const char *fields) /* "Name: value\r\n…" → {name = value} */
{
    lua_newtable(L);
    for (const char *p = fields, *end; *p; p = *end ? end + 1 : end) {
        end = p + strcspn(p, "\n");
        const char *colon = memchr(p, ':', (size_t)(end - p)), *stop = end;
        if (!colon)
            continue;
        push_lower(L, p, (size_t)(colon - p));
        for (colon++; colon < end && (*colon == ' ' || *colon == '\t');)
            colon++;
        while (stop > colon && strchr(" \t\r", stop[-1]))
            stop--;
        lua_pushvalue(L, -1);
        bool again = lua_rawget(L, -3) == LUA_TSTRING;
        if (again)
            lua_pushliteral(L, ", ");
        else
            lua_pop(L, 1);
        lua_pushlstring(L, colon, (size_t)(stop - colon));
        if (again)
            lua_concat(L, 3);
        lua_rawset(L, -3);
    }
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_header);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* ---- reading piece by piece ---- */
static struct response *check_stream(lua_State *L)
{
    struct response *r = check(L);

    if (!r->streams)
        luaL_error(
            L,
            "this response is whole: .text has it; http.stream(url) gives one that is read piece by piece");
    return r;
}

/* What has come and was not read; waits for more than `known` bytes. False: that was the end. */
static bool more(lua_State *L, struct response *r, size_t known)
{
    int64_t served = clock_mono_ns();
    struct web_info info;

    if (!r->call)
        return false;
    struct buf *body = r->web->body(r->call);
    if (r->at && r->at * 2 >= body->len) {
        memmove(body->data, body->data + r->at, body->len - r->at);
        body->len -= r->at;
        r->at = 0;
    }
    while (body->len - r->at <= known) {
        r->web->info(r->call, &info);
        if (info.done)
            return false;
        step(L, r, &served);
    }
    return true;
}

static int l_next_chunk(lua_State *L) /* upvalue: response */
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_replace(L, 1);
    struct response *r = check(L);
    struct buf *body;

    if (!more(L, r, 0))
        return 0;
    body = r->web->body(r->call);
    lua_pushlstring(L, body->data + r->at, body->len - r->at);
    r->at = body->len;
    return 1;
}

/* Pushes the next line without its end; false at the end of the body. */
static bool push_line(lua_State *L, struct response *r)
{
    size_t seen = 0;

    for (;;) {
        bool goes_on = more(L, r, seen);
        if (!r->call)
            return false;
        struct buf *body = r->web->body(r->call);
        const char *from = buf_str(body) + r->at;
        size_t len = body->len - r->at;
        const char *stop = len > seen ? memchr(from + seen, '\n', len - seen) : NULL;
        if (stop || (!goes_on && len) || len > LINE_MAX_BYTES) {
            size_t n = stop ? (size_t)(stop - from) : len;
            r->at += stop ? n + 1 : n;
            lua_pushlstring(L, from, n && from[n - 1] == '\r' ? n - 1 : n);
            return true;
        }
        if (!goes_on)
            return false;
        seen = len;
    }
}

static int l_next_line(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_replace(L, 1);
    return push_line(L, check(L));
}

static void add_field(lua_State *L, int event, const char *line, size_t len) /* "data: text" */
{
    const char *colon = memchr(line, ':', len), *value = colon ? colon + 1 : line + len, *end = line + len;
    size_t name = colon ? (size_t)(colon - line) : len;
    bool data = name == 4 && memcmp(line, "data", 4) == 0;

    if (name == 0)
        return; /* a comment */
    if (value < end && *value == ' ')
        value++;
    lua_pushlstring(L, line, name);
    if (data && lua_getfield(L, event, "data") == LUA_TSTRING) {
        lua_pushliteral(L, "\n");
        lua_pushlstring(L, value, (size_t)(end - value));
        lua_concat(L, 3);
    } else {
        lua_pop(L, data);
        lua_pushlstring(L, value, (size_t)(end - value));
    }
    lua_rawset(L, event);
}

static int l_next_event(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    struct response *r = check(L);

    lua_newtable(L);
    while (push_line(L, r)) {
        size_t len;
        const char *line = lua_tolstring(L, 3, &len);
        if (len) {
            add_field(L, 2, line, len);
        } else if (lua_getfield(L, 2, "data") != LUA_TNIL) {
            if (lua_getfield(L, 2, "event") == LUA_TNIL) {
                lua_pushliteral(L, "message");
                lua_setfield(L, 2, "event");
            }
            lua_settop(L, 2);
            return 1;
        } else { /* without data it is none */
            lua_newtable(L);
            lua_replace(L, 2);
        }
        lua_settop(L, 2);
    }
    return 0;
}

static int iterator(lua_State *L,
                    lua_CFunction next) /* next, nil, nil, response: closed when the loop ends */
{
    check_stream(L);
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, next, 1);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, 1);
    return 4;
}

static int l_chunks(lua_State *L)
{
    return iterator(L, l_next_chunk);
}

static int l_lines(lua_State *L)
{
    return iterator(L, l_next_line);
}

static int l_events(lua_State *L)
{
    return iterator(L, l_next_event);
}

static int l_close(lua_State *L)
{
    struct response *r = check(L);

    r->busy = false;
    response_close(r);
    return 0;
}

/* ---- whole responses ---- */
static int push_text(lua_State *L) /* of a stream: what is left of it */
{
    struct response *r = check(L);
    struct buf *body;

    if (r->streams && r->call) {
        luaL_Buffer b;
        luaL_buffinit(L, &b);
        while (more(L, r, 0)) {
            body = r->web->body(r->call);
            luaL_addlstring(&b, body->data + r->at, body->len - r->at);
            r->at = body->len;
        }
        luaL_pushresult(&b);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, PART_BODY);
        response_close(r);
    } else if (lua_getiuservalue(L, 1, PART_BODY) != LUA_TSTRING) {
        lua_pushliteral(L, "");
    }
    return 1;
}

/* Does the server say that the body is Latin-1 (which browsers, too, read as Windows-1252)? */
static bool is_latin(lua_State *L)
{
    static const char *const names[] = {"iso-8859-1", "latin-1", "latin1", "windows-1252", "cp1252"};
    const char *type, *charset;
    bool latin = false;

    lua_getiuservalue(L, 1, PART_HEADERS);
    lua_getfield(L, -1, "content-type");
    type = lua_tostring(L, -1);
    charset = type ? strcasestr(type, "charset=") : NULL;
    if (charset)
        charset += 8 + (charset[8] == '"');
    for (size_t i = 0; charset && i < sizeof names / sizeof *names; i++)
        latin = latin || strncasecmp(charset, names[i], strlen(names[i])) == 0;
    lua_pop(L, 2);
    return latin;
}

static int get_text(lua_State *L) /* the body as UTF-8 */
{
    static const uint32_t windows[32] = {0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
                                         0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,   0x017D, 0x8F,
                                         0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
                                         0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};
    size_t len, n;
    luaL_Buffer b;

    push_text(L);
    const unsigned char *text = (const unsigned char *)lua_tolstring(L, -1, &len);
    if (!is_latin(L) || utf8_valid((const char *)text, len))
        return 1;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < len; i++) {
        char bytes[4];
        n = utf8_encode(text[i] >= 0x80 && text[i] < 0xA0 ? windows[text[i] - 0x80] : text[i], bytes);
        luaL_addlstring(&b, bytes, n);
    }
    luaL_pushresult(&b);
    return 1;
}

static int l_json(lua_State *L)
{
    size_t len;
    const char *text;

    lua_settop(L, 1);
    push_text(L);
    text = lua_tolstring(L, 2, &len);
    session_push_json_value(L, text, len, NULL);
    return 1;
}

static int l_raise(lua_State *L) /* itself, when the status is no failure */
{
    struct response *r = check(L);
    struct buf shown = BUF_INIT(1 << 16);
    struct err err;
    size_t len;

    if (r->status < 400) {
        lua_settop(L, 1);
        return 1;
    }
    lua_settop(L, 1);
    push_text(L);
    const char *text = lua_tolstring(L, 2, &len);
    web_shown(r->url ? r->url : "", &shown);
    enum lc code = r->status == 404   ? LC_NOTFOUND
                   : r->status == 401 ? LC_AUTH
                   : r->status == 403 ? LC_PERM
                                      : LC_NET;
    err_set(&err, code, "'%s' answered %d %s%s%.*s", buf_str(&shown), r->status, r->reason, len ? ": " : "",
            (int)(len > 300 ? 300 : len), text);
    buf_release(&shown);
    return session_raise(L, &err);
}

static int get_status(lua_State *L)
{
    lua_pushinteger(L, check(L)->status);
    return 1;
}

static int get_ok(lua_State *L)
{
    lua_pushboolean(L, check(L)->status < 400);
    return 1;
}

static int get_reason(lua_State *L)
{
    lua_pushstring(L, check(L)->reason);
    return 1;
}

static int get_url(lua_State *L)
{
    struct response *r = check(L);

    lua_pushstring(L, r->url ? r->url : "");
    return 1;
}

static int get_headers(lua_State *L)
{
    lua_getiuservalue(L, 1, PART_HEADERS);
    return 1;
}

static int get_elapsed(lua_State *L)
{
    lua_pushnumber(L, check(L)->seconds);
    return 1;
}

/* ---- the class ---- */
static const struct manual_row methods[] = {
    {"json", l_json,
     "json() -> any\nthe value of the JSON in the "
     "body\n\thttp.get(\"https://example.org/a.json\"):json().name"},
    {"raise_for_status", l_raise,
     "raise_for_status() -> HttpResponse\nan error when the status is 400 or more, else the response itself"
     "\n\thttp.get(\"https://example.org\"):raise_for_status().text"},
    {"lines", l_lines,
     "lines() -> function\nthe lines of a stream as they come\n\tfor line in "
     "http.stream(\"https://example.org/log\"):lines() do print(line) end"},
    {"chunks", l_chunks,
     "chunks() -> function\nthe bytes of a stream as they come"
     "\n\tfor bytes in http.stream(\"https://example.org\"):chunks() do io.write(bytes) end"},
    {"events", l_events,
     "events() -> function\nserver-sent events of a stream: {event =, data =, id =}\n\tfor e in "
     "http.stream(\"https://example.org/events\"):events() do print(e.event, e.data) end"},
    {"close", l_close,
     "close()\nends a stream early"
     "\n\thttp.stream(\"https://example.org\"):close()"},
    {0}};

static const struct manual_row fields[] = {
    {"status", get_status, "status: integer\n200, 404, …"},
    {"status_code", get_status, NULL}, /* as Python's requests has it */
    {"ok", get_ok, "ok: boolean\nwhether the status is below 400"},
    {"reason", get_reason, "reason: string\nthe words after the status; empty in HTTP/2"},
    {"text", get_text, "text: string\nthe body, as UTF-8 where the server says that it is Latin-1"},
    {"body", push_text, "body: string\nits bytes as they came"},
    {"headers", get_headers, "headers: table\nby name, in any case: r.headers[\"content-type\"]"},
    {"url", get_url, "url: string\nwhere redirects led"},
    {"elapsed", get_elapsed, "elapsed: number\nseconds"},
    {0}};

static int l_index(lua_State *L)
{
    const char *name = luaL_checkstring(L, 2);

    lua_settop(L, 2);
    for (const struct manual_row *row = methods; row->name; row++)
        if (strcmp(row->name, name) == 0) {
            lua_pushcfunction(L, row->function);
            return 1;
        }
    lua_settop(L, 1);
    for (const struct manual_row *row = fields; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return row->function(L);
    return 0;
}

static int l_tostring(lua_State *L)
{
    struct response *r = check(L);

    lua_pushfstring(L, "<HttpResponse %d%s%s>", r->status, *r->reason ? " " : "", r->reason);
    return 1;
}

static int l_dir(lua_State *L)
{
    lua_Integer n = 0;

    lua_newtable(L);
    for (const struct manual_row *row = methods; row->name; row++) {
        lua_pushstring(L, row->name);
        lua_rawseti(L, -2, ++n);
    }
    for (const struct manual_row *row = fields; row->name; row++) {
        lua_pushstring(L, row->name);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static void open_class(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", l_gc},       {"__close", l_close},
                                    {"__index", l_index}, {"__tostring", l_tostring},
                                    {"__dir", l_dir},     {NULL, NULL}};

    luaL_setfuncs(L, meta, 0);
    lua_pushliteral(L, "HttpResponse");
    lua_setfield(L, -2, "__name");
}

#define OPTIONS                                                                                              \
    "{params?: table, headers?: table, json?: any, data?: string|table, file?: string, files?: table, "      \
    "auth?: string|table, "                                                                                  \
    "timeout?: number = 60, connect_timeout?: number = 10, follow?: boolean = true, max_redirects?: "        \
    "integer = 10, "                                                                                         \
    "max_bytes?: integer, verify?: boolean|string = true, cert?: string, key?: string, proxy?: string, "     \
    "output?: string}"

static const struct manual_row functions[] = {
    {"get", l_get,
     "get(url: string, options?: " OPTIONS ") -> HttpResponse\nfetches a URL. params: a query. headers: by "
     "name. auth: {user, password} or a token. timeout: seconds, "
     "false for none. verify: a PEM file to trust. output: a file that takes the body\n\t"
     "http.get(\"https://example.org/api\", {params = {q = \"moon\"}, timeout = 10}):json()"},
    {"post", l_post,
     "post(url: string, options?: " OPTIONS
     ") -> HttpResponse\nsends json = value, data = \"text\" or a form's fields, file = "
     "\"path\", or files = {field = \"path\"}\n\thttp.post(\"https://example.org/api\", {json = {name = "
     "\"moon\"}}).status"},
    {"put", l_put,
     "put(url: string, options?: " OPTIONS ") -> HttpResponse\nas http.post, with the method PUT"
     "\n\thttp.put(\"https://example.org/items/1\", {json = {name = \"new\"}})"},
    {"patch", l_patch,
     "patch(url: string, options?: " OPTIONS ") -> HttpResponse\nas http.post, with the method PATCH"
     "\n\thttp.patch(\"https://example.org/items/1\", {json = {name = \"new\"}})"},
    {"delete", l_delete,
     "delete(url: string, options?: " OPTIONS ") -> HttpResponse\nthe method DELETE"
     "\n\thttp.delete(\"https://example.org/items/1\").status"},
    {"head", l_head,
     "head(url: string, options?: " OPTIONS ") -> HttpResponse\nthe headers only"
     "\n\thttp.head(\"https://example.org\").headers[\"content-type\"]"},
    {"request", l_request,
     "request(method: string, url: string, options?: " OPTIONS
     ") -> HttpResponse\nany method\n\thttp.request(\"OPTIONS\", \"https://example.org/\").headers.allow"},
    {"stream", l_stream,
     "stream(url: string, options?: " OPTIONS ") -> HttpResponse\na response whose body is read as it comes: "
     "r:lines(), r:chunks(), r:events(). method = \"POST\" for "
     "another than GET; timeout: seconds without anything coming\n\tfor line in "
     "http.stream(\"https://example.org/log\"):lines() do print(line) end"},
    {0}};

static const struct manual_topic http_topic = {.name = "http", .doc = "an HTTP client", .rows = functions};
static const struct manual_topic response_topic = {.name = "HttpResponse",
                                                   .doc = "what an HTTP call gives",
                                                   .kind = MANUAL_CLASS,
                                                   .rows = methods,
                                                   .fields = fields};
const struct manual_topic *const web_topics[] = {&http_topic, &response_topic, NULL};

int web_open(lua_State *L)
{
    lua_newtable(L);
    for (const struct manual_row *row = functions; row->name; row++) {
        lua_pushcfunction(L, row->function);
        lua_setfield(L, -2, row->name);
    }
    return 1;
}
