#include "repl/sweep.h"
#include "repl/interrupt.h"
#include "repl/sweep_int.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include "runtime/base/terminal.h"
#include "runtime/notebook/parameters.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { POLL_MS = 200, LOG_TAIL = 2000 };

/* ---- what there is to run ---- */

/* The values lie between commas that are in no bracket and no quotes, which are there for a comma: "a,b" is a,b. */
static json_t *split(const char *text)
{
    json_t *list = json_array();
    const char *start = text;
    char quote = '\0';
    int depth = 0;

    for (const char *p = text;; p++) {
        if (*p == '\0' || (*p == ',' && depth == 0 && !quote)) {
            bool quoted =
                p - start > 1 && *start == '"' && p[-1] == '"' && memchr(start, ',', (size_t)(p - start));
            json_array_append_new(list,
                                  json_stringn(start + quoted, (size_t)(p - start) - 2 * (size_t)quoted));
            start = p + 1;
        }
        if (*p == '\0')
            return list;
        if (quote)
            quote = *p == quote ? '\0' : quote;
        else if (*p == '"')
            quote = *p;
        else
            depth += strchr("[{", *p) ? 1 : strchr("]}", *p) ? -1 : 0;
    }
}

static enum lc read_axes(struct sweep *s, struct err *err)
{
    for (size_t i = 0; i < s->o->n_sweeps; i++) {
        const char *text = s->o->sweeps[i], *equals = strchr(text, '=');
        struct sweep_axis *a = &s->axes[s->n_axes++];
        a->name = mem_strndup(text, (size_t)(equals - text));
        a->texts = split(equals + 1);
        if (!a->name || !a->texts)
            return err_nomem(err);
        for (size_t k = 0; k < i; k++)
            if (strcmp(s->axes[k].name, a->name) == 0)
                return err_set(err, LC_ARG, "--sweep '%s' is given twice", a->name);
    }
    return LC_OK;
}

/* The index-th combination; the last name changes first. */
static void fill_point(const struct sweep *s, struct sweep_point *p, size_t index)
{
    struct buf label = BUF_INIT(1 << 16);

    *p = (struct sweep_point){.texts = json_object(), .fd = -1, .log = -1, .told = BUF_INIT(1 << 20)};
    for (size_t i = s->n_axes; i > 0; i--) {
        const struct sweep_axis *a = &s->axes[i - 1];
        size_t n = json_array_size(a->texts);
        json_object_set(p->texts, a->name, json_array_get(a->texts, index % n));
        index /= n;
    }
    for (size_t i = 0; i < s->n_axes; i++)
        buf_printf(&label, "%s%s=%s", i ? " " : "", s->axes[i].name,
                   json_string_value(json_object_get(p->texts, s->axes[i].name)));
    p->label = buf_take(&label);
}

static enum lc make_points(struct sweep *s, struct err *err)
{
    char id[9];

    s->n = 1;
    for (size_t i = 0; i < s->n_axes; i++) {
        s->n *= json_array_size(s->axes[i].texts);
        if (s->n > SWEEP_POINTS)
            return err_set(err, LC_ARG, "a sweep of more than %d runs", SWEEP_POINTS);
    }
    s->points = mem_calloc(s->n, sizeof *s->points);
    if (!s->points)
        return err_nomem(err);
    hex_make(id, 8);
    for (size_t i = 0; i < s->n; i++) {
        fill_point(s, &s->points[i], i);
        snprintf(s->points[i].job, sizeof s->points[i].job, "sweep-%s-%zu", id, i + 1);
    }
    return LC_OK;
}

/* ---- where the outputs go ---- */
static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

/* STEM-lr=1e-5-r=8.ipynb; a folder gets the input's name. */
static void default_output(const struct sweep *s, const struct sweep_point *p, struct buf *out)
{
    const char *given = s->o->output ? s->o->output : s->o->input;
    bool folder = s->o->output && (fs_is_dir(given) || ends_with(given, "/"));
    const char *name = folder ? fs_basename(s->o->input) : given;

    if (folder)
        buf_printf(out, "%s%s", given, ends_with(given, "/") ? "" : "/");
    buf_add(out, name, strlen(name) - (ends_with(name, ".ipynb") ? strlen(".ipynb") : 0));
    buf_putc(out, '-');
    for (const char *c = p->label; c && *c; c++)
        buf_putc(out, *c == ' ' ? '-' : *c == '/' ? '_' : *c);
    buf_puts(out, ".ipynb");
}

