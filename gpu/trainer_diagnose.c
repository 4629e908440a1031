/* trainer_diagnose.c: what went wrong in a step. A step costs no check but that of its loss and gradient norm; when one of
 * them is not finite the weights are still those before it, so its batches are run again with a look at every result. */
#include "gpu/rng.h"
#include "gpu/trainer_int.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EXAMPLES_SHOWN = 8 };
static const double GROWN = 10, LOST = 1000; /* times the first norm: with a loss that is worse; with any */
static const double EXPLODED = 3; /* times the first loss, or the one before, and then more than a nat */

static bool is_finite(const struct model *m, const struct arena_of *a, size_t i)
{
    struct parameter p;
    double norm = 0;

    model_parameter(m, i + (a == &m->adapter ? m->base.n : 0), &p);
    return tensor_norm(&p.value, &norm, NULL) != LC_OK || isfinite(norm);
}

/* The first weight that is not finite; NULL: none. */
static const char *broken_weight(const struct model *m)
{
    const struct arena_of *arenas[] = {&m->base, &m->adapter};

    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < arenas[k]->n; i++)
            if (!is_finite(m, arenas[k], i))
                return arenas[k]->weights[i].name;
    return NULL;
}

static void list_examples(const struct trainer *t, int64_t batch, char *out, size_t size)
{
    int64_t from, to;
    size_t used = 0;

    out[0] = '\0';
    trainer_micro_range(t, batch, &from, &to);
    for (int64_t j = from; j < to && used < size; j++) {
        if (j - from == EXAMPLES_SHOWN) {
            (void)snprintf(out + used, size - used, " and %lld more", (long long)(to - j));
            return;
        }
        used +=
            (size_t)snprintf(out + used, size - used, "%s%lld", j > from ? ", " : "", (long long)t->order[j]);
    }
}

/* Runs micro-batches again until one shows something; -1: none does. */
static int64_t find_batch(const struct ctx *ctx, struct trainer *t, int64_t first, int64_t last,
                          struct watch *watch)
{
    int64_t items = trainer_count_items(t, first, last), tokens = 0, found = -1;
    double loss = 0;
    void (*done)(void *arg, int64_t layer) = t->m->layer_done;

    t->m->layer_done = NULL; /* nothing is summed over ranks here */
    t->m->watch = watch;
    for (int64_t i = first; i < last && found < 0; i++) {
        if (!ranks_has(t, i))
            continue;
        if (model_zero_grad(t->m, NULL) != LC_OK ||
            trainer_micro_step(ctx, t, i, items, &loss, &tokens, NULL) != LC_OK)
            break;
        found = watch->found ? i : -1;
    }
    t->m->watch = NULL;
    t->m->layer_done = done;
    return found;
}

double diagnose_norm(const struct trainer *t)
{
    const struct arena_of *a = model_arena(t->m);
    double squares = 0;

    t->m->backend->ops->sum_squares(t->m->backend->state, NULL, a->block, (int64_t)(a->bytes / sizeof(float)),
                                    &squares);
    return sqrt(squares);
}

static void add_hint(const struct trainer *t, bool weight, struct err *err)
{
    const struct train_state *s = &t->state;
    double grown = diagnose_norm(t) / t->first_norm;

    if (weight)
        err_hint(err, "the model was broken before: look at its files, or go back to an earlier checkpoint");
    else if (t->worst_loss > EXPLODED * t->first_loss && t->worst_loss > t->first_loss + 1)
        err_hint(err, "the loss went from %.4g to %.4g in %lld steps: learning_rate %g is too high",
                 t->first_loss, t->worst_loss, (long long)s->step, t->args.learning_rate);
    else if (s->step > 0 && grown > GROWN)
        err_hint(err, "the trained weights have grown %.3g-fold in %lld steps: learning_rate %g is too high",
                 grown, (long long)s->step, t->args.learning_rate);
    else if (s->step > 0)
        err_hint(
            err,
            "the weights are those before this step: lower the learning rate (%g), or look at the examples",
            t->args.learning_rate);
    else
        err_hint(err, "it is the first step: look at the examples, and at the checkpoint");
}

void diagnose_step(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    int64_t first = t->state.step % t->steps_per_epoch * t->step_batches, last = first + t->step_batches,
            batch;
    const char *own = broken_weight(t->m),
               *weight = own || !t->m->teacher ? own : broken_weight(t->m->teacher);
    struct watch watch = {0};
    struct err before = *err;
    char examples[200];

    last = last < t->batches_per_epoch ? last : t->batches_per_epoch;
    batch = weight ? -1 : find_batch(ctx, t, first, last, &watch);
    if (weight) {
        err_set(err, LC_RUNTIME, "%s: the weight '%s'%s is not finite", before.message, weight,
                own ? "" : " of the teacher");
    } else if (batch >= 0) {
        list_examples(t, batch, examples, sizeof examples);
        err_set(err, LC_RUNTIME,
                "%s: %s is the first that is not finite, in micro-batch %lld of %lld (examples %s)",
                before.message, watch.what, (long long)(batch - first + 1), (long long)(last - first),
                examples);
    } else {
        err_set(err, LC_RUNTIME, "%s", before.message);
    }
    add_hint(t, weight != NULL, err);
}

static bool exploded(double from, double to)
{
    return to > EXPLODED * from && to > from + 1;
}

/* Norms and saturated logits keep a loss finite and not even large while the weights fly away (squares that overflow in a
 * norm make all logits nothing: the loss of a guess, which may be less than the first): they are looked at after 1, 2,
 * 4, … steps, which costs nothing that could be measured. */
static bool is_flying(const struct trainer *t, double loss, double *grown)
{
    int64_t step = t->state.step;

    if (!(t->first_norm > 0) || (step & (step - 1)) != 0)
        return false;
    *grown = diagnose_norm(t) / t->first_norm;
    return *grown > (loss > t->first_loss ? GROWN : LOST);
}

void diagnose_growth(struct trainer *t)
{
    double loss = t->state.loss, before = t->last_loss, grown = 0;
    long long step = (long long)t->state.step;
    char text[240];

    t->first_loss = isnan(t->first_loss) ? loss : t->first_loss;
    t->worst_loss = isnan(t->worst_loss) || loss > t->worst_loss ? loss : t->worst_loss;
    t->last_loss = loss;
    if (t->warned)
        return;
    if (exploded(before, loss) && loss > t->first_loss) /* a NAN before compares as false */
        (void)snprintf(text, sizeof text,
                       "the loss grew from %.4g to %.4g in one step (%lld): is learning_rate %g too high?",
                       before, loss, step, t->args.learning_rate);
    else if (exploded(t->first_loss, loss))
        (void)snprintf(text, sizeof text,
                       "the loss went from %.4g to %.4g in %lld steps: is learning_rate %g too high?",
                       t->first_loss, loss, step, t->args.learning_rate);
    else if (is_flying(t, loss, &grown))
        (void)snprintf(
            text, sizeof text,
            "the trained weights have grown %.3g-fold in %lld steps, and the loss from %.4g to %.4g: is "
            "learning_rate %g too high?",
            grown, step, t->first_loss, loss, t->args.learning_rate);
    else
        return;
    t->warned = true;
    if (t->callbacks.warning)
        t->callbacks.warning(t->callbacks.arg, text);
}
