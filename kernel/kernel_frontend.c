/* kernel_frontend.c: the session's output as Jupyter messages. */
#include "kernel/cells.h"
#include <string.h>

enum { SMALL_BYTES = 16 << 10 };

static int add_chunk(const char *chunk, size_t len, void *buf)
{
    return buf_add(buf, chunk, len) ? 0 : -1;
}

bool kernel_dump(struct buf *out, const json_t *value, const char *missing)
{
    if (!value)
        return buf_puts(out, missing);
    if (json_dump_callback(value, add_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        out->failed = true;
    return buf_ok(out);
}

static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len)
{
    struct kernel *k = self;

    publisher_text(k->publisher, ctx, stream, text, len);
}

static void add_bundle(struct buf *out, const struct display *d)
{
    buf_puts(out, "{\"data\":");
    kernel_dump(out, d->data, "{}");
    buf_puts(out, ",\"metadata\":");
    kernel_dump(out, d->metadata, "{}");
}

static void on_display(void *self, const struct ctx *ctx, const struct display *d)
{
    struct kernel *k = self;
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);

    add_bundle(&content, d);
    buf_puts(&content, ",\"transient\":");
    kernel_dump(&content, d->transient, "{}");
    buf_putc(&content, '}');
    publisher_send(k->publisher, ctx, d->update ? "update_display_data" : "display_data", &content, NULL,
                   NULL);
}

static void on_result(void *self, const struct ctx *ctx, int execution_count, const struct display *d)
{
    struct kernel *k = self;
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);

    if (k->now && k->now->silent)
        return;
    add_bundle(&content, d);
    buf_printf(&content, ",\"execution_count\":%d}", execution_count);
    if (content.len <= SMALL_BYTES)
        publisher_announce(k->publisher, "execute_result", &content);
    else
        publisher_send(k->publisher, ctx, "execute_result", &content, NULL, NULL);
}

static void on_error(void *self, const struct ctx *ctx, const struct cell_error *e)
{
    struct kernel *k = self;
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);

    buf_puts(&content, "{\"ename\":");
    buf_json(&content, e->ename, strlen(e->ename));
    buf_puts(&content, ",\"evalue\":");
    buf_json(&content, e->evalue, strlen(e->evalue));
    buf_puts(&content, ",\"traceback\":");
    kernel_dump(&content, e->traceback, "[]");
    buf_putc(&content, '}');
    publisher_send(k->publisher, ctx, "error", &content, NULL, NULL);
}

static void on_clear(void *self, const struct ctx *ctx, bool wait)
{
    struct kernel *k = self;
    struct buf content = BUF_INIT(256);

    buf_printf(&content, "{\"wait\":%s}", wait ? "true" : "false");
    publisher_send(k->publisher, ctx, "clear_output", &content, NULL, NULL);
}

/* ---- questions ------------------------------------------------------------------------------------------
 */

static bool send_question(struct kernel *k, const char *prompt, bool password, char id[CHANNELS_ID])
{
    const struct kwire_message *m = &k->now->request->message;
    struct outgoing o = {.ids = m->ids, .n_ids = m->n_ids, .type = "input_request", .parent = m->header_text};
    struct buf content = BUF_INIT(1 << 20);
    bool ok;

    buf_puts(&content, "{\"prompt\":");
    buf_json(&content, prompt, strlen(prompt));
    buf_printf(&content, ",\"password\":%s}", password ? "true" : "false");
    o.content = (struct kwire_part){buf_str(&content), content.len};
    channels_lock(k->channels);
    publisher_flush_locked(k->publisher);
    ok = buf_ok(&content) && channels_send(k->channels, CHANNEL_STDIN, &o);
    channels_sent_id(k->channels, id);
    channels_unlock(k->channels);
    buf_release(&content);
    return ok;
}

static bool is_answer(const struct request *r)
{
    return r->channel == CHANNEL_STDIN && strcmp(r->message.type, "input_reply") == 0;
}

/* To a question of ours that was interrupted: it says so when its client tells what it answers. */
static bool is_late(const struct request *r, const char *question)
{
    const char *to = json_string_value(json_object_get(r->message.parent, "msg_id"));
    const char *counter = strrchr(question, '_');
    size_t ours = counter ? (size_t)(counter - question) : 0;

    return to && ours && strncmp(to, question, ours + 1) == 0 && strcmp(to, question) != 0;
}

struct asked {
    struct kernel *k;
    const struct kwire_message *cell; /* the client that sent it is asked, and no other */
};

static bool is_from(const struct request *r, const struct kwire_message *cell)
{
    return r->message.n_ids > 0 && cell->n_ids > 0 && r->message.ids[0].len == cell->ids[0].len &&
           memcmp(r->message.ids[0].data, cell->ids[0].data, cell->ids[0].len) == 0;
}

