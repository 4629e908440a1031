/* The global `fmt`: Python's str.format, and f-strings: names come from a table, or from where fmt is called. */
#include "runtime/session/cell.h"
#include "runtime/session/format.h"
#include "runtime/session/repr.h"
#include "runtime/session/session_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fmt {
    lua_State *L;
    struct buf *out;
    const char *text, *p, *end; /* the format string */
    int nargs;                  /* arguments are at 2 … nargs + 1 */
    int next;                   /* automatic numbering; -1: numbers were given */
    int depth;
};

static _Noreturn void fail(struct fmt *f, const char *what)
{
    struct err err;

    err_set(&err, LC_ARG, "fmt: %s in \"%.*s\"", what, (int)(f->end - f->text), f->text);
    err_at(&err, f->p - f->text);
    session_raise(f->L, &err);
    __builtin_unreachable();
}

/* ---- where names come from ---- */
static bool push_caller_local(lua_State *L, lua_Debug *ar, const char *name)
{
    const char *local;
    int found = 0;

    for (int i = 1; (local = lua_getlocal(L, ar, i)) != NULL; i++) {
        lua_pop(L, 1);
        if (strcmp(local, name) == 0)
            found = i; /* the innermost is the last */
    }
    return found && lua_getlocal(L, ar, found);
}

