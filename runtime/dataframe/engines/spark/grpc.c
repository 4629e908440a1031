#include "runtime/dataframe/engines/spark/grpc.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include <ctype.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_WINDOW = 4 << 20, CONNECTION_WINDOW = 8 << 20, PREFIX = 5, SEND_AHEAD = 1 << 20 };
static const int64_t ping_after_ns =
    330LL * 1000000000; /* servers take pings more often than every 5 minutes for an attack */
static const int64_t dead_after_ns = 30LL * 1000000000; /* without an answer to one */

struct grpc {
    struct wire *wire;
    nghttp2_session *h2;
    struct wire_target target; /* host is owned */
    struct buf in;             /* bytes of messages; the first begins at in_at */
    size_t in_at;
    int32_t stream;         /* 0: no call */
    bool ended, going, saw; /* the call has ended; the server takes no more calls; anything at all came in */
    int http_status;
    uint32_t reset; /* the error code of a stream that was reset */
    struct grpc_status status;
    struct grpc_call call; /* its next, self, request */
    const char *piece;     /* of the message that is being sent: prefix, then data */
    size_t piece_len, piece_at, prefix_at;
    unsigned char prefix[PREFIX];
    bool sent_all;
    enum lc send_code;
    struct err send_err;
    int64_t last_ns, ping_ns; /* when something came in; when a ping went out (0: none is out) */
};

/* ---- sending ---- */
static void set_prefix(struct grpc *g, size_t len)
{
    g->prefix[0] = 0;
    for (int i = 0; i < 4; i++)
        g->prefix[1 + i] = (unsigned char)(len >> (24 - 8 * i));
    g->prefix_at = g->piece_at = 0;
    g->piece_len = len;
}

static void load_piece(struct grpc *g)
{
    bool more = false;

    if (g->call.next) {
        g->send_code = g->call.next(g->call.self, &g->piece, &g->piece_len, &more, &g->send_err);
        more = more && g->send_code == LC_OK;
    } else if (g->call.request) {
        g->piece = g->call.request;
        g->piece_len = g->call.request_len;
        g->call.request = NULL;
        more = true;
    }
    if (more)
        set_prefix(g, g->piece_len);
    else
        g->sent_all = true;
}

static size_t copy_out(const void *from, size_t *at, size_t len, uint8_t *to, size_t room)
{
    size_t n = len - *at < room ? len - *at : room;

    memcpy(to, (const char *)from + *at, n);
    *at += n;
    return n;
}

