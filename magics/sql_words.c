/* What a word of %%sql is: a table, or a column of the tables that the statement reads. For inspection: nothing is run. */
#include "magics/magics.h"
#include "runtime/base/buf.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { TABLES = 16, NAME = 256 };

struct reading {
    const char *name, *alias; /* into the text */
    size_t name_len, alias_len;
};

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '`' || (c & 0x80);
}

static size_t word_length(const char *p)
{
    const char *from = p;

    while (*p && in_name(*p))
        p++;
    return (size_t)(p - from);
}

static bool is_word(const char *p, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(p, word, len) == 0;
}

static bool is_one_of(const char *p, size_t len, const char *const *words)
{
    while (*words && !is_word(p, len, *words))
        words++;
    return *words != NULL;
}

/* Behind a table: AS s, or s; what is a word of SQL is none. */
static void take_alias(const char *p, struct reading *r)
{
    static const char *const words[] = {
        "on",      "using",   "where",     "group",  "order",      "having",  "limit",  "join",
        "left",    "right",   "inner",     "full",   "cross",      "semi",    "anti",   "union",
        "set",     "when",    "values",    "select", "natural",    "lateral", "window", "pivot",
        "unpivot", "except",  "intersect", "minus",  "qualify",    "offset",  "sort",   "tablesample",
        "cluster", "version", "timestamp", "for",    "distribute", NULL};
    size_t len;

    p += strspn(p, " \t\n");
    len = word_length(p);
    if (is_word(p, len, "as")) {
        p += len + strspn(p + len, " \t\n");
        len = word_length(p);
    }
    if (len && !is_one_of(p, len, words)) {
        r->alias = p;
        r->alias_len = len;
    }
}

/* FROM sales s, JOIN main.default.people AS p */
static size_t tables_read(const char *text, struct reading out[TABLES])
{
    static const char *const before[] = {"from",  "join",     "into",  "update",
                                         "table", "describe", "using", NULL};
    size_t n = 0;

    for (const char *p = text; *p && n < TABLES;) {
        size_t len = word_length(p);
        bool reads = len && is_one_of(p, len, before);

        p += len ? len : 1;
        while (reads) {
            p += strspn(p, " \t\n");
            len = word_length(p);
            reads = len > 0 && n < TABLES;
            if (!reads)
                break;
            out[n] = (struct reading){.name = p, .name_len = len};
            take_alias(p + len, &out[n]);
            p = out[n].alias ? out[n].alias + out[n].alias_len : p + len;
            n++;
            p += strspn(p, " \t\n");
            reads = *p == ','; /* FROM a, b */
            p += reads;
        }
    }
    return n;
}

/* Pushes spark:table(name).dtypes, or nothing: it is no table. */
static bool push_types(lua_State *L, const char *name, size_t len)
{
    int top = lua_gettop(L);
    bool ok = false;

    if (lua_getglobal(L, "spark") != LUA_TNIL) {
        lua_getfield(L, -1, "table");
        lua_insert(L, -2);
        lua_pushlstring(L, name, len);
        ok = lua_pcall(L, 2, 1, 0) == LUA_OK && luaL_getmetafield(L, -1, "__name") == LUA_TSTRING;
        if (ok) {
            lua_pop(L, 1);
            lua_getfield(L, -1, "dtypes");
            ok = lua_istable(L, -1);
        }
    }
    if (!ok) {
        lua_settop(L, top);
        return false;
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return true;
}

/* The i-th of dtypes, {name, type}, on the stack: its texts stay with it. */
static bool type_at(lua_State *L, int types, lua_Integer i, const char **name, const char **type)
{
    if (lua_rawgeti(L, types, i) != LUA_TTABLE) {
        lua_pop(L, 1);
        return false;
    }
    lua_geti(L, -1, 1);
    lua_geti(L, -2, 2);
    *name = lua_tostring(L, -2);
    *type = lua_tostring(L, -1);
    lua_pop(L, 3); /* the lists keep them */
    return *name && *type;
}

static void describe_table(lua_State *L, const char *word, struct buf *out) /* its types are on the top */
{
    const char *name, *type;

    buf_printf(out, "Table: %s\nColumns:\n", word);
    for (lua_Integer i = 1; type_at(L, lua_gettop(L), i, &name, &type); i++)
        buf_printf(out, "  %s: %s\n", name, type);
    buf_puts(out, "Type: table\n");
}

static void describe_column(lua_State *L, const struct reading *r, const char *column, struct buf *out)
{
    const char *name, *type;

    for (lua_Integer i = 1; type_at(L, lua_gettop(L), i, &name, &type); i++)
        if (strcasecmp(name, column) == 0)
            buf_printf(out, "Column: %s\nTable: %.*s\nType: %s\n", name, (int)r->name_len, r->name, type);
}

/* Is t of t.column this table, by its alias or (the end of) its name? */
static bool is_meant(const struct reading *r, const char *qualifier, size_t len)
{
    const char *end = r->name + r->name_len;

    if (len == 0)
        return true;
    if (r->alias)
        return r->alias_len == len && strncasecmp(r->alias, qualifier, len) == 0;
    return r->name_len >= len && strncasecmp(end - len, qualifier, len) == 0 &&
           (r->name_len == len || end[-(long)len - 1] == '.');
}

int magic_sql_word(lua_State *L) /* (text, word) -> what it is, or nil */
{
    const char *text = luaL_checkstring(L, 1), *word = luaL_checkstring(L, 2);
    struct buf *out = session_buf(L, 1 << 20);
    struct reading tables[TABLES];
    size_t n = tables_read(text, tables), len;
    char column[NAME];
    const char *dot;

    word = luaL_gsub(L, word, "`", "");
    dot = strrchr(word, '.');
    len = dot ? (size_t)(dot - word) : 0;
    for (size_t i = 0; i < n; i++)
        if (tables[i].alias && is_word(tables[i].alias, tables[i].alias_len, word))
            word = lua_pushlstring(L, tables[i].name, tables[i].name_len);
    snprintf(column, sizeof column, "%s", dot ? dot + 1 : word);
    for (size_t i = 0; i < n; i++)
        if (is_meant(&tables[i], word, len) && push_types(L, tables[i].name, tables[i].name_len)) {
            describe_column(L, &tables[i], column, out);
            lua_pop(L, 1);
        }
    if (out->len == 0 && push_types(L, word, strlen(word)))
        describe_table(L, word, out);
    if (out->len == 0)
        return 0;
    lua_pushlstring(L, buf_str(out), out->len);
    return 1;
}
