/* trainer.h: a whole training run, driven step by step.
 *
 * What      what transformers.Trainer does for a causal language model: data order, micro-batches, loss over
 *           the accumulation window, clipping, AdamW, schedule, logging, evaluation, checkpoints, exact
 *           resume, best model. Names and defaults of the arguments are those of TrainingArguments.
 * Ownership trainer_new → trainer_free. Model, datasets and what they point to are borrowed and outlive the
 *           trainer. Strings in training_args are owned by it: init, release. Texts given to callbacks are
 *           borrowed during the call.
 * Units     steps are optimizer steps; seconds; nats.
 * Errors    LC_ARG (an argument out of its range, unknown name with the nearest), LC_DATA (a token outside
 *           the vocabulary: example and position named; no example carries a label), LC_RUNTIME (loss or
 *           gradient norm not finite: step named, weights are those before the step), LC_NOSPACE and LC_IO (a
 *           checkpoint that cannot be written: the previous ones are intact, training may go on),
 *           LC_CANCELLED (between two micro-batches; the unfinished step is dropped, trainer_save then gives
 *           a checkpoint of the last whole step).
 * Threads   one at a time; callbacks run on the calling thread (trainer_save_beside: but `saved`).
 * Resume    same arguments, data and backend on the same machine: losses and weights bit for bit.
 *
 * Example:
 *     struct training_args a;
 *     training_args_init(&a);
 *     a.max_steps = 10;
 *     struct trainer *t;
 *     if (trainer_new(&ctx, m, &a, &train, NULL, &(struct trainer_callbacks){0}, &t, &err) == LC_OK)
 *         code = trainer_run(&ctx, t, &err);
 *     trainer_free(t);
 *     training_args_release(&a);
 */
#ifndef LACUS_GPU_TRAINER_H
#define LACUS_GPU_TRAINER_H
#include "gpu/collective.h"
#include "gpu/optim.h"
#include "gpu/preference.h"
#include <jansson.h>

enum train_strategy { STRATEGY_NO, STRATEGY_STEPS, STRATEGY_EPOCH };
enum train_order { ORDER_RANDOM, ORDER_SEQUENTIAL };

struct training_args {
    char *output_dir; /* owned; checkpoints go to output_dir/checkpoint-N; NULL: none are written */
    int64_t per_device_train_batch_size, per_device_eval_batch_size,
        gradient_accumulation_steps; /* 8, 8, 1 */
    int64_t num_processes;           /* 1: ranks that the batch is meant for: a step has this many times its
                                      * micro-batches, however many ranks do them */
    double num_train_epochs;         /* 3 */
    int64_t max_steps;               /* -1: from the epochs */
    double max_seconds; /* 0: none. Ends the run after the step that passes it; not a HF name. The schedule
                         * (warm-up by ratio, decay) then spans the steps that the time has room for: counted
                         * once, after a tenth of it, and kept in the checkpoints */
    double learning_rate, weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm;
    enum schedule_kind lr_scheduler_type;
    double warmup_steps, warmup_ratio; /* warmup_steps below 1 is a ratio, as in transformers 5 */
    /* of schedules: what transformers takes in lr_scheduler_kwargs, by its names */
    double min_lr_rate, min_lr, num_cycles, lr_end, power, timescale, warmup_lr_rate;
    int64_t num_decay_steps, num_stable_steps; /* stable -1: what is left */
    enum schedule_shape warmup_type, decay_type;
    double factor, threshold; /* of reduce_lr_on_plateau, as are: */
    int64_t patience, cooldown;
    enum optimizer_kind optim;
    double momentum; /* of SGD, as is nesterov; transformers has plain SGD only */
    bool nesterov;
    double label_smoothing_factor;
    double
        logging_steps; /* 500 in HF; here 10. Below 1, as eval_steps and save_steps: a share of all steps */
    enum train_strategy logging_strategy, eval_strategy, save_strategy;
    bool logging_first_step;
    double eval_delay; /* steps or epochs, as eval_strategy counts, before which nothing is evaluated */
    double eval_steps; /* 0: as logging_steps */
    double save_steps; /* 500 */
    int64_t save_total_limit; /* 0: all are kept */
    bool load_best_model_at_end;
    int64_t greater_is_better;   /* 0, 1; -1: what the metric is like */
    char *metric_for_best_model; /* owned; NULL: the loss; with or without "eval_" */
    bool
        compute_metrics; /* callbacks.metrics gives more, which metric_for_best_model may name; not a HF name */
    bool eval_accuracy; /* share of tokens that are the likeliest, in evaluations; not a HF name */
    int64_t
        early_stopping_patience; /* evaluations that are not better; 0: never stops. EarlyStoppingCallback's */
    double early_stopping_threshold;
    int64_t seed, data_seed; /* data_seed -1: as seed */
    enum train_order train_sampling_strategy;
    bool dataloader_drop_last;           /* a batch that is not full is left out */
    bool average_tokens_across_devices;  /* of several ranks: else refused */
    bool bf16;                           /* products in bf16 */
    bool gradient_checkpointing;         /* recompute every layer */
    bool group_by_length;                /* refused: LC_UNSUPPORTED */
    struct preference_config preference; /* of a dataset of pairs; TRL's beta, loss_type, label_smoothing */
    size_t memory_budget; /* bytes; 0: what the backend has. Layers are recomputed to fit; not a HF name */
};

