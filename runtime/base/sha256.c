#include "runtime/base/sha256.h"
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

_Alignas(16) static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* ---- plain C (FIPS 180-4, 6.2.2) ---- */

static uint32_t turn(uint32_t x, int by)
{
    return (x >> by) | (x << (32 - by));
}

static uint32_t load_big(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void expand(uint32_t w[64], const unsigned char *block)
{
    for (int i = 0; i < 16; i++)
        w[i] = load_big(block + (size_t)i * 4);
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ (a >> 3)) + w[i - 7] +
               (turn(b, 17) ^ turn(b, 19) ^ (b >> 10));
    }
}

void sha256_plain(uint32_t state[8], const unsigned char *blocks, size_t n)
{
    for (; n > 0; n--, blocks += SHA256_BLOCK) {
        uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5],
                        g = state[6], h = state[7];

        expand(w, blocks);
        for (int i = 0; i < 64; i++) {
            uint32_t t =
                h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants[i] + w[i];
            uint32_t u = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

            h = g, g = f, f = e, e = d + t, d = c, c = b, b = a, a = t + u;
        }
        const uint32_t worked[8] = {a, b, c, d, e, f, g, h};
        for (int i = 0; i < 8; i++)
            state[i] += worked[i];
    }
}

/* ---- SHA extensions ---- */

#if defined(__x86_64__)
/* The instructions hold the state as ABEF and CDGH; each does two rounds. w[i & 3] holds the message schedule's words
 * 4i to 4i+3, and is replaced by those 16 words on once it is used. */
__attribute__((target("sha,sse4.1"))) static void compress_extensions(uint32_t state[8],
                                                                      const unsigned char *blocks, size_t n)
{
    const __m128i bytes = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)&state[0]), 0xB1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)&state[4]), 0x1B);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xF0), w[4];

    for (; n > 0; n--, blocks += SHA256_BLOCK) {
        const __m128i abef_before = abef, cdgh_before = cdgh;

        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(blocks + 16 * i)), bytes);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            __m128i k =
                _mm_add_epi32(w[i & 3], _mm_load_si128((const __m128i *)(const void *)&constants[4 * i]));

            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0E));
            if (i < 12) {
                __m128i next = _mm_sha256msg1_epu32(w[i & 3], w[(i + 1) & 3]);
                next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) & 3], w[(i + 2) & 3], 4));
                w[i & 3] = _mm_sha256msg2_epu32(next, w[(i + 3) & 3]);
            }
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1B), dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128((__m128i *)(void *)&state[0], _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128((__m128i *)(void *)&state[4], _mm_alignr_epi8(dchg, feba, 8));
}

sha256_compress *sha256_best(void)
{
    enum { SHA = 1 << 29 };
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1))
        return sha256_plain;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & SHA) ? compress_extensions : sha256_plain;
}
#else
sha256_compress *sha256_best(void)
{
    return sha256_plain;
}
#endif

/* ---- messages ---- */

void sha256_begin(struct sha256 *s)
{
    memcpy(s->state, first, sizeof first);
    s->len = 0;
    s->compress = sha256_best();
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
    const unsigned char *at = data;
    size_t had = s->len % SHA256_BLOCK;

    if (len == 0)
        return;
    s->len += len;
    if (had > 0) {
        size_t n = len < SHA256_BLOCK - had ? len : SHA256_BLOCK - had;
        memcpy(s->rest + had, at, n);
        at += n;
        len -= n;
        if (had + n < SHA256_BLOCK)
            return;
        s->compress(s->state, s->rest, 1);
    }
    s->compress(s->state, at, len / SHA256_BLOCK);
    memcpy(s->rest, at + len / SHA256_BLOCK * SHA256_BLOCK, len % SHA256_BLOCK);
}

static void store_big(unsigned char *p, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8)
        p[i] = (unsigned char)value;
}

void sha256_end(struct sha256 *s, unsigned char out[SHA256_BYTES])
{
    unsigned char end[2 * SHA256_BLOCK] = {0};
    size_t had = s->len % SHA256_BLOCK, blocks = had < SHA256_BLOCK - 8 ? 1 : 2;

    memcpy(end, s->rest, had);
    end[had] = 0x80;
    store_big(end + blocks * SHA256_BLOCK - 8, s->len * 8, 8);
    s->compress(s->state, end, blocks);
    for (int i = 0; i < 8; i++)
        store_big(out + (size_t)i * 4, s->state[i], 4);
}

/* ---- HMAC (RFC 2104) ---- */

void hmac256_key(struct hmac256 *h, const void *key, size_t len)
{
    unsigned char pad[SHA256_BLOCK] = {0};
    struct sha256 s;

    if (len > SHA256_BLOCK) {
        sha256_begin(&s);
        sha256_add(&s, key, len);
        sha256_end(&s, pad);
    } else if (len > 0) {
        memcpy(pad, key, len);
    }
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36;
    sha256_begin(&h->inner);
    sha256_add(&h->inner, pad, sizeof pad);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    h->outer = h->inner;
    memcpy(h->outer.state, first, sizeof first);
    h->outer.len = 0;
    sha256_add(&h->outer, pad, sizeof pad);
    explicit_bzero(pad, sizeof pad);
}

void hmac256_sign(const struct hmac256 *h, const struct hmac256_part *parts, size_t n,
                  unsigned char out[SHA256_BYTES])
{
    struct sha256 s = h->inner;

    for (size_t i = 0; i < n; i++)
        sha256_add(&s, parts[i].data, parts[i].len);
    sha256_end(&s, out);
    s = h->outer;
    sha256_add(&s, out, SHA256_BYTES);
    sha256_end(&s, out);
}
