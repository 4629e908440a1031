/* trainer.c: the loop of a training run. Sources of the formulas: transformers' Trainer and accelerate's sampler. */
#include "gpu/rng.h"
#include "gpu/trainer_int.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* When the steps of a run with max_seconds are counted. */
enum { TIMED_STEPS = 4 };
static const double TIMED_SHARE = 0.1;

void train_permutation(uint64_t seed, int64_t n, int64_t *out)
{
    struct mt19937 mt;

    mt19937_seed(&mt, (uint32_t)seed);
    for (int64_t i = 0; i < n; i++)
        out[i] = i;
    for (int64_t i = 0; i < n - 1; i++) {
        uint64_t left = (uint64_t)(n - i), draw = mt19937_next(&mt);
        int64_t other, keep = out[i];

        if ((uint64_t)n >= UINT32_MAX / 20) /* torch draws 64 bits for long lists */
            draw = draw << 32 | mt19937_next(&mt);
        other = i + (int64_t)(draw % left);
        out[i] = out[other];
        out[other] = keep;
    }
}

/* ---- set-up ---- */
/* Item i is the examples [*from, *to). */
static void item_of(const struct train_dataset *d, int64_t i, int64_t *from, int64_t *to)
{
    int64_t each = d->pairs ? 2 : 1;

    *from = d->first ? d->first[i] : i * each;
    *to = d->first ? d->first[i + 1] : *from + each;
}

static int64_t item_tokens(const struct train_dataset *d, int64_t i)
{
    int64_t from, to, n = 0;

    for (item_of(d, i, &from, &to); from < to; from++)
        n += d->examples[from].n;
    return n;
}

static int64_t item_labels(const struct train_dataset *d, int64_t i)
{
    int64_t from, to, n = 0;

    for (item_of(d, i, &from, &to); from < to; from++)
        n += train_example_labels(&d->examples[from]);
    return n;
}

static int64_t most_sequences(const struct train_dataset *d) /* in an item */
{
    int64_t from, to, most = 1;

    for (int64_t i = 0; i < d->n; i++) {
        item_of(d, i, &from, &to);
        most = to - from > most ? to - from : most;
    }
    return most;
}

/* Tokens of the longest example of the items [from, to). */
static int64_t longest_of(const struct train_dataset *d, int64_t from, int64_t to)
{
    int64_t e, end, longest = 0;

    for (int64_t i = from; i < to; i++)
        for (item_of(d, i, &e, &end); e < end; e++)
            longest = d->examples[e].n > longest ? d->examples[e].n : longest;
    return longest;
}

static void add_item(struct trainer *t, struct model_batch *b, const struct train_dataset *d, int64_t i)
{
    int64_t from, to;

    for (item_of(d, i, &from, &to); from < to; from++)
        trainer_add_example(t, b, &d->examples[from]);
}

static enum lc check_example(const struct train_example *e, int64_t vocabulary, const char *which, int64_t i,
                             struct err *err)
{
    if (e->n < 1 || e->n > INT32_MAX / 4)
        return err_set(err, LC_DATA, "%s example %lld has %lld tokens", which, (long long)i, (long long)e->n);
    for (int64_t j = 0; j < e->n; j++) {
        int32_t label = e->labels ? e->labels[j] : e->input_ids[j];

        if (e->input_ids[j] < 0 || e->input_ids[j] >= vocabulary ||
            (label != -100 && (label < 0 || label >= vocabulary))) {
            (void)err_set(
                err, LC_DATA,
                "%s example %lld, place %lld: token %d or label %d is outside the vocabulary of %lld", which,
                (long long)i, (long long)j, e->input_ids[j], label, (long long)vocabulary);
            return err_hint(err, "the tokenizer belongs to another model, or tokens were added to it and the "
                                 "model's embeddings not resized");
        }
    }
    return LC_OK;
}

int64_t train_example_labels(const struct train_example *e)
{
    int64_t n = 0;

    for (int64_t j = 1; j < e->n; j++)
        n += (e->labels ? e->labels[j] : e->input_ids[j]) != -100;
    return n;
}

static enum lc check_dataset(const struct ctx *ctx, const struct trainer *t, const struct train_dataset *d,
                             const char *which, struct err *err)
{
    int64_t labels = 0;

    if (d->n < 1 || d->n > INT32_MAX)
        return err_set(err, LC_DATA, "the %s dataset has %lld examples", which, (long long)d->n);
    for (int64_t i = 0; i < d->n; i++) {
        int64_t from, to;

        if (i % 4096 == 0)
            TRY(ctx_check(ctx, err));
        for (item_of(d, i, &from, &to); from < to; from++)
            TRY(check_example(&d->examples[from], t->m->config.vocab_size, which, i, err));
        labels += item_labels(d, i);
    }
    if (labels == 0) {
        err_set(err, LC_DATA, "no example of the %s dataset carries a label to learn from", which);
        return err_hint(err, "every label is -100, or every example is a single token: is the response cut "
                             "off by max_length?");
    }
    return LC_OK;
}

