/* trainer_preference.c: steps and evaluation over pairs of a chosen and a rejected answer. Example 2i is the chosen one
 * of pair i, 2i + 1 the rejected one. */
#include "gpu/rng.h"
#include "gpu/trainer_int.h"
#include "runtime/base/mem.h"

/* Log-probabilities of the sequences of a batch from the losses of their tokens; returns the tokens read. */
static int64_t sequence_sums(const struct train_example *e, const float *losses, double *logp,
                             int64_t *tokens)
{
    *tokens = train_example_labels(e);
    *logp = 0;
    for (int64_t i = 0; i < *tokens; i++)
        *logp -= (double)losses[i];
    return *tokens;
}

/* ---- the reference ---- */
/* LongRoPE has other frequencies for a whole batch as soon as one of its sequences is that long. */
static bool is_long(const struct trainer *t, int64_t tokens)
{
    const struct model_config *c = &t->m->config;

    return c->rope_type == ROPE_LONG && tokens > c->rope_original_max_position_embeddings;
}

static int64_t longest_answer(const struct train_dataset *d, int64_t from, int64_t to) /* of these pairs */
{
    int64_t longest = 0;

    for (int64_t i = 2 * from; i < 2 * to; i++)
        longest = d->examples[i].n > longest ? d->examples[i].n : longest;
    return longest;
}

/* seen: as in struct model_batch. */
static enum lc reference_one(const struct ctx *ctx, struct trainer *t, const struct train_example *e,
                             int64_t seen, double *out, struct err *err)
{
    struct model_forward how = {.plain = true, .losses = t->token_losses};
    struct model_batch b = trainer_begin_batch(t);
    struct model_loss l;
    int64_t tokens;

    trainer_add_example(t, &b, e);
    b.seen = seen;
    TRY(model_forward(ctx, t->m, &b, &how, &l, err));
    sequence_sums(e, t->token_losses, out, &tokens);
    return LC_OK;
}

/* What the model says before training (and without its adapter) of each answer, once. */
static enum lc reference_of(const struct ctx *ctx, struct trainer *t, const struct train_dataset *d,
                            struct answer_reference *out, struct err *err)
{
    int64_t longest = longest_answer(d, 0, d->n);

    for (int64_t i = 0; i < 2 * d->n; i++) {
        const struct train_example *e = &d->examples[i];

        TRY(reference_one(ctx, t, e, 0, &out[i].alone, err));
        out[i].beside_long = out[i].alone;
        if (is_long(t, longest) && !is_long(t, e->n))
            TRY(reference_one(ctx, t, e, longest, &out[i].beside_long, err));
        if (t->callbacks.eval_progress && i % 64 == 63)
            t->callbacks.eval_progress(t->callbacks.arg, i / 2 + 1, d->n);
    }
    return LC_OK;
}

enum lc preference_begin(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    t->reference = mem_calloc((size_t)(2 * t->train.n), sizeof *t->reference);
    t->eval_reference = mem_calloc((size_t)(2 * t->eval.n + 1), sizeof *t->eval_reference);
    t->token_losses = mem_calloc((size_t)t->max_rows, sizeof *t->token_losses);
    if (!t->reference || !t->eval_reference || !t->token_losses)
        return err_nomem(err);
    TRY(reference_of(ctx, t, &t->train, t->reference, err));
    return reference_of(ctx, t, &t->eval, t->eval_reference, err);
}

/* ---- a batch of pairs ---- */
static void add_value(struct preference_sums *sums, const struct preference_value *v)
{
    sums->pairs++;
    sums->loss += v->loss;
    sums->chosen += v->reward[0];
    sums->rejected += v->reward[1];
    sums->right += v->reward[0] > v->reward[1];
}

/* The pair whose token losses begin at losses[at]; returns where the next one begins. With `over` > 0 the losses are
 * replaced by what each token counts in the mean over that many pairs. */
static int64_t read_pair(const struct trainer *t, const struct train_example *e,
                         const struct answer_reference *reference, int64_t seen, int64_t at, int64_t over,
                         struct preference_sums *sums)
{
    float *losses = t->token_losses;
    struct preference_pair p;
    struct preference_value v;
    int64_t end = at;

    for (int side = 0; side < 2; side++) {
        p.reference[side] = is_long(t, seen) ? reference[side].beside_long : reference[side].alone;
        end += sequence_sums(&e[side], losses + end, &p.policy[side], &p.tokens[side]);
    }
    v = preference_loss(&t->args.preference, &p);
    add_value(sums, &v);
    for (int64_t i = at; i < end && over > 0; i++) /* a loss is minus a log-probability */
        losses[i] = (float)(-v.slope[i < at + p.tokens[0] ? 0 : 1] / (double)over);
    return end;
}

enum lc preference_micro_step(const struct ctx *ctx, struct trainer *t, const int64_t *pairs, int64_t n,
                              int64_t over, uint64_t seed, struct preference_sums *sums, int64_t *tokens,
                              struct err *err)
{
    struct model_batch b = trainer_begin_batch(t);
    struct model_forward how = {
        .train = true, .dropout = true, .seed = seed, .losses = t->token_losses, .weighted = true};
    struct model_loss l;
    int64_t at = 0, seen = 0;

    for (int64_t i = 0; i < 2 * n; i++) {
        const struct train_example *e = &t->train.examples[2 * pairs[i / 2] + i % 2];

        trainer_add_example(t, &b, e);
        seen = e->n > seen ? e->n : seen;
    }
    TRY(model_forward(ctx, t->m, &b, &how, &l, err));
    for (int64_t i = 0; i < n; i++)
        at =
            read_pair(t, &t->train.examples[2 * pairs[i]], &t->reference[2 * pairs[i]], seen, at, over, sums);
    TRY(model_weigh_loss(t->m, t->token_losses, err));
    TRY(model_backward(ctx, t->m, err));
    *tokens += b.rows;
    return LC_OK;
}

/* A pair at a time, each as a part of its batch. */
enum lc preference_evaluate(const struct ctx *ctx, struct trainer *t, struct preference_sums *sums,
                            struct err *err)
{
    struct model_forward how = {.losses = t->token_losses};
    struct model_loss l;
    int64_t batch = t->args.per_device_eval_batch_size, seen = 0;

    *sums = (struct preference_sums){0};
    for (int64_t i = 0; i < t->eval.n; i++) {
        struct model_batch b = trainer_begin_batch(t);

        if (i % batch == 0)
            seen = longest_answer(&t->eval, i, i + batch < t->eval.n ? i + batch : t->eval.n);
        b.seen = seen;
        trainer_add_example(t, &b, &t->eval.examples[2 * i]);
        trainer_add_example(t, &b, &t->eval.examples[2 * i + 1]);
        TRY(model_forward(ctx, t->m, &b, &how, &l, err));
        read_pair(t, &t->eval.examples[2 * i], &t->eval_reference[2 * i], seen, 0, 0, sums);
        if (t->callbacks.eval_progress)
            t->callbacks.eval_progress(t->callbacks.arg, i + 1, t->eval.n);
    }
    return LC_OK;
}
