/* filter_fuzz.c: no search text may crash the reader, and what it accepts is SQL with as many values as question marks,
 * and no text of the user in it. */
#include "runtime/tracking/filter.h"
#include <string.h>

#include "tests/fuzz/replay.h"

static const struct filter_field fields[] = {
    {NULL, "metrics|metric", FILTER_NUMBER, "(SELECT value FROM m WHERE key = ?) {}"},
    {NULL, "tags|tag", FILTER_TEXT, "(SELECT value FROM t WHERE key = ?) {}"},
    {"status", "?attributes|attribute", FILTER_TEXT, "status {}"},
    {"start_time", "?attributes|attribute", FILTER_NUMBER, "start_time {}"},
    {0},
};

static void check(const struct filter *f)
{
    size_t marks = 0;

    for (const char *s = buf_str(&f->sql); *s; s++) {
        marks += *s == '?';
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_ ()=<>!?,", *s))
            abort();
    }
    if (marks != f->n_values)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct filter f;
    struct err err;
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (filter_parse(text, fields, &f, &err) == LC_OK)
        check(&f);
    filter_release(&f);
    filter_init(&f);
    if (filter_order(text, fields, &f, &err) == LC_OK)
        check(&f);
    filter_release(&f);
    free(text);
    return 0;
}
