/* requests.c: what the session thread answers: one row per message type of the shell channel. */
#include "kernel/death.h"
#include "kernel/kernel_int.h"
#include "runtime/base/clock.h"
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

static void put_error(struct buf *out, const struct err *err)
{
    requests_error(out, lc_ename(err->code), err->message);
}

bool requests_info(struct buf *out)
{
    return buf_puts(
        out,
        "{\"status\":\"ok\",\"protocol_version\":\"5.5\",\"implementation\":\"lacus\","
        "\"implementation_version\":\"" LACUS_VERSION "\",\"language_info\":{\"name\":\"lua\","
        "\"version\":\"5.4\",\"mimetype\":\"text/x-lua\",\"file_extension\":\".lua\","
        "\"pygments_lexer\":\"lua\",\"codemirror_mode\":\"lua\",\"nbconvert_exporter\":\"script\"},"
        "\"banner\":\"lacus " LACUS_VERSION ": Lua 5.4 with dataframes and models; name? explains a name\","
        "\"help_links\":[{\"text\":\"Lua 5.4 manual\",\"url\":\"https://www.lua.org/manual/5.4/\"}],"
        "\"debugger\":false,\"supported_features\":[]}");
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

static bool flag_member(const struct request *r, const char *name, bool missing)
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

static void begin(struct kernel *k)
{
    pthread_mutex_lock(&k->run_lock);
    k->running++;
    k->interruptible = k->session;
    pthread_mutex_unlock(&k->run_lock);
}

static void end(struct kernel *k)
{
    pthread_mutex_lock(&k->run_lock);
    if (--k->running == 0)
        k->interruptible = NULL;
    pthread_mutex_unlock(&k->run_lock);
}

/* ---- execute
 * ----------------------------------------------------------------------------------------------- */

static void publish_input(struct kernel *k, const struct cell_request *cell)
{
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);

    buf_puts(&content, "{\"code\":");
    buf_json(&content, cell->code, cell->len);
    buf_printf(&content, ",\"execution_count\":%d}",
               session_execution_count(k->session) + (cell->store_history ? 1 : 0));
    publisher_announce(k->publisher, "execute_input", &content);
}

/* The session could not run the cell at all: the front end would see nothing but a reply. */
static void publish_failure(struct kernel *k, const struct err *err)
{
    json_t *traceback = json_pack("[s]", err->message);
    const struct cell_error e = {
        .ename = lc_ename(err->code), .evalue = err->message, .traceback = traceback};

    kernel_frontend_ops.error(k, NULL, &e);
    json_decref(traceback);
}

static void put_payload(struct kernel *k, struct buf *out, json_t *from_session)
{
    json_t *all = json_array();

    json_array_extend(all, from_session);
    json_array_extend(all, k->payload);
    buf_puts(out, ",\"payload\":");
    kernel_dump(out, all, "[]");
    json_decref(all);
    json_decref(k->payload);
    k->payload = NULL;
}

static void put_reply(struct kernel *k, struct buf *out, const struct cell_reply *reply)
{
    static const char *const names[] = {[CELL_OK] = "ok", [CELL_ERROR] = "error", [CELL_ABORTED] = "aborted"};

    buf_printf(out, "{\"status\":\"%s\",\"execution_count\":%d", names[reply->status],
               reply->execution_count);
    if (reply->status == CELL_ERROR) {
        const char *ename = reply->ename ? reply->ename : "Error",
                   *evalue = reply->evalue ? reply->evalue : "";
        buf_puts(out, ",\"ename\":");
        buf_json(out, ename, strlen(ename));
        buf_puts(out, ",\"evalue\":");
        buf_json(out, evalue, strlen(evalue));
        buf_puts(out, ",\"traceback\":");
        kernel_dump(out, reply->traceback, "[]");
    }
    buf_puts(out, ",\"user_expressions\":");
    kernel_dump(out, reply->user_expressions, "{}");
    put_payload(k, out, reply->payload);
    buf_putc(out, '}');
}

/* After this time, what a client sends together with a cell has come. */
enum { LONG_MS = 20 };

