/* hub_test.c: digests as git and FIPS have them, names that may not leave their folder, heads, the cache's layout. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/hub/answer.h"
#include "runtime/hub/cache.h"
#include "runtime/hub/sha1.h"
#include "runtime/hub/transfer.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHA "0123456789abcdef0123456789abcdef01234567"

static void sha1_of(const char *text, size_t len, size_t piece, char out[41])
{
    unsigned char d[SHA1_BYTES];
    struct sha1 s;

    sha1_begin(&s);
    for (size_t at = 0; at < len; at += piece)
        sha1_add(&s, text + at, len - at < piece ? len - at : piece);
    sha1_end(&s, d);
    for (int i = 0; i < SHA1_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", d[i]);
}

static void test_sha1(void **state)
{
    static const char two[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char hex[41], *million = malloc(1000000);

    (void)state;
    sha1_of("", 0, 1, hex);
    assert_string_equal(hex, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    sha1_of("abc", 3, 3, hex);
    assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
    for (size_t piece = 1; piece < 60; piece++) {
        sha1_of(two, sizeof two - 1, piece, hex);
        assert_string_equal(hex, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    }
    memset(million, 'a', 1000000);
    sha1_of(million, 1000000, 777, hex);
    assert_string_equal(hex, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    free(million);
}

static void test_names(void **state)
{
    static const char *const good[] = {"config.json", "a/b.json", ".gitattributes", "a..b", "..."};
    static const char *const bad[] = {"", "/a", "..", "a/../b", "a//b", "a/", "./a", "a\\b", "a\nb"};
    static const char *const ids[] = {"org/name", "gpt2", "meta-llama/Llama-3.2-1B", "a_b/c.d"};
    static const char *const no_ids[] = {"",   "a/b/c",  "../x",  "a/..", "/a",
                                         "a/", "a--b/c", "a b/c", "a/b.", "-a/b"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(hub_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(hub_name_ok(bad[i]));
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        assert_true(hub_id_ok(ids[i]));
    for (size_t i = 0; i < sizeof no_ids / sizeof *no_ids; i++)
        assert_false(hub_id_ok(no_ids[i]));
    assert_true(hub_revision_ok("refs/pr/1"));
    assert_false(hub_revision_ok("../main"));
    assert_false(hub_revision_ok("a b"));
}

static void test_heads(void **state)
{
    struct hub_head h;
    struct err err;

    (void)state;
    assert_int_equal(hub_head_parse("x-repo-commit: " SHA "\r\nETag: W/\"abc\"\r\nContent-Length: 12\r\n",
                                    false, &h, &err),
                     LC_OK);
    assert_string_equal(h.etag, "abc");
    assert_int_equal(h.size, 12);
    assert_int_equal(
        hub_head_parse(
            "X-Repo-Commit: " SHA
            "\r\nETag: \"no\"\r\nX-Linked-Etag: \"yes\"\r\nX-Linked-Size: 99\r\nContent-Length: 12\r\n",
            false, &h, &err),
        LC_OK);
    assert_string_equal(h.etag, "yes");
    assert_int_equal(h.size, 99);
    assert_int_equal(hub_head_parse("X-Repo-Commit: " SHA "\r\nETag: \"../x\"\r\n", false, &h, &err),
                     LC_DATA);
    assert_int_equal(hub_head_parse("ETag: \"x\"\r\n", false, &h, &err), LC_DATA);
    assert_int_equal(
        hub_head_parse("X-Repo-Commit: " SHA "\r\nETag: \"x\"\r\nContent-Length: 0\r\n", true, &h, &err),
        LC_OK);
    assert_int_equal(h.size, -1);
    assert_int_equal(hub_range_begin("Content-Range: bytes 5-9/10\r\n"), 5);
    assert_int_equal(hub_range_begin("Content-Range: bytes */10\r\n"), -1);
    assert_int_equal(hub_range_begin(""), -1);
}

static void test_index(void **state)
{
    static const char text[] =
        "{\"weight_map\":{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\",\"c\":\"2.safetensors\"}}";
    struct hub_listing l;
    struct err err;

    (void)state;
    assert_int_equal(hub_index_parse(text, sizeof text - 1, &l, &err), LC_OK);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.names[0], "1.safetensors");
    assert_true(hub_listing_has(&l, "2.safetensors"));
    hub_listing_release(&l);
    assert_int_equal(hub_index_parse("{\"weight_map\":{\"a\":\"b/c\"}}", 26, &l, &err), LC_DATA);
    assert_int_equal(hub_index_parse("{\"weight_map\":{\"a\":1}}", 22, &l, &err), LC_DATA);
    assert_int_equal(hub_listing_parse("{}", 2, &l, &err), LC_DATA);
}

static void test_cache(void **state)
{
    char dir[] = "/tmp/lacus-hub-XXXXXX", sha[41], target[100] = "";
    struct ctx ctx = ctx_background();
    struct hub_cache c;
    struct err err;
    bool right;
    int lock;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(hub_cache_open(dir, "org/name", &c, &err), LC_OK);
    assert_string_equal(c.folder + strlen(dir), "/models--org--name");
    assert_false(hub_cache_commit(&c, "main", sha));
    assert_true(hub_cache_commit(&c, SHA, sha));
    assert_int_equal(hub_cache_make(&c, SHA, &err), LC_OK);
    assert_int_equal(hub_cache_set_ref(&c, "refs/pr/1", SHA, &err), LC_OK);
    assert_true(hub_cache_commit(&c, "refs/pr/1", sha));
    assert_string_equal(sha, SHA);
    char *blob = hub_cache_blob(&c, "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"); /* git hash-object of abc */
    assert_int_equal(fs_write(blob, "abc", 3, &err), LC_OK);
    assert_int_equal(hub_verify(&ctx, blob, "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f", &right, &err), LC_OK);
    assert_true(right);
    assert_int_equal(hub_verify(&ctx, blob,
                                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", &right,
                                &err),
                     LC_OK);
    assert_true(right);
    assert_int_equal(hub_verify(&ctx, blob, SHA, &right, &err), LC_OK);
    assert_false(right);
    assert_int_equal(hub_cache_link(&c, SHA, "config.json", "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f", &err),
                     LC_OK);
    char *link = mem_printf("%s/snapshots/" SHA "/config.json", c.folder);
    assert_true(readlink(link, target, sizeof target - 1) > 0);
    assert_string_equal(target, "../../blobs/f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f");
    assert_true(fs_exists(link));
    assert_int_equal(hub_cache_lock(&ctx, &c, "x", &lock, &err), LC_OK);
    hub_cache_unlock(lock);
    mem_free(link);
    mem_free(blob);
    hub_cache_release(&c);
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sha1), cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_heads), cmocka_unit_test(test_index),
                                       cmocka_unit_test(test_cache)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
