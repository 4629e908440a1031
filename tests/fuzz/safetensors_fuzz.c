/* safetensors_fuzz.c: any bytes either open, with every view inside them, or give an error. */
#include "gpu/safetensors.h"
#include "runtime/base/buf.h"
#include "runtime/base/fs.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors *st;
    struct err err;

    if (safetensors_from_memory(data, size, "fuzz", &st, &err) != LC_OK)
        return 0;
    for (size_t i = 0; i < safetensors_count(st); i++) {
        const struct safetensor *t = safetensors_at(st, i);
        const uint8_t *start = t->data;
        if (start < data || start + t->bytes > data + size || safetensors_find(st, t->name) != t)
            abort();
    }
    safetensors_close(st);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
