/* secrets_test.c: values are sealed on disk, open only with their key and in their place, and are kept out of texts. */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/redact.h"
#include "runtime/secrets/secrets.h"
#include "runtime/storage/workspace.h"
#include "tests/support/unit.h"
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_home(void **state)
{
    static char dir[64];

    strcpy(dir, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    setenv("LACUS_HOME", dir, 1);
    *state = dir;
    return 0;
}

static int remove_home(void **state)
{
    struct err err;

    assert_int_equal(fs_remove_tree(*state, &err), LC_OK);
    return 0;
}

static struct secrets *opened(void)
{
    struct secrets *s;
    struct err err = {0};

    if (secrets_open(&s, &err) != LC_OK)
        fail_msg("%s", err.message);
    return s;
}

static enum lc put(struct secrets *s, const char *key, const char *value, int64_t expires)
{
    struct err err;

    return secrets_put(NULL, s, "prod", key, value, strlen(value), expires, &err);
}

static void is_value(struct secrets *s, const char *key, const char *value)
{
    struct buf out = BUF_INIT(SECRET_MAX);
    struct err err = {0};

    if (secrets_get(NULL, s, "prod", key, &out, &err) != LC_OK)
        fail_msg("%s", err.message);
    assert_string_equal(buf_str(&out), value);
    secrets_wipe(&out);
}

static void fails(struct secrets *s, const char *scope, const char *key, enum lc code, const char *part)
{
    struct buf out = BUF_INIT(SECRET_MAX);
    struct err err = {0};

    assert_int_equal(secrets_get(NULL, s, scope, key, &out, &err), code);
    if (!strstr(err.message, part) && !strstr(err.hint, part))
        fail_msg("'%s' is not in '%s' / '%s'", part, err.message, err.hint);
    assert_int_equal(out.len, 0);
    buf_release(&out);
}

static void values_come_back(void **state)
{
    struct secrets *s = opened();
    json_t *list;
    struct err err;

    (void)state;
    assert_int_equal(secrets_create_scope(NULL, s, "prod", &err), LC_OK);
    assert_int_equal(secrets_create_scope(NULL, s, "prod", &err), LC_EXISTS);
    assert_int_equal(secrets_create_scope(NULL, s, "a b", &err), LC_ARG);
    assert_int_equal(put(s, "token", "first value", 0), LC_OK);
    assert_int_equal(put(s, "token", "second value", 0), LC_OK);
    is_value(s, "token", "second value");
    assert_int_equal(secrets_list(NULL, s, "prod", &list, &err), LC_OK);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 0), "version")), 2);
    json_decref(list);
    fails(s, "prod", "tokem", LC_NOTFOUND, "token");
    fails(s, "prdo", "token", LC_NOTFOUND, "prod");
    assert_int_equal(put(s, "pin", "123", 0), LC_ARG);
    assert_int_equal(secrets_delete(NULL, s, "prod", "token", &err), LC_OK);
    assert_int_equal(secrets_delete(NULL, s, "prod", "token", &err), LC_NOTFOUND);
    assert_int_equal(secrets_delete_scope(NULL, s, "prod", &err), LC_OK);
    secrets_close(s);
}

/* libsodium's own functions open what lies in the database: the format is what the header says. */
static void they_are_sealed_with_secretbox(void **state)
{
    struct secrets *s = opened();
    struct buf key = BUF_INIT(64);
    struct workspace *ws;
    struct workspace_rows rows;
    struct err err;
    unsigned char own[crypto_secretbox_KEYBYTES], plain[64];
    char path[128];
    struct stat st;
    size_t len;
    enum lc rc = LC_OK;

    assert_int_equal(secrets_create_scope(NULL, s, "prod", &err), LC_OK);
    assert_int_equal(put(s, "token", "hidden", 0), LC_OK);
    secrets_close(s);
    snprintf(path, sizeof path, "%s/secrets.key", (char *)*state);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fs_read(path, &key, &err), LC_OK);
    crypto_generichash(own, sizeof own, (const unsigned char *)"prod\0token", 11, (unsigned char *)key.data,
                       key.len);
    assert_int_equal(workspace_open(NULL, &ws, &err), LC_OK);
    assert_int_equal(workspace_query(ws, &rows, &err, "SELECT sealed FROM secret_values", NULL), LC_OK);
    assert_true(workspace_next(&rows, &rc, &err));
    const unsigned char *sealed = workspace_blob(&rows, 0, &len);
    assert_int_equal(len, crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + 6);
    assert_int_equal(crypto_secretbox_open_easy(plain, sealed + crypto_secretbox_NONCEBYTES,
                                                len - crypto_secretbox_NONCEBYTES, sealed, own),
                     0);
    assert_memory_equal(plain, "hidden", 6);
    workspace_rows_close(&rows);
    workspace_close(ws);
    buf_release(&key);
}

