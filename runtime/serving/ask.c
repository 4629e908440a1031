/* ask.c: a request's JSON as prompts. */
#include "runtime/base/mem.h"
#include "runtime/serving/api_int.h"
#include <string.h>

void ask_release(struct ask *a)
{
    for (size_t i = 0; i < a->n; i++)
        encoding_release(&a->prompts[i]);
    for (size_t i = 0; i < a->options.n_stop; i++)
        mem_free(a->options.stop[i]);
    mem_free(a->options.stop);
    mem_free(a->options.bias);
    json_decref(a->body);
}

/* ---- prompts ---- */
enum lc ask_text(struct ask *a, const char *text, size_t len, bool special, struct err *err)
{
    if (a->n == PROMPTS_MAX)
        return err_set(err, LC_LIMIT, "more than %d prompts in one request", PROMPTS_MAX);
    return tokenizer_encode(service_tokenizer(a->api->service), text, len, special ? TOKENIZER_SPECIAL : 0,
                            &a->prompts[a->n++], err);
}

static enum lc ask_ids(struct ask *a, const json_t *ids, struct err *err)
{
    struct encoding *e = &a->prompts[a->n];
    size_t n = json_array_size(ids), vocabulary = tokenizer_vocab_size(service_tokenizer(a->api->service));

    if (a->n == PROMPTS_MAX)
        return err_set(err, LC_LIMIT, "more than %d prompts in one request", PROMPTS_MAX);
    if ((e->ids = mem_calloc(n, sizeof *e->ids)) == NULL)
        return err_nomem(err);
    e->cap = n;
    a->n++;
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(ids, i);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || (size_t)value >= vocabulary)
            return ask_wrong(a, "prompt", err, "has a token id that is not in the vocabulary");
        e->ids[e->n++] = (int32_t)value;
    }
    return LC_OK;
}

/* A text, a list of texts, a list of ids, or a list of lists of ids. */
enum lc ask_prompt(struct ask *a, const json_t *prompt, struct err *err)
{
    const json_t *one;
    size_t i;

    a->param = "prompt";
    if (json_is_string(prompt))
        return ask_text(a, json_string_value(prompt), json_string_length(prompt), true, err);
    if (!json_is_array(prompt) || json_array_size(prompt) == 0)
        return ask_wrong(a, "prompt", err, "must be a text, a list of texts, or token ids");
    if (json_is_integer(json_array_get(prompt, 0)))
        return ask_ids(a, prompt, err);
    json_array_foreach (prompt, i, one) {
        if (json_is_string(one))
            TRY(ask_text(a, json_string_value(one), json_string_length(one), true, err));
        else if (json_is_array(one))
            TRY(ask_ids(a, one, err));
        else
            return ask_wrong(a, "prompt", err, "must be a text, a list of texts, or token ids");
    }
    a->param = NULL;
    return LC_OK;
}

static enum lc copy_encoding(const struct encoding *from, struct encoding *to, struct err *err)
{
    to->ids = mem_calloc(from->n, sizeof *to->ids);
    if (!to->ids)
        return err_nomem(err);
    memcpy(to->ids, from->ids, from->n * sizeof *to->ids);
    to->n = to->cap = from->n;
    return LC_OK;
}

/* Several answers to each prompt: the prompt as often, its copies after each other. */
enum lc ask_copies(struct ask *a, struct err *err)
{
    size_t prompts = a->n, copies = (size_t)a->copies;

    if (a->copies > PROMPTS_MAX || prompts * copies > PROMPTS_MAX) {
        a->param = "n";
        return err_set(err, LC_ARG, "more than %d answers in one request", PROMPTS_MAX);
    }
    a->n = prompts * copies;
    for (size_t i = prompts;
         i-- > 0 && copies > 1;) { /* from behind: nothing is overwritten before it moved */
        struct encoding one = a->prompts[i];

        a->prompts[i] = (struct encoding){0};
        a->prompts[i * copies] = one;
        for (size_t k = 1; k < copies; k++)
            TRY(copy_encoding(&one, &a->prompts[i * copies + k], err));
    }
    return LC_OK;
}

/* Parts of type text become one text: what most templates take. */
static enum lc flatten(struct ask *a, json_t *message, struct err *err)
{
    const json_t *parts = json_object_get(message, "content"), *part;
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    size_t i;
    int set;

    if (!json_is_array(parts))
        return LC_OK;
    json_array_foreach (parts, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *value = json_object_get(part, "text");
        if (!type || strcmp(type, "text") != 0 || !json_is_string(value)) {
            buf_release(&text);
            return ask_wrong(a, "messages", err, "has a part that is not text: this model reads text only");
        }
        buf_add(&text, json_string_value(value), json_string_length(value));
    }
    set = json_object_set_new(message, "content", json_stringn(buf_str(&text), text.len));
    buf_release(&text);
    return set == 0 ? LC_OK : err_nomem(err);
}

static enum lc check_message(struct ask *a, json_t *message, struct err *err)
{
    const json_t *content = json_object_get(message, "content");

    if (!json_is_string(json_object_get(message, "role")))
        return ask_wrong(a, "messages", err, "has a message without a role");
    if (!content || json_is_null(content)) {
        if (json_object_set_new(message, "content", json_string("")) != 0)
            return err_nomem(err);
        return LC_OK;
    }
    if (!json_is_string(content) && !json_is_array(content))
        return ask_wrong(a, "messages", err, "has a message whose content is not text");
    return flatten(a, message, err);
}

enum lc ask_chat(struct ask *a, const json_t *messages, struct err *err)
{
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    json_t *copy, *message;
    size_t i;
    enum lc rc = LC_OK;

    if (!json_is_array(messages) || json_array_size(messages) == 0)
        return ask_wrong(a, "messages", err, "must be a list with at least one message");
    if ((copy = json_deep_copy(messages)) == NULL)
        return err_nomem(err);
    json_array_foreach (copy, i, message)
        if (rc == LC_OK)
            rc = check_message(a, message, err);
    if (rc == LC_OK) {
        a->param = "messages";
        rc = tokenizer_apply_chat_template(service_tokenizer(a->api->service),
                                           service_chat_template(a->api->service), copy, true, NULL, &text,
                                           err);
    }
    json_decref(copy);
    if (rc == LC_NOTFOUND) {
        err_set(err, LC_ARG, "'%s' has no chat template, so it takes prompts only (/v1/completions)",
                service_name(a->api->service));
        err_hint(err, "start the server with --chat-template FILE, or save the model's tokenizer with one");
        rc = LC_ARG;
    }
    if (rc == LC_OK) /* the template writes the special tokens itself */
        rc = ask_text(a, buf_str(&text), text.len, false, err);
    buf_release(&text);
    if (rc == LC_OK)
        a->param = NULL;
    return rc;
}
