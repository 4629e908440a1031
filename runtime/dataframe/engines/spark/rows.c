/* rows.c: rows in memory: inside of the plan when they are few, else as artifacts that are sent once: in parts where the server
 * knows that, so that neither side needs all the bytes at a time. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/connect.h"
#include "runtime/dataframe/ipc.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 256 << 10, PART = 16 << 20, ROWS_MAX = 2000 << 20 };
enum { LOCAL_RELATION = 11, CACHED_RELATION = 36, CHUNKED_RELATION = 45 };

/* ---- artifacts ---- */
/* A span of bytes of the caller. */
struct span {
    const char *data;
    size_t len;
};

static bool digest(struct span data, char hex[65])
{
    unsigned char sum[32];

    if (!EVP_Digest(data.data, data.len, sum, NULL, EVP_sha256(), NULL))
        return false;
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return true;
}

/* Eight bytes at a time. */
enum { STRIDE = 8 };

struct crc_table {
    uint32_t t[STRIDE][256];
};

static void crc_table_make(struct crc_table *c)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v >> 1 ^ (v & 1 ? 0xedb88320 : 0);
        c->t[0][i] = v;
    }
    for (int k = 1; k < STRIDE; k++)
        for (int i = 0; i < 256; i++)
            c->t[k][i] = c->t[k - 1][i] >> 8 ^ c->t[0][c->t[k - 1][i] & 0xff];
}

static uint32_t crc32_of(const struct crc_table *c, const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    uint32_t crc = 0xffffffff;

    for (; len >= STRIDE; len -= STRIDE, p += STRIDE) {
        crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        crc = c->t[7][crc & 0xff] ^ c->t[6][crc >> 8 & 0xff] ^ c->t[5][crc >> 16 & 0xff] ^
              c->t[4][crc >> 24] ^ c->t[3][p[4]] ^ c->t[2][p[5]] ^ c->t[1][p[6]] ^ c->t[0][p[7]];
    }
    for (; len > 0; len--, p++)
        crc = crc >> 8 ^ c->t[0][(crc ^ *p) & 0xff];
    return ~crc;
}

struct upload {
    struct engine *e;
    const char *name;
    struct span data;
    size_t at;
    struct buf message;
    struct crc_table crc;
};

static void upload_rewind(void *self)
{
    ((struct upload *)self)->at = 0;
}

static void put_chunk(const struct crc_table *crc, struct buf *out, unsigned field, const char *data,
                      size_t len)
{
    size_t mark = pb_begin(out, field);

    pb_bytes(out, 1, data, len);
    pb_int(out, 2, crc32_of(crc, data, len));
    pb_end(out, mark);
}

static enum lc upload_next(void *self, const char **data, size_t *len, bool *more, struct err *err)
{
    struct upload *u = self;
    size_t rest = u->data.len - u->at, n = rest < CHUNK ? rest : CHUNK;

    *more = rest > 0;
    if (!*more)
        return LC_OK;
    buf_clear(&u->message);
    client_request(u->e->client, RPC_ADD_ARTIFACTS, &u->message);
    if (rest == u->data.len && rest <= CHUNK) { /* a whole one: for servers not a series of one chunk */
        size_t batch = pb_begin(&u->message, 3), artifact = pb_begin(&u->message, 1);
        pb_text(&u->message, 1, u->name);
        put_chunk(&u->crc, &u->message, 2, u->data.data, n);
        pb_end(&u->message, artifact);
        pb_end(&u->message, batch);
    } else if (u->at == 0) {
        size_t mark = pb_begin(&u->message, 4);
        pb_text(&u->message, 1, u->name);
        pb_int(&u->message, 2, (int64_t)u->data.len);
        pb_int(&u->message, 3, (int64_t)((u->data.len + CHUNK - 1) / CHUNK));
        put_chunk(&u->crc, &u->message, 4, u->data.data, n);
        pb_end(&u->message, mark);
    } else {
        put_chunk(&u->crc, &u->message, 5, u->data.data + u->at, n);
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

static enum lc upload(struct engine *e, const struct ctx *ctx, struct span data, char hash[65],
                      struct err *err)
{
    char name[80];
    struct upload u = {.e = e, .name = name, .data = data};
    struct client_messages m = {upload_rewind, upload_next, &u};
    struct buf reply = BUF_INIT(1 << 20);
    bool there;
    enum lc rc;

    if (!digest(data, hash))
        return err_nomem(err);
    snprintf(name, sizeof name, "cache/%s", hash);
    TRY(is_there(e, ctx, name, &there, err));
    if (there)
        return LC_OK;
    crc_table_make(&u.crc);
    buf_init(&u.message, CHUNK + (1 << 16));
    rc = client_send_all(e->client, ctx, RPC_ADD_ARTIFACTS, &m, &reply, err);
    if (rc == LC_OK)
        rc = check_summary(&reply, err);
    buf_release(&u.message);
    buf_release(&reply);
    return rc;
}

/* ---- what was sent before ---- */
static bool known(struct engine *e, const struct plan *p, struct buf *out)
{
    bool found = false;

    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->n_sent && !found; i++)
        if (e->sent[i].data == p->u.local.data && dtype_equal(e->sent[i].schema, p->u.local.schema)) {
            buf_add(out, e->sent[i].relation, e->sent[i].len);
            found = true;
        }
    pthread_mutex_unlock(&e->lock);
    return found;
}

static void forget(struct sent_rows *s)
{
    local_unref(s->data);
    dtype_unref(s->schema);
    mem_free(s->relation);
}

/* Rows that only this list still holds are let go: their address may come again with other rows. */
static void keep(struct engine *e, const struct plan *p, const struct buf *relation)
{
    struct sent_rows *more;
    char *copy = mem_strndup(buf_str(relation), relation->len);
    size_t n = 0;

    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->n_sent; i++)
        if (local_alone(e->sent[i].data))
            forget(&e->sent[i]);
        else
            e->sent[n++] = e->sent[i];
    e->n_sent = n;
    more = copy ? mem_reallocn(e->sent, n + 1, sizeof *more) : NULL;
    if (more) {
        e->sent = more;
        more[n] = (struct sent_rows){.data = local_ref(p->u.local.data),
                                     .schema = dtype_ref(p->u.local.schema),
                                     .relation = copy,
                                     .len = relation->len};
        e->n_sent = n + 1;
        copy = NULL;
    }
    pthread_mutex_unlock(&e->lock);
    mem_free(copy);
}

