/* tokenizer_test.c: the golden cases that the `tokenizers` library made (tests/golden/tokenizer), and what no
 * golden case holds: broken files, limits, streams. */
#include "gpu/tokenizer/tokenizer.h"
#include "gpu/tokenizer/train.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GOLDEN "tests/golden/tokenizer/"

static struct tokenizer *open_golden(const char *name)
{
    char *path = mem_printf(GOLDEN "%s.json", name);
    struct tokenizer *tok;
    struct err err;

    if (tokenizer_open(path, &tok, &err) != LC_OK)
        fail_msg("%s", err.message);
    mem_free(path);
    return tok;
}

static json_t *golden_json(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);

    if (!root)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static void same_ids(const struct encoding *enc, const json_t *ids, const char *text)
{
    if (enc->n != json_array_size(ids))
        fail_msg("'%s': %zu ids, want %zu", text, enc->n, json_array_size(ids));
    for (size_t i = 0; i < enc->n; i++)
        if (enc->ids[i] != json_integer_value(json_array_get(ids, i)))
            fail_msg("'%s': id %zu is %d", text, i, enc->ids[i]);
}

static void same_tokens(const struct tokenizer *tok, const struct encoding *enc, const json_t *one,
                        const char *text)
{
    for (size_t i = 0; i < enc->n; i++) {
        const json_t *range = json_array_get(json_object_get(one, "offsets"), i);
        assert_string_equal(tokenizer_token(tok, enc->ids[i]),
                            json_string_value(json_array_get(json_object_get(one, "tokens"), i)));
        if (enc->range[i][0] != json_integer_value(json_array_get(range, 0)) ||
            enc->range[i][1] != json_integer_value(json_array_get(range, 1)))
            fail_msg("'%s': token %zu has range %u,%u", text, i, enc->range[i][0], enc->range[i][1]);
    }
}

