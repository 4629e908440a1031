/* notebook_fuzz.c: no bytes may crash the notebook reader; what it accepts must be written and read again. */
#include "runtime/base/fs.h"
#include "runtime/notebook/notebook.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct notebook *nb;
    struct buf source = BUF_INIT(1 << 20);
    struct err err;

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
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct buf text = BUF_INIT(1 << 24);
        struct err err;
        if (fs_read(argv[i], &text, &err) != LC_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&text), text.len);
        buf_release(&text);
    }
    printf("notebook: %d inputs\n", argc - 1);
    return 0;
}
#endif
