/* %debug: a prompt inside of a statement that is run step by step, or of the error that ended the last cell. */
#include "runtime/session/debug.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { AROUND = 5, LAST = 256 };

struct prompt { /* while it stands; lives in a userdata */
    lua_State *L;
    struct session *s;
    struct debug *d;
    bool ours, attached, post; /* ours: made for this; attached: was before */
    unsigned filters;          /* what stopped before */
    json_t *frames;            /* owned */
    size_t at;                 /* the frame that is looked at, 0: the innermost */
    enum debug_order order;    /* how to go on; DEBUG_WAIT: asks again */
    char last[LAST];
    struct buf *out; /* owned by L */
};

/* ---- asking the debugger ---- */
static json_t *ask(struct prompt *p, const char *command, json_t *args)
{
    struct err err;
    json_t *body = debug_do(p->d, command, args, &err);

    json_decref(args);
    if (!body)
        line_print(p->L, "%s\n", err.message);
    return body;
}

static json_t *frame(struct prompt *p)
{
    return json_array_get(p->frames, p->at);
}

static json_int_t frame_id(struct prompt *p)
{
    return json_integer_value(json_object_get(frame(p), "id"));
}

static const char *text_in(json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static json_t *source_of(struct prompt *p)
{
    return json_object_get(frame(p), "source");
}

static void load_frames(struct prompt *p)
{
    json_t *stopped = debug_stopped(p->d), *body;
    json_t *id = json_array_get(stopped, 0);

    json_decref(p->frames);
    body = ask(p, "stackTrace", json_pack("{s:I}", "threadId", id ? json_integer_value(id) : (json_int_t)1));
    p->frames = json_incref(json_object_get(body, "stackFrames"));
    p->at = 0;
    json_decref(body);
    json_decref(stopped);
}

/* ---- showing ---- */
static void print_frame(struct prompt *p, size_t i)
{
    json_t *f = json_array_get(p->frames, i);

    line_print(p->L, "%s %2zu  %s  (%s:%lld)\n", i == p->at ? ">" : " ", i, text_in(f, "name"),
               text_in(json_object_get(f, "source"), "name"),
               (long long)json_integer_value(json_object_get(f, "line")));
}

static void print_lines(struct prompt *p, const char *text, long long here, int around)
{
    long long number = 1;

    for (const char *line = text; line && *line; number++) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        if (number >= here - around && number <= here + around)
            line_print(p->L, "%s %4lld  %.*s\n", number == here ? "->" : "  ", number,
                       (int)(len < 400 ? len : 400), line);
        line = end ? end + 1 : NULL;
    }
}

static void show_source(struct prompt *p, int around)
{
    json_t *body = source_of(p) ? ask(p, "source", json_pack("{s:O}", "source", source_of(p))) : NULL;

    if (body)
        print_lines(p, text_in(body, "content"), json_integer_value(json_object_get(frame(p), "line")),
                    around);
    json_decref(body);
}

static void where_now(struct prompt *p)
{
    if (!frame(p))
        return;
    print_frame(p, p->at);
    show_source(p, 0);
}

static void print_scope(struct prompt *p, const char *name)
{
    json_t *body = ask(p, "scopes", json_pack("{s:I}", "frameId", frame_id(p))), *variables = NULL, *v;
    size_t i;

    json_array_foreach (json_object_get(body, "scopes"), i, v)
        if (strcmp(text_in(v, "name"), name) == 0)
            variables =
                ask(p, "variables",
                    json_pack("{s:O}", "variablesReference", json_object_get(v, "variablesReference")));
    if (variables && json_array_size(json_object_get(variables, "variables")) == 0)
        line_print(p->L, "none\n");
    json_array_foreach (json_object_get(variables, "variables"), i, v)
        line_print(p->L, "%s = %s\n", text_in(v, "name"), text_in(v, "value"));
    json_decref(variables);
    json_decref(body);
}

/* ---- commands ---- */
typedef void command_fn(struct prompt *p, const char *rest);

static void do_where(struct prompt *p, const char *rest)
{
    (void)rest;
    for (size_t i = 0; i < json_array_size(p->frames); i++)
        print_frame(p, i);
}

