/* Scripts that run beside the cells, and %killbgscripts. */
#include "magics/background.h"
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/process.h"
#include "runtime/session/cell.h"
#include "runtime/session/hook.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GRACE_MS = 300, LOOK_MS = 10 };

static const char class_name[] = "lacus.Process";
static const char state_key = 0;

struct process {
    pid_t pid;
    bool ended;
    int status; /* as a shell gives it; -signal as Python does, when one ended it */
};

struct state {   /* those that may still run */
    pid_t *pids; /* owned */
    size_t n;
};

/* ---- the end of the session ends them ---- */
static bool any_left(struct state *s)
{
    size_t left = 0;

    for (size_t i = 0; i < s->n; i++)
        if (waitpid(s->pids[i], NULL, WNOHANG) == 0)
            s->pids[left++] = s->pids[i];
    s->n = left;
    return left > 0;
}

static void signal_all(const struct state *s, int sign)
{
    for (size_t i = 0; i < s->n; i++)
        kill(-s->pids[i], sign);
}

static void end_all(struct state *s)
{
    int64_t until = clock_mono_ns() + GRACE_MS * INT64_C(1000000);

    if (!any_left(s))
        return;
    signal_all(s, SIGTERM);
    while (any_left(s) && clock_mono_ns() < until)
        poll(NULL, 0, LOOK_MS);
    signal_all(s, SIGKILL);
    for (size_t i = 0; i < s->n; i++)
        waitpid(s->pids[i], NULL, 0);
    s->n = 0;
}

static void free_state(void *state)
{
    struct state *s = state;

    end_all(s);
    mem_free(s->pids);
}

static void forget(lua_State *L, pid_t pid)
{
    struct state *s = session_state(L, &state_key, sizeof *s, free_state);

    for (size_t i = 0; i < s->n; i++)
        if (s->pids[i] == pid) {
            s->pids[i] = s->pids[--s->n];
            return;
        }
}

/* ---- the process as a value ---- */
static struct process *check(lua_State *L)
{
    return luaL_checkudata(L, 1, class_name);
}

static bool has_ended(lua_State *L, struct process *p)
{
    int status;
    pid_t got = p->ended ? 0 : waitpid(p->pid, &status, WNOHANG);

    if (got == 0 || (got < 0 && errno == EINTR))
        return p->ended;
    p->ended = true; /* got < 0: %killbgscripts has waited for it */
    p->status = got < 0 ? -SIGTERM : WIFSIGNALED(status) ? -WTERMSIG(status) : process_status(status);
    forget(L, p->pid);
    return true;
}

static int l_poll(lua_State *L) /* → exit status, nil while it runs */
{
    struct process *p = check(L);

    if (has_ended(L, p))
        lua_pushinteger(L, p->status);
    else
        lua_pushnil(L);
    return 1;
}

static int l_wait(lua_State *L)
{
    struct process *p = check(L);

    while (!has_ended(L, p))
        if (!session_wait(session_of(L), LOOK_MS))
            return hook_strike(L);
    lua_pushinteger(L, p->status);
    return 1;
}

static int give_signal(lua_State *L, int sign)
{
    struct process *p = check(L);

    if (!has_ended(L, p))
        kill(-p->pid, sign);
    return 0;
}

static int l_send_signal(lua_State *L)
{
    lua_Integer sign = luaL_checkinteger(L, 2);

    luaL_argcheck(L, sign > 0 && sign <= SIGRTMAX, 2, "the number of a signal expected");
    return give_signal(L, (int)sign);
}

static int l_terminate(lua_State *L)
{
    return give_signal(L, SIGTERM);
}

static int l_kill(lua_State *L)
{
    return give_signal(L, SIGKILL);
}

static int l_index(lua_State *L) /* upvalue: the methods */
{
    struct process *p = check(L);
    const char *key = luaL_checkstring(L, 2);

    if (strcmp(key, "pid") == 0)
        lua_pushinteger(L, p->pid);
    else if (strcmp(key, "returncode") == 0)
        return l_poll(L);
    else
        lua_getfield(L, lua_upvalueindex(1), key);
    return 1;
}

static int l_tostring(lua_State *L)
{
    struct process *p = check(L);

    if (has_ended(L, p))
        lua_pushfstring(L, "Process(pid=%d, returncode=%d)", (int)p->pid, p->status);
    else
        lua_pushfstring(L, "Process(pid=%d, running)", (int)p->pid);
    return 1;
}

static struct process *push_process(lua_State *L)
{
    static const luaL_Reg methods[] = {{"poll", l_poll},
                                       {"wait", l_wait},
                                       {"terminate", l_terminate},
                                       {"kill", l_kill},
                                       {"send_signal", l_send_signal},
                                       {NULL, NULL}};
    struct process *p = lua_newuserdatauv(L, sizeof *p, 0);

    *p = (struct process){.ended = true};
    if (luaL_newmetatable(L, class_name)) {
        luaL_newlib(L, methods);
        lua_pushcclosure(L, l_index, 1);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
    return p;
}

/* ---- its outputs ---- */
static int close_pipe(lua_State *L)
{
    luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);

    return luaL_fileresult(L, fclose(stream->f) == 0, NULL);
}

static luaL_Stream *push_pipe(lua_State *L, bool wanted)
{
    luaL_Stream *stream;

    if (!wanted) {
        lua_pushnil(L);
        return NULL;
    }
    stream = lua_newuserdatauv(L, sizeof *stream, 0);
    memset(stream, 0, sizeof *stream); /* closef NULL: closed */
    luaL_setmetatable(L, LUA_FILEHANDLE);
    return stream;
}

static void read_from(luaL_Stream *stream, int fd)
{
    if (!stream)
        return;
    stream->f = fdopen(fd, "r");
    stream->closef = stream->f ? close_pipe : NULL;
    if (!stream->f)
        close(fd);
}

static void keep(lua_State *L, const char *name) /* pops the value */
{
    if (name)
        cell_set_variable(L, name);
    else
        lua_pop(L, 1);
}

void background_run(lua_State *L, const char *const *argv, const char *input, const struct background *names)
{
    struct state *s = session_state(L, &state_key, sizeof *s, free_state);
    pid_t *pids = mem_realloc(s->pids, (s->n + 1) * sizeof *pids);
    luaL_Stream *out = push_pipe(L, names->out), *err = push_pipe(L, names->err);
    struct process *p = push_process(L);
    int out_fd = -1, err_fd = -1;
    struct err failure;

    if (!pids) {
        luaL_error(L, "not enough memory");
        return;
    }
    s->pids = pids;
    session_flush(session_of(L));
    if (process_beside(argv, input, out ? &out_fd : NULL, err ? &err_fd : NULL, &p->pid, &failure) != LC_OK)
        session_raise(L, &failure);
    p->ended = false;
    s->pids[s->n++] = p->pid;
    read_from(out, out_fd);
    read_from(err, err_fd);
    keep(L, names->proc);
    keep(L, names->err);
    keep(L, names->out);
}

int magic_killbgscripts(lua_State *L, const char *line, const char *body)
{
    struct state *s = session_state(L, &state_key, sizeof *s, free_state);

    (void)line, (void)body;
    if (!any_left(s)) {
        line_print(L, "No background processes were running.\n");
        return 0;
    }
    end_all(s);
    line_print(L, "All background processes were killed.\n");
    return 0;
}
