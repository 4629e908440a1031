/* %prun and %%prun: a sampling profile: a table of the functions, and a flame graph where pictures can be seen. */
#include "magics/flame.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/fs.h"
#include <string.h>

static int end_profile(lua_State *L)
{
    struct profile **p = lua_touserdata(L, 1);

    profile_free(*p);
    *p = NULL;
    return 0;
}

/* On the stack, closed also when the text fails or is interrupted. */
static struct profile **open_profile(lua_State *L)
{
    struct profile **p = session_slot(L, sizeof *p, "lacus.profile", end_profile);
    struct err err;

    lua_toclose(L, -1);
    if (profile_start(session_of(L), p, &err) != LC_OK)
        session_raise(L, &err);
    return p;
}

static void save(lua_State *L, const char *path, const struct buf *svg)
{
    struct err err;
    size_t len = strlen(path);
    struct buf *page = session_buf(L, BUF_TEXT_MAX);
    bool html = len > 5 && strcmp(path + len - 5, ".html") == 0;

    if (html)
        buf_puts(page, "<!doctype html><meta charset=\"utf-8\"><title>profile</title>\n");
    buf_add(page, buf_str(svg), svg->len);
    if (fs_write(path, buf_str(page), page->len, &err) != LC_OK)
        session_raise(L, &err);
    line_print(L, "flame graph in '%s'\n", path);
}

static void show(lua_State *L, const struct buf *table, const struct buf *svg)
{
    struct session *s = session_of(L);
    const struct frontend *f = session_frontend(s);
    struct display d = {0};
    json_t **slot;

    if (!f->ops || !f->ops->rich) {
        session_print(s, STREAM_STDOUT, buf_str(table), table->len);
        return;
    }
    slot = session_json_slot(L);
    *slot = json_pack("{s:s, s:s}", "text/plain", "flame graph", "text/html", buf_str(svg));
    d.data = *slot;
    session_print(s, STREAM_STDOUT, buf_str(table), table->len);
    if (d.data)
        session_display(s, &d);
}

/* -t, else -s KEY by cProfile's names, in short too ("cum"). */
static enum flame_order order_of(lua_State *L, const struct options *o)
{
    static const struct {
        const char *key;
        enum flame_order order;
    } keys[] = {{"time", FLAME_SELF},     {"tottime", FLAME_SELF}, {"cumulative", FLAME_TOTAL},
                {"cumtime", FLAME_TOTAL}, {"name", FLAME_NAME},    {"stdname", FLAME_NAME}};
    const char *key = options_value(o, "-s");

    if (!key)
        return options_has(o, "-t") ? FLAME_TOTAL : FLAME_SELF;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (*key && strncmp(keys[i].key, key, strlen(key)) == 0)
            return keys[i].order;
    line_error(L, "prun", "-s takes time, cumulative or name (samples count no calls), not", key);
    return FLAME_SELF;
}

int magic_prun(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "prun", line, OPTIONS_REST);
    const char *text = body && *body ? body : o->rest, *file = options_value(o, "-o");
    long lines = options_count(L, o, "-l", 20);
    enum flame_order order = order_of(L, o);
    struct buf *table = session_buf(L, BUF_TEXT_MAX), *svg = session_buf(L, BUF_TEXT_MAX);
    struct profile **p;

    if (!*text)
        return line_error(L, "prun", "nothing to run", NULL);
    p = open_profile(L);
    session_run_text(L, text, strlen(text), "%prun");
    profile_stop(*p);
    flame_table(*p, lines, order, table);
    flame_svg(*p, svg);
    if (file)
        save(L, file, svg);
    if (!options_has(o, "-q"))
        show(L, table, svg);
    return 0;
}