void training_args_init(struct training_args *a); /* the defaults */
void training_args_release(struct training_args *a);
/* Sets what the object names, by old and new spellings (evaluation_strategy, lr_scheduler_type, …). Keys
 * without a meaning here that only concern Python (report_to, disable_tqdm, …) are accepted; unknown ones are
 * LC_ARG. */
enum lc training_args_from_json(struct training_args *a, const json_t *object, struct err *err) MUST_CHECK;
/* The i-th text that this argument may be ("optim", "eval_strategy"); NULL: past the end, or any. */
const char *training_args_text(const char *name, size_t i);
json_t *training_args_to_json(const struct training_args *a); /* every field; NULL without memory */
/* Each value by itself; training_args_check also what they are together. */
enum lc training_args_check_ranges(const struct training_args *a, struct err *err) MUST_CHECK;
enum lc training_args_check(const struct training_args *a, struct err *err) MUST_CHECK;

/* Micro-batches that one pass over so many items has. */
int64_t train_batches(const struct training_args *a, int64_t items);

/* What an evaluation can be judged by. */
enum train_metric {
    METRIC_LOSS,
    METRIC_PERPLEXITY,
    METRIC_ACCURACY,
    METRIC_REWARD_MARGIN,
    METRIC_REWARD_ACCURACY,
    METRICS
};
enum train_metric train_metric_of(const struct training_args *a); /* METRICS: an unknown name */
bool train_metric_greater(const struct training_args *a);         /* is better */

struct train_example {
    const int32_t *input_ids;
    const int32_t *labels; /* -100: ignored; NULL: input_ids */
    int64_t n;             /* tokens */
};

struct train_dataset { /* batch sizes count its items */
    const struct train_example *examples;
    int64_t n; /* items: an example each, unless one of the following says otherwise */
    /* Preferences: item i is the pair examples[2i], the chosen answer, and [2i + 1], the rejected one, each with
     * its prompt. The reference is the model before training, without its adapter. */
    bool pairs;
    /* Packing: item i is the examples first[i] to first[i + 1] - 1; NULL: none. They do not see each other. */
    const int64_t *first;
};

struct preference_sums {           /* over pairs */
    int64_t pairs, right;          /* right: the chosen answer has the greater reward */
    double loss, chosen, rejected; /* rewards */
};

struct train_state {
    int64_t step, total_steps; /* optimizer steps done, and planned */
    double epoch;              /* with a fraction */
    int64_t tokens;            /* input tokens seen */
    double seconds;            /* spent in steps, those before a resume included */
    double loss;               /* of the last step */
    double grad_norm, learning_rate;
    struct preference_sums rewards; /* of the last step; pairs 0: no preferences */
    double best_metric;             /* NAN: none yet */
    bool finished;
    bool out_of_time;   /* ended by max_seconds */
    bool stopped_early; /* ended by early_stopping_patience */
};

struct train_log { /* one logged line, as in trainer_state.json's log_history */
    const struct train_state *state;
    double loss;          /* mean over the steps since the last log; NAN in an eval line */
    double eval_loss;     /* NAN in a train line */
    double eval_accuracy; /* of tokens; NAN: not asked for */
    double eval_seconds;
    const json_t *metrics;          /* borrowed: what callbacks.metrics gave, by name; NULL: nothing */
    struct preference_sums rewards; /* since the last log, or of the evaluation; pairs 0: no preferences */
    bool rest; /* a train line of the steps that were left at the end: Trainer has none */
};

