/* wire_test.c: Jupyter's frames, signatures and connection files. The signatures to compare with were made by
 * Python's hmac module (hmac.new(b"secret-key", b"".join(parts), "sha256").hexdigest()). */
#include "kernel/connection.h"
#include "kernel/seen.h"
#include "kernel/wire.h"
#include "runtime/base/mem.h"
#include "tests/support/unit.h"
#include <stdlib.h>
#include <string.h>

#define HEADER                                                                                               \
    "{\"msg_id\":\"m1\",\"msg_type\":\"execute_request\",\"session\":\"s1\",\"username\":\"u\","             \
    "\"version\":\"5.3\"}"
#define CONTENT "{\"code\":\"1+1\"}"
static const char SIGNATURE[] = "74a7b6f2da37f9909f37374fa48b39434d0391129aefc972d56cb317f7c38e5a";

#define PART(text)                                                                                           \
    {                                                                                                        \
        (text), sizeof(text) - 1                                                                             \
    }
enum { ID, DELIMITER, SIGN, HEAD, PARENT, META, CONT, BUFFER, PARTS };

static void message(struct kwire_part parts[PARTS])
{
    const struct kwire_part all[PARTS] = {PART("client"), PART(WIRE_DELIMITER), PART(SIGNATURE), PART(HEADER),
                                          PART("{}"),     PART("{}"),           PART(CONTENT),   PART("raw")};
    memcpy(parts, all, sizeof all);
}

static struct kwire *open_wire(const char *key)
{
    struct kwire *w = NULL;
    struct err err;

    assert_int_equal(kwire_open(key, strlen(key), &w, &err), LC_OK);
    return w;
}

static void check_failure(struct kwire *w, const struct kwire_part *parts, size_t n, enum lc want)
{
    struct kwire_message m;
    struct err err;

    assert_int_equal(kwire_parse(w, parts, n, &m, &err), want);
    kwire_message_release(&m);
}

static void takes_a_signed_message(void **state)
{
    struct kwire *w = open_wire("secret-key");
    struct kwire_part parts[PARTS];
    struct kwire_message m;
    struct err err;

    (void)state;
    message(parts);
    assert_int_equal(kwire_parse(w, parts, PARTS, &m, &err), LC_OK);
    assert_string_equal(m.type, "execute_request");
    assert_string_equal(m.id, "m1");
    assert_string_equal(m.session, "s1");
    assert_int_equal(m.n_ids, 1);
    assert_int_equal(m.n_buffers, 1);
    assert_memory_equal(m.buffers[0].data, "raw", 3);
    assert_string_equal(json_string_value(json_object_get(m.content, "code")), "1+1");
    kwire_message_release(&m);
    kwire_close(w);
}

static void signs_as_python_does(void **state)
{
    struct kwire *w = open_wire("secret-key");
    const struct kwire_part parts[] = {PART(HEADER), PART("{}"), PART("{}"), PART(CONTENT)};
    char out[WIRE_SIGNATURE];

    (void)state;
    kwire_sign(w, parts, out);
    assert_string_equal(out, SIGNATURE);
    kwire_close(w);
}

static void refuses_what_is_not_signed_well(void **state)
{
    struct kwire *w = open_wire("secret-key");
    struct kwire_part parts[PARTS];
    char flipped[sizeof SIGNATURE];

    (void)state;
    message(parts);
    parts[CONT] = (struct kwire_part)PART("{\"code\":\"os.exit()\"}");
    check_failure(w, parts, PARTS, LC_AUTH);
    message(parts);
    memcpy(flipped, SIGNATURE, sizeof SIGNATURE);
    flipped[63] = flipped[63] == '0' ? '1' : '0';
    parts[SIGN].data = flipped;
    check_failure(w, parts, PARTS, LC_AUTH);
    parts[SIGN] = (struct kwire_part)PART("");
    check_failure(w, parts, PARTS, LC_AUTH);
    parts[SIGN] = (struct kwire_part)PART("zz");
    check_failure(w, parts, PARTS, LC_AUTH);
    kwire_close(w);
}

static void refuses_a_message_played_again(void **state)
{
    struct kwire *w = open_wire("secret-key");
    struct kwire_part parts[PARTS];
    struct kwire_message m;
    struct err err;

    (void)state;
    message(parts);
    assert_int_equal(kwire_parse(w, parts, PARTS, &m, &err), LC_OK);
    kwire_message_release(&m);
    check_failure(w, parts, PARTS, LC_AUTH);
    kwire_close(w);
}

static void needs_no_signature_without_a_key(void **state)
{
    struct kwire *w = open_wire("");
    struct kwire_part parts[PARTS];
    struct kwire_message m;
    struct err err;
    char out[WIRE_SIGNATURE];

    (void)state;
    message(parts);
    parts[SIGN] = (struct kwire_part)PART("");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kwire_parse(w, parts, PARTS, &m, &err), LC_OK);
        kwire_message_release(&m);
    }
    kwire_sign(w, parts + HEAD, out);
    assert_string_equal(out, "");
    kwire_close(w);
}

