#include "runtime/session/shell.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include "runtime/session/cell.h"
#include "runtime/session/hook.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLOSERS = 8 }; /* how many } are tried as the end of an expression */

/* ---- running ---- */
struct target {
    struct session *s;
    const struct shell_job *job;
};

static void on_output(void *arg, int stream, const char *data, size_t len)
{
    const struct target *t = arg;
    struct buf *kept = stream == 2 ? t->job->err : t->job->out;

    if (kept)
        buf_add(kept, data, len);
    else
        session_print(t->s, stream == 2 ? STREAM_STDERR : STREAM_STDOUT, data, len);
}

int shell_run(lua_State *L, const struct shell_job *job)
{
    struct target t = {session_of(L), job};
    struct err err;
    int status = 0;

    session_flush(t.s);
    if (process_run(session_ctx(t.s), job->argv, job->input, on_output, &t, &status, &err) != LC_OK)
        session_raise(L, &err);
    if (status != 0 && !job->may_fail) {
        err_set(&err, LC_RUNTIME, "'%s' ended with exit status %d", job->argv[0], status);
        session_raise(L, &err);
    }
    return status;
}

/* Has the front end a terminal to give to this command? What holds a secret is shown by us, who mask it. */
static bool on_terminal(struct session *s, const char *command)
{
    const struct frontend *f = session_frontend(s);

    return f->ops && f->ops->foreground && !session_masked(s, command, strlen(command));
}

static int run_foreground(lua_State *L, const char *const *argv)
{
    struct session *s = session_of(L);
    const struct frontend *f = session_frontend(s);
    struct err err;
    int status = 0;
    enum lc rc;

    session_flush(s);
    rc = f->ops->foreground(f->self, session_ctx(s), argv, &status, &err);
    if (rc == LC_CANCELLED) { /* Ctrl-C was the command's, and means the whole cell */
        hook_request(s, HOOK_INTERRUPT);
        return hook_strike(L);
    }
    if (rc != LC_OK)
        session_raise(L, &err);
    return status;
}

bool shell_has(const char *program)
{
    const char *path = getenv("PATH");

    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    for (const char *at = path ? path : ""; *at;) {
        size_t n = strcspn(at, ":");
        char *file = mem_printf("%.*s/%s", (int)n, at, program);
        bool there = file && access(file, X_OK) == 0;
        mem_free(file);
        if (there)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

/* ---- variables ---- */
static int l_name(lua_State *L) /* __index of the names: carried locals, then globals */
{
    size_t len;
    const char *name = luaL_checklstring(L, 2, &len);

    if (!cell_local(L, name, len))
        lua_getglobal(L, name);
    return 1;
}

/* The locals of the function that wrote the line, into the table on the top; later ones win. */
static void copy_locals(lua_State *L, lua_Debug *ar)
{
    const char *name;

    lua_getinfo(L, "f", ar);
    for (int i = 1; (name = lua_getupvalue(L, -1, i)) != NULL; i++) {
        if (*name && *name != '_')
            lua_setfield(L, -3, name);
        else
            lua_pop(L, 1);
    }
    lua_pop(L, 1);
    for (int i = 1; (name = lua_getlocal(L, ar, i)) != NULL; i++) {
        if (*name != '(')
            lua_setfield(L, -2, name);
        else
            lua_pop(L, 1);
    }
}

static void push_names(lua_State *L)
{
    lua_Debug ar;

    lua_newtable(L);
    if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) && *ar.what != 'C')
        copy_locals(L, &ar);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_name);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

/* A value that has a text replaces itself by it; else false, and it is popped. */
static bool to_text(lua_State *L)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING:
    case LUA_TNUMBER:
        return true;
    case LUA_TBOOLEAN:
        break;
    default:
        if (luaL_getmetafield(L, -1, "__shell") == LUA_TFUNCTION) {
            lua_insert(L, -2);
            lua_call(L, 1, 1);
            return true;
        }
        lua_settop(L, lua_gettop(L));
        if (luaL_getmetafield(L, -1, "__tostring") == LUA_TNIL) {
            lua_pop(L, 1);
            return false;
        }
        lua_pop(L, 1);
    }
    luaL_tolstring(L, -1, NULL);
    lua_remove(L, -2);
    return true;
}

/* Pushes the text of an expression's value; false: it has none. names is the index of the table of names. */
static bool evaluate(lua_State *L, int names, const char *text, size_t len)
{
    int top = lua_gettop(L);

    lua_pushfstring(L, "return %s", lua_pushlstring(L, text, len));
    if (luaL_loadbufferx(L, lua_tostring(L, -1), lua_rawlen(L, -1), "=shell", "t") == LUA_OK) {
        lua_pushvalue(L, names);
        lua_setupvalue(L, -2, 1);
        if (lua_pcall(L, 0, LUA_MULTRET, 0) == LUA_OK && lua_gettop(L) == top + 3 && to_text(L)) {
            lua_replace(L, top + 1);
            lua_settop(L, top + 1);
            return true;
        }
        if (hook_stopping(session_of(L)))
            hook_strike(L);
    }
    lua_settop(L, top);
    return false;
}

