#include "runtime/hub/sha1.h"
#include <string.h>

static uint32_t rotate(uint32_t x, int n)
{
    return (x << n) | (x >> (32 - n));
}

static void block(uint32_t state[5], const unsigned char *p)
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999u
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1u
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu
                              : (b ^ c ^ d) + 0xca62c1d6u;
        uint32_t next = rotate(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1_begin(struct sha1 *s)
{
    *s = (struct sha1){.state = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u}};
}

void sha1_add(struct sha1 *s, const void *data, size_t len)
{
    const unsigned char *p = data;
    size_t have = s->len % SHA1_BLOCK;

    s->len += len;
    if (have) {
        size_t n = SHA1_BLOCK - have < len ? SHA1_BLOCK - have : len;
        memcpy(s->rest + have, p, n);
        p += n;
        len -= n;
        if (have + n < SHA1_BLOCK)
            return;
        block(s->state, s->rest);
    }
    for (; len >= SHA1_BLOCK; p += SHA1_BLOCK, len -= SHA1_BLOCK)
        block(s->state, p);
    if (len)
        memcpy(s->rest, p, len);
}

void sha1_end(struct sha1 *s, unsigned char out[SHA1_BYTES])
{
    static const unsigned char zeros[SHA1_BLOCK] = {0};
    uint64_t bits = s->len * 8;
    unsigned char tail[8];

    sha1_add(s, "\x80", 1);
    sha1_add(s, zeros, (SHA1_BLOCK + 56 - s->len % SHA1_BLOCK) % SHA1_BLOCK);
    for (int i = 0; i < 8; i++)
        tail[i] = (unsigned char)(bits >> (56 - 8 * i));
    sha1_add(s, tail, 8);
    for (int i = 0; i < SHA1_BYTES; i++)
        out[i] = (unsigned char)(s->state[i / 4] >> (24 - 8 * (i % 4)));
}
