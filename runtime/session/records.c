#include "runtime/session/records.h"
#include "runtime/base/plural.h"
#include "runtime/session/repr.h"
#include "runtime/session/session_int.h"
#include <stdlib.h>
#include <string.h>

enum { ROWS = 50, COLUMNS = 40, CELL = 200, LIST_MAX = 100000 };

struct records {
    lua_State *L;
    int list, names; /* stack indexes: the list, and the table name → true of the columns */
    lua_Integer rows, shown;
    size_t columns, left; /* columns that are shown, and those that are not */
    const char *column[COLUMNS];
};

/* Does the list have keys beside 1..n? */
static bool is_list(lua_State *L, int index, lua_Integer n)
{
    for (lua_pushnil(L); lua_next(L, index);) {
        lua_pop(L, 1);
        if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= n)
            continue;
        lua_pop(L, 1);
        return false;
    }
    return true;
}

/* Adds the names of the record on the top; false: it is none. */
static bool add_names(struct records *r)
{
    lua_State *L = r->L;
    int row = lua_gettop(L);
    bool any = false;

    if (!session_is_plain(L, row))
        return false;
    for (lua_pushnil(L); lua_next(L, row); any = true) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING) {
            lua_settop(L, row);
            return false;
        }
        lua_pushvalue(L, -1);
        if (lua_rawget(L, r->names) == LUA_TNIL) {
            lua_pushvalue(L, -2);
            lua_pushboolean(L, 1);
            lua_rawset(L, r->names);
            if (r->columns < COLUMNS)
                r->column[r->columns++] = lua_tostring(L, -2); /* kept by the table of names */
            else
                r->left++;
        }
        lua_pop(L, 1);
    }
    return any;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool read_list(struct records *r)
{
    lua_State *L = r->L;

    if (!session_is_plain(L, r->list))
        return false;
    r->rows = (lua_Integer)lua_rawlen(L, r->list);
    if (r->rows < 1 || r->rows > LIST_MAX || !is_list(L, r->list, r->rows))
        return false;
    r->shown = r->rows < ROWS ? r->rows : ROWS;
    for (lua_Integer i = 1; i <= r->shown; i++) {
        lua_rawgeti(L, r->list, i);
        if (!add_names(r))
            return false;
        lua_pop(L, 1);
    }
    qsort(r->column, r->columns, sizeof *r->column, compare);
    return true;
}

/* The value on the top, cut where it is long. */
static void add_value(struct records *r, struct buf *text, struct buf *out)
{
    lua_State *L = r->L;
    int type = lua_type(L, -1);
    const char *s;
    size_t len, n;

    buf_puts(out, type == LUA_TNUMBER ? "<td style=\"text-align:right\">" : "<td style=\"text-align:left\">");
    text->len = 0;
    if (type == LUA_TSTRING)
        s = lua_tolstring(L, -1, &len);
    else if (type == LUA_TNIL)
        s = "", len = 0;
    else
        repr_value(L, lua_gettop(L), text), s = buf_str(text), len = text->len;
    n = len < CELL ? len : CELL;
    while (n < len && n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80)
        n--;
    buf_html(out, s, n);
    buf_puts(out, n < len ? "…</td>" : "</td>");
}

static void add_rows(struct records *r, struct buf *text, struct buf *out)
{
    lua_State *L = r->L;

    for (lua_Integer i = 1; i <= r->shown; i++) {
        buf_printf(out, "<tr><th>%lld</th>", (long long)i);
        lua_rawgeti(L, r->list, i);
        for (size_t c = 0; c < r->columns; c++) {
            lua_pushstring(L, r->column[c]);
            lua_rawget(L, -2);
            add_value(r, text, out);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
        buf_puts(out, "</tr>");
    }
}

static bool first_is_number(struct records *r, size_t c) /* the first value of a column, of any row */
{
    lua_State *L = r->L;
    int type = LUA_TNIL;

    for (lua_Integer i = 1; i <= r->shown && type == LUA_TNIL; i++) {
        lua_rawgeti(L, r->list, i);
        lua_pushstring(L, r->column[c]);
        type = lua_rawget(L, -2);
        lua_pop(L, 2);
    }
    return type == LUA_TNUMBER;
}

static void add_table(struct records *r, struct buf *out)
{
    struct buf *text = session_buf(r->L, BUF_TEXT_MAX);
    size_t all = r->columns + r->left;

    buf_puts(out, "<table class=\"dataframe\"><thead><tr><th></th>");
    for (size_t c = 0; c < r->columns; c++) {
        buf_puts(out, first_is_number(r, c) ? "<th style=\"text-align:right\">"
                                            : "<th style=\"text-align:left\">");
        buf_html(out, r->column[c], strlen(r->column[c]));
        buf_puts(out, "</th>");
    }
    buf_puts(out, "</tr></thead><tbody>");
    add_rows(r, text, out);
    buf_printf(out, "</tbody></table><small>%lld row%s × %zu column%s", (long long)r->rows, PLURAL(r->rows),
               all, PLURAL(all));
    if (r->shown < r->rows)
        buf_printf(out, ", the first %lld row%s shown", (long long)r->shown, PLURAL(r->shown));
    if (r->left)
        buf_printf(out, ", %zu column%s shown", r->columns, PLURAL(r->columns));
    buf_puts(out, "</small>");
}

bool records_html(lua_State *L, int index, struct buf *out)
{
    struct records r = {.L = L, .list = lua_absindex(L, index)};
    int top = lua_gettop(L);
    bool is;

    luaL_checkstack(L, 12, NULL);
    lua_newtable(L);
    r.names = lua_gettop(L);
    is = read_list(&r);
    if (is)
        add_table(&r, out);
    lua_settop(L, top);
    return is && buf_ok(out);
}
