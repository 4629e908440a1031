/* %reset: forgets what the user has defined. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/mem.h"
#include <string.h>

/* -f, or nobody to ask, or the answer is yes. */
static bool agreed(lua_State *L, const struct options *o)
{
    struct session *s = session_of(L);
    const struct frontend *f = session_frontend(s);
    struct buf answer = BUF_INIT(4096);
    struct err err;
    bool yes;

    if (options_has(o, "-f") || !f->ops || !f->ops->input)
        return true;
    enum lc rc =
        f->ops->input(f->self, session_ctx(s),
                      "Once deleted, variables cannot be recovered. Proceed (y/[n])? ", false, &answer, &err);
    yes = rc == LC_UNSUPPORTED || (rc == LC_OK && (buf_str(&answer)[0] == 'y' || buf_str(&answer)[0] == 'Y'));
    buf_release(&answer);
    if (rc == LC_CANCELLED)
        session_raise(L, &err);
    return yes;
}

int magic_reset(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "reset", line, OPTIONS_ALL);
    int names;

    (void)body;
    if (o->n)
        return line_error(L, "reset", "all names are forgotten, not a part: one by name = nil", o->words[0]);
    if (!agreed(L, o)) {
        line_print(L, "Nothing done.\n");
        return 0;
    }
    session_user_names(L);
    names = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, names); lua_settop(L, names + 1))
        session_forget(L, lua_tostring(L, names + 1));
    lua_gc(L, LUA_GCCOLLECT);
    return 0;
}
