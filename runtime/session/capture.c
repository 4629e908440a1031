#include "runtime/session/capture.h"
#include "runtime/base/thread.h"
#include "runtime/base/utf8.h"
#include "runtime/session/session_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WAITING_MAX = 256 << 20, LOOK_NS = 20000 };

struct capture {
    struct session *session;
    int saved[2], in[2]; /* the process's own 1 and 2; our ends of the pipes */
    int wake[2];
    pthread_t thread;
    bool started;
    int64_t looked; /* when the pipes were last looked at; session thread only */
    atomic_bool any, foreign;
    bool sending;         /* session thread only: the front end is being called */
    pthread_mutex_t lock; /* guards what follows, and reading from the pipes */
    struct buf waiting[2];
    size_t lost;
};

/* ---- reading ---- */
static void keep(struct capture *c, int i, const char *data, size_t len)
{
    if (c->waiting[i].len + len > WAITING_MAX || !buf_add(&c->waiting[i], data, len)) {
        c->lost += len;
        c->waiting[i].failed = false;
    }
}

/* Apart, so that only those who have something to read touch the stack that it takes. */
static __attribute__((noinline)) void read_one(struct capture *c, int i)
{
    char chunk[16384];
    ssize_t n;

    while ((n = read(c->in[i], chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            keep(c, i, chunk, (size_t)n);
}

static void read_all(struct capture *c) /* locked */
{
    struct pollfd p[2] = {{.fd = c->in[0], .events = POLLIN}, {.fd = c->in[1], .events = POLLIN}};

    if (poll(p, 2, 0) <= 0) /* mostly there is nothing: one call says it of both */
        return;
    for (int i = 0; i < 2; i++)
        if (p[i].revents)
            read_one(c, i);
}

static void *reader(void *arg)
{
    struct capture *c = arg;
    struct pollfd p[3] = {{.fd = c->in[0], .events = POLLIN},
                          {.fd = c->in[1], .events = POLLIN},
                          {.fd = c->wake[0], .events = POLLIN}};

    for (;;) {
        if (poll(p, 3, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[2].revents)
            return NULL;
        pthread_mutex_lock(&c->lock);
        read_all(c);
        bool came = c->waiting[0].len || c->waiting[1].len;
        pthread_mutex_unlock(&c->lock);
        if (!came || atomic_exchange(&c->any, true))
            continue;
        const struct frontend *f = &c->session->home; /* does not change */
        if (atomic_load(&c->session->busy))
            hook_request(c->session, HOOK_DRAIN);
        else if (f->ops && f->ops->output_waits)
            f->ops->output_waits(f->self);
    }
}

/* ---- sending ---- */

/* Moves what waits into out[], but for a last character that is not whole. */
static void take(struct capture *c, struct buf out[2], bool all)
{
    pthread_mutex_lock(&c->lock);
    read_all(c);
    for (int i = 0; i < 2; i++) {
        struct buf *w = &c->waiting[i];
        size_t tail = all ? 0 : utf8_unfinished(buf_str(w), w->len);
        char rest[4];

        memcpy(rest, buf_str(w) + w->len - tail, tail);
        out[i] = *w;
        out[i].len -= tail;
        buf_init(w, w->max);
        buf_add(w, rest, tail);
    }
    if (c->lost)
        buf_printf(&out[1], "\n… %zu bytes of output were lost: too much came while nobody could read it\n",
                   c->lost);
    c->lost = 0;
    pthread_mutex_unlock(&c->lock);
}

static void send(struct session *s, bool all)
{
    struct capture *c = s->capture;
    struct buf out[2];

    if (c->sending)
        return;
    c->sending = true;
    atomic_store(&c->any, false);
    take(c, out, all);
    for (int i = 0; i < 2; i++) {
        if (out[i].len)
            session_print(s, i ? STREAM_STDERR : STREAM_STDOUT, out[i].data, out[i].len);
        buf_release(&out[i]);
    }
    c->looked = clock_mono_ns();
    c->sending = false;
}

static bool pipe_has(int fd)
{
    int n = 0;

    return ioctl(fd, FIONREAD, &n) == 0 && n > 0;
}

/* Before each print: cheap as long as only Lua runs. When C modules are loaded the pipes are looked at each
 * time; else now and then, since what else writes is a plugin or a child. */
void session_drain(struct session *s)
{
    struct capture *c = s->capture;

    if (!c || c->sending)
        return;
    if (__fpending(stdout))
        fflush(stdout);
    else if (!atomic_load_explicit(&c->any, memory_order_relaxed)) {
        if (!atomic_load_explicit(&c->foreign, memory_order_relaxed) && clock_mono_ns() - c->looked < LOOK_NS)
            return;
        c->looked = clock_mono_ns();
        if (!pipe_has(c->in[0]) && !pipe_has(c->in[1]))
            return;
    }
    send(s, false);
}

void capture_flush(struct session *s)
{
    if (s->capture) {
        fflush(stdout);
        send(s, true);
    }
    output_finish(s);
}

void session_flush(struct session *s)
{
    capture_flush(s);
}

/* ---- C modules ---- */
static int l_foreign(lua_State *L) /* what loads C modules: the function in upvalue 1 */
{
    struct capture *c = session_of(L)->capture;

    if (c)
        atomic_store(&c->foreign, true);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int watch_modules(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "loadlib");
    lua_pushcclosure(L, l_foreign, 1);
    lua_setfield(L, -2, "loadlib");
    lua_getfield(L, -1, "searchers");
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, -1), n = 0; n < 2 && i > 0; i--, n++) { /* the last two */
        lua_rawgeti(L, -1, i);
        lua_pushcclosure(L, l_foreign, 1);
        lua_rawseti(L, -2, i);
    }
    return 0;
}

/* ---- opening and closing ---- */
static bool make_pipe(int fd, int *saved, int *in)
{
    int ends[2];

    *saved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (*saved < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return false;
    *in = ends[0];
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    bool ok = dup2(ends[1], fd) == fd;
    close(ends[1]);
    return ok;
}

static bool start_reader(struct capture *c)
{
    c->started = thread_start(&c->thread, reader, c) == 0;
    return c->started;
}

enum lc capture_open(struct session *s, struct err *err)
{
    struct capture *c = mem_zalloc(sizeof *c);

    if (!c)
        return err_nomem(err);
    c->session = s;
    for (int i = 0; i < 2; i++) {
        c->saved[i] = c->in[i] = c->wake[i] = -1;
        buf_init(&c->waiting[i], (size_t)WAITING_MAX + 4096);
    }
    pthread_mutex_init(&c->lock, NULL);
    s->capture = c;
    fflush(stdout);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    if (!make_pipe(1, &c->saved[0], &c->in[0]) || !make_pipe(2, &c->saved[1], &c->in[1]) ||
        pipe2(c->wake, O_CLOEXEC) != 0 || !start_reader(c))
        return err_errno(err, errno, "cannot capture the output of the process");
    lua_pushcfunction(s->L, watch_modules);
    if (lua_pcall(s->L, 0, 0, 0) != LUA_OK)
        return err_nomem(err);
    return LC_OK;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void capture_close(struct session *s)
{
    struct capture *c = s->capture;

    if (!c)
        return;
    capture_flush(s);
    if (c->started) {
        (void)!write(c->wake[1], "", 1);
        pthread_join(c->thread, NULL);
    }
    for (int i = 0; i < 2; i++) {
        if (c->saved[i] >= 0)
            dup2(c->saved[i], i + 1);
        close_fd(c->saved[i]);
        close_fd(c->in[i]);
        close_fd(c->wake[i]);
        buf_release(&c->waiting[i]);
    }
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
    s->capture = NULL;
}
