/* sha1.h: SHA-1, as git names contents by it; not for anything that must withstand an attacker.
 *
 * Ownership plain data.
 * Units     bytes.
 * Errors    none.
 * Threads   any; one struct by one thread at a time.
 * Source    FIPS 180-4.
 *
 * Example:
 *     struct sha1 s;
 *     unsigned char digest[SHA1_BYTES];
 *     sha1_begin(&s);
 *     sha1_add(&s, "abc", 3);
 *     sha1_end(&s, digest);
 */
#ifndef LACUS_HUB_SHA1_H
#define LACUS_HUB_SHA1_H
#include <stddef.h>
#include <stdint.h>

enum { SHA1_BYTES = 20, SHA1_BLOCK = 64 };

struct sha1 {
    uint32_t state[5];
    uint64_t len;
    unsigned char rest[SHA1_BLOCK];
};

void sha1_begin(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *data, size_t len);
void sha1_end(struct sha1 *s, unsigned char out[SHA1_BYTES]);
#endif
