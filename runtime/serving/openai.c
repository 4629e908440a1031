/* openai.c: answers in OpenAI's shapes: whole, and as server-sent events. */
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/serving/api_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const ends[] = {[JOB_RUNNING] = NULL, [JOB_STOP] = "stop", [JOB_LENGTH] = "length"};

static const struct {
    const char *prefix, *object, *chunk;
} shapes[] = {
    [SHAPE_CHAT] = {"chatcmpl-", "chat.completion", "chat.completion.chunk"},
    [SHAPE_COMPLETION] = {"cmpl-", "text_completion", "text_completion"},
};

enum { ID_TEXT = 48 };

static void make_id(enum shape shape, char out[ID_TEXT])
{
    char digits[25];

    hex_make(digits, 24);
    snprintf(out, ID_TEXT, "%s%s", shapes[shape].prefix, digits);
}

enum lc put_json(struct http_response *response, json_t *json, struct err *err)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (!text)
        return err_nomem(err);
    response->status = 200;
    buf_puts(&response->body, text);
    free(text);
    return buf_check(&response->body, err);
}

enum lc submit(struct ask *a, struct job **out, struct err *err)
{
    enum lc rc = service_submit(a->api->service, a->prompts, a->n, &a->options, out, err);

    if (rc == LC_CONFLICT) {
        a->status = 429;
        a->code = "too_many_requests";
    } else if (rc == LC_CLOSED) {
        a->status = 503;
        a->code = "shutting_down";
    } else if (rc == LC_LIMIT) {
        a->status = 400;
        a->code = "context_length_exceeded";
        a->param = a->shape == SHAPE_CHAT ? "messages" : "prompt";
    }
    return rc;
}

static bool client_gone(const struct api *api, const void *connection)
{
    return api->gone && connection && api->gone(connection);
}

static enum lc wait_choice(const struct api *api, const void *connection, struct job *j, size_t i,
                           size_t seen, struct job_choice *c, struct err *err)
{
    enum lc rc;

    while ((rc = job_wait(j, i, seen, WAIT_MS, c, err)) == LC_TIMEOUT)
        if (client_gone(api, connection))
            return err_set(err, LC_CANCELLED, "the client has gone");
    return rc;
}

enum lc wait_all(const struct ask *a, struct job *j, struct err *err)
{
    struct job_choice c;

    for (size_t i = 0; i < job_choices(j); i++)
        TRY(wait_choice(a->api, a->request->connection, j, i, SIZE_MAX, &c, err));
    return LC_OK;
}

static json_t *usage_of(struct job *j, int64_t copies)
{
    size_t made = 0, asked = job_prompt_tokens(j) / (size_t)copies;
    struct job_choice c;
    struct err err;

    for (size_t i = 0; i < job_choices(j); i++)
        if (job_wait(j, i, SIZE_MAX, 0, &c, &err) == LC_OK)
            made += c.tokens;
    return json_pack("{s:I,s:I,s:I}", "prompt_tokens", (json_int_t)asked, "completion_tokens",
                     (json_int_t)made, "total_tokens", (json_int_t)(asked + made));
}

/* ---- whole answers ---- */
static bool whole_text(struct job *j, size_t i, const struct job_choice *c, struct buf *text)
{
    return job_echo(j, i, text) && job_take(j, i, 0, c->visible, text);
}

/* ---- calls ---- */
static json_t *call_json(enum tool_format format, const struct tool_piece *call, const char *arguments,
                         size_t len)
{
    bool nine = format == TOOLS_LIST; /* Mistral's templates take ids of nine characters only */
    char digits[25], id[ID_TEXT];

    hex_make(digits, nine ? 9 : 24);
    snprintf(id, sizeof id, "%s%s", nine ? "" : "call_", digits);
    return json_pack("{s:s,s:s,s:{s:s,s:s%}}", "id", id, "type", "function", "function", "name", call->name,
                     "arguments", arguments, len);
}

