/* api_int.h: what the files of the API share. Private to runtime/serving.
 *
 * What      one request is read into an ask: prompts and options; `answer_*` run it.
 * Ownership an ask is on the handler's stack; ask_release.
 * Errors    struct err, and in the ask the parameter at fault.
 * Threads   one per ask.
 */
#ifndef LACUS_SERVING_API_INT_H
#define LACUS_SERVING_API_INT_H
#include "runtime/serving/api.h"
#include "runtime/serving/tools.h"
#include <jansson.h>

enum { PROMPTS_MAX = 128, STOPS_MAX = 16, WAIT_MS = 100 };

enum shape { SHAPE_CHAT, SHAPE_COMPLETION, SHAPE_SCORING };

struct ask {
    const struct api *api;
    const struct http_request *request;
    json_t *body;      /* owned */
    const char *param; /* static, or unknown: the parameter at fault */
    char unknown[64];  /* its name, when it is none of ours */
    int status;        /* of a failure, when the code's own is not it; 0 */
    const char *code;  /* static: OpenAI's code of a failure; NULL */
    enum shape shape;
    bool stream, usage_in_stream;
    struct encoding prompts[PROMPTS_MAX];
    size_t n;
    const json_t *tools, *template_options; /* of body; NULL: none */
    enum tool_format tool_format;           /* set by ask_chat, with tools */
    bool one_call;
    int64_t copies; /* answers to each prompt; set by ask_options */
    struct job_options options;
};

void ask_release(struct ask *a);
enum lc ask_wrong(struct ask *a, const char *param, struct err *err, const char *what); /* LC_ARG */
const char *ask_model(const struct ask *a); /* the name of the model or adapter that answers */
/* The options of one request: OpenAI's names, and MLflow's params. Sets a->param on failure. */
enum lc ask_options(struct ask *a, const json_t *from, struct err *err) MUST_CHECK;
enum lc ask_text(struct ask *a, const char *text, size_t len, bool special, struct err *err) MUST_CHECK;
enum lc ask_chat(struct ask *a, const json_t *messages, struct err *err) MUST_CHECK;
enum lc ask_prompt(struct ask *a, const json_t *prompt, struct err *err) MUST_CHECK;
enum lc ask_copies(struct ask *a, struct err *err) MUST_CHECK; /* when the prompts are there */

/* OpenAI's logprobs of tokens [from, to) of a choice; null when they were not asked for. NULL: no memory. */
json_t *logprobs_json(const struct ask *a, struct job *j, size_t choice, size_t from, size_t to);

/* Waits for the end of all choices; LC_CANCELLED when the client has gone. */
enum lc wait_all(const struct ask *a, struct job *j, struct err *err) MUST_CHECK;
enum lc submit(struct ask *a, struct job **out, struct err *err) MUST_CHECK;
enum lc put_json(struct http_response *response, json_t *json, struct err *err) MUST_CHECK; /* takes json */

enum lc route_chat(struct ask *a, struct http_response *response, struct err *err) MUST_CHECK;
enum lc route_completions(struct ask *a, struct http_response *response, struct err *err) MUST_CHECK;
enum lc route_invocations(struct ask *a, struct http_response *response, struct err *err) MUST_CHECK;
#endif