static enum lc find_output(const struct sweep *s, struct sweep_point *p, struct err *err)
{
    struct buf path = BUF_INIT(1 << 16);
    json_t *values = json_copy(s->o->params);
    enum lc rc = LC_OK;

    json_object_update(values, p->texts); /* as they were written */
    if (s->o->output && strchr(s->o->output, '{'))
        rc = parameters_path(s->o->output, values, &path, err);
    else
        default_output(s, p, &path);
    json_decref(values);
    if (rc == LC_OK)
        rc = buf_check(&path, err);
    p->output = rc == LC_OK ? buf_take(&path) : NULL;
    buf_release(&path);
    return rc;
}

static enum lc find_outputs(struct sweep *s, struct err *err)
{
    if (strcmp(s->o->input, "-") == 0 || (s->o->output && strcmp(s->o->output, "-") == 0))
        return err_set(err, LC_ARG,
                       "a sweep reads a file and writes one per run, not standard input or output");
    for (size_t i = 0; i < s->n; i++) {
        TRY(find_output(s, &s->points[i], err));
        for (size_t k = 0; k < i; k++)
            if (strcmp(s->points[k].output, s->points[i].output) == 0) {
                err_set(err, LC_ARG, "two runs of the sweep would write '%s'", s->points[i].output);
                return err_hint(err, "name each value in -o: {%s}", s->axes[0].name);
            }
    }
    return LC_OK;
}

/* ---- processes ---- */

/* In the new process: never returns. */
static void run_point(const struct sweep *s, const struct sweep_point *p, int fd, sweep_fn *run)
{
    struct run_options o = *s->o;
    const char *name;
    json_t *text;
    struct err err;
    enum lc rc;
    int null = open("/dev/null", O_RDWR);

    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(p->log >= 0 ? p->log : null, STDERR_FILENO);
    o.params = json_copy(s->o->params);
    json_object_update(o.texts, p->texts);
    json_object_foreach (p->texts, name, text)
        json_object_set_new(o.params, name, parameter_value(json_string_value(text)));
    o.output = p->output;
    o.job = p->job;
    o.quiet = true;
    o.progress = o.log_output = false;
    o.output_is_path = true;
    o.status_fd = fd;
    err_clear(&err);
    rc = run(&o, &err);
    fflush(NULL);
    _exit(interrupt_exit_code(lc_exit(rc)));
}

static int log_file(void)
{
    FILE *f = tmpfile();
    int fd = f ? fcntl(fileno(f), F_DUPFD_CLOEXEC, 3) : -1;

    if (f)
        fclose(f);
    return fd;
}

static enum lc start(struct sweep *s, struct sweep_point *p, sweep_fn *run, struct err *err)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, errno, "cannot start a run");
    p->log = log_file();
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* killed, the sweep cannot stop its runs itself */
        close(ends[0]);
        run_point(s, p, ends[1], run);
    }
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_errno(err, errno, "cannot start a run");
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    p->pid = pid;
    p->fd = ends[0];
    p->started_ns = clock_mono_ns();
    return LC_OK;
}

static void take_line(struct sweep_point *p, const char *line, size_t len)
{
    json_t *said = json_loadb(line, len, 0, NULL);

    if (json_object_get(said, "cell")) {
        p->cell = json_integer_value(json_object_get(said, "cell"));
        p->total = json_integer_value(json_object_get(said, "total"));
    } else if (json_object_get(said, "status")) {
        const char *job = json_string_value(json_object_get(said, "job"));
        if (job) /* it was complete before: its tracking runs have the tag of then */
            (void)snprintf(p->job, sizeof p->job, "%s", job);
        json_decref(p->end);
        p->end = json_incref(said);
    }
    json_decref(said);
}