static void run_cell(struct kernel *k, struct request *r, const struct cell_request *cell, struct buf *out)
{
    struct cell_reply reply = {.status = CELL_OK};
    struct err err;
    int64_t began = clock_mono_ns();
    bool failed;
    enum lc rc;

    begin(k);
    rc = session_execute(k->session, cell, &reply, &err);
    end(k);
    if (rc != LC_OK) {
        publish_failure(k, &err);
        put_error(out, &err);
    } else {
        if (reply.exit_asked)
            kernel_frontend_ops.ask_exit(k, NULL, false);
        put_reply(k, out, &reply);
    }
    failed = rc != LC_OK || reply.status != CELL_OK;
    if (rc == LC_OK && reply.exit_asked)
        control_stop(k);
    if (rc == LC_OK)
        cell_reply_release(&reply);
    if (failed && flag_member(r, "stop_on_error", true))
        inbox_abort(k->inbox, r->message.session, clock_mono_ns() - began > (int64_t)LONG_MS * 1000000);
}

static void answer_execute(struct kernel *k, struct request *r, struct buf *out)
{
    struct cell_request cell = {.silent = flag_member(r, "silent", false)};
    json_t *expressions = json_object_get(r->message.content, "user_expressions");
    struct err err;

    if (r->aborted) {
        buf_printf(out, "{\"status\":\"aborted\",\"execution_count\":%d}",
                   session_execution_count(k->session));
        return;
    }
    cell.code = text_member(r, "code", &cell.len, &err);
    if (!cell.code) {
        put_error(out, &err);
        return;
    }
    cell.store_history = !cell.silent && flag_member(r, "store_history", true);
    cell.allow_stdin = flag_member(r, "allow_stdin", true);
    cell.user_expressions = json_is_object(expressions) ? expressions : NULL;
    cell.cell_id = json_string_value(json_object_get(r->message.metadata, "cellId"));
    k->silent = cell.silent;
    k->may_ask = cell.allow_stdin;
    if (!cell.silent)
        publish_input(k, &cell);
    run_cell(k, r, &cell, out);
    k->may_ask = false;
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
        put_error(out, &err);
        return;
    }
    begin(k);
    put_answer(out, session_complete(k->session, code, len, cursor_member(r, len)));
    end(k);
}

static void answer_inspect(struct kernel *k, struct request *r, struct buf *out)
{
    int detail = (int)json_integer_value(json_object_get(r->message.content, "detail_level"));
    size_t len;
    struct err err;
    const char *code = text_member(r, "code", &len, &err);

    if (!code) {
        put_error(out, &err);
        return;
    }
    begin(k);
    put_answer(out, session_inspect(k->session, code, len, cursor_member(r, len), detail));
    end(k);
}

