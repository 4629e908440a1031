/* sha256_test.c: against libsodium, all lengths around the block size, in pieces, both ways to compress. */
#include "runtime/base/sha256.h"
#include "tests/support/unit.h"
#include <sodium.h>
#include <string.h>

enum { MOST = 700 };

static void fill(unsigned char *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)((seed = seed * 1103515245u + 12345u) >> 16);
}

static void digests_are_libsodium_s(void **state)
{
    sha256_compress *const ways[] = {sha256_plain, sha256_best()};
    unsigned char data[MOST], want[SHA256_BYTES], got[SHA256_BYTES];

    (void)state;
    fill(data, sizeof data, 7);
    for (size_t way = 0; way < 2; way++)
        for (size_t n = 0; n <= MOST; n++) {
            struct sha256 s;

            crypto_hash_sha256(want, data, n);
            sha256_begin(&s);
            s.compress = ways[way];
            for (size_t at = 0, piece = n % 71 + 1; at < n; at += piece)
                sha256_add(&s, data + at, n - at < piece ? n - at : piece);
            sha256_end(&s, got);
            assert_memory_equal(got, want, sizeof want);
        }
}

static void signatures_are_libsodium_s(void **state)
{
    unsigned char key[200], data[MOST], want[SHA256_BYTES], got[SHA256_BYTES];

    (void)state;
    fill(key, sizeof key, 1);
    fill(data, sizeof data, 2);
    for (size_t len = 0; len <= sizeof key; len += len < 60 || len > 70 ? 5 : 1)
        for (size_t n = 0; n <= MOST; n += 29) {
            const struct hmac256_part parts[] = {{data, n / 3}, {data + n / 3, 0}, {data + n / 3, n - n / 3}};
            crypto_auth_hmacsha256_state s;
            struct hmac256 h;

            crypto_auth_hmacsha256_init(&s, key, len);
            crypto_auth_hmacsha256_update(&s, data, n);
            crypto_auth_hmacsha256_final(&s, want);
            hmac256_key(&h, key, len);
            hmac256_sign(&h, parts, 3, got);
            assert_memory_equal(got, want, sizeof want);
            hmac256_sign(&h, parts, 3, got); /* the key can be used again */
            assert_memory_equal(got, want, sizeof want);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_libsodium_s),
        cmocka_unit_test(signatures_are_libsodium_s),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
