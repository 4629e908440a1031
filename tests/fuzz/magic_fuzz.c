/* magic_fuzz.c: any bytes as a cell with magics, as the line of each magic, as a shell line with variables, as a range of
 * cells; and a value that is masked while the bytes are printed in pieces. Nothing is run. */
#include "magics/magics.h"
#include "magics/options.h"
#include "magics/ranges.h"
#include "runtime/base/mem.h"
#include "runtime/session/magic.h"
#include "runtime/session/shell.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const char *text; /* ends with a NUL */
    size_t len;
};

static size_t line_ends(const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += text[i] == '\n';
    return n;
}

/* Line numbers stay, whatever is rewritten. */
static int check_rewriting(lua_State *L)
{
    struct input *in = lua_touserdata(L, 1);
    struct buf out = BUF_INIT(1 << 20);
    struct magic_cell m;

    if (magic_rewrite(session_of(L), "_m", in->text, in->len, &out) && buf_ok(&out) &&
        line_ends(buf_str(&out), out.len) != line_ends(in->text, in->len))
        abort();
    if (magic_split(in->text, in->len, &m) &&
        (m.line + m.line_len > in->text + in->len || m.body + m.body_len != in->text + in->len))
        abort();
    buf_release(&out);
    return 0;
}

static int check_options(lua_State *L) /* (input, magic) */
{
    struct input *in = lua_touserdata(L, 1);
    const char *magic = lua_tostring(L, 2);

    for (int mode = OPTIONS_ALL; mode <= OPTIONS_REST; mode++) {
        struct options *o = options_read(L, magic, in->text, (enum options_mode)mode);
        if (o->n > OPTIONS_WORDS || o->words[o->n] || o->given_n > OPTIONS_GIVEN || strlen(o->rest) > in->len)
            abort();
        options_has(o, "-n");
        options_value(o, "--out");
        options_count(L, o, "-n", 1);
        lua_pop(L, 1);
    }
    return 0;
}

static int check_expansion(lua_State *L)
{
    struct input *in = lua_touserdata(L, 1);

    shell_expand(L, in->text);
    ranges_is(in->text);
    return 0;
}

static void protect(lua_State *L, lua_CFunction fn, struct input *in, const char *magic)
{
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, in);
    lua_pushstring(L, magic);
    (void)lua_pcall(L, 2, 0, 0);
    lua_settop(L, 0);
}

static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len)
{
    (void)ctx, (void)stream;
    buf_add(self, text, len);
}

/* The first eight letters are a secret; the whole is printed in pieces of the ninth byte's length. */
static void check_masks(struct session *s, const struct input *in, struct buf *shown)
{
    size_t step, from = shown->len;

    for (size_t i = 0; i < 8; i++)
        if (in->len < 10 || in->text[i] <= ' ' || in->text[i] > '~')
            return;
    if (strpbrk(in->text, "[]") || memmem("[REDACTED]", 10, in->text, 2))
        return; /* what stands in place of a value may make it again */
    if (!session_mask(s, in->text, 8))
        abort();
    step = 1 + (size_t)(unsigned char)in->text[8] % 16;
    for (size_t at = 0; at < in->len; at += step)
        session_print(s, STREAM_STDOUT, in->text + at, at + step < in->len ? step : in->len - at);
    session_flush(s);
    if (shown->len > from && memmem(shown->data + from, shown->len - from, in->text, 8))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct frontend_ops ops = {.name = "fuzz", .stream = on_stream};
    struct buf shown = BUF_INIT(64 << 20);
    struct session_options options = {.magics = lacus_magics, .frontend = {&ops, &shown}};
    struct session *s = NULL;
    struct err err;
    char *text;

    if (size == 0 || size > 4096 || !(text = mem_strndup((const char *)data, size)))
        return 0;
    struct input in = {text, strlen(text)};
    if (session_open(&options, &s, &err) != LC_OK)
        abort();
    lua_State *L = session_lua(s);
    protect(L, check_rewriting, &in, "");
    protect(L, check_expansion, &in, "");
    for (const struct session_magic *m = lacus_magics; m->name; m++)
        protect(L, check_options, &in, m->name);
    check_masks(s, &in, &shown);
    session_close(s);
    buf_release(&shown);
    mem_free(text);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