static size_t count_of(const char *rest)
{
    long n = strtol(rest, NULL, 10);
    return n > 0 ? (size_t)n : 1;
}

static void do_up(struct prompt *p, const char *rest)
{
    size_t n = json_array_size(p->frames);

    if (p->at + 1 >= n)
        line_print(p->L, "this is the outermost frame\n");
    else
        p->at = p->at + count_of(rest) < n ? p->at + count_of(rest) : n - 1;
    where_now(p);
}

static void do_down(struct prompt *p, const char *rest)
{
    if (p->at == 0)
        line_print(p->L, "this is the innermost frame\n");
    else
        p->at -= count_of(rest) < p->at ? count_of(rest) : p->at;
    where_now(p);
}

static void do_print(struct prompt *p, const char *rest)
{
    json_t *args = json_pack("{s:s, s:s}", "expression", rest, "context", "repl"), *body;

    if (args && frame(p))
        json_object_set_new(args, "frameId", json_integer(frame_id(p)));
    body = ask(p, "evaluate", args);
    if (body && *text_in(body, "result"))
        line_print(p->L, "%s\n", text_in(body, "result"));
    json_decref(body);
}

static void do_locals(struct prompt *p, const char *rest)
{
    (void)rest;
    print_scope(p, "Locals");
}

static void do_upvalues(struct prompt *p, const char *rest)
{
    (void)rest;
    print_scope(p, "Upvalues");
}

static void do_globals(struct prompt *p, const char *rest)
{
    (void)rest;
    print_scope(p, "Globals");
}

static void do_list(struct prompt *p, const char *rest)
{
    (void)rest;
    show_source(p, AROUND);
}

static void go(struct prompt *p, enum debug_order order)
{
    if (p->post)
        line_print(p->L, "the error is over: it can only be looked at\n");
    else
        p->order = order;
}

static void do_next(struct prompt *p, const char *rest)
{
    (void)rest;
    go(p, DEBUG_OVER);
}

static void do_step(struct prompt *p, const char *rest)
{
    (void)rest;
    go(p, DEBUG_IN);
}

static void do_out(struct prompt *p, const char *rest)
{
    (void)rest;
    go(p, DEBUG_OUT);
}

static void do_continue(struct prompt *p, const char *rest)
{
    (void)rest;
    go(p, DEBUG_CONTINUE);
}

static void do_quit(struct prompt *p, const char *rest)
{
    (void)rest;
    p->order = p->post ? DEBUG_CONTINUE : DEBUG_ABORT;
}

/* The breakpoints of a source, as a new list. */
static json_t *breakpoints_of(struct prompt *p, const char *path)
{
    json_t *all = debug_breakpoints(p->d), *source, *list = NULL;
    size_t i;

    json_array_foreach (all, i, source)
        if (strcmp(text_in(source, "source"), path) == 0)
            list = json_incref(json_object_get(source, "breakpoints"));
    json_decref(all);
    return list ? list : json_array();
}

static void print_breakpoints(struct prompt *p)
{
    json_t *all = debug_breakpoints(p->d), *source, *one;
    size_t i, n;

    if (json_array_size(all) == 0)
        line_print(p->L, "no breakpoints\n");
    json_array_foreach (all, i, source)
        json_array_foreach (json_object_get(source, "breakpoints"), n, one)
            line_print(p->L, "%s:%lld%s%s\n", text_in(source, "source"),
                       (long long)json_integer_value(json_object_get(one, "line")),
                       *text_in(one, "condition") ? "  if " : "", text_in(one, "condition"));
    json_decref(all);
}

