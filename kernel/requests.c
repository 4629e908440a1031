/* requests.c: what the session thread answers: one row per message type of the shell channel. */
#include "kernel/cells.h"
#include "kernel/death.h"
#include "kernel/kernel_int.h"
#include "runtime/base/clock.h"
#include "runtime/notebook/notebook.h"
#include <stdio.h>
#include <string.h>

/* Writes the content of the reply. */
typedef void answer_fn(struct kernel *k, struct request *r, struct buf *out);

bool requests_error(struct buf *out, const char *ename, const char *evalue)
{
    buf_puts(out, "{\"status\":\"error\",\"ename\":");
    buf_json(out, ename, strlen(ename));
    buf_puts(out, ",\"evalue\":");
    buf_json(out, evalue, strlen(evalue));
    return buf_puts(out, ",\"traceback\":[]}");
}

void requests_put_error(struct buf *out, const struct err *err)
{
    requests_error(out, lc_ename(err->code), err->message);
}

bool requests_info(struct buf *out)
{
    return buf_puts(
        out,
        "{\"status\":\"ok\",\"protocol_version\":\"5.5\",\"implementation\":\"lacus\","
        "\"implementation_version\":\"" LACUS_VERSION "\",\"language_info\":" NOTEBOOK_LANGUAGE ","
        "\"banner\":\"lacus " LACUS_VERSION ": Lua 5.4 with dataframes and models; name? explains a name\","
        "\"help_links\":[{\"text\":\"Lua 5.4 manual\",\"url\":\"https://www.lua.org/manual/5.4/\"}],"
        "\"debugger\":true,\"supported_features\":[\"debugger\",\"kernel subshells\",\"iopub_welcome\"]}");
}

/* ---- members of a request -------------------------------------------------------------------------------
 */

static const char *text_member(const struct request *r, const char *name, size_t *len, struct err *err)
{
    json_t *value = json_object_get(r->message.content, name);

    if (!json_is_string(value)) {
        err_set(err, LC_ARG, "%s has no text '%s'", r->message.type, name);
        return NULL;
    }
    *len = json_string_length(value);
    return json_string_value(value);
}

bool requests_flag(const struct request *r, const char *name, bool missing)
{
    json_t *value = json_object_get(r->message.content, name);
    return json_is_boolean(value) ? json_is_true(value) : missing;
}

static size_t cursor_member(const struct request *r, size_t missing)
{
    json_t *value = json_object_get(r->message.content, "cursor_pos");
    json_int_t at = json_integer_value(value);

    return json_is_integer(value) && at >= 0 ? (size_t)at : missing;
}

/* ---- running things that an interrupt may stop
 * ------------------------------------------------------------- */

void requests_begin(struct kernel *k)
{
    pthread_mutex_lock(&k->run_lock);
    k->running++;
    session_expect(k->session);
    k->interruptible = k->session;
    pthread_mutex_unlock(&k->run_lock);
}

void requests_end(struct kernel *k)
{
    pthread_mutex_lock(&k->run_lock);
    k->ended++;
    if (--k->running == 0)
        k->interruptible = NULL;
    pthread_mutex_unlock(&k->run_lock);
}

/* ---- execute
 * ----------------------------------------------------------------------------------------------- */

void requests_publish_failure(struct kernel *k, const struct err *err)
{
    json_t *traceback = json_pack("[s]", err->message);
    const struct cell_error e = {
        .ename = lc_ename(err->code), .evalue = err->message, .traceback = traceback};

    kernel_frontend_ops.error(k, NULL, &e);
    json_decref(traceback);
}

static bool read_cell(const struct request *r, struct cell_request *cell, struct err *err)
{
    json_t *expressions = json_object_get(r->message.content, "user_expressions");

    *cell = (struct cell_request){.silent = requests_flag(r, "silent", false)};
    cell->code = text_member(r, "code", &cell->len, err);
    cell->store_history = !cell->silent && requests_flag(r, "store_history", true);
    cell->allow_stdin = requests_flag(r, "allow_stdin", true);
    cell->user_expressions = json_is_object(expressions) ? expressions : NULL;
    cell->cell_id = json_string_value(json_object_get(r->message.metadata, "cellId"));
    return cell->code != NULL;
}

