/* ask_options.c: what a request asks for beside its prompt: one table of fields. */
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/serving/api_int.h"
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIKELY_MAX = 20, BIAS_MAX = 1024, CHAT = 1, COMPLETION = 2, SCORING = 4, ALL = 7, TEXT = 3 };

struct field {
    const char *name;
    unsigned where;
    /* value is there and not null; NULL: somebody else reads it, or it changes nothing here */
    enum lc (*read)(struct ask *a, const struct field *f, const json_t *value, struct err *err);
    size_t offset; /* of a number in generate_options */
    double least, most;
    const char *refusal;
};

enum lc ask_wrong(struct ask *a, const char *param, struct err *err, const char *what)
{
    a->param = param;
    return err_set(err, LC_ARG, "'%s' %s", param, what);
}

static enum lc out_of_range(struct ask *a, const struct field *f, struct err *err)
{
    char what[100];

    if (isfinite(f->most))
        snprintf(what, sizeof what, "must lie between %g and %g", f->least, f->most);
    else
        snprintf(what, sizeof what, "must be at least %g", f->least);
    return ask_wrong(a, f->name, err, what);
}

static enum lc read_number(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    double x = json_number_value(value);

    if (!json_is_number(value))
        return ask_wrong(a, f->name, err, "must be a number");
    if (!(x >= f->least && x <= f->most))
        return out_of_range(a, f, err);
    memcpy((char *)&a->options.generate + f->offset, &x, sizeof x);
    return LC_OK;
}

static enum lc whole(struct ask *a, const struct field *f, const json_t *value, int64_t *out, struct err *err)
{
    *out = json_integer_value(value);
    if (!json_is_integer(value))
        return ask_wrong(a, f->name, err, "must be a whole number");
    return (double)*out >= f->least && (double)*out <= f->most ? LC_OK : out_of_range(a, f, err);
}

static enum lc read_whole(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    int64_t x;

    TRY(whole(a, f, value, &x, err));
    memcpy((char *)&a->options.generate + f->offset, &x, sizeof x);
    return LC_OK;
}

static enum lc read_copies(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    return whole(a, f, value, &a->copies, err);
}

/* OpenAI takes max_tokens 0 with echo, to look at the prompt alone. */
static enum lc read_most(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    a->options.prompt_only = json_is_integer(value) && json_integer_value(value) == 0 &&
                             json_is_true(json_object_get(a->body, "echo")) && a->shape == SHAPE_COMPLETION;
    return a->options.prompt_only ? LC_OK : read_whole(a, f, value, err);
}

static enum lc read_seed(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    int64_t seed;

    TRY(whole(a, f, value, &seed, err));
    a->options.generate.seed = (uint64_t)seed;
    return LC_OK;
}

/* vLLM's clients send -1 for all tokens, transformers' 0. */
static enum lc read_top_k(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    int64_t k;

    TRY(whole(a, f, value, &k, err));
    a->options.generate.top_k = k > 0 ? k : 0;
    return LC_OK;
}

/* OpenAI takes 0 for the best token alone. */
static enum lc read_top_p(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    struct generate_options *o = &a->options.generate;

    TRY(read_number(a, f, value, err));
    if (!(o->top_p > 0)) {
        o->top_p = 1;
        o->top_k = 1;
    }
    return LC_OK;
}

static enum lc add_stop(struct ask *a, const json_t *text, struct err *err)
{
    struct job_options *o = &a->options;

    if (!json_is_string(text))
        return ask_wrong(a, "stop", err, "must be a text or a list of texts");
    if (json_string_length(text) == 0)
        return LC_OK;
    if (strlen(json_string_value(text)) != json_string_length(text))
        return ask_wrong(a, "stop", err, "has a text with a NUL character in it");
    if (o->n_stop == STOPS_MAX)
        return ask_wrong(a, "stop", err, "has more than 16 texts");
    if (!o->stop && (o->stop = mem_calloc(STOPS_MAX, sizeof *o->stop)) == NULL)
        return err_nomem(err);
    if ((o->stop[o->n_stop] = mem_strdup(json_string_value(text))) == NULL)
        return err_nomem(err);
    o->n_stop++;
    return LC_OK;
}

