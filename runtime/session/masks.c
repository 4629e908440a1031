#include "runtime/session/masks.h"
#include "runtime/base/redact.h"
#include "runtime/session/session_int.h"
#include <string.h>

struct masks {
    struct frontend inner;
    struct frontend_ops ops; /* ours, without those that the inner front end lacks */
    struct redact *redact;   /* owned; NULL: nothing is hidden */
    struct buf held[2];      /* ends of the two streams */
    const struct ctx *ctx;   /* borrowed from the session */
};

/* ---- streams ---- */
static void send(struct masks *m, enum stream stream, const char *text, size_t len)
{
    struct buf out = BUF_INIT(BUF_TEXT_MAX * 16);

    redact_text(m->redact, text, len, &out);
    if (out.len)
        m->inner.ops->stream(m->inner.self, m->ctx, stream, buf_str(&out), out.len);
    buf_release(&out);
}

static void flush_one(struct masks *m, enum stream stream)
{
    struct buf *held = &m->held[stream == STREAM_STDERR];

    if (held->len)
        send(m, stream, buf_str(held), held->len);
    buf_clear(held);
}

static void flush(struct masks *m)
{
    flush_one(m, STREAM_STDOUT);
    flush_one(m, STREAM_STDERR);
}

static void send_and_hold(struct masks *m, enum stream stream, const char *text, size_t len)
{
    struct buf *held = &m->held[stream == STREAM_STDERR];
    size_t keep;

    flush_one(m, stream == STREAM_STDERR ? STREAM_STDOUT : STREAM_STDERR);
    if (held->len) {
        buf_add(held, text, len);
        text = buf_str(held);
        len = held->len;
    }
    keep = redact_held(m->redact, text, len);
    send(m, stream, text, len - keep);
    if (held->len) {
        memmove(held->data, held->data + len - keep, keep);
        held->len = keep;
        held->data[keep] = '\0';
    } else {
        buf_add(held, text + len - keep, keep);
    }
}

static void on_stream(void *self, const struct ctx *ctx, enum stream stream, const char *text, size_t len)
{
    struct masks *m = self;

    if (m->redact)
        send_and_hold(m, stream, text, len);
    else
        m->inner.ops->stream(m->inner.self, ctx, stream, text, len);
}

/* ---- displays ---- */
static struct display cleaned(struct masks *m, const struct display *d)
{
    struct display out = *d;

    flush(m);
    out.data = redact_json(m->redact, d->data);
    out.metadata = redact_json(m->redact, d->metadata);
    return out;
}

static void release(struct display *d)
{
    json_decref(d->data);
    json_decref(d->metadata);
}

static void on_display(void *self, const struct ctx *ctx, const struct display *d)
{
    struct masks *m = self;
    struct display out = cleaned(m, d);

    m->inner.ops->display(m->inner.self, ctx, &out);
    release(&out);
}

static void on_result(void *self, const struct ctx *ctx, int execution_count, const struct display *d)
{
    struct masks *m = self;
    struct display out = cleaned(m, d);

    m->inner.ops->result(m->inner.self, ctx, execution_count, &out);
    release(&out);
}

static void on_page(void *self, const struct ctx *ctx, const struct display *d)
{
    struct masks *m = self;
    struct display out = cleaned(m, d);

    m->inner.ops->page(m->inner.self, ctx, &out);
    release(&out);
}

static json_t *clean_text(struct masks *m, const char *text)
{
    json_t *raw = session_json_text(text ? text : "", text ? strlen(text) : 0);
    json_t *clean = redact_json(m->redact, raw);

    json_decref(raw);
    return clean;
}

static void on_error(void *self, const struct ctx *ctx, const struct cell_error *e)
{
    struct masks *m = self;
    json_t *name = clean_text(m, e->ename), *value = clean_text(m, e->evalue);
    struct cell_error out = {.ename = json_string_value(name),
                             .evalue = json_string_value(value),
                             .traceback = redact_json(m->redact, e->traceback)};

    flush(m);
    m->inner.ops->error(m->inner.self, ctx, &out);
    json_decref(out.traceback);
    json_decref(name);
    json_decref(value);
}

/* ---- the others ---- */
static void on_clear(void *self, const struct ctx *ctx, bool wait)
{
    struct masks *m = self;

    flush(m);
    m->inner.ops->clear_output(m->inner.self, ctx, wait);
}

static enum lc on_input(void *self, const struct ctx *ctx, const char *prompt, bool password,
                        struct buf *answer, struct err *err)
{
    struct masks *m = self;
    json_t *clean = clean_text(m, prompt);
    enum lc rc;

    flush(m);
    rc = m->inner.ops->input(m->inner.self, ctx, json_string_value(clean), password, answer, err);
    json_decref(clean);
    return rc;
}

static enum lc on_comm(void *self, const struct ctx *ctx, enum comm_kind kind, const char *comm_id,
                       const char *target, json_t *data, json_t *metadata, const struct comm_buffers *buffers,
                       struct err *err)
{
    struct masks *m = self;
    json_t *clean = redact_json(m->redact, data);
    enum lc rc;

    flush(m);
    rc = m->inner.ops->comm_send(m->inner.self, ctx, kind, comm_id, target, clean, metadata, buffers, err);
    json_decref(clean);
    return rc;
}

