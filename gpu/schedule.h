/* schedule.h: learning-rate schedules, those of transformers.get_scheduler.
 *
 * What      the factor of the learning rate before each step; reduce_lr_on_plateau, which follows a metric, is a
 *           state of its own (torch's ReduceLROnPlateau).
 * Ownership plain data.
 * Units     steps count from 0.
 * Errors    LC_ARG with the nearest names.
 * Threads   any.
 *
 * Example:
 *     double lr = 5e-5 * schedule_factor(&(struct schedule){.kind = SCHEDULE_LINEAR, .total = 100}, 0);
 */
#ifndef LACUS_GPU_SCHEDULE_H
#define LACUS_GPU_SCHEDULE_H
#include "runtime/base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum schedule_kind {
    SCHEDULE_LINEAR,
    SCHEDULE_COSINE,
    SCHEDULE_CONSTANT,
    SCHEDULE_CONSTANT_WITH_WARMUP,
    SCHEDULE_COSINE_WITH_MIN_LR,
    SCHEDULE_COSINE_WITH_RESTARTS,
    SCHEDULE_POLYNOMIAL,
    SCHEDULE_INVERSE_SQRT,
    SCHEDULE_WARMUP_STABLE_DECAY,
    SCHEDULE_COSINE_WARMUP_WITH_MIN_LR,
    SCHEDULE_REDUCE_ON_PLATEAU
};

enum schedule_shape { SHAPE_COSINE, SHAPE_LINEAR, SHAPE_SQRT }; /* of a warm-up and a decay */

struct schedule {
    enum schedule_kind kind;
    int64_t warmup, total; /* steps */
    double cycles;         /* of a cosine; 0 means 0.5, and 1 with restarts */
    double min_ratio;      /* of the rate: of cosine_with_min_lr, warmup_stable_decay */
    double end_ratio;      /* of polynomial */
    double power;          /* of polynomial */
    double timescale;      /* of inverse_sqrt; 0: the warm-up, or 10000 */
    double first_ratio;    /* of cosine_warmup_with_min_lr: where the warm-up begins; 0: at its first step */
    int64_t decay, stable; /* steps, of warmup_stable_decay; stable -1: what is left */
    enum schedule_shape rise, fall;
};

/* steps: optimizer steps done before this one. */
double schedule_factor(const struct schedule *s, int64_t steps);
/* "linear", "cosine", …; LC_ARG with the nearest names. */
enum lc schedule_from_name(const char *name, enum schedule_kind *out, struct err *err) MUST_CHECK;
const char *schedule_name(enum schedule_kind kind);
enum lc schedule_shape_from_name(const char *name, enum schedule_shape *out, struct err *err) MUST_CHECK;
const char *schedule_shape_name(enum schedule_shape shape);
/* Does it say when to stop: is the end of the run its end? */
bool schedule_ends(enum schedule_kind kind);

struct plateau {
    double factor, threshold, min_ratio; /* min_ratio: of the first rate */
    int64_t patience, cooldown;
    bool greater; /* is better */
    /* state */
    double best, scale; /* NAN: none yet; what the rate is multiplied by */
    int64_t bad, cooling;
};
void plateau_step(struct plateau *p, double metric); /* after an evaluation */
#endif
