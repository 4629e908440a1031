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

/* Arguments come as a text; templates take them as what it says. */
static enum lc open_arguments(struct ask *a, json_t *call, struct err *err)
{
    json_t *function = json_object_get(call, "function"), *arguments, *read;
    const char *text;

    if (!json_is_string(json_object_get(function, "name")))
        return ask_wrong(a, "messages", err, "has a tool call without a function's name");
    arguments = json_object_get(function, "arguments");
    text = json_string_value(arguments);
    if (json_is_object(arguments))
        return LC_OK;
    if (arguments && !json_is_null(arguments) && !text)
        return ask_wrong(a, "messages", err, "has a tool call whose arguments are not a JSON object");
    read = text && *text ? json_loads(text, 0, NULL) : json_object();
    if (!json_is_object(read)) {
        json_decref(read);
        return ask_wrong(a, "messages", err, "has a tool call whose arguments are not a JSON object");
    }
    return json_object_set_new(function, "arguments", read) == 0 ? LC_OK : err_nomem(err);
}

static enum lc check_calls(struct ask *a, json_t *message, struct err *err)
{
    json_t *calls = json_object_get(message, "tool_calls"), *call;
    size_t i;

    if (!calls)
        return LC_OK;
    if (json_array_size(calls) == 0 && (json_is_null(calls) || json_is_array(calls))) {
        json_object_del(message, "tool_calls"); /* as clients send back what they got */
        return LC_OK;
    }
    if (!json_is_array(calls))
        return ask_wrong(a, "messages", err, "has a message whose 'tool_calls' are not a list");
    json_array_foreach (calls, i, call)
        TRY(open_arguments(a, call, err));
    return LC_OK;
}

static enum lc check_message(struct ask *a, json_t *message, struct err *err)
{
    const json_t *content = json_object_get(message, "content");

    if (!json_is_string(json_object_get(message, "role")))
        return ask_wrong(a, "messages", err, "has a message without a role");
    TRY(check_calls(a, message, err));
    if (!content || json_is_null(content)) {
        if (json_object_set_new(message, "content", json_string("")) != 0)
            return err_nomem(err);
        return LC_OK;
    }
    if (!json_is_string(content) && !json_is_array(content))
        return ask_wrong(a, "messages", err, "has a message whose content is not text");
    return flatten(a, message, err);
}

/* Whether the model's template takes the tools, and how their calls are written. */
static enum lc choose_format(struct ask *a, const char *text, struct err *err)
{
    if (!a->tools || !text)
        return LC_OK;
    a->tool_format = tool_format_of(text);
    a->options.shown = tool_marks(a->tool_format);
    if (a->tool_format == TOOLS_NONE)
        return ask_wrong(a, "tools", err, "cannot be used: the model's chat template takes none");
    if (a->tool_format == TOOLS_UNKNOWN)
        return ask_wrong(a, "tools", err,
                         "cannot be used: this model's calls are not in a format that is read here "
                         "(<tool_call>, [TOOL_CALLS] and Llama 3's JSON are)");
    return LC_OK;
}

static enum lc render_chat(struct ask *a, const json_t *messages, struct buf *out, struct err *err)
{
    const char *text = service_chat_template(a->api->service, a->tools != NULL);
    json_t *extra = a->template_options ? json_deep_copy(a->template_options) : json_object();
    enum lc rc = choose_format(a, text, err);

    if (a->tools && json_object_set(extra, "tools", (json_t *)(uintptr_t)a->tools) != 0)
        rc = err_nomem(err);
    if (rc == LC_OK) {
        a->param = "messages";
        rc = tokenizer_apply_chat_template(service_tokenizer(a->api->service), text, messages, true, extra,
                                           out, err);
    }
    json_decref(extra);
    return rc;
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
    if (rc == LC_OK)
        rc = render_chat(a, copy, &text, err);
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