static void a_moved_value_does_not_open(void **state)
{
    struct secrets *s = opened();
    struct workspace *ws;
    struct err err;

    (void)state;
    assert_int_equal(secrets_create_scope(NULL, s, "prod", &err), LC_OK);
    assert_int_equal(put(s, "mine", "value one", 0), LC_OK);
    assert_int_equal(put(s, "other", "value two", 0), LC_OK);
    assert_int_equal(workspace_open(NULL, &ws, &err), LC_OK);
    assert_int_equal(
        workspace_exec(ws, &err,
                       "UPDATE secret_values SET sealed = (SELECT sealed FROM secret_values WHERE key = "
                       "'other') WHERE key = 'mine'",
                       NULL),
        LC_OK);
    workspace_close(ws);
    fails(s, "prod", "mine", LC_AUTH, "another key");
    is_value(s, "other", "value two");
    secrets_close(s);
}

static void the_key_file_is_guarded(void **state)
{
    struct secrets *s = opened();
    struct err err;
    char path[128];

    snprintf(path, sizeof path, "%s/secrets.key", (char *)*state);
    assert_int_equal(secrets_create_scope(NULL, s, "prod", &err), LC_OK);
    assert_int_equal(put(s, "token", "hidden", 0), LC_OK);
    secrets_close(s);
    assert_int_equal(chmod(path, 0644), 0);
    s = opened();
    fails(s, "prod", "token", LC_PERM, "chmod 600");
    secrets_close(s);
    assert_int_equal(unlink(path), 0);
    s = opened();
    fails(s, "prod", "token", LC_AUTH, "is gone");
    secrets_close(s);
}

static void an_expired_value_is_refused(void **state)
{
    struct secrets *s = opened();
    struct err err;

    (void)state;
    assert_int_equal(secrets_create_scope(NULL, s, "prod", &err), LC_OK);
    assert_int_equal(put(s, "old", "hidden", clock_wall_ms() - 1000), LC_OK);
    assert_int_equal(put(s, "new", "hidden", clock_wall_ms() + 60000), LC_OK);
    fails(s, "prod", "old", LC_AUTH, "expired");
    is_value(s, "new", "hidden");
    secrets_close(s);
}

/* ---- redaction ---- */
static void hidden(struct redact *r, const char *text, const char *expected)
{
    struct buf out = BUF_INIT(1 << 16);

    redact_text(r, text, strlen(text), &out);
    assert_string_equal(buf_str(&out), expected);
    buf_release(&out);
}

/* The encodings were made with Python's base64, urllib.parse.quote, html.escape, json.dumps and bytes.hex. */
static void values_are_taken_out_of_texts(void **state)
{
    static const char value[] = "p&ss w\"rd/1";
    struct redact *r = redact_new();

    (void)state;
    assert_true(redact_add(r, value, strlen(value)));
    hidden(r, "nothing here", "nothing here");
    hidden(r, "a p&ss w\"rd/1 b", "a [REDACTED] b");
    hidden(r, "p&ss w\"rd/1p&ss w\"rd/1", "[REDACTED][REDACTED]");
    hidden(r, "cCZzcyB3InJkLzE=", "[REDACTED]");
    hidden(r, "dXNlcjpwJnNzIHcicmQvMQ==", "dXNlcjp[REDACTED]Q=="); /* user:… */
    hidden(r, "q=p%26ss%20w%22rd%2F1", "q=[REDACTED]");
    hidden(r, "q=p%26ss+w%22rd%2F1", "q=[REDACTED]");
    hidden(r, "q=p%26ss%20w%22rd/1", "q=[REDACTED]");
    hidden(r, "<b>p&amp;ss w&quot;rd/1</b>", "<b>[REDACTED]</b>");
    hidden(r, "{\"x\": \"p&ss w\\\"rd/1\"}", "{\"x\": \"[REDACTED]\"}");
    hidden(r, "702673732077227264 2f31", "702673732077227264 2f31");
    hidden(r, "7026737320772272642f31", "[REDACTED]");
    assert_true(redact_add(r, "gehe\xc3\xafm/\xe2\x82\xac", 11));
    hidden(r, "\"gehe\\u00efm/\\u20ac\"", "\"[REDACTED]\"");
    hidden(r, "gehe%C3%AFm%2F%E2%82%AC", "[REDACTED]");
    assert_false(redact_add(r, "abc", 3));
    redact_free(r);
}

