/* scalars_codec.c: base32, HMAC, AES as Spark has it (ECB, CBC and GCM with the IV in front of the result). */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include <ctype.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

/* ---- base32 (RFC 4648) ---- */
static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static void to_base32(const struct value *a, struct result *out)
{
    unsigned bits = 0, n = 0;

    for (size_t i = 0; i < a->len; i++) {
        bits = (bits << 8 | (unsigned char)a->s[i]) & 0xFFFF;
        for (n += 8; n >= 5; n -= 5)
            buf_putc(out->more, base32[bits >> (n - 5) & 31]);
    }
    if (n)
        buf_putc(out->more, base32[bits << (5 - n) & 31]);
    while (out->more->len % 8)
        buf_putc(out->more, '=');
    result_text(out);
}

static void from_base32(const struct value *a, struct result *out)
{
    unsigned bits = 0, n = 0;

    for (size_t i = 0; i < a->len && a->s[i] != '='; i++) {
        const char *at = a->s[i] ? strchr(base32, toupper((unsigned char)a->s[i])) : NULL;

        if (!at) {
            result_null(out);
            return;
        }
        bits = (bits << 5 | (unsigned)(at - base32)) & 0xFFFF;
        n += 5;
        if (n >= 8) {
            n -= 8;
            buf_putc(out->more, (char)(bits >> n & 255));
        }
    }
    result_text(out);
}

/* ---- HMAC ---- */
static bool is_word(const struct value *v, const char *word)
{
    return v->len == strlen(word) && strncasecmp(v->s, word, v->len) == 0;
}

/* hmac(key, message, algorithm) */
static void hmac(const struct value *a, struct result *out)
{
    const unsigned char *key = (const unsigned char *)a[0].s, *text = (const unsigned char *)a[1].s;

    if (a[0].len == 0) {
        result_error(
            out, "[INVALID_PARAMETER_VALUE.HMAC_CRYPTO_ERROR] The value of parameter(s) `key` in `hmac` is "
                 "invalid: detail message: Empty key. SQLSTATE: 22023");
    } else if (is_word(&a[2], "SHA-256") || is_word(&a[2], "SHA256")) {
        crypto_auth_hmacsha256_state s;

        crypto_auth_hmacsha256_init(&s, key, a[0].len);
        crypto_auth_hmacsha256_update(&s, text, a[1].len);
        crypto_auth_hmacsha256_final(&s, (unsigned char *)out->text);
        out->len = 32;
    } else if (is_word(&a[2], "SHA-512") || is_word(&a[2], "SHA512")) {
        crypto_auth_hmacsha512_state s;

        crypto_auth_hmacsha512_init(&s, key, a[0].len);
        crypto_auth_hmacsha512_update(&s, text, a[1].len);
        crypto_auth_hmacsha512_final(&s, (unsigned char *)out->text);
        out->len = 64;
    } else {
        result_error(
            out,
            "[INVALID_PARAMETER_VALUE.HMAC_ALGORITHM] The value of parameter(s) `algorithm` in `hmac` is "
            "invalid: it knows SHA-256 and SHA-512 here, not '%.*s'. SQLSTATE: 22023",
            (int)(a[2].len > 40 ? 40 : a[2].len), a[2].s);
    }
}

/* ---- SHA-2 of other lengths than 256: 224 and 384 are the longer ones cut short, begun with other numbers ---- */
static void put_hex(const unsigned char *hash, int n, struct result *out)
{
    for (int i = 0; i < n; i++)
        buf_printf(out->more, "%02x", hash[i]);
    result_text(out);
}

static void sha224(const struct value *a, struct result *out)
{
    static const uint32_t begin[8] = {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939,
                                      0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4};
    crypto_hash_sha256_state s;
    unsigned char hash[32];

    crypto_hash_sha256_init(&s);
    memcpy(s.state, begin, sizeof begin);
    crypto_hash_sha256_update(&s, (const unsigned char *)a->s, a->len);
    crypto_hash_sha256_final(&s, hash);
    put_hex(hash, 28, out);
}

static void sha384(const struct value *a, struct result *out)
{
    static const uint64_t begin[8] = {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17,
                                      0x152fecd8f70e5939, 0x67332667ffc00b31, 0x8eb44a8768581511,
                                      0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4};
    crypto_hash_sha512_state s;
    unsigned char hash[64];

    crypto_hash_sha512_init(&s);
    memcpy(s.state, begin, sizeof begin);
    crypto_hash_sha512_update(&s, (const unsigned char *)a->s, a->len);
    crypto_hash_sha512_final(&s, hash);
    put_hex(hash, 48, out);
}