static ssize_t read_source(nghttp2_session *h2, int32_t stream, uint8_t *out, size_t len, uint32_t *flags,
                           nghttp2_data_source *source, void *arg)
{
    struct grpc *g = arg;
    size_t n = 0;

    (void)h2;
    (void)stream;
    (void)source;
    while (n < len && !g->sent_all) {
        if (g->prefix_at < PREFIX)
            n += copy_out(g->prefix, &g->prefix_at, PREFIX, out + n, len - n);
        else if (g->piece_at < g->piece_len)
            n += copy_out(g->piece, &g->piece_at, g->piece_len, out + n, len - n);
        if (g->prefix_at == PREFIX && g->piece_at == g->piece_len)
            load_piece(g);
    }
    if (g->send_code != LC_OK)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (g->sent_all)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* ---- receiving ---- */
static int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream, const uint8_t *data, size_t len,
                   void *arg)
{
    struct grpc *g = arg;

    (void)h2;
    (void)flags;
    if (stream == g->stream && !buf_add(&g->in, data, len))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

static int hex(int c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

static void set_message(struct grpc_status *s, const char *text, size_t len) /* percent-encoded */
{
    size_t n = 0;

    for (size_t i = 0; i < len && n + 1 < sizeof s->message; i++) {
        int high = len - i > 2 && text[i] == '%' ? hex((unsigned char)text[i + 1]) : -1;
        int low = high >= 0 ? hex((unsigned char)text[i + 2]) : -1;
        s->message[n++] = low >= 0 ? (char)(high * 16 + low) : text[i];
        i += low >= 0 ? 2 : 0;
    }
    s->message[n] = '\0';
}

static int base64(int c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

static void set_details(struct grpc_status *s, const char *text, size_t len)
{
    unsigned bits = 0;
    int n = 0;

    s->details_len = 0;
    for (size_t i = 0; i < len && base64((unsigned char)text[i]) >= 0; i++) {
        bits = bits << 6 | (unsigned)base64((unsigned char)text[i]);
        n += 6;
        if (n >= 8 && s->details_len < sizeof s->details) {
            n -= 8;
            s->details[s->details_len++] = (char)(bits >> n & 0xff);
        }
    }
}

static bool is(const uint8_t *name, size_t len, const char *what)
{
    return len == strlen(what) && memcmp(name, what, len) == 0;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                     const uint8_t *value, size_t len, uint8_t flags, void *arg)
{
    struct grpc *g = arg;
    const char *text = (const char *)value; /* nghttp2 ends it with a NUL */

    (void)h2;
    (void)flags;
    if (frame->hd.stream_id != g->stream)
        return 0;
    if (is(name, name_len, ":status"))
        g->http_status = atoi(text);
    else if (is(name, name_len, "grpc-status"))
        g->status.code = atoi(text);
    else if (is(name, name_len, "grpc-message"))
        set_message(&g->status, text, len);
    else if (is(name, name_len, "grpc-status-details-bin"))
        set_details(&g->status, text, len);
    return 0;
}

static int on_stream_close(nghttp2_session *h2, int32_t stream, uint32_t code, void *arg)
{
    struct grpc *g = arg;

    (void)h2;
    if (stream == g->stream) {
        g->ended = true;
        g->reset = code;
    }
    return 0;
}

static int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
    struct grpc *g = arg;

    (void)h2;
    g->saw = true;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        g->going = true;
    else if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        g->ping_ns = 0;
    return 0;
}

/* ---- connections ---- */
static enum lc start_session(struct grpc *g, struct err *err)
{
    static const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                                      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
                                                      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 1 << 20},
                                                      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 256 << 10}};
    nghttp2_session_callbacks *callbacks;
    int bad;

    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return err_nomem(err);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    bad = nghttp2_session_client_new(&g->h2, callbacks, g);
    nghttp2_session_callbacks_del(callbacks);
    if (bad ||
        nghttp2_submit_settings(g->h2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) ||
        nghttp2_session_set_local_window_size(g->h2, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW))
        return err_nomem(err);
    return LC_OK;
}

enum lc grpc_open(const struct ctx *ctx, const atomic_bool *stop, const struct wire_target *t,
                  struct grpc **out, struct err *err)
{
    struct grpc *g = mem_zalloc(sizeof *g);
    enum lc rc;

    if (!g)
        return err_nomem(err);
    buf_init(&g->in, GRPC_MESSAGE_MAX + PREFIX + (size_t)CONNECTION_WINDOW);
    g->target = *t;
    g->target.host = mem_strdup(t->host);
    rc = g->target.host ? wire_open(ctx, stop, t, &g->wire, err) : err_nomem(err);
    if (rc == LC_OK)
        rc = start_session(g, err);
    if (rc != LC_OK)
        grpc_close(g);
    else
        *out = g;
    return rc;
}

void grpc_close(struct grpc *g)
{
    if (!g)
        return;
    nghttp2_session_del(g->h2);
    wire_close(g->wire);
    buf_release(&g->in);
    mem_free((char *)(uintptr_t)g->target.host);
    mem_free(g);
}

static enum lc lost(struct grpc *g, struct err *err)
{
    g->going = true;
    if (!g->saw) {
        err_set(err, LC_NET, "the server at '%s:%d' closed the connection", g->target.host, g->target.port);
        return err_hint(err, g->target.tls
                                 ? "is this its Spark Connect port?"
                                 : "is this its Spark Connect port, and does it want TLS (use_ssl=true)?");
    }
    return err_set(err, LC_NET, "the Spark server at '%s:%d' closed the connection", g->target.host,
                   g->target.port);
}

static enum lc not_http2(struct grpc *g, struct err *err)
{
    g->going = true;
    err_set(err, LC_NET, "the server at '%s:%d' does not speak HTTP/2, so it is not a Spark Connect server",
            g->target.host, g->target.port);
    return err_hint(err, "check the port; does it want TLS (use_ssl=true)?");
}

/* What HTTP/2 has to send goes to the wire, as long as that keeps up. */
static enum lc pump_out(struct grpc *g, struct err *err)
{
    while (wire_queued(g->wire) < SEND_AHEAD) {
        const uint8_t *data;
        ssize_t n = nghttp2_session_mem_send(g->h2, &data);

        if (n < 0)
            return n == NGHTTP2_ERR_NOMEM ? err_nomem(err)
                                          : err_set(err, LC_NET, "HTTP/2: %s", nghttp2_strerror((int)n));
        if (n == 0)
            return LC_OK;
        if (!wire_put(g->wire, data, (size_t)n))
            return err_nomem(err);
    }
    return LC_OK;
}

