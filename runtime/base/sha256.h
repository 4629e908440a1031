/* sha256.h: SHA-256 and HMAC-SHA256, with the processor's own instructions where it has them.
 *
 * What      sha256_* digests bytes as they come; sha256_keyed prepares a key once, hmac_begin starts a message from it.
 *           With SHA extensions about seven times as fast as plain C (which is what other processors get).
 * Ownership plain data; a struct may be copied in the middle of a message.
 * Units     bytes.
 * Errors    none.
 * Threads   any; one struct by one thread at a time.
 *
 * Example:
 *     struct sha256 s;
 *     unsigned char digest[SHA256_BYTES];
 *     sha256_begin(&s);
 *     sha256_add(&s, "abc", 3);
 *     sha256_end(&s, digest);
 */
#ifndef LACUS_BASE_SHA256_H
#define LACUS_BASE_SHA256_H
#include <stddef.h>
#include <stdint.h>

enum { SHA256_BYTES = 32, SHA256_BLOCK = 64 };

typedef void sha256_compress(uint32_t state[8], const unsigned char *blocks, size_t n);

struct sha256 {
    uint32_t state[8];
    uint64_t len;
    unsigned char rest[SHA256_BLOCK];
    sha256_compress *compress;
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_end(struct sha256 *s, unsigned char out[SHA256_BYTES]);
/* The portable one, and the one that this processor runs; for sha256_begin and its test. */
sha256_compress sha256_plain;
sha256_compress *sha256_best(void);

struct hmac256 {
    struct sha256 inner, outer; /* after the key's block */
};
void hmac256_key(struct hmac256 *h, const void *key, size_t len);
/* The signature of n parts, one after the other. Does not change h. */
struct hmac256_part {
    const void *data;
    size_t len;
};
void hmac256_sign(const struct hmac256 *h, const struct hmac256_part *parts, size_t n,
                  unsigned char out[SHA256_BYTES]);
#endif