/* Places beyond those the model was made for are computed, and are not what it learned. */
static void warn_of_length(const struct trainer *t)
{
    int64_t longest = longest_of(&t->train, 0, t->train.n), most = t->m->config.max_position_embeddings;
    char text[200];

    if (longest <= most || !t->callbacks.warning)
        return;
    (void)snprintf(text, sizeof text,
                   "the longest example has %lld tokens, and the model's context is %lld: set max_length",
                   (long long)longest, (long long)most);
    t->callbacks.warning(t->callbacks.arg, text);
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x < y) - (x > y);
}

/* Tokens of the largest micro-batch that any order can make. */
static enum lc largest_batch(const struct train_dataset *d, int64_t batch, int64_t *out, struct err *err)
{
    int64_t *lengths = mem_reallocn(NULL, (size_t)d->n, sizeof *lengths), sum = 0;

    if (!lengths)
        return err_nomem(err);
    for (int64_t i = 0; i < d->n; i++)
        lengths[i] = item_tokens(d, i);
    qsort(lengths, (size_t)d->n, sizeof *lengths, descending);
    for (int64_t i = 0; i < d->n && i < batch; i++)
        sum += lengths[i];
    mem_free(lengths);
    *out = sum;
    return sum > INT32_MAX / 2 ? err_set(err, LC_LIMIT, "a batch of %lld tokens is too large", (long long)sum)
                               : LC_OK;
}

enum lc train_largest_batch(const struct train_dataset *d, int64_t batch, int64_t *rows, int64_t *sequences,
                            struct err *err)
{
    *sequences = batch * most_sequences(d);
    return largest_batch(d, batch, rows, err);
}

/* The schedule over total steps. */
static void plan_schedule(struct trainer *t, int64_t total)
{
    const struct training_args *a = &t->args;
    double warmup = a->warmup_steps, rate = a->learning_rate > 0 ? a->learning_rate : 1;

    if (warmup > 0 && warmup < 1)
        warmup = ceil((double)total * warmup);
    else if (warmup == 0 && a->warmup_ratio > 0)
        warmup = ceil((double)total * a->warmup_ratio);
    t->state.total_steps = total;
    t->schedule = (struct schedule){.kind = a->lr_scheduler_type,
                                    .warmup = (int64_t)warmup,
                                    .total = total,
                                    .cycles = a->num_cycles,
                                    .min_ratio = a->min_lr > 0 ? a->min_lr / rate : a->min_lr_rate,
                                    .end_ratio = a->lr_end / rate,
                                    .power = a->power,
                                    .timescale = a->timescale,
                                    .first_ratio = a->warmup_lr_rate,
                                    .decay = a->num_decay_steps,
                                    .stable = a->num_stable_steps,
                                    .rise = a->warmup_type,
                                    .fall = a->decay_type};
}

int64_t train_batches(const struct training_args *a, int64_t items)
{
    int64_t whole = items / a->per_device_train_batch_size;

    if (a->dataloader_drop_last) /* each rank has as many */
        return whole / a->num_processes * a->num_processes;
    return whole + (items % a->per_device_train_batch_size > 0);
}

static enum lc plan_steps(struct trainer *t, struct err *err)
{
    const struct training_args *a = &t->args;

    t->batches_per_epoch = train_batches(a, t->train.n);
    if (t->batches_per_epoch == 0)
        return err_set(
            err, LC_DATA,
            "'dataloader_drop_last' leaves no batch: %lld rows are no %lld (per_device_train_batch_size x "
            "num_processes)",
            (long long)t->train.n, (long long)(a->per_device_train_batch_size * a->num_processes));
    t->step_batches = a->gradient_accumulation_steps * a->num_processes;
    t->steps_per_epoch = (t->batches_per_epoch + t->step_batches - 1) / t->step_batches;
    plan_schedule(t, a->max_steps >= 0 ? a->max_steps
                                       : (int64_t)ceil(a->num_train_epochs * (double)t->steps_per_epoch));
    return LC_OK;
}

void trainer_plan_time(struct trainer *t, int64_t total)
{
    int64_t planned = t->state.total_steps;

    t->timed_total = total;
    if (total >= planned)
        return;
    plan_schedule(t, total); /* the warm-up is a share of the steps that there is time for */
    if (!schedule_ends(t->schedule.kind))
        t->state.total_steps = planned;
}

/* The bytes of a teacher and of its forward. */
static enum lc plan_teacher(struct trainer *t, int64_t sequences, size_t budget, size_t *out, struct err *err)
{
    struct model_plan plan;

    if (!t->m->teacher)
        return LC_OK;
    TRY(model_reserve(t->m->teacher, t->max_rows, sequences, false, budget, 0, &plan, err));
    *out = plan.total;
    return LC_OK;
}

static enum lc plan_memory(struct trainer *t, struct err *err)
{
    struct backend_memory memory;
    int64_t sequences = t->args.per_device_train_batch_size * most_sequences(&t->train), eval_sequences;
    size_t budget = t->args.memory_budget;
    size_t taught = 0;
    int recompute = t->args.gradient_checkpointing ? (int)t->m->config.num_hidden_layers : 0;

