/* scalars_hash.c: numbers as Java writes them, hashes and codes. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers as Java prints them: 1.0E20, 1.0E-5, Infinity ---- */
static void java_number(const struct value *a, struct result *out)
{
    char digits[64], text[400];
    int exponent = 0, n = 0, point = -1, first;
    const char *p = a->s, *end = a->s + a->len;
    bool minus = p < end && *p == '-';

    if (a->len > 300)
        return;
    snprintf(text, sizeof text, "%.*s", (int)a->len, a->s);
    if (strstr(text, "inf") || strstr(text, "nan")) {
        out->len = (size_t)snprintf(out->text, out->size, "%s",
                                    strstr(text, "nan") ? "NaN" : (minus ? "-Infinity" : "Infinity"));
        return;
    }
    for (p = text + minus; *p && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.')
            point = n;
        else if (n < 60)
            digits[n++] = *p;
    }
    if (*p)
        exponent = atoi(p + 1);
    exponent += point < 0 ? n : point; /* 0.digits × 10^exponent */
    for (first = 0; first < n - 1 && digits[first] == '0'; first++)
        exponent--;
    while (n > first + 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    if (digits[first] == '0') {
        out->len = (size_t)snprintf(out->text, out->size, minus ? "-0.0" : "0.0");
    } else if (exponent > 7 || exponent < -2) {
        out->len = (size_t)snprintf(out->text, out->size, "%s%c.%sE%d", minus ? "-" : "", digits[first],
                                    n > first + 1 ? digits + first + 1 : "0", exponent - 1);
    } else {
        char whole[16] = "0", part[80] = "0";
        int length = n - first;

        if (exponent > 0)
            snprintf(whole, sizeof whole, "%.*s%.*s", exponent < length ? exponent : length, digits + first,
                     exponent > length ? exponent - length : 0, "0000000");
        if (exponent <= 0)
            snprintf(part, sizeof part, "%.*s%s", -exponent, "000", digits + first);
        else if (length > exponent)
            snprintf(part, sizeof part, "%s", digits + first + exponent);
        out->len = (size_t)snprintf(out->text, out->size, "%s%s.%s", minus ? "-" : "", whole, part);
    }
}

/* The digits up to the first that is none of the base's, in 64 bits without a sign; false: there are too many. */
static bool read_digits(const char *s, const char *end, unsigned base, uint64_t *v)
{
    *v = 0;
    for (; s < end && isalnum((unsigned char)*s); s++) {
        unsigned digit =
            (unsigned)(isdigit((unsigned char)*s) ? *s - '0' : toupper((unsigned char)*s) - 'A' + 10);

        if (digit >= base)
            break;
        if (*v > (UINT64_MAX - digit) / base)
            return false;
        *v = *v * base + digit;
    }
    return true;
}

/* conv(digits, from base, to base): with a base below 0 the 64 bits have a sign */
static void conv(const struct value *a, struct result *out)
{
    char back[80];
    const char *s = a->s, *end = a->s + a->len;
    int64_t from = a[1].i, to = a[2].i, base = to < 0 ? -to : to;
    uint64_t v;
    bool minus;
    size_t n = 0;

    for (; s < end && *s == ' '; s++) {
    }
    for (; s < end && end[-1] == ' '; end--) {
    }
    out->null = from < 2 || from > 36 || base < 2 || base > 36 || s == end;
    if (out->null)
        return;
    minus = *s == '-';
    if (!read_digits(s + minus, end, (unsigned)from, &v)) {
        result_error(out, "[ARITHMETIC_OVERFLOW] Overflow in function conv(). If necessary set "
                          "\"spark.sql.ansi.enabled\" to \"false\" to bypass this error. SQLSTATE: 22003");
        return;
    }
    if (minus && to > 0)
        v = (int64_t)v < 0 ? UINT64_MAX : 0 - v;
    if (to < 0 && (int64_t)v < 0) {
        v = 0 - v;
        minus = true;
    }
    do {
        back[n++] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[v % (uint64_t)base];
        v /= (uint64_t)base;
    } while (v);
    if (minus && to < 0)
        back[n++] = '-';
    for (size_t i = 0; i < n; i++)
        out->text[i] = back[n - 1 - i];
    out->len = n;
}

/* The result is a part of the first argument, handed on where it lies. */
static void substring_index(const struct value *a, struct result *out)
{
    const char *s = a->s, *d = a[1].s;
    size_t n = a[1].len;
    int64_t count = a[2].i, seen = 0, total = 0;

    out->len = 0;
    if (count == 0 || n == 0)
        return;
    for (size_t i = 0; i + n <= a->len;)
        if (memcmp(s + i, d, n) == 0) {
            total++;
            i += n;
        } else {
            i++;
        }
    out->text = (char *)(uintptr_t)s; /* only read from here on */
    out->len = a->len;
    if (total < (count < 0 ? -count : count))
        return;
    for (size_t i = 0; i + n <= a->len;) {
        if (memcmp(s + i, d, n) != 0) {
            i++;
            continue;
        }
        seen++;
        if (count > 0 && seen == count) {
            out->len = i;
            return;
        }
        i += n;
        if (count < 0 && total - seen == -count - 1) {
            out->text = (char *)(uintptr_t)(s + i);
            out->len = a->len - i;
            return;
        }
    }
}

static void soundex(const struct value *a, struct result *out)
{
    static const char codes[] = "01230127022455012623017202"; /* 7: H and W, which do not part equal codes */
    size_t n = 0;
    char last;

    if (!a->len || !isalpha((unsigned char)a->s[0])) {
        out->len = a->len < out->size ? a->len : out->size;
        memcpy(out->text, a->s, out->len);
        return;
    }
    out->text[n++] = (char)toupper((unsigned char)a->s[0]);
    last = codes[out->text[0] - 'A'];
    for (size_t i = 1; i < a->len && n < 4; i++) {
        char code;

        if (!isalpha((unsigned char)a->s[i])) {
            last = '0';
            continue;
        }
        code = codes[toupper((unsigned char)a->s[i]) - 'A'];
        if (code == '7')
            continue;
        if (code != '0' && code != last)
            out->text[n++] = code;
        last = code;
    }
    while (n < 4)
        out->text[n++] = '0';
    out->len = n;
}

static void crc32_fn(const struct value *a, struct result *out)
{
    uint32_t crc = 0xFFFFFFFFu;

    for (size_t i = 0; i < a->len; i++) {
        crc ^= (unsigned char)a->s[i];
        for (int k = 0; k < 8; k++)
            crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1)));
    }
    out->i = (int64_t)(crc ^ 0xFFFFFFFFu);
}

