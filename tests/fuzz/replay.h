/* replay.h: the main of a fuzz target that is built without a fuzzer: replays each file argument.
 *
 * Ownership none. Errors: a file that cannot be read ends the run with 1. Threads: one. Include it last.
 *
 * Example:
 *     build/fuzz/wire_fuzz tests/fuzz/corpus/wire/hello
 */
#ifndef LACUS_TESTS_FUZZ_REPLAY_H
#define LACUS_TESTS_FUZZ_REPLAY_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifndef LIBFUZZER /* whose own main calls the target */
static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, n;
    uint8_t chunk[4096];

    if (!f)
        return perror(path), 1;
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        uint8_t *bigger = realloc(data, size + n);
        if (!bigger)
            break;
        data = bigger;
        for (size_t i = 0; i < n; i++)
            data[size + i] = chunk[i];
        size += n;
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;

    for (int i = 1; i < argc; i++)
        failed |= replay_file(argv[i]);
    printf("%s: %d inputs\n", argv[0], argc - 1);
    return failed;
}
#endif
#endif
