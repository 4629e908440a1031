/* Breakpoints: setting them, where they are, and whether one stops here: its condition, its count, its message. */
#include "runtime/session/debug_int.h"
#include "runtime/session/lines.h"
#include "runtime/session/session_int.h"
#include <stdlib.h>
#include <string.h>

static void breakpoint_release(struct breakpoint *b)
{
    mem_free(b->condition);
    mem_free(b->hit);
    mem_free(b->log);
}

static void source_free(struct source *src)
{
    for (size_t i = 0; i < src->n; i++)
        breakpoint_release(&src->list[i]);
    mem_free(src->list);
    mem_free(src->path);
    mem_free(src);
}

void debug_forget_breakpoints(struct debug *d)
{
    while (d->sources) {
        struct source *src = d->sources;
        d->sources = src->next;
        source_free(src);
    }
    d->n_breakpoints = 0;
    for (size_t i = 0; i < sizeof d->line_bits; i++)
        atomic_store(&d->line_bits[i], 0);
}

/* ---- setting ---- */
static bool copy_text(json_t *from, const char *name, char **out)
{
    json_t *text = json_object_get(from, name);
    size_t len = json_string_length(text);

    if (!json_is_string(text) || len == 0)
        return true;
    if (len > DEBUG_TEXT_MAX)
        return false;
    *out = mem_strndup(json_string_value(text), len);
    return *out != NULL;
}

static bool fill_breakpoint(struct breakpoint *b, json_t *from)
{
    json_int_t line = json_integer_value(json_object_get(from, "line"));

    *b = (struct breakpoint){.line = line > 0 && line < 1 << 30 ? (int)line : 0};
    return copy_text(from, "condition", &b->condition) && copy_text(from, "hitCondition", &b->hit) &&
           copy_text(from, "logMessage", &b->log);
}

static json_t *answer_one(const struct breakpoint *b, const char *path, const char *problem)
{
    json_t *one = json_pack("{sisbsis{ss}}", "id", b->id, "verified", b->verified, "line", b->line, "source",
                            "path", path);

    if (problem)
        json_object_set_new(one, "message", json_string(problem));
    return one;
}

struct count {
    char op[3];
    long n;
};

/* "5": the fifth time; ">5", ">=5", "<5", "<=5", "==5", "%5": every fifth. What is none of these always holds. */
static bool read_count(const char *text, struct count *want)
{
    static const char *const ops[] = {"", "=", "==", ">", ">=", "<", "<=", "%"};
    size_t n = strspn(text += strspn(text, " "), "<>=%");
    char *end;

    want->n = strtol(text + n, &end, 10);
    if (end == text + n || end[strspn(end, " ")])
        return false;
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strlen(ops[i]) == n && strncmp(ops[i], text, n) == 0) {
            memcpy(want->op, ops[i], n + 1);
            return true;
        }
    return false;
}

static const char *wrong_count(const struct breakpoint *b, struct err *problem)
{
    struct count want;

    if (!b->hit || !b->hit[strspn(b->hit, " ")] || read_count(b->hit, &want))
        return NULL;
    err_set(problem, LC_ARG, "the hit count '%s' is none of 5, ==5, >5, >=5, <5, <=5, %%5: it always holds",
            b->hit);
    return problem->message;
}

/* A condition and what stands in the braces of a message are expressions: a slip like 'i = 4' must not change the program. */
static void put_expression(struct buf *out, const char *text, size_t len)
{
    static const char word[] = "return";
    size_t blank = strspn(text, " \t\n");

    if (blank > len || strncmp(text + blank, word, sizeof word - 1) != 0)
        buf_puts(out, "return ");
    buf_add(out, text, len);
}

/* Does the condition compile? One that does not is told here; it stops, so that it is seen there too. */
static const char *wrong_condition(const struct breakpoint *b, struct err *problem)
{
    struct buf text = BUF_INIT(DEBUG_TEXT_MAX + 16);
    struct lines lines;
    struct err why;
    enum lc rc;

    if (!b->condition)
        return NULL;
    put_expression(&text, b->condition, strlen(b->condition));
    rc = lines_of(buf_str(&text), text.len, &lines, &why);
    buf_release(&text);
    if (rc == LC_OK) {
        lines_release(&lines);
        return NULL;
    }
    err_set(problem, LC_SYNTAX, "the condition '%s' is no Lua expression: %s", b->condition, why.message);
    return problem->message;
}