static enum lc read_stop(struct ask *a, const struct field *f, const json_t *stop, struct err *err)
{
    const json_t *one;
    size_t i;

    (void)f;
    if (!json_is_array(stop))
        return add_stop(a, stop, err);
    json_array_foreach (stop, i, one)
        TRY(add_stop(a, one, err));
    return LC_OK;
}

static enum lc read_bias(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    struct job_options *o = &a->options;
    size_t vocabulary = tokenizer_vocab_size(service_tokenizer(a->api->service));
    const json_t *one;
    const char *key;

    if (!json_is_object(value) || json_object_size(value) > BIAS_MAX)
        return ask_wrong(a, f->name, err, "must be an object of at most 1024 token ids");
    o->bias = mem_calloc(json_object_size(value) + 1, sizeof *o->bias);
    if (!o->bias)
        return err_nomem(err);
    json_object_foreach ((json_t *)(uintptr_t)value, key, one) {
        char *end;
        long id = strtol(key, &end, 10);
        double x = json_number_value(one);

        if (*end || end == key || id < 0 || (size_t)id >= vocabulary)
            return ask_wrong(a, f->name, err, "has a key that is not a token id of the vocabulary");
        if (!json_is_number(one) || !(fabs(x) <= 100))
            return ask_wrong(a, f->name, err, "has a value that does not lie between -100 and 100");
        o->bias[o->generate.n_bias++] = (struct generate_bias){(int32_t)id, (float)x};
    }
    return LC_OK;
}

/* true or false in a chat, how many beside the token's own in a completion */
static enum lc read_logprobs(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    int64_t n;

    if (a->shape == SHAPE_CHAT) {
        a->options.logprobs = json_is_true(value);
        return json_is_boolean(value) ? LC_OK : ask_wrong(a, f->name, err, "must be true or false");
    }
    if (json_is_false(value))
        return LC_OK;
    TRY(whole(a, f, value, &n, err));
    a->options.logprobs = true;
    a->options.generate.top_logprobs = (size_t)n;
    return LC_OK;
}

static enum lc read_top_logprobs(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    int64_t n;

    TRY(whole(a, f, value, &n, err));
    if (n > 0 && !json_is_true(json_object_get(a->body, "logprobs")))
        return ask_wrong(a, f->name, err, "needs 'logprobs' to be true");
    a->options.generate.top_logprobs = (size_t)n;
    return LC_OK;
}

static enum lc read_echo(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    a->options.echo = json_is_true(value);
    return json_is_boolean(value) ? LC_OK : ask_wrong(a, f->name, err, "must be true or false");
}

static enum lc read_stream(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    a->stream = json_is_true(value);
    return json_is_boolean(value) ? LC_OK : ask_wrong(a, f->name, err, "must be true or false");
}

static enum lc read_stream_options(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    const json_t *usage = json_object_get(value, "include_usage");

    if (!json_is_object(value))
        return ask_wrong(a, f->name, err, "must be an object");
    if (!json_is_true(json_object_get(a->body, "stream")))
        return ask_wrong(a, f->name, err, "needs 'stream' to be true");
    if (usage && !json_is_boolean(usage))
        return ask_wrong(a, f->name, err, "has an 'include_usage' that is not true or false");
    a->usage_in_stream = json_is_true(usage);
    return LC_OK;
}

static enum lc check_tool(struct ask *a, const json_t *tool, struct err *err)
{
    const char *type = json_string_value(json_object_get(tool, "type"));
    const json_t *function = json_object_get(tool, "function"), *parameters;
    const char *name = json_string_value(json_object_get(function, "name"));

    if (!type || strcmp(type, "function") != 0)
        return ask_wrong(a, "tools", err, "has a tool that is not of type 'function'");
    if (!name || !*name)
        return ask_wrong(a, "tools", err, "has a function without a name");
    parameters = json_object_get(function, "parameters");
    if (parameters && !json_is_null(parameters) && !json_is_object(parameters))
        return ask_wrong(a, "tools", err, "has a function whose parameters are not a JSON schema");
    return LC_OK;
}

static bool is_word(const json_t *value, const char *word)
{
    return json_is_string(value) && strcmp(json_string_value(value), word) == 0;
}

