/* %config: settings of the session: some are variables of the environment, those of spark go to spark.conf. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/nearest.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *variable, *doc;
    bool fixed;         /* read once, at the start */
    const char *values; /* what it may be, with | between; NULL: any text */
} settings[] = {
    {"editing_mode", "LACUS_EDITING_MODE", "emacs or vi: the keys of the prompt", false, "emacs|vi"},
    {"editor", "EDITOR", "what %edit opens", false, NULL},
    {"hub", "HF_ENDPOINT", "where models are fetched from", false, NULL},
    {"hub_cache", "HF_HOME", "where fetched models are kept", false, NULL},
    {"hub_offline", "HF_HUB_OFFLINE", "1: nothing is fetched", false, NULL},
    {"home", "LACUS_HOME", "where lacus keeps its state", true, NULL},
    {"memory_limit", "LACUS_MEMORY_LIMIT", "how much Lua values may take: 500M, 2GB; 0: no limit", false,
     NULL},
    {"pager", "PAGER", "what shows long texts at the prompt", false, NULL},
    {"python", "LACUS_PYTHON", "the Python of %%python and %pip", false, NULL},
    {"no_color", "NO_COLOR", "1: no colours in a terminal", true, NULL},
};

/* spark.conf:get(name) or spark.conf:set(name, value) */
static int spark_setting(lua_State *L, const char *name, const char *value)
{
    lua_getglobal(L, "spark");
    if (lua_isnil(L, -1))
        return luaL_error(L, "this session has no 'spark'");
    lua_getfield(L, -1, "conf");
    lua_getfield(L, -1, value ? "set" : "get");
    lua_insert(L, -2);
    lua_pushstring(L, name);
    if (value)
        lua_pushstring(L, value);
    lua_call(L, value ? 3 : 2, value ? 0 : 1);
    return value ? 0 : 1;
}

static int list(lua_State *L)
{
    line_print(L, "Settings (%%config NAME = VALUE):\n");
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *value = getenv(settings[i].variable);
        line_print(L, "  %-12s %-24s %s%s\n", settings[i].name, value ? value : "-", settings[i].doc,
                   settings[i].fixed ? " (from the next start on)" : "");
    }
    line_print(L, "  %-12s %-24s %s\n", "spark.…", "",
               "settings of dataframes: %config spark.sql.shuffle.partitions = 8");
    return 0;
}

static int unknown(lua_State *L, const char *name)
{
    const char *names[sizeof settings / sizeof *settings];
    struct buf near = BUF_INIT(256);
    struct err err;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        names[i] = settings[i].name;
    err_set(&err, LC_NOTFOUND, "no setting '%s'", name);
    if (nearest_list(&near, name, names, sizeof names / sizeof *names, 3) && near.len)
        err_hint(&err, "did you mean %s?", buf_str(&near));
    else
        err_hint(&err, "%%config lists them");
    buf_release(&near);
    return session_raise(L, &err);
}

/* Blanks, and quotes around all of it, do not belong to a value. */
static const char *push_trimmed(lua_State *L, const char *from, const char *to)
{
    while (from < to && isspace((unsigned char)*from))
        from++;
    while (to > from && isspace((unsigned char)to[-1]))
        to--;
    if (to - from > 1 && (*from == '"' || *from == '\'') && to[-1] == *from) {
        from++;
        to--;
    }
    return lua_pushlstring(L, from, (size_t)(to - from));
}

static void limit_memory(lua_State *L, const char *value)
{
    struct err err;

    if (session_limit_memory(session_of(L), value, &err) != LC_OK)
        session_raise(L, &err);
}

static void check_value(lua_State *L, const char *name, const char *values, const char *value)
{
    size_t n = strlen(value);
    struct err err;

    for (const char *p = values; *p; p += strcspn(p, "|"), p += *p == '|')
        if (strcspn(p, "|") == n && strncmp(p, value, n) == 0)
            return;
    err_set(&err, LC_ARG, "the setting '%s' cannot be '%s'", name, value);
    err_hint(&err, "it is one of %s", values);
    session_raise(L, &err);
}

static void add(lua_State *L, const char *text, size_t len) /* to the list on the top */
{
    lua_pushlstring(L, text, len);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

int magic_config_words(lua_State *L) /* (nil, word, "", line) */
{
    const char *line = luaL_checkstring(L, 4), *equals = strchr(line, '=');
    size_t n = strcspn(line, " =");

    lua_newtable(L);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        const char *name = settings[i].name, *p = settings[i].values;

        if (!equals)
            add(L, name, strlen(name));
        for (; equals && p && *p && strlen(name) == n && strncmp(name, line, n) == 0; p += *p == '|') {
            add(L, p, strcspn(p, "|"));
            p += strcspn(p, "|");
        }
    }
    return 1;
}

int magic_config(lua_State *L, const char *line, const char *body)
{
    const char *equals = strchr(line, '='), *end = line + strlen(line);
    const char *name = push_trimmed(L, line, equals ? equals : end);
    const char *value = equals ? push_trimmed(L, equals + 1, end) : NULL;

    (void)body;
    if (!*name)
        return list(L);
    if (strncmp(name, "spark.", 6) == 0)
        return spark_setting(L, name, value);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(settings[i].name, name) != 0)
            continue;
        if (value && strcmp(name, "memory_limit") == 0)
            limit_memory(L, value);
        if (value && *value && settings[i].values)
            check_value(L, name, settings[i].values, value);
        if (value && *value)
            setenv(settings[i].variable, value, 1);
        else if (value)
            unsetenv(settings[i].variable);
        lua_pushstring(L, value ? NULL : getenv(settings[i].variable));
        return value ? 0 : 1;
    }
    return unknown(L, name);
}
