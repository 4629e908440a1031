#include "runtime/train/frame.h"
#include <sodium.h>
#include <string.h>

/* magic 4, version 2, kind 1, zero 1, run 8, call 8, offset 8, from 4, round 4, len 4, zero 4, checksum 8 */
enum {
    AT_MAGIC,
    AT_VERSION = 4,
    AT_KIND = 6,
    AT_RUN = 8,
    AT_CALL = 16,
    AT_OFFSET = 24,
    AT_FROM = 32,
    AT_ROUND = 36,
    AT_LEN = 40,
    AT_CHECKSUM = 48
};
static const unsigned char MAGIC[4] = {'l', 'c', 's', 'r'};

static void put(unsigned char *to, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(x >> (8 * i));
}

static uint64_t get(const unsigned char *from, int bytes)
{
    uint64_t x = 0;

    for (int i = bytes; i-- > 0;)
        x = x << 8 | from[i];
    return x;
}

void frame_key_from(const char *token, struct frame_key *out)
{
    unsigned char hash[8 + FRAME_KEY];

    (void)crypto_generichash(hash, sizeof hash, (const unsigned char *)token, strlen(token), NULL, 0);
    out->run = get(hash, 8);
    memcpy(out->secret, hash + 8, FRAME_KEY);
    sodium_memzero(hash, sizeof hash);
}

/* Of the head up to the checksum, and of the part after it. */
static uint64_t checksum(const struct frame_key *key, const unsigned char *head, const void *part, size_t len)
{
    unsigned char first[crypto_shorthash_BYTES], mixed[FRAME_KEY], out[crypto_shorthash_BYTES];

    (void)crypto_shorthash(first, head, AT_CHECKSUM, key->secret);
    memcpy(mixed, key->secret, sizeof mixed);
    for (size_t i = 0; i < sizeof first; i++) /* the head's hash goes into the key of the part's */
        mixed[i] ^= first[i];
    (void)crypto_shorthash(out, part, len, mixed);
    return get(out, 8);
}

void frame_write(const struct frame_key *key, const struct frame *f, unsigned char *out)
{
    memset(out, 0, FRAME_HEAD);
    memcpy(out + AT_MAGIC, MAGIC, sizeof MAGIC);
    put(out + AT_VERSION, FRAME_VERSION, 2);
    put(out + AT_KIND, (uint64_t)f->kind, 1);
    put(out + AT_RUN, key->run, 8);
    put(out + AT_CALL, f->call, 8);
    put(out + AT_OFFSET, f->offset, 8);
    put(out + AT_FROM, f->from, 4);
    put(out + AT_ROUND, f->round, 4);
    put(out + AT_LEN, f->len, 4);
    if (f->len)
        memcpy(out + FRAME_HEAD, f->part, f->len);
    put(out + AT_CHECKSUM, checksum(key, out, out + FRAME_HEAD, f->len), 8);
}

enum lc frame_read(const struct frame_key *key, const void *bytes, size_t len, struct frame *out,
                   struct err *err)
{
    const unsigned char *b = bytes;
    unsigned version;

    if (len < FRAME_HEAD || memcmp(b, MAGIC, sizeof MAGIC) != 0)
        return err_set(err, LC_PARSE, "%zu bytes that are no message of a ring", len);
    version = (unsigned)get(b + AT_VERSION, 2);
    if (version != FRAME_VERSION)
        return err_set(err, LC_UNSUPPORTED,
                       "a message of version %u of the ring's protocol; this is version %d", version,
                       FRAME_VERSION);
    if (get(b + AT_RUN, 8) != key->run)
        return err_set(err, LC_AUTH, "a message of another run");
    *out = (struct frame){.kind = (enum frame_kind)b[AT_KIND],
                          .from = (uint32_t)get(b + AT_FROM, 4),
                          .call = get(b + AT_CALL, 8),
                          .round = (uint32_t)get(b + AT_ROUND, 4),
                          .offset = get(b + AT_OFFSET, 8),
                          .len = (uint32_t)get(b + AT_LEN, 4),
                          .part = b + FRAME_HEAD};
    if (out->len > FRAME_PART || len - FRAME_HEAD != out->len)
        return err_set(err, LC_LIMIT, "a message of %zu bytes that says it has %u", len - FRAME_HEAD,
                       out->len);
    if (get(b + AT_CHECKSUM, 8) != checksum(key, b, b + FRAME_HEAD, out->len))
        return err_set(err, LC_DATA, "a message whose content is not what its checksum says");
    if (out->kind < FRAME_SUM || out->kind > FRAME_ABORT)
        return err_set(err, LC_PARSE, "a message of an unknown kind (%d)", (int)out->kind);
    return LC_OK;
}