static enum lc keep_alive(struct grpc *g, struct err *err)
{
    int64_t now = clock_mono_ns();

    if (g->ping_ns && now - g->ping_ns > dead_after_ns) {
        g->going = true;
        return err_set(err, LC_NET, "the Spark server at '%s:%d' no longer answers", g->target.host,
                       g->target.port);
    }
    if (!g->ping_ns && now - g->last_ns > ping_after_ns &&
        nghttp2_submit_ping(g->h2, NGHTTP2_FLAG_NONE, NULL) == 0)
        g->ping_ns = now;
    return LC_OK;
}

/* One turn: send, wait a little, take in. */
static enum lc turn(struct grpc *g, const struct ctx *ctx, int wait_ms, struct err *err)
{
    struct buf raw = BUF_INIT(64 << 20);
    bool closed = false;
    ssize_t n = 0;
    enum lc rc = pump_out(g, err);

    if (rc == LC_OK)
        rc = wire_turn(g->wire, wait_ms, &raw, &closed, err);
    if (rc == LC_OK && raw.len) {
        n = nghttp2_session_mem_recv(g->h2, (const uint8_t *)raw.data, raw.len);
        g->last_ns = clock_mono_ns();
        g->ping_ns = 0;
    }
    buf_release(&raw);
    if (rc == LC_NET && !g->saw) /* reset before a word was said */
        rc = lost(g, err);
    if (rc != LC_OK)
        g->going = true;
    else if (n == NGHTTP2_ERR_CALLBACK_FAILURE)
        rc = err_set(err, LC_LIMIT, "the Spark server sent a message of more than %d MiB",
                     GRPC_MESSAGE_MAX >> 20);
    else if (n < 0)
        rc = not_http2(g, err);
    else if (closed && !g->ended)
        rc = lost(g, err);
    if (rc == LC_OK && g->call.stop && atomic_load(g->call.stop))
        rc = err_set(err, LC_CANCELLED, "interrupted");
    if (rc == LC_OK)
        rc = ctx_check(ctx, err);
    return rc == LC_OK ? keep_alive(g, err) : rc;
}

/* ---- calls ---- */
bool grpc_usable(struct grpc *g)
{
    struct err err;
    struct buf raw = BUF_INIT(1 << 20);
    bool closed = false, fine;

    if (g->going || g->stream)
        return false;
    while (!g->going && !closed && !wire_quiet(g->wire)) { /* settings, pings, or the end */
        buf_clear(&raw);
        if (wire_turn(g->wire, 0, &raw, &closed, &err) != LC_OK ||
            (raw.len && nghttp2_session_mem_recv(g->h2, (const uint8_t *)raw.data, raw.len) < 0))
            g->going = true;
    }
    fine = !g->going && !closed;
    buf_release(&raw);
    return fine;
}

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

static enum lc submit(struct grpc *g, const struct grpc_call *c, struct err *err)
{
    nghttp2_data_provider source = {.read_callback = read_source};
    nghttp2_nv *headers = mem_calloc(c->n_headers + 6, sizeof *headers);
    size_t n = 0;

    if (!headers)
        return err_nomem(err);
    headers[n++] = pair(":method", "POST");
    headers[n++] = pair(":scheme", c->tls ? "https" : "http");
    headers[n++] = pair(":path", c->path);
    headers[n++] = pair(":authority", c->authority);
    headers[n++] = pair("content-type", "application/grpc");
    headers[n++] = pair("te", "trailers");
    for (size_t i = 0; i < c->n_headers; i++)
        headers[n++] = pair(c->headers[i].name, c->headers[i].value);
    g->stream = nghttp2_submit_request(g->h2, NULL, headers, n, &source, NULL);
    mem_free(headers);
    return g->stream > 0 ? LC_OK : err_nomem(err);
}

enum lc grpc_begin(struct grpc *g, const struct ctx *ctx, const struct grpc_call *call, struct err *err)
{
    enum lc rc;