/* "value:.2f": what fmt("{:.2f}", value) gives. */
static bool evaluate_formatted(lua_State *L, int names, const char *text, size_t len)
{
    const char *colon = memrchr(text, ':', len);
    size_t spec = colon ? (size_t)(text + len - colon - 1) : 0;
    bool ok;

    if (spec == 0 || colon == text || strspn(colon + 1, "abcdefgnoxEFGX%0123456789.,+-<>^_ ") < spec)
        return false;
    lua_pushfstring(L, "fmt(\"{:%s}\", %s)", lua_pushlstring(L, colon + 1, spec),
                    lua_pushlstring(L, text, (size_t)(colon - text)));
    ok = evaluate(L, names, lua_tostring(L, -1), lua_rawlen(L, -1));
    if (ok) /* below it: the texts that it was made of */
        lua_replace(L, -4);
    lua_pop(L, ok ? 2 : 3);
    return ok;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static void add_value(lua_State *L, struct buf *out) /* pops it */
{
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);

    buf_add(out, text, len);
    lua_pop(L, 1);
}

/* At a $: returns what comes after what was read. */
static const char *dollar(lua_State *L, int names, const char *p, struct buf *out)
{
    const char *end = p + 1;

    if (*end == '$') { /* $$name: $name for the shell; $$ alone is its process id */
        buf_puts(out, word_char(p[2]) ? "$" : "$$");
        for (p += 2; word_char(*p); p++)
            buf_putc(out, *p);
        return p;
    }
    if (*end == '{') { /* ${name} is the shell's */
        size_t n = strcspn(p, "}\n");
        buf_add(out, p, n);
        return p + n;
    }
    if (!isdigit((unsigned char)*end))
        while (word_char(*end) || (*end == '.' && end > p + 1 && isalpha((unsigned char)end[1])))
            end++;
    for (const char *stop = end; stop > p + 1; stop--) { /* name.field, else name */
        if (stop < end && *stop != '.')
            continue;
        if (evaluate(L, names, p + 1, (size_t)(stop - p - 1))) {
            add_value(L, out);
            return stop;
        }
    }
    buf_putc(out, '$');
    return p + 1;
}

/* At a {. */
static const char *brace(lua_State *L, int names, const char *p, struct buf *out)
{
    const char *stop = p;

    if (p[1] == '{') {
        buf_putc(out, '{');
        return p + 2;
    }
    for (int i = 0; i < CLOSERS && (stop = strpbrk(stop + 1, "}\n")) != NULL && *stop == '}'; i++) {
        size_t len = (size_t)(stop - p - 1);
        if (len && (evaluate(L, names, p + 1, len) || evaluate_formatted(L, names, p + 1, len))) {
            add_value(L, out);
            return stop + 1;
        }
    }
    buf_putc(out, '{');
    return p + 1;
}

const char *shell_expand(lua_State *L, const char *text)
{
    struct buf *out;
    int names;

    if (!strpbrk(text, "${}"))
        return lua_pushstring(L, text);
    push_names(L);
    names = lua_gettop(L);
    out = session_buf(L, BUF_TEXT_MAX);
    for (const char *p = text; *p;) {
        if (*p == '$') {
            p = dollar(L, names, p, out);
        } else if (*p == '{') {
            p = brace(L, names, p, out);
        } else {
            buf_putc(out, *p);
            p += *p == '}' && p[1] == '}' ? 2 : 1;
        }
    }
    lua_pushlstring(L, buf_str(out), out->len);
    lua_replace(L, names);
    lua_settop(L, names);
    return lua_tostring(L, -1);
}

/* ---- lines ---- */
static void shell_push_lines(lua_State *L, const char *text, size_t len)
{
    const char *p = text, *end = text + len;

    session_require(L, "lacus.lines");
    lua_newtable(L);
    for (lua_Integer i = 1; p < end; i++) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        lua_pushlstring(L, p, (size_t)((stop ? stop : end) - p));
        lua_rawseti(L, -2, i);
        p = stop ? stop + 1 : end;
    }
    lua_call(L, 1, 1);
}

/* Pushes a command for the terminal. A single program takes the shell's place: a shell that waits for it would die of a Ctrl-C
 * that the program, an interpreter say, had taken well. */
static const char *push_alone(lua_State *L, const char *command)
{
    const char *first = command + strspn(command, " \t"), *word;
    size_t len = strcspn(first, " \t");

    word = lua_pushlstring(L, first, len);
    for (size_t i = 0; i < len; i++)
        if (!word_char(first[i]) && !strchr("./+-", first[i]))
            return command;
    return len && !strpbrk(first, ";&|(){}\n") && shell_has(word) ? lua_pushfstring(L, "exec %s", first)
                                                                  : command;
}

/* Of several programs, one may take a Ctrl-C well and the next are to run then: `python3 && make`. bash sees to that, where other
 * shells end the line; as a POSIX shell whose echo knows \\n it is what /bin/sh is elsewhere. */
static int on_foreground(lua_State *L, const char *command)
{
    static const char bash[] = "/bin/bash";
    const char *alone = push_alone(L, command);
    const char *plain[] = {"/bin/sh", "-c", alone, NULL},
               *several[] = {bash, "--posix", "-O", "xpg_echo", "-c", command, "/bin/sh", NULL};

    return run_foreground(L, alone == command && shell_has(bash) ? several : plain);
}

int shell_line(lua_State *L, const char *command, bool value)
{
    const char *argv[] = {"/bin/sh", "-c", shell_expand(L, command), NULL};
    struct shell_job job = {
        .argv = argv, .out = value ? session_buf(L, BUF_TEXT_MAX) : NULL, .may_fail = true};

    if (!value && on_terminal(session_of(L), argv[2]))
        lua_pushinteger(L, on_foreground(L, argv[2]));
    else
        lua_pushinteger(L, shell_run(L, &job));
    lua_setglobal(L, "_exit_code");
    if (!value)
        return 0;
    shell_push_lines(L, buf_str(job.out), job.out->len);
    return 1;
}