/* Meanwhile others are served. */
static bool is_answer_or_free(void *arg, const struct request *r)
{
    const struct asked *asked = arg;

    return is_answer(r) ? is_from(r, asked->cell) : cells_free_for(asked->k, r);
}

static enum lc on_input(void *self, const struct ctx *ctx, const char *prompt, bool password,
                        struct buf *answer, struct err *err)
{
    struct kernel *k = self;
    struct request *r = NULL;
    struct asked asked = {.k = k};
    char question[CHANNELS_ID];
    json_t *value;

    if (!k->now || !k->now->may_ask) {
        err_set(err, LC_UNSUPPORTED, "cannot ask '%s': this front end does not take input", prompt);
        return err_hint(err, "run the cell in JupyterLab or a console, or set the value in the code");
    }
    asked.cell = &k->now->request->message;
    inbox_forget_answers(k->inbox);
    if (!send_question(k, prompt, password, question))
        return err_set(err, LC_NET, "cannot ask '%s': the front end is gone", prompt);
    while (!r) {
        TRY(ctx_check(ctx, err));
        if (atomic_load(&k->stopping))
            return err_set(err, LC_CANCELLED, "the kernel is shutting down");
        r = inbox_take(k->inbox, is_answer_or_free, &asked, cells_step(k) ? 5 : cells_due(k, 50));
        if (r && !is_answer(r)) {
            requests_answer(k, r);
            r = NULL;
        } else if (r && is_late(r, question)) {
            request_free(r);
            r = NULL;
        }
    }
    value = json_object_get(r->message.content, "value");
    buf_add(answer, json_is_string(value) ? json_string_value(value) : "", json_string_length(value));
    request_free(r);
    return buf_check(answer, err);
}

/* ---- comms and the rest ---------------------------------------------------------------------------------
 */

static enum lc on_comm(void *self, const struct ctx *ctx, enum comm_kind kind, const char *comm_id,
                       const char *target, json_t *data, json_t *metadata, const struct comm_buffers *buffers,
                       struct err *err)
{
    static const char *const types[] = {"comm_open", "comm_msg", "comm_close"};
    struct kernel *k = self;
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);

    buf_puts(&content, "{\"comm_id\":");
    buf_json(&content, comm_id, strlen(comm_id));
    if (kind == COMM_OPEN) {
        buf_puts(&content, ",\"target_name\":");
        buf_json(&content, target, strlen(target));
    }
    buf_puts(&content, ",\"data\":");
    kernel_dump(&content, data, "{}");
    buf_putc(&content, '}');
    if (!buf_ok(&content)) {
        enum lc rc = buf_check(&content, err);
        buf_release(&content);
        return rc;
    }
    publisher_send(k->publisher, ctx, types[kind], &content, metadata, buffers);
    return LC_OK;
}

static void add_payload(struct kernel *k, json_t *item)
{
    if (k->now && !k->now->payload)
        k->now->payload = json_array();
    if (k->now)
        json_array_append_new(k->now->payload, item);
    else
        json_decref(item);
}

static void on_page(void *self, const struct ctx *ctx, const struct display *d)
{
    (void)ctx;
    add_payload(self, json_pack("{s:s, s:i, s:O}", "source", "page", "start", 0, "data", d->data));
}

static void on_next_input(void *self, const struct ctx *ctx, const char *text, bool replace)
{
    (void)ctx;
    add_payload(self,
                json_pack("{s:s, s:s, s:b}", "source", "set_next_input", "text", text, "replace", replace));
}

static void on_ask_exit(void *self, const struct ctx *ctx, bool keep_kernel)
{
    (void)ctx;
    add_payload(self, json_pack("{s:s, s:b}", "source", "ask_exit", "keepkernel", keep_kernel));
}

static void on_serve(void *self, const struct ctx *ctx, int timeout_ms)
{
    cells_serve(self, ctx, timeout_ms);
}

static void on_output_waits(void *self) /* the thread that captures */
{
    struct kernel *k = self;

    atomic_store(&k->output_waits, true);
    inbox_wake(k->inbox);
}

static const char *on_request_id(void *self)
{
    struct kernel *k = self;

    return k->now ? k->now->request->message.id : "";
}

const struct frontend_ops kernel_frontend_ops = {
    .name = "kernel",
    .rich = true,
    .stream = on_stream,
    .display = on_display,
    .result = on_result,
    .error = on_error,
    .clear_output = on_clear,
    .input = on_input,
    .comm_send = on_comm,
    .page = on_page,
    .set_next_input = on_next_input,
    .ask_exit = on_ask_exit,
    .serve = on_serve,
    .output_waits = on_output_waits,
    .request_id = on_request_id,
};
