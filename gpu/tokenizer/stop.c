#include "gpu/tokenizer/stop.h"
#include <stdint.h>
#include <string.h>

static size_t longest(const struct stop_texts *stops)
{
    size_t most = 0;

    for (size_t i = 0; i < stops->n; i++)
        most = strlen(stops->texts[i]) > most ? strlen(stops->texts[i]) : most;
    return most;
}

bool stop_cut(const struct stop_texts *stops, struct buf *text, size_t old)
{
    size_t reach = longest(stops), from = old > reach ? old - reach : 0, best = SIZE_MAX;

    for (size_t i = 0; i < stops->n && text->len > from; i++) {
        const char *one = stops->texts[i];
        const char *hit = *one ? memmem(text->data + from, text->len - from, one, strlen(one)) : NULL;

        if (hit && (size_t)(hit - text->data) < best)
            best = (size_t)(hit - text->data);
    }
    if (best == SIZE_MAX)
        return false;
    text->len = best;
    text->data[best] = '\0';
    return true;
}

size_t stop_visible(const struct stop_texts *stops, const struct buf *text)
{
    size_t held = 0;

    for (size_t i = 0; i < stops->n; i++)
        for (size_t n = strlen(stops->texts[i]); n-- > held + 1;)
            if (n <= text->len && memcmp(text->data + text->len - n, stops->texts[i], n) == 0) {
                held = n;
                break;
            }
    return text->len - held;
}