/* ---- Murmur3 (32 bits), as Spark's hash: whole words, then the last bytes one by one ---- */
static uint32_t rotl32(uint32_t x, int r)
{
    return (x << r) | (x >> (32 - r));
}

static uint32_t mix_word(uint32_t h, uint32_t k)
{
    h ^= rotl32(k * 0xcc9e2d51u, 15) * 0x1b873593u;
    return rotl32(h, 13) * 5 + 0xe6546b64u;
}

static uint32_t mix_end(uint32_t h, uint32_t length)
{
    h ^= length;
    h = (h ^ (h >> 16)) * 0x85ebca6bu;
    h = (h ^ (h >> 13)) * 0xc2b2ae35u;
    return h ^ (h >> 16);
}

static uint32_t murmur_long(uint64_t v, uint32_t seed)
{
    return mix_end(mix_word(mix_word(seed, (uint32_t)v), (uint32_t)(v >> 32)), 8);
}

static void hash_int(const struct value *a, struct result *out)
{
    uint32_t seed = (uint32_t)a[1].i;

    out->i = (int32_t)(a->null ? seed : mix_end(mix_word(seed, (uint32_t)a->i), 4));
}

static void hash_long(const struct value *a, struct result *out)
{
    uint32_t seed = (uint32_t)a[1].i;

    out->i = (int32_t)(a->null ? seed : murmur_long((uint64_t)a->i, seed));
}

static uint64_t double_bits(double v)
{
    uint64_t bits;

    if (v == 0)
        v = 0; /* -0.0 */
    memcpy(&bits, &v, sizeof bits);
    return v != v ? 0x7ff8000000000000u : bits;
}

static uint32_t float_bits(double v)
{
    float f = (float)v;
    uint32_t bits;

    if (f == 0)
        f = 0;
    memcpy(&bits, &f, sizeof bits);
    return f != f ? 0x7fc00000u : bits;
}

static void hash_double(const struct value *a, struct result *out)
{
    uint32_t seed = (uint32_t)a[1].i;

    out->i = (int32_t)(a->null ? seed : murmur_long(double_bits(a->f), seed));
}

static void hash_float(const struct value *a, struct result *out)
{
    uint32_t seed = (uint32_t)a[1].i;

    out->i = (int32_t)(a->null ? seed : mix_end(mix_word(seed, float_bits(a->f)), 4));
}

