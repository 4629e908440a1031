/* %env: environment variables of the process. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/session/shell.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

extern char **environ;

/* Names of what nobody should see in a notebook; IPython hides those of the first three. */
static bool is_secret(const char *name, size_t len)
{
    static const char *const parts[] = {"key", "token", "secret", "passw"};

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t at = 0, n = strlen(parts[i]); at + n <= len; at++)
            if (strncasecmp(name + at, parts[i], n) == 0)
                return true;
    return false;
}

static int push_all(lua_State *L)
{
    lua_newtable(L);
    for (char **e = environ; *e; e++) {
        const char *equals = strchr(*e, '=');
        if (!equals)
            continue;
        lua_pushlstring(L, *e, (size_t)(equals - *e));
        lua_pushstring(L, is_secret(*e, (size_t)(equals - *e)) ? "<hidden>" : equals + 1);
        lua_rawset(L, -3);
    }
    return 1;
}

static int set(lua_State *L, const char *name, const char *value)
{
    struct err err;

    if (setenv(name, value, 1) != 0) {
        err_errno(&err, errno, "cannot set '%s'", name);
        return session_raise(L, &err);
    }
    line_print(L, "env: %s=%s\n", name, value);
    return 0;
}

int magic_env(lua_State *L, const char *line, const char *body)
{
    line = shell_expand(L, line);
    size_t n = strcspn(line, "= \t");
    const char *name = lua_pushlstring(L, line, n), *value = line + n;
    struct err err;

    (void)body;
    if (n == 0 && !*line)
        return push_all(L);
    while (isspace((unsigned char)*value))
        value++;
    if (*value == '=') {
        value++;
        return set(L, name, value + strspn(value, " \t"));
    }
    if (*value)
        return set(L, name, value);
    value = getenv(name);
    if (!value) {
        err_set(&err, LC_NOTFOUND, "no environment variable '%s'", name);
        return session_raise(L, &err);
    }
    lua_pushstring(L, value);
    return 1;
}
