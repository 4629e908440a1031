/* rope.c: rotary position embeddings (Su et al. 2021, arXiv:2104.09864): tables of cosines and sines, with angles in f32
 * as Hugging Face computes them, for the kinds of scaling that published checkpoints use. */
#include "gpu/model_int.h"
#include "runtime/base/mem.h"
#include <math.h>

static const double two_pi = 2 * 3.14159265358979323846;

static float plain_frequency(const struct model_config *c, int64_t i)
{
    return 1.0f / (float)pow(c->rope_theta, (double)((float)(2 * i) / (float)c->head_dim));
}

/* seen: positions that the frequencies are for, where they depend on it. */
static float default_frequency(const struct model_config *c, int64_t seen, int64_t i)
{
    (void)seen;
    return plain_frequency(c, i);
}

static float dynamic_frequency(const struct model_config *c, int64_t seen, int64_t i)
{
    double most = (double)c->max_position_embeddings, dim = (double)c->head_dim,
           length = fmax((double)seen, most), base;

    base = c->rope_theta * pow(c->rope_factor * length / most - (c->rope_factor - 1), dim / (dim - 2));
    return 1.0f / (float)pow(base, (double)((float)(2 * i) / (float)c->head_dim));
}

static float long_frequency(const struct model_config *c, int64_t seen, int64_t i)
{
    const float *factors = seen > c->rope_original_max_position_embeddings ? c->rope_long : c->rope_short;

    return 1.0f / (factors[i] * (float)pow(c->rope_theta, (double)((float)(2 * i) / (float)c->head_dim)));
}

static float linear_frequency(const struct model_config *c, int64_t seen, int64_t i)
{
    (void)seen;
    return plain_frequency(c, i) / (float)c->rope_factor;
}

static float llama3_frequency(const struct model_config *c, int64_t seen, int64_t i)
{
    float f = plain_frequency(c, i);
    double wavelength = two_pi / (double)f, original = (double)c->rope_original_max_position_embeddings;
    double smooth;

    (void)seen;
    if (wavelength < original / c->rope_high_freq_factor)
        return f;
    if (wavelength > original / c->rope_low_freq_factor)
        return f / (float)c->rope_factor;
    smooth = (original / wavelength - c->rope_low_freq_factor) /
             (c->rope_high_freq_factor - c->rope_low_freq_factor);
    return (float)((1 - smooth) * (double)f / c->rope_factor + smooth * (double)f);
}

/* YaRN, equation 17: the dimension that turns `rotations` times over the original context. */
static double yarn_dimension(const struct model_config *c, double rotations)
{
    double dim = (double)c->head_dim, original = (double)c->rope_original_max_position_embeddings;

    return dim * log(original / (rotations * two_pi)) / (2 * log(c->rope_theta));
}

static float yarn_frequency(const struct model_config *c, int64_t seen, int64_t i)
{
    double low = yarn_dimension(c, c->rope_beta_fast), high = yarn_dimension(c, c->rope_beta_slow);
    float f = plain_frequency(c, i), slow = 1.0f / ((float)c->rope_factor / f), ramp;

    (void)seen;
    if (c->rope_truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)(c->head_dim - 1));
    high += low == high ? 0.001 : 0;
    ramp = (float)fmin(fmax(((double)i - low) / (high - low), 0), 1);
    return slow * ramp + f * (1 - ramp);
}

