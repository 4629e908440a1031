/* %sql and %%sql: statements of Spark SQL; the last one's result is shown, and kept in _sqldf. */
#include "magics/line.h"
#include "magics/magics.h"
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

/* spark:sql(statement): its result is left on the stack. */
static void run(lua_State *L, const char *statement, size_t len)
{
    lua_getglobal(L, "spark");
    if (lua_isnil(L, -1))
        luaL_error(L, "this session has no 'spark' to run SQL with");
    lua_getfield(L, -1, "sql");
    lua_insert(L, -2);
    lua_pushlstring(L, statement, len);
    lua_call(L, 2, 1);
}

int magic_sql(lua_State *L, const char *line, const char *body)
{
    const char *text = body && !is_empty(body, body + strlen(body)) ? body : line, *end = text + strlen(text);
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