void connect_rows_release(struct engine *e)
{
    for (size_t i = 0; i < e->n_sent; i++)
        forget(&e->sent[i]);
    mem_free(e->sent);
}

/* ---- sending ---- */
struct sending {
    struct row_sender *s;
    const char *schema;
    struct buf held;   /* a stream that may be the only one, and small */
    bool sent;         /* rows lie on the server */
    struct buf hashes; /* fields of a ChunkedCachedLocalRelation */
};

static enum lc send_span(struct sending *t, unsigned field, struct span data, struct err *err)
{
    char hash[65];

    t->sent = true;
    TRY(upload(t->s->e, t->s->ctx, data, hash, err));
    pb_text(&t->hashes, field, hash);
    return LC_OK;
}

static enum lc send_held(struct sending *t, struct err *err)
{
    enum lc rc = send_span(t, 1, (struct span){buf_str(&t->held), t->held.len}, err);

    buf_clear(&t->held);
    return rc;
}

static enum lc take_part(void *self, const void *data, size_t len, struct err *err)
{
    struct sending *t = self;

    if (t->held.len)
        TRY(send_held(t, err));
    if (t->hashes.len) /* there are several */
        return send_span(t, 1, (struct span){data, len}, err);
    buf_add(&t->held, data, len);
    return buf_check(&t->held, err);
}

static enum lc write_rows(struct sending *t, const struct plan *p, int64_t most, struct err *err)
{
    const struct local_data *d = p->u.local.data;
    size_t n = local_batches(d);
    const struct ArrowArray **batches = mem_calloc(n + 1, sizeof(*batches));
    struct ipc_parts to = {most, take_part, t};
    enum lc rc = batches ? LC_OK : err_nomem(err);

    for (size_t i = 0; rc == LC_OK && i < n; i++)
        batches[i] = local_batch(d, i);
    if (rc == LC_OK)
        rc = ipc_write(local_schema(d), batches, n, &to, err);
    mem_free(batches);
    return rc;
}

/* The relation as a field, whose rows are in it, or have been sent before it. */
static enum lc put_relation(struct sending *t, struct buf *out, struct err *err)
{
    struct buf relation = BUF_INIT(ROWS_MAX);
    size_t limit = (size_t)t->s->e->cache_limit, mark;
    char hash[65];
    enum lc rc = LC_OK;

    if (t->hashes.len || (t->held.len > limit && t->s->e->takes_parts)) {
        if (t->held.len)
            rc = send_held(t, err);
        if (rc == LC_OK)
            rc = send_span(t, 2, (struct span){t->schema, strlen(t->schema)}, err);
        pb_bytes(out, CHUNKED_RELATION, buf_str(&t->hashes), t->hashes.len);
    } else {
        pb_bytes(&relation, 1, buf_str(&t->held), t->held.len);
        pb_text(&relation, 2, t->schema);
        rc = buf_check(&relation, err);
        if (rc == LC_OK && relation.len > limit) {
            t->sent = true;
            rc = upload(t->s->e, t->s->ctx, (struct span){buf_str(&relation), relation.len}, hash, err);
            mark = pb_begin(out, CACHED_RELATION);
            pb_text(out, 3, hash);
            pb_end(out, mark);
        } else if (rc == LC_OK) {
            pb_bytes(out, LOCAL_RELATION, buf_str(&relation), relation.len);
        }
    }
    buf_release(&relation);
    return rc == LC_OK ? buf_check(out, err) : rc;
}

enum lc connect_rows(void *self, const struct plan *p, struct buf *out, struct err *err)
{
    struct row_sender *s = self;
    struct sending t = {.s = s, .held = BUF_INIT(ROWS_MAX), .hashes = BUF_INIT(1 << 20)};
    struct buf relation = BUF_INIT(ROWS_MAX);
    char *schema;
    enum lc rc;

    if (known(s->e, p, out))
        return LC_OK;
    t.schema = schema = dtype_json_text(p->u.local.schema);
    rc = schema ? LC_OK : err_nomem(err);
    if (rc == LC_OK)
        rc = write_rows(&t, p, s->e->takes_parts ? PART : INT64_MAX, err);
    if (rc == LC_OK)
        rc = put_relation(&t, &relation, err);
    if (rc == LC_OK)
        buf_add(out, buf_str(&relation), relation.len);
    if (rc == LC_OK && t.sent)
        keep(s->e, p, &relation);
    buf_release(&relation);
    buf_release(&t.held);
    buf_release(&t.hashes);
    mem_free(schema);
    return rc;
}
