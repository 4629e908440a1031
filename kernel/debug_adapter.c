#include "kernel/debug_adapter.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/debug.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_SEED 0xC70F6907u
enum { COMMAND_MAX = 64 };

struct debug_adapter {
    struct kernel *k;
    struct debug *debug;     /* owned */
    char prefix[PATH_MAX];   /* of the cells' files: a folder with its '/' */
    int fd;                  /* replies are ready */
    bool started, told;      /* control thread: initialize was answered; and its event is to be sent */
    bool made;               /* control thread: that folder */
    bool lab;                /* control thread: it was JupyterLab that asked */
    atomic_int seq;          /* of what goes out */
    atomic_bool waits;       /* a job was posted while no cell ran */
    struct pending *pending; /* control thread: posted and not answered */

    pthread_mutex_t lock;
    struct pending *ready; /* done by the session thread */
    struct buf parent;     /* header of the last request: events go out under it */
};

struct pending { /* a request that the session thread answers */
    struct debug_job job;
    struct pending *next, *next_ready;
    struct debug_adapter *a;
    struct request *r; /* owned */
    int64_t deadline;
};

/* ---- messages ---- */
static void publish(struct debug_adapter *a, const struct kwire_part *parent, const char *type,
                    const char *content)
{
    channels_lock(a->k->channels);
    publisher_flush_locked(a->k->publisher); /* what was printed before comes first */
    publisher_aside_locked(a->k->publisher, parent, type, content, strlen(content));
    channels_unlock(a->k->channels);
}

static void send_event(void *self, const char *event, json_t *body)
{
    struct debug_adapter *a = self;
    struct buf content = BUF_INIT(1 << 20), parent = BUF_INIT(1 << 20);
    struct kwire_part part;

    buf_printf(&content,
               "{\"type\":\"event\",\"seq\":%d,\"event\":\"%s\",\"body\":", atomic_fetch_add(&a->seq, 1),
               event);
    kernel_dump(&content, body, "{}");
    buf_putc(&content, '}');
    pthread_mutex_lock(&a->lock);
    buf_add(&parent, buf_str(&a->parent), a->parent.len);
    pthread_mutex_unlock(&a->lock);
    part = (struct kwire_part){buf_str(&parent), parent.len};
    if (buf_ok(&content))
        publish(a, &part, "debug_event", buf_str(&content));
    buf_release(&content);
    buf_release(&parent);
}

static void put_response(struct debug_adapter *a, json_t *request, const json_t *body, const struct err *err,
                         struct buf *out)
{
    const char *command = json_string_value(json_object_get(request, "command"));

    buf_printf(out, "{\"type\":\"response\",\"seq\":%d,\"request_seq\":%lld,\"success\":%s,\"command\":",
               atomic_fetch_add(&a->seq, 1), (long long)json_integer_value(json_object_get(request, "seq")),
               err->code == LC_OK ? "true" : "false");
    buf_json(out, command ? command : "", command ? strlen(command) : 0);
    if (err->code != LC_OK) {
        buf_puts(out, ",\"message\":");
        buf_json(out, err->message, strlen(err->message));
    }
    buf_puts(out, ",\"body\":");
    kernel_dump(out, body, "{}");
    buf_putc(out, '}');
}

static void send_response(struct debug_adapter *a, const struct request *r, const struct buf *content)
{
    const struct outgoing o = {.ids = r->message.ids,
                               .n_ids = r->message.n_ids,
                               .type = "debug_reply",
                               .parent = r->message.header_text,
                               .content = {buf_str(content), content->len}};

    channels_send(a->k->channels, CHANNEL_CONTROL, &o);
    publish(a, &r->message.header_text, "status", "{\"execution_state\":\"idle\"}");
}

/* ---- what is answered at once ---- */
typedef enum lc answer_fn(struct debug_adapter *a, json_t *args, json_t **body, struct err *err);

