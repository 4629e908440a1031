/* csv_fuzz.c: no bytes may crash the reader of records; its fields lie within what was read, and reading on always gets somewhere. */
#include "runtime/dataframe/csv/value.h"
#include <string.h>

#include "tests/fuzz/replay.h"

static void look_at(const struct csv_options *o, const struct csv_row *row)
{
    struct csv_guess g = {CSV_NOTHING, 0};

    for (size_t i = 0; i < row->n; i++) {
        unsigned sum = 0;

        for (size_t k = 0; k < row->fields[i].len; k++)
            sum += (unsigned char)row->fields[i].s[k];
        if (sum > row->fields[i].len * 255)
            abort();
        csv_guess_add(&g, o, row->fields[i].s, row->fields[i].len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const separators[] = {",", ";", "||", "\\t"};
    struct csv_options o;
    struct csv_row row = {0};
    struct err err;
    char *text;
    size_t at = 0, used = 0, rows = 0;

    if (size < 2)
        return 0;
    csv_defaults(&o);
    if (csv_option(&o, "sep", separators[data[0] & 3], &err) != LC_OK ||
        csv_option(&o, "escape", data[0] & 4 ? "\"" : "\\", &err) != LC_OK ||
        csv_option(&o, "unescapedQuoteHandling",
                   data[0] & 8 ? "SKIP_VALUE"
                               : (data[0] & 16 ? "STOP_AT_CLOSING_QUOTE" : "STOP_AT_DELIMITER"),
                   &err) != LC_OK ||
        csv_option(&o, "ignoreLeadingWhiteSpace", data[0] & 32 ? "true" : "false", &err) != LC_OK)
        abort();
    text = malloc(size); /* its own piece of memory: a step too far is seen */
    if (!text)
        return 0;
    memcpy(text, data + 1, --size);
    while (csv_record(&o, data[0] & 64, text + at, size - at, true, &row, &used) == CSV_RECORD && at < size) {
        look_at(&o, &row);
        if (used == 0 || used > size - at || ++rows > size)
            abort();
        at += used;
    }
    csv_row_release(&row);
    free(text);
    return 0;
}