/* A cell that was sent before an earlier one failed. */
static void answer_execute(struct kernel *k, struct request *r, struct buf *out)
{
    (void)r;
    buf_printf(out, "{\"status\":\"aborted\",\"execution_count\":%d}", session_execution_count(k->session));
}

/* ---- questions about code
 * ------------------------------------------------------------------------------------ */

/* Replies of the session are contents already; those without a status of their own get "ok". */
static void put_answer(struct buf *out, json_t *answer)
{
    if (!answer) {
        requests_error(out, lc_ename(LC_INTERNAL), "no answer");
        return;
    }
    if (!json_object_get(answer, "status"))
        json_object_set_new(answer, "status", json_string("ok"));
    kernel_dump(out, answer, "{}");
    json_decref(answer);
}

static void answer_complete(struct kernel *k, struct request *r, struct buf *out)
{
    size_t len;
    struct err err;
    const char *code = text_member(r, "code", &len, &err);

    if (!code) {
        requests_put_error(out, &err);
        return;
    }
    requests_begin(k);
    put_answer(out, session_complete(k->session, code, len, cursor_member(r, len)));
    requests_end(k);
}

static void answer_inspect(struct kernel *k, struct request *r, struct buf *out)
{
    int detail = (int)json_integer_value(json_object_get(r->message.content, "detail_level"));
    size_t len;
    struct err err;
    const char *code = text_member(r, "code", &len, &err);

    if (!code) {
        requests_put_error(out, &err);
        return;
    }
    requests_begin(k);
    put_answer(out, session_inspect(k->session, code, len, cursor_member(r, len), detail));
    requests_end(k);
}

static void answer_is_complete(struct kernel *k, struct request *r, struct buf *out)
{
    size_t len;
    struct err err;
    const char *code = text_member(r, "code", &len, &err);

    if (code)
        put_answer(out, session_is_complete(k->session, code, len));
    else
        requests_put_error(out, &err);
}

static void answer_history(struct kernel *k, struct request *r, struct buf *out)
{
    put_answer(out, session_history(k->session, r->message.content));
}

/* ---- comms
 * ------------------------------------------------------------------------------------------------------ */

static void answer_comm_info(struct kernel *k, struct request *r, struct buf *out)
{
    const char *target = json_string_value(json_object_get(r->message.content, "target_name"));
    json_t *comms = session_comm_info(k->session, target);

    buf_puts(out, "{\"status\":\"ok\",\"comms\":");
    kernel_dump(out, comms, "{}");
    buf_putc(out, '}');
    json_decref(comms);
}

static void close_unknown(struct kernel *k, const char *id)
{
    json_t *none = json_object();
    struct err err;

    if (kernel_frontend_ops.comm_send(k, NULL, COMM_CLOSE, id, NULL, none, NULL, NULL, &err) != LC_OK)
        death_note(k->log_fd, "cannot close comm '%s': %s", id, err.message);
    json_decref(none);
}

static void answer_comm(struct kernel *k, struct request *r, struct buf *out)
{
    const enum comm_kind kind = requests_comm_kind(r);
    json_t *content = r->message.content;
    const char *id = json_string_value(json_object_get(content, "comm_id"));
    const char *target = json_string_value(json_object_get(content, "target_name"));
    const void *data[WIRE_PARTS_MAX];
    size_t len[WIRE_PARTS_MAX];
    struct comm_buffers buffers = {data, len, r->message.n_buffers};
    struct err err;
    enum lc rc;

    (void)out;
    if (!id || (kind == COMM_OPEN && !target)) {
        death_note(k->log_fd, "ignored a %s without comm_id or target_name", r->message.type);
        return;
    }
    for (size_t i = 0; i < buffers.n; i++) {
        data[i] = r->message.buffers[i].data;
        len[i] = r->message.buffers[i].len;
    }
    requests_begin(k);
    rc = session_comm(k->session, kind, id, target, json_object_get(content, "data"), r->message.metadata,
                      &buffers, &err);
    requests_end(k);
    if (rc == LC_NOTFOUND && kind == COMM_OPEN)
        close_unknown(k, id);
    else if (rc != LC_OK && rc != LC_NOTFOUND)
        requests_publish_failure(k, &err);
}