static enum lc on_info(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    unsigned filters = debug_filters(a->debug);
    json_t *paths = json_array();

    (void)args, (void)err;
    if (filters & DEBUG_RAISED)
        json_array_append_new(paths, json_string("raised"));
    if (filters & DEBUG_UNCAUGHT)
        json_array_append_new(paths, json_string("uncaught"));
    *body =
        json_pack("{s:b, s:s, s:I, s:s, s:s, s:o, s:o, s:b, s:b, s:o}", "isStarted", a->started, "hashMethod",
                  "Murmur2", "hashSeed", (json_int_t)HASH_SEED, "tmpFilePrefix", a->prefix, "tmpFileSuffix",
                  ".lua", "breakpoints", debug_breakpoints(a->debug), "stoppedThreads",
                  debug_stopped(a->debug), "richRendering", 1, "copyToGlobals", 1, "exceptionPaths", paths);
    return LC_OK;
}

static json_t *filter(const char *name, const char *label, bool on, const char *description)
{
    return json_pack("{sssssbss}", "filter", name, "label", label, "default", on, "description", description);
}

static enum lc on_initialize(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    static const char *const can[] = {
        "supportsConfigurationDoneRequest",
        "supportsConditionalBreakpoints",
        "supportsHitConditionalBreakpoints",
        "supportsLogPoints",
        "supportsEvaluateForHovers",
        "supportsSetVariable",
        "supportsSetExpression",
        "supportsModulesRequest",
        "supportsDelayedStackTraceLoading",
        "supportsCompletionsRequest",
        "supportsExceptionInfoRequest",
        "supportTerminateDebuggee",
    };

    const char *client = json_string_value(json_object_get(args, "clientID"));

    (void)err;
    a->lab = client && strcmp(client, "jupyterlab") == 0;
    *body = json_object();
    for (size_t i = 0; i < sizeof can / sizeof *can; i++)
        json_object_set_new(*body, can[i], json_true());
    json_object_set_new(*body, "supportsStepInTargetsRequest", json_false());
    json_object_set_new(
        *body, "exceptionBreakpointFilters",
        json_pack("[oo]", filter("raised", "Raised Errors", false, "each error, also one that pcall catches"),
                  filter("uncaught", "Uncaught Errors", true, "an error that ends the cell")));
    a->started = a->told = true;
    return LC_OK;
}

static enum lc on_attach(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    (void)args, (void)body, (void)err;
    debug_attach(a->debug, true);
    return LC_OK;
}

static enum lc on_done(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    (void)a, (void)args, (void)body, (void)err;
    return LC_OK;
}

static enum lc on_disconnect(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    (void)args, (void)body, (void)err;
    debug_attach(a->debug, false);
    a->started = false;
    return LC_OK;
}

static enum lc on_dump(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    json_t *code = json_object_get(args, "code");
    size_t len = json_string_length(code);
    char path[PATH_MAX + 32];

    if (!json_is_string(code) || len > DEBUG_CODE_MAX)
        return err_set(err, LC_ARG, "dumpCell has no text 'code', or it has more than %d bytes",
                       DEBUG_CODE_MAX);
    debug_cell_path(a->debug, json_string_value(code), len, path, sizeof path);
    if (!a->made && mkdir(a->prefix, 0700) != 0) /* one that is there is not ours */
        return err_errno(err, errno, "cannot make the folder '%s'", a->prefix);
    a->made = true;
    TRY(fs_replace(path, json_string_value(code), len, err));
    *body = json_pack("{ss}", "sourcePath", path);
    return LC_OK;
}

static enum lc on_breakpoints(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    json_t *path = json_object_get(json_object_get(args, "source"), "path");
    json_t *list = json_object_get(args, "breakpoints"), *answer;

    if (!json_is_string(path) || json_string_length(path) >= PATH_MAX || strlen(json_string_value(path)) == 0)
        return err_set(err, LC_ARG, "setBreakpoints has no source with a path");
    answer = debug_set_breakpoints(a->debug, json_string_value(path), NULL, list, err);
    if (!answer)
        return err->code;
    *body = json_pack("{so}", "breakpoints", answer);
    return LC_OK;
}

static enum lc on_exceptions(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    unsigned filters = 0;
    size_t i;
    json_t *name;

    (void)body, (void)err;
    json_array_foreach (json_object_get(args, "filters"), i, name) {
        const char *text = json_string_value(name);
        if (text && strcmp(text, "raised") == 0)
            filters |= DEBUG_RAISED;
        if (text && (strcmp(text, "uncaught") == 0 || strcmp(text, "userUnhandled") == 0))
            filters |= DEBUG_UNCAUGHT;
    }
    debug_set_filters(a->debug, filters);
    return LC_OK;
}

