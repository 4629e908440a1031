/* placeholders_lua.c: "{name}" in a text for spark:sql. */
#include "runtime/spark/placeholders_lua.h"
#include "runtime/spark/dataframe_lua.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char number_key;

lua_Integer placeholder_number(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &number_key);
    lua_Integer number = lua_tointeger(L, -1) + 1;
    lua_pop(L, 1);
    lua_pushinteger(L, number);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &number_key);
    return number;
}

const char *placeholder_view(lua_State *L, const char *name, lua_Integer number)
{
    return lua_pushfstring(L, "lacus_%I_%s", (LUAI_UACINT)number, name);
}

/* The end of what starts at p and may hold braces that are only text: '…', "…", `…`, -- to the end of the line, or one character. */
static const char *skip_quoted(const char *p, const char *end)
{
    char quote = *p;

    if (p + 1 < end && p[0] == '-' && p[1] == '-') {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        return line ? line : end;
    }
    if (quote != '\'' && quote != '"' && quote != '`')
        return p + 1;
    for (p++; p < end && *p != quote; p++)
        if (*p == '\\' && quote != '`' && p + 1 < end)
            p++;
    return p < end ? p + 1 : end;
}

/* The length of "{name}" at p, 0 when there is none. */
static size_t placeholder(const char *p, const char *end)
{
    const char *q = p + 1;

    while (q < end && (*q == '_' || isalnum((unsigned char)*q)))
        q++;
    return *p == '{' && q > p + 1 && q < end && *q == '}' ? (size_t)(q + 1 - p) : 0;
}

static bool is_one_of(const char *word, size_t len, const char *const *words)
{
    for (; *words; words++)
        if (strlen(*words) == len && strncasecmp(*words, word, len) == 0)
            return true;
    return false;
}

/* Whether what stands before p, which begins at start, makes a table of what comes: FROM, JOIN or a comma. */
static bool is_table(const char *start, const char *p)
{
    static const char *const words[] = {"FROM", "JOIN", "LATERAL", NULL};

    while (p > start && isspace((unsigned char)p[-1]))
        p--;
    if (p > start && p[-1] == ',')
        return true;
    const char *word = p;
    while (word > start && isalpha((unsigned char)word[-1]))
        word--;
    return is_one_of(word, (size_t)(p - word), words);
}

/* Whether the table that ends at p gets no name from what follows, and can be given one. */
static bool has_no_alias(const char *p, const char *end)
{
    static const char *const words[] = {
        "WHERE",   "GROUP",   "ORDER",     "HAVING",    "JOIN",  "INNER",      "LEFT",
        "RIGHT",   "FULL",    "CROSS",     "SEMI",      "ANTI",  "ON",         "USING",
        "UNION",   "EXCEPT",  "INTERSECT", "MINUS",     "LIMIT", "OFFSET",     "LATERAL",
        "WINDOW",  "SORT",    "SELECT",    "INSERT",    "PIVOT", "DISTRIBUTE", "UNPIVOT",
        "CLUSTER", "QUALIFY", "NATURAL",   "AGGREGATE", NULL};

    while (p < end && isspace((unsigned char)*p))
        p++;
    const char *word = p;
    while (p < end && (*p == '_' || isalnum((unsigned char)*p)))
        p++;
    if (p > word)
        return is_one_of(word, (size_t)(p - word), words);
    return p == end || strchr("),;|", *p) || (*p == '-' && p + 1 < end && p[1] == '-');
}

/* "{name}" → `name` or the view's name for a DataFrame, :name for a value. */
static void add_placeholder(lua_State *L, luaL_Buffer *out, const char *start, const char *p, size_t len,
                            const char *end, lua_Integer number)
{
    const char *name = lua_pushlstring(L, p + 1, len - 2), *next = p + len;

    lua_pushvalue(L, -1);
    if (lua_rawget(L, 3) == LUA_TNIL)
        luaL_error(L, "the text has {%s}, but there is no argument of that name", name);
    bool relation = dataframe_at(L, -1) != NULL;
    bool view = relation && number && !(next < end && *next == '.');
    lua_pop(L, 1);
    if (!relation)
        lua_pushfstring(L, ":%s", name);
    else if (!view)
        lua_pushfstring(L, "`%s`", name);
    else if (is_table(start, p) && has_no_alias(next, end))
        lua_pushfstring(L, "`%s` AS `%s`", placeholder_view(L, name, number), name), lua_remove(L, -2);
    else
        lua_pushfstring(L, "`%s`", placeholder_view(L, name, number)), lua_remove(L, -2);
    lua_remove(L, -2);
    luaL_addvalue(out);
}

void placeholders_fill(lua_State *L, lua_Integer number)
{
    size_t len;
    const char *start = luaL_checklstring(L, 2, &len), *p = start, *end = p + len;
    luaL_Buffer out;

    if (!lua_istable(L, 3) || !memchr(p, '{', len))
        return;
    luaL_buffinit(L, &out);
    while (p < end) {
        size_t n = placeholder(p, end);
        const char *next = n ? p + n : skip_quoted(p, end);
        if (n)
            add_placeholder(L, &out, start, p, n, end, number);
        else
            luaL_addlstring(&out, p, (size_t)(next - p));
        p = next;
    }
    luaL_pushresult(&out);
    lua_replace(L, 2);
}
