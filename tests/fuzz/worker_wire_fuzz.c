/* worker_wire_fuzz.c: any bytes as a message from a worker or a coordinator, and as a worker's key file. */
#include "runtime/train/frame.h"
#include "runtime/train/keys.h"
#include "runtime/train/wire.h"
#include <stdlib.h>
#include <string.h>

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

/* As a message of the ring; then with the checksum that it should have, so that the rest is looked at, too. */
static void as_frame(const uint8_t *data, size_t size)
{
    struct frame_key key;
    struct frame f;
    struct err err;
    uint8_t *bytes;

    frame_key_from("of this run", &key);
    if (frame_read(&key, data, size, &f, &err) == LC_OK || size < FRAME_HEAD ||
        size > FRAME_HEAD + FRAME_PART || !(bytes = malloc(size)))
        return;
    f = (struct frame){.kind = (enum frame_kind)(data[6] % 6),
                       .from = data[32],
                       .call = data[16],
                       .offset = data[24],
                       .len = (uint32_t)(size - FRAME_HEAD),
                       .part = data + FRAME_HEAD};
    frame_write(&key, &f, bytes);
    if (frame_read(&key, bytes, size, &f, &err) == LC_OK &&
        (f.len != size - FRAME_HEAD || f.kind < FRAME_SUM || f.kind > FRAME_ABORT ||
         memcmp(f.part, data + FRAME_HEAD, f.len) != 0))
        abort();
    free(bytes);
}

/* The head ends at the first NUL; what follows is the payload. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t head = nul ? (size_t)(nul - data) : size;
    struct worker_key k;
    struct err err;
    char *text = malloc(size + 1);

    one_side(data, head, size, WIRE_WORKER);
    one_side(data, head, size, WIRE_COORDINATOR);
    as_frame(data, size);
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

#include "tests/fuzz/replay.h"