/* The answer as a message: its text, and the calls in it. Takes the text. */
static json_t *message_json(const struct ask *a, struct buf *answer, bool *called)
{
    struct tool_reader reader = {.format = a->tool_format, .one = a->one_call, .text = *answer};
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    json_t *calls = json_array(), *message;
    struct tool_piece piece;

    while (tool_reader_next(&reader, true, &piece)) {
        if (piece.name)
            json_array_append_new(calls, call_json(a->tool_format, &piece, piece.text, piece.len));
        else
            buf_add(&text, piece.text, piece.len);
        mem_free(piece.name);
    }
    *called = reader.calls > 0;
    message =
        json_pack("{s:s,s:o,s:n}", "role", "assistant", "content",
                  *called && text.len == 0 ? json_null() : json_stringn(buf_str(&text), text.len), "refusal");
    if (*called && message)
        json_object_set(message, "tool_calls", calls);
    json_decref(calls);
    buf_release(&text);
    tool_reader_release(&reader);
    *answer = (struct buf)BUF_INIT(BUF_TEXT_MAX);
    return message;
}

static const char *reason(enum job_end end, bool called)
{
    return called && end == JOB_STOP ? "tool_calls" : ends[end];
}

static json_t *choice_json(const struct ask *a, struct job *j, size_t i)
{
    struct job_choice c;
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;
    json_t *content = NULL, *logprobs = NULL;
    bool called = false;

    if (job_wait(j, i, SIZE_MAX, 0, &c, &err) == LC_OK && whole_text(j, i, &c, &text)) {
        content =
            a->shape == SHAPE_CHAT ? message_json(a, &text, &called) : json_stringn(buf_str(&text), text.len);
        logprobs = logprobs_json(a, j, i, 0, c.told);
    }
    buf_release(&text);
    if (!content || !logprobs) {
        json_decref(content);
        json_decref(logprobs);
        return NULL;
    }
    if (a->shape == SHAPE_CHAT)
        return json_pack("{s:I,s:o,s:o,s:s}", "index", (json_int_t)i, "message", content, "logprobs",
                         logprobs, "finish_reason", reason(c.end, called));
    return json_pack("{s:I,s:o,s:o,s:s}", "index", (json_int_t)i, "text", content, "logprobs", logprobs,
                     "finish_reason", ends[c.end]);
}

static enum lc whole(struct ask *a, struct job *j, struct http_response *response, struct err *err)
{
    json_t *choices = json_array();
    char id[ID_TEXT];

    for (size_t i = 0; i < job_choices(j); i++)
        if (json_array_append_new(choices, choice_json(a, j, i)) != 0) {
            json_decref(choices);
            return err_nomem(err);
        }
    make_id(a->shape, id);
    return put_json(response,
                    json_pack("{s:s,s:s,s:I,s:s,s:o,s:o}", "id", id, "object", shapes[a->shape].object,
                              "created", (json_int_t)(clock_wall_ms() / 1000), "model", ask_model(a),
                              "choices", choices, "usage", usage_of(j, a->copies)),
                    err);
}

/* ---- streams ---- */
struct events {
    struct ask ask; /* what a stream still needs of it: no body, no prompts */
    const void *connection;
    struct job *job;
    bool finished;
    char id[ID_TEXT];
    int64_t created;
    size_t choice, seen, told; /* choices follow each other */
    bool begun;                /* this choice's first chunk (chat: the role) is out */
    struct buf out;            /* what the client has not taken yet */
    size_t taken;
    struct tool_reader reader; /* of this choice */
};

static void put_event(struct events *e, json_t *choices, json_t *usage)
{
    json_t *chunk =
        json_pack("{s:s,s:s,s:I,s:s,s:o}", "id", e->id, "object", shapes[e->ask.shape].chunk, "created",
                  (json_int_t)e->created, "model", ask_model(&e->ask), "choices", choices);
    char *text;

    if (e->ask.usage_in_stream && chunk)
        json_object_set_new(chunk, "usage", usage ? usage : json_null());
    text = chunk ? json_dumps(chunk, JSON_COMPACT) : NULL;
    if (text)
        buf_printf(&e->out, "data: %s\n\n", text);
    else
        e->out.failed = true;
    free(text);
    json_decref(chunk);
}

