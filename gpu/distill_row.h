/* distill_row.h: the loss of one token that is learned from a teacher, for the backends.
 *
 * What      alpha T^2 KL(teacher || student), both at temperature T, and (1 - alpha) cross-entropy (Hinton et al.
 *           2015, arXiv:1503.02531), and its gradient.
 * Ownership none: reads t, replaces z by the gradient.
 * Units     nats.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     float z[] = {1, 2, 3}, t[] = {3, 2, 1};
 *     float loss = distill_row(z, t, 3, 0, 2, 0.5, 1, true);
 *     if (loss > z[0])
 *         return LC_OK;
 */
#ifndef LACUS_GPU_DISTILL_ROW_H
#define LACUS_GPU_DISTILL_ROW_H
#include "gpu/backend_args.h"
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

static inline double distill_lse(const float *z, int64_t n, double temperature)
{
    double most = (double)z[0], sum = 0;

    for (int64_t j = 1; j < n; j++)
        most = (double)z[j] > most ? (double)z[j] : most;
    for (int64_t j = 0; j < n; j++)
        sum += exp(((double)z[j] - most) / temperature);
    return most / temperature + log(sum);
}

/* z, t: logits of student and teacher, [n]. scale: of the gradient that replaces z. */
static inline float distill_row(float *z, const float *t, int64_t n, int32_t target, double temperature,
                                double alpha, double scale, bool gradient)
{
    double soft = distill_lse(z, n, temperature), teacher = distill_lse(t, n, temperature);
    double hard = distill_lse(z, n, 1), divergence = 0, nll = hard - (double)z[target];

    for (int64_t j = 0; j < n; j++) {
        double q = (double)z[j] / temperature - soft, p = (double)t[j] / temperature - teacher,
               weight = exp(p);
        double g = alpha * temperature * (exp(q) - weight) + (1 - alpha) * exp((double)z[j] - hard);

        divergence += weight * (p - q);
        if (gradient)
            z[j] = (float)(scale * (g - (j == target ? 1 - alpha : 0)));
    }
    return (float)(alpha * temperature * temperature * divergence + (1 - alpha) * nll);
}
#endif
