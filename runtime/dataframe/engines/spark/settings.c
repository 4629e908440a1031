/* settings.c: the session's settings on the server, and ending what runs. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/connect.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { OP_SET = 1, OP_GET_OPTION = 4, OP_GET_ALL = 5, OP_UNSET = 6, PAIRS = 2 };

static const char cache_key[] = "spark.sql.session.localRelationCacheThreshold";

static enum lc finish(struct engine *e, const struct ctx *ctx, struct buf *request, size_t operation,
                      size_t inner, struct buf *reply, struct err *err)
{
    pb_end(request, inner);
    pb_end(request, operation);
    return client_ask(e->client, ctx, RPC_CONFIG, request, reply, err);
}

enum lc connect_set_conf(struct engine *e, const char *key, const char *value, struct err *err)
{
    struct buf request = BUF_INIT(1 << 20), reply = BUF_INIT(1 << 20);
    struct ctx ctx = ctx_background();
    size_t operation, inner;
    enum lc rc;

    client_request(e->client, RPC_CONFIG, &request);
    operation = pb_begin(&request, 3);
    inner = pb_begin(&request, OP_SET);
    pb_pair(&request, 1, key, value);
    rc = finish(e, &ctx, &request, operation, inner, &reply, err);
    buf_release(&request);
    buf_release(&reply);
    return rc;
}

static void put_pair(struct buf *out, struct pb_reader pair, bool key_too)
{
    struct pb_field f;

    if (key_too && pb_find(pair, 1, &f)) {
        buf_add(out, f.data, f.len);
        buf_putc(out, '=');
    }
    if (pb_find(pair, 2, &f))
        buf_add(out, f.data, f.len);
    if (key_too)
        buf_putc(out, '\n');
}

enum lc connect_get_conf(struct engine *e, const struct ctx *ctx, const char *key, struct buf *value,
                         bool *found, struct err *err)
{
    struct buf request = BUF_INIT(1 << 20), reply = BUF_INIT(16 << 20);
    struct pb_reader r;
    struct pb_field f, v;
    size_t operation, inner;
    enum lc rc;

    *found = false;
    client_request(e->client, RPC_CONFIG, &request);
    operation = pb_begin(&request, 3);
    inner = pb_begin(&request, key ? OP_GET_OPTION : OP_GET_ALL);
    if (key)
        pb_text(&request, 1, key);
    rc = finish(e, ctx, &request, operation, inner, &reply, err);
    r = pb_open(reply.data, rc == LC_OK ? reply.len : 0);
    while (pb_next(&r, &f))
        if (f.number == PAIRS) {
            *found = *found || pb_find(pb_inside(&f), 2, &v);
            put_pair(value, pb_inside(&f), !key);
        }
    buf_release(&request);
    buf_release(&reply);
    return rc == LC_OK ? buf_check(value, err) : rc;
}

enum lc connect_unset_conf(struct engine *e, const struct ctx *ctx, const char *key, struct err *err)
{
    struct buf request = BUF_INIT(1 << 20), reply = BUF_INIT(1 << 20);
    size_t operation, inner;
    enum lc rc;

    client_request(e->client, RPC_CONFIG, &request);
    operation = pb_begin(&request, 3);
    inner = pb_begin(&request, OP_UNSET);
    pb_text(&request, 1, key);
    rc = finish(e, ctx, &request, operation, inner, &reply, err);
    buf_release(&request);
    buf_release(&reply);
    return rc;
}

/* ---- when a session begins ---- */
static bool for_the_server(const char *key)
{
    return strncmp(key, "lacus.", 6) != 0 && strcmp(key, "spark.remote") != 0 &&
           strcmp(key, "spark.master") != 0 && strcmp(key, "spark.app.name") != 0 &&
           strncmp(key, "spark.", 6) == 0;
}

