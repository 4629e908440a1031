#include "repl/remote.h"
#include "kernel/connection.h"
#include "kernel/wire.h"
#include "repl/terminal_frontend.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/zmq_api.h"
#include "runtime/session/frontend.h"
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ALIVE_MS = 400, ANSWER_MS = 10000, NUMBER_MS = 1000, BEAT_MS = 3000, PARTS_MAX = 64 };

struct remote {
    void *context, *socket[CHANNEL_COUNT];
    struct connection connection;
    struct kwire *wire;
    struct terminal_frontend *frontend; /* borrowed */
    char *banner, *next_input;          /* owned */
    int number;
    bool ended, lost, beating; /* lost: it ended because nobody answers */
    int64_t beat_ns;           /* when the heartbeat was sent that is not answered */
    char process[UUID_TEXT +
                 64]; /* the session of the kernel's own messages: another one is another process */
    bool restarted;   /* there is another, and that was not told */
};

/* SIGINT while the kernel works: a handler gets no argument. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    (void)sig;
    interrupted = 1;
}

/* ---- sockets ---- */
static bool set_curve(void *socket, const struct connection *c)
{
    unsigned char public[crypto_box_PUBLICKEYBYTES], secret[crypto_box_SECRETKEYBYTES];

    if (!c->curve_public[0])
        return true;
    return crypto_box_keypair(public, secret) == 0 &&
           zmq()->setsockopt(socket, ZMQ_CURVE_SERVERKEY, c->curve_public, sizeof c->curve_public) == 0 &&
           zmq()->setsockopt(socket, ZMQ_CURVE_PUBLICKEY, public, sizeof public) == 0 &&
           zmq()->setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, sizeof secret) == 0;
}

static void *connect_to(void *context, const struct connection *c, enum channel channel, const char *identity)
{
    static const int kinds[CHANNEL_COUNT] = {[CHANNEL_SHELL] = ZMQ_DEALER,
                                             [CHANNEL_STDIN] = ZMQ_DEALER,
                                             [CHANNEL_IOPUB] = ZMQ_SUB,
                                             [CHANNEL_CONTROL] = ZMQ_DEALER,
                                             [CHANNEL_HB] = ZMQ_REQ};
    void *socket = zmq()->socket(context, kinds[channel]);
    char address[CONNECTION_ADDRESS_MAX];
    int none = 0;

    if (!socket)
        return NULL;
    zmq()->setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    if (kinds[channel] == ZMQ_DEALER)
        zmq()->setsockopt(socket, ZMQ_ROUTING_ID, identity, strlen(identity)); /* stdin answers the shell's */
    if (kinds[channel] == ZMQ_SUB)
        zmq()->setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    connection_address(c, channel, address);
    if (set_curve(socket, c) && zmq()->connect(socket, address) == 0)
        return socket;
    zmq()->close(socket);
    return NULL;
}

/* ---- messages ---- */
static enum lc send_message(struct remote *r, enum channel channel, const char *type, json_t *content,
                            char id[UUID_TEXT + 64])
{
    struct buf header = BUF_INIT(1 << 16);
    char *body = json_dumps(content, JSON_COMPACT), signature[WIRE_SIGNATURE];
    json_t *parsed;

    kwire_header(r->wire, type, &header);
    parsed = json_loadb(buf_str(&header), header.len, 0, NULL);
    if (id)
        snprintf(id, UUID_TEXT + 64, "%s",
                 json_string_value(json_object_get(parsed, "msg_id"))
                     ? json_string_value(json_object_get(parsed, "msg_id"))
                     : "");
    json_decref(parsed);
    json_decref(content);
    const struct kwire_part parts[WIRE_SIGNED_PARTS] = {
        {buf_str(&header), header.len}, {"{}", 2}, {"{}", 2}, {body ? body : "{}", body ? strlen(body) : 2}};
    kwire_sign(r->wire, parts, signature);
    zmq()->send(r->socket[channel], WIRE_DELIMITER, strlen(WIRE_DELIMITER), ZMQ_SNDMORE);
    zmq()->send(r->socket[channel], signature, strlen(signature), ZMQ_SNDMORE);
    for (size_t i = 0; i < WIRE_SIGNED_PARTS; i++)
        zmq()->send(r->socket[channel], parts[i].data, parts[i].len,
                    i + 1 < WIRE_SIGNED_PARTS ? ZMQ_SNDMORE : 0);
    buf_release(&header);
    free(body);
    return LC_OK;
}

