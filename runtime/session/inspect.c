#include "runtime/session/inspect.h"
#include "runtime/session/session_int.h"

int inspect_question(lua_State *L, const char *text, size_t len)
{
    (void)text, (void)len;
    return luaL_error(L, "nothing is known about '%s'", text);
}

json_t *session_inspect(struct session *s, const char *code, size_t len, size_t cursor, int detail)
{
    (void)s, (void)code, (void)len, (void)cursor, (void)detail;
    return json_pack("{sssbs{}s{}}", "status", "ok", "found", 0, "data", "metadata");
}

json_t *session_complete(struct session *s, const char *code, size_t len, size_t cursor)
{
    (void)s, (void)code, (void)len;
    return json_pack("{sss[]sIsIs{}}", "status", "ok", "matches", "cursor_start", (json_int_t)cursor,
                     "cursor_end", (json_int_t)cursor, "metadata");
}
