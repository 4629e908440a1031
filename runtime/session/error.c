#include "runtime/session/error.h"
#include "runtime/base/nearest.h"
#include "runtime/session/cell.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/habits.h"
#include "runtime/session/session_int.h"
#include "runtime/session/traceback.h"
#include <stdlib.h>
#include <string.h>

/* ---- frames ---- */
void frames_clear(struct frames *f)
{
    f->n = f->skipped = 0;
}

static void frame_fill(struct frame *frame, const lua_Debug *ar)
{
    *frame = (struct frame){.line = ar->currentline};
    snprintf(frame->source, sizeof frame->source, "%s", ar->short_src);
    if (ar->name)
        snprintf(frame->name, sizeof frame->name, "%s", ar->name);
}

bool frame_is_ours(const lua_Debug *ar)
{
    if (strcmp(ar->what, "C") == 0)
        return true; /* error, assert, our wrappers: the caller's line is what helps */
    return strncmp(ar->short_src, "lacus.", 6) == 0;
}

/* lua_getstack walks the stack, so a deep one is measured by doubling and halving, and its middle not read. */
static int last_level(lua_State *L)
{
    lua_Debug ar;
    int low = 1, high = 1;

    while (lua_getstack(L, high, &ar)) {
        low = high;
        high *= 2;
    }
    while (low < high) {
        int middle = (low + high) / 2;
        if (lua_getstack(L, middle, &ar))
            low = middle + 1;
        else
            high = middle;
    }
    return high - 1;
}

static void add_frame_at(struct frames *f, const lua_Debug *ar)
{
    if (f->n == FRAMES_FIRST + FRAMES_LAST) {
        memmove(f->list + FRAMES_FIRST, f->list + FRAMES_FIRST + 1, (FRAMES_LAST - 1) * sizeof *f->list);
        f->n--;
        f->skipped++;
    }
    frame_fill(&f->list[f->n++], ar);
}

void frames_add(struct frames *f, lua_State *L, int level)
{
    int last = last_level(L);
    lua_Debug ar;

    for (int i = level; i <= last && lua_getstack(L, i, &ar); i++) {
        if (i == level + 2 * FRAMES_FIRST && last - i > 4 * FRAMES_LAST) {
            f->skipped += last - i - 3 * FRAMES_LAST;
            i = last - 3 * FRAMES_LAST;
            continue;
        }
        lua_getinfo(L, "Snl", &ar);
        if (!frame_is_ours(&ar))
            add_frame_at(f, &ar);
    }
}

int error_handler(lua_State *L)
{
    struct session *s = session_of(L);

    s->heap.relaxed = true;
    if (s->problem.syntax) /* nothing has run; the place is known */
        return 1;
    debug_raised(L);
    debug_keep(L, NULL);
    frames_clear(&s->frames);
    int inner = s->inner.n;
    if (inner) { /* it came out of a coroutine: its frames first */
        s->frames = s->inner;
        frames_clear(&s->inner);
    }
    frames_add(&s->frames, L, 1);
    traceback_note(L, 1, inner);
    habits_runtime(L, 1);
    return 1;
}

/* ---- the error value ---- */
/* The end of a place ("Cell In[3]:2: ") at the front of a message; NULL: there is none. */
static const char *read_place(const char *message, struct description *d)
{
    const char *p = strchr(message, ':');
    char *end;
    long line;

    while (p && p - message <= LUA_IDSIZE) {
        line = strtol(p + 1, &end, 10);
        if (end > p + 1 && end[0] == ':' && end[1] == ' ' && (size_t)(p - message) < sizeof d->source &&
            line > 0 && line < 1 << 30 && !memchr(message, '\n', (size_t)(p - message))) {
            memcpy(d->source, message, (size_t)(p - message));
            d->source[p - message] = '\0';
            d->line = (int)line;
            return end + 2;
        }
        p = strchr(p + 1, ':');
    }
    return NULL;
}