static void same_text(const struct tokenizer *tok, const json_t *ids, bool skip, const json_t *want)
{
    int32_t list[4096];
    size_t n = json_array_size(ids);
    struct buf out = BUF_INIT(BUF_TEXT_MAX);
    struct tokenizer_stream *stream = tokenizer_stream_new(tok, skip);
    struct err err;

    assert_true(n <= 4096);
    for (size_t i = 0; i < n; i++)
        list[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    assert_int_equal(tokenizer_decode(tok, list, n, skip, &out, &err), LC_OK);
    if (out.len != json_string_length(want))
        fail_msg("decoded '%s', want '%s'", buf_str(&out), json_string_value(want));
    assert_memory_equal(buf_str(&out), json_string_value(want), out.len);
    buf_clear(&out);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(tokenizer_stream_put(stream, list[i], &out, &err), LC_OK);
    assert_int_equal(tokenizer_stream_end(stream, &out, &err), LC_OK);
    assert_string_equal(buf_str(&out), json_string_value(want));
    tokenizer_stream_free(stream);
    buf_release(&out);
}

static void run_cases(const char *name)
{
    struct tokenizer *tok = open_golden(name);
    json_t *root = golden_json(GOLDEN "cases.json"), *one;
    struct encoding enc = ENCODING_INIT;
    struct err err;
    size_t i;

    assert_true(json_array_size(json_object_get(root, name)) > 20);
    json_array_foreach (json_object_get(root, name), i, one) {
        const char *text = json_string_value(json_object_get(one, "text"));
        size_t len = json_string_length(json_object_get(one, "text"));
        assert_int_equal(tokenizer_encode(tok, text, len, TOKENIZER_SPECIAL, &enc, &err), LC_OK);
        same_ids(&enc, json_object_get(one, "ids"), text);
        assert_int_equal(tokenizer_encode(tok, text, len, TOKENIZER_OFFSETS, &enc, &err), LC_OK);
        same_ids(&enc, json_object_get(one, "ids_nospecial"), text);
        same_tokens(tok, &enc, one, text);
        same_text(tok, json_object_get(one, "ids_nospecial"), true, json_object_get(one, "decode"));
        same_text(tok, json_object_get(one, "ids"), true, json_object_get(one, "decode_skip"));
    }
    encoding_release(&enc);
    json_decref(root);
    tokenizer_free(tok);
}

static void golden_byte_level(void **state)
{
    (void)state;
    run_cases("bytebpe");
}

static void golden_byte_fallback(void **state)
{
    (void)state;
    run_cases("spbpe");
}

static void broken_files_are_named(void **state)
{
    static const struct {
        const char *json, *message;
        enum lc code;
    } cases[] = {
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}", NULL,
         LC_OK},
        {"{", "not valid JSON", LC_DATA},
        {"[]", "not a JSON object", LC_DATA},
        {"{}", "no model", LC_DATA},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[]}}", "model 'Unigram'", LC_UNSUPPORTED},
        {"{\"model\":{\"type\":\"BPE\",\"merges\":[]}}", "no vocab", LC_DATA},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "ids lie between", LC_DATA},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1e3},\"merges\":[]}}", "not a number", LC_DATA},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":99999999},\"merges\":[]}}", "ids lie between",
         LC_DATA},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a z\"]}}", "names 'z'", LC_DATA},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[[\"a\",\"b\"]]}}",
         "makes 'ab'", LC_DATA},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[7]}}", "not a pair", LC_DATA},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1}}", "dropout",
         LC_UNSUPPORTED},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"u\"}}",
         "unk_token 'u'", LC_DATA},
        {"{\"normalizer\":{\"type\":\"Precompiled\"},\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}"
         "}",
         "normalizer 'Precompiled'", LC_UNSUPPORTED},
        {"{\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"},\"model\":{\"type\":\"BPE\",\"vocab\":{},"
         "\"merges\":[]}}",
         "pre_tokenizer 'UnicodeScripts'", LC_UNSUPPORTED},
        {"{\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"},\"behavior\":\"Isolated\"},"
         "\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}",
         "pattern '(a'", LC_DATA},
        {"{\"decoder\":{\"type\":\"CTC\"},\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}",
         "decoder 'CTC'", LC_UNSUPPORTED},
        {"{\"post_processor\":{\"type\":\"Odd\"},\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}",
         "post_processor 'Odd'", LC_UNSUPPORTED},
        {"{\"added_tokens\":[{\"content\":\"x\"}],\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":[]}}",
         "no id", LC_DATA},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *tok = NULL;
        struct err err = {.message = ""};
        enum lc rc = tokenizer_parse(cases[i].json, strlen(cases[i].json), &tok, &err);
        if (rc != cases[i].code || (cases[i].message && !strstr(err.message, cases[i].message)))
            fail_msg("case %zu: %s '%s'", i, lc_name(rc), err.message);
        if (rc == LC_OK)
            tokenizer_free(tok);
    }
}

static void text_that_is_not_utf8_is_refused(void **state)
{
    struct tokenizer *tok = open_golden("bytebpe");
    struct encoding enc = ENCODING_INIT;
    struct err err;

    (void)state;
    assert_int_equal(tokenizer_encode(tok, "ab\xff", 3, 0, &enc, &err), LC_DATA);
    assert_int_equal(err.position, 2);
    encoding_release(&enc);
    tokenizer_free(tok);
}

static void long_words_and_short_ones_merge_alike(void **state)
{
    struct tokenizer *tok = open_golden("spbpe"); /* no pre-tokenizer: the whole text is one word */
    struct encoding one = ENCODING_INIT, all = ENCODING_INIT;
    struct buf text = BUF_INIT(1 << 20);
    struct err err;

    (void)state;
    for (int i = 0; i < 400; i++)
        buf_puts(&text, "lazy dog 12 ");
    assert_int_equal(tokenizer_encode(tok, "lazy dog 12 lazy", 16, 0, &one, &err), LC_OK);
    assert_int_equal(tokenizer_encode(tok, text.data, text.len, TOKENIZER_OFFSETS, &all, &err), LC_OK);
    assert_memory_equal(one.ids, all.ids, (one.n - 1) * sizeof *one.ids);
    assert_int_equal(all.range[all.n - 1][1], text.len);
    encoding_release(&one);
    encoding_release(&all);
    buf_release(&text);
    tokenizer_free(tok);
}

struct reader {
    pthread_t thread;
    const struct tokenizer *tok;
    const struct buf *text;
    struct encoding enc;
    enum lc rc;
};

