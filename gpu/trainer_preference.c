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
/* What the model says before training (and without its adapter) of each answer, once. */
static enum lc reference_of(const struct ctx *ctx, struct trainer *t, const struct train_dataset *d,
                            double *out, struct err *err)
{
    struct model_forward how = {.plain = true, .losses = t->token_losses};
    struct model_loss l;

    for (int64_t i = 0; i < 2 * d->n; i++) {
        struct model_batch b = trainer_begin_batch(t);
        int64_t tokens;

        trainer_add_example(t, &b, &d->examples[i]);
        TRY(model_forward(ctx, t->m, &b, &how, &l, err));
        sequence_sums(&d->examples[i], t->token_losses, &out[i], &tokens);
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
static int64_t read_pair(const struct trainer *t, const struct train_example *e, const double *reference,
                         float *losses, int64_t at, int64_t over, struct preference_sums *sums)
{
    struct preference_pair p = {.reference = {reference[0], reference[1]}};
    struct preference_value v;
    int64_t end = at;

    for (int side = 0; side < 2; side++)
        end += sequence_sums(&e[side], losses + end, &p.policy[side], &p.tokens[side]);
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
    int64_t at = 0;

    for (int64_t i = 0; i < 2 * n; i++)
        trainer_add_example(t, &b, &t->train.examples[2 * pairs[i / 2] + i % 2]);
    TRY(model_forward(ctx, t->m, &b, &how, &l, err));
    for (int64_t i = 0; i < n; i++)
        at = read_pair(t, &t->train.examples[2 * pairs[i]], &t->reference[2 * pairs[i]], t->token_losses, at,
                       over, sums);
    TRY(model_weigh_loss(t->m, t->token_losses, err));
    TRY(model_backward(ctx, t->m, err));
    *tokens += b.rows;
    return LC_OK;
}

enum lc preference_evaluate(const struct ctx *ctx, struct trainer *t, struct preference_sums *sums,
                            struct err *err)
{
    struct model_forward how = {.losses = t->token_losses};
    struct model_loss l;

    *sums = (struct preference_sums){0};
    for (int64_t i = 0; i < t->eval.n; i++) {
        struct model_batch b = trainer_begin_batch(t);

        trainer_add_example(t, &b, &t->eval.examples[2 * i]);
        trainer_add_example(t, &b, &t->eval.examples[2 * i + 1]);
        TRY(model_forward(ctx, t->m, &b, &how, &l, err));
        read_pair(t, &t->eval.examples[2 * i], &t->eval_reference[2 * i], t->token_losses, 0, 0, sums);
        if (t->callbacks.eval_progress)
            t->callbacks.eval_progress(t->callbacks.arg, i + 1, t->eval.n);
    }
    return LC_OK;
}
