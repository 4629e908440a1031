/* scalars.c: functions of Spark that DuckDB has not, as C functions over its vectors. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Each function gets one row: its arguments (never NULL unless it asks for them) and where the result goes. */
struct value {
    bool null;
    int64_t i;
    double f;
    const char *s;
    size_t len;
};

struct result {
    bool null;
    int64_t i;
    char *text; /* a buffer of `size` bytes */
    size_t size, len;
};

typedef void scalar_fn(const struct value *args, struct result *out);

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

static void conv(const struct value *a, struct result *out)
{
    char text[80], back[80];
    char *end;
    unsigned long long v;
    int64_t from = a[1].i, to = a[2].i, base = to < 0 ? -to : to;
    bool minus;
    size_t n = 0;

    out->null = true;
    if (from < 2 || from > 36 || base < 2 || base > 36 || a->len == 0 || a->len >= sizeof text)
        return;
    memcpy(text, a->s, a->len);
    text[a->len] = '\0';
    minus = text[0] == '-';
    v = strtoull(text + minus, &end, (int)from);
    if (minus)
        v = 0 - v;
    minus = to < 0 && (long long)v < 0;
    if (minus)
        v = 0 - v;
    do {
        back[n++] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[v % (unsigned long long)base];
        v /= (unsigned long long)base;
    } while (v && n < sizeof back - 1);
    if (minus)
        back[n++] = '-';
    for (size_t i = 0; i < n; i++)
        out->text[i] = back[n - 1 - i];
    out->len = n;
    out->null = false;
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

static void hash_bytes(const struct value *a, struct result *out)
{
    uint32_t h = (uint32_t)a[1].i;
    size_t i = 0;

    if (!a->null) {
        for (; i + 4 <= a->len; i += 4) {
            uint32_t k;

            memcpy(&k, a->s + i, 4);
            h = mix_word(h, k);
        }
        for (; i < a->len; i++)
            h = mix_word(h, (uint32_t)(int32_t)(signed char)a->s[i]);
        h = mix_end(h, (uint32_t)a->len);
    }
    out->i = (int32_t)h;
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

/* ---- the table: types by letter: i INTEGER, l BIGINT, d DOUBLE, f FLOAT, s VARCHAR, b BLOB; nulls: it wants NULLs too ---- */
struct scalar {
    const char *name, *args;
    char result;
    bool nulls;
    scalar_fn *fn;
};

static const struct scalar scalars[] = {
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
    {"lacus_xxhash64_int", "il", 'l', true, xxhash_int},
    {"lacus_xxhash64_long", "ll", 'l', true, xxhash_long},
    {"lacus_xxhash64_double", "dl", 'l', true, xxhash_double},
    {"lacus_xxhash64_float", "fl", 'l', true, xxhash_float},
    {"lacus_xxhash64_text", "sl", 'l', true, xxhash_bytes},
    {"lacus_xxhash64_bytes", "bl", 'l', true, xxhash_bytes},
};

enum { MAX_ARGS = 3, TEXT_SIZE = 512 };

struct bound { /* what a registered function needs; lives as long as the database */
    const struct duck_api *api;
    const struct scalar *scalar;
};

static void load(const struct duck_api *api, char type, duckdb_vector v, idx_t row, struct value *out)
{
    const void *data = api->duckdb_vector_get_data(v);
    uint64_t *valid = api->duckdb_vector_get_validity(v);

    *out = (struct value){.null = valid && !api->duckdb_validity_row_is_valid(valid, row)};
    if (out->null)
        return;
    if (type == 'i') {
        out->i = ((const int32_t *)data)[row];
    } else if (type == 'l') {
        out->i = ((const int64_t *)data)[row];
    } else if (type == 'd') {
        out->f = ((const double *)data)[row];
    } else if (type == 'f') {
        out->f = (double)((const float *)data)[row];
    } else {
        const duckdb_string_t *s = (const duckdb_string_t *)data + row;

        out->len = api->duckdb_string_t_length(*s);
        out->s = api->duckdb_string_t_data((duckdb_string_t *)(uintptr_t)s);
    }
}

static void store(const struct duck_api *api, char type, duckdb_vector v, idx_t row, const struct result *r)
{
    void *data = api->duckdb_vector_get_data(v);

    if (r->null) {
        api->duckdb_vector_ensure_validity_writable(v);
        api->duckdb_validity_set_row_invalid(api->duckdb_vector_get_validity(v), row);
    } else if (type == 's') {
        api->duckdb_vector_assign_string_element_len(v, row, r->text, r->len);
    } else if (type == 'i') {
        ((int32_t *)data)[row] = (int32_t)r->i;
    } else {
        ((int64_t *)data)[row] = r->i;
    }
}

/* DuckDB hands a function its data only through a function of its own. The library is opened once per process and never closed, so
 * this is written with one value only: an address, not state. */
static __typeof__(&duckdb_scalar_function_get_extra_info) get_extra_info;

static void call(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
    const struct bound *b = __atomic_load_n(&get_extra_info, __ATOMIC_ACQUIRE)(info);
    const struct scalar *f = b->scalar;
    idx_t n = b->api->duckdb_data_chunk_get_size(input);
    size_t n_args = strlen(f->args);
    duckdb_vector vectors[MAX_ARGS];

    for (size_t a = 0; a < n_args; a++)
        vectors[a] = b->api->duckdb_data_chunk_get_vector(input, a);
    for (idx_t row = 0; row < n; row++) {
        struct value args[MAX_ARGS];
        char text[TEXT_SIZE];
        struct result r = {.text = text, .size = sizeof text};
        bool null = false;

        for (size_t a = 0; a < n_args; a++) {
            load(b->api, f->args[a], vectors[a], row, &args[a]);
            null = null || args[a].null;
        }
        if (null && !f->nulls)
            r.null = true;
        else
            f->fn(args, &r);
        store(b->api, f->result, output, row, &r);
    }
}

static duckdb_type type_of(char letter)
{
    static const struct {
        char letter;
        duckdb_type type;
    } types[] = {{'i', DUCKDB_TYPE_INTEGER}, {'l', DUCKDB_TYPE_BIGINT},  {'d', DUCKDB_TYPE_DOUBLE},
                 {'f', DUCKDB_TYPE_FLOAT},   {'s', DUCKDB_TYPE_VARCHAR}, {'b', DUCKDB_TYPE_BLOB}};

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].letter == letter)
            return types[i].type;
    return DUCKDB_TYPE_INVALID;
}

