/* preference.h: losses over pairs of a chosen and a rejected answer.
 *
 * What      direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290), its conservative form with
 *           label smoothing, IPO (Azar et al. 2023, arXiv:2310.12036, over log-probabilities averaged by length, as
 *           TRL has it) and the hinge of SLiC; the derivative of each by the policy's log-probabilities, which is
 *           all that backward needs.
 * Ownership none.
 * Units     nats; log-probabilities are sums over the tokens that carry a label.
 * Errors    preference_loss_from_name: LC_ARG names what there is.
 * Threads   any.
 *
 * Example:
 *     struct preference_config c = {PREFERENCE_SIGMOID, 0.1, 0};
 *     struct preference_pair pair = {{-10, -12}, {-11, -11}, {5, 6}};
 *     double loss = preference_loss(&c, &pair).loss;
 */
#ifndef LACUS_GPU_PREFERENCE_H
#define LACUS_GPU_PREFERENCE_H
#include "runtime/base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum preference_loss_kind { PREFERENCE_SIGMOID, PREFERENCE_IPO, PREFERENCE_HINGE };

struct preference_config {
    enum preference_loss_kind loss;
    double beta;            /* of the implied reward */
    double label_smoothing; /* sigmoid: the share of pairs that are the wrong way round */
};

struct preference_pair { /* [0] the chosen answer, [1] the rejected one */
    double policy[2], reference[2];
    int64_t tokens[2];
};

struct preference_value {
    double loss;
    double slope[2];  /* d loss / d policy */
    double reward[2]; /* beta * (policy - reference) */
};

struct preference_value preference_loss(const struct preference_config *c, const struct preference_pair *p);
enum lc preference_loss_from_name(const char *name, enum preference_loss_kind *out,
                                  struct err *err) MUST_CHECK;
const char *preference_loss_name(enum preference_loss_kind kind);
#endif
