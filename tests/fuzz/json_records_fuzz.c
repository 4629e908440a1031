/* json_records_fuzz.c: no bytes may crash the reader of JSON records or the finder of columns; parts lie within what was read. */
#include "runtime/dataframe/json/guess.h"
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/replay.h"

static void look_at(const struct record *r, const char *s, size_t len)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct record_node *n = &r->nodes[i];
        unsigned sum = 0;

        if (n->raw < s || n->raw + n->raw_len > s + len || n->first >= r->n || n->next >= r->n)
            abort();
        for (size_t k = 0; k < n->text_len; k++)
            sum += (unsigned char)n->text[k];
        for (size_t k = 0; k < n->name_len; k++)
            sum += (unsigned char)n->name[k];
        if (sum > (n->text_len + n->name_len) * 255)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_options o;
    struct record r = {0};
    struct guess *g;
    struct err err;
    const struct dtype *schema;
    char *text;

    if (size < 1)
        return 0;
    json_defaults(&o);
    o.single_quotes = data[0] & 1;
    o.unquoted_names = data[0] & 2;
    o.comments = data[0] & 4;
    o.any_escape = data[0] & 8;
    o.control_characters = data[0] & 16;
    o.prefers_decimal = data[0] & 32;
    o.drop_null_fields = data[0] & 64;
    text = malloc(size); /* its own piece of memory: a step too far is seen */
    g = guess_new(&o);
    if (text && g) {
        memcpy(text, data + 1, --size);
        if (record_parse(&o, text, size, &r) == RECORD_GOOD) {
            look_at(&r, text, size);
            if (!guess_add(g, &r))
                guess_malformed(g);
            if (guess_schema(g, &schema, &err) == LC_OK)
                dtype_unref(schema);
        }
    }
    guess_free(g);
    record_release(&r);
    free(text);
    return 0;
}