    TRY(largest_batch(&t->train, t->args.per_device_train_batch_size, &t->max_rows, err));
    for (int64_t i = 0; i < t->eval.n; i++) /* a long eval item goes alone */
        t->max_rows = item_tokens(&t->eval, i) > t->max_rows ? item_tokens(&t->eval, i) : t->max_rows;
    eval_sequences = t->args.per_device_eval_batch_size * most_sequences(&t->eval);
    sequences = eval_sequences > sequences ? eval_sequences : sequences;
    if (!budget) {
        t->m->backend->ops->memory(t->m->backend->state, &memory);
        budget = t->m->base.bytes + t->m->adapter.bytes + memory.free;
        budget += t->m->teacher ? t->m->teacher->base.bytes + t->m->teacher->adapter.bytes : 0;
    }
    TRY(plan_teacher(t, sequences, budget, &taught, err));
    TRY(model_reserve(t->m, t->max_rows, sequences, true, budget - taught, recompute, &t->plan, err));
    t->plan.teacher = taught;
    t->plan.total += taught;
    TRY(rope_reserve(t->m, t->max_rows, 0, err));
    t->ids = mem_reallocn(NULL, (size_t)t->max_rows, sizeof *t->ids);
    t->labels = mem_reallocn(NULL, (size_t)t->max_rows, sizeof *t->labels);
    t->starts = mem_reallocn(NULL, (size_t)sequences + 1, sizeof *t->starts);
    t->order = mem_reallocn(NULL, (size_t)t->train.n, sizeof *t->order);
    return t->ids && t->labels && t->starts && t->order ? LC_OK : err_nomem(err);
}

static enum lc copy_args(const struct training_args *from, struct training_args *to, struct err *err)
{
    *to = *from;
    to->output_dir = from->output_dir ? mem_strdup(from->output_dir) : NULL;
    to->metric_for_best_model = from->metric_for_best_model ? mem_strdup(from->metric_for_best_model) : NULL;
    if ((from->output_dir && !to->output_dir) || (from->metric_for_best_model && !to->metric_for_best_model))
        return err_nomem(err);
    return LC_OK;
}

static enum lc set_up(const struct ctx *ctx, struct trainer *t, const struct training_args *args,
                      struct err *err)
{
    struct optimizer_config c = {args->adam_beta1,   args->adam_beta2,    args->adam_epsilon,
                                 args->weight_decay, args->max_grad_norm, args->optim,
                                 args->momentum,     args->nesterov};

    TRY(copy_args(args, &t->args, err));
    t->args.eval_accuracy = t->args.eval_accuracy || train_metric_of(args) == METRIC_ACCURACY;
    TRY(training_args_check(args, err));
    if (args->eval_strategy != STRATEGY_NO && t->eval.n == 0)
        return err_set(err, LC_ARG, "'eval_strategy' asks for evaluation, but there is no eval dataset");
    if (t->m->teacher && args->label_smoothing_factor > 0)
        return err_set(err, LC_UNSUPPORTED,
                       "'label_smoothing_factor' cannot be used while learning from a teacher");
    if (!model_arena(t->m)->trainable)
        TRY(model_set_trainable(t->m, true, err)); /* full fine-tuning */
    TRY(check_dataset(ctx, t, &t->train, "train", err));
    if (t->eval.n)
        TRY(check_dataset(ctx, t, &t->eval, "eval", err));
    if (t->eval.n && t->eval.pairs != t->train.pairs)
        return err_set(err, LC_ARG, "the train dataset %s pairs of answers and the eval dataset %s",
                       t->train.pairs ? "has" : "has no", t->eval.pairs ? "has" : "has none");
    if (args->dataloader_drop_last && t->eval.n >= args->per_device_eval_batch_size) /* of evaluations, too */
        t->eval.n -= t->eval.n % args->per_device_eval_batch_size;
    TRY(plan_steps(t, err));
    t->plateau =
        (struct plateau){.factor = args->factor,
                         .threshold = args->threshold,
                         .min_ratio = args->learning_rate > 0 ? args->min_lr / args->learning_rate : 0,
                         .patience = args->patience,
                         .cooldown = args->cooldown,
                         .greater = train_metric_greater(args),
                         .best = NAN,
                         .scale = 1};
    t->m->optimizer_states = optimizer_states(&c);
    model_set_compute(t->m, args->bf16 ? DTYPE_BF16 : DTYPE_F32);
    TRY(plan_memory(t, err));
    TRY(optimizer_new(t->m, &c, &t->optimizer, err));
    TRY(model_zero_grad(t->m, err));
    if (t->train.pairs)
        TRY(preference_begin(ctx, t, err));
    t->history = json_array();
    return t->history ? LC_OK : err_nomem(err);
}

enum lc trainer_new(const struct ctx *ctx, struct model *m, const struct training_args *args,
                    const struct train_dataset *train, const struct train_dataset *eval,
                    const struct trainer_callbacks *callbacks, struct trainer **out, struct err *err)
{
    struct trainer *t = mem_zalloc(sizeof *t);
    enum lc code;

    if (!t)
        return err_nomem(err);
    t->m = m;
    t->train = *train;
    t->eval = eval ? *eval : (struct train_dataset){0};
    t->callbacks = *callbacks;
    t->order_epoch = t->evaluated_step = t->saved_step = -1;
    t->state.best_metric = t->first_loss = t->worst_loss = t->last_loss = NAN;
    code = set_up(ctx, t, args, err);
    if (code == LC_OK && t->plan.recomputed_layers > 0 && !args->gradient_checkpointing && callbacks->warning)
        callbacks->warning(callbacks->arg,
                           "memory is short: some layers are computed again in the backward pass");
    if (code == LC_OK) {
        warn_of_length(t);
        t->first_norm = diagnose_norm(t);
    }
    if (code == LC_OK)
        *out = t;
    else
        trainer_free(t);
    return code;
}

