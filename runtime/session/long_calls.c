/* C functions of Lua that block or run for long, made interruptible: string.find and kin, string.rep, os.execute,
 * io.popen.
 *
 * Patterns. Lua's matcher backtracks inside one C call where no hook fires, and jumping out of it is unsafe in the
 * session's state: it may be in malloc, in a collector step, or linking an object. So a call whose cost cannot exceed
 * STEPS by a bound on pattern and length goes straight to Lua's own function, and any other is first rehearsed in a
 * throwaway state with an allocator of its own. Leaving that one is safe: it shares nothing and holds no lock (inside
 * the allocator the jump is put off), and all its blocks are then freed. A rehearsal that ends shows that the real
 * call will. gsub with a function and gmatch are rehearsed as gsub(s, p, ""). The copy of the subject is kept, so a
 * tokenizer copies it once.
 *
 * Children run in a process group of their own and are waited for by pidfd: on an interrupt the group gets SIGINT,
 * half a second later SIGKILL.
 *
 * Still not interruptible: table.sort without a comparator, table.move, table.concat, load, collectgarbage, C
 * modules. The memory ceiling bounds those that allocate. */
#include "runtime/session/capture.h"
#include "runtime/session/session_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define STEPS 1e7

/* ---- patterns ---- */
struct block {
    struct block *next, *prev;
};

struct guard {
    struct session *session;
    lua_State *L;        /* the throwaway state; NULL until needed and after a jump */
    struct block blocks; /* all it has allocated */
    sigjmp_buf jump;
    volatile sig_atomic_t inside, in_alloc, put_off;
    const char *subject; /* the session's string of which L has a copy at index 1 */
    int subject_ref;     /* keeps that string alive, so that its address stays its name */
    lua_CFunction find, match, gmatch, gsub;
};

static void escape(struct session *s) /* in the signal handler */
{
    struct guard *g = s->guard;

    if (g->inside && g->in_alloc)
        g->put_off = 1;
    else if (g->inside)
        siglongjmp(g->jump, 1);
}

static void unlink_block(struct block *b)
{
    b->prev->next = b->next;
    b->next->prev = b->prev;
}

static void link_block(struct guard *g, struct block *b)
{
    b->next = &g->blocks;
    b->prev = g->blocks.prev;
    b->prev->next = b;
    b->next->prev = b;
}

static struct block *change_block(struct guard *g, struct block *b, size_t size)
{
    struct block *changed;

    if (b)
        unlink_block(b);
    if (size == 0) {
        mem_free(b);
        return NULL;
    }
    changed = mem_realloc(b, sizeof *changed + size);
    if (changed || b)
        link_block(g, changed ? changed : b); /* on failure the old one stays */
    return changed;
}

static void *guard_alloc(void *arg, void *p, size_t old, size_t size)
{
    struct guard *g = arg;
    struct block *b;

    (void)old;
    g->in_alloc = 1;
    b = change_block(g, p ? (struct block *)p - 1 : NULL, size);
    g->in_alloc = 0;
    if (g->put_off && g->inside)
        siglongjmp(g->jump, 1);
    return b ? b + 1 : NULL;
}

static void drop(lua_State *L, struct guard *g)
{
    for (struct block *b = g->blocks.next, *next; b != &g->blocks; b = next) {
        next = b->next;
        mem_free(b);
    }
    g->blocks.next = g->blocks.prev = &g->blocks;
    g->L = NULL;
    g->subject = NULL;
    if (L)
        luaL_unref(L, LUA_REGISTRYINDEX, g->subject_ref);
    g->subject_ref = LUA_NOREF;
}