static enum lc resume(struct debug_adapter *a, enum debug_order order, struct err *err)
{
    if (!debug_resume(a->debug, order))
        return err_set(err, LC_CONFLICT, "nothing has stopped");
    return LC_OK;
}

static enum lc on_continue(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    (void)args;
    *body = json_pack("{sb}", "allThreadsContinued", 1);
    return resume(a, DEBUG_CONTINUE, err);
}

static enum lc on_next(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    (void)args, (void)body;
    return resume(a, DEBUG_OVER, err);
}

static enum lc on_in(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    (void)args, (void)body;
    return resume(a, DEBUG_IN, err);
}

static enum lc on_out(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    (void)args, (void)body;
    return resume(a, DEBUG_OUT, err);
}

static enum lc on_pause(struct debug_adapter *a, json_t *args, json_t **body, struct err *err)
{
    (void)args, (void)body, (void)err;
    debug_pause(a->debug);
    return LC_OK;
}

enum { ALWAYS = 1 };
static const struct row {
    const char *command;
    answer_fn *answer; /* NULL: the session's thread answers */
    unsigned flags;
} rows[] = {
    {"debugInfo", on_info, ALWAYS},
    {"initialize", on_initialize, ALWAYS},
    {"attach", on_attach, 0},
    {"configurationDone", on_done, 0},
    {"disconnect", on_disconnect, ALWAYS},
    {"dumpCell", on_dump, ALWAYS},
    {"setBreakpoints", on_breakpoints, 0},
    {"setExceptionBreakpoints", on_exceptions, 0},
    {"continue", on_continue, 0},
    {"next", on_next, 0},
    {"stepIn", on_in, 0},
    {"stepOut", on_out, 0},
    {"pause", on_pause, 0},
    {"threads", NULL, 0},
    {"stackTrace", NULL, 0},
    {"scopes", NULL, 0},
    {"variables", NULL, ALWAYS},
    {"setVariable", NULL, 0},
    {"setExpression", NULL, 0},
    {"evaluate", NULL, 0},
    {"source", NULL, 0},
    {"exceptionInfo", NULL, 0},
    {"completions", NULL, 0},
    {"modules", NULL, ALWAYS},
    {"inspectVariables", NULL, ALWAYS},
    {"richInspectVariables", NULL, ALWAYS},
    {"copyToGlobals", NULL, ALWAYS},
};

static const struct row *find(struct debug_adapter *a, json_t *content, struct err *err)
{
    json_t *command = json_object_get(content, "command"), *args = json_object_get(content, "arguments");

    if (!json_is_string(command) || json_string_length(command) > COMMAND_MAX) {
        err_set(err, LC_ARG, "the request has no command");
        return NULL;
    }
    if (args && !json_is_object(args) && !json_is_null(args)) {
        err_set(err, LC_ARG, "the arguments are no object");
        return NULL;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].command, json_string_value(command)) != 0)
            continue;
        if (a->started || (rows[i].flags & ALWAYS))
            return &rows[i];
        err_set(err, LC_CONFLICT, "the debugger has not been started: 'initialize' comes first");
        return NULL;
    }
    err_set(err, LC_UNSUPPORTED, "the debugger has no command '%s'", json_string_value(command));
    return NULL;
}

/* Fills the reply's content; false: the session's thread has to answer. */
static bool answer(struct debug_adapter *a, json_t *content, struct buf *out)
{
    struct err err = {.code = LC_OK};
    const struct row *row = find(a, content, &err);
    json_t *body = NULL;

    if (row && !row->answer)
        return false;
    if (row && row->answer(a, json_object_get(content, "arguments"), &body, &err) != LC_OK) {
        json_decref(body);
        body = NULL;
    }
    put_response(a, content, body, &err, out);
    json_decref(body);
    return true;
}

void debug_adapter_try(struct debug_adapter *a, json_t *content, struct buf *out)
{
    struct err err;

    if (answer(a, content, out))
        return;
    err_set(&err, LC_CONFLICT, "no session");
    put_response(a, content, NULL, &err, out);
}