/* What the session was built with; and times are shown in UTC unless it says otherwise, as on the embedded engine. */
static enum lc send_first(struct engine *e, const struct ctx *ctx, const struct engine_options *o,
                          struct err *err)
{
    struct buf request = BUF_INIT(1 << 20), reply = BUF_INIT(1 << 20);
    size_t operation, inner;
    enum lc rc;

    client_request(e->client, RPC_CONFIG, &request);
    operation = pb_begin(&request, 3);
    inner = pb_begin(&request, OP_SET);
    if (!plan_option(o->conf, "spark.sql.session.timeZone"))
        pb_pair(&request, 1, "spark.sql.session.timeZone", o->timezone ? o->timezone : "UTC");
    for (size_t i = 0; o->conf && i < o->conf->n; i++)
        if (strcasecmp(o->conf->items[i].key, "spark.sql.session.timezone") == 0)
            pb_pair(&request, 1, "spark.sql.session.timeZone", o->conf->items[i].value);
        else if (for_the_server(o->conf->items[i].key))
            pb_pair(&request, 1, o->conf->items[i].key, o->conf->items[i].value);
    pb_int(&request, 2, 1); /* silent: what a server has fixed stays as it is */
    rc = finish(e, ctx, &request, operation, inner, &reply, err);
    buf_release(&request);
    buf_release(&reply);
    return rc;
}

/* How large rows travel: what the server says of that, in one call. Only those of 4.1 and newer have a size of parts. */
static void take_sizes(struct engine *e, struct pb_reader reply)
{
    struct pb_field f, key, value;
    char text[64], *end;

    e->cache_limit = 1 << 20;
    while (pb_next(&reply, &f)) {
        if (f.number != PAIRS || !pb_find(pb_inside(&f), 1, &key) || !pb_find(pb_inside(&f), 2, &value))
            continue;
        pb_copy(&value, text, sizeof text);
        if (key.len == strlen(cache_key) && memcmp(key.data, cache_key, key.len) == 0)
            e->cache_limit = strtoll(text, &end, 10);
        else
            e->takes_parts = true;
    }
    if (e->cache_limit <= 0 || e->cache_limit > (32 << 20))
        e->cache_limit = 1 << 20;
}

enum lc connect_first_conf(struct engine *e, const struct ctx *ctx, const struct engine_options *o,
                           struct err *err)
{
    struct buf request = BUF_INIT(1 << 16), reply = BUF_INIT(1 << 20);
    size_t operation, inner;
    enum lc rc;

    TRY(send_first(e, ctx, o, err));
    client_request(e->client, RPC_CONFIG, &request);
    operation = pb_begin(&request, 3);
    inner = pb_begin(&request, OP_GET_OPTION);
    pb_text(&request, 1, cache_key);
    pb_text(&request, 1, "spark.sql.session.localRelationChunkSizeRows");
    rc = finish(e, ctx, &request, operation, inner, &reply, err);
    if (rc == LC_OK)
        take_sizes(e, pb_open(reply.data, reply.len));
    buf_release(&request);
    buf_release(&reply);
    return rc;
}

/* ---- interrupts ---- */
enum lc connect_stop(struct engine *e, const struct ctx *ctx, enum engine_stop what, const char *id,
                     struct buf *stopped, struct err *err)
{
    struct buf request = BUF_INIT(1 << 16), reply = BUF_INIT(1 << 20);
    struct pb_reader r;
    struct pb_field f;
    enum lc rc;

    client_request(e->client, RPC_INTERRUPT, &request);
    pb_int(&request, 4, (int64_t)what + 1);
    if (what != STOP_ALL)
        pb_text(&request, what == STOP_TAG ? 5 : 6, id);
    rc = client_ask(e->client, ctx, RPC_INTERRUPT, &request, &reply, err);
    r = pb_open(reply.data, rc == LC_OK ? reply.len : 0);
    while (pb_next(&r, &f))
        if (f.number == 2) {
            buf_add(stopped, f.data, f.len);
            buf_putc(stopped, '\n');
        }
    buf_release(&request);
    buf_release(&reply);
    return rc;
}