/* To the next line that has code. `lines` NULL: the text cannot be read; the breakpoint waits for a chunk of that name. */
static const char *place(struct breakpoint *b, const struct lines *lines, const struct err *problem)
{
    int line;

    b->verified = false;
    if (b->line <= 0)
        return "lines are whole numbers from 1";
    if (!lines) {
        b->verified = problem->code == LC_NOTFOUND;
        return b->verified ? NULL : problem->message;
    }
    line = lines_next(lines, b->line);
    b->verified = line > 0;
    if (!b->verified)
        return "there is no code at this line or after it";
    b->line = line;
    return NULL;
}

static void count_locked(struct debug *d)
{
    unsigned char bits[sizeof d->line_bits] = {0};

    d->n_breakpoints = 0;
    for (struct source *src = d->sources; src; src = src->next)
        for (size_t i = 0; i < src->n; i++) {
            int line = (src->list[i].line - src->shift) % DEBUG_LINE_BITS; /* as the hook sees it */
            d->n_breakpoints += src->list[i].verified;
            if (src->list[i].verified && line >= 0)
                bits[line / 8] |= (unsigned char)(1 << line % 8);
        }
    for (size_t i = 0; i < sizeof bits; i++)
        atomic_store(&d->line_bits[i], bits[i]);
}

static void put_source_locked(struct debug *d, struct source *src, const char *path)
{
    for (struct source **at = &d->sources, *old; (old = *at) != NULL;)
        if (strcmp(old->path, path) == 0) {
            *at = old->next;
            source_free(old);
        } else {
            at = &old->next;
        }
    if (src->n > 0) {
        src->next = d->sources;
        d->sources = src;
    } else {
        source_free(src);
    }
    count_locked(d);
    debug_rearm_locked(d);
}

static struct source *make_source(const char *path, json_t *list, struct err *err)
{
    struct source *src = mem_zalloc(sizeof *src);
    size_t n = json_array_size(list);
    bool ok = src && (src->path = mem_strdup(path)) != NULL &&
              (src->list = mem_calloc(n + 1, sizeof *src->list)) != NULL;

    for (; ok && src->n < n; src->n++)
        if (!fill_breakpoint(&src->list[src->n], json_array_get(list, src->n))) {
            breakpoint_release(&src->list[src->n]);
            ok = false;
        }
    if (ok)
        return src;
    if (src)
        source_free(src);
    err_set(err, LC_LIMIT, "a breakpoint's text has more than %d bytes, or there is no memory",
            DEBUG_TEXT_MAX);
    return NULL;
}

static enum lc read_lines(const char *path, const char *known, struct lines *lines, struct err *err)
{
    struct buf text = BUF_INIT(64 << 20);
    enum lc rc;

    if (known)
        return lines_of(known, strlen(known), lines, err);
    rc = debug_read_file(path, &text, err);
    if (rc == LC_OK)
        rc = lines_of(buf_str(&text), text.len, lines, err);
    buf_release(&text);
    return rc;
}

json_t *debug_set_breakpoints(struct debug *d, const char *path, const char *text, json_t *list,
                              struct err *err)
{
    struct lines lines = {0};
    struct err problem = {.code = LC_OK}, wrong;
    struct source *src;
    json_t *answer = json_array();
    bool known = json_array_size(list) > 0 && read_lines(path, text, &lines, &problem) == LC_OK;

    if (json_array_size(list) > DEBUG_BREAKPOINTS_MAX) {
        err_set(err, LC_LIMIT, "more than %d breakpoints", DEBUG_BREAKPOINTS_MAX);
        src = NULL;
    } else {
        src = make_source(path, list, err);
    }
    if (src) {
        src->shift = lines.shift;
        pthread_mutex_lock(&d->lock);
        for (size_t i = 0; i < src->n; i++) {
            const char *why = place(&src->list[i], known ? &lines : NULL, &problem);
            why = why ? why : wrong_condition(&src->list[i], &wrong);
            why = why ? why : wrong_count(&src->list[i], &wrong);
            src->list[i].id = ++d->last_breakpoint;
            json_array_append_new(answer, answer_one(&src->list[i], path, why));
        }
        put_source_locked(d, src, path);
        pthread_mutex_unlock(&d->lock);
    }
    lines_release(&lines);
    if (src)
        return answer;
    json_decref(answer);
    return NULL;
}