/* One message, if there is one: its type, parent and content. False: none, or not for us to read. */
struct message {
    json_t *header, *parent, *content; /* owned */
};

static void message_release(struct message *m)
{
    json_decref(m->header);
    json_decref(m->parent);
    json_decref(m->content);
    *m = (struct message){0};
}

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));

    return text ? text : "";
}

static bool receive(struct remote *r, enum channel channel, struct message *out)
{
    zmq_msg_t frames[PARTS_MAX];
    struct kwire_part parts[PARTS_MAX];
    struct kwire_message m;
    size_t n = 0;
    int more = 1;
    bool ok = false;

    *out = (struct message){0};
    for (; more && n < PARTS_MAX; n++) {
        zmq()->msg_init(&frames[n]);
        if (zmq()->msg_recv(&frames[n], r->socket[channel], ZMQ_DONTWAIT) < 0) {
            zmq()->msg_close(&frames[n]);
            break;
        }
        more = zmq()->msg_more(&frames[n]);
        parts[n] = (struct kwire_part){zmq()->msg_data(&frames[n]), zmq()->msg_size(&frames[n])};
    }
    if (n > 0 && kwire_parse(r->wire, parts, n, &m, NULL) == LC_OK) {
        *out = (struct message){json_incref(m.header), json_incref(m.parent), json_incref(m.content)};
        ok = true;
        kwire_message_release(&m);
    }
    for (size_t i = 0; i < n; i++)
        zmq()->msg_close(&frames[i]);
    return ok;
}

/* ---- is it alive? ---- */
static void lose(struct remote *r)
{
    fprintf(stderr, "the kernel does not answer any more: it has died or was stopped\n");
    r->ended = r->lost = true;
}

static void beat(struct remote *r)
{
    char answer[8];

    if (zmq()->recv(r->socket[CHANNEL_HB], answer, sizeof answer, ZMQ_DONTWAIT) >= 0)
        r->beating = false;
    if (!r->beating && zmq()->send(r->socket[CHANNEL_HB], "ping", 4, ZMQ_DONTWAIT) == 4) {
        r->beating = true;
        r->beat_ns = clock_mono_ns();
    } else if (r->beating && clock_mono_ns() - r->beat_ns > (int64_t)BEAT_MS * 1000000) {
        lose(r);
    }
}

/* ---- what the kernel shows ---- */
static void show_display(struct remote *r, const json_t *c, bool update)
{
    const struct frontend f = terminal_frontend_seam(r->frontend);
    struct ctx ctx = ctx_background();
    struct display d = {.data = json_object_get(c, "data"),
                        .metadata = json_object_get(c, "metadata"),
                        .transient = json_object_get(c, "transient"),
                        .update = update};

    f.ops->display(f.self, &ctx, &d);
}

static void show_result(struct remote *r, const json_t *c)
{
    const struct frontend f = terminal_frontend_seam(r->frontend);
    struct ctx ctx = ctx_background();
    struct display d = {.data = json_object_get(c, "data"), .metadata = json_object_get(c, "metadata")};

    f.ops->result(f.self, &ctx, (int)json_integer_value(json_object_get(c, "execution_count")), &d);
}