    buf_clear(&g->in);
    g->in_at = 0;
    g->ended = g->sent_all = false;
    g->http_status = 0;
    g->reset = 0;
    g->status.code = -1;
    g->status.message[0] = '\0';
    g->status.details_len = 0;
    g->call = *call;
    g->send_code = LC_OK;
    err_clear(&g->send_err);
    g->last_ns = clock_mono_ns();
    load_piece(g);
    rc = submit(g, call, err);
    while (rc == LC_OK && !g->sent_all && !g->ended) /* what is sent is borrowed: until it is out */
        rc = turn(g, ctx, wire_queued(g->wire) ? WIRE_LOOK_MS : 0, err);
    if (rc == LC_OK)
        rc = pump_out(g, err);
    if (rc == LC_OK && g->send_code != LC_OK) {
        *err = g->send_err;
        rc = g->send_code;
    }
    if (rc != LC_OK)
        grpc_cancel(g);
    return rc;
}

/* A whole message at the front of the bytes that came in. */
static enum lc take_message(struct grpc *g, struct buf *message, bool *found, struct err *err)
{
    const unsigned char *p = (const unsigned char *)g->in.data + g->in_at;
    size_t have = g->in.len - g->in_at, len;

    *found = false;
    if (have < PREFIX)
        return LC_OK;
    len = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
    if (p[0] != 0)
        return err_set(err, LC_DATA, "the Spark server sent a compressed message, which was not asked for");
    if (len > GRPC_MESSAGE_MAX)
        return err_set(err, LC_LIMIT, "the Spark server sent a message of %zu bytes; at most %d are taken",
                       len, GRPC_MESSAGE_MAX);
    if (have - PREFIX < len)
        return LC_OK;
    buf_clear(message);
    buf_add(message, p + PREFIX, len);
    g->in_at += PREFIX + len;
    if (g->in_at == g->in.len) {
        buf_clear(&g->in);
        g->in_at = 0;
    } else if (g->in_at > (1 << 20)) {
        memmove(g->in.data, g->in.data + g->in_at, g->in.len - g->in_at);
        g->in.len -= g->in_at;
        g->in_at = 0;
    }
    *found = true;
    return buf_check(message, err);
}

static void settle(struct grpc *g) /* a status for calls that ended without one */
{
    static const struct {
        int http, code;
    } map[] = {{400, GRPC_INTERNAL},      {401, GRPC_UNAUTHENTICATED}, {403, GRPC_PERMISSION},
               {404, GRPC_UNIMPLEMENTED}, {429, GRPC_UNAVAILABLE},     {502, GRPC_UNAVAILABLE},
               {503, GRPC_UNAVAILABLE},   {504, GRPC_UNAVAILABLE}};

    g->stream = 0;
    if (g->status.code >= 0)
        return;
    if (g->http_status != 0 && g->http_status != 200) {
        g->status.code = 2;
        for (size_t i = 0; i < sizeof map / sizeof *map; i++)
            if (map[i].http == g->http_status)
                g->status.code = map[i].code;
        snprintf(g->status.message, sizeof g->status.message, "HTTP status %d", g->http_status);
        return;
    }
    g->status.code = GRPC_UNAVAILABLE;
    snprintf(g->status.message, sizeof g->status.message, "the call was broken off (HTTP/2 error %u)",
             g->reset);
}

enum lc grpc_next(struct grpc *g, const struct ctx *ctx, struct buf *message, bool *more, struct err *err)
{
    bool found = false;
    enum lc rc = LC_OK;

    *more = true;
    while (rc == LC_OK) {
        rc = take_message(g, message, &found, err);
        if (rc != LC_OK || found)
            break;
        if (g->ended) {
            settle(g);
            *more = false;
            return LC_OK;
        }
        rc = turn(g, ctx, WIRE_LOOK_MS, err);
    }
    if (rc != LC_OK)
        grpc_cancel(g);
    return rc;
}

const struct grpc_status *grpc_status(const struct grpc *g)
{
    return &g->status;
}

void grpc_cancel(struct grpc *g)
{
    struct err err;
    struct buf none = BUF_INIT(1 << 20);
    bool closed;

    if (g->stream && !g->ended && !g->going) {
        nghttp2_submit_rst_stream(g->h2, NGHTTP2_FLAG_NONE, g->stream, NGHTTP2_CANCEL);
        if (pump_out(g, &err) == LC_OK && wire_turn(g->wire, 0, &none, &closed, &err) == LC_OK && none.len)
            g->going = nghttp2_session_mem_recv(g->h2, (const uint8_t *)none.data, none.len) < 0;
    }
    buf_release(&none);
    g->going = g->going || wire_queued(g->wire) > 0;
    g->stream = 0;
    g->ended = true;
}