/* With tool_choice "none" the model is not told of them. */
static enum lc read_tools(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    const json_t *tool;
    size_t i;

    if (!json_is_array(value))
        return ask_wrong(a, f->name, err, "must be a list of functions");
    json_array_foreach (value, i, tool)
        TRY(check_tool(a, tool, err));
    if (json_array_size(value) && !is_word(json_object_get(a->body, "tool_choice"), "none"))
        a->tools = value;
    return LC_OK;
}

static enum lc read_tool_choice(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    if (is_word(value, "none"))
        return LC_OK;
    if (!is_word(value, "auto"))
        return ask_wrong(a, f->name, err,
                         "can be 'auto' or 'none': an answer is not forced to be a call here");
    if (json_array_size(json_object_get(a->body, "tools")) == 0)
        return ask_wrong(a, f->name, err, "needs 'tools'");
    return LC_OK;
}

static enum lc read_parallel(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    a->one_call = json_is_false(value);
    return json_is_boolean(value) ? LC_OK : ask_wrong(a, f->name, err, "must be true or false");
}

static enum lc read_template_options(struct ask *a, const struct field *f, const json_t *value,
                                     struct err *err)
{
    a->template_options = value;
    return json_is_object(value) ? LC_OK : ask_wrong(a, f->name, err, "must be an object");
}

static enum lc read_format(struct ask *a, const struct field *f, const json_t *value, struct err *err)
{
    const char *type = json_string_value(json_object_get(value, "type"));

    return type && strcmp(type, "text") == 0
               ? LC_OK
               : ask_wrong(a, f->name, err, "can only be {\"type\": \"text\"} here");
}

/* What this server cannot do is refused, unless it is asked for in the neutral way. */
static enum lc refuse(struct ask *a, const struct field *f, const json_t *v, struct err *err)
{
    bool neutral = json_is_false(v) || (json_is_string(v) && json_string_length(v) == 0) ||
                   (json_is_string(v) && strcmp(json_string_value(v), "none") == 0) ||
                   (json_is_object(v) && json_object_size(v) == 0) ||
                   (json_is_array(v) && json_array_size(v) == 0) ||
                   (json_is_number(v) && fabs(json_number_value(v) - f->least) < 1e-12);

    return neutral ? LC_OK : ask_wrong(a, f->name, err, f->refusal);
}