/* A choice's chunk, with the logarithms of the tokens up to told. */
static void put_choice(struct events *e, const char *key, json_t *value, const char *end, size_t told)
{
    json_t *logprobs =
        told > e->told ? logprobs_json(&e->ask, e->job, e->choice, e->told, told) : json_null();

    e->told = told > e->told ? told : e->told;
    put_event(e,
              json_pack("[{s:I,s:o,s:o,s:s?}]", "index", (json_int_t)e->choice, key, value, "logprobs",
                        logprobs, "finish_reason", end),
              NULL);
}

static void put_delta(struct events *e, const char *role, const char *text, size_t len, const char *end,
                      size_t told)
{
    json_t *delta;

    if (e->ask.shape != SHAPE_CHAT) {
        put_choice(e, "text", json_stringn(text ? text : "", len), end, told);
        return;
    }
    delta = json_object();
    if (role)
        json_object_set_new(delta, "role", json_string(role));
    if (text)
        json_object_set_new(delta, "content", json_stringn(text, len));
    put_choice(e, "delta", delta, end, told);
}

/* As OpenAI: the name first, then the arguments. */
static void put_call(struct events *e, const struct tool_piece *call, size_t told)
{
    json_int_t i = (json_int_t)e->reader.calls - 1;
    json_t *first = call_json(e->ask.tool_format, call, "", 0);

    if (first)
        json_object_set_new(first, "index", json_integer(i));
    put_choice(e, "delta", json_pack("{s:[o]}", "tool_calls", first), NULL, told);
    put_choice(e, "delta",
               json_pack("{s:[{s:I,s:{s:s%}}]}", "tool_calls", "index", i, "function", "arguments",
                         call->text, call->len),
               NULL, told);
}

/* New text of this choice: what is text to the client, and the calls that are whole. */
static void put_text(struct events *e, const struct buf *text, const struct job_choice *c)
{
    struct tool_piece piece;

    if (e->ask.tool_format == TOOLS_NONE) {
        if (text->len)
            put_delta(e, NULL, buf_str(text), text->len, NULL, c->told);
        return;
    }
    buf_add(&e->reader.text, buf_str(text), text->len);
    while (tool_reader_next(&e->reader, c->end != JOB_RUNNING, &piece)) {
        if (piece.name)
            put_call(e, &piece, c->told);
        else
            put_delta(e, NULL, piece.text, piece.len, NULL, c->told);
        mem_free(piece.name);
    }
}

static void begin_reader(struct events *e)
{
    tool_reader_release(&e->reader);
    e->reader = (struct tool_reader){
        .format = e->ask.tool_format, .one = e->ask.one_call, .text = BUF_INIT(BUF_TEXT_MAX)};
}

static void put_error(struct events *e, const struct err *err)
{
    json_t *error = json_pack("{s:{s:s,s:s,s:n,s:n}}", "error", "message", err->message, "type",
                              "server_error", "param", "code");
    char *text = error ? json_dumps(error, JSON_COMPACT) : NULL;

    if (text)
        buf_printf(&e->out, "data: %s\n\n", text);
    free(text);
    json_decref(error);
    e->finished = true;
}

static void finish_events(struct events *e)
{
    if (e->ask.usage_in_stream)
        put_event(e, json_array(), usage_of(e->job, e->ask.copies));
    buf_puts(&e->out, "data: [DONE]\n\n");
    e->finished = true;
}

/* Waits for what comes next and writes its events. False: the client has gone. */
static bool next_events(struct events *e)
{
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct job_choice c;
    struct err err;
    enum lc rc = wait_choice(e->ask.api, e->connection, e->job, e->choice, e->seen, &c, &err);
    bool whole = true;

    if (rc == LC_CANCELLED && client_gone(e->ask.api, e->connection))
        return false;
    if (rc != LC_OK) {
        put_error(e, &err);
        return true;
    }
    if (!e->begun && e->ask.shape == SHAPE_CHAT)
        put_delta(e, "assistant", "", 0, NULL, 0);
    if (!e->begun)
        whole = job_echo(e->job, e->choice, &text);
    e->begun = true;
    whole = whole && (c.visible <= e->seen || job_take(e->job, e->choice, e->seen, c.visible, &text));
    put_text(e, &text, &c);
    e->seen = c.visible;
    buf_release(&text);
    if (c.end != JOB_RUNNING) {
        put_delta(e, NULL, NULL, 0, reason(c.end, e->reader.calls > 0), c.told);
        begin_reader(e);
        e->begun = false;
        e->seen = e->told = 0;
        if (++e->choice == job_choices(e->job))
            finish_events(e);
    }
    return whole && !e->out.failed;
}

