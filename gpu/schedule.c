#include "gpu/schedule.h"
#include "runtime/base/nearest.h"
#include <math.h>
#include <string.h>

static const double PI = 3.14159265358979323846;

static double ramp(const struct schedule *s, int64_t steps) /* the share of a linear warm-up */
{
    return (double)steps / fmax(1, (double)s->warmup);
}

static double progress(const struct schedule *s, int64_t steps)
{
    return (double)(steps - s->warmup) / fmax(1, (double)(s->total - s->warmup));
}

static double half_cosine(const struct schedule *s, double at)
{
    return 0.5 * (1 + cos(PI * (s->cycles > 0 ? s->cycles : 0.5) * 2 * at));
}

static double not_below(const struct schedule *s, double factor)
{
    return fmax(0, factor * (1 - s->min_ratio) + s->min_ratio);
}

static double linear(const struct schedule *s, int64_t steps)
{
    return fmax(0, (double)(s->total - steps) / fmax(1, (double)(s->total - s->warmup)));
}

static double cosine(const struct schedule *s, int64_t steps)
{
    return fmax(0, half_cosine(s, progress(s, steps)));
}

static double constant(const struct schedule *s, int64_t steps)
{
    (void)s;
    (void)steps;
    return 1;
}

static double cosine_min(const struct schedule *s, int64_t steps)
{
    return not_below(s, half_cosine(s, progress(s, steps)));
}

static double restarts(const struct schedule *s, int64_t steps)
{
    double at = progress(s, steps);

    return at >= 1 ? 0 : fmax(0, 0.5 * (1 + cos(PI * fmod((s->cycles > 0 ? s->cycles : 1) * at, 1))));
}

static double polynomial(const struct schedule *s, int64_t steps)
{
    double left = 1 - (double)(steps - s->warmup) / (double)(s->total - s->warmup);

    if (steps > s->total || s->total <= s->warmup)
        return s->end_ratio;
    return (1 - s->end_ratio) * pow(left, s->power) + s->end_ratio;
}

static double inverse_sqrt(const struct schedule *s, int64_t steps)
{
    double scale = s->timescale > 0 ? s->timescale : s->warmup > 0 ? (double)s->warmup : 10000;

    return 1 / sqrt(((double)steps + scale - (double)s->warmup) / scale);
}

static double stable_decay(const struct schedule *s, int64_t steps)
{
    int64_t stable = s->stable >= 0 ? s->stable : s->total - s->warmup - s->decay,
            into = steps - s->warmup - stable;
    double at = (double)into / fmax(1, (double)s->decay);

    if (into < 0)
        return 1;
    if (into >= s->decay)
        return s->min_ratio;
    return not_below(s, s->fall == SHAPE_LINEAR   ? 1 - at
                        : s->fall == SHAPE_COSINE ? half_cosine(s, at)
                                                  : 1 - sqrt(at));
}

static double cosine_shifted(const struct schedule *s, int64_t steps) /* counts the step itself */
{
    return cosine_min(s, steps + 1);
}

/* Warm-ups. */
static double stable_rise(const struct schedule *s, int64_t steps)
{
    double at = ramp(s, steps);

    return not_below(s, s->rise == SHAPE_LINEAR   ? at
                        : s->rise == SHAPE_COSINE ? 0.5 * (1 - cos(PI * at))
                                                  : 1 - sqrt(1 - at));
}

static double rise_to_rate(const struct schedule *s, int64_t steps)
{
    if (s->first_ratio <= 0)
        return ((double)steps + 1) / fmax(1, (double)s->warmup);
    return s->first_ratio + (1 - s->first_ratio) * (double)steps / fmax(1, (double)s->warmup - 1);
}