static void on_next_input(void *self, const struct ctx *ctx, const char *text, bool replace)
{
    struct masks *m = self;
    json_t *clean = clean_text(m, text);

    m->inner.ops->set_next_input(m->inner.self, ctx, json_string_value(clean), replace);
    json_decref(clean);
}

static void on_ask_exit(void *self, const struct ctx *ctx, bool keep_kernel)
{
    struct masks *m = self;

    flush(m);
    m->inner.ops->ask_exit(m->inner.self, ctx, keep_kernel);
}

static void on_serve(void *self, const struct ctx *ctx, int timeout_ms)
{
    struct masks *m = self;

    flush(m);
    m->inner.ops->serve(m->inner.self, ctx, timeout_ms);
}

static void on_output_waits(void *self)
{
    struct masks *m = self;

    m->inner.ops->output_waits(m->inner.self);
}

static int on_columns(void *self)
{
    const struct masks *m = self;

    return m->inner.ops->columns(m->inner.self);
}

static enum lc on_foreground(void *self, const struct ctx *ctx, const char *const *argv, int *status,
                             struct err *err)
{
    struct masks *m = self;

    flush(m);
    return m->inner.ops->foreground(m->inner.self, ctx, argv, status, err);
}

static const char *on_request_id(void *self)
{
    struct masks *m = self;

    return m->inner.ops->request_id(m->inner.self);
}

/* ---- around a session ---- */
static struct masks *of(struct session *s)
{
    return s->masks;
}

enum lc masks_open(struct session *s, struct err *err)
{
    const struct frontend_ops *in = s->frontend.ops;
    struct masks *m;

    if (!in)
        return LC_OK;
    m = mem_zalloc(sizeof *m);
    if (!m)
        return err_nomem(err);
    m->inner = s->frontend;
    m->ctx = &s->ctx;
    buf_init(&m->held[0], BUF_TEXT_MAX);
    buf_init(&m->held[1], BUF_TEXT_MAX);
    m->ops = (struct frontend_ops){.name = in->name,
                                   .rich = in->rich,
                                   .raw = in->raw,
                                   .stream = in->stream ? on_stream : NULL,
                                   .display = in->display ? on_display : NULL,
                                   .result = in->result ? on_result : NULL,
                                   .error = in->error ? on_error : NULL,
                                   .clear_output = in->clear_output ? on_clear : NULL,
                                   .input = in->input ? on_input : NULL,
                                   .comm_send = in->comm_send ? on_comm : NULL,
                                   .page = in->page ? on_page : NULL,
                                   .set_next_input = in->set_next_input ? on_next_input : NULL,
                                   .ask_exit = in->ask_exit ? on_ask_exit : NULL,
                                   .serve = in->serve ? on_serve : NULL,
                                   .output_waits = in->output_waits ? on_output_waits : NULL,
                                   .request_id = in->request_id ? on_request_id : NULL,
                                   .columns = in->columns ? on_columns : NULL,
                                   .foreground = in->foreground ? on_foreground : NULL};
    s->masks = m;
    s->frontend = s->home = (struct frontend){&m->ops, m};
    return LC_OK;
}

void masks_close(struct session *s)
{
    struct masks *m = of(s);

    if (!m)
        return;
    flush(m);
    redact_free(m->redact);
    buf_release(&m->held[0]);
    buf_release(&m->held[1]);
    mem_free(m);
    s->masks = NULL;
}

void masks_flush(struct session *s)
{
    if (of(s))
        flush(of(s));
}

json_t *masks_json(struct session *s, json_t *value)
{
    json_t *clean = of(s) ? redact_json(of(s)->redact, value) : json_incref(value);

    json_decref(value);
    return clean;
}

static void replace(struct masks *m, char **text)
{
    json_t *clean = *text ? clean_text(m, *text) : NULL;
    char *copy = clean ? mem_strdup(json_string_value(clean)) : NULL;

    if (copy) {
        mem_free(*text);
        *text = copy;
    }
    json_decref(clean);
}

void masks_reply(struct session *s, struct cell_reply *reply)
{
    struct masks *m = of(s);

    if (!m || redact_empty(m->redact))
        return;
    replace(m, &reply->ename);
    replace(m, &reply->evalue);
    reply->traceback = masks_json(s, reply->traceback);
    reply->payload = masks_json(s, reply->payload);
    reply->user_expressions = masks_json(s, reply->user_expressions);
}

const struct redact *session_secrets(struct session *s)
{
    return of(s) ? of(s)->redact : NULL;
}

bool session_masked(struct session *s, const char *text, size_t len)
{
    struct buf out = BUF_INIT(SIZE_MAX / 2);
    bool is = of(s) && redact_text(of(s)->redact, text, len, &out) > 0;

    buf_release(&out);
    return is;
}

json_t *session_masked_text(struct session *s, const char *text, size_t len)
{
    return session_masked(s, text, len) ? masks_json(s, session_json_text(text, len)) : NULL;
}

bool session_mask(struct session *s, const char *value, size_t len)
{
    struct masks *m = of(s);

    if (!m)
        return true; /* nobody sees anything */
    if (!m->redact)
        m->redact = redact_new();
    return m->redact && redact_add(m->redact, value, len);
}