/* ---- what the session's thread answers ---- */
static void on_done_job(struct debug_job *job)
{
    struct pending *p = job->self;
    struct debug_adapter *a = p->a;
    uint64_t one = 1;

    pthread_mutex_lock(&a->lock);
    p->next_ready = a->ready;
    a->ready = p;
    pthread_mutex_unlock(&a->lock);
    if (write(a->fd, &one, sizeof one) < 0)
        return; /* the counter is full: it is awake */
}

static void post(struct debug_adapter *a, struct request *r)
{
    struct pending *p = mem_zalloc(sizeof *p);
    json_t *args = json_object_get(r->message.content, "arguments");

    if (!p) {
        struct buf content = BUF_INIT(4096);
        struct err err;
        err_nomem(&err);
        put_response(a, r->message.content, NULL, &err, &content);
        send_response(a, r, &content);
        buf_release(&content);
        request_free(r);
        return;
    }
    p->a = a;
    p->r = r;
    p->deadline = clock_mono_ns() + (int64_t)DEBUG_PATIENCE_MS * 1000000;
    p->job = (struct debug_job){.command = json_string_value(json_object_get(r->message.content, "command")),
                                .args = json_is_object(args) ? args : NULL,
                                .done = on_done_job,
                                .self = p};
    p->next = a->pending;
    a->pending = p;
    debug_post(a->debug, &p->job);
}

/* JupyterLab shows the value of what has one of these types, or none; of all else the type. */
static void name_type(json_t *variable)
{
    static const struct {
        const char *ours, *theirs;
    } types[] = {{"integer", "int"}, {"float", "float"}, {"boolean", "bool"}, {"string", "str"}};
    const char *type = json_string_value(json_object_get(variable, "type")), *theirs = NULL;

    for (size_t n = 0; type && n < sizeof types / sizeof *types; n++)
        if (strcmp(types[n].ours, type) == 0)
            theirs = types[n].theirs;
    if (theirs)
        json_object_set_new(variable, "type", json_string(theirs));
    else
        json_object_del(variable, "type");
}

static void name_types(json_t *body)
{
    json_t *v;
    size_t i;

    json_array_foreach (json_object_get(body, "variables"), i, v)
        name_type(v);
    if (json_object_get(body, "variablesReference")) /* what was set or evaluated */
        name_type(body);
}

/* JupyterLab keeps a value's panel and asks again at every step, also where there is no such variable: it shows that as empty,
 * and takes a refusal for an error of its own. */
static void allow_absent(struct debug_job *job)
{
    if (job->err.code != LC_NOTFOUND || strcmp(job->command, "richInspectVariables") != 0)
        return;
    job->err.code = LC_OK;
    job->body = json_pack("{s{}s{}}", "data", "metadata");
}

static void finish(struct debug_adapter *a, struct pending *p)
{
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);

    for (struct pending **at = &a->pending; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    if (a->lab) {
        allow_absent(&p->job);
        name_types(p->job.body);
    }
    put_response(a, p->r->message.content, p->job.body, &p->job.err, &content);
    if (!buf_ok(&content)) {
        buf_clear(&content);
        err_set(&p->job.err, LC_LIMIT, "the answer is too large");
        put_response(a, p->r->message.content, NULL, &p->job.err, &content);
    }
    send_response(a, p->r, &content);
    buf_release(&content);
    json_decref(p->job.body);
    request_free(p->r);
    mem_free(p);
}

static struct pending *take_ready(struct debug_adapter *a)
{
    struct pending *p = NULL, **last;

    pthread_mutex_lock(&a->lock);
    if (a->ready) {
        for (last = &a->ready; (*last)->next_ready; last = &(*last)->next_ready)
            ;
        p = *last; /* the first that was done */
        *last = NULL;
    }
    pthread_mutex_unlock(&a->lock);
    return p;
}

static struct pending *take_late(struct debug_adapter *a)
{
    int64_t now = clock_mono_ns();

    for (struct pending *p = a->pending; p; p = p->next)
        if (p->deadline <= now && debug_withdraw(a->debug, &p->job)) {
            err_set(&p->job.err, LC_TIMEOUT,
                    "the session is inside a call that cannot be looked into: ask again later");
            return p;
        }
    return NULL;
}

