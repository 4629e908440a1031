/* rows.c: rows in memory: inside of the plan when they are few, else as an artifact that is sent once. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/connect.h"
#include "runtime/dataframe/ipc.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 256 << 10, ROWS_MAX = 2000 << 20, LOCAL_RELATION = 11, CACHED_RELATION = 36 };

/* A LocalRelation's bytes. */
static enum lc put_relation(const struct plan *p, struct buf *out, struct err *err)
{
    const struct local_data *d = p->u.local.data;
    size_t n = local_batches(d);
    const struct ArrowArray **batches = mem_calloc(n + 1, sizeof(*batches));
    char *schema = dtype_json_text(p->u.local.schema);
    struct buf ipc = BUF_INIT(ROWS_MAX);
    enum lc rc = batches && schema ? LC_OK : err_nomem(err);

    for (size_t i = 0; rc == LC_OK && i < n; i++)
        batches[i] = local_batch(d, i);
    if (rc == LC_OK)
        rc = ipc_write(local_schema(d), batches, n, &ipc, err);
    if (rc == LC_OK) {
        pb_bytes(out, 1, buf_str(&ipc), ipc.len);
        pb_text(out, 2, schema);
        rc = buf_check(out, err);
    }
    buf_release(&ipc);
    mem_free(schema);
    mem_free(batches);
    return rc;
}

/* ---- artifacts ---- */
static bool digest(const struct buf *data, char hex[65])
{
    unsigned char sum[32];

    if (!EVP_Digest(buf_str(data), data->len, sum, NULL, EVP_sha256(), NULL))
        return false;
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return true;
}