/* False at the end of what it says. */
static bool listen_to(struct sweep_point *p)
{
    char chunk[4096];
    ssize_t n = read(p->fd, chunk, sizeof chunk);
    char *end;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    buf_add(&p->told, chunk, (size_t)n);
    while (p->told.len && (end = memchr(p->told.data, '\n', p->told.len)) != NULL) {
        size_t used = (size_t)(end - p->told.data) + 1, left = p->told.len - used;
        take_line(p, p->told.data, used);
        memmove(p->told.data, p->told.data + used, left + 1);
        p->told.len = left;
    }
    return n > 0;
}

/* A process that ended without a word is told by its end and what it wrote last. */
static json_t *last_words(const struct sweep_point *p, int status)
{
    char tail[LOG_TAIL + 1] = "";
    off_t size = p->log >= 0 ? lseek(p->log, 0, SEEK_END) : 0;
    ssize_t n = size > 0 ? pread(p->log, tail, LOG_TAIL, size > LOG_TAIL ? size - LOG_TAIL : 0) : 0;

    tail[n > 0 ? n : 0] = '\0';
    return json_pack(
        "{s:s, s:o}", "status", "WorkerError", "error",
        WIFSIGNALED(status)
            ? json_sprintf("ended by signal %d (%s) %s", WTERMSIG(status), strsignal(WTERMSIG(status)), tail)
            : json_sprintf("ended with exit status %d %s", WEXITSTATUS(status), tail));
}

static void end(struct sweep_point *p)
{
    int status = 0;

    close(p->fd);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!p->end)
        p->end = last_words(p, status);
    if (p->log >= 0)
        close(p->log);
    p->fd = p->log = -1;
    p->pid = -1;
    p->ended_ns = clock_mono_ns();
    sweep_collect(p);
}

/* ---- how they stand ---- */
const char *sweep_status(const struct sweep_point *p)
{
    const char *status = json_string_value(json_object_get(p->end, "status"));

    if (status)
        return strcmp(status, "ok") == 0                     ? "ok"
               : strcmp(status, lc_ename(LC_CANCELLED)) == 0 ? "interrupted"
               : strcmp(status, lc_ename(LC_TIMEOUT)) == 0   ? "timeout"
                                                             : "failed";
    return p->pid > 0 ? "running" : "waiting";
}

double sweep_seconds(const struct sweep_point *p)
{
    int64_t end_ns = p->ended_ns ? p->ended_ns : clock_mono_ns();

    return p->started_ns ? (double)(end_ns - p->started_ns) / 1e9 : 0;
}

static void draw(const struct sweep *s, struct terminal *t, const struct sweep_point *changed)
{
    size_t done = 0, failed = 0;
    struct buf text = BUF_INIT(1 << 16);

    for (size_t i = 0; i < s->n; i++) {
        const struct sweep_point *p = &s->points[i];
        done += p->pid < 0;
        failed += p->pid < 0 && strcmp(sweep_status(p), "ok") != 0;
        if (p->pid > 0 && t->live)
            buf_printf(&text, "  %s  cell %lld/%lld  %.0f s\n", p->label, (long long)p->cell,
                       (long long)p->total, sweep_seconds(p));
    }
    if (t->live) {
        buf_printf(&text, "%zu of %zu run%s ended, %zu failed", done, s->n, PLURAL(s->n), failed);
        terminal_block(t, "sweep", buf_str(&text), text.len);
    } else if (changed) {
        buf_printf(&text, "[%zu/%zu] %s: %s after %.1f s\n", done, s->n, changed->label,
                   sweep_status(changed), sweep_seconds(changed));
        terminal_text(t, buf_str(&text), text.len);
    }
    buf_release(&text);
}

static size_t poll_set(struct sweep *s, struct pollfd *fds, struct sweep_point **who)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        if (s->points[i].pid > 0) {
            who[n] = &s->points[i];
            fds[n++] = (struct pollfd){.fd = s->points[i].fd, .events = POLLIN};
        }
    return n;
}

static void stop_all(struct sweep *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->points[i].pid > 0)
            kill(s->points[i].pid, SIGTERM);
}

static enum lc start_more(struct sweep *s, size_t running, size_t *next, sweep_fn *run, struct err *err)
{
    while (running++ < (size_t)s->o->jobs && *next < s->n)
        TRY(start(s, &s->points[(*next)++], run, err));
    return LC_OK;
}