static const struct row {
    const char *name;
    double (*rise)(const struct schedule *s, int64_t steps);
    double (*after)(const struct schedule *s, int64_t steps);
    bool ends;
} ROWS[] = {
    [SCHEDULE_LINEAR] = {"linear", ramp, linear, true},
    [SCHEDULE_COSINE] = {"cosine", ramp, cosine, true},
    [SCHEDULE_CONSTANT] = {"constant", constant, constant, false},
    [SCHEDULE_CONSTANT_WITH_WARMUP] = {"constant_with_warmup", ramp, constant, false},
    [SCHEDULE_COSINE_WITH_MIN_LR] = {"cosine_with_min_lr", ramp, cosine_min, true},
    [SCHEDULE_COSINE_WITH_RESTARTS] = {"cosine_with_restarts", ramp, restarts, true},
    [SCHEDULE_POLYNOMIAL] = {"polynomial", ramp, polynomial, true},
    [SCHEDULE_INVERSE_SQRT] = {"inverse_sqrt", ramp, inverse_sqrt, false},
    [SCHEDULE_WARMUP_STABLE_DECAY] = {"warmup_stable_decay", stable_rise, stable_decay, true},
    [SCHEDULE_COSINE_WARMUP_WITH_MIN_LR] = {"cosine_warmup_with_min_lr", rise_to_rate, cosine_shifted, true},
    [SCHEDULE_REDUCE_ON_PLATEAU] = {"reduce_lr_on_plateau", constant, constant, false},
};
enum { N_ROWS = sizeof ROWS / sizeof *ROWS };

double schedule_factor(const struct schedule *s, int64_t steps)
{
    return steps < s->warmup ? ROWS[s->kind].rise(s, steps) : ROWS[s->kind].after(s, steps);
}

const char *schedule_name(enum schedule_kind kind)
{
    return ROWS[kind].name;
}

bool schedule_ends(enum schedule_kind kind)
{
    return ROWS[kind].ends;
}

static enum lc unknown(const char *what, const char *name, const char *const *names, size_t n,
                       struct err *err)
{
    struct buf near = BUF_INIT(400), all = BUF_INIT(1000);

    err_set(err, LC_ARG, "unknown %s '%s'", what, name);
    for (size_t i = 0; i < n; i++)
        buf_printf(&all, "%s%s", i ? ", " : "", names[i]);
    if (nearest_list(&near, name, names, n, 3) && near.len)
        err_hint(err, "did you mean %s?", buf_str(&near));
    else
        err_hint(err, "there are %s", buf_str(&all));
    buf_release(&near);
    buf_release(&all);
    return LC_ARG;
}

enum lc schedule_from_name(const char *name, enum schedule_kind *out, struct err *err)
{
    const char *names[N_ROWS];

    for (int i = 0; i < N_ROWS; i++) {
        names[i] = ROWS[i].name;
        if (strcmp(names[i], name) == 0) {
            *out = (enum schedule_kind)i;
            return LC_OK;
        }
    }
    return unknown("learning-rate schedule", name, names, N_ROWS, err);
}

static const char *const SHAPES[] = {
    [SHAPE_COSINE] = "cosine", [SHAPE_LINEAR] = "linear", [SHAPE_SQRT] = "1-sqrt"};

enum lc schedule_shape_from_name(const char *name, enum schedule_shape *out, struct err *err)
{
    for (int i = 0; i < 3; i++)
        if (strcmp(SHAPES[i], name) == 0) {
            *out = (enum schedule_shape)i;
            return LC_OK;
        }
    return unknown("shape of a schedule", name, SHAPES, 3, err);
}

const char *schedule_shape_name(enum schedule_shape shape)
{
    return SHAPES[shape];
}

/* ---- on a plateau ---- */
static bool is_better(const struct plateau *p, double metric)
{
    if (isnan(p->best))
        return true;
    return p->greater ? metric > p->best * (1 + p->threshold) : metric < p->best * (1 - p->threshold);
}

void plateau_step(struct plateau *p, double metric)
{
    if (is_better(p, metric)) {
        p->best = metric;
        p->bad = 0;
    } else {
        p->bad++;
    }
    if (p->cooling > 0) {
        p->cooling--;
        p->bad = 0;
    }
    if (p->bad <= p->patience)
        return;
    p->scale = fmax(p->scale * p->factor, p->min_ratio);
    p->cooling = p->cooldown;
    p->bad = 0;
}