static void sha512(const struct value *a, struct result *out)
{
    unsigned char hash[64];

    crypto_hash_sha512(hash, (const unsigned char *)a->s, a->len);
    put_hex(hash, 64, out);
}

/* ---- AES: a block at a time; the tables are made from the field's arithmetic ---- */
struct aes {
    uint8_t box[256], inverse[256], round[15][16];
    int rounds;
};

static uint8_t twice(uint8_t x)
{
    return (uint8_t)(x << 1 ^ (x & 0x80 ? 0x1B : 0));
}

static uint8_t times(uint8_t x, uint8_t y)
{
    uint8_t product = 0;

    for (; y; y >>= 1, x = twice(x))
        product ^= y & 1 ? x : 0;
    return product;
}

static void make_boxes(struct aes *c)
{
    uint8_t p = 1, q = 1;

    do { /* p runs through the field, q through the inverses */
        p = (uint8_t)(p ^ twice(p));
        q ^= (uint8_t)(q << 1);
        q ^= (uint8_t)(q << 2);
        q ^= (uint8_t)(q << 4);
        q ^= q & 0x80 ? 0x09 : 0;
        uint8_t x = (uint8_t)(q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^
                              (q << 4 | q >> 4) ^ 0x63);
        c->box[p] = x;
        c->inverse[x] = p;
    } while (p != 1);
    c->box[0] = 0x63;
    c->inverse[0x63] = 0;
}

static bool aes_key(struct aes *c, const char *key, size_t len)
{
    uint8_t *w = c->round[0], rcon = 1;
    size_t words = len / 4, total;

    if (len != 16 && len != 24 && len != 32)
        return false;
    make_boxes(c);
    c->rounds = (int)words + 6;
    total = 4 * ((size_t)c->rounds + 1);
    memcpy(w, key, len);
    for (size_t i = words; i < total; i++) {
        uint8_t t[4];

        memcpy(t, w + 4 * (i - 1), 4);
        if (i % words == 0) {
            uint8_t first = t[0];

            t[0] = c->box[t[1]] ^ rcon;
            t[1] = c->box[t[2]];
            t[2] = c->box[t[3]];
            t[3] = c->box[first];
            rcon = twice(rcon);
        } else if (words == 8 && i % 8 == 4) {
            for (int k = 0; k < 4; k++)
                t[k] = c->box[t[k]];
        }
        for (size_t k = 0; k < 4; k++)
            w[4 * i + k] = w[4 * (i - words) + k] ^ t[k];
    }
    return true;
}

static void add_round(const struct aes *c, int r, uint8_t b[16])
{
    for (int i = 0; i < 16; i++)
        b[i] ^= c->round[r][i];
}

static void mix(uint8_t b[16], const uint8_t m[4])
{
    for (int col = 0; col < 16; col += 4) {
        uint8_t x[4];

        memcpy(x, b + col, 4);
        for (int i = 0; i < 4; i++)
            b[col + i] = (uint8_t)(times(x[i], m[0]) ^ times(x[(i + 1) % 4], m[1]) ^
                                   times(x[(i + 2) % 4], m[2]) ^ times(x[(i + 3) % 4], m[3]));
    }
}

static void aes_encrypt_block(const struct aes *c, const uint8_t in[16], uint8_t out[16])
{
    static const uint8_t m[4] = {2, 3, 1, 1};
    uint8_t b[16], t[16];

    memcpy(b, in, 16);
    add_round(c, 0, b);
    for (int r = 1; r <= c->rounds; r++) {
        for (int i = 0; i < 16; i++)
            t[i] = c->box[b[(i + 4 * (i % 4)) % 16]];
        memcpy(b, t, 16);
        if (r < c->rounds)
            mix(b, m);
        add_round(c, r, b);
    }
    memcpy(out, b, 16);
}

static void aes_decrypt_block(const struct aes *c, const uint8_t in[16], uint8_t out[16])
{
    static const uint8_t m[4] = {14, 11, 13, 9};
    uint8_t b[16], t[16];

    memcpy(b, in, 16);
    for (int r = c->rounds; r > 0; r--) {
        add_round(c, r, b);
        if (r < c->rounds)
            mix(b, m);
        for (int i = 0; i < 16; i++)
            t[(i + 4 * (i % 4)) % 16] = c->inverse[b[i]];
        memcpy(b, t, 16);
    }
    add_round(c, 0, b);
    memcpy(out, b, 16);
}