static uint32_t murmur_bytes(const struct value *v, uint32_t h)
{
    size_t i = 0;

    for (; i + 4 <= v->len; i += 4) {
        uint32_t k;

        memcpy(&k, v->s + i, 4);
        h = mix_word(h, k);
    }
    for (; i < v->len; i++)
        h = mix_word(h, (uint32_t)(int32_t)(signed char)v->s[i]);
    return mix_end(h, (uint32_t)v->len);
}

static void hash_bytes(const struct value *a, struct result *out)
{
    uint32_t seed = (uint32_t)a[1].i;

    out->i = (int32_t)(a->null ? seed : murmur_bytes(a, seed));
}

/* ---- count-min sketches: org.apache.spark.util.sketch.CountMinSketch, with its bytes ---- */
enum { MOST_COUNTERS = 1 << 24 };

/* java.util.Random(seed).nextInt(2147483647), again and again */
static int64_t java_random(uint64_t *state)
{
    uint32_t bits;

    do {
        *state = (*state * 0x5DEECE66Du + 0xB) & (((uint64_t)1 << 48) - 1);
        bits = (uint32_t)(*state >> 17);
    } while (bits == 0x7FFFFFFFu);
    return bits;
}

static void put_big(struct buf *out, uint64_t v, int bytes)
{
    while (bytes-- > 0)
        buf_putc(out, (char)(unsigned char)(v >> (8 * bytes)));
}

/* count_min(values, error, confidence, seed) */
static void count_min(const struct value *a, struct result *out, bool bytes)
{
    double depth = ceil(-log(1 - a[2].f) / log(2)), width = ceil(2 / a[1].f);
    uint64_t state = ((uint64_t)a[3].i ^ 0x5DEECE66Du) & (((uint64_t)1 << 48) - 1), total = 0;
    int64_t *table;
    size_t n_rows, n_columns;

    if (!(a[1].f > 0) || !(a[2].f > 0 && a[2].f < 1) || !(depth >= 1 && depth * width <= MOST_COUNTERS)) {
        result_error(
            out,
            "[DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE] Cannot resolve \"count_min_sketch\" due to data type "
            "mismatch: the error must be above 0, the confidence between 0 and 1, and both such that there "
            "are at most %d counters. SQLSTATE: 42K09",
            MOST_COUNTERS);
        return;
    }
    n_rows = (size_t)depth;
    n_columns = (size_t)width;
    table = mem_calloc(n_rows * (n_columns + 1),
                       sizeof *table); /* the factors of the hashes, then the counters */
    if (!table) {
        result_error(out, "out of memory");
        return;
    }
    for (size_t r = 0; r < n_rows; r++)
        table[r] = java_random(&state);
    for (size_t i = 0; i < a[0].n; i++) {
        const struct value *v = &a[0].items[i];
        uint32_t first = bytes && !v->null ? murmur_bytes(v, 0) : 0,
                 second = bytes && !v->null ? murmur_bytes(v, first) : 0;

        total += !v->null;
        for (size_t r = 0; r < n_rows && !v->null; r++) {
            int64_t h = (int64_t)((uint64_t)table[r] * (uint64_t)v->i), at;

            h = (int64_t)((uint64_t)h + (uint64_t)(h >> 32)) & 0x7FFFFFFF;
            at =
                bytes ? (int32_t)(first + (uint32_t)r * second) % (int64_t)n_columns : h % (int64_t)n_columns;
            table[n_rows + r * n_columns + (size_t)(at < 0 ? -at : at)]++;
        }
    }
    put_big(out->more, 1, 4);
    put_big(out->more, total, 8);
    put_big(out->more, n_rows, 4);
    put_big(out->more, n_columns, 4);
    for (size_t i = 0; i < n_rows * (n_columns + 1); i++)
        put_big(out->more, (uint64_t)table[i], 8);
    mem_free(table);
    result_text(out);
}

static void count_min_longs(const struct value *a, struct result *out)
{
    count_min(a, out, false);
}

static void count_min_bytes(const struct value *a, struct result *out)
{
    count_min(a, out, true);
}

/* ---- xxHash64, as Spark's xxhash64 ---- */
static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint64_t rotl64(uint64_t x, int r)
{
    return (x << r) | (x >> (64 - r));
}

static uint64_t xx_end(uint64_t h)
{
    h = (h ^ (h >> 33)) * P2;
    h = (h ^ (h >> 29)) * P3;
    return h ^ (h >> 32);
}

static uint64_t xx_long(uint64_t v, uint64_t seed)
{
    uint64_t h = seed + P5 + 8;

    h ^= rotl64(v * P2, 31) * P1;
    return xx_end(rotl64(h, 27) * P1 + P4);
}