/* Does code run or wait there? error("data.csv:3: no number", 0) names another place, which is part of what it says. */
static bool is_code(lua_State *L, const char *source)
{
    const struct session *s = session_of(L);
    bool known;

    if (strncmp(source, "lacus.", 6) == 0)
        return true;
    for (int i = 0; i < s->frames.n; i++)
        if (strcmp(s->frames.list[i].source, source) == 0)
            return true;
    session_table(L, TABLE_SOURCES);
    known = lua_getfield(L, -1, source) != LUA_TNIL;
    lua_pop(L, 2);
    return known;
}

/* Takes "Cell In[3]:2: " off the front of a message, and what coroutine.wrap puts there once more. */
static const char *strip_place(lua_State *L, const char *message, struct description *d)
{
    struct description place = *d;
    const char *rest;

    while ((rest = read_place(message, &place)) != NULL &&
           (session_of(L)->problem.syntax || is_code(L, place.source))) {
        memcpy(d->source, place.source, sizeof d->source);
        d->line = place.line;
        message = rest;
        if (session_of(L)->problem.syntax)
            break;
    }
    return message;
}

static bool string_field(lua_State *L, int index, const char *name, struct buf *out)
{
    bool ok = lua_getfield(L, index, name) == LUA_TSTRING;

    if (ok) {
        size_t len;
        const char *s = lua_tolstring(L, -1, &len);
        buf_utf8(out, s, len);
    }
    lua_pop(L, 1);
    return ok;
}

static const char *table_ename(lua_State *L, int index)
{
    const char *name = "Error";
    enum lc code;

    if (lua_getfield(L, index, "ename") == LUA_TSTRING ||
        (lua_pop(L, 1), lua_getfield(L, index, "code")) == LUA_TSTRING) {
        code = lc_from_name(lua_tostring(L, -1));
        name = code != LC_INTERNAL ? lc_ename(code) : lua_tostring(L, -1); /* the table keeps it alive */
    }
    lua_pop(L, 1);
    return name;
}

/* cause = "text", or another error, which may have a cause as well: a line for each. */
static void add_causes(lua_State *L, int index, struct buf *out)
{
    int top = lua_gettop(L);

    lua_pushvalue(L, index);
    for (int i = 0; i < CAUSES_MAX && lua_istable(L, -1); i++) {
        if (lua_getfield(L, -1, "cause") == LUA_TNIL)
            break;
        if (out->len)
            buf_putc(out, '\n');
        if (lua_istable(L, -1)) {
            buf_printf(out, "%s: ", table_ename(L, -1));
            if (!string_field(L, -1, "message", out))
                session_repr(L, -1, out);
        } else {
            size_t len;
            const char *text = luaL_tolstring(L, -1, &len);
            buf_utf8(out, text, len);
            break;
        }
    }
    lua_settop(L, top);
}

static void describe_table(lua_State *L, int index, struct description *d)
{
    d->ename = table_ename(L, index);
    string_field(L, index, "hint", d->hint);
    add_causes(L, index, d->cause);
    if (!string_field(L, index, "message", d->evalue)) {
        if (luaL_getmetafield(L, index, "__tostring") != LUA_TNIL) {
            size_t len;
            lua_pop(L, 1);
            const char *text = luaL_tolstring(L, index, &len);
            buf_utf8(d->evalue, text, len);
            lua_pop(L, 1);
        } else {
            session_repr(L, index, d->evalue);
        }
    }
}

static void hint_at_limit(const struct session *s, struct buf *out)
{
    buf_printf(out,
               "this session may use %zu MB for Lua values: free some, or allow more with %%config "
               "memory_limit = 4GB (or LACUS_MEMORY_LIMIT)",
               s->heap.limit >> 20);
}

static void describe_string(lua_State *L, int index, struct description *d)
{
    struct session *s = session_of(L);
    size_t len;
    const char *text = lua_tolstring(L, index, &len), *rest = strip_place(L, text, d);

    d->ename = s->problem.syntax ? lc_ename(LC_SYNTAX) : lc_ename(LC_RUNTIME);
    if (strcmp(rest, "not enough memory") == 0) {
        d->ename = lc_ename(LC_NOMEM);
        if (s->heap.over)
            hint_at_limit(s, d->hint);
    }
    buf_utf8(d->evalue, rest, len - (size_t)(rest - text));
}