json_t *debug_breakpoints(struct debug *d)
{
    json_t *all = json_array();

    pthread_mutex_lock(&d->lock);
    for (struct source *src = d->sources; src; src = src->next) {
        json_t *list = json_array();
        for (size_t i = 0; i < src->n; i++) {
            const struct breakpoint *b = &src->list[i];
            json_t *one = json_pack("{si}", "line", b->line);
            if (b->condition)
                json_object_set_new(one, "condition", json_string(b->condition));
            if (b->hit)
                json_object_set_new(one, "hitCondition", json_string(b->hit));
            if (b->log)
                json_object_set_new(one, "logMessage", json_string(b->log));
            json_array_append_new(list, one);
        }
        json_array_append_new(all, json_pack("{ssso}", "source", src->path, "breakpoints", list));
    }
    pthread_mutex_unlock(&d->lock);
    return all;
}

/* ---- is it here ---- */
struct hit { /* what of a breakpoint has to be looked at without the lock */
    int id;
    char *condition, *hit, *log; /* owned */
};
enum { HITS = 8 };

static size_t find_hits(struct debug *d, const char *path, int line, struct hit *hits)
{
    size_t n = 0;

    pthread_mutex_lock(&d->lock);
    for (struct source *src = d->sources; src; src = src->next) {
        if (strcmp(src->path, path) != 0)
            continue;
        for (size_t i = 0; i < src->n && n < HITS; i++) {
            const struct breakpoint *b = &src->list[i];
            if (b->line == line && b->verified)
                hits[n++] =
                    (struct hit){b->id, b->condition ? mem_strdup(b->condition) : NULL,
                                 b->hit ? mem_strdup(b->hit) : NULL, b->log ? mem_strdup(b->log) : NULL};
        }
    }
    pthread_mutex_unlock(&d->lock);
    return n;
}

static long count_hit(struct debug *d, int id)
{
    long hits = 0;

    pthread_mutex_lock(&d->lock);
    for (struct source *src = d->sources; src; src = src->next)
        for (size_t i = 0; i < src->n; i++)
            if (src->list[i].id == id)
                hits = ++src->list[i].hits;
    pthread_mutex_unlock(&d->lock);
    return hits;
}

static bool hit_holds(const char *text, long hits)
{
    struct count want;

    if (!read_count(text, &want))
        return true;
    if (*want.op == '%')
        return want.n <= 0 || hits % want.n == 0;
    if (*want.op == '>')
        return want.op[1] ? hits >= want.n : hits > want.n;
    if (*want.op == '<')
        return want.op[1] ? hits <= want.n : hits < want.n;
    return hits == want.n;
}

struct frame_question { /* a text asked of the frame on top of L */
    lua_State *at;
    const char *text;
    bool log;
    bool truth;
    struct buf *out;
};

static enum lc ask(struct debug_call *c, struct debug_frame *f, const char *text, size_t len)
{
    struct buf *expression = session_buf(c->L, len + 64);
    int n;
    enum lc rc;

    put_expression(expression, text, len);
    rc = debug_run(c->d, c->L, f, buf_str(expression), expression->len, &n, c->err);
    if (rc == LC_OK && n == 0)
        lua_pushnil(c->L);
    else if (rc == LC_OK)
        lua_settop(c->L, lua_gettop(c->L) - n + 1);
    if (rc == LC_OK)
        lua_remove(c->L, -2); /* the text */
    return rc;
}

/* The brace that closes the one at p: those of tables and of texts in between are not it. NULL: none does. */
static const char *closing_brace(const char *p)
{
    char quote = 0;

    for (int depth = 0; *p; p++) {
        if (quote && *p == '\\' && p[1])
            p++;
        else if (quote)
            quote = *p == quote ? 0 : quote;
        else if (*p == '"' || *p == '\'')
            quote = *p;
        else if (*p == '{')
            depth++;
        else if (*p == '}' && --depth == 0)
            return p;
    }
    return NULL;
}