enum comm_kind requests_comm_kind(const struct request *r)
{
    return strcmp(r->message.type, "comm_open") == 0    ? COMM_OPEN
           : strcmp(r->message.type, "comm_close") == 0 ? COMM_CLOSE
                                                        : COMM_MSG;
}

bool requests_is_comm(const struct request *r)
{
    return r->channel == CHANNEL_SHELL && strncmp(r->message.type, "comm_", 5) == 0 &&
           strcmp(r->message.type, "comm_info_request") != 0;
}

bool requests_is_question(const struct request *r)
{
    static const char *const types[] = {"complete_request", "inspect_request",   "is_complete_request",
                                        "history_request",  "comm_info_request", "kernel_info_request",
                                        "connect_request"};

    for (size_t i = 0; r->channel == CHANNEL_SHELL && i < sizeof types / sizeof *types; i++)
        if (strcmp(r->message.type, types[i]) == 0)
            return true;
    return false;
}

/* ---- the kernel itself
 * -------------------------------------------------------------------------------------------- */

static void answer_info(struct kernel *k, struct request *r, struct buf *out)
{
    (void)r;
    buf_add(out, buf_str(&k->info), k->info.len);
}

void requests_put_ports(const struct kernel *k, struct buf *out)
{
    const int *port = k->connection.port;

    buf_printf(out,
               "{\"status\":\"ok\",\"shell_port\":%d,\"iopub_port\":%d,\"stdin_port\":%d,\"control_port\":%d,"
               "\"hb_port\":%d}",
               port[CHANNEL_SHELL], port[CHANNEL_IOPUB], port[CHANNEL_STDIN], port[CHANNEL_CONTROL],
               port[CHANNEL_HB]);
}

static void answer_connect(struct kernel *k, struct request *r, struct buf *out)
{
    (void)r;
    requests_put_ports(k, out);
}

static void answer_shutdown(struct kernel *k, struct request *r, struct buf *out)
{
    buf_printf(out, "{\"status\":\"ok\",\"restart\":%s}",
               requests_flag(r, "restart", false) ? "true" : "false");
    control_stop(k);
}

static const struct row {
    const char *type, *reply; /* reply NULL: none is sent */
    answer_fn *answer;
} rows[] = {
    {"execute_request", "execute_reply", answer_execute},
    {"complete_request", "complete_reply", answer_complete},
    {"inspect_request", "inspect_reply", answer_inspect},
    {"is_complete_request", "is_complete_reply", answer_is_complete},
    {"history_request", "history_reply", answer_history},
    {"kernel_info_request", "kernel_info_reply", answer_info},
    {"comm_info_request", "comm_info_reply", answer_comm_info},
    {"comm_open", NULL, answer_comm},
    {"comm_msg", NULL, answer_comm},
    {"comm_close", NULL, answer_comm},
    {"connect_request", "connect_reply", answer_connect},
    {"shutdown_request", "shutdown_reply", answer_shutdown},
};

static const struct row *find(const char *type)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].type, type) == 0)
            return &rows[i];
    return NULL;
}

bool requests_reply_type(const char *type, char out[WIRE_TYPE_MAX + 1])
{
    const char *tail = strstr(type, "_request");

    if (!tail || strcmp(tail, "_request") != 0)
        return false;
    snprintf(out, WIRE_TYPE_MAX + 1, "%.*s_reply", (int)(tail - type), type);
    return true;
}

static void send_reply_locked(struct kernel *k, const struct request *r, const char *type,
                              struct buf *content)
{
    const struct kwire_message *m = &r->message;
    const struct outgoing o = {.ids = m->ids, .n_ids = m->n_ids, .type = type, .parent = m->header_text};

    channels_reply(k->channels, CHANNEL_SHELL, &o, content);
}

void requests_put_unknown(struct buf *out, const char *type, const char *channel)
{
    struct err err;

    err_set(&err, LC_UNSUPPORTED, "no message type '%s' on the %s channel", type, channel);
    requests_put_error(out, &err);
}

void requests_reply(struct kernel *k, const struct request *r, struct buf *content)
{
    char type[WIRE_TYPE_MAX + 1];

    if (!buf_ok(content)) {
        buf_clear(content);
        requests_error(content, lc_ename(LC_LIMIT), "the reply is too large");
    }
    channels_lock(k->channels);
    /* the client waits for it: before what of its output is still held, which goes out together with idle */
    if (requests_reply_type(r->message.type, type))
        send_reply_locked(k, r, type, content);
    publisher_status_locked(k->publisher, "idle");
    channels_unlock(k->channels);
}