/* An upper bound for the matcher's steps: each repetition and back reference multiplies by the length, each ? by 2. */
static double bound(const char *p, size_t plen, size_t len)
{
    double n = (double)len + 1, steps = plen && *p == '^' ? 1 : n;

    for (size_t i = 0; i < plen && steps < 1e9; i++) {
        if (p[i] == '%' && i + 1 < plen) {
            i++;
            steps *= p[i] == 'b' || (p[i] >= '0' && p[i] <= '9') ? n : 1;
        } else {
            steps *= p[i] == '*' || p[i] == '+' || p[i] == '-' ? n : p[i] == '?' ? 2 : 1;
        }
    }
    return steps;
}

struct rehearsal {
    struct guard *g;
    lua_CFunction f;
    const char *subject, *pattern;
    size_t len, plen;
    lua_Integer init;
};

static int copy_subject(lua_State *H) /* (lightuserdata rehearsal) */
{
    struct rehearsal *r = lua_touserdata(H, 1);

    lua_pushlstring(H, r->subject, r->len);
    return 1;
}

static int rehearsed(lua_State *H) /* (subject, lightuserdata rehearsal) */
{
    struct rehearsal *r = lua_touserdata(H, 2);
    bool replaces = r->f == r->g->gmatch || r->f == r->g->gsub;

    lua_pushcfunction(H, replaces ? r->g->gsub : r->f);
    lua_pushvalue(H, 1);
    lua_pushlstring(H, r->pattern, r->plen);
    if (replaces)
        lua_pushliteral(H, "");
    else
        lua_pushinteger(H, r->init);
    lua_call(H, 3, 0);
    return 0;
}

static bool prepare(lua_State *L, struct rehearsal *r)
{
    struct guard *g = r->g;

    if (!g->L)
        g->L = lua_newstate(guard_alloc, g);
    if (!g->L)
        return false;
    if (r->subject == g->subject)
        return true;
    luaL_unref(L, LUA_REGISTRYINDEX, g->subject_ref);
    g->subject = NULL;
    lua_pushvalue(L, 1);
    g->subject_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_settop(g->L, 0);
    lua_pushcfunction(g->L, copy_subject);
    lua_pushlightuserdata(g->L, r);
    if (lua_pcall(g->L, 1, 1, 0) != LUA_OK)
        return false; /* no memory for a copy: do without */
    g->subject = r->subject;
    return true;
}

/* false: interrupted */
static bool rehearse(lua_State *L, struct rehearsal *r)
{
    struct guard *g = r->g;

    if (!prepare(L, r))
        return true;
    g->put_off = 0;
    if (sigsetjmp(g->jump, 1)) { /* back from the handler, signal mask restored */
        g->inside = 0;
        drop(L, g);
        return false;
    }
    lua_settop(g->L, 1);
    lua_pushcfunction(g->L, rehearsed);
    lua_pushvalue(g->L, 1);
    lua_pushlightuserdata(g->L, r);
    g->inside = 1;
    if (!hook_stopping(g->session))
        (void)lua_pcall(g->L, 2, 0, 0); /* the real call will meet an error again */
    g->inside = 0;
    lua_settop(g->L, 1);
    return true;
}

static int guarded(lua_State *L, lua_CFunction f, struct guard *g)
{
    struct rehearsal r = {.g = g, .f = f, .init = 1};

    if (lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING && g->session->hook.running) {
        r.subject = lua_tolstring(L, 1, &r.len);
        r.pattern = lua_tolstring(L, 2, &r.plen);
        if (lua_isinteger(L, 3))
            r.init = lua_tointeger(L, 3);
        bool plain = f == g->find && lua_toboolean(L, 4);
        if (!plain && bound(r.pattern, r.plen, r.len) > STEPS && !rehearse(L, &r))
            return hook_strike(L);
    }
    return f(L);
}

static int l_find(lua_State *L)
{
    struct guard *g = session_of(L)->guard;
    return guarded(L, g->find, g);
}

static int l_match(lua_State *L)
{
    struct guard *g = session_of(L)->guard;
    return guarded(L, g->match, g);
}

static int l_gmatch(lua_State *L)
{
    struct guard *g = session_of(L)->guard;
    return guarded(L, g->gmatch, g);
}

