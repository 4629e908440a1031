#include "gpu/fp8.h"
#include <math.h>
#include <stddef.h>

static const struct format {
    int digits, lowest; /* of the mantissa; exponent of the smallest normal number */
    float most;
} FORMATS[] = {[FP8_E4M3] = {3, -6, 448}, [FP8_E5M2] = {2, -14, 57344}};

float fp8_largest(enum fp8 kind)
{
    return FORMATS[kind].most;
}

/* magnitude in units of 2^(exponent - digits): 2^digits to 2^(digits + 1), fewer for what is below the normal numbers. */
static float units_of(const struct format *f, float magnitude, int *exponent)
{
    *exponent = magnitude < ldexpf(1, f->lowest) ? f->lowest : ilogbf(magnitude);
    return nearbyintf(ldexpf(magnitude, f->digits - *exponent));
}

float fp8_nearest(enum fp8 kind, float x)
{
    const struct format *f = &FORMATS[kind];
    float units;
    int exponent;

    if (isnan(x))
        return x;
    if (fabsf(x) >= f->most)
        return copysignf(f->most, x);
    units = units_of(f, fabsf(x), &exponent);
    return copysignf(ldexpf(units, exponent - f->digits), x);
}

uint8_t fp8_code(enum fp8 kind, float x)
{
    const struct format *f = &FORMATS[kind];
    float magnitude = fminf(fabsf(x), f->most);
    int sign = signbit(x) ? 0x80 : 0, exponent, units, one = 1 << f->digits;

    if (isnan(x))
        return (uint8_t)(sign | 0x7f);
    units = (int)units_of(f, magnitude, &exponent);
    if (units == 2 * one) {
        units = one;
        exponent++;
    }
    return (uint8_t)(units < one ? sign | units
                                 : sign | (exponent - f->lowest + 1) << f->digits | (units - one));
}

float fp8_scale(enum fp8 kind, const float *x, const float *factors, int64_t n)
{
    float most = 0;

    for (int64_t i = 0; i < n; i++) {
        float magnitude = fabsf(factors ? x[i] * factors[i] : x[i]);

        most = magnitude > most ? magnitude : most;
    }
    return most / FORMATS[kind].most;
}

float fp8_left(enum fp8 kind, float x, float factor, float scale)
{
    float value;

    if (scale <= 0)
        return isnan(x) ? x : 0;
    value = fp8_nearest(kind, x * factor / scale) * scale;
    return factor != 0 ? value / factor : 0;
}
