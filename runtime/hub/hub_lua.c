#include "runtime/hub/hub_lua.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/hub/answer.h"
#include "runtime/hub/hub.h"
#include "runtime/session/display.h"
#include "runtime/session/session_lua.h"
#include <stdio.h>
#include <string.h>

enum { BAR = 20, LINE = 400 };

/* ---- what people see while it downloads ------------------------------------------------------------------ */

struct view {
    struct session *session;
    const char *name;
    char id[40], file[256];
    int64_t begun_ns, drawn_ns, had, fetched;
    bool shows, updates; /* something was shown; it can be shown again in its place */
    bool quiet;          /* nothing is shown */
};

static double seconds_since(int64_t then)
{
    return (double)(clock_mono_ns() - then) / 1e9;
}

static void bytes_text(int64_t n, char out[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double v = (double)n;
    size_t u = 0;

    for (; v >= 1000 && u + 1 < sizeof units / sizeof *units; u++)
        v /= 1000;
    (void)snprintf(out, 32, u ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void bar_text(int64_t had, int64_t size, struct buf *out)
{
    int full = size > 0 ? (int)(had * BAR / size) : 0;

    buf_putc(out, '[');
    for (int i = 0; i < BAR; i++)
        buf_putc(out, i < full ? '#' : '.');
    buf_putc(out, ']');
}

static void line_text(const struct view *v, const struct hub_step *step, struct buf *out)
{
    char had[32], size[32], speed[32];
    double seconds = seconds_since(v->begun_ns);

    bytes_text(step->had, had);
    bytes_text(step->size, size);
    bytes_text(seconds > 0.05 ? (int64_t)((double)v->fetched / seconds) : 0, speed);
    buf_printf(out, "downloading %s: file %d/%d %s ", v->name, step->number, step->of, step->file);
    bar_text(step->had, step->size, out);
    buf_printf(out, " %s", had);
    if (step->size >= 0)
        buf_printf(out, " of %s", size);
    buf_printf(out, ", %s/s", speed);
}

static void draw(struct view *v, const struct buf *line, int64_t had, int64_t size)
{
    struct buf html = BUF_INIT(1 << 14);
    json_t *data, *transient;

    if (!v->updates) {
        session_print(v->session, STREAM_STDERR, line->data, line->len);
        session_print(v->session, STREAM_STDERR, "\n", 1);
        return;
    }
    buf_puts(&html, "<div><progress style='width:20em' max='1'");
    if (size > 0)
        buf_printf(&html, " value='%.3f'", (double)had / (double)size);
    buf_puts(&html, "></progress> <code>");
    buf_html(&html, line->data, line->len);
    buf_puts(&html, "</code></div>");
    data = json_pack("{s:s, s:s}", "text/plain", buf_str(line), "text/html", buf_str(&html));
    transient = json_pack("{s:s}", "display_id", v->id);
    if (data && transient)
        session_display(v->session,
                        &(struct display){.data = data, .transient = transient, .update = v->shows});
    json_decref(data);
    json_decref(transient);
    buf_release(&html);
}

static bool on_progress(void *arg, const struct hub_step *step)
{
    struct view *v = arg;
    struct buf line = BUF_INIT(1 << 12);
    int64_t now = clock_mono_ns();
    bool other = strcmp(v->file, step->file) != 0;

    if (*step->file && other)
        (void)snprintf(v->file, sizeof v->file, "%s", step->file);
    else if (*step->file && step->had > v->had)
        v->fetched += step->had - v->had;
    if (*step->file)
        v->had = step->had;
    int64_t pause = v->updates ? 200000000 : 10000000000;
    if (!v->quiet && *step->file && now - v->begun_ns > 300000000 &&
        (!v->shows || now - v->drawn_ns > pause)) {
        line_text(v, step, &line);
        if (buf_ok(&line))
            draw(v, &line, step->had, step->size);
        v->shows = true;
        v->drawn_ns = now;
    }
    buf_release(&line);
    return session_wait(v->session, 0);
}

/* What was shown is left as what was done. */
static void draw_end(struct view *v, bool done)
{
    struct buf line = BUF_INIT(1 << 12);
    char bytes[32];

    bytes_text(v->fetched, bytes);
    buf_printf(&line, "%s %s: %s in %.1f s", done ? "downloaded" : "stopped downloading", v->name, bytes,
               seconds_since(v->begun_ns));
    if (v->shows && buf_ok(&line))
        draw(v, &line, done ? 1 : 0, 1);
    buf_release(&line);
}

static void on_notice(void *arg, const char *text)
{
    struct view *v = arg;

    session_print(v->session, STREAM_STDERR, text, strlen(text));
    session_print(v->session, STREAM_STDERR, "\n", 1);
}

/* ---- what Lua calls -------------------------------------------------------------------------------------- */

static const char *option(lua_State *L, const char *name)
{
    if (!lua_istable(L, 2))
        return NULL;
    lua_getfield(L, 2, name); /* stays on the stack: the text is borrowed */
    return lua_isnil(L, -1) ? NULL : luaL_checkstring(L, -1);
}

static int
l_hub(lua_State *L) /* core.hub(name, {want, revision, token, cache_dir, local_files_only}) → folder */
{
    struct session *s = session_of(L);
    const struct frontend *f = session_frontend(s);
    const char *name = luaL_checkstring(L, 1), *want = option(L, "want");
    struct hub_options o = {.want = want && strcmp(want, "tokenizer") == 0 ? HUB_TOKENIZER : HUB_MODEL,
                            .revision = option(L, "revision"),
                            .token = option(L, "token"),
                            .cache_dir = option(L, "cache_dir")};
    struct view v = {.session = s, .name = name, .begun_ns = clock_mono_ns()};
    struct hub_watch watch = {.progress = on_progress, .notice = on_notice, .arg = &v};
    struct err err;
    char *folder = NULL, random[13];
    enum lc rc;

    if (lua_istable(L, 2)) {
        lua_getfield(L, 2, "local_files_only");
        o.local_only = lua_toboolean(L, -1);
        lua_getfield(L, 2, "may_be_folder");
        o.may_be_folder = lua_toboolean(L, -1);
    }
    hex_make(random, 12);
    (void)snprintf(v.id, sizeof v.id, "hub-%s", random);
    v.updates = f->ops && (f->ops->rich || (f->ops->columns && f->ops->columns(f->self) > 0));
    v.quiet = hub_is_set("HF_HUB_DISABLE_PROGRESS_BARS");
    rc = hub_model_get(session_ctx(s), name, &o, &watch, &folder, &err);
    draw_end(&v, rc == LC_OK);
    if (rc != LC_OK)
        return session_raise(L, &err);
    lua_pushstring(L, folder);
    mem_free(folder);
    return 1;
}

static int l_is_hub_id(lua_State *L) /* core.is_hub_id("org/name@main") */
{
    const char *name = luaL_checkstring(L, 1), *at = strchr(name, '@');
    char id[256];

    (void)snprintf(id, sizeof id, "%.*s", at ? (int)(at - name) : (int)strlen(name), name);
    lua_pushboolean(L, (!at || hub_revision_ok(at + 1)) && hub_id_ok(id) && strlen(name) < sizeof id);
    return 1;
}

void hub_functions(struct lua_State *L)
{
    static const luaL_Reg functions[] = {{"hub", l_hub}, {"is_hub_id", l_is_hub_id}, {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
