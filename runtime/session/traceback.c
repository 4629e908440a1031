#include "runtime/session/traceback.h"
#include "runtime/base/fs.h"
#include "runtime/base/nearest.h"
#include <string.h>
#include <strings.h>

enum mode { MODE_CONTEXT, MODE_MINIMAL, MODE_PLAIN, MODE_VERBOSE };
enum { NOTED = 6, VARIABLES = 20, VALUE_MAX = 80, FILE_MOST = 1 << 22 };

static const char *const mode_names[] = {"Context", "Minimal", "Plain", "Verbose"};

const char *traceback_mode_at(size_t i)
{
    return i < sizeof mode_names / sizeof *mode_names ? mode_names[i] : NULL;
}

struct told { /* the last error */
    enum mode mode;
    bool any;
    struct frames frames;
    char *ename, *evalue, *hint, *cause; /* owned */
    int line, column;
    char *variables[NOTED]; /* owned, of the innermost calls; NULL: not noted */
};

static struct told *told_of(struct session *s)
{
    if (!s->told)
        s->told = mem_zalloc(sizeof *s->told);
    return s->told;
}

static void forget(struct told *t)
{
    mem_free(t->ename);
    mem_free(t->evalue);
    mem_free(t->hint);
    mem_free(t->cause);
    t->ename = t->evalue = t->hint = t->cause = NULL;
    t->any = false;
}

static void forget_variables(struct told *t)
{
    for (int i = 0; i < NOTED; i++) {
        mem_free(t->variables[i]);
        t->variables[i] = NULL;
    }
}

void traceback_close(struct session *s)
{
    if (!s->told)
        return;
    forget(s->told);
    forget_variables(s->told);
    mem_free(s->told);
    s->told = NULL;
}

/* ---- variables, without calling anything of theirs ---- */
static void put_value(lua_State *L, int index, struct buf *out)
{
    size_t len, n = 0;
    const char *text;

    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &len);
        buf_putc(out, '"');
        buf_utf8(out, text, len > VALUE_MAX ? VALUE_MAX : len);
        buf_puts(out, len > VALUE_MAX ? "…\"" : "\"");
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            buf_printf(out, LUA_INTEGER_FMT, lua_tointeger(L, index));
        else
            buf_printf(out, LUA_NUMBER_FMT, lua_tonumber(L, index));
        break;
    case LUA_TBOOLEAN:
        buf_puts(out, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TTABLE:
        index = lua_absindex(L, index);
        for (lua_pushnil(L); n < 1000 && lua_next(L, index); lua_pop(L, 1))
            n++;
        if (n == 1000)
            lua_pop(L, 1);
        buf_printf(out, "table with %zu%s entr%s", n, n == 1000 ? " or more" : "", n == 1 ? "y" : "ies");
        break;
    default:
        if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) {
            text = lua_tostring(L, -1);
            buf_puts(out, strncmp(text, "lacus.", 6) == 0 ? text + 6 : text);
            lua_pop(L, 1);
        } else {
            buf_puts(out, luaL_typename(L, index));
        }
    }
}

static char *variables_of(lua_State *L, lua_Debug *ar)
{
    struct buf out = BUF_INIT(1 << 14);
    const char *name;
    char *text;
    int shown = 0;

    for (int i = 1; shown < VARIABLES && (name = lua_getlocal(L, ar, i)) != NULL; i++, lua_pop(L, 1)) {
        if (*name == '(')
            continue;
        buf_printf(&out, "%s        %s = ", shown++ ? "\n" : "", name);
        put_value(L, -1, &out);
    }
    text = buf_take(&out);
    buf_release(&out);
    return text;
}

void traceback_note(lua_State *L, int level)
{
    struct told *t = session_of(L)->told;
    lua_Debug ar;

    if (!t || t->mode != MODE_VERBOSE || !lua_checkstack(L, 10))
        return;
    forget_variables(t);
    for (int i = level, n = 0; n < NOTED && lua_getstack(L, i, &ar); i++) {
        lua_getinfo(L, "Snl", &ar);
        if (!frame_is_ours(&ar))
            t->variables[n++] = variables_of(L, &ar);
    }
}

/* ---- the lines ---- */
#define RED   "\x1b[0;31m"
#define GREEN "\x1b[0;32m"
#define BOLD  "\x1b[1m"
#define PLAIN "\x1b[0m"

