/* cell_fuzz.c: any bytes as a cell: the scanner, the rewriting of magics, the compiler, completion, inspection,
 * is_complete, and a format spec. Nothing is run. */
#include "runtime/session/cell.h"
#include "runtime/session/format.h"
#include "runtime/session/lookup.h"
#include "runtime/session/magic.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_lua.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const char *text;
    size_t len;
};

/* Where the scanner believes that text which compiles ends, the text ends. */
static void check_scan(lua_State *L, const struct input *in)
{
    bool bare, compiles = luaL_loadbufferx(L, in->text, in->len, "=x", "t") == LUA_OK;
    struct scan x = scan_begin(in->text, in->len);

    lua_pop(L, 1);
    while (x.kind && scan_statement(&x, &bare))
        ;
    if (compiles && x.kind)
        abort();
    for (x = scan_begin(in->text, in->len); x.kind; scan_next(&x))
        if (x.at < in->text || x.next > in->text + in->len || x.len == 0)
            abort();
}

static int try_all(lua_State *L)
{
    struct input *in = lua_touserdata(L, 1);
    struct cell_shape shape;
    struct chain chain;
    struct magic_cell m;
    bool compiles;

    check_scan(L, in);
    magic_split(in->text, in->len, &m);
    lookup_chain(in->text, in->len, &chain);
    compiles = luaL_loadbufferx(L, in->text, in->len, "=x", "t") == LUA_OK;
    struct buf rewritten = BUF_INIT(1 << 20);
    bool special = magic_rewrite(session_of(L), "_m", in->text, in->len, &rewritten);
    buf_release(&rewritten);
    /* what is Lua is a cell, but for the limits on names */
    if (cell_load(L, in->text, in->len, "=x", &shape) != LUA_OK && compiles && !special &&
        !strstr(lua_tostring(L, -1), "too many") && !strstr(lua_tostring(L, -1), "overflow"))
        abort();
    cell_error_offset(L, in->text, in->len);
    scan_depth(in->text, in->len);
    return 0;
}

static void try_format(const char *text, size_t len)
{
    struct format_value values[] = {{.kind = FORMAT_INTEGER, .integer = -42},
                                    {.kind = FORMAT_FLOAT, .number = 1234.5},
                                    {.kind = FORMAT_TEXT, .text = "text", .len = 4}};

    if (len > 40) /* a width of a million is allowed, and slow under a sanitizer */
        return;
    for (size_t i = 0; i < 3; i++) {
        struct buf out = BUF_INIT(1 << 22);
        if (format_value(&out, &values[i], text, len, NULL) != LC_OK)
            buf_clear(&out);
        buf_release(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session_options options = {.frontend = {NULL, NULL}};
    struct session *s;
    struct err err;
    char *copy = malloc(size + 1); /* exact but for the NUL that Lua never reads */
    struct input in = {.text = copy, .len = size};

    if (size > 20000 || session_open(&options, &s, &err) != LC_OK) {
        free(copy);
        return 0;
    }
    memcpy(copy, data, size);
    copy[size] = '\0';
    lua_State *L = session_lua(s);
    lua_pushcfunction(L, try_all);
    lua_pushlightuserdata(L, &in);
    (void)lua_pcall(L, 1, 0, 0);
    lua_settop(L, 0);
    json_decref(session_complete(s, copy, size, size));
    json_decref(session_inspect(s, copy, size, size / 2, 1));
    json_decref(session_is_complete(s, copy, size));
    try_format(copy, size);
    session_close(s);
    free(copy);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
