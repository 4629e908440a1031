/* worker_wire_fuzz.c: any bytes as a message from a worker or a coordinator, and as a worker's key file. */
#include "runtime/train/keys.h"
#include "runtime/train/wire.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_side(const uint8_t *data, size_t head, size_t size, enum wire_side from)
{
    struct wire_msg m;
    struct err err;

    if (wire_parse(data, head, data + head, size - head, from, &m, &err) == LC_OK) {
        if (!json_is_object(m.head) || strcmp(wire_text(&m, "type"), wire_kind_name(m.kind)) != 0)
            abort();
        wire_msg_release(&m);
    }
}

/* The head ends at the first NUL; what follows is the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t head = nul ? (size_t)(nul - data) : size;
    struct worker_key k;
    struct err err;
    char *text = malloc(size + 1);

    one_side(data, head, size, WIRE_WORKER);
    one_side(data, head, size, WIRE_COORDINATOR);
    if (text) {
        memcpy(text, data, size);
        text[size] = '\0';
        (void)wire_is_path(text);
        if (worker_key_parse(text, &k, &err) == LC_OK)
            key_wipe(&k.mine);
    }
    free(text);
    return 0;
}

#ifndef FUZZ_ENGINE /* replays files */
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        uint8_t *bytes = malloc(1 << 22);
        size_t n = f && bytes ? fread(bytes, 1, 1 << 22, f) : 0;
        if (bytes)
            (void)LLVMFuzzerTestOneInput(bytes, n);
        if (f)
            (void)fclose(f);
        free(bytes);
    }
    return 0;
}
#endif
