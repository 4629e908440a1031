/* generate.h: text generation with a cache of keys and values.
 *
 * What      continues prompts token by token, several at once: greedy (temperature 0), or sampled with
 *           temperature, top_k, top_p and min_p as Hugging Face orders them (bias, repetition penalty, temperature,
 *           top_k, top_p, min_p; OpenAI's penalties follow the repetition penalty). Sampling uses a generator of its
 *           own: the same seed gives the same text here, not in torch.
 *           A batch is the same for sequences that come and go: each step gives one token to every sequence in it,
 *           whatever its length, options and adapter, and reads some of the prompts that are new.
 * Ownership results belong to the caller: generation_release. The model is borrowed. A batch borrows prompts until
 *           their sequences have been taken from it.
 * Units     tokens. max_new_tokens counts without the prompt. Log-probabilities are natural logarithms under the
 *           model's own distribution, before bias, penalties and temperature.
 * Errors    LC_ARG (empty prompt, token outside the vocabulary, an option out of its range), LC_LIMIT (cache
 *           does not fit), LC_CANCELLED (what was made so far is in the result).
 * Threads   those of the model.
 *
 * Example:
 *     struct generate_options o;
 *     struct generate_prompt p = {ids, n};
 *     struct generation g;
 *     generate_defaults(&o);
 *     if (generate(&ctx, m, &p, 1, &o, &g, &err) == LC_OK)
 *         printf("%zu new tokens\n", g.sequences[0].n);
 *     generation_release(&g);
 */
#ifndef LACUS_GPU_GENERATE_H
#define LACUS_GPU_GENERATE_H
#include "gpu/model.h"

struct likely {
    int32_t token;
    double logprob;
};

struct generate_token {
    int32_t token;
    bool prompt; /* of the prompt, with prompt_logprobs: all but its first, before the first new token */
    double logprob;
    const struct likely *top; /* the likeliest tokens in its place, the likeliest first */
    size_t n_top;
};

/* One token of prompt `sequence`. Return false to stop that sequence (the token is kept). */
typedef bool generate_token_fn(void *arg, size_t sequence, const struct generate_token *token);

struct generate_bias {
    int32_t token;
    float value; /* added to its logit */
};

enum { GENERATE_TOP_MAX = 64 };

struct generate_options {
    int64_t max_new_tokens; /* default 20 */
    double temperature;     /* 0: greedy */
    int64_t top_k;          /* 0: off */
    double top_p;           /* 1: off */
    double min_p; /* 0: off; keeps what is at least this share of the likeliest token's probability */
    double repetition_penalty;                  /* 1: off */
    double frequency_penalty, presence_penalty; /* 0: off; OpenAI's, of the new tokens */
    const struct generate_bias *bias;           /* borrowed until the sequence has been taken */
    size_t n_bias;
    size_t top_logprobs;  /* likely tokens told with each token, at most GENERATE_TOP_MAX */
    bool prompt_logprobs; /* on_token gets those of the prompt first; then max_new_tokens may be 0 */
    size_t adapter;       /* 0: the model as it is; n: the nth that adapter_keep has kept */
    uint64_t seed;
    const int32_t *stop; /* token ids that end a sequence, kept in the result; n_stop 0: the config's eos */
    size_t n_stop;
    bool no_stop;                /* ignore eos too */
    generate_token_fn *on_token; /* may be NULL; called in the order of sequences, step by step */
    void *arg;
};

struct generate_prompt {
    const int32_t *ids;
    size_t n;
};

enum generate_end { GENERATE_LENGTH, GENERATE_STOP, GENERATE_CALLBACK, GENERATE_CANCELLED };

struct generated {
    int32_t *ids;     /* owned: the new tokens only */
    double *logprobs; /* owned: of each under the unmodified distribution */
    size_t n;
    enum generate_end end;
};

struct generation {
    struct generated *sequences; /* owned */
    size_t n;
};

void generate_defaults(struct generate_options *o);
enum lc generate(const struct ctx *ctx, struct model *m, const struct generate_prompt *prompts, size_t n,
                 const struct generate_options *o, struct generation *out, struct err *err) MUST_CHECK;
void generation_release(struct generation *g);

/* ---- sequences that come and go ---- */
struct generate_batch;

struct generate_ended {    /* a sequence that has left its batch */
    size_t sequence;       /* as it was given */
    void *arg;             /* of its options */
    struct generated made; /* the caller's: generated_release */
    struct err err;        /* code LC_OK unless it failed */
};

void generated_release(struct generated *g);
/* most: sequences at once. Memory for keys and values grows with what is in the batch. */
enum lc generate_batch_new(struct model *m, size_t most, struct generate_batch **out,
                           struct err *err) MUST_CHECK;
void generate_batch_free(struct generate_batch *b); /* NULL is fine */
/* sequence: what on_token and the end are told, and which stream of random numbers of the seed. LC_CONFLICT: full. */
enum lc generate_batch_add(struct generate_batch *b, const struct generate_prompt *prompt,
                           const struct generate_options *o, size_t sequence, struct err *err) MUST_CHECK;
size_t generate_batch_running(const struct generate_batch *b);
size_t generate_batch_most(const struct generate_batch *b);
/* One step of all that run. A failure leaves them where they were: generate_batch_drop. */
enum lc generate_batch_step(const struct ctx *ctx, struct generate_batch *b, struct err *err) MUST_CHECK;
/* The next sequence that has ended; false: there is none. */
bool generate_batch_take(struct generate_batch *b, struct generate_ended *out);
/* Ends all that run; each is told why. */
void generate_batch_drop(struct generate_batch *b, enum generate_end end, const struct err *why);
#endif