static int l_gsub(lua_State *L)
{
    struct guard *g = session_of(L)->guard;
    return guarded(L, g->gsub, g);
}

/* Lua's own copies byte by byte for a one-byte string, and sees no interrupt: this one doubles. */
static int l_rep(lua_State *L)
{
    enum { LOOK = 16 << 20 };
    size_t len, separator_len, unit, total;
    const char *text = luaL_checklstring(L, 1, &len);
    lua_Integer n = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &separator_len);
    luaL_Buffer b;

    if (n <= 0 || len + separator_len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if (len + separator_len < len || len + separator_len > (size_t)PTRDIFF_MAX / (size_t)n)
        return luaL_error(L, "resulting string too large");
    unit = len + separator_len;
    total = unit * (size_t)n - separator_len;
    char *out = luaL_buffinitsize(L, &b, unit * (size_t)n);
    memcpy(out, text, len);
    memcpy(out + len, separator, separator_len);
    for (size_t have = unit, k; have < total; have += k) {
        k = have < LOOK ? have : LOOK;
        if (k > total - have)
            k = total - have;
        memcpy(out + have, out, k);
        if (hook_stopping(session_of(L)))
            return hook_strike(L);
    }
    luaL_pushresultsize(&b, total);
    return 1;
}

/* ---- children ---- */

/* On a terminal of our own a child stays in the foreground group, where Ctrl-C reaches it. */
static bool own_group(const struct session *s)
{
    return !(s->real_stdin && isatty(0));
}

static int spawn_shell(struct session *s, const char *command, posix_spawn_file_actions_t *actions,
                       pid_t *pid)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)command, NULL};
    posix_spawnattr_t attr;
    sigset_t none, usual;
    int rc;

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGQUIT);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGXFSZ);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr, (short)((own_group(s) ? POSIX_SPAWN_SETPGROUP : 0) |
                                            POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    rc = posix_spawn(pid, "/bin/sh", actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static void wait_a_moment(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (poll(&p, 1, ms) < 0 && errno == EINTR)
        ;
}

/* Waits for a child; an interrupt ends it and its group. */
static siginfo_t wait_child(struct session *s, pid_t pid)
{
    pid_t target = own_group(s) ? -pid : pid;
    siginfo_t end = {0};
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    if (fd >= 0 && !hook_wait_fd(s, fd, -1)) {
        kill(target, SIGINT);
        wait_a_moment(fd, 500);
        kill(target, SIGKILL); /* also grandchildren that stayed behind */
    }
    if (fd >= 0)
        close(fd);
    while (waitid(P_PID, (id_t)pid, &end, WEXITED) < 0 && errno == EINTR)
        ;
    return end;
}

static int push_end(lua_State *L, const siginfo_t *end)
{
    if (end->si_code == CLD_EXITED && end->si_status == 0)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_pushstring(L, end->si_code == CLD_EXITED ? "exit" : "signal");
    lua_pushinteger(L, end->si_status);
    return 3;
}

static int l_execute(lua_State *L)
{
    struct session *s = session_of(L);
    const char *command = luaL_optstring(L, 1, NULL);
    siginfo_t end;
    pid_t pid;
    int rc;

    if (!command) {
        lua_pushboolean(L, 1);
        return 1;
    }
    capture_flush(s);
    rc = spawn_shell(s, command, NULL, &pid);
    if (rc) {
        errno = rc;
        return luaL_fileresult(L, 0, command);
    }
    end = wait_child(s, pid);
    capture_flush(s);
    if (hook_stopping(s))
        return hook_strike(L);
    return push_end(L, &end);
}

struct program { /* what io.popen gives: a file handle that knows its child */
    luaL_Stream stream;
    pid_t pid;
    bool abandoned; /* nobody will ask how it ended */
};

static void end_child(const struct session *s, pid_t pid)
{
    pid_t target = own_group(s) ? -pid : pid;
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);

    kill(target, SIGTERM);
    if (fd >= 0) {
        wait_a_moment(fd, 100);
        close(fd);
    }
    kill(target, SIGKILL);
}

static int
close_program(lua_State *L) /* the handle's closef; also called by its __gc, so it does not strike */
{
    struct program *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
    siginfo_t end;

    fclose(p->stream.f);
    if (p->abandoned)
        end_child(session_of(L), p->pid);
    end = wait_child(session_of(L), p->pid);
    return push_end(L, &end);
}

static int l_file_gc(lua_State *L) /* upvalue: Lua's own */
{
    struct program *p = lua_touserdata(L, 1);

    if (lua_rawlen(L, 1) == sizeof *p && p->stream.closef == close_program)
        p->abandoned = true;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_call(L, 1, 0);
    return 0;
}

static int open_failed(lua_State *L, const char *command, int errnum)
{
    errno = errnum;
    return luaL_fileresult(L, 0, command);
}

static int l_popen(lua_State *L)
{
    struct session *s = session_of(L);
    const char *command = luaL_checkstring(L, 1), *mode = luaL_optstring(L, 2, "r");
    bool reads = *mode == 'r';
    struct program *p;
    posix_spawn_file_actions_t actions;
    int ends[2], rc;

    luaL_argcheck(L, (*mode == 'r' || *mode == 'w') && mode[1] == '\0', 2, "invalid mode");
    p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p); /* closef NULL: closed */
    luaL_setmetatable(L, LUA_FILEHANDLE);
    capture_flush(s);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return open_failed(L, command, errno);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[reads ? 1 : 0], reads ? 1 : 0);
    rc = spawn_shell(s, command, &actions, &p->pid);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[reads ? 1 : 0]);
    if (rc) {
        close(ends[reads ? 0 : 1]);
        return open_failed(L, command, rc);
    }
    p->stream.f = fdopen(ends[reads ? 0 : 1], mode);
    if (!p->stream.f) {
        rc = errno;
        close(ends[reads ? 0 : 1]);
        kill(p->pid, SIGKILL);
        wait_child(s, p->pid);
        return open_failed(L, command, rc);
    }
    p->stream.closef = close_program;
    return 1;
}