static bool push_caller_upvalue(lua_State *L, lua_Debug *ar, const char *name)
{
    const char *up;

    lua_getinfo(L, "f", ar);
    for (int i = 1; (up = lua_getupvalue(L, -1, i)) != NULL; i++) {
        if (strcmp(up, name) == 0) {
            lua_remove(L, -2);
            return true;
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return false;
}

/* A table as the first or last argument has names. */
static bool field_of_argument(struct fmt *f, const char *name, int index)
{
    if (f->nargs == 0 || !lua_istable(f->L, index))
        return false;
    if (lua_getfield(f->L, index, name) != LUA_TNIL)
        return true;
    lua_pop(f->L, 1);
    return false;
}

static void push_name(struct fmt *f, const char *name)
{
    lua_State *L = f->L;
    lua_Debug ar;

    if (field_of_argument(f, name, 2) || field_of_argument(f, name, f->nargs + 1))
        return;
    if (lua_getstack(L, 1, &ar) && (push_caller_local(L, &ar, name) || push_caller_upvalue(L, &ar, name)))
        return;
    if (cell_local(L, name, strlen(name)))
        return;
    lua_pushglobaltable(L);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}

static void check_number(struct fmt *f, bool automatic)
{
    if (automatic && f->next < 0)
        fail(f, "cannot switch from manual field specification to automatic field numbering");
    if (!automatic && f->next > 0)
        fail(f, "cannot switch from automatic field numbering to manual field specification");
}

static void push_argument(struct fmt *f, int n)
{
    if (n >= f->nargs) {
        char what[80];
        snprintf(what, sizeof what, "no argument for field %d", n);
        fail(f, what);
    }
    lua_pushvalue(f->L, n + 2);
}

/* ---- a replacement field: {name.field[key]!r:spec} ---- */
static size_t word(const char *p, const char *end, const char *stops)
{
    const char *q = p;

    while (q < end && !strchr(stops, *q))
        q++;
    return (size_t)(q - p);
}

static bool all_digits(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return n > 0;
}

static void push_key(lua_State *L, const char *s, size_t n)
{
    if (!all_digits(s, n) || n > 15)
        lua_pushlstring(L, s, n);
    else
        lua_pushinteger(L, strtoll(s, NULL, 10));
}

static void select_part(struct fmt *f) /* .name and [key] of the value on the top */
{
    while (f->p < f->end && (*f->p == '.' || *f->p == '[')) {
        bool bracket = *f->p++ == '[';
        size_t n = word(f->p, f->end, bracket ? "]" : ".[]{}!:");

        if (n == 0 || (bracket && f->p + n == f->end))
            fail(f, "empty attribute");
        if (!lua_istable(f->L, -1) && !lua_isuserdata(f->L, -1))
            fail(f, "a field of something that has none");
        push_key(f->L, f->p, n);
        lua_gettable(f->L, -2);
        lua_remove(f->L, -2);
        f->p += n + bracket;
    }
}

static void push_field_value(struct fmt *f)
{
    size_t n = word(f->p, f->end, ".[]{}!:");
    char name[128];

    if (n >= sizeof name)
        fail(f, "field name too long");
    memcpy(name, f->p, n);
    name[n] = '\0';
    f->p += n;
    if (n == 0) {
        check_number(f, true);
        push_argument(f, f->next++);
    } else if (all_digits(name, n)) {
        check_number(f, false);
        f->next = -1;
        push_argument(f, n > 6 ? 1 << 20 : atoi(name));
    } else {
        push_name(f, name);
    }
    select_part(f);
}

static void convert(struct fmt *f) /* !r, !s: the value on the top becomes text */
{
    struct buf *text;
    char how;

    if (f->p == f->end || *f->p != '!')
        return;
    f->p++;
    how = f->p < f->end ? *f->p++ : 0;
    if (how == 'r' || how == 'a') {
        text = session_buf(f->L, BUF_TEXT_MAX);
        if (lua_type(f->L, -2) == LUA_TSTRING)
            repr_quoted(text, lua_tostring(f->L, -2), lua_rawlen(f->L, -2));
        else
            repr_value(f->L, -2, text);
        lua_pushlstring(f->L, buf_str(text), text->len);
        lua_replace(f->L, -3);
        lua_pop(f->L, 1);
    } else if (how == 's') {
        luaL_tolstring(f->L, -1, NULL);
        lua_remove(f->L, -2);
    } else {
        fail(f, "unknown conversion after '!': r and s are known");
    }
}

static void run(struct fmt *f, bool nested);

/* Pushes the spec, with {…} in it replaced. */
static void push_spec(struct fmt *f)
{
    struct buf *outer = f->out;

    if (f->p == f->end || *f->p != ':') {
        lua_pushliteral(f->L, "");
        return;
    }
    f->p++;
    if (f->depth >= 2)
        fail(f, "Max string recursion exceeded");
    f->out = session_buf(f->L, 1 << 16);
    f->depth++;
    run(f, true);
    f->depth--;
    lua_pushlstring(f->L, buf_str(f->out), f->out->len);
    lua_remove(f->L, -2);
    f->out = outer;
}

static bool custom_format(struct fmt *f) /* value, spec on the stack; a type's own __format(self, spec) */
{
    size_t len;
    const char *text;

    if (luaL_getmetafield(f->L, -2, "__format") == LUA_TNIL)
        return false;
    lua_pushvalue(f->L, -3);
    lua_pushvalue(f->L, -3);
    lua_call(f->L, 2, 1);
    text = luaL_tolstring(f->L, -1, &len);
    buf_add(f->out, text, len);
    lua_pop(f->L, 2);
    return true;
}

/* Pushes what a value that is no number is as text; a plain table as it is shown, as Python's lists are. */
static const char *push_text(lua_State *L, int index, size_t *len)
{
    struct buf *shown;

    if (lua_type(L, index) != LUA_TTABLE || luaL_getmetafield(L, index, "__tostring") != LUA_TNIL ||
        luaL_getmetafield(L, index, "__name") != LUA_TNIL)
        return luaL_tolstring(L, index, len);
    shown = session_buf(L, BUF_TEXT_MAX);
    session_repr(L, index, shown);
    return lua_pushlstring(L, buf_str(shown), *len = shown->len);
}

static void add_value(struct fmt *f) /* value, spec on the stack */
{
    lua_State *L = f->L;
    struct format_value v = {.kind = FORMAT_TEXT};
    size_t len;
    int value = lua_gettop(L) - 1;
    const char *spec = lua_tolstring(L, -1, &len);
    struct err err;

    if (lua_type(L, -2) == LUA_TNUMBER) {
        v.kind = lua_isinteger(L, -2) ? FORMAT_INTEGER : FORMAT_FLOAT;
        v.integer = lua_tointeger(L, -2);
        v.number = lua_tonumber(L, -2);
    } else if (custom_format(f)) {
        return;
    } else {
        v.text = push_text(L, value, &v.len);
    }
    if (format_value(f->out, &v, spec, len, &err) == LC_OK)
        return;
    if (err.code == LC_ARG && v.kind == FORMAT_TEXT && lua_type(L, value) != LUA_TSTRING)
        fail(f, lua_pushfstring(L, "unsupported format string passed to a value of type %s",
                                luaL_typename(L, value)));
    if (err.code == LC_ARG)
        fail(f, err.message);
    session_raise(L, &err);
}

static void field(struct fmt *f) /* after '{' */
{
    int top = lua_gettop(f->L);

    luaL_checkstack(f->L, 20, NULL);
    push_field_value(f);
    convert(f);
    if (f->p < f->end && *f->p != ':' && *f->p != '}')
        fail(f, "expected ':' or '}' after the field name");
    push_spec(f);
    if (f->p == f->end || *f->p != '}')
        fail(f, "expected '}' before end of string");
    f->p++;
    add_value(f);
    lua_settop(f->L, top);
}

/* Up to the end, or, nested in a spec, up to its '}'. */
static void run(struct fmt *f, bool nested)
{
    while (f->p < f->end) {
        size_t n = word(f->p, f->end, "{}");

        buf_add(f->out, f->p, n);
        f->p += n;
        if (f->p == f->end || (nested && *f->p == '}'))
            return;
        if (!nested && f->end - f->p > 1 && f->p[1] == *f->p) { /* {{ and }} */
            buf_putc(f->out, *f->p);
            f->p += 2;
        } else if (*f->p == '}') {
            fail(f, "Single '}' encountered in format string");
        } else if (f->end - f->p == 1) {
            fail(f, "Single '{' encountered in format string");
        } else {
            f->p++;
            field(f);
        }
    }
}

int fmt_call(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    struct fmt f = {.L = L, .text = text, .p = text, .end = text + len, .nargs = lua_gettop(L) - 1};
    struct err err;

    f.out = session_buf(L, BUF_TEXT_MAX);
    run(&f, false);
    if (buf_check(f.out, &err) != LC_OK)
        return session_raise(L, &err);
    lua_pushlstring(L, buf_str(f.out), f.out->len);
    return 1;
}
