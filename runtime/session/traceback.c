#include "runtime/session/traceback.h"
#include "runtime/base/fs.h"
#include "runtime/base/nearest.h"
#include <string.h>
#include <strings.h>

enum mode { MODE_CONTEXT, MODE_MINIMAL, MODE_PLAIN, MODE_VERBOSE, MODE_FOLDED };
enum { NOTED = 6, VARIABLES = 20, VALUE_MAX = 80, FILE_MOST = 1 << 22 };

static const char *const mode_names[] = {"Context", "Minimal", "Plain", "Verbose", "Folded"};

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
    json_t *given;          /* owned: the lines that the error came with; NULL: none */
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
    json_decref(t->given);
    t->given = NULL;
    t->any = false;
}

static void forget_variables(struct told *t, int from)
{
    for (int i = from; i < NOTED; i++) {
        mem_free(t->variables[i]);
        t->variables[i] = NULL;
    }
}

void traceback_close(struct session *s)
{
    if (!s->told)
        return;
    forget(s->told);
    forget_variables(s->told, 0);
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

void traceback_note(lua_State *L, int level, int from)
{
    struct told *t = told_of(session_of(L));
    lua_Debug ar;

    if (!t || !lua_checkstack(L, 10))
        return;
    forget_variables(t, from);
    for (int i = level, n = from; n < NOTED && lua_getstack(L, i, &ar); i++) {
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

/* Behind a colour code, or whatever begins with ESC. */
static const char *behind_code(const char *text)
{
    const char *end = text + 1;

    if (*end != '[')
        return end;
    end += 1 + strspn(end + 1, "0123456789;?");
    return *end ? end + 1 : end;
}

void traceback_plain(const char *text, struct buf *out)
{
    while (*text) {
        size_t n = strcspn(text, "\x1b");
        buf_add(out, text, n);
        text += n;
        text = *text ? behind_code(text) : text;
    }
    buf_putc(out, '\n');
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

static void add_place(struct writing *w, const struct frame *f)
{
    buf_printf(w->out, GREEN "%s" PLAIN ", line %d", f->source, f->line);
    if (*f->name)
        buf_printf(w->out, ", in function '%s'", f->name);
}

static const char *variables_at(const struct writing *w, int at)
{
    const char *text = at < NOTED && w->told ? w->told->variables[at] : NULL;

    return text && *text ? text : NULL;
}

static void add_frame(struct writing *w, const struct frame *f, int at, int column)
{
    add_place(w, f);
    if (w->mode != MODE_PLAIN)
        add_source(w, f, column, at == 0);
    if (w->mode == MODE_VERBOSE && variables_at(w, at))
        buf_printf(w->out, "\n%s", variables_at(w, at));
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

/* Leaves out what repeats, and says so; returns where to go on. */
static int skip_repeated(struct writing *w, const struct frames *frames, int i)
{
    int period = again(frames, i, 1) > 1 ? 1 : 2, n = again(frames, i, period);

    if (n < 2 * period)
        return i;
    buf_printf(w->out, "… the call%s above %s%d more times …", period > 1 ? "s" : "",
               i + n > FRAMES_FIRST && frames->skipped ? "about " : "",
               (n + (i <= FRAMES_FIRST && i + n > FRAMES_FIRST ? frames->skipped : 0)) / period);
    return i + n;
}

static int column_of(const struct description *d, const struct frame *f, int i)
{
    return i == 0 && (d->line == 0 || d->line == f->line) ? d->column : -1;
}

static void add_frames(struct writing *w, json_t *list, const struct frames *frames,
                       const struct description *d)
{
    for (int i = 0; i < frames->n && w->mode != MODE_MINIMAL; i++) {
        i = skip_repeated(w, frames, i);
        add_line(list, w->out);
        if (i == frames->n)
            break;
        const struct frame *f = &frames->list[i];

        if (i == FRAMES_FIRST && frames->skipped) {
            buf_printf(w->out, "… about %d more calls …", frames->skipped);
            add_line(list, w->out);
        }
        add_frame(w, f, i, column_of(d, f, i));
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

/* ---- as HTML, in parts that open with a click: no script in it ---- */
static const struct {
    const char *code, *tag;
} colours[] = {{RED, "<span style=\"color:var(--jp-error-color1,#c62828)\">"},
               {GREEN, "<span style=\"color:var(--jp-success-color0,#2e7d32)\">"},
               {BOLD, "<span style=\"font-weight:bold\">"}};

/* Text with colours; what other codes say is left out. */
static void put_html(struct buf *out, const char *text)
{
    bool open = false;

    while (*text) {
        size_t n = strcspn(text, "\x1b");
        buf_html(out, text, n);
        text += n;
        if (!*text)
            break;
        buf_puts(out, open ? "</span>" : "");
        open = false;
        for (size_t i = 0; i < sizeof colours / sizeof *colours && !open; i++)
            if (strncmp(text, colours[i].code, strlen(colours[i].code)) == 0) {
                buf_puts(out, colours[i].tag);
                open = true;
            }
        text = behind_code(text);
    }
    buf_puts(out, open ? "</span>" : "");
}

/* What was written so far, in a tag. */
static void move_html(struct buf *page, const char *tag, struct buf *text)
{
    const char *s = buf_str(text);

    if (text->len == 0)
        return;
    buf_printf(page, "<%s>", tag);
    put_html(page, s + (*s == '\n'));
    buf_printf(page, "</%.*s>", (int)strcspn(tag, " "), tag);
    buf_clear(text);
}

#define PRE "pre style=\"margin:0 0 0 1.2em;white-space:pre-wrap\""

static void fold_frame(struct writing *w, const struct frame *f, int at, int column, struct buf *page)
{
    buf_puts(page, at == 0 ? "<details open>" : "<details>");
    add_place(w, f);
    move_html(page, "summary style=\"cursor:pointer\"", w->out);
    add_source(w, f, column, true);
    move_html(page, PRE, w->out);
    if (variables_at(w, at)) {
        buf_puts(w->out, variables_at(w, at));
        move_html(page, PRE, w->out);
    }
    buf_puts(page, "</details>\n");
}

static void fold_frames(struct writing *w, const struct frames *frames, const struct description *d,
                        struct buf *page)
{
    for (int i = 0; i < frames->n; i++) {
        i = skip_repeated(w, frames, i);
        move_html(page, "div", w->out);
        if (i == frames->n)
            break;
        if (i == FRAMES_FIRST && frames->skipped)
            buf_printf(page, "<div>… about %d more calls …</div>\n", frames->skipped);
        fold_frame(w, &frames->list[i], i, column_of(d, &frames->list[i], i), page);
    }
}

/* The lines behind the calls, or those that the error came with. */
static void fold_lines(json_t *list, struct buf *page)
{
    struct buf line = BUF_INIT(1 << 20);
    json_t *one;
    size_t i;

    json_array_foreach (list, i, one) {
        buf_puts(&line, json_string_value(one));
        move_html(page, PRE, &line);
    }
    buf_release(&line);
}

static void write_html(lua_State *L, const struct frames *frames, const struct description *d, json_t *last,
                       struct buf *page)
{
    struct writing w = {.L = L, .out = session_buf(L, 1 << 20), .mode = MODE_FOLDED};

    w.told = session_of(L)->told;
    buf_puts(page, "<div class=\"lacus-traceback\" "
                   "style=\"font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-"
                   "size,13px)\">\n");
    if (!w.told || !w.told->given)
        fold_frames(&w, frames, d, page);
    fold_lines(last, page);
    buf_puts(page, "</div>");
    lua_pop(L, 1);
}

static bool sees_html(struct session *s)
{
    return s->frontend.ops && s->frontend.ops->rich;
}

/* Before the error itself: the calls, as text for programs and as HTML for people. */
static void show_folded(lua_State *L, const struct frames *frames, const struct description *d)
{
    struct buf *page = session_buf(L, 1 << 20), *text = session_buf(L, 1 << 20);
    json_t **list = session_json_slot(L), **data = session_json_slot(L);
    struct writing w = {.L = L, .out = session_buf(L, 1 << 20), .mode = MODE_CONTEXT};
    struct display shown = {0};
    json_t *one;
    size_t i;

    *list = json_array();
    add_frames(&w, *list, frames, d);
    json_array_foreach (*list, i, one)
        traceback_plain(json_string_value(one), text);
    write_html(L, frames, d, NULL, page);
    *data = json_pack("{s:s, s:s}", "text/plain", buf_str(text), "text/html", buf_str(page));
    shown.data = *data;
    if (*data)
        session_display(session_of(L), &shown);
    lua_pop(L, 5);
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

    enum mode mode = t ? t->mode : MODE_CONTEXT;

    if (t)
        remember(t, frames, d);
    if (mode == MODE_FOLDED && frames->n > 0 && sees_html(session_of(L))) {
        show_folded(L, frames, d);
        mode = MODE_MINIMAL;
    }
    write_lines(L, list, frames, d, mode);
}

void traceback_given(lua_State *L, const struct description *d, json_t *list)
{
    static const struct frames none;
    struct told *t = told_of(session_of(L));

    if (!t)
        return;
    remember(t, &none, d);
    t->given = json_incref(list);
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
    err_hint(&err, "%s%s%sthey are Minimal, Plain, Context, Verbose and Folded", near ? "did you mean '" : "",
             near ? near : "", near ? "'? " : "");
    return session_raise(L, &err);
}

static struct buf *copy_of(lua_State *L, const char *text)
{
    struct buf *b = session_buf(L, 1 << 20);

    buf_puts(b, text);
    return b;
}

/* What is remembered; its buffers are on the stack: 3. */
static struct description recall(lua_State *L, const struct told *t)
{
    struct description d = {.ename = t->ename, .line = t->line, .column = t->column};

    d.evalue = copy_of(L, t->evalue);
    d.hint = copy_of(L, t->hint);
    d.cause = copy_of(L, t->cause);
    return d;
}

static json_t *lines_of(lua_State *L, const struct told *t, enum mode mode)
{
    static const struct frames none;
    struct description d = recall(L, t);
    json_t *list = t->given && mode != MODE_MINIMAL ? json_copy(t->given) : json_array();

    if (json_array_size(list) == 0)
        write_lines(L, list, t->given ? &none : &t->frames, &d, mode);
    lua_pop(L, 3);
    return list;
}

json_t *session_traceback(lua_State *L, const char *mode)
{
    struct told *t = session_of(L)->told;
    enum mode shown = mode ? (enum mode)mode_named(L, mode) : t ? t->mode : MODE_CONTEXT;

    return t && t->any ? lines_of(L, t, shown) : NULL;
}

bool session_traceback_html(lua_State *L, const char *mode, struct buf *page)
{
    struct told *t = session_of(L)->told;
    struct description d;
    json_t **last;

    if (!t || !t->any || !sees_html(session_of(L)) ||
        (mode ? (enum mode)mode_named(L, mode) : t->mode) == MODE_MINIMAL)
        return false;
    last = session_json_slot(L);
    *last = lines_of(L, t, t->given ? MODE_CONTEXT : MODE_MINIMAL);
    d = recall(L, t);
    write_html(L, &t->frames, &d, *last, page);
    lua_pop(L, 4);
    return buf_ok(page);
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