static void show(struct remote *r, const struct message *m)
{
    const struct frontend f = terminal_frontend_seam(r->frontend);
    struct ctx ctx = ctx_background();
    const char *type = text_of(m->header, "msg_type"), *text = text_of(m->content, "text");

    if (strcmp(type, "stream") == 0) {
        f.ops->stream(f.self, &ctx,
                      strcmp(text_of(m->content, "name"), "stderr") == 0 ? STREAM_STDERR : STREAM_STDOUT,
                      text, strlen(text));
    } else if (strcmp(type, "display_data") == 0 || strcmp(type, "update_display_data") == 0) {
        show_display(r, m->content, type[0] == 'u');
    } else if (strcmp(type, "execute_result") == 0) {
        show_result(r, m->content);
    } else if (strcmp(type, "error") == 0) {
        f.ops->error(f.self, &ctx,
                     &(struct cell_error){.ename = text_of(m->content, "ename"),
                                          .evalue = text_of(m->content, "evalue"),
                                          .traceback = json_object_get(m->content, "traceback")});
    } else if (strcmp(type, "clear_output") == 0) {
        f.ops->clear_output(f.self, &ctx, json_is_true(json_object_get(m->content, "wait")));
    }
}

static void answer_question(struct remote *r, const struct message *m)
{
    const struct frontend f = terminal_frontend_seam(r->frontend);
    struct ctx ctx = ctx_background();
    struct buf answer = BUF_INIT(BUF_TEXT_MAX);
    struct err err;

    if (f.ops->input(f.self, &ctx, text_of(m->content, "prompt"),
                     json_is_true(json_object_get(m->content, "password")), &answer, &err) != LC_OK)
        buf_clear(&answer);
    (void)send_message(r, CHANNEL_STDIN, "input_reply",
                       json_pack("{s:s%}", "value", buf_str(&answer), answer.len), NULL);
    buf_release(&answer);
}

/* ---- requests ---- */
static bool is_ours(const struct message *m, const char *id)
{
    return strcmp(text_of(m->parent, "msg_id"), id) == 0;
}

static bool is_idle(const struct message *m)
{
    return strcmp(text_of(m->header, "msg_type"), "status") == 0 &&
           strcmp(text_of(m->content, "execution_state"), "idle") == 0;
}

struct waiting {
    const char *id;
    bool show;     /* what comes of it is shown, and waited for */
    bool idle;     /* the last word on iopub has come */
    json_t *reply; /* owned */
};

/* Some kernels put the session of who asked into their messages: then nothing can be said. */
static void watch_process(struct remote *r, const struct message *m, bool reply)
{
    const char *session = text_of(m->header, "session");
    const bool known = r->process[0] != '\0';

    if (known ? !*session || strcmp(session, r->process) == 0
              : !reply || strcmp(session, text_of(m->parent, "session")) == 0)
        return;
    r->restarted = known;
    snprintf(r->process, sizeof r->process, "%s", session);
}

static void take_from(struct remote *r, struct waiting *w, enum channel channel)
{
    struct message m;

    while (receive(r, channel, &m)) {
        bool ours = is_ours(&m, w->id);
        watch_process(r, &m, channel == CHANNEL_SHELL && ours);
        if (channel == CHANNEL_SHELL && ours && !w->reply)
            w->reply = json_incref(m.content);
        else if (channel == CHANNEL_IOPUB && ours && is_idle(&m))
            w->idle = true;
        else if (channel == CHANNEL_IOPUB && ours && w->show)
            show(r, &m);
        else if (channel == CHANNEL_STDIN && ours)
            answer_question(r, &m);
        message_release(&m);
    }
}

static void pass_interrupt(struct remote *r)
{
    interrupted = 0;
    (void)send_message(r, CHANNEL_CONTROL, "interrupt_request", json_object(), NULL);
}

