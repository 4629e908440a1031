#include "magics/timing.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A minute or more: "1h 2min 3s". */
static void long_text(double seconds, char out[TIMING_TEXT])
{
    static const struct {
        const char *suffix;
        double length;
    } parts[] = {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}};
    double left = seconds;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof parts / sizeof *parts && left >= 1; i++) {
        double value = floor(left / parts[i].length);
        size_t used = strlen(out);
        if (value <= 0)
            continue;
        left = fmod(left, parts[i].length);
        snprintf(out + used, TIMING_TEXT - used, "%s%.0f%s", used ? " " : "", value, parts[i].suffix);
    }
}

void timing_text(double seconds, char out[TIMING_TEXT])
{
    timing_text_digits(seconds, 3, out);
}

void timing_text_digits(double seconds, int digits, char out[TIMING_TEXT])
{
    static const char *const units[] = {"s", "ms", "μs", "ns"};
    static const double scale[] = {1, 1e3, 1e6, 1e9};
    int order = 3;

    if (seconds >= 60) {
        long_text(seconds, out);
        return;
    }
    if (seconds > 0)
        order = -(int)floor(floor(log10(seconds)) / 3);
    order = order < 0 ? 0 : order > 3 ? 3 : order;
    snprintf(out, TIMING_TEXT, "%.*g %s", digits, seconds * scale[order], units[order]);
}