static void put_breakpoints(struct prompt *p, const char *path, json_t *list)
{
    struct err err;
    json_t *args = json_pack("{s:{s:s}}", "source", "path", path),
           *body = debug_do(p->d, "source", args, &err);
    json_t *answer, *last;

    json_decref(args);
    answer = debug_set_breakpoints(p->d, path, body ? text_in(body, "content") : NULL, list, &err);
    json_decref(body);
    if (!answer) {
        line_print(p->L, "%s\n", err.message);
        return;
    }
    last = json_array_get(answer, json_array_size(answer) - 1);
    if (last && *text_in(last, "message"))
        line_print(p->L, "%s\n", text_in(last, "message"));
    else if (last)
        line_print(p->L, "breakpoint at %s:%lld\n", path,
                   (long long)json_integer_value(json_object_get(last, "line")));
    json_decref(answer);
}

/* "[FILE:]LINE[, CONDITION]" */
static bool parse_place(struct prompt *p, const char *rest, char path[PATH_MAX], long *line,
                        const char **condition)
{
    size_t n = strcspn(rest, ",");
    const char *colon = memrchr(rest, ':', n), *number = colon ? colon + 1 : rest;
    char *end;

    snprintf(path, PATH_MAX, "%.*s", colon ? (int)(colon - rest) : 0, rest);
    if (!colon)
        snprintf(path, PATH_MAX, "%s", text_in(source_of(p), "path"));
    *line = strtol(number, &end, 10);
    *condition = rest[n] ? rest + n + 1 + strspn(rest + n + 1, " ") : NULL;
    return end > number && *line > 0 && *path;
}

static void do_break(struct prompt *p, const char *rest)
{
    char path[PATH_MAX];
    const char *condition;
    json_t *list, *one;
    long line;

    if (!*rest) {
        print_breakpoints(p);
        return;
    }
    if (!parse_place(p, rest, path, &line, &condition)) {
        line_print(p->L, "break [FILE:]LINE[, CONDITION]\n");
        return;
    }
    list = breakpoints_of(p, path);
    one = json_pack("{s:i}", "line", (int)line);
    if (condition)
        json_object_set_new(one, "condition", json_string(condition));
    json_array_append_new(list, one);
    put_breakpoints(p, path, list);
    json_decref(list);
}

static void do_clear(struct prompt *p, const char *rest)
{
    char path[PATH_MAX];
    const char *condition;
    json_t *list, *one;
    size_t i;
    long line;

    if (!parse_place(p, rest, path, &line, &condition)) {
        line_print(p->L, "clear [FILE:]LINE\n");
        return;
    }
    list = breakpoints_of(p, path);
    for (i = json_array_size(list); i-- > 0;) {
        one = json_array_get(list, i);
        if (json_integer_value(json_object_get(one, "line")) == line)
            json_array_remove(list, i);
    }
    put_breakpoints(p, path, list);
    json_decref(list);
}

static command_fn do_help;

static const struct row {
    const char *name, *brief, *help;
    command_fn *run;
} rows[] = {
    {"where", "w", "the frames, the innermost first", do_where},
    {"bt", "bt", "the same", do_where},
    {"up", "u", "[N] to who called", do_up},
    {"down", "d", "[N] back", do_down},
    {"list", "l", "the text around", do_list},
    {"print", "p", "EXPRESSION, or any statement, in this frame", do_print},
    {"pp", "pp", "the same", do_print},
    {"locals", "lo", "the local variables", do_locals},
    {"args", "args", "the same: arguments are among them", do_locals},
    {"upvalues", "uv", "the variables of the functions around", do_upvalues},
    {"globals", "g", "the session's variables", do_globals},
    {"next", "n", "to the next line of this function", do_next},
    {"step", "s", "to the next line, into what is called", do_step},
    {"out", "r", "until this function returns", do_out},
    {"return", "ret", "the same", do_out},
    {"continue", "c", "until a breakpoint", do_continue},
    {"cont", "cont", "the same", do_continue},
    {"break", "b", "[FILE:]LINE[, CONDITION] sets a breakpoint; alone it lists them", do_break},
    {"clear", "cl", "[FILE:]LINE takes one away", do_clear},
    {"quit", "q", "leaves; what runs is ended", do_quit},
    {"exit", "exit", "the same", do_quit},
    {"help", "h", "this list; what is no command is run as Lua, an empty line repeats", do_help},
};

static void do_help(struct prompt *p, const char *rest)
{
    (void)rest;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        line_print(p->L, "%-9s %-3s %s\n", rows[i].name, rows[i].brief, rows[i].help);
}