static ssize_t read_events(void *stream, char *out, size_t max)
{
    struct events *e = stream;
    size_t n;

    if (e->taken == e->out.len) {
        buf_clear(&e->out);
        e->taken = 0;
        while (e->out.len == 0 && !e->finished)
            if (!next_events(e))
                return -1;
    }
    n = e->out.len - e->taken < max ? e->out.len - e->taken : max;
    if (n)
        memcpy(out, e->out.data + e->taken, n);
    e->taken += n;
    return (ssize_t)n;
}

static void close_events(void *stream)
{
    struct events *e = stream;

    job_release(e->job);
    tool_reader_release(&e->reader);
    buf_release(&e->out);
    mem_free(e);
}

/* The answer's head is sent when the first text is there: until then a failure still gets its own status. */
static enum lc streamed(struct ask *a, struct job *j, struct http_response *response, struct err *err)
{
    struct job_choice c;
    struct events *e;

    TRY(wait_choice(a->api, a->request->connection, j, 0, 0, &c, err));
    if ((e = mem_zalloc(sizeof *e)) == NULL)
        return err_nomem(err);
    *e = (struct events){
        .ask = {.api = a->api, .shape = a->shape, .usage_in_stream = a->usage_in_stream, .copies = a->copies},
        .connection = a->request->connection,
        .job = j,
        .created = clock_wall_ms() / 1000,
        .out = BUF_INIT(BUF_TEXT_MAX)};
    e->ask.options = (struct job_options){.generate.adapter = a->options.generate.adapter,
                                          .logprobs = a->options.logprobs};
    e->ask.tool_format = a->tool_format;
    e->ask.one_call = a->one_call;
    begin_reader(e);
    make_id(a->shape, e->id);
    response->status = 200;
    response->content_type = "text/event-stream; charset=utf-8";
    response->read = read_events;
    response->close = close_events;
    response->stream = e;
    return LC_OK;
}

/* Runs it and writes the answer, or starts its stream. */
static enum lc answer_openai(struct ask *a, struct http_response *response, struct err *err)
{
    struct job *j;
    enum lc rc;

    TRY(submit(a, &j, err));
    if (a->stream && (rc = streamed(a, j, response, err)) == LC_OK)
        return LC_OK; /* the job is the stream's now */
    rc = a->stream ? err->code : wait_all(a, j, err);
    if (rc == LC_OK)
        rc = whole(a, j, response, err);
    job_release(j);
    return rc;
}

/* ---- routes ---- */
enum lc route_chat(struct ask *a, struct http_response *response, struct err *err)
{
    a->shape = SHAPE_CHAT;
    TRY(ask_options(a, a->body, err));
    TRY(ask_chat(a, json_object_get(a->body, "messages"), err));
    TRY(ask_copies(a, err));
    return answer_openai(a, response, err);
}

enum lc route_completions(struct ask *a, struct http_response *response, struct err *err)
{
    a->shape = SHAPE_COMPLETION;
    a->options.generate.max_new_tokens = 0;
    a->options.continues = true;
    TRY(ask_options(a, a->body, err));
    if (a->options.generate.max_new_tokens == 0 && !a->options.prompt_only) {
        a->options.generate.max_new_tokens = 16; /* OpenAI's default for this route */
        a->options.cut = true;
    }
    TRY(ask_prompt(a, json_object_get(a->body, "prompt"), err));
    TRY(ask_copies(a, err));
    return answer_openai(a, response, err);
}