void trainer_free(struct trainer *t)
{
    enum lc code;

    if (!t)
        return;
    code = saving_check(t, true, NULL);
    (void)code; /* who frees does not go on */
    ranks_free(t);
    optimizer_free(t->optimizer);
    training_args_release(&t->args);
    json_decref(t->history);
    mem_free(t->best_folder);
    mem_free(t->order);
    mem_free(t->ids);
    mem_free(t->labels);
    mem_free(t->starts);
    mem_free(t->reference);
    mem_free(t->likeliest);
    mem_free(t->eval_reference);
    mem_free(t->token_losses);
    mem_free(t);
}

const struct train_state *trainer_state(const struct trainer *t)
{
    return &t->state;
}

const struct model_plan *trainer_plan(const struct trainer *t)
{
    return &t->plan;
}

const json_t *trainer_history(const struct trainer *t)
{
    return t->history;
}

/* ---- batches ---- */
struct model_batch trainer_begin_batch(struct trainer *t)
{
    t->starts[0] = 0;
    return (struct model_batch){.ids = t->ids, .labels = t->labels, .starts = t->starts};
}

void trainer_add_example(struct trainer *t, struct model_batch *b, const struct train_example *e)
{
    memcpy(t->ids + b->rows, e->input_ids, (size_t)e->n * sizeof *t->ids);
    memcpy(t->labels + b->rows, e->labels ? e->labels : e->input_ids, (size_t)e->n * sizeof *t->labels);
    b->rows += e->n;
    t->starts[++b->sequences] = (int32_t)b->rows;
}

static void make_order(struct trainer *t, int64_t epoch)
{
    uint64_t seed = (uint64_t)(t->args.data_seed >= 0 ? t->args.data_seed : t->args.seed);

    if (t->order_epoch == epoch)
        return;
    if (t->args.train_sampling_strategy == ORDER_RANDOM)
        train_permutation(seed + (uint64_t)epoch, t->train.n, t->order);
    for (int64_t i = 0; i < t->train.n && t->args.train_sampling_strategy == ORDER_SEQUENTIAL; i++)
        t->order[i] = i;
    t->order_epoch = epoch;
}

/* The examples of micro-batch i of the current epoch: places [*from, *to) of its order. */
void trainer_micro_range(const struct trainer *t, int64_t i, int64_t *from, int64_t *to)
{
    *from = i * t->args.per_device_train_batch_size;
    *to = *from + t->args.per_device_train_batch_size;
    *to = *to < t->train.n ? *to : t->train.n;
}

/* ---- one optimizer step ---- */
/* What the loss of the step is a mean over: labels, or pairs. */
int64_t trainer_count_items(const struct trainer *t, int64_t first, int64_t last)
{
    int64_t items = 0;

    for (int64_t i = first; i < last; i++) {
        int64_t from, to;

        trainer_micro_range(t, i, &from, &to);
        for (int64_t j = from; j < to; j++)
            items += t->train.pairs ? 1 : item_labels(&t->train, t->order[j]);
    }
    return items;
}

enum lc trainer_micro_step(const struct ctx *ctx, struct trainer *t, int64_t i, int64_t items, double *loss,
                           int64_t *tokens, struct err *err)
{
    struct model_batch b = trainer_begin_batch(t);
    struct model_loss l;
    struct model_forward how = {.train = true,
                                .dropout = true,
                                .num_items = items > 0 ? items : 1,
                                .label_smoothing = t->args.label_smoothing_factor,
                                .distill = t->m->teacher != NULL};
    int64_t from, to;

    trainer_micro_range(t, i, &from, &to);
    how.seed = rng_mix(rng_mix((uint64_t)t->args.seed, (uint64_t)t->state.step), (uint64_t)i);
    TRY(ctx_check(ctx, err));
    if (t->train.pairs)
        return preference_micro_step(ctx, t, t->order + from, to - from, items, how.seed, &t->state.rewards,
                                     tokens, err);
    for (int64_t j = from; j < to; j++)
        add_item(t, &b, &t->train, t->order[j]);
    TRY(model_forward(ctx, t->m, &b, &how, &l, err));
    TRY(model_backward(ctx, t->m, err));
    *loss += l.scaled;
    *tokens += b.rows;
    return LC_OK;
}

static enum lc all_micro_steps(const struct ctx *ctx, struct trainer *t, double *loss, int64_t *tokens,
                               struct err *err)
{
    int64_t epoch = t->state.step / t->steps_per_epoch, within = t->state.step % t->steps_per_epoch;
    int64_t first = within * t->step_batches, last = first + t->step_batches, mine = -1, items;