static void answer_is_complete(struct kernel *k, struct request *r, struct buf *out)
{
    size_t len;
    struct err err;
    const char *code = text_member(r, "code", &len, &err);

    if (code)
        put_answer(out, session_is_complete(k->session, code, len));
    else
        put_error(out, &err);
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

static void take_comm(struct kernel *k, struct request *r, enum comm_kind kind)
{
    json_t *content = r->message.content;
    const char *id = json_string_value(json_object_get(content, "comm_id"));
    const char *target = json_string_value(json_object_get(content, "target_name"));
    const void *data[WIRE_PARTS_MAX];
    size_t len[WIRE_PARTS_MAX];
    struct comm_buffers buffers = {data, len, r->message.n_buffers};
    struct err err;
    enum lc rc;

    if (!id || (kind == COMM_OPEN && !target)) {
        death_note(k->log_fd, "ignored a %s without comm_id or target_name", r->message.type);
        return;
    }
    for (size_t i = 0; i < buffers.n; i++) {
        data[i] = r->message.buffers[i].data;
        len[i] = r->message.buffers[i].len;
    }
    begin(k);
    rc = session_comm(k->session, kind, id, target, json_object_get(content, "data"), r->message.metadata,
                      &buffers, &err);
    end(k);
    if (rc == LC_NOTFOUND && kind == COMM_OPEN)
        close_unknown(k, id);
    else if (rc != LC_OK && rc != LC_NOTFOUND)
        publish_failure(k, &err);
}

static void answer_comm_open(struct kernel *k, struct request *r, struct buf *out)
{
    (void)out;
    take_comm(k, r, COMM_OPEN);
}

static void answer_comm_msg(struct kernel *k, struct request *r, struct buf *out)
{
    (void)out;
    take_comm(k, r, COMM_MSG);
}

static void answer_comm_close(struct kernel *k, struct request *r, struct buf *out)
{
    (void)out;
    take_comm(k, r, COMM_CLOSE);
}

bool requests_is_comm(const struct request *r)
{
    return r->channel == CHANNEL_SHELL && strncmp(r->message.type, "comm_", 5) == 0 &&
           strcmp(r->message.type, "comm_info_request") != 0;
}

/* ---- the kernel itself
 * -------------------------------------------------------------------------------------------- */

static void answer_info(struct kernel *k, struct request *r, struct buf *out)
{
    (void)r;
    buf_add(out, buf_str(&k->info), k->info.len);
}

static void answer_connect(struct kernel *k, struct request *r, struct buf *out)
{
    const int *port = k->connection.port;

    (void)r;
    buf_printf(out,
               "{\"status\":\"ok\",\"shell_port\":%d,\"iopub_port\":%d,\"stdin_port\":%d,\"control_port\":%d,"
               "\"hb_port\":%d}",
               port[CHANNEL_SHELL], port[CHANNEL_IOPUB], port[CHANNEL_STDIN], port[CHANNEL_CONTROL],
               port[CHANNEL_HB]);
}

static void answer_shutdown(struct kernel *k, struct request *r, struct buf *out)
{
    buf_printf(out, "{\"status\":\"ok\",\"restart\":%s}",
               flag_member(r, "restart", false) ? "true" : "false");
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
    {"comm_open", NULL, answer_comm_open},
    {"comm_msg", NULL, answer_comm_msg},
    {"comm_close", NULL, answer_comm_close},
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

static void send_reply(struct kernel *k, const struct request *r, const char *type, const struct buf *content)
{
    const struct kwire_message *m = &r->message;
    const struct outgoing o = {.ids = m->ids,
                               .n_ids = m->n_ids,
                               .type = type,
                               .parent = m->header_text,
                               .content = {buf_str(content), content->len}};

    channels_lock(k->channels);
    publisher_flush_locked(k->publisher);
    channels_send(k->channels, CHANNEL_SHELL, &o);
    channels_unlock(k->channels);
}

static void put_unknown(struct buf *out, const char *type)
{
    struct err err;

    err_set(&err, LC_UNSUPPORTED, "no message type '%s' here", type);
    put_error(out, &err);
}

/* Answers with the row's function, or says why it cannot. */
static void reply_to(struct kernel *k, struct request *r)
{
    const struct row *row = find(r->message.type);
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);
    char type[WIRE_TYPE_MAX + 1];

    if (r->problem.code != LC_OK)
        put_error(&content, &r->problem);
    else if (row)
        row->answer(k, r, &content);
    else
        put_unknown(&content, r->message.type);
    if (!buf_ok(&content)) {
        buf_clear(&content);
        requests_error(&content, lc_ename(LC_LIMIT), "the reply is too large");
    }
    if (requests_reply_type(r->message.type, type))
        send_reply(k, r, type, &content);
    buf_release(&content);
}

static void announce_busy(struct kernel *k)
{
    struct buf content = BUF_INIT(64);

    buf_puts(&content, "{\"execution_state\":\"busy\"}");
    publisher_announce(k->publisher, "status", &content);
}

void requests_answer(struct kernel *k, struct request *r)
{
    const struct request *outer = k->current;
    bool silent = k->silent;

    k->current = r;
    k->silent = false;
    publisher_parent(k->publisher, r->message.header_text.data, r->message.header_text.len);
    announce_busy(k);
    reply_to(k, r);
    publisher_status(k->publisher, "idle");
    k->current = outer;
    k->silent = silent;
    if (outer)
        publisher_parent(k->publisher, outer->message.header_text.data, outer->message.header_text.len);
}

void requests_idle(struct kernel *k)
{
    begin(k);
    session_idle(k->session);
    end(k);
}

bool requests_early(void *kernel, struct request *r)
{
    static const char busy[] = "{\"execution_state\":\"busy\"}", idle[] = "{\"execution_state\":\"idle\"}";
    struct kernel *k = kernel;
    const struct kwire_part *header = &r->message.header_text;

    channels_lock(k->channels);
    publisher_aside_locked(k->publisher, header, "status", busy, sizeof busy - 1);
    channels_unlock(k->channels);
    send_reply(k, r, "kernel_info_reply", &k->info);
    channels_lock(k->channels);
    publisher_aside_locked(k->publisher, header, "status", idle, sizeof idle - 1);
    channels_unlock(k->channels);
    return true;
}