/* Pushes the text of a cell by its chunk name, or of a file; or nil. */
static const char *push_source(lua_State *L, const char *chunk)
{
    size_t n = strlen(chunk);
    struct buf *text;

    session_table(L, TABLE_SOURCES);
    lua_getfield(L, -1, chunk);
    lua_remove(L, -2);
    if (lua_isnil(L, -1) && n > 4 && strcmp(chunk + n - 4, ".lua") == 0) {
        text = session_buf(L, FILE_MOST);
        if (fs_read(chunk, text, NULL) == LC_OK)
            lua_pushlstring(L, buf_str(text), text->len);
        else
            lua_pushnil(L);
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    return lua_tostring(L, -1);
}

static const char *find_line(const char *text, int line, int *len)
{
    for (; line > 1; line--) {
        text = strchr(text, '\n');
        if (!text)
            return NULL;
        text++;
    }
    *len = (int)strcspn(text, "\n");
    return text;
}

static void add_source_line(struct buf *out, const char *text, int number, bool here)
{
    int len;
    const char *line = find_line(text, number, &len);

    if (!line)
        return;
    if (here)
        buf_printf(out, "\n" GREEN "----> %d" PLAIN " ", number);
    else
        buf_printf(out, "\n      %d ", number);
    buf_utf8(out, line, (size_t)len);
}

static void add_caret(struct buf *out, const char *text, int number, int column)
{
    char digits[16];
    int len, width = snprintf(digits, sizeof digits, "%d", number);
    const char *line = find_line(text, number, &len);

    if (!line || column < 0 || column > len)
        return;
    buf_printf(out, "\n%*s", 7 + width, "");
    for (int i = 0; i < column; i++) /* the same tabs; one blank per character */
        if (((unsigned char)line[i] & 0xC0) != 0x80)
            buf_putc(out, line[i] == '\t' ? '\t' : ' ');
    buf_puts(out, RED "^" PLAIN);
}

static void add_line(json_t *list, struct buf *text)
{
    if (buf_ok(text) && text->len)
        json_array_append_new(list, json_stringn_nocheck(buf_str(text), text->len));
    buf_clear(text);
}

struct writing {
    lua_State *L;
    struct buf *out;
    enum mode mode;
    const struct told *told;
};

static void add_source(struct writing *w, const struct frame *f, int column, bool first)
{
    const char *text = push_source(w->L, f->source);

    if (text) {
        for (int i = first && f->line > 2 ? f->line - 2 : f->line; first && i < f->line; i++)
            add_source_line(w->out, text, i, false);
        add_source_line(w->out, text, f->line, true);
        add_caret(w->out, text, f->line, column);
        if (first)
            add_source_line(w->out, text, f->line + 1, false);
    }
    lua_pop(w->L, 1);
}

static void add_frame(struct writing *w, const struct frame *f, int at, int column)
{
    buf_printf(w->out, GREEN "%s" PLAIN ", line %d", f->source, f->line);
    if (*f->name)
        buf_printf(w->out, ", in function '%s'", f->name);
    if (w->mode != MODE_PLAIN)
        add_source(w, f, column, at == 0);
    if (w->mode == MODE_VERBOSE && at < NOTED && w->told && w->told->variables[at] && *w->told->variables[at])
        buf_printf(w->out, "\n%s", w->told->variables[at]);
}

static bool same_frame(const struct frame *a, const struct frame *b)
{
    return a->line == b->line && strcmp(a->source, b->source) == 0 && strcmp(a->name, b->name) == 0;
}

/* How many frames from i on are the `period` frames before it again: a recursion. */
static int again(const struct frames *frames, int i, int period)
{
    int n = 0;

    while (i >= period && i + n < frames->n &&
           same_frame(&frames->list[i + n], &frames->list[i + n - period]))
        n++;
    return n;
}

/* Leaves out what repeats; returns where to go on. */
static int skip_repeated(struct writing *w, json_t *list, const struct frames *frames, int i)
{
    int period = again(frames, i, 1) > 1 ? 1 : 2, n = again(frames, i, period);

    if (n < 2 * period)
        return i;
    buf_printf(w->out, "… the call%s above %s%d more times …", period > 1 ? "s" : "",
               i + n > FRAMES_FIRST && frames->skipped ? "about " : "",
               (n + (i <= FRAMES_FIRST && i + n > FRAMES_FIRST ? frames->skipped : 0)) / period);
    add_line(list, w->out);
    return i + n;
}

static void add_frames(struct writing *w, json_t *list, const struct frames *frames,
                       const struct description *d)
{
    for (int i = 0; i < frames->n && w->mode != MODE_MINIMAL; i++) {
        i = skip_repeated(w, list, frames, i);
        if (i == frames->n)
            break;
        const struct frame *f = &frames->list[i];
        int column = i == 0 && (d->line == 0 || d->line == f->line) ? d->column : -1;

        if (i == FRAMES_FIRST && frames->skipped) {
            buf_printf(w->out, "… about %d more calls …", frames->skipped);
            add_line(list, w->out);
        }
        add_frame(w, f, i, column);
        add_line(list, w->out);
    }
}

static void add_causes(json_t *list, struct buf *out, const char *causes)
{
    while (*causes) {
        size_t n = strcspn(causes, "\n");
        buf_printf(out, "  cause: %.*s", (int)n, causes);
        add_line(list, out);
        causes += n + (causes[n] == '\n');
    }
}

static void write_lines(lua_State *L, json_t *list, const struct frames *frames, const struct description *d,
                        enum mode mode)
{
    struct writing w = {.L = L, .out = session_buf(L, 1 << 20), .mode = mode, .told = session_of(L)->told};

    add_frames(&w, list, frames, d);
    buf_printf(w.out, RED "%s" PLAIN ": %s", d->ename, buf_str(d->evalue));
    add_line(list, w.out);
    add_causes(list, w.out, buf_str(d->cause));
    if (d->hint->len) {
        buf_printf(w.out, BOLD "hint" PLAIN ": %s", buf_str(d->hint));
        add_line(list, w.out);
    }
    lua_pop(L, 1);
}

static void remember(struct told *t, const struct frames *frames, const struct description *d)
{
    forget(t);
    t->frames = *frames;
    t->ename = mem_strdup(d->ename);
    t->evalue = mem_strdup(buf_str(d->evalue));
    t->hint = mem_strdup(buf_str(d->hint));
    t->cause = mem_strdup(buf_str(d->cause));
    t->line = d->line;
    t->column = d->column;
    t->any = t->ename && t->evalue && t->hint && t->cause;
}

void traceback_write(lua_State *L, json_t *list, const struct frames *frames, const struct description *d)
{
    struct told *t = told_of(session_of(L));

    if (t)
        remember(t, frames, d);
    write_lines(L, list, frames, d, t ? t->mode : MODE_CONTEXT);
}

/* ---- %tb, %xmode ---- */
static int mode_named(lua_State *L, const char *name)
{
    struct err err;

    for (size_t i = 0; i < sizeof mode_names / sizeof *mode_names; i++)
        if (strcasecmp(mode_names[i], name) == 0)
            return (int)i;
    const char *near = nearest_one(name, mode_names, sizeof mode_names / sizeof *mode_names);
    err_set(&err, LC_ARG, "no way to show errors is named '%s'", name);
    err_hint(&err, "%s%s%sthey are Minimal, Plain, Context and Verbose", near ? "did you mean '" : "",
             near ? near : "", near ? "'? " : "");
    return session_raise(L, &err);
}

static struct buf *copy_of(lua_State *L, const char *text)
{
    struct buf *b = session_buf(L, 1 << 20);

    buf_puts(b, text);
    return b;
}

json_t *session_traceback(lua_State *L, const char *mode)
{
    struct told *t = session_of(L)->told;
    enum mode shown = mode ? (enum mode)mode_named(L, mode) : t ? t->mode : MODE_CONTEXT;
    struct description d;
    json_t *list;

    if (!t || !t->any)
        return NULL;
    d = (struct description){.ename = t->ename, .line = t->line, .column = t->column};
    d.evalue = copy_of(L, t->evalue);
    d.hint = copy_of(L, t->hint);
    d.cause = copy_of(L, t->cause);
    list = json_array();
    write_lines(L, list, &t->frames, &d, shown);
    lua_pop(L, 3);
    return list;
}

const char *session_traceback_mode(lua_State *L, const char *mode)
{
    struct told *t = told_of(session_of(L));

    if (!t)
        return mode_names[MODE_CONTEXT];
    if (mode)
        t->mode = (enum mode)mode_named(L, mode);
    return mode_names[t->mode];
}