/* A table's column, a list of variables: the beginning of a secret is one, too. */
static void a_value_that_was_cut_is_hidden(void **state)
{
    struct redact *r = redact_new();

    (void)state;
    assert_true(redact_add(r, "hunter22.hunter22..hunter22", 27));
    hidden(r, "|hunter22.hunter2...|", "|[REDACTED]...|");
    hidden(r, "s = \"hunter22.h…\"", "s = \"[REDACTED]…\"");
    hidden(r, "hunter22.hunter22...",
           "[REDACTED]..."); /* a dot of its own, and three that say more follows */
    hidden(r, "hunter22.hunter22.....", "[REDACTED]..."); /* two of its own */
    hidden(r, "hunt...", "hunt...");
    hidden(r, "hunter22 goes on...", "hunter22 goes on...");
    hidden(r, "hunter22.hunter22..hunter22...", "[REDACTED]...");
    redact_free(r);
}

static void the_beginning_of_a_value_is_held(void **state)
{
    struct redact *r = redact_new();

    (void)state;
    assert_int_equal(redact_held(NULL, "x", 1), 0);
    assert_true(redact_add(r, "hunter22", 8));
    assert_int_equal(redact_held(r, "a hunt", 6), 4);
    assert_int_equal(redact_held(r, "a hunter22", 10), 0);
    assert_int_equal(redact_held(r, "hunterhu", 8), 2);
    assert_int_equal(redact_held(r, "xyz\n", 4), 0);
    assert_true(redact_add(r, "localloc", 8)); /* its end is its beginning */
    assert_int_equal(redact_held(r, "localloc", 8), 0);
    assert_int_equal(redact_held(r, "locallocal", 10), 1);
    assert_int_equal(redact_held(r, "locallo", 7), 7);
    assert_true(redact_add(r, "localloc and more", 17));
    assert_int_equal(redact_held(r, "localloc", 8), 8);
    redact_free(r);
}

static void keys_come_out_line_by_line(void **state)
{
    static const char value[] =
        "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n";
    struct redact *r = redact_new();

    (void)state;
    assert_true(redact_add(r, value, strlen(value)));
    hidden(r, "1: MIIEvQIBADANBgkq\n", "1: [REDACTED]\n");
    hidden(r, "-----BEGIN KEY-----\n", "-----BEGIN KEY-----\n");
    redact_free(r);
}

static void json_is_cleaned_throughout(void **state)
{
    struct redact *r = redact_new();
    json_t *before =
        json_pack("{s:[s,i,{s:s}], s:s}", "list", "a hunter22", 1, "k", "hunter22", "hunter22 key", "v");
    json_t *plain = json_pack("[s]", "nothing"), *after;

    (void)state;
    assert_true(redact_add(r, "hunter22", 8));
    after = redact_json(r, before);
    char *text = json_dumps(after, JSON_SORT_KEYS | JSON_COMPACT);
    assert_string_equal(text,
                        "{\"[REDACTED] key\":\"v\",\"list\":[\"a [REDACTED]\",1,{\"k\":\"[REDACTED]\"}]}");
    free(text);
    json_decref(after);
    after = redact_json(r, plain);
    assert_ptr_equal(after, plain);
    json_decref(after);
    json_decref(plain);
    json_decref(before);
    redact_free(r);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_home, remove_home)

int main(void)
{
    const struct CMUnitTest tests[] = {T(values_come_back),
                                       T(they_are_sealed_with_secretbox),
                                       T(a_moved_value_does_not_open),
                                       T(the_key_file_is_guarded),
                                       T(an_expired_value_is_refused),
                                       T(values_are_taken_out_of_texts),
                                       T(a_value_that_was_cut_is_hidden),
                                       T(the_beginning_of_a_value_is_held),
                                       T(keys_come_out_line_by_line),
                                       T(json_is_cleaned_throughout)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
