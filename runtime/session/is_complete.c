/* Is a text a whole cell? Lua's own parser says. */
#include "runtime/session/cell.h"
#include "runtime/session/magic.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <stdio.h>
#include <string.h>

static bool ends_at_eof(const char *message)
{
    size_t n = strlen(message);
    static const char bare[] = "<eof>", quoted[] = "'<eof>'";

    return (n >= sizeof bare - 1 && strcmp(message + n - (sizeof bare - 1), bare) == 0) ||
           (n >= sizeof quoted - 1 && strcmp(message + n - (sizeof quoted - 1), quoted) == 0);
}

/* A short string cannot go on in the next line, whatever Lua says at the end of the text. */
static bool cut_string(const char *text, size_t len)
{
    struct scan x = scan_begin(text, len);
    bool cut = false;

    for (; x.kind; scan_next(&x))
        cut = x.open && x.kind == SCAN_STRING && *x.at != '[';
    return cut && text[len - 1] != '\\';
}

static const char *status_of(lua_State *L, const char *text, size_t len)
{
    struct buf *b = session_buf(L, len * 6 + 4096);
    struct buf *as_return = session_buf(L, len * 6 + 4096);
    struct cell_shape shape;

    if (cell_load(L, text, len, "=x", &shape) ==
        LUA_OK) /* also statements and a last expression behind them */
        return "complete";
    if (magic_rewrite(session_of(L), "_m", text, len, b)) {
        text = buf_str(b);
        len = b->len;
    }
    buf_puts(as_return, "return ");
    buf_add(as_return, text, len);
    if (luaL_loadbufferx(L, text, len, "=x", "t") == LUA_OK ||
        luaL_loadbufferx(L, buf_str(as_return), as_return->len, "=x", "t") == LUA_OK)
        return "complete";
    if (cut_string(text, len))
        return "invalid";
    if (ends_at_eof(lua_tostring(L, -2)) || ends_at_eof(lua_tostring(L, -1)))
        return "incomplete";
    return "invalid";
}

struct question {
    const char *text;
    size_t len;
    const char *status;
};

static int l_status(lua_State *L)
{
    struct question *q = lua_touserdata(L, 1);

    q->status = status_of(L, q->text, q->len);
    return 0;
}

static const char *magic_status(const struct magic_cell *m, const char *text, size_t len)
{
    /* a %%magic ends with an empty line, as a block does in a console */
    if (m->body_len && (text[len - 1] == '\n' && (len < 2 || text[len - 2] == '\n')))
        return "complete";
    return "incomplete";
}

json_t *session_is_complete(struct session *s, const char *code, size_t len)
{
    struct question q = {.text = code, .len = len, .status = "unknown"};
    lua_State *L = session_lua(s);
    struct magic_cell m;
    char indent[64];
    int depth;

    if (magic_split(code, len, &m)) {
        q.status = magic_status(&m, code, len);
        return strcmp(q.status, "complete") == 0 ? json_pack("{ss}", "status", q.status)
                                                 : json_pack("{ssss}", "status", q.status, "indent", "");
    }
    lua_pushcfunction(L, l_status);
    lua_pushlightuserdata(L, &q);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        lua_pop(L, 1);
    if (strcmp(q.status, "incomplete") != 0)
        return json_pack("{ss}", "status", q.status);
    depth = scan_depth(code, len);
    snprintf(indent, sizeof indent, "%*s", depth > 15 ? 60 : depth * 4, "");
    return json_pack("{ssss}", "status", q.status, "indent", indent);
}
