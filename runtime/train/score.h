/* score.h: how well a model knows something: loss over examples, and which of given answers it finds
 * likeliest.
 *
 * What      score_loss is Hugging Face's eval_loss (mean over the examples of their batches' token means;
 *           smoothing is label_smoothing_factor, 0 for a plain cross-entropy).
 *           score_choices finds, for each prompt, the choice with the highest log-probability (sum over its
 *           tokens, followed by the end-of-text token where there is one). A choice is only looked at while
 *           its first token alone could still win, so the answer is exact and most choices cost nothing.
 * Ownership everything is borrowed; results go to the caller's arrays.
 * Units     nats, tokens.
 * Errors    LC_ARG (no prompt, an empty choice), LC_CANCELLED, the engine's.
 * Threads   those of the model.
 *
 * Example:
 *     double loss;
 *     if (score_loss(&ctx, model, dataset, 8, 0, &loss, &err) == LC_OK)
 *         printf("%g\n", loss);
 */
#ifndef LACUS_TRAIN_SCORE_H
#define LACUS_TRAIN_SCORE_H
#include "gpu/tokenizer/tokenizer.h"
#include "gpu/trainer.h"

enum lc score_loss(const struct ctx *ctx, struct model *m, const struct train_dataset *data, int64_t batch,
                   double smoothing, double *loss, struct err *err) MUST_CHECK;

struct score_text { /* token ids, borrowed */
    const int32_t *ids;
    size_t n;
};

/* best[i] and logprob[i] (may be NULL) for each of n prompts. max_length: prompts keep their last tokens; 0: all. */
enum lc score_choices(const struct ctx *ctx, struct model *m, const struct score_text *prompts, size_t n,
                      const struct score_text *choices, size_t n_choices, int64_t max_length, size_t *best,
                      double *logprob, struct err *err) MUST_CHECK;
#endif
