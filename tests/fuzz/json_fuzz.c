/* json_fuzz.c: any bytes as JSON; what is read is written and read again, and stays the same. */
#include "runtime/session/session_lua.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const char *text, *big;
    size_t len;
};

static int decode(lua_State *L) /* (lightuserdata input) → text */
{
    struct input *in = lua_touserdata(L, 1);

    session_push_json_value(L, in->text, in->len, in->big);
    session_push_json_text(L, -1);
    return 1;
}

static bool read_and_write(lua_State *L, struct input *in) /* pushes the text, or a message */
{
    lua_pushcfunction(L, decode);
    lua_pushlightuserdata(L, in);
    return lua_pcall(L, 1, 1, 0) == LUA_OK;
}

static void check(lua_State *L, struct input in)
{
    size_t len;
    struct input again = {.big = in.big};

    if (!read_and_write(L, &in))
        return;
    again.text = lua_tolstring(L, -1, &again.len);
    if (!read_and_write(L, &again) || !memmem(again.text, again.len, "{", 1)) {
        const char *text = lua_tolstring(L, -1, &len);
        if (!memmem(again.text, again.len, "{", 1) &&
            (len != again.len || memcmp(text, again.text, len) != 0))
            abort(); /* objects may come in another order */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session_options options = {.frontend = {NULL, NULL}};
    struct session *s;
    struct err err;
    char *copy = malloc(size + 1);

    if (size > 20000 || session_open(&options, &s, &err) != LC_OK) {
        free(copy);
        return 0;
    }
    memcpy(copy, data, size);
    copy[size] = '\0';
    check(session_lua(s), (struct input){copy, NULL, size});
    lua_settop(session_lua(s), 0);
    check(session_lua(s), (struct input){copy, "string", size});
    session_close(s);
    free(copy);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
