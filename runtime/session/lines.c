/* Lua tells the lines of one function only, and only of one that exists. Its dump has them all, so that is read: the
 * format of Lua 5.4, as ldump.c writes it. */
#include "runtime/session/lines.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/session/magic.h"
#include "runtime/session/scan.h"
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

enum { LINES_MAX = 1 << 20, DEPTH_MAX = 220, DUMP_MAX = 256 << 20 };

/* ---- the dump ---- */
struct dump {
    const unsigned char *at, *end;
    struct lines *lines;
    bool bad;
};

static const unsigned char *take(struct dump *d, size_t n)
{
    const unsigned char *at = d->at;

    if (d->bad || (size_t)(d->end - at) < n) {
        d->bad = true;
        return NULL;
    }
    d->at += n;
    return at;
}

static size_t take_size(struct dump *d)
{
    size_t n = 0;

    for (int i = 0; i < 10; i++) {
        const unsigned char *p = take(d, 1);
        if (!p)
            return 0;
        n = n << 7 | (*p & 0x7F);
        if (*p & 0x80)
            return n;
    }
    d->bad = true;
    return 0;
}

static void skip_string(struct dump *d)
{
    size_t n = take_size(d);

    if (n > 1)
        take(d, n - 1);
}

static int take_byte(struct dump *d)
{
    const unsigned char *p = take(d, 1);
    return p ? *p : 0;
}

static void skip_constants(struct dump *d)
{
    enum { FLOAT = 0x13, INTEGER = 0x03, SHORT = 0x04, LONG = 0x14 };

    for (size_t n = take_size(d); n > 0 && !d->bad; n--) {
        int type = take_byte(d);
        if (type == SHORT || type == LONG)
            skip_string(d);
        else if (type == FLOAT || type == INTEGER)
            take(d, 8);
    }
}

static void mark(struct dump *d, int line)
{
    if (line < 1 || line > LINES_MAX)
        return;
    d->lines->bits[line / 8] |= (unsigned char)(1 << line % 8);
    if (line > d->lines->last)
        d->lines->last = line;
}

/* The line of an instruction is the one before it plus a byte, or in a list of its own. */
static void read_lines(struct dump *d, int line, bool vararg, bool whole)
{
    enum { IN_LIST = -0x80 };
    size_t n = take_size(d), n_list;
    const unsigned char *steps = take(d, n);
    struct dump list;

    n_list = take_size(d);
    list = *d;
    for (size_t i = 0; i < n_list && !d->bad; i++) {
        take_size(d);
        take_size(d);
    }
    if (d->bad || !steps)
        return;
    for (size_t i = 0; i < n; i++) {
        if ((signed char)steps[i] == IN_LIST) {
            take_size(&list);
            line = (int)take_size(&list);
        } else {
            line += (signed char)steps[i];
        }
        if ((i > 0 || !vararg) &&
            !(whole && i + 1 == n)) /* its first instruction, and the end of a chunk, are no places */
            mark(d, line);
    }
}

static void read_function(struct dump *d, int depth)
{
    int line;
    bool vararg;

    if (depth > DEPTH_MAX)
        d->bad = true;
    skip_string(d);
    line = (int)take_size(d);
    take_size(d);
    take_byte(d);
    vararg = take_byte(d) != 0;
    take_byte(d);
    take(d, take_size(d) * 4);
    skip_constants(d);
    take(d, take_size(d) * 3);
    for (size_t n = take_size(d); n > 0 && !d->bad; n--)
        read_function(d, depth + 1);
    read_lines(d, line, vararg, depth == 0);
    for (size_t n = take_size(d); n > 0 && !d->bad; n--) { /* local variables */
        skip_string(d);
        take_size(d);
        take_size(d);
    }
    for (size_t n = take_size(d); n > 0 && !d->bad; n--)
        skip_string(d);
}