/* One turn: false when nothing runs any more. */
static bool turn(struct sweep *s, struct terminal *t, struct pollfd *fds, struct sweep_point **who)
{
    size_t n = poll_set(s, fds, who);

    if (n == 0)
        return false;
    if (poll(fds, n, POLL_MS) < 0 && errno != EINTR)
        return false;
    for (size_t i = 0; i < n; i++)
        if (fds[i].revents && !listen_to(who[i])) {
            end(who[i]);
            draw(s, t, who[i]);
        }
    draw(s, t, NULL);
    return true;
}

static enum lc run_points(struct sweep *s, sweep_fn *run, struct err *err)
{
    struct pollfd *fds = mem_calloc(s->n, sizeof *fds);
    struct sweep_point **who = mem_calloc(s->n, sizeof *who);
    enum lc rc = fds && who ? LC_OK : err_nomem(err);
    struct terminal t;
    size_t next = 0;
    bool stopped = false;

    terminal_init(&t, STDERR_FILENO);
    interrupt_begin(NULL, true);
    for (bool going = rc == LC_OK; going;) {
        if (interrupt_asked() && !stopped) {
            stopped = true;
            stop_all(s);
        }
        if (!stopped && rc == LC_OK)
            rc = start_more(s, poll_set(s, fds, who), &next, run, err);
        if (rc != LC_OK && !stopped) {
            stopped = true;
            stop_all(s);
        }
        going = turn(s, &t, fds, who);
    }
    terminal_release(&t);
    mem_free(fds);
    mem_free(who);
    if (rc == LC_OK && stopped)
        rc = err_set(err, LC_CANCELLED, "the sweep was interrupted");
    return rc;
}

/* ---- the whole ---- */
static enum lc verdict(const struct sweep *s, struct err *err)
{
    size_t failed = 0;
    const struct sweep_point *first = NULL;

    for (size_t i = 0; i < s->n; i++)
        if (strcmp(sweep_status(&s->points[i]), "ok") != 0) {
            first = first ? first : &s->points[i];
            failed++;
        }
    if (!failed)
        return LC_OK;
    err_set(err, LC_RUNTIME, "%zu of %zu run%s failed", failed, s->n, PLURAL(s->n));
    const char *why = json_string_value(json_object_get(first->end, "error"));
    return err_hint(err, "%s: %s", first->label, why ? why : "?");
}

static enum lc report(const struct sweep *s, struct err *err)
{
    char *path = NULL;
    enum lc rc;

    sweep_print(s);
    rc = sweep_write(s, &path, err);
    if (rc == LC_OK && !s->o->quiet)
        fprintf(stderr, "table and plot: %s\n", path);
    mem_free(path);
    return rc;
}

static void release(struct sweep *s)
{
    for (size_t i = 0; i < s->n_axes; i++) {
        mem_free(s->axes[i].name);
        json_decref(s->axes[i].texts);
    }
    for (size_t i = 0; s->points && i < s->n; i++) {
        struct sweep_point *p = &s->points[i];
        json_decref(p->texts);
        json_decref(p->end);
        json_decref(p->metrics);
        mem_free(p->label);
        mem_free(p->output);
        buf_release(&p->told);
    }
    mem_free(s->points);
}

/* Once for all runs, which are quiet. */
static void warn(const struct sweep *s)
{
    json_t *params = json_copy(s->o->params);
    struct notebook *nb = NULL;

    json_object_update(params, s->points[0].texts);
    if (!s->o->quiet &&
        notebook_load(s->o->input, &nb, NULL) == LC_OK) /* where it is none, the runs say so */
        parameters_warn(params, nb);
    notebook_free(nb);
    json_decref(params);
}

enum lc sweep_run(const struct run_options *o, sweep_fn *run, struct err *err)
{
    struct sweep s = {.o = o};
    struct err other;
    enum lc rc = read_axes(&s, err), reported;

    if (rc == LC_OK)
        rc = make_points(&s, err);
    if (rc == LC_OK)
        rc = find_outputs(&s, err);
    if (rc == LC_OK) {
        warn(&s);
        rc = run_points(&s, run, err);
        reported = report(&s, rc == LC_OK ? err : &other);
        rc = rc == LC_OK ? reported : rc;
        if (rc == LC_OK)
            rc = verdict(&s, err);
    }
    release(&s);
    return rc;
}