/* ---- the table ---- */
#define AT(member) offsetof(struct generate_options, member)
static const struct field fields[] = {
    {"n", ALL, read_copies, 0, 1, HUGE_VAL, NULL},
    {"max_tokens", ALL, read_most, AT(max_new_tokens), 1, HUGE_VAL, NULL},
    {"max_completion_tokens", ALL, read_most, AT(max_new_tokens), 1, HUGE_VAL, NULL},
    {"max_new_tokens", ALL, read_most, AT(max_new_tokens), 1, HUGE_VAL, NULL},
    {"temperature", ALL, read_number, AT(temperature), 0, 100, NULL},
    {"top_k", ALL, read_top_k, 0, -1, HUGE_VAL, NULL},
    {"top_p", ALL, read_top_p, AT(top_p), 0, 1, NULL},
    {"min_p", ALL, read_number, AT(min_p), 0, 1, NULL},
    {"repetition_penalty", ALL, read_number, AT(repetition_penalty), 0.01, 100, NULL},
    {"frequency_penalty", ALL, read_number, AT(frequency_penalty), -2, 2, NULL},
    {"presence_penalty", ALL, read_number, AT(presence_penalty), -2, 2, NULL},
    {"seed", ALL, read_seed, 0, -HUGE_VAL, HUGE_VAL, NULL},
    {"stop", ALL, read_stop, 0, 0, 0, NULL},
    {"logit_bias", ALL, read_bias, 0, 0, 0, NULL},
    {"logprobs", TEXT, read_logprobs, 0, 0, LIKELY_MAX, NULL},
    {"top_logprobs", CHAT, read_top_logprobs, 0, 0, LIKELY_MAX, NULL},
    {"echo", COMPLETION, read_echo, 0, 0, 0, NULL},
    {"stream", TEXT, read_stream, 0, 0, 0, NULL},
    {"stream_options", TEXT, read_stream_options, 0, 0, 0, NULL},
    {"response_format", TEXT, read_format, 0, 0, 0, NULL},
    {"best_of", TEXT, refuse, 0, 1, 0, "must be 1: every answer is given back"},
    {"suffix", TEXT, refuse, 0, 0, 0, "is not supported"},
    {"tools", CHAT, read_tools, 0, 0, 0, NULL},
    {"tool_choice", CHAT, read_tool_choice, 0, 0, 0, NULL},
    {"parallel_tool_calls", CHAT, read_parallel, 0, 0, 0, NULL},
    {"chat_template_kwargs", CHAT, read_template_options, 0, 0, 0, NULL},
    {"tools", COMPLETION, refuse, 0, 0, 0, "belong to chats (/v1/chat/completions)"},
    {"tool_choice", COMPLETION, refuse, 0, 0, 0, "belongs to chats (/v1/chat/completions)"},
    {"functions", TEXT, refuse, 0, 0, 0, "are not supported: 'tools' has taken their place"},
    {"function_call", TEXT, refuse, 0, 0, 0, "is not supported: 'tool_choice' has taken its place"},
    {"audio", TEXT, refuse, 0, 0, 0, "is not supported: this model reads and writes text"},
    {"prediction", TEXT, refuse, 0, 0, 0, "is not supported"},
    {"web_search_options", TEXT, refuse, 0, 0, 0, "is not supported"},
    /* read elsewhere */
    {"model", ALL, NULL, 0, 0, 0, NULL},
    {"messages", TEXT, NULL, 0, 0, 0, NULL},
    {"prompt", TEXT, NULL, 0, 0, 0, NULL},
    {"params", SCORING, NULL, 0, 0, 0, NULL},
    {"inputs", SCORING, NULL, 0, 0, 0, NULL},
    {"instances", SCORING, NULL, 0, 0, 0, NULL},
    {"dataframe_split", SCORING, NULL, 0, 0, 0, NULL},
    {"dataframe_records", SCORING, NULL, 0, 0, 0, NULL},
    /* for accounts and caches, which are not here: the answer is the same */
    {"user", ALL, NULL, 0, 0, 0, NULL},
    {"metadata", TEXT, NULL, 0, 0, 0, NULL},
    {"store", TEXT, NULL, 0, 0, 0, NULL},
    {"service_tier", TEXT, NULL, 0, 0, 0, NULL},
    {"safety_identifier", TEXT, NULL, 0, 0, 0, NULL},
    {"prompt_cache_key", TEXT, NULL, 0, 0, 0, NULL},
    {"parallel_tool_calls", COMPLETION, NULL, 0, 0, 0, NULL},
    {"modalities", TEXT, NULL, 0, 0, 0, NULL},
};
#undef AT

static const struct field *find_field(const char *name, unsigned where)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if ((fields[i].where & where) && strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static enum lc unknown(struct ask *a, const char *name, unsigned where, struct err *err)
{
    const char *names[sizeof fields / sizeof *fields], *near;
    size_t n = 0;

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].where & where)
            names[n++] = fields[i].name;
    near = nearest_one(name, names, n);
    snprintf(a->unknown, sizeof a->unknown, "%s", name);
    a->param = a->unknown;
    a->code = "unknown_parameter";
    err_set(err, LC_ARG, "unknown parameter '%.100s'", name);
    return near ? err_hint(err, "did you mean '%s'?", near) : err->code;
}

enum lc ask_options(struct ask *a, const json_t *from, struct err *err)
{
    unsigned where = a->shape == SHAPE_CHAT ? CHAT : a->shape == SHAPE_COMPLETION ? COMPLETION : SCORING;
    const json_t *value;
    const char *name;

    a->copies = 1;
    random_bytes(&a->options.generate.seed, sizeof a->options.generate.seed);
    json_object_foreach ((json_t *)(uintptr_t)from, name, value) {
        const struct field *f = find_field(name, where);

        if (!f)
            return unknown(a, name, where, err);
        if (f->read && !json_is_null(value))
            TRY(f->read(a, f, value, err));
    }
    return LC_OK;
}
