#include "runtime/session/repr.h"
#include "runtime/base/utf8.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <stdlib.h>
#include <string.h>

enum { DEPTH = 6, ITEMS = 100, TOTAL = 2000, STRING = 1000, WIDTH = 88 };

struct repr {
    lua_State *L;
    struct buf *out;
    int depth, total;
    int seen; /* stack index of a table of the tables on the way */
};

static void value(struct repr *r, int index, int indent, bool nested);

void repr_quoted(struct buf *out, const char *s, size_t len)
{
    static const char escapes[] = "abtnvfr"; /* 7..13 */
    uint32_t code;

    buf_putc(out, '"');
    for (size_t i = 0, n; i < len; i += n) {
        unsigned char c = (unsigned char)s[i];
        n = utf8_decode(s + i, len - i, &code);
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c >= 7 && c <= 13)
            buf_printf(out, "\\%c", escapes[c - 7]);
        else if (n == 0 || c < 32 || c == 127)
            buf_printf(out, "\\x%02X", c), n = 1;
        else
            buf_add(out, s + i, n);
    }
    buf_putc(out, '"');
}

static bool is_identifier(const char *s, size_t len) /* no word of Lua: ["end"] = 1 */
{
    struct scan x = scan_begin(s, len);

    return len && x.kind == SCAN_NAME && x.len == len;
}

static bool has_metafield(lua_State *L, int index, const char *name)
{
    if (luaL_getmetafield(L, index, name) == LUA_TNIL)
        return false;
    lua_pop(L, 1);
    return true;
}

static void add_tostring(struct repr *r, int index)
{
    size_t len;
    const char *s = luaL_tolstring(r->L, index, &len);

    buf_utf8(r->out, s, len);
    lua_pop(r->L, 1);
}

static void string(struct repr *r, int index, bool nested)
{
    size_t len, shown;
    const char *s = lua_tolstring(r->L, index, &len);

    if (!nested) {
        buf_utf8(r->out, s, len);
        return;
    }
    shown = len <= STRING ? len : STRING;
    while (shown < len && shown > 0 && ((unsigned char)s[shown] & 0xC0) == 0x80)
        shown--;
    repr_quoted(r->out, s, shown);
    if (shown < len)
        buf_printf(r->out, " .. %zu more bytes", len - shown);
}

/* ---- keys in order: numbers by value, then strings, then the rest as they come ---- */
struct key {
    lua_Integer ref; /* place in the table of keys */
    int rank;
    lua_Number number;
    const char *text; /* borrowed from the key, which the table holds */
    size_t len;
};

static int compare_keys(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int c;

    if (x->rank != y->rank)
        return x->rank - y->rank;
    if (x->rank == 0)
        return (x->number > y->number) - (x->number < y->number);
    if (x->rank == 1) {
        c = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);
        return c ? c : (x->len > y->len) - (x->len < y->len);
    }
    return (x->ref > y->ref) - (x->ref < y->ref);
}

static void describe_key(lua_State *L, struct key *k)
{
    k->rank = 2;
    if (lua_type(L, -1) == LUA_TNUMBER) {
        k->rank = 0;
        k->number = lua_tonumber(L, -1);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        k->rank = 1;
        k->text = lua_tolstring(L, -1, &k->len);
    }
}

lua_Integer repr_keys(lua_State *L, int index, lua_Integer n, lua_Integer most)
{
    lua_Integer count = 0;
    struct key *keys;

    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, index);) {
        lua_pop(L, 1);
        if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1 && lua_tointeger(L, -1) <= n)
            continue;
        if (count == most) {
            lua_pop(L, 1);
            break;
        }
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, ++count);
    }
    keys = lua_newuserdatauv(L, (size_t)count * sizeof *keys + 1, 0);
    for (lua_Integer i = 0; i < count; i++) {
        keys[i] = (struct key){.ref = i + 1};
        lua_rawgeti(L, -2, i + 1);
        describe_key(L, &keys[i]);
        lua_pop(L, 1);
    }
    qsort(keys, (size_t)count, sizeof *keys, compare_keys);
    return count;
}

void repr_push_key(lua_State *L, int at, lua_Integer i)
{
    const struct key *keys = lua_touserdata(L, at + 1);

    lua_rawgeti(L, at, keys[i].ref);
}

