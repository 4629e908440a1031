/* arrow_ipc_fuzz.c: no bytes of a server may crash the reader of Arrow streams, and what it accepts has buffers as long as it says: every
 * value can be looked at. */
#include "runtime/dataframe/ipc.h"
#include <string.h>

#include "tests/fuzz/replay.h"

/* A length that no machine has is the system's to refuse: the reader asks for the memory, and is told no. */
extern const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static uint64_t seen;

static void look(const struct ArrowSchema *s, const struct ArrowArray *a, int64_t from, int64_t n, int depth)
{
    for (int64_t i = from; i < from + n && i < from + 1000; i++) {
        int64_t first, last;
        size_t len;
        const char *text = arrow_text(s->format, a, i, &len);

        seen += arrow_is_null(a, i);
        if (text && len)
            seen += (uint8_t)text[0] + (uint8_t)text[len - 1];
        if (s->format[0] == '+' && s->format[1] != 's' && depth < 8) {
            arrow_items(s->format, a, i, &first, &last);
            if (first < last)
                look(s->children[0], a->children[0], first, last - first, depth + 1);
        }
    }
    for (int64_t c = 0; strcmp(s->format, "+s") == 0 && c < s->n_children && depth < 8; c++)
        look(s->children[c], a->children[c], from + a->offset, n, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ArrowSchema schema;
    struct ipc_batches batches;
    struct err err;

    if (size > 1 << 20 || lacus_arrow_ipc.read(data, size, &schema, &batches, &err) != LC_OK)
        return 0;
    for (size_t i = 0; i < batches.n; i++)
        look(&schema, &batches.items[i], 0, batches.items[i].length, 0);
    ipc_batches_release(&batches);
    schema.release(&schema);
    return 0;
}
