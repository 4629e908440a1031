/* %%python: the cell runs in a python3 that is kept beside the session. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/python/python_lua.h"
#include <string.h>

/* "-i a,b -i c" → a, b, c, NULL; on the stack. */
static const char **names_of(lua_State *L, const struct options *o, const char *option)
{
    const char **names = lua_newuserdatauv(L, (OPTIONS_WORDS + 1) * sizeof *names, 0);
    size_t n = 0;

    luaL_checkstack(L, OPTIONS_WORDS + 8, NULL);
    for (size_t i = 0; i < o->given_n; i++) {
        if (!options_is(o, i, option))
            continue;
        for (const char *p = o->given[i].value; *p && n < OPTIONS_WORDS;) {
            size_t len = strcspn(p, ", ");
            if (len)
                names[n++] = lua_pushlstring(L, p, len);
            p += len + (p[len] != '\0');
        }
    }
    names[n] = NULL;
    return names;
}

int magic_python(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "python", line, OPTIONS_REST);
    const char *code = o->rest;

    if (body && *body) /* lines are counted as the cell shows them */
        code = lua_pushfstring(L, "\n%s", body);

    if (body && *o->rest)
        return line_error(L, "python", "cannot read the argument", o->rest);
    if (options_has(o, "--restart"))
        python_stop_kept(L);
    if (*code)
        python_run(L, code, names_of(L, o, "-i"), names_of(L, o, "-o"));
    return 0;
}