static bool read_dump(struct dump *d)
{
    static const unsigned char head[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";
    const unsigned char *p = take(d, sizeof head - 1 + 8 + 8 + 1);

    if (!p || memcmp(p, head, sizeof head - 1) != 0)
        return false;
    read_function(d, 0);
    return !d->bad;
}

/* ---- compiling ---- */
static int add_dump(lua_State *L, const void *data, size_t len, void *buf)
{
    (void)L;
    return buf_add(buf, data, len) ? 0 : 1;
}

/* Puts `return ` before the last statement when that is an expression. */
static bool make_return(const char *text, size_t len, struct buf *out)
{
    struct scan x = scan_begin(text, len);
    const char *expression = NULL;
    bool bare, ok = true;

    while (x.kind && ok) {
        struct scan at = x;
        ok = scan_statement(&x, &bare);
        if (!scan_is(&at, ";"))
            expression = bare ? at.at : NULL;
    }
    if (!ok || !expression)
        return false;
    buf_add(out, text, (size_t)(expression - text));
    buf_puts(out, "return ");
    return buf_add(out, expression, (size_t)(text + len - expression));
}

static bool compile(lua_State *L, const char *text, size_t len)
{
    struct buf again = BUF_INIT(len + 16);
    bool ok = luaL_loadbufferx(L, text, len, "=text", "t") == LUA_OK;

    if (!ok && make_return(text, len, &again))
        ok = luaL_loadbufferx(L, buf_str(&again), again.len, "=text", "t") == LUA_OK;
    buf_release(&again);
    return ok;
}

static enum lc compiled_lines(lua_State *L, const char *text, size_t len, struct lines *out, struct err *err)
{
    struct buf bytes = BUF_INIT(DUMP_MAX);
    struct dump d = {.lines = out};
    bool ok;

    if (!compile(L, text, len))
        return err_set(err, LC_SYNTAX, "%s", lua_tostring(L, -1) ? lua_tostring(L, -1) : "does not compile");
    ok = lua_dump(L, add_dump, &bytes, 0) == 0;
    d.at = (const unsigned char *)buf_str(&bytes);
    d.end = d.at + bytes.len;
    ok = ok && read_dump(&d);
    buf_release(&bytes);
    return ok ? LC_OK : err_set(err, LC_INTERNAL, "cannot read what Lua has compiled");
}

/* ---- texts ---- */
/* The text as Lua, line for line: blank lines stand for %%magic's. */
static enum lc as_lua(const char *text, size_t len, struct buf *out, int *shift, struct err *err)
{
    struct buf body = BUF_INIT(out->max);
    struct magic_cell m;

    if (len > 1 && text[0] == '#') { /* a script's first line */
        const char *line = memchr(text, '\n', len);
        size_t n = line ? (size_t)(line - text) : len;
        text += n;
        len -= n;
    }
    if (magic_split(text, len, &m)) {
        if (!magic_has_lua(&m))
            return err_set(err, LC_SYNTAX, "the body of %%%%%.*s is not Lua", (int)m.name_len, m.name);
        for (const char *p = text; p < m.body; p++)
            if (*p == '\n')
                *shift += buf_putc(&body, '\n');
        buf_add(&body, m.body, m.body_len);
    } else {
        buf_add(&body, text, len);
    }
    if (!magic_rewrite(NULL, "_m", buf_str(&body), body.len, out))
        buf_add(out, buf_str(&body), body.len);
    out->failed |= body.failed;
    buf_release(&body);
    return buf_check(out, err);
}

enum lc lines_of(const char *text, size_t len, struct lines *out, struct err *err)
{
    struct buf lua = BUF_INIT(len * 4 + 4096);
    lua_State *L = luaL_newstate();
    enum lc rc;

    *out = (struct lines){.bits = mem_zalloc(LINES_MAX / 8 + 1)};
    rc = L && out->bits ? as_lua(text, len, &lua, &out->shift, err) : err_nomem(err);
    if (rc == LC_OK)
        rc = compiled_lines(L, buf_str(&lua), lua.len, out, err);
    if (L)
        lua_close(L);
    buf_release(&lua);
    if (rc != LC_OK)
        lines_release(out);
    return rc;
}

void lines_release(struct lines *l)
{
    mem_free(l->bits);
    *l = (struct lines){0};
}

int lines_next(const struct lines *l, int line)
{
    for (line = line < 1 ? 1 : line; line <= l->last; line++)
        if (l->bits[line / 8] & 1 << line % 8)
            return line;
    return 0;
}

/* ---- names ---- */
uint32_t lines_murmur2(const void *data, size_t len, uint32_t seed)
{
    const uint32_t m = 0x5bd1e995;
    const unsigned char *p = data;
    uint32_t h = seed ^ (uint32_t)len;

    for (; len >= 4; p += 4, len -= 4) {
        uint32_t k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        k *= m;
        k ^= k >> 24;
        k *= m;
        h = h * m ^ k;
    }
    if (len > 2)
        h ^= (uint32_t)p[2] << 16;
    if (len > 1)
        h ^= (uint32_t)p[1] << 8;
    if (len > 0)
        h = (h ^ p[0]) * m;
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}