void debug_adapter_reply(struct debug_adapter *a)
{
    struct pending *p;
    uint64_t count;

    if (read(a->fd, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    while ((p = take_ready(a)) != NULL)
        finish(a, p);
    while ((p = take_late(a)) != NULL)
        finish(a, p);
}

int debug_adapter_due(struct debug_adapter *a)
{
    int64_t now = clock_mono_ns(), due = INT64_MAX;

    for (struct pending *p = a->pending; p; p = p->next)
        if (p->deadline < due)
            due = p->deadline;
    if (due == INT64_MAX)
        return -1;
    return due > now ? (int)((due - now) / 1000000 + 1)
                     : DEBUG_PATIENCE_MS / 10; /* one that has begun and takes long */
}

void debug_adapter_take(struct debug_adapter *a, struct request *r)
{
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);

    publish(a, &r->message.header_text, "status", "{\"execution_state\":\"busy\"}");
    pthread_mutex_lock(&a->lock);
    buf_clear(&a->parent);
    buf_add(&a->parent, r->message.header_text.data, r->message.header_text.len);
    pthread_mutex_unlock(&a->lock);
    if (r->problem.code == LC_OK && !answer(a, r->message.content, &content)) {
        post(a, r);
        return;
    }
    if (r->problem.code != LC_OK)
        put_response(a, r->message.content, NULL, &r->problem, &content);
    send_response(a, r, &content);
    buf_release(&content);
    request_free(r);
    if (a->told) { /* after the reply to initialize */
        a->told = false;
        send_event(a, "initialized", NULL);
    }
}

int debug_adapter_fd(const struct debug_adapter *a)
{
    return a->fd;
}

/* ---- the session thread ---- */
static void on_wake(void *self)
{
    struct debug_adapter *a = self;

    atomic_store(&a->waits, true);
    if (a->k->inbox) /* else nobody serves a session yet */
        inbox_wake(a->k->inbox);
}

void debug_adapter_serve(struct debug_adapter *a)
{
    if (!atomic_exchange(&a->waits, false))
        return;
    requests_begin(a->k);
    debug_serve(a->debug);
    requests_end(a->k);
}

void debug_adapter_bind(struct debug_adapter *a, struct session *s)
{
    debug_bind(a->debug, s);
}

void debug_adapter_unbind(struct debug_adapter *a)
{
    debug_unbind(a->debug);
}

enum lc debug_adapter_open(struct kernel *k, struct debug_adapter **out, struct err *err)
{
    struct debug_adapter *a = mem_zalloc(sizeof *a);
    const char *folder = getenv("TMPDIR");
    char random[9];
    enum lc rc;

    if (!a)
        return err_nomem(err);
    hex_make(random, 8);
    a->k = k;
    a->parent = (struct buf)BUF_INIT(1 << 20);
    snprintf(a->prefix, sizeof a->prefix, "%s/lacus_%d_%s/", folder && *folder ? folder : "/tmp",
             (int)getpid(), random);
    a->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&a->lock, NULL);
    rc = a->fd >= 0 ? LC_OK : err_errno(err, errno, "cannot open the debugger");
    if (rc == LC_OK)
        rc = debug_new(&(struct debug_front){.prefix = a->prefix,
                                             .suffix = ".lua",
                                             .seed = HASH_SEED,
                                             .self = a,
                                             .event = send_event,
                                             .wake = on_wake},
                       &a->debug, err);
    if (rc != LC_OK) {
        debug_adapter_close(a);
        return rc;
    }
    *out = a;
    return LC_OK;
}

void debug_adapter_close(struct debug_adapter *a)
{
    struct err err;

    if (!a)
        return;
    while (a->pending) {
        struct pending *p = a->pending;
        a->pending = p->next;
        json_decref(p->job.body);
        request_free(p->r);
        mem_free(p);
    }
    debug_free(a->debug);
    if (a->made && fs_remove_tree(a->prefix, &err) != LC_OK)
        fprintf(stderr, "lacus: %s\n", err.message);
    if (a->fd >= 0)
        close(a->fd);
    pthread_mutex_destroy(&a->lock);
    buf_release(&a->parent);
    mem_free(a);
}