static uint64_t xx_int(uint32_t v, uint64_t seed)
{
    uint64_t h = seed + P5 + 4;

    h ^= (uint64_t)v * P1;
    return xx_end(rotl64(h, 23) * P2 + P3);
}

static uint64_t xx_round(uint64_t acc, const char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return rotl64(acc + v * P2, 31) * P1;
}

static uint64_t xx_stripes(const char *s, size_t len, uint64_t seed, size_t *used)
{
    uint64_t v[4] = {seed + P1 + P2, seed + P2, seed, seed - P1}, h;
    size_t i = 0;

    for (; i + 32 <= len; i += 32)
        for (int k = 0; k < 4; k++)
            v[k] = xx_round(v[k], s + i + 8 * k);
    h = rotl64(v[0], 1) + rotl64(v[1], 7) + rotl64(v[2], 12) + rotl64(v[3], 18);
    for (int k = 0; k < 4; k++)
        h = (h ^ (rotl64(v[k] * P2, 31) * P1)) * P1 + P4;
    *used = i;
    return h;
}

static uint64_t xx_bytes(const char *s, size_t len, uint64_t seed)
{
    size_t i = 0;
    uint64_t h = len >= 32 ? xx_stripes(s, len, seed, &i) : seed + P5;

    h += len;
    for (; i + 8 <= len; i += 8)
        h = rotl64(h ^ xx_round(0, s + i), 27) * P1 + P4;
    if (i + 4 <= len) {
        uint32_t v;

        memcpy(&v, s + i, 4);
        h = rotl64(h ^ (uint64_t)v * P1, 23) * P2 + P3;
        i += 4;
    }
    for (; i < len; i++)
        h = rotl64(h ^ (uint64_t)(unsigned char)s[i] * P5, 11) * P1;
    return xx_end(h);
}

static void xxhash_int(const struct value *a, struct result *out)
{
    out->i = a->null ? a[1].i : (int64_t)xx_int((uint32_t)a->i, (uint64_t)a[1].i);
}

static void xxhash_long(const struct value *a, struct result *out)
{
    out->i = a->null ? a[1].i : (int64_t)xx_long((uint64_t)a->i, (uint64_t)a[1].i);
}

static void xxhash_double(const struct value *a, struct result *out)
{
    out->i = a->null ? a[1].i : (int64_t)xx_long(double_bits(a->f), (uint64_t)a[1].i);
}

static void xxhash_float(const struct value *a, struct result *out)
{
    out->i = a->null ? a[1].i : (int64_t)xx_int(float_bits(a->f), (uint64_t)a[1].i);
}

static void xxhash_bytes(const struct value *a, struct result *out)
{
    out->i = a->null ? a[1].i : (int64_t)xx_bytes(a->s, a->len, (uint64_t)a[1].i);
}

/* ---- decimals of more than 18 digits, and arrays ---- */
enum { DIGITS_BYTES = 17 };

/* The digits as the bytes of java.math.BigInteger: two's complement, the highest first, as few as there may be. */
static struct value big_integer(const char *s, size_t len, char out[DIGITS_BYTES])
{
    bool minus = len && *s == '-';
    unsigned __int128 v = 0;
    size_t n = DIGITS_BYTES, from = 0;

    for (size_t i = minus; i < len; i++)
        v = v * 10 + (unsigned)(s[i] - '0');
    v = minus ? 0 - v : v;
    out[0] = (char)(minus && v ? -1 : 0);
    for (size_t i = n; i-- > 1; v >>= 8)
        out[i] = (char)(unsigned char)v;
    while (from + 1 < n && ((out[from] == 0 && (out[from + 1] & 0x80) == 0) ||
                            (out[from] == (char)-1 && (out[from + 1] & 0x80) != 0)))
        from++;
    return (struct value){.s = out + from, .len = n - from};
}

static void hash_digits(const struct value *a, struct result *out)
{
    char bytes[DIGITS_BYTES];
    struct value v = big_integer(a->s, a->len, bytes);

    out->i = (int32_t)(a->null ? (uint32_t)a[1].i : murmur_bytes(&v, (uint32_t)a[1].i));
}

static void xxhash_digits(const struct value *a, struct result *out)
{
    char bytes[DIGITS_BYTES];
    struct value v = big_integer(a->s, a->len, bytes);

    out->i = a->null ? a[1].i : (int64_t)xx_bytes(v.s, v.len, (uint64_t)a[1].i);
}

/* The value that the text of an element means; its letter is that of the kind. */
static struct value element(const struct value *text, char *kind, char bytes[DIGITS_BYTES], struct buf *more)
{
    struct value v = {.s = text->s + 1, .len = text->len - 1};
    char number[64] = "", pair[3] = "";