static void key_text(struct repr *r)
{
    size_t len;
    const char *s = lua_type(r->L, -1) == LUA_TSTRING ? lua_tolstring(r->L, -1, &len) : NULL;

    if (s && is_identifier(s, len)) {
        buf_add(r->out, s, len);
    } else {
        buf_putc(r->out, '[');
        value(r, lua_gettop(r->L), 0, true);
        buf_putc(r->out, ']');
    }
    buf_puts(r->out, " = ");
}

struct items { /* the parts of one table, to be laid out on one line or several */
    lua_Integer shown, left;
    bool tall;
};

static void separator(struct repr *r, struct items *items, int indent)
{
    if (items->shown++)
        buf_putc(r->out, ',');
    if (items->tall)
        buf_printf(r->out, "\n%*s", indent, "");
    else if (items->shown > 1)
        buf_putc(r->out, ' ');
}

static bool room(struct repr *r, const struct items *items)
{
    return items->shown < ITEMS && r->total < TOTAL && buf_ok(r->out);
}

static void fields(struct repr *r, int index, int indent, struct items *items)
{
    lua_State *L = r->L;
    lua_Integer n = (lua_Integer)lua_rawlen(L, index), count, i;
    int keys = lua_gettop(L) + 1;

    for (i = 1; i <= n && room(r, items); i++) {
        separator(r, items, indent);
        lua_rawgeti(L, index, i);
        value(r, lua_gettop(L), indent, true);
        lua_pop(L, 1);
    }
    items->left = n - i + 1;
    count = repr_keys(L, index, n, LUA_MAXINTEGER);
    for (i = 0; i < count && room(r, items); i++) {
        separator(r, items, indent);
        repr_push_key(L, keys, i);
        key_text(r);
        lua_rawget(L, index);
        value(r, lua_gettop(L), indent, true);
        lua_pop(L, 1);
    }
    items->left += count - i;
    lua_pop(L, 2);
    if (items->left > 0) {
        separator(r, items, indent);
        buf_printf(r->out, "… %lld more", (long long)items->left);
    }
}

/* On one line when it fits, else one item per line. */
static void table(struct repr *r, int index, int indent)
{
    lua_State *L = r->L;
    size_t begin = r->out->len;
    int total = r->total;
    struct items items = {0};

    lua_pushvalue(L, index);
    if (lua_rawget(L, r->seen) != LUA_TNIL || r->depth >= DEPTH) {
        buf_puts(r->out, lua_isnil(L, -1) ? "{…}" : "{… itself}");
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    luaL_checkstack(L, 12, NULL);
    lua_pushvalue(L, index);
    lua_pushboolean(L, 1);
    lua_rawset(L, r->seen);
    r->depth++;
    buf_putc(r->out, '{');
    fields(r, index, indent + 2, &items);
    if (buf_ok(r->out) && items.shown &&
        (r->out->len - begin + (size_t)indent > WIDTH ||
         memchr(r->out->data + begin, '\n', r->out->len - begin))) {
        r->out->len = begin;
        r->total = total;
        items = (struct items){.tall = true};
        buf_putc(r->out, '{');
        fields(r, index, indent + 2, &items);
        buf_printf(r->out, "\n%*s", indent, "");
    }
    buf_putc(r->out, '}');
    r->depth--;
    lua_pushvalue(L, index);
    lua_pushnil(L);
    lua_rawset(L, r->seen);
}

static void value(struct repr *r, int index, int indent, bool nested)
{
    lua_State *L = r->L;

    r->total++;
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        string(r, index, nested);
        break;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, index) == NULL)
            buf_puts(r->out, "null");
        else
            add_tostring(r, index);
        break;
    case LUA_TTABLE:
        if (session_is_plain(L, index) ||
            (!has_metafield(L, index, "__tostring") && !has_metafield(L, index, "__name"))) {
            table(r, index, indent);
            break;
        }
        /* fall through */
    default:
        add_tostring(r, index);
    }
}

void repr_value(lua_State *L, int index, struct buf *out)
{
    struct repr r = {.L = L, .out = out};

    index = lua_absindex(L, index);
    luaL_checkstack(L, 12, NULL);
    lua_newtable(L);
    r.seen = lua_gettop(L);
    value(&r, index, 0, false);
    lua_settop(L, r.seen - 1);
}

bool session_repr(lua_State *L, int index, struct buf *out)
{
    repr_value(L, index, out);
    return buf_ok(out);
}