    last = last < t->batches_per_epoch ? last : t->batches_per_epoch;
    make_order(t, epoch);
    items = trainer_count_items(t, first, last);
    t->state.rewards = (struct preference_sums){0};
    ranks_begin_step(t);
    for (int64_t i = first; i < last; i++)
        mine = ranks_has(t, i) ? i : mine;
    for (int64_t i = first; i <= mine; i++) {
        if (!ranks_has(t, i))
            continue;
        if (i == mine)
            ranks_last_backward(t);
        TRY(trainer_micro_step(ctx, t, i, items, loss, tokens, err));
    }
    TRY(ranks_end_step(ctx, t, loss, tokens, err));
    if (t->train.pairs)
        *loss = t->state.rewards.loss / (double)t->state.rewards.pairs;
    return LC_OK;
}

static void advance(struct trainer *t, double loss, int64_t tokens)
{
    struct train_state *s = &t->state;
    int64_t within, done;

    s->step++;
    within = s->step % t->steps_per_epoch;
    done = within * t->step_batches;
    s->epoch = (double)(s->step / t->steps_per_epoch) + (double)done / (double)t->batches_per_epoch;
    s->loss = loss;
    s->tokens += tokens;
    t->window_loss += loss;
    t->window_steps++;
    t->window_rewards.pairs += s->rewards.pairs;
    t->window_rewards.right += s->rewards.right;
    t->window_rewards.chosen += s->rewards.chosen;
    t->window_rewards.rejected += s->rewards.rejected;
}

static enum lc optimizer_update(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    double loss = 0,
           lr = t->args.learning_rate * schedule_factor(&t->schedule, t->state.step) * t->plateau.scale;
    int64_t tokens = 0;
    enum lc code = all_micro_steps(ctx, t, &loss, &tokens, err);

    if (code == LC_OK && !isfinite(loss)) {
        code = err_set(err, LC_RUNTIME, "the loss of step %lld is %g", (long long)t->state.step + 1, loss);
    }
    if (code == LC_OK) {
        code = optimizer_step(t->optimizer, lr, &t->state.grad_norm, err);
        if (code == LC_RUNTIME)
            err_wrap(err, "step %lld failed: the gradient is not finite", (long long)t->state.step + 1);
    }
    if (code == LC_RUNTIME)
        diagnose_step(ctx, t, err);
    if (code != LC_OK) {
        enum lc ignored = model_zero_grad(t->m, NULL); /* the first error is the one to tell */

        (void)ignored;
        return code;
    }
    t->state.learning_rate = lr;
    advance(t, loss, tokens);
    diagnose_growth(t);
    return LC_OK;
}

/* ---- evaluation ---- */
static enum lc show_evaluated(struct trainer *t, const struct model_batch *b, struct err *err)
{
    if (!t->likeliest && !(t->likeliest = mem_reallocn(NULL, (size_t)t->max_rows, sizeof *t->likeliest)))
        return err_nomem(err);
    TRY(model_likeliest(t->m, t->likeliest, err));
    return t->callbacks.evaluated(t->callbacks.arg, b, t->likeliest, err);
}

static enum lc eval_rows(const struct ctx *ctx, struct trainer *t, struct model_batch *b,
                         struct model_loss *sum, struct err *err)
{
    struct model_forward how = {.label_smoothing =
                                    t->args.label_smoothing_factor}; /* as Trainer's eval_loss */
    struct model_loss l;

    if (b->sequences == 0)
        return LC_OK;
    TRY(model_forward(ctx, t->m, b, &how, &l, err));
    sum->sum += l.sum;
    sum->labels += l.labels;
    if (t->args.eval_accuracy)
        TRY(model_count_right(t->m, &t->eval_right, err));
    t->eval_labels += l.labels;
    if (t->callbacks.evaluated)
        TRY(show_evaluated(t, b, err));
    *b = trainer_begin_batch(t);
    return LC_OK;
}

/* One batch of evaluation, in as many forwards as the memory asks for: each is a part of the whole. */
static enum lc eval_batch(const struct ctx *ctx, struct trainer *t, const struct train_dataset *d,
                          int64_t from, int64_t to, struct model_loss *sum, struct err *err)
{
    struct model_batch b = trainer_begin_batch(t);
    int64_t seen = longest_of(d, from, to);

    for (int64_t i = from; i < to; i++) {
        if (b.rows + item_tokens(d, i) > t->max_rows)
            TRY(eval_rows(ctx, t, &b, sum, err));
        b.seen = seen;
        add_item(t, &b, d, i);
    }
    return eval_rows(ctx, t, &b, sum, err);
}