static void describe_value(lua_State *L, int index, struct description *d)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        describe_string(L, index, d);
        break;
    case LUA_TTABLE:
        describe_table(L, index, d);
        break;
    default:
        d->ename = "Error";
        if (lua_isnil(L, index))
            buf_puts(d->evalue, "nil");
        else
            session_repr(L, index, d->evalue);
    }
}

/* An error of another language brings its traceback with it: a list of lines. */
static bool own_traceback(lua_State *L, int index, json_t *list)
{
    if (!lua_istable(L, index) || lua_getfield(L, index, "traceback") != LUA_TTABLE)
        return false;
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1)) {
        size_t len;
        const char *line = lua_tolstring(L, -1, &len);
        json_array_append_new(list, session_json_text(line, len));
    }
    return json_array_size(list) > 0;
}

static void set_reply(struct cell_reply *reply, const char *ename, const char *evalue)
{
    reply->status = CELL_ERROR;
    mem_free(reply->ename);
    mem_free(reply->evalue);
    reply->ename = mem_strdup(ename);
    reply->evalue = mem_strdup(evalue);
    json_decref(reply->traceback);
    reply->traceback = json_array();
}

void error_describe(lua_State *L, int index, struct cell_reply *reply)
{
    struct session *s = session_of(L);
    int top = lua_gettop(L);
    struct description d = {.ename = "Error", .column = -1};

    index = lua_absindex(L, index);
    luaL_checkstack(L, 20, NULL);
    d.evalue = session_buf(L, BUF_TEXT_MAX);
    d.hint = session_buf(L, 1 << 16);
    d.cause = session_buf(L, 1 << 16);
    describe_value(L, index, &d);
    if (s->problem.syntax) { /* nothing has run: the place is the message's */
        frames_clear(&s->frames);
        s->frames.n = d.line > 0;
        s->frames.list[0] = (struct frame){.line = d.line};
        memcpy(s->frames.list[0].source, d.source, sizeof d.source);
        d.column = s->problem.column;
    } else if (s->problem.line == d.line || d.line == 0) {
        d.column = s->problem.column;
    }
    if (s->problem.sure)
        buf_clear(d.hint);
    if (!d.hint->len && *s->problem.hint)
        buf_puts(d.hint, s->problem.hint);
    set_reply(reply, d.ename, buf_str(d.evalue));
    if (own_traceback(L, index, reply->traceback))
        traceback_given(L, &d, reply->traceback);
    else
        traceback_write(L, reply->traceback, &s->frames, &d);
    lua_settop(L, top);
}

void error_interrupted(struct session *s, struct cell_reply *reply)
{
    lua_State *L = s->L;
    int top = lua_gettop(L);
    struct description d = {.ename = lc_ename(s->heap.ended ? LC_NOMEM : LC_CANCELLED), .column = -1};

    d.evalue = session_buf(L, 1 << 10);
    d.hint = session_buf(L, 1 << 10);
    d.cause = session_buf(L, 64);
    if (s->heap.ended) {
        buf_printf(d.evalue, "not enough memory, %u times: the cell caught the error and went on",
                   s->heap.ceiling.failures);
        hint_at_limit(s, d.hint);
    } else {
        buf_puts(d.evalue, "interrupted");
    }
    set_reply(reply, d.ename, buf_str(d.evalue));
    traceback_write(L, reply->traceback, &s->frames, &d);
    lua_settop(L, top);
}

void error_line(lua_State *L, int index, struct buf *out)
{
    int top = lua_gettop(L);
    struct description d = {.ename = "Error", .column = -1};

    index = lua_absindex(L, index);
    d.evalue = session_buf(L, 1 << 16);
    d.hint = session_buf(L, 1 << 16);
    d.cause = session_buf(L, 1 << 16);
    describe_value(L, index, &d);
    buf_printf(out, "%s: %s", d.ename, buf_str(d.evalue));
    lua_settop(L, top);
}
