/* wire_fuzz.c: any bytes as the frames of a message. The input is frames, each after its length (two bytes, big
 * end first). Built with clang -fsanitize=fuzzer it is a fuzzer; as it is, it replays its file arguments. */
#include "kernel/wire.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t split(const uint8_t *data, size_t size, struct kwire_part *parts, size_t max)
{
    size_t n = 0;

    while (size >= 2 && n < max) {
        size_t len = (size_t)data[0] << 8 | data[1];

        data += 2;
        size -= 2;
        if (len > size)
            len = size;
        parts[n++] = (struct kwire_part){data, len};
        data += len;
        size -= len;
    }
    return n;
}

static void parse_with(const char *key, size_t key_len, const struct kwire_part *parts, size_t n)
{
    struct kwire *w;
    struct kwire_message m;
    struct err err;

    if (kwire_open(key, key_len, &w, &err) != LC_OK)
        abort();
    if (kwire_parse(w, parts, n, &m, &err) == LC_OK && (!m.content || !m.header || !m.type))
        abort();
    kwire_message_release(&m);
    kwire_close(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kwire_part parts[WIRE_PARTS_MAX + 8];
    size_t n = split(data, size, parts, sizeof parts / sizeof *parts);

    parse_with("", 0, parts, n);
    parse_with("key", 3, parts, n);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