static void obey(struct prompt *p, const char *line)
{
    size_t n = strcspn(line, " ");
    const char *rest = line + n + strspn(line + n, " ");

    if (*rest != '=') /* x = 1 is no command */
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if ((strlen(rows[i].name) == n && memcmp(rows[i].name, line, n) == 0) ||
                (strlen(rows[i].brief) == n && memcmp(rows[i].brief, line, n) == 0)) {
                rows[i].run(p, rest);
                return;
            }
    do_print(p, line);
}

/* ---- the prompt ---- */
static bool read_line(struct prompt *p)
{
    const struct frontend *f = session_frontend(p->s);
    struct err err;

    buf_clear(p->out);
    if (!f->ops || !f->ops->input) {
        line_print(p->L, "nobody can be asked here: %%debug needs a terminal or a notebook\n");
        return false;
    }
    session_flush(p->s);
    if (f->ops->input(f->self, session_ctx(p->s), "(debug) ", false, p->out, &err) != LC_OK) {
        if (err.code != LC_CANCELLED)
            line_print(p->L, "%s\n", err.message);
        return false;
    }
    return true;
}

static void tell_error(struct prompt *p)
{
    struct err err;
    json_t *body = debug_do(p->d, "exceptionInfo", NULL, &err);

    if (body)
        line_print(p->L, "error: %s\n", text_in(body, "description"));
    json_decref(body);
}

static int converse(void *self, struct session *s)
{
    struct prompt *p = self;
    const char *line;

    p->order = DEBUG_WAIT;
    tell_error(p);
    load_frames(p);
    where_now(p);
    while (p->order == DEBUG_WAIT) {
        if (!read_line(p))
            return DEBUG_ABORT;
        line = buf_str(p->out) + strspn(buf_str(p->out), " \t");
        if (*line)
            snprintf(p->last, sizeof p->last, "%s", line);
        else
            line = p->last;
        if (*line)
            obey(p, line);
    }
    (void)s;
    return p->order;
}

static int leave(lua_State *L)
{
    struct prompt *p = lua_touserdata(L, 1);

    if (!p->d)
        return 0;
    debug_set_console(p->d, NULL, NULL);
    debug_close_error(p->d);
    debug_set_filters(p->d, p->filters);
    if (!p->attached)
        debug_attach(p->d, false);
    if (p->ours) {
        debug_unbind(p->d);
        debug_free(p->d);
    }
    p->d = NULL;
    json_decref(p->frames);
    p->frames = NULL;
    return 0;
}

static struct prompt *enter(lua_State *L)
{
    static const struct debug_front plain = {.prefix = "cell:", .suffix = ""};
    struct buf *out = session_buf(L, 1 << 16);
    struct prompt *p = session_slot(L, sizeof *p, "lacus.debug", leave);
    struct err err;

    *p = (struct prompt){.L = L, .s = session_of(L), .out = out};
    lua_toclose(L, -1);
    p->d = debug_of(p->s);
    if (!p->d) {
        if (debug_new(&plain, &p->d, &err) != LC_OK)
            session_raise(L, &err);
        p->ours = true;
        debug_bind(p->d, p->s);
    }
    p->attached = debug_attached(p->d);
    p->filters = debug_filters(p->d);
    debug_attach(p->d, true);
    debug_set_console(p->d, converse, p);
    return p;
}

int magic_debug(lua_State *L, const char *line, const char *body)
{
    const struct options *o = options_read(L, "debug", line, OPTIONS_REST);
    const char *text = body && *body ? body : o->rest;
    struct prompt *p = enter(L);

    if (*text) {
        debug_set_filters(p->d, p->filters | DEBUG_UNCAUGHT);
        debug_step_next(p->d);
        return session_run_text(L, text, strlen(text), "%debug");
    }
    p->post = debug_open_error(p->d);
    if (!p->post)
        line_print(L, "no cell has ended with an error; %%debug STATEMENT runs one step by step\n");
    else
        converse(p, p->s);
    return 0;
}