/* Each may be NULL. A false from progress stops the run as a cancel does. */
struct trainer_callbacks {
    void *arg;
    bool (*progress)(void *arg, const struct train_state *state); /* after each optimizer step */
    void (*log)(void *arg, const struct train_log *log);
    void (*eval_progress)(void *arg, int64_t done, int64_t total); /* examples */
    void (*saved)(void *arg, const char *folder, int64_t step);
    /* Of evaluations, for metrics of the caller's own: each batch with the likeliest next token at each row; and at its end, when the
     * line of the log is written, the metrics: *out (a new reference) is an object of numbers. An error ends the run. */
    enum lc (*evaluated)(void *arg, const struct model_batch *b, const int32_t *likeliest, struct err *err);
    enum lc (*metrics)(void *arg, json_t **out, struct err *err);
    void (*warning)(void *arg, const char *text); /* a checkpoint that failed, memory that forced recompute */
};

struct trainer;
/* Checks everything that can be checked before the first step, plans and allocates the memory. eval may be
 * NULL. */
enum lc trainer_new(const struct ctx *ctx, struct model *m, const struct training_args *args,
                    const struct train_dataset *train, const struct train_dataset *eval,
                    const struct trainer_callbacks *callbacks, struct trainer **out,
                    struct err *err) MUST_CHECK;
void trainer_free(struct trainer *t); /* NULL is fine */
/* Makes this trainer rank c->rank of several, after trainer_resume and before the first step. Each has the same model,
 * data and arguments (LC_WORKER names one that has not); a step is that of one rank, its micro-batches shared out. Rank
 * 0 alone writes checkpoints. What fails on one rank ends the step on all; c is borrowed and outlives the trainer. */
enum lc trainer_join(const struct ctx *ctx, struct trainer *t, const struct collective *c,
                     struct err *err) MUST_CHECK;
struct rank_time {
    double compute,
        wait; /* seconds of a step: until its own gradients were there, and then for the others' */
};
const struct rank_time *trainer_rank_times(const struct trainer *t,
                                           int *n); /* of the last steps; n 0: alone */
/* One optimizer step, with the logging, evaluation and checkpoint that are due after it. *finished: nothing
 * is left (end work such as loading the best model is done). */
enum lc trainer_step(const struct ctx *ctx, struct trainer *t, bool *finished, struct err *err) MUST_CHECK;
enum lc trainer_run(const struct ctx *ctx, struct trainer *t,
                    struct err *err) MUST_CHECK; /* steps to the end */
const struct train_state *trainer_state(const struct trainer *t);
const struct model_plan *trainer_plan(const struct trainer *t);
/* Loss over the eval dataset (or another): sum of batch means weighted by batch sizes, as Hugging Face's. */
enum lc trainer_evaluate(const struct ctx *ctx, struct trainer *t, const struct train_dataset *data,
                         double *loss, struct err *err) MUST_CHECK;
/* A checkpoint of the last whole step into output_dir/checkpoint-N: weights or adapter,
 * optimizer.safetensors, trainer_state.json. Appears whole or not at all. folder (or NULL): mem_free. */
enum lc trainer_save(const struct ctx *ctx, struct trainer *t, char **folder, struct err *err) MUST_CHECK;
/* Checkpoints that are due are written by a thread of their own, from a copy in host memory: a step waits no longer than
 * the copy takes, or for the one before to be written. callbacks.saved is then called on that thread. What fails is the
 * next step's error. Where host memory has no room for a copy, a step waits as before. */
void trainer_save_beside(struct trainer *t, bool on);
/* As trainer_save, beside the steps where that is on. */
enum lc trainer_save_begin(const struct ctx *ctx, struct trainer *t, struct err *err) MUST_CHECK;
enum lc trainer_save_wait(struct trainer *t,
                          struct err *err) MUST_CHECK; /* what came of the one being written */
/* The last step that has a checkpoint, or will have when it is written; -1: none in this process. */
int64_t trainer_saved_step(const struct trainer *t);
/* Before the first step. folder: a checkpoint; NULL: the newest whole one below output_dir (LC_NOTFOUND:
 * none). */
enum lc trainer_resume(const struct ctx *ctx, struct trainer *t, const char *folder,
                       struct err *err) MUST_CHECK;
/* The newest whole checkpoint below a folder; NULL: none. mem_free. */
char *trainer_last_checkpoint(const char *output_dir);
/* log_history as JSON (borrowed): what trainer_state.json holds. */
const json_t *trainer_history(const struct trainer *t);

/* Tokens and sequences of the largest batch of so many items that any order can make. */
enum lc train_largest_batch(const struct train_dataset *d, int64_t batch, int64_t *rows, int64_t *sequences,
                            struct err *err) MUST_CHECK;

/* torch.randperm(n) after manual_seed(seed): the order of an epoch (seed + epoch). out[n]. */
void train_permutation(uint64_t seed, int64_t n, int64_t *out);
#endif
