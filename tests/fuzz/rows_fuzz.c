/* rows_fuzz.c: any bytes as a job's file of rows are rows, within their limits, or an error with its row. */
#include "runtime/base/buf.h"
#include "runtime/train/examples.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct example_options o = {.max_length = 16};
    struct examples *e = examples_new();
    struct rows *r = NULL;
    struct row row;
    struct err err;
    enum lc rc = LC_OK;
    char path[40];
    int fd = memfd_create("rows", MFD_CLOEXEC);

    if (!e || fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (rows_open(path, &r, &err) == LC_OK) {
        while (rc == LC_OK && rows_next(r, &row, &rc, &err))
            if (row.tokens && examples_add(e, NULL, &row, &o, &err) != LC_OK)
                abort();
        for (int64_t i = 0; i < examples_dataset(e)->n; i++)
            if (examples_dataset(e)->examples[i].n > 16)
                abort();
        rows_close(r);
    }
    examples_free(e);
    close(fd);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
