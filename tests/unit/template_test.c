/* template_test.c: the golden conversations (text and ids), and memory that runs out. tests/interop/
 * test_chat_template.py compares expression by expression with transformers. */
#include "gpu/tokenizer/template.h"
#include "gpu/tokenizer/tokenizer.h"
#include "runtime/base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/tokenizer/"

static json_t *golden(void)
{
    json_error_t error;
    json_t *root = json_load_file(GOLDEN "chat_templates.json", 0, &error);

    if (!root)
        fail_msg("%s", error.text);
    return root;
}

static void same_ids(const struct tokenizer *tok, const struct buf *text, const json_t *ids)
{
    struct encoding enc = ENCODING_INIT;
    struct err err;

    assert_int_equal(tokenizer_encode(tok, buf_str(text), text->len, 0, &enc, &err), LC_OK);
    assert_int_equal(enc.n, json_array_size(ids));
    for (size_t i = 0; i < enc.n; i++)
        assert_int_equal(enc.ids[i], json_integer_value(json_array_get(ids, i)));
    encoding_release(&enc);
}

static void one_case(const struct tokenizer *tok, const json_t *root, const json_t *one)
{
    const char *name = json_string_value(json_object_get(one, "template"));
    const char *text = json_string_value(json_object_get(json_object_get(root, "templates"), name));
    const char *error = json_string_value(json_object_get(one, "error"));
    json_t *extra = json_pack("{s:O,s:O}", "bos_token", json_object_get(root, "bos"), "eos_token",
                              json_object_get(root, "eos"));
    struct buf out = BUF_INIT(1 << 20);
    struct err err = {.message = ""};
    enum lc rc = tokenizer_apply_chat_template(tok, text, json_object_get(one, "messages"),
                                               json_is_true(json_object_get(one, "add_generation_prompt")),
                                               extra, &out, &err);

    if (error) {
        assert_int_equal(rc, LC_DATA);
        assert_non_null(strstr(err.message, error));
    } else {
        if (rc != LC_OK)
            fail_msg("%s: %s", name, err.message);
        assert_string_equal(buf_str(&out), json_string_value(json_object_get(one, "text")));
        same_ids(tok, &out, json_object_get(one, "ids"));
    }
    buf_release(&out);
    json_decref(extra);
}

static void golden_conversations(void **state)
{
    json_t *root = golden(), *one;
    struct tokenizer *tok;
    struct err err;
    size_t i;

    (void)state;
    if (tokenizer_open(GOLDEN "bytebpe.json", &tok, &err) != LC_OK)
        fail_msg("%s", err.message);
    assert_int_equal(json_array_size(json_object_get(root, "cases")), 30);
    json_array_foreach (json_object_get(root, "cases"), i, one)
        one_case(tok, root, one);
    tokenizer_free(tok);
    json_decref(root);
}

static void no_template_is_an_error_with_a_hint(void **state)
{
    struct tokenizer *tok;
    struct buf out = BUF_INIT(1000);
    struct err err;
    json_t *messages = json_array();

    (void)state;
    assert_int_equal(tokenizer_open(GOLDEN "bytebpe.json", &tok, &err), LC_OK);
    assert_int_equal(tokenizer_apply_chat_template(tok, NULL, messages, true, NULL, &out, &err), LC_NOTFOUND);
    assert_true(err.hint[0] != '\0');
    json_decref(messages);
    tokenizer_free(tok);
}

static void errors_point_into_the_template(void **state)
{
    static const char text[] = "Hello {{ name }}\n{% if x %}{{ y | shout }}{% endif %}";
    json_t *vars = json_object();
    struct buf out = BUF_INIT(1000);
    struct err err;

    (void)state;
    assert_int_equal(template_render(text, sizeof text - 1, vars, &out, &err), LC_UNSUPPORTED);
    assert_memory_equal(text + err.position, "shout", 5);
    json_decref(vars);
    buf_release(&out);
}

static void memory_may_run_out_anywhere(void **state)
{
    static const char text[] =
        "{% macro m(a, b=2) %}{{ a ~ b }}{% endmacro %}{% for x in l | sort if x %}{{ m(x) }}"
        "{{ d.items() | list | tojson(indent=2) }}{{ 'a-b'.split('-') | join('+') | upper }}"
        "{% set y %}{{ x }}{% endset %}{{ y | trim }}{% endfor %}";
    json_t *vars = json_pack("{s:[i,i,i],s:{s:i,s:[s]}}", "l", 3, 1, 2, "d", "k", 1, "v", "w");
    struct buf out = BUF_INIT(10000);
    struct err err;
    enum lc rc = LC_NOMEM;

    (void)state;
    for (long n = 0; rc != LC_OK; n++) {
        buf_release(&out);
        buf_init(&out, 10000);
        mem_fail_after(n);
        rc = template_render(text, sizeof text - 1, vars, &out, &err);
        mem_fail_never();
        assert_true(rc == LC_OK || rc == LC_NOMEM || rc == LC_LIMIT);
    }
    if (!strstr(buf_str(&out), "A+B"))
        fail_msg("%s", buf_str(&out));
    buf_release(&out);
    json_decref(vars);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_conversations),
        cmocka_unit_test(no_template_is_an_error_with_a_hint),
        cmocka_unit_test(errors_point_into_the_template),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