/* ---- installing ---- */
static lua_CFunction take_function(lua_State *L, const char *name)
{
    lua_CFunction f;

    lua_getfield(L, -1, name);
    f = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    return f;
}

static void set_function(lua_State *L, const char *library, const char *name, lua_CFunction f)
{
    lua_getglobal(L, library);
    lua_pushcfunction(L, f);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void long_open(struct session *s)
{
    static const luaL_Reg strings[] = {{"find", l_find}, {"match", l_match}, {"gmatch", l_gmatch},
                                       {"gsub", l_gsub}, {"rep", l_rep},     {NULL, NULL}};
    lua_State *L = s->L;
    struct guard *g = mem_zalloc(sizeof *g);

    if (!g) {
        luaL_error(L, "not enough memory");
        return;
    }
    g->session = s;
    g->blocks.next = g->blocks.prev = &g->blocks;
    g->subject_ref = LUA_NOREF;
    s->guard = g;
    lua_getglobal(L, "string");
    g->find = take_function(L, "find");
    g->match = take_function(L, "match");
    g->gmatch = take_function(L, "gmatch");
    g->gsub = take_function(L, "gsub");
    luaL_setfuncs(L, strings, 0);
    lua_pop(L, 1);
    set_function(L, "os", "execute", l_execute);
    set_function(L, "io", "popen", l_popen);
    luaL_getmetatable(L, LUA_FILEHANDLE);
    lua_getfield(L, -1, "__gc");
    lua_pushcclosure(L, l_file_gc, 1);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    s->hook.escape = escape;
}

void long_close(struct session *s)
{
    if (!s->guard)
        return;
    s->hook.escape = NULL;
    drop(NULL, s->guard);
    mem_free(s->guard);
    s->guard = NULL;
}
