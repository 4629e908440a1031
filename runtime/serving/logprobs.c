/* logprobs.c: the probabilities of tokens in OpenAI's two shapes. */
#include "runtime/base/utf8.h"
#include "runtime/serving/api_int.h"
#include <string.h>

/* A token need not be whole characters: its bytes are then written out, as OpenAI does; where it is to be a key, a NUL
 * is, too. */
static json_t *token_text(const struct buf *bytes, const char *prefix)
{
    struct buf text = BUF_INIT(1 << 20);
    json_t *json;

    if (utf8_valid(buf_str(bytes), bytes->len) && !(*prefix && memchr(buf_str(bytes), 0, bytes->len)))
        return json_stringn(buf_str(bytes), bytes->len);
    buf_puts(&text, prefix);
    for (size_t i = 0; i < bytes->len; i++)
        buf_printf(&text, "\\x%02x", (unsigned)(unsigned char)bytes->data[i]);
    json = json_stringn(buf_str(&text), text.len);
    buf_release(&text);
    return json;
}

static bool token_bytes(const struct ask *a, int32_t id, struct buf *out)
{
    struct err ignored;

    buf_clear(out);
    return tokenizer_token_bytes(service_tokenizer(a->api->service), id, out, &ignored) == LC_OK;
}

/* JSON has no infinity: what cannot be at all is as unlikely as OpenAI writes it. */
static double finite(double logprob)
{
    return logprob > -9999 ? logprob : -9999;
}

/* ---- chats: {content: [{token, logprob, bytes, top_logprobs}]} ---- */
static json_t *chat_token(const struct ask *a, int32_t id, double logprob)
{
    struct buf bytes = BUF_INIT(1 << 20);
    json_t *list = json_array();

    if (!token_bytes(a, id, &bytes)) {
        json_decref(list);
        return NULL;
    }
    for (size_t i = 0; i < bytes.len; i++)
        json_array_append_new(list, json_integer((unsigned char)bytes.data[i]));
    list = json_pack("{s:o,s:f,s:o}", "token", token_text(&bytes, ""), "logprob", finite(logprob), "bytes",
                     list);
    buf_release(&bytes);
    return list;
}

static json_t *chat_logprobs(const struct ask *a, struct job *j, size_t choice, size_t from, size_t to)
{
    json_t *content = json_array();

    for (size_t k = from; k < to; k++) {
        struct job_token t;
        json_t *one, *top = json_array();

        job_token(j, choice, k, &t);
        for (size_t i = 0; i < t.n_top; i++)
            json_array_append_new(top, chat_token(a, t.top[i].token, t.top[i].logprob));
        one = chat_token(a, t.id, t.logprob);
        json_object_set_new(one, "top_logprobs", top);
        if (json_array_append_new(content, one) != 0) {
            json_decref(content);
            return NULL;
        }
    }
    return json_pack("{s:o,s:n}", "content", content, "refusal");
}

/* ---- completions: {tokens, token_logprobs, top_logprobs, text_offset} ---- */
static json_t *text_of(const struct ask *a, int32_t id)
{
    struct buf bytes = BUF_INIT(1 << 20);
    json_t *text = token_bytes(a, id, &bytes) ? token_text(&bytes, "bytes:") : NULL;

    buf_release(&bytes);
    return text;
}

static void put_likely(const struct ask *a, json_t *object, int32_t id, double logprob)
{
    json_t *text = text_of(a, id);

    if (text && !json_object_get(object, json_string_value(text))) /* two tokens may read the same */
        json_object_set_new(object, json_string_value(text), json_real(finite(logprob)));
    json_decref(text);
}

/* The likeliest tokens, and the one that was taken when it is none of them. */
static json_t *likely_json(const struct ask *a, const struct job_token *t)
{
    json_t *object = t->first ? json_null() : json_object();

    for (size_t i = 0; i < t->n_top && !t->first; i++)
        put_likely(a, object, t->top[i].token, t->top[i].logprob);
    if (!t->first)
        put_likely(a, object, t->id, t->logprob);
    return object;
}

static json_t *completion_logprobs(const struct ask *a, struct job *j, size_t choice, size_t from, size_t to)
{
    json_t *tokens = json_array(), *logprobs = json_array(), *top = json_array(), *offsets = json_array();

    for (size_t k = from; k < to; k++) {
        struct job_token t;

        job_token(j, choice, k, &t);
        json_array_append_new(tokens, text_of(a, t.id));
        json_array_append_new(logprobs, t.first ? json_null() : json_real(finite(t.logprob)));
        json_array_append_new(top, likely_json(a, &t));
        json_array_append_new(offsets, json_integer((json_int_t)t.offset));
    }
    return json_pack("{s:o,s:o,s:o,s:o}", "tokens", tokens, "token_logprobs", logprobs, "top_logprobs", top,
                     "text_offset", offsets);
}

json_t *logprobs_json(const struct ask *a, struct job *j, size_t choice, size_t from, size_t to)
{
    if (!a->options.logprobs)
        return json_null();
    return a->shape == SHAPE_CHAT ? chat_logprobs(a, j, choice, from, to)
                                  : completion_logprobs(a, j, choice, from, to);
}