static void refuses_what_is_malformed(void **state)
{
    struct kwire *w = open_wire("");
    struct kwire_part parts[PARTS];

    (void)state;
    message(parts);
    check_failure(w, parts, 0, LC_PARSE);
    check_failure(w, parts, 1, LC_PARSE);
    for (size_t n = 2; n < BUFFER; n++)
        check_failure(w, parts, n, LC_PARSE);
    parts[HEAD] = (struct kwire_part)PART("{\"msg_id\":");
    check_failure(w, parts, PARTS, LC_PARSE);
    parts[HEAD] = (struct kwire_part)PART("[]");
    check_failure(w, parts, PARTS, LC_PARSE);
    parts[HEAD] = (struct kwire_part)PART("{\"msg_type\":7}");
    check_failure(w, parts, PARTS, LC_PARSE);
    parts[HEAD] = (struct kwire_part)PART("");
    check_failure(w, parts, PARTS, LC_PARSE);
    kwire_close(w);
}

/* Who sent it is known: the kernel can answer. */
static void keeps_the_header_of_bad_content(void **state)
{
    struct kwire *w = open_wire("");
    struct kwire_part parts[PARTS];
    struct kwire_message m;
    struct err err;

    (void)state;
    message(parts);
    parts[CONT] = (struct kwire_part)PART("{\"code\":");
    assert_int_equal(kwire_parse(w, parts, PARTS, &m, &err), LC_PARSE);
    assert_string_equal(m.type, "execute_request");
    assert_null(m.content);
    kwire_message_release(&m);
    kwire_close(w);
}

static void bounds_depth_frames_and_names(void **state)
{
    enum { LEVELS = 100000 };
    struct kwire *w = open_wire("");
    struct kwire_part parts[PARTS], *many;
    char *deep = malloc(LEVELS);

    (void)state;
    message(parts);
    memset(deep, '[', LEVELS);
    parts[CONT] = (struct kwire_part){deep, LEVELS};
    check_failure(w, parts, PARTS, LC_LIMIT);
    memcpy(deep, "{\"a\":\"", 6); /* brackets inside of a string are no levels */
    memcpy(deep + LEVELS - 2, "\"}", 2);
    check_failure(w, parts, PARTS, LC_OK);

    message(parts);
    many = calloc(WIRE_PARTS_MAX + 1, sizeof *many);
    memcpy(many, parts, sizeof parts);
    for (size_t i = PARTS; i <= WIRE_PARTS_MAX; i++)
        many[i] = parts[BUFFER];
    check_failure(w, many, WIRE_PARTS_MAX + 1, LC_LIMIT);
    parts[BUFFER].len = WIRE_BYTES_MAX; /* not looked at: refused by its length */
    check_failure(w, parts, PARTS, LC_LIMIT);

    message(parts);
    memset(deep, 'x', 300);
    memcpy(deep, "{\"msg_type\":\"", 13);
    memcpy(deep + 298, "\"}", 2);
    parts[HEAD] = (struct kwire_part){deep, 300};
    check_failure(w, parts, PARTS, LC_LIMIT);
    free(many);
    free(deep);
    kwire_close(w);
}

static void header_is_json_with_a_new_id(void **state)
{
    struct kwire *w = open_wire("k");
    struct buf a = BUF_INIT(1000), b = BUF_INIT(1000);
    json_t *one, *two;

    (void)state;
    assert_true(kwire_header(w, "status", &a));
    assert_true(kwire_header(w, "odd \"type\"\n", &b));
    one = json_loads(buf_str(&a), 0, NULL);
    two = json_loads(buf_str(&b), 0, NULL);
    assert_non_null(one);
    assert_non_null(two);
    assert_string_equal(json_string_value(json_object_get(two, "msg_type")), "odd \"type\"\n");
    assert_string_equal(json_string_value(json_object_get(one, "session")), kwire_session(w));
    assert_string_not_equal(json_string_value(json_object_get(one, "msg_id")),
                            json_string_value(json_object_get(two, "msg_id")));
    json_decref(one);
    json_decref(two);
    buf_release(&a);
    buf_release(&b);
    kwire_close(w);
}

/* Without memory a message is refused or taken, and nothing is lost on the way (ASan looks at that). */
static void survives_without_memory(void **state)
{
    struct kwire_part parts[PARTS];

    (void)state;
    message(parts);
    for (long n = 0; n < 20; n++) {
        struct kwire *w = NULL;
        struct kwire_message m;
        struct err err;

        mem_fail_after(n);
        if (kwire_open("secret-key", 10, &w, &err) == LC_OK) {
            enum lc rc = kwire_parse(w, parts, PARTS, &m, &err);
            assert_true(rc == LC_OK || err.code == rc);
            kwire_message_release(&m);
        }
        mem_fail_never();
        kwire_close(w);
    }
}