enum lc trainer_evaluate(const struct ctx *ctx, struct trainer *t, const struct train_dataset *data,
                         double *loss, struct err *err)
{
    const struct train_dataset *d = data ? data : &t->eval;
    int64_t batch = t->args.per_device_eval_batch_size;
    double sums[4] = {0, 0, 0, 0}; /* of the batches' losses, of examples, of right tokens, of tokens */
    struct preference_sums pairs;

    t->eval_right = t->eval_labels = 0;
    if (d->pairs && d != &t->eval)
        return err_set(err, LC_UNSUPPORTED,
                       "pairs of answers are evaluated as the trainer's own eval dataset only");
    if (d->pairs) {
        TRY(preference_evaluate(ctx, t, &pairs, err));
        *loss = pairs.loss / (double)pairs.pairs;
        return LC_OK;
    }

    if (d != &t->eval)
        TRY(check_dataset(ctx, t, d, "eval", err));
    for (int64_t i = 0; i < d->n; i++)
        if (item_tokens(d, i) > t->max_rows)
            return err_set(
                err, LC_LIMIT,
                "eval example %lld has %lld tokens, more than the %lld that memory was planned for",
                (long long)i, (long long)item_tokens(d, i), (long long)t->max_rows);
    for (int64_t from = 0; from < d->n; from += batch) {
        int64_t to = from + batch < d->n ? from + batch : d->n;
        struct model_loss sum = {0};

        if (!ranks_has(t, from / batch))
            continue;
        TRY(eval_batch(ctx, t, d, from, to, &sum, err));
        if (sum.labels) {
            sums[0] += (double)(to - from) * sum.sum / (double)sum.labels;
            sums[1] += (double)(to - from);
        }
        if (t->callbacks.eval_progress)
            t->callbacks.eval_progress(t->callbacks.arg, to, d->n);
    }
    sums[2] = (double)t->eval_right;
    sums[3] = (double)t->eval_labels;
    TRY(ranks_sum(ctx, t, sums, 4, err));
    t->eval_share = t->args.eval_accuracy && sums[3] > 0 ? sums[2] / sums[3] : (double)NAN;
    if (sums[1] <= 0)
        return err_set(err, LC_DATA, "the eval dataset has no labels");
    *loss = sums[0] / sums[1];
    return LC_OK;
}

/* TRL's names, after a prefix. */
static void add_rewards(json_t *line, const char *prefix, const struct preference_sums *r)
{
    double n = (double)r->pairs;
    const struct {
        const char *name;
        double value;
    } rows[] = {{"rewards/chosen", r->chosen / n},
                {"rewards/rejected", r->rejected / n},
                {"rewards/accuracies", (double)r->right / n},
                {"rewards/margins", (r->chosen - r->rejected) / n}};
    char name[40];

    for (size_t i = 0; i < sizeof rows / sizeof *rows && r->pairs; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, rows[i].name);
        json_object_set_new(line, name, json_real(rows[i].value));
    }
}

/* ---- what is due after a step ---- */
static bool is_due(const struct trainer *t, enum train_strategy strategy, double every)
{
    if (every < 1)
        every = fmax(ceil((double)t->state.total_steps * every), 1);
    if (strategy == STRATEGY_STEPS)
        return t->state.step % (int64_t)every == 0;
    return strategy == STRATEGY_EPOCH && (t->state.step % t->steps_per_epoch == 0 || t->state.finished);
}

static bool log_is_asked(const struct trainer *t)
{
    const struct training_args *a = &t->args;

    return is_due(t, a->logging_strategy, a->logging_steps) || (a->logging_first_step && t->state.step == 1);
}

static enum lc log_train(struct trainer *t, struct err *err)
{
    struct train_log log = {.state = &t->state,
                            .loss = t->window_loss / (double)t->window_steps,
                            .eval_loss = NAN,
                            .eval_accuracy = NAN,
                            .rewards = t->window_rewards,
                            .rest = !log_is_asked(t)};
    json_t *line = json_pack("{s:f, s:f, s:f, s:f, s:I}", "epoch", t->state.epoch, "grad_norm",
                             t->state.grad_norm, "learning_rate", t->state.learning_rate, "loss", log.loss,
                             "step", (json_int_t)t->state.step);

    add_rewards(line, "", &log.rewards);
    t->window_loss = 0;
    t->window_steps = 0;
    t->window_rewards = (struct preference_sums){0};
    if (json_array_append_new(t->history, line) != 0)
        return err_nomem(err);
    if (t->callbacks.log)
        t->callbacks.log(t->callbacks.arg, &log);
    return LC_OK;
}

static bool is_better(const struct trainer *t, double value)
{
    if (isnan(t->state.best_metric))
        return true;
    return train_metric_greater(&t->args) ? value > t->state.best_metric : value < t->state.best_metric;
}

/* NAN: there is none. */
static double own_metric(const struct trainer *t, const struct train_log *log)
{
    const char *name = t->args.metric_for_best_model;
    char key[100];

    (void)snprintf(key, sizeof key, "%s%.80s", strncmp(name, "eval_", 5) == 0 ? "" : "eval_", name);
    return json_is_number(json_object_get(log->metrics, key))
               ? json_number_value(json_object_get(log->metrics, key))
               : (double)NAN;
}

static double metric_value(const struct trainer *t, const struct train_log *log)
{
    double n = (double)(log->rewards.pairs ? log->rewards.pairs : 1);
    const double values[METRICS] = {[METRIC_LOSS] = log->eval_loss,
                                    [METRIC_PERPLEXITY] = exp(log->eval_loss),
                                    [METRIC_ACCURACY] = log->eval_accuracy,
                                    [METRIC_REWARD_MARGIN] =
                                        (log->rewards.chosen - log->rewards.rejected) / n,
                                    [METRIC_REWARD_ACCURACY] = (double)log->rewards.right / n};

    return train_metric_of(&t->args) < METRICS ? values[train_metric_of(&t->args)] : own_metric(t, log);
}

/* compute_metrics must give what the best model is chosen by. */
static enum lc check_metric(const struct trainer *t, const struct train_log *log, struct err *err)
{
    if (train_metric_of(&t->args) < METRICS || !isnan(own_metric(t, log)))
        return LC_OK;
    (void)err_set(err, LC_ARG,
                  "'metric_for_best_model' is '%.80s', which compute_metrics gives no number for",
                  t->args.metric_for_best_model);
    return err_hint(err, "it returns a table of numbers by name: {%.80s = …}", t->args.metric_for_best_model);
}

