/* ref_dora.c: weights of a low-rank update scaled to a learned length, row by row. */
#include "gpu/ref/ref_int.h"
#include <math.h>

/* |W + s B A|^2 of row j is |W_j|^2 + 2 s b_j . (A W_j) + s^2 b_j (A A^T) b_j. */
static double row_square(const struct dora_arg *a, int64_t j)
{
    const float *b = a->b + j * a->rank;
    double cross = 0, low = 0, s = (double)a->scale;

    for (int64_t k = 0; k < a->rank; k++) {
        double along = 0;

        for (int64_t l = 0; l < a->rank; l++)
            along += (double)a->aa[k * a->rank + l] * (double)b[l];
        low += along * (double)b[k];
        cross += (double)a->aw[k * a->out + j] * (double)b[k];
    }
    return (double)a->squares[j] + 2 * s * cross + s * s * low;
}

void ref_dora_factors(void *state, struct backend_stream *s, const struct dora_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t j = 0; j < a->out; j++) {
        double norm = sqrt(fmax(row_square(a, j), 0));

        a->inverse[j] = (float)(1 / norm);
        a->factor[j] = (float)((double)a->magnitude[j] / norm);
    }
}

void ref_dora_forward(void *state, struct backend_stream *s, const struct dora_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t j = 0; j < a->out; j++)
            a->y[i * a->out + j] = a->y[i * a->out + j] * a->factor[j] + (a->bias ? a->bias[j] : 0);
}

void ref_dora_backward(void *state, struct backend_stream *s, const struct dora_arg *a)
{
    (void)state;
    (void)s;
    for (int64_t j = 0; j < a->out && a->dmagnitude; j++) {
        double sum = 0;

        for (int64_t i = 0; i < a->rows; i++)
            sum += (double)a->dy[i * a->out + j] * (double)a->raw[i * a->out + j];
        a->dmagnitude[j] += (float)(sum * (double)a->inverse[j]);
    }
    for (int64_t j = 0; j < a->out && a->dbias; j++) {
        double sum = 0;

        for (int64_t i = 0; i < a->rows; i++)
            sum += (double)a->dy[i * a->out + j];
        a->dbias[j] += (float)sum;
    }
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t j = 0; j < a->out; j++)
            a->draw[i * a->out + j] = a->dy[i * a->out + j] * a->factor[j];
}
