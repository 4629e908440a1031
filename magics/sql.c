/* %sql and %%sql: statements of Spark SQL; the last one's result is shown, and kept in _sqldf. :name and {name} are values of
 * the session, $name and ${name} their texts: of a widget first, as Databricks has it, else of a variable. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/session/cell.h"
#include <ctype.h>
#include <string.h>

/* From one character to the one after: quoted texts and comments are one step. */
static const char *step(const char *s)
{
    char quote = *s;

    if (s[0] == '-' && s[1] == '-')
        return s + strcspn(s, "\n");
    if (s[0] == '/' && s[1] == '*') {
        const char *end = strstr(s + 2, "*/");
        return end ? end + 2 : s + strlen(s);
    }
    if (quote != '\'' && quote != '"' && quote != '`')
        return s + 1;
    for (s++; *s && *s != quote; s++)
        if (*s == '\\' && s[1] && quote != '`')
            s++;
    return *s ? s + 1 : s;
}

/* Only blanks, comments and semicolons? */
static bool is_empty(const char *s, const char *end)
{
    while (s < end) {
        bool comment = (s[0] == '-' && s[1] == '-') || (s[0] == '/' && s[1] == '*');
        if (!comment && *s != ';' && !isspace((unsigned char)*s))
            return false;
        s = step(s);
    }
    return true;
}

static const char *end_of_statement(const char *s)
{
    while (*s && *s != ';')
        s = step(s);
    return s;
}

/* ---- what a statement takes from the session ---- */
struct names { /* places on the stack */
    lua_State *L;
    int widgets, arguments; /* tables: all values of widgets; what spark:sql gets for :name and {name} */
};

static size_t word_length(const char *s)
{
    size_t n = 0;

    if (!isdigit((unsigned char)*s))
        while (isalnum((unsigned char)s[n]) || s[n] == '_')
            n++;
    return n;
}

/* Pushes the value of a name: of a widget, a variable, a parameter of the run; nil when it is none. */
static int push_named(const struct names *n, const char *text, size_t len)
{
    lua_State *L = n->L;
    int top = lua_gettop(L);
    const char *name = lua_pushlstring(L, text, len);
    json_t *given = json_object_get(session_params(session_of(L)), name);

    if (lua_getfield(L, n->widgets, name) == LUA_TNIL && !cell_local(L, name, len) &&
        lua_getglobal(L, name) == LUA_TNIL && given)
        session_push_parameter(L, given);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return lua_type(L, -1);
}

static bool has_text(int type)
{
    return type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN;
}

/* At a $: "$name" or "${name}" becomes the text of its value when it has one; returns what comes behind. */
static const char *dollar(const struct names *n, const char *p, const char *stop, struct buf *out)
{
    bool braced = p[1] == '{';
    const char *name = p + 1 + braced;
    size_t len = word_length(name), text_len;
    int top = lua_gettop(n->L);

    if (len > 0 && name + len + braced <= stop && (!braced || name[len] == '}') &&
        has_text(push_named(n, name, len))) {
        const char *text = luaL_tolstring(n->L, -1, &text_len);
        buf_add(out, text, text_len);
        p = name + len + braced - 1;
    } else {
        buf_putc(out, '$');
    }
    lua_settop(n->L, top);
    return p + 1;
}

/* Pushes the statement with each $name filled in, also within quotes; \$ is a plain one. */
static void fill_in(const struct names *n, const char *p, const char *stop)
{
    struct buf *out = session_buf(n->L, BUF_TEXT_MAX);

    while (p < stop) {
        if (*p == '\\' && p + 1 < stop) {
            buf_add(out, p[1] == '$' ? p + 1 : p, p[1] == '$' ? 1 : 2);
            p += 2;
        } else if (*p == '$') {
            p = dollar(n, p, stop, out);
        } else {
            buf_putc(out, *p++);
        }
    }
    lua_pushlstring(n->L, buf_str(out), out->len);
}

/* The value of a :name or {name} becomes an argument, when it can be one. */
static void add_argument(const struct names *n, const char *name, size_t len)
{
    int type = push_named(n, name, len);

    if (has_text(type) || type == LUA_TUSERDATA || type == LUA_TLIGHTUSERDATA) {
        lua_pushlstring(n->L, name, len);
        lua_insert(n->L, -2);
        lua_rawset(n->L, n->arguments);
    } else {
        lua_pop(n->L, 1);
    }
}

static void collect_arguments(const struct names *n, const char *text)
{
    for (const char *p = text; *p; p = step(p)) {
        size_t len = *p == ':' || *p == '{' ? word_length(p + 1) : 0;
        bool cast = *p == ':' && p > text && p[-1] == ':';
        if (len > 0 && !cast && (*p == ':' || p[1 + len] == '}'))
            add_argument(n, p + 1, len);
    }
}

/* Pushes all values of widgets; an empty table where there is no dbutils, or where the statement asks for nothing. */
static void push_widgets(lua_State *L, const char *statement)
{
    int top = lua_gettop(L);

    if (strpbrk(statement, "$:{") && lua_getglobal(L, "dbutils") == LUA_TTABLE &&
        lua_getfield(L, -1, "widgets") == LUA_TTABLE) {
        lua_getfield(L, -1, "getAll");
        lua_call(L, 0, 1);
    } else {
        lua_newtable(L);
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

/* spark:sql(statement, arguments): its result is left on the stack. */
static void run(lua_State *L, const char *statement, size_t len)
{
    struct names n = {.L = L};
    int top = lua_gettop(L);

    push_widgets(L, statement);
    n.widgets = lua_gettop(L);
    lua_newtable(L);
    n.arguments = lua_gettop(L);
    fill_in(&n, statement, statement + len);
    collect_arguments(&n, lua_tostring(L, -1));
    lua_getglobal(L, "spark");
    if (lua_isnil(L, -1))
        luaL_error(L, "this session has no 'spark' to run SQL with");
    lua_getfield(L, -1, "sql");
    lua_insert(L, -2);
    lua_pushvalue(L, -3); /* the statement */
    lua_pushnil(L);
    if (lua_next(L, n.arguments)) {
        lua_pop(L, 2);
        lua_pushvalue(L, n.arguments);
    } else {
        lua_pushnil(L);
    }
    lua_call(L, 3, 1);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
}

int magic_sql(lua_State *L, const char *line, const char *body)
{
    bool below = body && !is_empty(body, body + strlen(body));
    bool both = below && !is_empty(line, line + strlen(line));
    const char *text = both ? lua_pushfstring(L, "%s\n%s", line, body) : below ? body : line;
    const char *end = text + strlen(text);
    int top = lua_gettop(L);

    if (is_empty(text, end))
        return line_error(L, "sql", "no statement", NULL);
    while (!is_empty(text, end)) {
        const char *stop = end_of_statement(text);
        if (!is_empty(text, stop)) {
            lua_settop(L, top);
            run(L, text, (size_t)(stop - text));
        }
        text = *stop ? stop + 1 : stop;
    }
    lua_pushvalue(L, -1);
    lua_setglobal(L, "_sqldf");
    return 1;
}
