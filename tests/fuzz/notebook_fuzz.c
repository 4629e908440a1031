/* notebook_fuzz.c: no bytes may crash the notebook reader; what it accepts must be written and read again. */
#include "runtime/notebook/kept.h"
#include "runtime/notebook/notebook.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is marked comes back byte by byte. */
static void kept_comes_back(const uint8_t *data, size_t size)
{
    struct buf marked = BUF_INIT(1 << 24);

    if (kept_mark((const char *)data, size, &marked) &&
        (kept_restore(marked.data, marked.len) != size || memcmp(marked.data, data, size) != 0))
        abort();
    buf_release(&marked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct notebook *nb;
    struct buf source = BUF_INIT(1 << 20);
    struct err err;

    kept_comes_back(data, size);
    if (notebook_parse((const char *)data, size, "fuzz", &nb, &err) != LC_OK)
        return 0;
    for (size_t i = 0; i < notebook_cell_count(nb); i++) {
        json_t *cell = notebook_cell(nb, i);
        if (!cell_id(cell) || (cell_is_code(cell) && !cell_outputs(cell)))
            abort();
        cell_source(cell, &source);
    }
    buf_release(&source);
    notebook_free(nb);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