    *kind = *text->s;
    if (strchr("ildf", *kind) && v.len < sizeof number) {
        memcpy(number, v.s, v.len);
        v.i = strtoll(number, NULL, 10);
        v.f = strtod(number, NULL);
    } else if (*kind == 'n') {
        v = big_integer(v.s, v.len, bytes);
    } else if (*kind == 'b') {
        buf_clear(more);
        for (size_t i = 0; i + 1 < v.len; i += 2) {
            memcpy(pair, v.s + i, 2);
            buf_putc(more, (char)(unsigned char)strtoul(pair, NULL, 16));
        }
        v.s = buf_str(more);
        v.len = more->len;
    }
    return v;
}

/* What the two kinds of hash do with a list's elements: h is what came before. */
struct list_hash {
    uint64_t (*word)(uint32_t v, uint64_t h);
    uint64_t (*wide)(uint64_t v, uint64_t h);
    uint64_t (*bytes)(const struct value *v, uint64_t h);
};

static uint64_t list_word(uint32_t v, uint64_t h)
{
    return mix_end(mix_word((uint32_t)h, v), 4);
}

static uint64_t list_wide(uint64_t v, uint64_t h)
{
    return murmur_long(v, (uint32_t)h);
}

static uint64_t list_bytes(const struct value *v, uint64_t h)
{
    return murmur_bytes(v, (uint32_t)h);
}

static uint64_t list_xx_bytes(const struct value *v, uint64_t h)
{
    return xx_bytes(v->s, v->len, h);
}

static uint64_t fold_list(const struct value *a, const struct list_hash *hash, struct buf *more)
{
    uint64_t h = (uint64_t)a[1].i;

    for (size_t i = 0; !a->null && i < a->n; i++) {
        char kind, bytes[DIGITS_BYTES];
        struct value v;

        if (a->items[i].null)
            continue;
        v = element(&a->items[i], &kind, bytes, more);
        h = kind == 'i'   ? hash->word((uint32_t)v.i, h)
            : kind == 'l' ? hash->wide((uint64_t)v.i, h)
            : kind == 'd' ? hash->wide(double_bits(v.f), h)
            : kind == 'f' ? hash->word(float_bits(v.f), h)
                          : hash->bytes(&v, h);
    }
    return h;
}

static void hash_list(const struct value *a, struct result *out)
{
    static const struct list_hash murmur = {list_word, list_wide, list_bytes};

    out->i = (int32_t)(uint32_t)fold_list(a, &murmur, out->more);
}

static void xxhash_list(const struct value *a, struct result *out)
{
    static const struct list_hash xx = {xx_int, xx_long, list_xx_bytes};

    out->i = (int64_t)fold_list(a, &xx, out->more);
}

const struct scalar scalars_hash[] = {
    {"lacus_java_number", "s", 's', false, java_number},
    {"lacus_conv", "sii", 's', false, conv},
    {"lacus_substring_index", "ssi", 's', false, substring_index},
    {"lacus_soundex", "s", 's', false, soundex},
    {"lacus_crc32", "b", 'l', false, crc32_fn},
    {"lacus_hash_int", "ii", 'i', true, hash_int},
    {"lacus_hash_long", "li", 'i', true, hash_long},
    {"lacus_hash_double", "di", 'i', true, hash_double},
    {"lacus_hash_float", "fi", 'i', true, hash_float},
    {"lacus_hash_text", "si", 'i', true, hash_bytes},
    {"lacus_hash_bytes", "bi", 'i', true, hash_bytes},
    {"lacus_hash_digits", "si", 'i', true, hash_digits},
    {"lacus_hash_list", "Si", 'i', true, hash_list},
    {"lacus_xxhash64_digits", "sl", 'l', true, xxhash_digits},
    {"lacus_xxhash64_list", "Sl", 'l', true, xxhash_list},
    {"lacus_count_min_longs", "Lddi", 'b', false, count_min_longs},
    {"lacus_count_min_bytes", "Bddi", 'b', false, count_min_bytes},
    {"lacus_xxhash64_int", "il", 'l', true, xxhash_int},
    {"lacus_xxhash64_long", "ll", 'l', true, xxhash_long},
    {"lacus_xxhash64_double", "dl", 'l', true, xxhash_double},
    {"lacus_xxhash64_float", "fl", 'l', true, xxhash_float},
    {"lacus_xxhash64_text", "sl", 'l', true, xxhash_bytes},
    {"lacus_xxhash64_bytes", "bl", 'l', true, xxhash_bytes},
    {NULL, NULL, 0, false, NULL},
};
