#include "runtime/base/real.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char key[] = "$numberDouble";

json_t *real_json(double value)
{
    if (isfinite(value))
        return json_real(value);
    return json_pack("{s:s}", key, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
}

bool real_read(const json_t *json, double *value)
{
    static const struct {
        const char *text;
        double value;
    } words[] = {{"Infinity", INFINITY}, {"-Infinity", -INFINITY}, {"NaN", NAN}};
    const char *text = json_object_size(json) == 1 ? json_string_value(json_object_get(json, key)) : NULL;

    for (size_t i = 0; text && i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i].text) == 0) {
            *value = words[i].value;
            return true;
        }
    return false;
}

int real_text(double value, char out[REAL_TEXT])
{
    char e[REAL_TEXT], digits[20], *from = e;
    int n = 0, point, len = 0;

    /* 15 digits are the shortest of a number but for zeros; a subnormal one has fewer */
    for (int precision = fabs(value) < DBL_MIN ? 0 : 14; precision <= 16; precision++) {
        snprintf(e, sizeof e, "%.*e", precision, value);
        if (strtod(e, NULL) == value)
            break;
    }
    if (*from == '-')
        out[len++] = *from++;
    for (; *from != 'e'; from++)
        if (*from != '.')
            digits[n++] = *from;
    point = 1 + (int)strtol(from + 1, NULL, 10);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (point <= -4 || point > 16)
        return len + snprintf(out + len, (size_t)(REAL_TEXT - len), "%.1s%s%.*se%+03d", digits,
                              n > 1 ? "." : "", n - 1, digits + 1, point - 1);
    if (point <= 0)
        return len + snprintf(out + len, (size_t)(REAL_TEXT - len), "0.%.*s%.*s", -point, "000", n, digits);
    if (n <= point)
        return len + snprintf(out + len, (size_t)(REAL_TEXT - len), "%.*s%.*s.0", n, digits, point - n,
                              "0000000000000000");
    return len + snprintf(out + len, (size_t)(REAL_TEXT - len), "%.*s.%.*s", point, digits, n - point,
                          digits + point);
}