/* The texts between braces are replaced by their values. */
static enum lc fill_log(struct debug_call *c, struct debug_frame *f, const char *text, struct buf *out)
{
    for (const char *p = text; *p;) {
        const char *end = *p == '{' ? closing_brace(p) : NULL;
        size_t len;
        if (!end) {
            buf_putc(out, *p++);
            continue;
        }
        TRY(ask(c, f, p + 1, (size_t)(end - p - 1)));
        if (lua_type(c->L, -1) == LUA_TSTRING) {
            const char *value = lua_tolstring(c->L, -1, &len);
            buf_utf8(out, value, len);
        } else {
            debug_value_text(c->L, -1, out);
        }
        lua_pop(c->L, 1);
        p = end + 1;
    }
    return LC_OK;
}

/* args carries the question as an address: this never leaves the process. */
static enum lc ask_frame(struct debug_call *c)
{
    struct frame_question *q =
        (struct frame_question *)(uintptr_t)json_integer_value(json_object_get(c->args, "q"));
    struct debug_frame *f;
    lua_Debug ar;
    enum lc rc;

    if (!lua_getstack(q->at, 0, &ar) || !(f = debug_frame_add(c->d, q->at, &ar)))
        return err_nomem(c->err);
    rc = q->log ? fill_log(c, f, q->text, q->out) : ask(c, f, q->text, strlen(q->text));
    q->truth = rc == LC_OK && !q->log && lua_toboolean(c->L, -1);
    debug_frames_forget(c->d);
    return rc;
}

static enum lc question(struct debug *d, struct frame_question *q, struct err *err)
{
    json_t *args = json_pack("{sI}", "q", (json_int_t)(uintptr_t)q), *none = NULL;
    enum lc rc = args ? debug_protected(d, ask_frame, args, &none, err) : err_nomem(err);

    json_decref(args);
    json_decref(none);
    return rc;
}

static void complain(struct session *s, const char *what, const char *text, const struct err *err)
{
    struct buf out = BUF_INIT(DEBUG_TEXT_MAX * 2);

    buf_printf(&out, "the breakpoint's %s '%s' failed: %s\n", what, text, err->message);
    session_print(s, STREAM_STDERR, buf_str(&out), out.len);
    buf_release(&out);
}

static void write_log(struct debug *d, struct session *s, lua_State *L, const char *text)
{
    struct buf out = BUF_INIT(1 << 20);
    struct frame_question q = {.at = L, .text = text, .log = true, .out = &out};
    struct err err;

    if (question(d, &q, &err) != LC_OK)
        complain(s, "message", text, &err);
    buf_putc(&out, '\n');
    if (buf_ok(&out))
        session_print(s, STREAM_STDOUT, buf_str(&out), out.len);
    buf_release(&out);
}

/* Does this one stop? A condition that fails does, so that it is seen. */
static bool stops(struct debug *d, struct session *s, lua_State *L, const struct hit *h)
{
    struct frame_question q = {.at = L, .text = h->condition};
    struct err err;

    if (h->condition) {
        if (question(d, &q, &err) != LC_OK)
            complain(s, "condition", h->condition, &err);
        else if (!q.truth)
            return false;
    }
    if (!hit_holds(h->hit ? h->hit : "", count_hit(d, h->id)))
        return false;
    if (h->log)
        write_log(d, s, L, h->log);
    return !h->log;
}

/* [ids] of the breakpoints that stop here, or NULL. */
json_t *debug_breakpoints_here(struct debug *d, struct session *s, lua_State *L, const char *path, int line)
{
    struct hit hits[HITS];
    size_t n = find_hits(d, path, line, hits);
    json_t *ids = NULL;

    for (size_t i = 0; i < n; i++) {
        if (stops(d, s, L, &hits[i])) {
            ids = ids ? ids : json_array();
            json_array_append_new(ids, json_integer(hits[i].id));
        }
        mem_free(hits[i].condition);
        mem_free(hits[i].hit);
        mem_free(hits[i].log);
    }
    return ids;
}