static void *encode_all(void *arg)
{
    struct reader *r = arg;

    r->rc = tokenizer_encode(r->tok, r->text->data, r->text->len, 0, &r->enc, NULL);
    return NULL;
}

/* All meet the same new words at once. */
static void threads_share_a_tokenizer(void **state)
{
    struct tokenizer *tok = open_golden("bytebpe"), *other = open_golden("bytebpe");
    struct reader readers[4], alone = {.tok = other};
    struct buf text = BUF_INIT(1 << 20);

    (void)state;
    for (int i = 0; i < 20000; i++)
        buf_printf(&text, " moon%d rises%d", i % 7000, i % 911);
    alone.text = &text;
    encode_all(&alone);
    for (size_t i = 0; i < 4; i++) {
        readers[i] = (struct reader){.tok = tok, .text = &text};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, encode_all, &readers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].rc, LC_OK);
        assert_int_equal(readers[i].enc.n, alone.enc.n);
        assert_memory_equal(readers[i].enc.ids, alone.enc.ids, alone.enc.n * sizeof *alone.enc.ids);
        encoding_release(&readers[i].enc);
    }
    encoding_release(&alone.enc);
    buf_release(&text);
    tokenizer_free(other);
    tokenizer_free(tok);
}

static void memory_may_run_out_anywhere(void **state)
{
    struct tokenizer *tok = open_golden("bytebpe");
    struct encoding enc = ENCODING_INIT;
    struct buf out = BUF_INIT(1000);
    struct err err;
    enum lc rc = LC_NOMEM;

    (void)state;
    for (long n = 0; rc != LC_OK; n++) {
        mem_fail_after(n);
        rc = tokenizer_encode(tok, "<|eot_id|> Hello w\xc3\xb6rld", 22, TOKENIZER_OFFSETS | TOKENIZER_SPECIAL,
                              &enc, &err);
        if (rc == LC_OK)
            rc = tokenizer_decode(tok, enc.ids, enc.n, true, &out, &err);
        mem_fail_never();
        assert_true(rc == LC_OK || rc == LC_NOMEM);
        buf_clear(&out);
    }
    buf_release(&out);
    encoding_release(&enc);
    tokenizer_free(tok);
}

/* ---- training ---- */
struct lines {
    size_t next;
};

static enum lc next_line(void *arg, const char **text, size_t *len, struct err *err)
{
    static const char *const lines[] = {"low lower lowest", "new newer newest", "wide wider widest",
                                        "n\xc3\xa4h 12345"};
    struct lines *l = arg;

    (void)err;
    *text = l->next < sizeof lines / sizeof *lines ? lines[l->next++] : NULL;
    *len = *text ? strlen(*text) : 0;
    return LC_OK;
}

static void training_survives_lack_of_memory_and_cancel(void **state)
{
    const struct tokenizer_training t = {.vocab_size = 280, .bos = "<s>", .eos = "</s>", .add_bos = true};
    char dir[] = "/tmp/lacus-test-XXXXXX";
    atomic_bool cancel = true;
    struct ctx cancelled = {.cancel = &cancel};
    struct tokenizer *tok;
    struct lines lines = {0};
    struct err err;
    enum lc rc = LC_NOMEM;

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(tokenizer_train(&cancelled, next_line, &lines, &t, dir, &err), LC_CANCELLED);
    for (long n = 0; rc != LC_OK; n++) {
        lines.next = 0;
        mem_fail_after(n);
        rc = tokenizer_train(NULL, next_line, &lines, &t, dir, &err);
        mem_fail_never();
        assert_true(rc == LC_OK || rc == LC_NOMEM || rc == LC_LIMIT || rc == LC_MISSING);
    }
    assert_int_equal(tokenizer_open(dir, &tok, &err), LC_OK);
    assert_int_equal(tokenizer_vocab_size(tok), 280);
    assert_int_equal(tokenizer_bos(tok), 0);
    assert_int_equal(tokenizer_eos(tok), 1);
    assert_true(tokenizer_adds_bos(tok));
    tokenizer_free(tok);
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_byte_level),
        cmocka_unit_test(golden_byte_fallback),
        cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(text_that_is_not_utf8_is_refused),
        cmocka_unit_test(long_words_and_short_ones_merge_alike),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(training_survives_lack_of_memory_and_cancel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
