#include "gpu/preference.h"
#include <math.h>
#include <string.h>

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double log_sigmoid(double x)
{
    return x >= 0 ? -log1p(exp(-x)) : x - log1p(exp(x));
}

struct slope { /* of the loss by h, the difference of the two log-ratios */
    double loss, by_h;
};

static struct slope sigmoid_loss(const struct preference_config *c, double h)
{
    double x = c->beta * h, e = c->label_smoothing;

    return (struct slope){-(1 - e) * log_sigmoid(x) - e * log_sigmoid(-x),
                          c->beta * (e * sigmoid(x) - (1 - e) * sigmoid(-x))};
}

static struct slope hinge_loss(const struct preference_config *c, double h)
{
    double gap = 1 - c->beta * h;

    return gap > 0 ? (struct slope){gap, -c->beta} : (struct slope){0, 0};
}

static struct slope ipo_loss(const struct preference_config *c, double h)
{
    double gap = h - 1 / (2 * c->beta);

    return (struct slope){gap * gap, 2 * gap};
}

static const struct {
    const char *name;
    struct slope (*loss)(const struct preference_config *c, double h);
    bool averaged; /* log-probabilities are divided by the tokens */
} LOSSES[] = {[PREFERENCE_SIGMOID] = {"sigmoid", sigmoid_loss, false},
              [PREFERENCE_IPO] = {"ipo", ipo_loss, true},
              [PREFERENCE_HINGE] = {"hinge", hinge_loss, false}};
enum { N_LOSSES = sizeof LOSSES / sizeof *LOSSES };

struct preference_value preference_loss(const struct preference_config *c, const struct preference_pair *p)
{
    struct preference_value v;
    struct slope s;
    double ratio[2], over[2] = {1, 1};

    for (int i = 0; i < 2; i++) {
        if (LOSSES[c->loss].averaged && p->tokens[i] > 0)
            over[i] = (double)p->tokens[i];
        ratio[i] = p->policy[i] - p->reference[i];
        v.reward[i] = c->beta * ratio[i];
    }
    s = LOSSES[c->loss].loss(c, ratio[0] / over[0] - ratio[1] / over[1]);
    v.loss = s.loss;
    v.slope[0] = s.by_h / over[0];
    v.slope[1] = -s.by_h / over[1];
    return v;
}

enum lc preference_loss_from_name(const char *name, enum preference_loss_kind *out, struct err *err)
{
    for (int i = 0; i < N_LOSSES; i++)
        if (strcmp(name, LOSSES[i].name) == 0) {
            *out = (enum preference_loss_kind)i;
            return LC_OK;
        }
    err_set(err, LC_ARG, "training argument 'loss_type': '%.80s' is not known", name);
    return err_hint(err, "'sigmoid' (DPO), 'ipo' and 'hinge' are");
}

const char *preference_loss_name(enum preference_loss_kind kind)
{
    return LOSSES[kind].name;
}
