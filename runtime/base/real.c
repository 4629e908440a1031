#include "runtime/base/real.h"
#include <math.h>
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