/* The contents of the reply, new reference; NULL: interrupted, too late or dead. limit_ms 0: for ever. */
static json_t *wait_for(struct remote *r, struct waiting *w, int64_t limit_ms)
{
    static const enum channel channels[] = {CHANNEL_IOPUB, CHANNEL_SHELL, CHANNEL_STDIN};
    int64_t start = clock_mono_ns();
    struct sigaction action = {.sa_handler = on_interrupt}, before;

    interrupted = 0;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &before);
    while (!r->ended && !r->restarted && !(w->reply && (w->idle || !w->show))) {
        zmq_pollitem_t items[3];
        for (size_t i = 0; i < 3; i++)
            items[i] = (zmq_pollitem_t){.socket = r->socket[channels[i]], .events = ZMQ_POLLIN};
        if (zmq()->poll(items, 3, 200) == 0)
            beat(r);
        for (size_t i = 0; i < 3; i++)
            take_from(r, w, channels[i]);
        if (interrupted && !w->show)
            break;
        if (interrupted)
            pass_interrupt(r);
        if (limit_ms && clock_mono_ns() - start > limit_ms * 1000000)
            break;
    }
    sigaction(SIGINT, &before, NULL);
    return w->reply;
}

static json_t *request_for(struct remote *r, const char *type, json_t *content, int limit_ms)
{
    char id[UUID_TEXT + 64];
    struct waiting w = {.id = id};
    bool restarted = r->restarted;
    json_t *reply;

    r->restarted = false; /* it goes to the one that is there now */
    (void)send_message(r, CHANNEL_SHELL, type, content, id);
    reply = wait_for(r, &w, limit_ms);
    r->restarted = r->restarted || restarted;
    return reply;
}

static json_t *request(struct remote *r, const char *type, json_t *content)
{
    return request_for(r, type, content, ANSWER_MS);
}

/* What it knew is gone, and so is what it was asked. */
static void tell_restart(struct remote *r)
{
    static const char text[] = "the kernel was restarted: its variables are gone\n";
    const struct frontend f = terminal_frontend_seam(r->frontend);
    struct ctx ctx = ctx_background();

    if (r->restarted)
        f.ops->stream(f.self, &ctx, STREAM_STDERR, text, sizeof text - 1);
    r->restarted = false;
}

/* What came since the last cell: not to be shown, but it may be from another process. */
static void catch_up(struct remote *r)
{
    struct waiting nothing = {.id = "nothing"};

    take_from(r, &nothing, CHANNEL_IOPUB);
    tell_restart(r);
}

/* ---- the backend ---- */
static json_t *code_at(const char *code, size_t len, size_t cursor)
{
    return json_pack("{s:s%, s:I}", "code", code, len, "cursor_pos", (json_int_t)cursor);
}

static json_t *complete(void *self, const char *code, size_t len, size_t cursor)
{
    return request(self, "complete_request", code_at(code, len, cursor));
}

static json_t *inspect(void *self, const char *code, size_t len, size_t cursor)
{
    json_t *content = code_at(code, len, cursor);

    json_object_set_new(content, "detail_level", json_integer(0));
    return request(self, "inspect_request", content);
}

static json_t *is_complete(void *self, const char *code, size_t len)
{
    return request(self, "is_complete_request", json_pack("{s:s%}", "code", code, len));
}

static json_t *history(void *self, json_t *wanted)
{
    return request(self, "history_request", json_incref(wanted));
}

static int number(void *self)
{
    const struct remote *r = self;

    return r->number + 1;
}

static void take_payload(struct remote *r, const json_t *payload)
{
    const struct frontend f = terminal_frontend_seam(r->frontend);
    struct ctx ctx = ctx_background();
    json_t *one;
    size_t i;

    json_array_foreach (payload, i, one) {
        const char *source = text_of(one, "source");
        if (strcmp(source, "page") == 0) {
            struct display d = {.data = json_object_get(one, "data")};
            f.ops->page(f.self, &ctx, &d);
        } else if (strcmp(source, "set_next_input") == 0) {
            mem_free(r->next_input);
            r->next_input = mem_strdup(text_of(one, "text"));
        } else if (strcmp(source, "ask_exit") == 0) {
            r->ended = true;
        }
    }
}