/* ---- GCM: counter mode, and a checksum in GF(2^128) ---- */
static void gf_multiply(uint8_t x[16], const uint8_t h[16])
{
    uint8_t z[16] = {0}, v[16];

    memcpy(v, h, 16);
    for (int i = 0; i < 128; i++) {
        bool low = v[15] & 1;

        if (x[i / 8] & 0x80 >> i % 8)
            for (int k = 0; k < 16; k++)
                z[k] ^= v[k];
        for (int k = 15; k > 0; k--)
            v[k] = (uint8_t)(v[k] >> 1 | v[k - 1] << 7);
        v[0] >>= 1;
        v[0] ^= low ? 0xE1 : 0;
    }
    memcpy(x, z, 16);
}

static void ghash(uint8_t x[16], const uint8_t h[16], const char *data, size_t len)
{
    for (size_t i = 0; i < len; i += 16) {
        for (size_t k = 0; k < 16 && i + k < len; k++)
            x[k] ^= (uint8_t)data[i + k];
        gf_multiply(x, h);
    }
}

static void gcm_tag(const struct aes *c, const char *iv, const struct value *aad, const char *cipher,
                    size_t len, uint8_t tag[16])
{
    uint8_t h[16] = {0}, counter[16] = {0}, pad[16], sizes[16];

    aes_encrypt_block(c, h, h);
    memset(tag, 0, 16);
    ghash(tag, h, aad->s, aad->len);
    ghash(tag, h, cipher, len);
    for (int i = 0; i < 8; i++) {
        sizes[i] = (uint8_t)((uint64_t)aad->len * 8 >> (56 - 8 * i));
        sizes[8 + i] = (uint8_t)((uint64_t)len * 8 >> (56 - 8 * i));
    }
    ghash(tag, h, (const char *)sizes, 16);
    memcpy(counter, iv, 12);
    counter[15] = 1;
    aes_encrypt_block(c, counter, pad);
    for (int i = 0; i < 16; i++)
        tag[i] ^= pad[i];
}

static void gcm_stream(const struct aes *c, const char *iv, const char *in, size_t len, struct buf *out)
{
    uint8_t counter[16] = {0}, pad[16];
    uint32_t n = 1;

    memcpy(counter, iv, 12);
    for (size_t i = 0; i < len; i++) {
        if (i % 16 == 0) {
            n++;
            for (int k = 0; k < 4; k++)
                counter[12 + k] = (uint8_t)(n >> (24 - 8 * k));
            aes_encrypt_block(c, counter, pad);
        }
        buf_putc(out, (char)((uint8_t)in[i] ^ pad[i % 16]));
    }
}

/* ---- modes with padding ---- */
static void block_encrypt(const struct aes *c, const char *iv, const struct value *in, struct buf *out)
{
    uint8_t last[16] = {0}, b[16];
    size_t pad = 16 - in->len % 16;

    if (iv)
        memcpy(last, iv, 16);
    for (size_t i = 0; i < in->len + pad; i += 16) {
        for (size_t k = 0; k < 16; k++)
            b[k] = (uint8_t)((i + k < in->len ? (uint8_t)in->s[i + k] : pad) ^ (iv ? last[k] : 0));
        aes_encrypt_block(c, b, last);
        buf_add(out, (const char *)last, 16);
    }
}

static bool block_decrypt(const struct aes *c, const char *iv, const char *in, size_t len, struct buf *out)
{
    uint8_t b[16];
    size_t pad;

    if (len == 0 || len % 16)
        return false;
    for (size_t i = 0; i < len; i += 16) {
        const char *before = i ? in + i - 16 : iv;

        aes_decrypt_block(c, (const uint8_t *)in + i, b);
        for (int k = 0; k < 16 && iv; k++)
            b[k] ^= (uint8_t)before[k];
        buf_add(out, (const char *)b, 16);
    }
    pad = b[15];
    if (pad < 1 || pad > 16 || !buf_ok(out))
        return false;
    for (size_t k = 16 - pad; k < 16; k++)
        if (b[k] != pad)
            return false;
    out->len -= pad;
    return true;
}

enum mode { MODE_ECB, MODE_CBC, MODE_GCM, MODE_UNKNOWN };

static enum mode mode_of(const struct value *mode, const struct value *padding)
{
    if (is_word(mode, "GCM") && (is_word(padding, "NONE") || is_word(padding, "DEFAULT")))
        return MODE_GCM;
    if (!is_word(padding, "PKCS") && !is_word(padding, "DEFAULT"))
        return MODE_UNKNOWN;
    return is_word(mode, "ECB") ? MODE_ECB : is_word(mode, "CBC") ? MODE_CBC : MODE_UNKNOWN;
}

