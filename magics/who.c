/* %who and %whos: what the user has defined. */
#include "magics/line.h"
#include "magics/magics.h"
#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 2000, SHOWN = 60 };

struct name {
    const char *name; /* borrowed from the table on the stack */
    char type[24];
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

/* The type as a person names it: the class of an object, else Lua's type. */
static void type_of(lua_State *L, int index, char out[24])
{
    const char *type = luaL_typename(L, index);
    size_t n = 0;

    if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
        type = lua_tostring(L, -1);
    else if (lua_islightuserdata(L, index))
        type = "null";
    while (type[n] && n < 23) {
        out[n] = type[n];
        n++;
    }
    out[n] = '\0';
    lua_settop(L, index);
}

static bool wanted(const struct line_words *w, const char *type)
{
    bool any = w->n == 0;

    for (size_t i = 0; !any && i < w->n; i++)
        any = strcasecmp(w->words[i], type) == 0;
    return any;
}

/* Pushes the table of names and a userdata with the sorted list of those whose type is wanted. */
static struct name *collect(lua_State *L, const char *line, size_t *n)
{
    struct line_words *w = line_words(L, line);
    struct name *list = lua_newuserdatauv(L, NAMES_MAX * sizeof *list, 0);
    int names;

    *n = 0;
    session_user_names(L);
    names = lua_gettop(L);
    for (lua_pushnil(L); *n < NAMES_MAX && lua_next(L, names); lua_settop(L, names + 1)) {
        struct name *item = &list[*n];
        item->name = lua_tostring(L, names + 1);
        type_of(L, names + 2, item->type);
        if (item->name[0] != '_' && wanted(w, item->type))
            ++*n;
    }
    lua_settop(L, names);
    qsort(list, *n, sizeof *list, by_name);
    return list;
}

static int nothing(lua_State *L, const char *line)
{
    line_print(L, *line ? "No names of that type are defined.\n" : "No names are defined.\n");
    return 0;
}

int magic_who(lua_State *L, const char *line, const char *body)
{
    size_t n;
    struct name *list = collect(L, line, &n);

    (void)body;
    if (n == 0)
        return nothing(L, line);
    for (size_t i = 0; i < n; i++)
        line_print(L, "%s%s", list[i].name, i + 1 == n ? "\n" : (i + 1) % 8 == 0 ? "\n" : "\t ");
    return 0;
}

int magic_who_ls(lua_State *L, const char *line, const char *body)
{
    size_t n;
    struct name *list = collect(L, line, &n);

    (void)body;
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, list[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* One line of the value, cut at SHOWN bytes between characters. */
static void print_value(lua_State *L, int names, const struct name *item, int width, int type_width)
{
    struct buf text = BUF_INIT(1 << 16);
    size_t len;

    lua_getfield(L, names, item->name);
    session_repr(L, -1, &text);
    len = strcspn(buf_str(&text), "\n");
    if (len > SHOWN)
        for (len = SHOWN; len > 0 && ((unsigned char)buf_str(&text)[len] & 0xC0) == 0x80;)
            len--;
    line_print(L, "%-*s   %-*s   %.*s%s\n", width, item->name, type_width, item->type, (int)len,
               buf_str(&text), len < text.len ? "…" : "");
    buf_release(&text);
    lua_pop(L, 1);
}

int magic_whos(lua_State *L, const char *line, const char *body)
{
    size_t n;
    struct name *list = collect(L, line, &n);
    int names = lua_gettop(L), width = 8, type_width = 4;

    (void)body;
    if (n == 0)
        return nothing(L, line);
    for (size_t i = 0; i < n; i++) {
        if ((int)strlen(list[i].name) > width)
            width = (int)strlen(list[i].name);
        if ((int)strlen(list[i].type) > type_width)
            type_width = (int)strlen(list[i].type);
    }
    line_print(L, "%-*s   %-*s   Data/Info\n", width, "Variable", type_width, "Type");
    for (int i = 0; i < width + type_width + 15; i++)
        line_print(L, "-");
    line_print(L, "\n");
    for (size_t i = 0; i < n; i++)
        print_value(L, names, &list[i], width, type_width);
    return 0;
}

int magic_who_words(lua_State *L) /* (nil, word, "", line) */
{
    size_t n;
    struct name *list;

    lua_settop(L, 0);
    list = collect(L, "", &n);
    lua_newtable(L);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, list[i].type);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}