static void execute(void *self, const char *code, size_t len)
{
    struct remote *r = self;
    char id[UUID_TEXT + 64];
    struct waiting w = {.id = id, .show = true};
    json_t *reply;

    catch_up(r);
    (void)send_message(r, CHANNEL_SHELL, "execute_request",
                       json_pack("{s:s%, s:b, s:b, s:{}, s:b, s:b}", "code", code, len, "silent", 0,
                                 "store_history", 1, "user_expressions", "allow_stdin", 1, "stop_on_error",
                                 1),
                       id);
    reply = wait_for(r, &w, 0);
    tell_restart(r);
    if (json_is_integer(json_object_get(reply, "execution_count")))
        r->number = (int)json_integer_value(json_object_get(reply, "execution_count"));
    take_payload(r, json_object_get(reply, "payload"));
    json_decref(reply);
}

static char *next_input(void *self)
{
    struct remote *r = self;
    char *text = r->next_input;

    r->next_input = NULL;
    return text;
}

static bool ended(void *self)
{
    const struct remote *r = self;

    return r->ended;
}

struct backend remote_backend(struct remote *r)
{
    static const struct backend_ops ops = {.complete = complete,
                                           .inspect = inspect,
                                           .is_complete = is_complete,
                                           .history = history,
                                           .number = number,
                                           .execute = execute,
                                           .next_input = next_input,
                                           .ended = ended};

    return (struct backend){&ops, r};
}

bool remote_lost(const struct remote *r)
{
    return r->lost;
}

const char *remote_banner(const struct remote *r)
{
    return r->banner ? r->banner : "";
}

/* ---- finding kernels ---- */
static char *runtime_folder(void)
{
    const char *runtime = getenv("JUPYTER_RUNTIME_DIR"), *data = getenv("JUPYTER_DATA_DIR"),
               *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");

    if (runtime && *runtime)
        return mem_strdup(runtime);
    if (data && *data)
        return mem_printf("%s/runtime", data);
    if (xdg && *xdg)
        return mem_printf("%s/jupyter/runtime", xdg);
    return mem_printf("%s/.local/share/jupyter/runtime", home ? home : "");
}

static bool answers(const struct connection *c)
{
    void *context,
        *socket = zmq_context(&context, NULL) == LC_OK ? connect_to(context, c, CHANNEL_HB, "") : NULL;
    char answer[8];
    int wait = ALIVE_MS;
    bool alive = false;

    if (socket) {
        zmq()->setsockopt(socket, ZMQ_RCVTIMEO, &wait, sizeof wait);
        alive = zmq()->send(socket, "ping", 4, 0) == 4 && zmq()->recv(socket, answer, sizeof answer, 0) >= 0;
        zmq()->close(socket);
    }
    if (context)
        zmq()->ctx_term(context);
    return alive;
}

struct candidate {
    char *path; /* owned */
    int64_t changed_ns;
};

static int newest_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    return x->changed_ns > y->changed_ns ? -1 : x->changed_ns < y->changed_ns;
}