void requests_announce(struct kernel *k)
{
    struct buf content = BUF_INIT(64);

    buf_puts(&content, "{\"execution_state\":\"busy\"}");
    publisher_announce(k->publisher, "status", &content);
}

struct exchange *requests_enter(struct kernel *k, struct exchange *e)
{
    struct exchange *before = k->now;

    k->now = e;
    if (e != before)
        publisher_parent(k->publisher, e->request->message.header_text.data,
                         e->request->message.header_text.len);
    return before;
}

/* Front ends show the state that was told last: after an idle of one request, the cells that go on running say so. */
void requests_leave(struct kernel *k, struct exchange *before)
{
    struct shell *busy = shells_busy(k->shells, 0);
    bool tell = k->now == NULL && busy;
    const struct exchange *on = before ? before : tell ? busy->running : NULL;

    k->now = before;
    if (on)
        publisher_parent(k->publisher, on->request->message.header_text.data,
                         on->request->message.header_text.len);
    if (tell)
        publisher_status(k->publisher, "busy");
}

static void answer_now(struct kernel *k, struct shell *shell, struct request *r, const struct err *problem)
{
    const struct row *row = find(r->message.type);
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);
    struct exchange e = {.request = r}, *before = requests_enter(k, &e);
    const bool handler = shell && requests_is_comm(r);

    requests_announce(k);
    if (handler)
        shells_begun(k->shells, shell, NULL);
    k->nested += handler;
    if (problem->code != LC_OK)
        requests_put_error(&content, problem);
    else if (row)
        row->answer(k, r, &content);
    else
        requests_put_unknown(&content, r->message.type, "shell");
    k->nested -= handler;
    if (handler)
        shells_ended(k->shells, shell, false);
    requests_reply(k, r, &content);
    buf_release(&content);
    json_decref(e.payload);
    k->now = NULL;
    requests_leave(k, before);
    request_free(r);
}

void requests_answer(struct kernel *k, struct request *r)
{
    struct shell *shell = shells_find(k->shells, r->message.subshell);
    struct err problem = r->problem;
    struct cell_request cell;

    if (!shell && problem.code == LC_OK)
        (void)err_set(&problem, LC_NOTFOUND, "no subshell '%s'", r->message.subshell);
    if (problem.code == LC_OK && !r->aborted && strcmp(r->message.type, "execute_request") == 0 &&
        read_cell(r, &cell, &problem))
        cells_start(k, shell, r, &cell);
    else
        answer_now(k, shell, r, &problem);
}

void requests_idle(struct kernel *k)
{
    requests_begin(k);
    session_idle(k->session);
    requests_end(k);
}

static bool is_any(void *arg, const struct request *r)
{
    (void)arg;
    return r->channel == CHANNEL_SHELL;
}

void requests_end_all(struct kernel *k)
{
    struct request *r;

    while ((r = inbox_take(k->inbox, is_any, NULL, 0)) != NULL) {
        if (strcmp(r->message.type, "shutdown_request") == 0)
            requests_answer(k, r);
        else
            request_free(r);
    }
}

bool requests_is_early(void *kernel, const struct request *r)
{
    (void)kernel;
    return r->channel == CHANNEL_SHELL && strcmp(r->message.type, "kernel_info_request") == 0 &&
           r->problem.code == LC_OK && !r->message.subshell[0];
}

void requests_early(void *kernel, const struct request *r)
{
    static const char busy[] = "{\"execution_state\":\"busy\"}", idle[] = "{\"execution_state\":\"idle\"}";
    struct kernel *k = kernel;
    const struct kwire_part *header = &r->message.header_text;

    channels_lock(k->channels);
    publisher_aside_locked(k->publisher, header, "status", busy, sizeof busy - 1);
    send_reply_locked(k, r, "kernel_info_reply", &k->info);
    publisher_aside_locked(k->publisher, header, "status", idle, sizeof idle - 1);
    /* as in requests_leave: the idle of what runs comes later, and needs the lock that we have */
    if (shells_running(k->shells) > 0)
        publisher_status_locked(k->publisher, "busy");
    channels_unlock(k->channels);
}