/* What an evaluation means for the best model, for the rate on a plateau, and for the end of the run. As transformers:
 * patience counts evaluations that are not better than the best by more than the threshold. */
static void judge(struct trainer *t, const struct train_log *log)
{
    double value = metric_value(t, log), before = t->state.best_metric;
    bool better = is_better(t, value);

    if (t->args.lr_scheduler_type == SCHEDULE_REDUCE_ON_PLATEAU)
        plateau_step(&t->plateau, value);
    if (better && (isnan(before) || fabs(value - before) > t->args.early_stopping_threshold))
        t->not_worth = 0;
    else
        t->not_worth++;
    t->not_better = better ? 0 : t->not_better + 1;
    if (better)
        t->state.best_metric = value;
    if (t->args.early_stopping_patience > 0 && t->not_worth >= t->args.early_stopping_patience)
        t->state.stopped_early = true;
}

static enum lc evaluate_own(const struct ctx *ctx, struct trainer *t, struct train_log *log, struct err *err)
{
    if (!t->eval.pairs) {
        TRY(trainer_evaluate(ctx, t, NULL, &log->eval_loss, err));
        log->eval_accuracy = t->eval_share;
        return LC_OK;
    }
    TRY(preference_evaluate(ctx, t, &log->rewards, err));
    log->eval_loss = log->rewards.loss / (double)log->rewards.pairs;
    return LC_OK;
}

static enum lc note_evaluation(struct trainer *t, struct train_log log, struct err *err)
{
    json_t *line;

    TRY(check_metric(t, &log, err));
    line = json_pack("{s:f, s:f, s:f, s:f, s:I}", "epoch", t->state.epoch, "eval_loss", log.eval_loss,
                     "eval_runtime", log.eval_seconds, "eval_samples_per_second",
                     (double)t->eval.n / fmax(log.eval_seconds, 1e-9), "step", (json_int_t)t->state.step);
    add_rewards(line, "eval_", &log.rewards);
    if (!isnan(log.eval_accuracy))
        json_object_set_new(line, "eval_accuracy", json_real(log.eval_accuracy));
    if (log.metrics && json_object_update_missing(line, (json_t *)(uintptr_t)log.metrics) != 0)
        return json_decref(line), err_nomem(err);
    if (json_array_append_new(t->history, line) != 0)
        return err_nomem(err);
    t->evaluated_step = t->state.step;
    judge(t, &log);
    if (t->not_better == 0) {
        mem_free(t->best_folder);
        t->best_folder = t->args.output_dir
                             ? mem_printf("%s/checkpoint-%lld", t->args.output_dir, (long long)t->state.step)
                             : NULL;
    }
    if (t->callbacks.log)
        t->callbacks.log(t->callbacks.arg, &log);
    return LC_OK;
}

static enum lc evaluate_due(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    struct train_log log = {.state = &t->state, .loss = NAN, .eval_loss = NAN, .eval_accuracy = NAN};
    int64_t begun = clock_mono_ns();
    json_t *metrics = NULL;
    enum lc rc;

    TRY(evaluate_own(ctx, t, &log, err));
    if (t->callbacks.metrics)
        TRY(t->callbacks.metrics(t->callbacks.arg, &metrics, err));
    log.metrics = metrics;
    log.eval_seconds = (double)(clock_mono_ns() - begun) * 1e-9;
    rc = note_evaluation(t, log, err);
    json_decref(metrics);
    return rc;
}

static enum lc save_due(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    char *folder = NULL;

    t->saved_step = t->state.step;
    if (t->beside)
        return saving_begin(t, err);
    TRY(checkpoint_save(ctx, t, &folder, err));
    if (t->callbacks.saved)
        t->callbacks.saved(t->callbacks.arg, folder, t->state.step);
    mem_free(folder);
    return LC_OK;
}

static enum lc finish(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    TRY(saving_check(t, true, err));
    if (!t->args.load_best_model_at_end || !t->best_folder)
        return LC_OK;
    if (ranks_first(t) && fs_is_dir(t->best_folder))
        TRY(checkpoint_load_weights(ctx, t, t->best_folder, err));
    return ranks_share_weights(ctx, t, err);
}

/* As Trainer's flow has it: the last step is evaluated whatever eval_steps is, and nothing before eval_delay. */
static bool eval_is_due(const struct trainer *t)
{
    const struct training_args *a = &t->args;
    double done = a->eval_strategy == STRATEGY_EPOCH ? t->state.epoch : (double)t->state.step;

    return a->eval_delay <= done &&
           (is_due(t, a->eval_strategy, a->eval_steps > 0 ? a->eval_steps : a->logging_steps) ||
            (t->state.finished && a->eval_strategy == STRATEGY_STEPS));
}

/* And what is left at the end, which Trainer does not tell. */
static bool log_is_due(const struct trainer *t)
{
    return t->window_steps && (log_is_asked(t) || (t->state.finished && t->args.logging_strategy));
}

