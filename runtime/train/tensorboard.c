#include "runtime/train/tensorboard.h"
#include "runtime/base/buf.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD_MAX = 1 << 20 };

struct tensorboard {
    int fd;
    char *path; /* owned */
    uint32_t crc[256];
};

/* ---- protocol buffers: Event {1: wall_time, 2: step, 3: file_version, 5: Summary {1: Value {1: tag, …}}} -------- */

static void put_varint(struct buf *b, uint64_t n)
{
    for (; n > 127; n >>= 7)
        buf_putc(b, (char)((n & 127) | 128));
    buf_putc(b, (char)n);
}

static void put_bytes(struct buf *b, int field, const char *bytes, size_t n)
{
    put_varint(b, (uint64_t)field << 3 | 2);
    put_varint(b, n);
    buf_add(b, bytes, n);
}

static void put_message(struct buf *b, int field, const struct buf *message)
{
    put_bytes(b, field, message->data ? message->data : "", message->len);
}

static void put_little(struct buf *b, const void *value, size_t n) /* this machine is little-endian */
{
    buf_add(b, value, n);
}

static void put_double(struct buf *b, int field, double x)
{
    put_varint(b, (uint64_t)field << 3 | 1);
    put_little(b, &x, sizeof x);
}

static void put_float(struct buf *b, int field, float x)
{
    put_varint(b, (uint64_t)field << 3 | 5);
    put_little(b, &x, sizeof x);
}

/* ---- records ------------------------------------------------------------------------------------------------ */

static void make_table(uint32_t table[256]) /* CRC-32C, reflected */
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
        table[i] = c;
    }
}

static uint32_t masked(const struct tensorboard *t, const void *data, size_t n)
{
    const unsigned char *p = data;
    uint32_t c = 0xffffffffu;

    for (size_t i = 0; i < n; i++)
        c = t->crc[(c ^ p[i]) & 255] ^ (c >> 8);
    c ^= 0xffffffffu;
    return ((c >> 15) | (c << 17)) + 0xa282ead8u;
}

static enum lc put_record(struct tensorboard *t, const struct buf *event, struct err *err)
{
    struct buf record = BUF_INIT(RECORD_MAX);
    uint64_t length = event->len;
    uint32_t crc = masked(t, &length, sizeof length);
    enum lc rc;

    put_little(&record, &length, sizeof length);
    put_little(&record, &crc, sizeof crc);
    buf_add(&record, event->data, event->len);
    crc = masked(t, event->data, event->len);
    put_little(&record, &crc, sizeof crc);
    rc = buf_check(&record, err);
    if (rc == LC_OK &&
        write(t->fd, record.data, record.len) != (ssize_t)record.len) /* appended in one piece */
        rc = err_errno(err, errno, "cannot write '%s'", t->path);
    buf_release(&record);
    return rc;
}

/* payload: field 3 or 5 of an Event, or of a Summary's Value when tag is given. */
static enum lc put_event(struct tensorboard *t, int64_t step, int field, const struct buf *payload,
                         struct err *err)
{
    struct buf event = BUF_INIT(RECORD_MAX);
    enum lc rc;

    put_double(&event, 1, (double)clock_wall_ms() / 1000);
    if (step) {
        put_varint(&event, 2 << 3);
        put_varint(&event, (uint64_t)step);
    }
    put_message(&event, field, payload);
    rc = buf_check(&event, err);
    if (rc == LC_OK)
        rc = put_record(t, &event, err);
    buf_release(&event);
    return rc;
}

static enum lc put_value(struct tensorboard *t, int64_t step, const struct buf *value, struct err *err)
{
    struct buf summary = BUF_INIT(RECORD_MAX);
    enum lc rc = buf_check(value, err);

    put_message(&summary, 1, value);
    if (rc == LC_OK)
        rc = put_event(t, step, 5, &summary, err);
    buf_release(&summary);
    return rc;
}

/* ---- files -------------------------------------------------------------------------------------------------- */

static enum lc begin(struct tensorboard *t, const char *folder, struct err *err)
{
    struct buf version = BUF_INIT(64);
    char host[64] = "localhost";
    enum lc rc;

    (void)gethostname(host, sizeof host - 1);
    t->path = mem_printf("%s/events.out.tfevents.%lld.%s.%d.0", folder, (long long)(clock_wall_ms() / 1000),
                         host, (int)getpid());
    if (!t->path)
        return err_nomem(err);
    TRY(fs_mkdirs(folder, err));
    t->fd = open(t->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (t->fd < 0)
        return err_errno(err, errno, "cannot write '%s'", t->path);
    buf_puts(&version, "brain.Event:2");
    rc = put_event(t, 0, 3, &version, err);
    buf_release(&version);
    return rc;
}

enum lc tensorboard_open(const char *folder, struct tensorboard **out, struct err *err)
{
    struct tensorboard *t = mem_zalloc(sizeof *t);
    enum lc rc;

    if (!t)
        return err_nomem(err);
    t->fd = -1;
    make_table(t->crc);
    rc = begin(t, folder, err);
    if (rc == LC_OK)
        *out = t;
    else
        tensorboard_close(t);
    return rc;
}

void tensorboard_close(struct tensorboard *t)
{
    if (!t)
        return;
    if (t->fd >= 0)
        close(t->fd);
    mem_free(t->path);
    mem_free(t);
}

enum lc tensorboard_scalar(struct tensorboard *t, const char *tag, double value, int64_t step,
                           struct err *err)
{
    struct buf v = BUF_INIT(RECORD_MAX);
    enum lc rc;

    put_bytes(&v, 1, tag, strlen(tag));
    put_float(&v, 2, (float)value);
    rc = put_value(t, step, &v, err);
    buf_release(&v);
    return rc;
}

/* ---- a job's events ----------------------------------------------------------------------------------------- */

static double number(const json_t *v)
{
    const char *text = json_string_value(v);

    return text ? strtod(text, NULL) : json_number_value(v); /* "NaN", "Infinity", "-Infinity" */
}

enum lc tensorboard_event(struct tensorboard *t, const json_t *event, struct err *err)
{
    static const struct {
        const char *kind, *key, *tag;
    } rows[] = {{"metric", "loss", "train/loss"},
                {"metric", "grad_norm", "train/grad_norm"},
                {"metric", "learning_rate", "train/learning_rate"},
                {"metric", "epoch", "train/epoch"},
                {"metric", "tokens_per_second", "train/tokens_per_second"},
                {"metric", "step_seconds", "train/step_seconds"},
                {"metric", "mfu", "train/mfu"},
                {"metric", "memory", "train/memory"},
                {"metric", "rewards_chosen", "train/rewards/chosen"},
                {"metric", "rewards_rejected", "train/rewards/rejected"},
                {"metric", "rewards_margins", "train/rewards/margins"},
                {"metric", "rewards_accuracies", "train/rewards/accuracies"},
                {"eval", "eval_loss", "eval/loss"},
                {"eval", "eval_perplexity", "eval/perplexity"},
                {"eval", "eval_accuracy", "eval/accuracy"}};
    const char *kind = json_string_value(json_object_get(event, "event"));
    int64_t step = json_integer_value(json_object_get(event, "step"));

    for (size_t i = 0; i < sizeof rows / sizeof *rows && kind; i++) {
        const json_t *v = strcmp(rows[i].kind, kind) == 0 ? json_object_get(event, rows[i].key) : NULL;

        if (v)
            TRY(tensorboard_scalar(t, rows[i].tag, number(v), step, err));
    }
    return LC_OK;
}
