#include "tests/support/recorder.h"
#include "runtime/base/mem.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct recorder *r, json_t *event)
{
    if (!r->events)
        r->events = json_array();
    json_array_append_new(r->events, event);
}

static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len)
{
    struct recorder *r = self;
    const char *name = stream == STREAM_STDERR ? "stderr" : "stdout";
    json_t *last = r->events ? json_array_get(r->events, json_array_size(r->events) - 1) : NULL;
    const char *before = last ? json_string_value(json_object_get(last, "text")) : NULL;

    (void)ctx;
    if (before && json_array_size(r->events) &&
        strcmp(json_string_value(json_object_get(last, "name")), name) == 0) {
        struct buf b = BUF_INIT((size_t)1 << 30);
        buf_puts(&b, before);
        buf_add(&b, text, len);
        json_object_set_new(last, "text", json_stringn(buf_str(&b), b.len));
        buf_release(&b);
        return;
    }
    add(r, json_pack("{sssssO}", "type", "stream", "name", name, "text", json_stringn(text, len)));
    json_decref(json_object_get(json_array_get(r->events, json_array_size(r->events) - 1), "text"));
}

static json_t *bundle(const char *type, const struct display *d)
{
    json_t *e = json_pack("{sssO}", "type", type, "data", d->data);

    if (d->metadata)
        json_object_set(e, "metadata", d->metadata);
    if (d->transient)
        json_object_set(e, "transient", d->transient);
    return e;
}

static void on_display(void *self, const struct ctx *ctx, const struct display *d)
{
    (void)ctx;
    add(self, bundle(d->update ? "update_display_data" : "display_data", d));
}

static void on_result(void *self, const struct ctx *ctx, int execution_count, const struct display *d)
{
    json_t *e = bundle("execute_result", d);

    (void)ctx;
    json_object_set_new(e, "execution_count", json_integer(execution_count));
    add(self, e);
}

static void on_error(void *self, const struct ctx *ctx, const struct cell_error *error)
{
    (void)ctx;
    add(self, json_pack("{sssssssO}", "type", "error", "ename", error->ename, "evalue", error->evalue,
                        "traceback", error->traceback));
}

static void on_clear(void *self, const struct ctx *ctx, bool wait)
{
    (void)ctx;
    add(self, json_pack("{sssb}", "type", "clear_output", "wait", wait));
}

static enum lc on_input(void *self, const struct ctx *ctx, const char *prompt, bool password,
                        struct buf *answer, struct err *err)
{
    struct recorder *r = self;

    TRY(ctx_check(ctx, err));
    snprintf(r->prompt, sizeof r->prompt, "%s", prompt);
    r->password = password;
    if (!r->answers || !r->answers[r->answered])
        return err_set(err, LC_UNSUPPORTED, "nobody answers");
    buf_puts(answer, r->answers[r->answered++]);
    return LC_OK;
}

static enum lc on_comm(void *self, const struct ctx *ctx, enum comm_kind kind, const char *comm_id,
                       const char *target, json_t *data, json_t *metadata, const struct comm_buffers *buffers,
                       struct err *err)
{
    static const char *const kinds[] = {"open", "msg", "close"};
    json_t *e = json_pack("{ssssssss}", "type", "comm", "kind", kinds[kind], "comm_id", comm_id, "target",
                          target ? target : "");

    (void)ctx, (void)buffers, (void)err;
    if (data)
        json_object_set(e, "data", data);
    if (metadata)
        json_object_set(e, "metadata", metadata);
    add(self, e);
    return LC_OK;
}

static void on_page(void *self, const struct ctx *ctx, const struct display *d)
{
    (void)ctx;
    add(self, bundle("page", d));
}

static void on_next_input(void *self, const struct ctx *ctx, const char *text, bool replace)
{
    (void)ctx;
    add(self, json_pack("{sssssb}", "type", "set_next_input", "text", text, "replace", replace));
}

static void on_exit_asked(void *self, const struct ctx *ctx, bool keep_kernel)
{
    (void)ctx;
    add(self, json_pack("{sssb}", "type", "ask_exit", "keep_kernel", keep_kernel));
}

static const struct frontend_ops recorder_ops = {
    .name = "recorder",
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
    .ask_exit = on_exit_asked,
};

struct frontend recorder_frontend(struct recorder *r)
{
    return (struct frontend){.ops = &recorder_ops, .self = r};
}

void recorder_clear(struct recorder *r)
{
    json_decref(r->events);
    r->events = NULL;
}

void recorder_release(struct recorder *r)
{
    recorder_clear(r);
}

char *recorder_text(const struct recorder *r, enum stream stream)
{
    struct buf b = BUF_INIT((size_t)1 << 30);
    json_t *e;
    size_t i;

    json_array_foreach (r->events, i, e) {
        const char *name = json_string_value(json_object_get(e, "name"));
        if (name && strcmp(name, stream == STREAM_STDERR ? "stderr" : "stdout") == 0)
            buf_puts(&b, json_string_value(json_object_get(e, "text")));
    }
    return buf_take(&b);
}

json_t *recorder_event(const struct recorder *r, const char *type, size_t n)
{
    json_t *e;
    size_t i;

    json_array_foreach (r->events, i, e) {
        if (strcmp(json_string_value(json_object_get(e, "type")), type) == 0 && n-- == 0)
            return e;
    }
    return NULL;
}

const char *recorder_result(const struct recorder *r)
{
    json_t *e = recorder_event(r, "execute_result", 0);

    return e ? json_string_value(json_object_get(json_object_get(e, "data"), "text/plain")) : NULL;
}

void recorder_run(struct recorder *r, struct session *s, const char *text, struct cell_reply *reply)
{
    struct cell_request cell = {
        .code = text, .len = strlen(text), .store_history = true, .allow_stdin = true};
    struct err err;

    (void)r;
    if (session_execute(s, &cell, reply, &err) != LC_OK) {
        fprintf(stderr, "cannot run the cell: %s\n", err.message);
        abort();
    }
}

int recorder_set_up(void **state)
{
    struct recorder *r = calloc(1, sizeof *r);
    struct session_options options = {.frontend = recorder_frontend(r)};
    struct err err;

    *state = r;
    return session_open(&options, &r->session, &err);
}

int recorder_tear_down(void **state)
{
    struct recorder *r = *state;

    session_close(r->session);
    recorder_release(r);
    free(r);
    return 0;
}

void recorder_do(struct recorder *r, const char *text)
{
    struct cell_reply reply;

    recorder_clear(r);
    recorder_run(r, r->session, text, &reply);
    if (reply.status != CELL_OK)
        fail_msg("%s: %s", text, reply.evalue);
    cell_reply_release(&reply);
}