static void number_to_digest(unsigned long n, unsigned char digest[32])
{
    memset(digest, 0, 32);
    for (int i = 0; i < 32; i += 8) { /* splitmix64: spread like a digest */
        uint64_t z = (n + 1) * 0x9E3779B97F4A7C15u + (uint64_t)i;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z ^= z >> 27;
        memcpy(digest + i, &z, 8);
    }
}

static void seen_keeps_the_last_thousands(void **state)
{
    struct seen s = {0};
    unsigned char digest[32];

    (void)state;
    for (unsigned long i = 0; i < 5 * SEEN_KEPT; i++) {
        number_to_digest(i, digest);
        assert_false(seen_add(&s, digest));
        number_to_digest(i < SEEN_KEPT ? 0 : i - SEEN_KEPT + 1, digest);
        assert_true(seen_add(&s, digest));
    }
    assert_true(s.now.cap <= 4 * SEEN_KEPT);
    seen_release(&s);
}

#define PORTS                                                                                                \
    "\"shell_port\":5001,\"stdin_port\":5002,\"iopub_port\":5003,\"control_port\":5004,\"hb_port\":5005"

static void reads_a_connection_file(void **state)
{
    static const char text[] = "{\"transport\":\"tcp\",\"ip\":\"127.0.0.1\",\"key\":\"abc\","
                               "\"signature_scheme\":\"hmac-sha256\"," PORTS ",\"kernel_name\":\"lacus\"}";
    struct connection c;
    struct err err;
    char address[CONNECTION_ADDRESS_MAX];

    (void)state;
    assert_int_equal(connection_parse(text, sizeof text - 1, &c, &err), LC_OK);
    assert_int_equal(c.key_len, 3);
    connection_address(&c, CHANNEL_CONTROL, address);
    assert_string_equal(address, "tcp://127.0.0.1:5004");
    strcpy(c.transport, "ipc");
    strcpy(c.ip, "/run/k");
    connection_address(&c, CHANNEL_HB, address);
    assert_string_equal(address, "ipc:///run/k-5005");
}

static void names_what_is_wrong_in_a_connection_file(void **state)
{
    static const struct {
        const char *text, *says;
        enum lc code;
    } cases[] = {
        {"", "not JSON", LC_PARSE},
        {"{\"ip\":", "not JSON", LC_PARSE},
        {"[]", "not a JSON object", LC_DATA},
        {"{}", "'ip'", LC_DATA},
        {"{\"ip\":7}", "'ip'", LC_DATA},
        {"{\"ip\":\"127.0.0.1\",\"key\":\"k\"}", "'shell_port'", LC_DATA},
        {"{\"ip\":\"\",\"key\":\"k\"," PORTS "}", "'ip' is empty", LC_DATA},
        {"{\"ip\":\"a\\u0000b\",\"key\":\"k\"," PORTS "}", "'ip'", LC_DATA},
        {"{\"ip\":\"1.1.1.1\",\"key\":\"k\",\"shell_port\":70000}", "'shell_port'", LC_DATA},
        {"{\"ip\":\"1.1.1.1\",\"key\":\"k\",\"transport\":\"udp\"," PORTS "}", "'udp'", LC_UNSUPPORTED},
        {"{\"ip\":\"1.1.1.1\",\"key\":\"k\",\"signature_scheme\":\"hmac-md5\"," PORTS "}", "'hmac-md5'",
         LC_UNSUPPORTED},
    };
    struct connection c;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(connection_parse(cases[i].text, strlen(cases[i].text), &c, &err), cases[i].code);
        assert_non_null(strstr(err.message, cases[i].says));
    }
    assert_int_equal(connection_read("/nowhere/kernel.json", &c, &err), LC_NOTFOUND);
    assert_non_null(strstr(err.message, "/nowhere/kernel.json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_a_signed_message),
        cmocka_unit_test(signs_as_python_does),
        cmocka_unit_test(refuses_what_is_not_signed_well),
        cmocka_unit_test(refuses_a_message_played_again),
        cmocka_unit_test(needs_no_signature_without_a_key),
        cmocka_unit_test(refuses_what_is_malformed),
        cmocka_unit_test(keeps_the_header_of_bad_content),
        cmocka_unit_test(bounds_depth_frames_and_names),
        cmocka_unit_test(header_is_json_with_a_new_id),
        cmocka_unit_test(survives_without_memory),
        cmocka_unit_test(seen_keeps_the_last_thousands),
        cmocka_unit_test(reads_a_connection_file),
        cmocka_unit_test(names_what_is_wrong_in_a_connection_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
