/* choose.h: from logits to a token. Private to generation.
 *
 * What      bias, penalties, temperature, top_k, top_p and min_p in Hugging Face's order; the logarithms of
 *           probabilities under the model's own distribution, whatever the options say.
 * Ownership chooser_init → chooser_release; histories and logits are borrowed for the call.
 * Units     token ids; natural logarithms.
 * Errors    LC_NOMEM.
 * Threads   one at a time.
 *
 * Example:
 *     struct chooser c;
 *     if (chooser_init(&c, 32000, &err) == LC_OK)
 *         chooser_release(&c);
 */
#ifndef LACUS_GPU_CHOOSE_H
#define LACUS_GPU_CHOOSE_H
#include "gpu/generate.h"
#include "gpu/rng.h"

struct candidate;
struct chooser {
    int64_t vocabulary;
    struct candidate *candidates; /* owned, [vocabulary] */
    int32_t *counts;              /* owned, [vocabulary]: scratch of the penalties; zeros between calls */
};

enum lc chooser_init(struct chooser *c, int64_t vocabulary, struct err *err) MUST_CHECK;
void chooser_release(struct chooser *c);

/* What has been read (a prompt) and made (its answer) so far. */
struct history {
    const int32_t *prompt, *made;
    size_t n_prompt, n_made;
};

/* The next token. */
int32_t chooser_next(struct chooser *c, const float *logits, const struct generate_options *o,
                     const struct history *h, struct rng *rng);
/* log p = logit - what this gives. */
double log_total(const float *logits, int64_t n);
/* The k likeliest tokens, the likeliest first and of equals the lower id; returns how many there are. */
size_t likeliest(const float *logits, int64_t n, double total, size_t k, struct likely *out);
#endif