static enum lc after_step(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    const struct training_args *a = &t->args;
    bool save_at_end = t->state.finished && a->save_strategy == STRATEGY_STEPS;

    if (log_is_due(t))
        TRY(log_train(t, err));
    if (eval_is_due(t))
        TRY(evaluate_due(ctx, t, err));
    t->state.finished = t->state.finished || t->state.stopped_early;
    save_at_end = save_at_end || (t->state.stopped_early && a->save_strategy == STRATEGY_STEPS);
    if (a->output_dir && ranks_first(t) && (is_due(t, a->save_strategy, a->save_steps) || save_at_end))
        TRY(save_due(ctx, t, err));
    return LC_OK;
}

/* With a limit of time the steps that it has room for are counted once, after a tenth of it, from the steps so far
 * without the first: the schedule then ends where the run does. A constant rate needs no end. */
static void measure_steps(struct trainer *t)
{
    const struct train_state *s = &t->state;
    double each;

    if (t->args.max_seconds <= 0 || t->timed_total || t->schedule.kind == SCHEDULE_CONSTANT)
        return;
    if (t->measured_steps++ == 0)
        t->measured_from = s->seconds;
    if (t->measured_steps < TIMED_STEPS || s->seconds < t->args.max_seconds * TIMED_SHARE)
        return;
    each = (s->seconds - t->measured_from) / (double)(t->measured_steps - 1);
    if (each > 0)
        trainer_plan_time(t, s->step + (int64_t)fmax(0, (t->args.max_seconds - s->seconds) / each));
}

static bool out_of_time(const struct trainer *t)
{
    return t->args.max_seconds > 0 &&
           (t->state.seconds >= t->args.max_seconds ||
            (t->timed_total && schedule_ends(t->schedule.kind) && t->state.step >= t->timed_total));
}

static enum lc one_step(const struct ctx *ctx, struct trainer *t, bool *finished, struct err *err)
{
    int64_t begun = clock_mono_ns();
    bool go_on = true;

    *finished = t->state.finished;
    if (t->state.finished)
        return LC_OK;
    if (t->state.step < t->state.total_steps) {
        t->started = true;
        TRY(saving_check(t, false, err));
        TRY(optimizer_update(ctx, t, err));
        t->state.seconds += ranks_seconds(t, (double)(clock_mono_ns() - begun) * 1e-9);
        measure_steps(t);
        if (t->callbacks.progress)
            go_on = t->callbacks.progress(t->callbacks.arg, &t->state);
        t->state.out_of_time = out_of_time(t);
        t->state.finished = t->state.step >= t->state.total_steps || t->state.out_of_time;
        TRY(after_step(ctx, t, err));
    }
    if (!go_on)
        return err_set(err, LC_CANCELLED, "training was stopped after step %lld", (long long)t->state.step);
    *finished = t->state.finished = t->state.finished || t->state.step >= t->state.total_steps;
    return t->state.finished ? finish(ctx, t, err) : LC_OK;
}

enum lc trainer_step(const struct ctx *ctx, struct trainer *t, bool *finished, struct err *err)
{
    struct err own;
    enum lc code = one_step(ctx, t, finished, &own);

    if (code == LC_OK)
        return LC_OK;
    ranks_abort(t, &own); /* or the others would wait for this rank */
    if (err)
        *err = own;
    return code;
}

enum lc trainer_run(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    bool finished = false;

    while (!finished)
        TRY(trainer_step(ctx, t, &finished, err));
    return LC_OK;
}

enum lc trainer_save(const struct ctx *ctx, struct trainer *t, char **folder, struct err *err)
{
    char *made = NULL;
    enum lc code;

    if (!t->args.output_dir)
        return err_set(err, LC_ARG, "cannot save a checkpoint: there is no 'output_dir'");
    code = saving_check(t, true, err); /* one at a time */
    if (code == LC_OK)
        code = checkpoint_save(ctx, t, &made, err);
    if (code == LC_OK)
        t->saved_step = t->state.step;
    if (code == LC_OK && folder)
        *folder = made;
    else
        mem_free(made);
    return code;
}

enum lc trainer_save_begin(const struct ctx *ctx, struct trainer *t, struct err *err)
{
    if (!t->args.output_dir)
        return err_set(err, LC_ARG, "cannot save a checkpoint: there is no 'output_dir'");
    return save_due(ctx, t, err);
}

void trainer_save_beside(struct trainer *t, bool on)
{
    t->beside = on;
}

enum lc trainer_save_wait(struct trainer *t, struct err *err)
{
    return saving_check(t, true, err);
}

int64_t trainer_saved_step(const struct trainer *t)
{
    return t->saved_step;
}

enum lc trainer_resume(const struct ctx *ctx, struct trainer *t, const char *folder, struct err *err)
{
    char *found = NULL;
    enum lc code;

    if (t->started)
        return err_set(err, LC_ARG, "cannot resume: training has begun already");
    if (!folder && t->args.output_dir)
        folder = found = trainer_last_checkpoint(t->args.output_dir);
    if (!folder) {
        err_set(err, LC_NOTFOUND, "cannot resume: no checkpoint in '%s'",
                t->args.output_dir ? t->args.output_dir : "");
        return err_hint(err, "a checkpoint is a folder checkpoint-N with trainer_state.json");
    }
    code = checkpoint_load(ctx, t, folder, err);
    mem_free(found);
    return code;
}
