/* service.h: one model that answers: a bounded queue of jobs and the thread that generates.
 *
 * What      a job is one or more prompts with one set of options. Jobs begin in the order in which they came
 *           and share a batch: each step gives every answer in it one token, and who waits joins when there
 *           is room. Who asked waits, takes text as it grows, or cancels. Stop texts end a choice and are not
 *           part of it; text that may be the beginning of one is held back. Adapters stand beside the model: a
 *           job names its own (generate.adapter, 0: none), and a batch may mix them.
 * Ownership service_open → service_close; a job is shared between asker and service: job_release gives up the
 *           asker's part (and cancels it when it is not done). Texts are read under the lock: job_take
 *           copies.
 * Units     tokens and bytes; times in milliseconds.
 * Errors    LC_LIMIT: the queue is full (code too_many_requests) or the prompt longer than the model's
 *           context; LC_CLOSED: the service is shutting down.
 * Threads   any; the model itself belongs to the service's thread.
 *
 * Example:
 *     struct service *s;
 *     struct service_options o = {.model = "models:/sft@champion"};
 *     if (service_open(&ctx, &o, &s, &err) == LC_OK)
 *         service_close(s);
 */
#ifndef LACUS_SERVING_SERVICE_H
#define LACUS_SERVING_SERVICE_H
#include "gpu/generate.h"
#include "gpu/tokenizer/tokenizer.h"

struct service;
struct job;

struct service_options {
    const char *model;           /* folder, or a registry URI */
    const char *name;            /* what clients call it; NULL: from model */
    const char *chat_template;   /* instead of the model's own; NULL */
    const char *const *adapters; /* "name=folder" or "name=models:/…": LoRA over the model; NULL with none */
    size_t n_adapters;
    size_t queue_max; /* jobs waiting; 0: 64 */
};

struct job_options {
    struct generate_options generate; /* stop, on_token and bias are the service's */
    struct generate_bias *bias;       /* owned by the job; generate.n_bias of them */
    char **stop;                      /* owned by the job: texts that end a choice */
    size_t n_stop;
    bool continues;           /* the answer goes on where the prompt ends, without a border */
    bool echo;                /* the prompt's text is in front of the answer: job_echo */
    bool logprobs;            /* job_token tells of each token; with echo, of the prompt's too */
    bool prompt_only;         /* with echo: nothing is generated */
    const char *const *shown; /* special tokens that the answer shows, NULL at the end; static; NULL: none */
    bool cut; /* max_new_tokens is a default: less will do where the context has no room for it */
};

struct job_token {
    int32_t id;
    bool first;     /* of the prompt: nothing predicts it */
    double logprob; /* not of the first */
    size_t offset;  /* characters of the choice's text before it */
    size_t n_top;   /* as many as were asked for (generate.top_logprobs) */
    struct likely top[GENERATE_TOP_MAX];
};

enum job_end { JOB_RUNNING, JOB_STOP, JOB_LENGTH };

struct job_choice { /* a look at one choice: texts are the caller's to take */
    size_t visible; /* bytes that may be shown */
    enum job_end end;
    size_t tokens; /* generated */
    size_t told;   /* with logprobs: those whose text may be shown */
};

enum lc service_open(const struct ctx *ctx, const struct service_options *o, struct service **out,
                     struct err *err) MUST_CHECK;
void service_close(struct service *s); /* cancels what is there; NULL is fine */
/* No new jobs; waits until those that are there have ended or the time is over. True: nothing is left. */
bool service_drain(struct service *s, int timeout_ms);
void service_cancel(struct service *s); /* ends the jobs that are there, at their next token */

const char *service_name(const struct service *s);
size_t service_adapters(const struct service *s);
const char *service_adapter(const struct service *s, size_t i);        /* its name; i from 0 */
const char *service_adapter_source(const struct service *s, size_t i); /* what was given for it */
const char *service_source(const struct service *s);                   /* what it was opened with */
int64_t service_created(const struct service *s);                      /* seconds since 1970 */
int64_t service_context(const struct service *s); /* tokens that prompt and answer may have together */
const struct tokenizer *service_tokenizer(const struct service *s);
/* The template for a chat with or without tools. NULL: none. */
const char *service_chat_template(const struct service *s, bool tools);

/* Takes prompts (n encodings) and the texts of options->stop. max_new_tokens 0: as many as the context holds; LC_LIMIT
 * when prompt and max_new_tokens together are more. */
enum lc service_submit(struct service *s, struct encoding *prompts, size_t n, struct job_options *options,
                       struct job **out, struct err *err) MUST_CHECK;
void job_release(struct job *j); /* NULL is fine */
size_t job_choices(const struct job *j);
size_t job_prompt_tokens(const struct job *j);
/* Waits at most timeout_ms for something new in choice i (beyond `seen` bytes, or its end). LC_TIMEOUT: nothing yet. */
enum lc job_wait(struct job *j, size_t i, size_t seen, int timeout_ms, struct job_choice *out,
                 struct err *err) MUST_CHECK;
/* The prompt's text, with echo. */
bool job_echo(const struct job *j, size_t i, struct buf *out);
/* The kth of those that are told. */
void job_token(struct job *j, size_t i, size_t k, struct job_token *out);
/* Appends bytes [from, to) of choice i's text; to is at most what was visible. */
bool job_take(struct job *j, size_t i, size_t from, size_t to, struct buf *out);
#endif