static enum lc register_one(struct engine *e, const struct scalar *s, struct err *err)
{
    struct duck_api *api = &e->api;
    duckdb_scalar_function f = api->duckdb_create_scalar_function();
    duckdb_logical_type t;
    struct bound *b = mem_zalloc(sizeof *b);
    enum lc code = LC_OK;

    if (!b)
        return api->duckdb_destroy_scalar_function(&f), err_nomem(err);
    *b = (struct bound){.api = api, .scalar = s};
    api->duckdb_scalar_function_set_name(f, s->name);
    for (const char *a = s->args; *a; a++) {
        t = api->duckdb_create_logical_type(type_of(*a));
        api->duckdb_scalar_function_add_parameter(f, t);
        api->duckdb_destroy_logical_type(&t);
    }
    t = api->duckdb_create_logical_type(type_of(s->result));
    api->duckdb_scalar_function_set_return_type(f, t);
    api->duckdb_destroy_logical_type(&t);
    api->duckdb_scalar_function_set_function(f, call);
    api->duckdb_scalar_function_set_extra_info(f, b, mem_free);
    if (s->nulls)
        api->duckdb_scalar_function_set_special_handling(f);
    if (api->duckdb_register_scalar_function(e->admin, f) != DuckDBSuccess)
        code = err_set(err, LC_INTERNAL, "DuckDB does not take the function '%s'", s->name);
    api->duckdb_destroy_scalar_function(&f);
    return code;
}

enum lc duck_register_scalars(struct engine *e, struct err *err)
{
    __atomic_store_n(&get_extra_info, e->api.duckdb_scalar_function_get_extra_info, __ATOMIC_RELEASE);
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
        TRY(register_one(e, &scalars[i], err));
    return LC_OK;
}