static double yarn_magnitude(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

/* What cosines and sines are multiplied with. */
static float attention_factor(const struct model_config *c)
{
    if (c->rope_type != ROPE_YARN && c->rope_type != ROPE_LONG)
        return 1;
    if (c->rope_attention_factor > 0)
        return (float)c->rope_attention_factor;
    if (c->rope_type == ROPE_LONG)
        return c->rope_factor <= 1
                   ? 1
                   : (float)sqrt(1 +
                                 log(c->rope_factor) / log((double)c->rope_original_max_position_embeddings));
    if (c->rope_mscale > 0 && c->rope_mscale_all_dim > 0)
        return (float)(yarn_magnitude(c->rope_factor, c->rope_mscale) /
                       yarn_magnitude(c->rope_factor, c->rope_mscale_all_dim));
    return (float)yarn_magnitude(c->rope_factor, 1);
}

/* Where frequencies depend on the length there are two sets: the tables of the second, for long sequences, follow those of
 * the first. Dynamic ones are those of the longest. */
static int64_t sets(const struct model *m)
{
    return m->config.rope_type == ROPE_LONG || m->config.rope_type == ROPE_DYNAMIC ? 2 : 1;
}

static void fill_tables(const struct model_config *c, int64_t positions, int64_t seen, float *cosines,
                        float *sines)
{
    static float (*const frequencies[ROPE_TYPES])(const struct model_config *, int64_t, int64_t) = {
        [ROPE_DEFAULT] = default_frequency, [ROPE_DYNAMIC] = dynamic_frequency, [ROPE_LONG] = long_frequency,
        [ROPE_LINEAR] = linear_frequency,   [ROPE_LLAMA3] = llama3_frequency,   [ROPE_YARN] = yarn_frequency};
    int64_t half = c->head_dim / 2;
    float factor = attention_factor(c);

    for (int64_t i = 0; i < half; i++) {
        float f = frequencies[c->rope_type](c, seen, i);

        for (int64_t p = 0; p < positions; p++) {
            float angle = (float)p * f;

            cosines[p * half + i] = (float)cos((double)angle) * factor;
            sines[p * half + i] = (float)sin((double)angle) * factor;
        }
    }
}

/* Llama 4's scaling of queries far from the start, folded into tables of their own. */
static void scale_queries(const struct model_config *c, int64_t positions, const float *from, float *to)
{
    int64_t half = c->head_dim / 2;
    float beta = (float)c->rope_query_beta, original = (float)c->rope_original_max_position_embeddings;

    for (int64_t p = 0; p < positions; p++) {
        float scale = 1 + beta * logf(1 + floorf((float)p / original));

        for (int64_t i = p * half; i < (p + 1) * half; i++)
            to[i] = from[i] * scale;
    }
}

static size_t table_bytes(const struct model *m, int64_t positions)
{
    return (size_t)(sets(m) * positions * (m->config.head_dim / 2)) * sizeof(float);
}

static size_t tables(const struct model *m)
{
    return m->config.rope_query_beta > 0 ? 4 : 2;
}

void rope_release(struct model *m)
{
    m->backend->ops->release(m->backend->state, m->rope, tables(m) * table_bytes(m, m->rope_positions));
    m->rope = m->cosines = m->sines = m->q_cosines = m->q_sines = NULL;
    m->rope_positions = 0;
}

static enum lc upload(struct model *m, const float *host, size_t bytes, struct err *err)
{
    const struct backend_ops *ops = m->backend->ops;
    void *block;

    TRY(ops->alloc(m->backend->state, bytes, &block, err));
    rope_release(m);
    m->rope = block;
    TRY(ops->upload(m->backend->state, NULL, m->rope, host, bytes, err));
    return ops->sync(m->backend->state, NULL, err);
}

/* Dynamic frequencies are those that Hugging Face has at this forward: they grow with its longest sequence and go back
 * when all are within the context. */
static int64_t frequencies_for(const struct model *m, int64_t seen)
{
    const struct model_config *c = &m->config;
    int64_t context = c->max_position_embeddings, before = m->rope_seen > context ? m->rope_seen : context;

    if (c->rope_type == ROPE_LONG)
        return INT64_MAX;
    if (c->rope_type != ROPE_DYNAMIC)
        return 0;
    if (seen == 0)
        return m->rope_seen;
    return seen > before ? seen : seen < context ? context : before;
}

int64_t rope_shift(const struct model *m, int64_t seen)
{
    const struct model_config *c = &m->config;

    if (c->rope_type == ROPE_DYNAMIC)
        return seen >= c->max_position_embeddings ? m->rope_positions : 0;
    return sets(m) == 2 && seen > c->rope_original_max_position_embeddings ? m->rope_positions : 0;
}

/* Of all sets; each is so many numbers from the one before. */
static void fill_sets(const struct model *m, int64_t positions, int64_t seen, float *cosines, float *sines)
{
    int64_t each = positions * (m->config.head_dim / 2);

    fill_tables(&m->config, positions, 0, cosines, sines);
    if (sets(m) == 2)
        fill_tables(&m->config, positions, seen, cosines + each, sines + each);
}

static void scale_sets(const struct model *m, int64_t positions, const float *from, float *to)
{
    int64_t each = positions * (m->config.head_dim / 2);

    for (int64_t i = 0; i < sets(m); i++)
        scale_queries(&m->config, positions, from + i * each, to + i * each);
}

enum lc rope_reserve(struct model *m, int64_t positions, int64_t seen, struct err *err)
{
    int64_t n = 256, each;
    float *host;
    enum lc code;

    seen = frequencies_for(m, seen);
    if (positions <= m->rope_positions && seen == m->rope_seen)
        return LC_OK;
    positions = positions < m->rope_positions ? m->rope_positions : positions;
    while (n < positions)
        n *= 2;
    each = sets(m) * n * (m->config.head_dim / 2);
    host = mem_reallocn(NULL, tables(m), table_bytes(m, n));
    if (!host)
        return err_nomem(err);
    fill_sets(m, n, seen, host, host + each);
    if (tables(m) == 4) {
        scale_sets(m, n, host, host + 2 * each);
        scale_sets(m, n, host + each, host + 3 * each);
    }
    code = upload(m, host, tables(m) * table_bytes(m, n), err);
    mem_free(host);
    m->rope_positions = m->rope ? n : 0;
    m->rope_seen = seen;
    m->cosines = m->rope;
    m->sines = m->rope + each;
    m->q_cosines = m->rope + (tables(m) == 4 ? 2 * each : 0);
    m->q_sines = m->q_cosines + each;
    return code;
}