static uint32_t crc32_of(const char *data, size_t len)
{
    static const uint32_t nibbles[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;

    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)data[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

struct upload {
    struct engine *e;
    const char *name;
    const struct buf *data;
    size_t at;
    struct buf message;
};

static void upload_rewind(void *self)
{
    ((struct upload *)self)->at = 0;
}

static void put_chunk(struct buf *out, unsigned field, const char *data, size_t len)
{
    size_t mark = pb_begin(out, field);

    pb_bytes(out, 1, data, len);
    pb_int(out, 2, crc32_of(data, len));
    pb_end(out, mark);
}

static enum lc upload_next(void *self, const char **data, size_t *len, bool *more, struct err *err)
{
    struct upload *u = self;
    size_t rest = u->data->len - u->at, n = rest < CHUNK ? rest : CHUNK;

    *more = rest > 0;
    if (!*more)
        return LC_OK;
    buf_clear(&u->message);
    client_request(u->e->client, RPC_ADD_ARTIFACTS, &u->message);
    if (u->at == 0) {
        size_t mark = pb_begin(&u->message, 4);
        pb_text(&u->message, 1, u->name);
        pb_int(&u->message, 2, (int64_t)u->data->len);
        pb_int(&u->message, 3, (int64_t)((u->data->len + CHUNK - 1) / CHUNK));
        put_chunk(&u->message, 4, u->data->data, n);
        pb_end(&u->message, mark);
    } else {
        put_chunk(&u->message, 5, u->data->data + u->at, n);
    }
    u->at += n;
    *data = buf_str(&u->message);
    *len = u->message.len;
    return buf_check(&u->message, err);
}

static enum lc check_summary(const struct buf *reply, struct err *err)
{
    struct pb_field summary, f;
    struct pb_reader r;
    bool good = false;

    if (pb_find(pb_open(reply->data, reply->len), 1, &summary)) {
        r = pb_inside(&summary);
        while (pb_next(&r, &f))
            good = good || (f.number == 2 && f.value == 1);
    }
    return good ? LC_OK
                : err_set(err, LC_NET, "rows arrived damaged at the Spark server: their checksum differs");
}

static enum lc is_there(struct engine *e, const struct ctx *ctx, const char *name, bool *there,
                        struct err *err)
{
    struct buf request = BUF_INIT(1 << 16), reply = BUF_INIT(1 << 20);
    struct pb_field entry, status, f;
    struct pb_reader r;
    enum lc rc;

    *there = false;
    client_request(e->client, RPC_ARTIFACT_STATUS, &request);
    pb_text(&request, 4, name);
    rc = client_ask(e->client, ctx, RPC_ARTIFACT_STATUS, &request, &reply, err);
    if (rc == LC_OK && pb_find(pb_open(reply.data, reply.len), 1, &entry) &&
        pb_find(pb_inside(&entry), 2, &status)) {
        r = pb_inside(&status);
        while (pb_next(&r, &f))
            *there = *there || (f.number == 1 && f.value == 1);
    }
    buf_release(&request);
    buf_release(&reply);
    return rc;
}

static enum lc upload(struct engine *e, const struct ctx *ctx, const struct buf *data, const char *hash,
                      struct err *err)
{
    char name[80];
    struct upload u = {.e = e, .name = name, .data = data};
    struct client_messages m = {upload_rewind, upload_next, &u};
    struct buf reply = BUF_INIT(1 << 20);
    bool there;
    enum lc rc;

    snprintf(name, sizeof name, "cache/%s", hash);
    TRY(is_there(e, ctx, name, &there, err));
    if (there)
        return LC_OK;
    buf_init(&u.message, CHUNK + (1 << 16));
    rc = client_send_all(e->client, ctx, RPC_ADD_ARTIFACTS, &m, &reply, err);
    if (rc == LC_OK)
        rc = check_summary(&reply, err);
    buf_release(&u.message);
    buf_release(&reply);
    return rc;
}

/* ---- what was sent before ---- */
static bool known(struct engine *e, const struct plan *p, char hash[65])
{
    bool found = false;

    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->n_sent && !found; i++)
        if (e->sent[i].data == p->u.local.data && dtype_equal(e->sent[i].schema, p->u.local.schema)) {
            memcpy(hash, e->sent[i].hash, 65);
            found = true;
        }
    pthread_mutex_unlock(&e->lock);
    return found;
}

static void forget(struct sent_rows *s)
{
    local_unref(s->data);
    dtype_unref(s->schema);
}

/* Rows that only this list still holds are let go: their address may come again with other rows. */
static void keep(struct engine *e, const struct plan *p, const char *hash)
{
    struct sent_rows *more;
    size_t n = 0;

    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->n_sent; i++)
        if (local_alone(e->sent[i].data))
            forget(&e->sent[i]);
        else
            e->sent[n++] = e->sent[i];
    e->n_sent = n;
    more = mem_reallocn(e->sent, n + 1, sizeof *more);
    if (more) {
        e->sent = more;
        more[n] =
            (struct sent_rows){.data = local_ref(p->u.local.data), .schema = dtype_ref(p->u.local.schema)};
        memcpy(more[n].hash, hash, 65);
        e->n_sent = n + 1;
    }
    pthread_mutex_unlock(&e->lock);
}

void connect_rows_release(struct engine *e)
{
    for (size_t i = 0; i < e->n_sent; i++)
        forget(&e->sent[i]);
    mem_free(e->sent);
}

static enum lc send_large(struct row_sender *s, const struct plan *p, const struct buf *relation,
                          char hash[65], struct err *err)
{
    if (!digest(relation, hash))
        return err_nomem(err);
    TRY(upload(s->e, s->ctx, relation, hash, err));
    keep(s->e, p, hash);
    return LC_OK;
}

enum lc connect_rows(void *self, const struct plan *p, struct buf *out, struct err *err)
{
    struct row_sender *s = self;
    struct buf relation = BUF_INIT(ROWS_MAX);
    char hash[65] = "";
    size_t mark;
    enum lc rc = LC_OK;

    if (!known(s->e, p, hash)) {
        rc = put_relation(p, &relation, err);
        if (rc == LC_OK && relation.len > (size_t)s->e->cache_limit)
            rc = send_large(s, p, &relation, hash, err);
    }
    if (rc == LC_OK && hash[0]) {
        mark = pb_begin(out, CACHED_RELATION);
        pb_text(out, 3, hash);
        pb_end(out, mark);
    } else if (rc == LC_OK) {
        pb_bytes(out, LOCAL_RELATION, buf_str(&relation), relation.len);
    }
    buf_release(&relation);
    return rc;
}