static size_t candidates(struct candidate **out)
{
    char *folder = runtime_folder(), **names = NULL;
    size_t n = 0, kept = 0;

    *out = NULL;
    if (folder && fs_list(folder, &names, &n, NULL) == LC_OK)
        *out = mem_calloc(n ? n : 1, sizeof **out);
    for (size_t i = 0; *out && i < n; i++) {
        struct stat st;
        char *path = fs_join(folder, names[i]);
        size_t len = strlen(names[i]);
        if (path && strncmp(names[i], "kernel-", 7) == 0 && len > 5 &&
            strcmp(names[i] + len - 5, ".json") == 0 && stat(path, &st) == 0)
            (*out)[kept++] =
                (struct candidate){path, (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
        else
            mem_free(path);
    }
    if (*out)
        qsort(*out, kept, sizeof **out, newest_first);
    fs_free_list(names, n);
    mem_free(folder);
    return kept;
}

json_t *remote_list(void)
{
    struct candidate *list;
    size_t n = candidates(&list);
    json_t *found = json_array();

    for (size_t i = 0; i < n; i++) {
        struct connection c;
        if (connection_read(list[i].path, &c, NULL) == LC_OK && answers(&c))
            json_array_append_new(found, json_pack("{s:s, s:I}", "file", list[i].path, "started",
                                                   (json_int_t)(list[i].changed_ns / 1000000)));
        mem_free(list[i].path);
    }
    mem_free(list);
    return found;
}

/* The file itself, else the newest that has the text in its name and answers. */
static enum lc find(const char *name, char **path, struct err *err)
{
    json_t *list, *one;
    size_t i;

    *path = NULL;
    if (name && fs_exists(name)) {
        *path = mem_strdup(name);
        return *path ? LC_OK : err_nomem(err);
    }
    list = remote_list();
    json_array_foreach (list, i, one)
        if (!*path && (!name || strstr(fs_basename(text_of(one, "file")), name)))
            *path = mem_strdup(text_of(one, "file"));
    json_decref(list);
    if (*path)
        return LC_OK;
    err_set(err, LC_NOTFOUND, name ? "no running kernel '%s'" : "no kernel is running", name);
    return err_hint(err,
                    "'lacus repl --existing list' shows those that run; a connection file can be named too");
}

/* ---- opening ---- */
static enum lc greet(struct remote *r, const char *path, struct err *err)
{
    json_t *info = request(r, "kernel_info_request", json_object());

    if (!info)
        return err_set(err, LC_TIMEOUT, "the kernel of '%s' does not answer", path);
    r->banner = mem_printf("%s\nattached to %s; Ctrl-D leaves it running\n\n", text_of(info, "banner"),
                           fs_basename(path));
    json_decref(info);
    /* how many cells it has run: nothing, run silently, says it, unless one runs now */
    info = request_for(r, "execute_request",
                       json_pack("{s:s, s:b, s:b, s:{}, s:b}", "code", "", "silent", 1, "store_history", 0,
                                 "user_expressions", "allow_stdin", 0),
                       NUMBER_MS);
    r->number = (int)json_integer_value(json_object_get(info, "execution_count"));
    json_decref(info);
    return LC_OK;
}

static enum lc open_sockets(struct remote *r, struct err *err)
{
    char identity[UUID_TEXT];

    uuid_make(identity);
    TRY(zmq_context(&r->context, err));
    for (int i = 0; i < CHANNEL_COUNT; i++)
        r->socket[i] = connect_to(r->context, &r->connection, (enum channel)i, identity);
    for (int i = 0; i < CHANNEL_COUNT; i++)
        if (!r->socket[i])
            return err_set(err, LC_NET, "cannot connect to the kernel: %s", zmq()->strerror(errno));
    return kwire_open(r->connection.key, r->connection.key_len, &r->wire, err);
}

enum lc remote_open(const char *name, struct terminal_frontend *t, struct remote **out, struct err *err)
{
    struct remote *r = mem_zalloc(sizeof *r);
    char *path = NULL;
    enum lc rc;

    if (!r)
        return err_nomem(err);
    r->frontend = t;
    rc = find(name, &path, err);
    if (rc == LC_OK)
        rc = connection_read(path, &r->connection, err);
    if (rc == LC_OK)
        rc = open_sockets(r, err);
    if (rc == LC_OK)
        rc = greet(r, path, err);
    mem_free(path);
    if (rc == LC_OK)
        *out = r;
    else
        remote_close(r);
    return rc;
}

void remote_close(struct remote *r)
{
    if (!r)
        return;
    for (int i = 0; i < CHANNEL_COUNT; i++)
        if (r->socket[i])
            zmq()->close(r->socket[i]);
    if (r->context)
        zmq()->ctx_term(r->context);
    kwire_close(r->wire);
    mem_free(r->banner);
    mem_free(r->next_input);
    mem_free(r);
}