static bool prepare(const struct value *a, struct result *out, struct aes *c, enum mode *mode)
{
    *mode = mode_of(&a[2], &a[3]);
    if (!aes_key(c, a[1].s, a[1].len))
        result_error(
            out,
            "[INVALID_PARAMETER_VALUE.AES_KEY_LENGTH] The value of parameter(s) `key` is invalid: expects a "
            "binary value with 16, 24 or 32 bytes, but got %zu bytes. SQLSTATE: 22023",
            a[1].len);
    else if (*mode == MODE_UNKNOWN)
        result_error(
            out,
            "[UNSUPPORTED_FEATURE.AES_MODE] The feature is not supported: AES-%.*s with the padding %.*s. "
            "SQLSTATE: 0A000",
            (int)(a[2].len > 20 ? 20 : a[2].len), a[2].s, (int)(a[3].len > 20 ? 20 : a[3].len), a[3].s);
    else
        return true;
    return false;
}

/* encrypt(text, key, mode, padding, iv, aad): an empty iv is made at random */
static void aes_encrypt(const struct value *a, struct result *out)
{
    struct aes c;
    enum mode mode;
    char iv[16];
    uint8_t tag[16];
    size_t n;

    if (!prepare(a, out, &c, &mode))
        return;
    n = mode == MODE_ECB ? 0 : mode == MODE_GCM ? 12 : 16;
    if (a[4].len && a[4].len != n) {
        result_error(
            out,
            "[INVALID_PARAMETER_VALUE.AES_IV_LENGTH] The value of parameter(s) `iv` is invalid: supports "
            "%zu-byte IVs in this mode, but got %zu bytes. SQLSTATE: 22023",
            n, a[4].len);
        return;
    }
    if (a[4].len)
        memcpy(iv, a[4].s, n);
    else
        randombytes_buf(iv, n);
    buf_add(out->more, iv, n);
    if (mode == MODE_GCM) {
        gcm_stream(&c, iv, a->s, a->len, out->more);
        gcm_tag(&c, iv, &a[5], out->more->data + 12, a->len, tag);
        buf_add(out->more, (const char *)tag, 16);
    } else {
        block_encrypt(&c, n ? iv : NULL, a, out->more);
    }
    result_text(out);
}

static bool decrypt(const struct aes *c, enum mode mode, const struct value *a, struct buf *out)
{
    uint8_t tag[16];

    if (mode == MODE_ECB)
        return block_decrypt(c, NULL, a->s, a->len, out);
    if (mode == MODE_CBC)
        return a->len >= 32 && block_decrypt(c, a->s, a->s + 16, a->len - 16, out);
    if (a->len < 28)
        return false;
    gcm_tag(c, a->s, &a[4], a->s + 12, a->len - 28, tag);
    if (sodium_memcmp(tag, a->s + a->len - 16, 16) != 0)
        return false;
    gcm_stream(c, a->s, a->s + 12, a->len - 28, out);
    return true;
}

/* decrypt(bytes, key, mode, padding, aad, fail) */
static void aes_decrypt(const struct value *a, struct result *out)
{
    struct aes c;
    enum mode mode;

    if (!prepare(a, out, &c, &mode)) {
        out->null = !a[5].i;
        if (!a[5].i)
            *out->error = '\0';
        return;
    }
    if (!decrypt(&c, mode, a, out->more)) {
        out->null = true;
        if (a[5].i)
            result_error(
                out, "[INVALID_PARAMETER_VALUE.AES_CRYPTO_ERROR] The value of parameter(s) `expr, key` in "
                     "`aes_encrypt`/`aes_decrypt` is invalid: the bytes cannot be decrypted with this key. "
                     "SQLSTATE: 22023");
        return;
    }
    result_text(out);
}

const struct scalar scalars_codec[] = {
    {"lacus_to_base32", "b", 's', false, to_base32},
    {"lacus_from_base32", "s", 'b', false, from_base32},
    {"lacus_hmac", "bbs", 'b', false, hmac},
    {"lacus_sha224", "b", 's', false, sha224},
    {"lacus_sha384", "b", 's', false, sha384},
    {"lacus_sha512", "b", 's', false, sha512},
    {"lacus_aes_encrypt", "bbssbb", 'b', false, aes_encrypt},
    {"lacus_aes_decrypt", "bbssbi", 'b', false, aes_decrypt},
    {NULL, NULL, 0, false, NULL},
};
