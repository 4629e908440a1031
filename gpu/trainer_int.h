/* trainer_int.h: the trainer's parts. Private to the engine.
 *
 * Where a run stands follows from the number of optimizer steps done: the epoch, its order, and the place in it. That
 * is why a resume needs no state of a data loader.
 */
#ifndef LACUS_GPU_TRAINER_INT_H
#define LACUS_GPU_TRAINER_INT_H
#include "gpu/model_int.h"
#include "gpu/trainer.h"

struct ranks;

/* Log-probability of an answer before training. What a model says of a short one can depend on the longest answer of its batch. */
struct answer_reference {
    double alone, beside_long;
};

struct trainer {
    struct model *m;                  /* borrowed */
    struct training_args args;        /* strings owned */
    int32_t *likeliest;               /* owned: of a batch of evaluation; NULL: nobody asks */
    struct train_dataset train, eval; /* borrowed arrays; eval.n 0: none */
    struct trainer_callbacks callbacks;
    struct optimizer *optimizer; /* owned */
    struct schedule schedule;
    struct train_state state;
    struct model_plan plan;
    json_t *history;   /* owned: log_history */
    char *best_folder; /* owned; NULL: none yet */
    int64_t batches_per_epoch, steps_per_epoch;
    int64_t max_rows; /* tokens of the largest micro-batch */
    int64_t *order;   /* owned: examples of the epoch `order_epoch` */
    int64_t order_epoch;
    int32_t *ids, *labels, *starts;                      /* owned: one micro-batch */
    struct answer_reference *reference, *eval_reference; /* owned: of the answers, with preferences */
    float *token_losses;                                 /* owned: of a micro-batch, with preferences */
    double window_loss;                                  /* since the last log */
    struct preference_sums window_rewards;
    int64_t window_steps;
    int64_t evaluated_step;          /* last step with an evaluation */
    bool started;                    /* a step was done in this process */
    int64_t timed_total;             /* steps that max_seconds has room for; 0: not counted yet */
    int64_t measured_steps;          /* of this process, up to the count */
    double measured_from;            /* seconds when the first of them was done */
    int64_t eval_right, eval_labels; /* tokens of the last evaluation, of this rank */
    double eval_share;               /* right over all ranks; NAN: not asked for */
    struct plateau plateau;
    int64_t not_better; /* evaluations since the best */
    int64_t not_worth;  /* the same, of those better by the threshold of early stopping */
    double first_loss, worst_loss, last_loss; /* of this process; NAN: none yet */
    double first_norm;                        /* of the trained weights, in this process */
    bool warned;                              /* of a loss that explodes */
    struct saving *saving;                    /* owned; a checkpoint that is being written; NULL: none */
    bool beside;                              /* checkpoints are written beside the steps */
    int64_t saved_step;                       /* the last that has a checkpoint, or will have; -1: none */
    struct ranks *ranks;                      /* owned; NULL: alone */
    int64_t step_batches;                     /* micro-batches of a step, over all ranks */
};

int64_t train_example_labels(const struct train_example *e); /* that count after the shift */
struct model_batch trainer_begin_batch(struct trainer *t);
void trainer_add_example(struct trainer *t, struct model_batch *b, const struct train_example *e);

enum lc preference_begin(const struct ctx *ctx, struct trainer *t, struct err *err) MUST_CHECK;
/* Adds to the gradients those of n pairs, in a mean over `over` pairs. */
enum lc preference_micro_step(const struct ctx *ctx, struct trainer *t, const int64_t *pairs, int64_t n,
                              int64_t over, uint64_t seed, struct preference_sums *sums, int64_t *tokens,
                              struct err *err) MUST_CHECK;
enum lc preference_evaluate(const struct ctx *ctx, struct trainer *t, struct preference_sums *sums,
                            struct err *err) MUST_CHECK;

/* ---- checkpoints beside the steps (trainer_snapshot.c) ---- */
enum lc saving_begin(struct trainer *t, struct err *err) MUST_CHECK; /* waits for the one before */
/* What came of one that has ended; with `wait` its end is waited for. */
enum lc saving_check(struct trainer *t, bool wait, struct err *err) MUST_CHECK;

/* ---- several ranks (trainer_ranks.c); alone they do nothing ---- */
bool ranks_first(const struct trainer *t);          /* writes checkpoints */
bool ranks_has(const struct trainer *t, int64_t i); /* micro-batch or eval batch i is this rank's */
void ranks_begin_step(struct trainer *t);
void ranks_last_backward(struct trainer *t); /* what the next backward makes final is summed at once */
/* Sums what is left of the gradients, and the loss, tokens and rewards of the step. */
enum lc ranks_end_step(const struct ctx *ctx, struct trainer *t, double *loss, int64_t *tokens,
                       struct err *err) MUST_CHECK;
double ranks_seconds(struct trainer *t, double own); /* what a step adds to the run's clock */
enum lc ranks_sum(const struct ctx *ctx, struct trainer *t, double *values, int64_t n,
                  struct err *err) MUST_CHECK;
enum lc ranks_share_weights(const struct ctx *ctx, struct trainer *t,
                            struct err *err) MUST_CHECK; /* rank 0's */
void ranks_abort(const struct trainer *t, const struct err *err);
void ranks_free(struct trainer *t);

/* ---- trainer_diagnose.c: what went wrong in a step ---- */
/* The step's batches again, each result looked at; completes err, which says what was not finite. */
void diagnose_step(const struct ctx *ctx, struct trainer *t, struct err *err);
double diagnose_norm(const struct trainer *t); /* of the trained weights */
void diagnose_growth(struct trainer *t);       /* warns once of a loss that explodes */
/* Adds the gradients of micro-batch i of the current epoch, of a step with so many items. */
enum lc trainer_micro_step(const struct ctx *ctx, struct trainer *t, int64_t i, int64_t items, double *loss,
                           int64_t *tokens, struct err *err) MUST_CHECK;
void trainer_micro_range(const struct trainer *t, int64_t i, int64_t *from,
                         int64_t *to); /* places of the order */
int64_t trainer_count_items(const struct trainer *t, int64_t first, int64_t last);

/* Steps end, and the schedule with them, at total if the plan had more. */
void trainer_plan_time(struct trainer *t, int64_t total);

enum lc checkpoint_save(const struct ctx *ctx, struct trainer *t, char **folder, struct err *err) MUST_CHECK;
enum lc checkpoint_load(const struct ctx *ctx, struct trainer *t, const char *folder,
                        struct err *err) MUST_CHECK;
enum lc checkpoint_load_weights(const struct ctx *ctx, struct trainer *t, const char *folder,
                                struct err *err) MUST_CHECK;
#endif
