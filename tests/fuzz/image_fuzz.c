/* image_fuzz.c: no bytes may lead the look at an image past their end; what is refused is refused with a reason. */
#include "runtime/session/image.h"
#include <string.h>

#include "tests/fuzz/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"image/png", "image/jpeg", "image/gif", "image/webp",
                                        "image/svg+xml"};
    char *bytes = malloc(size ? size : 1); /* its own piece of memory: a step too far is seen */
    struct err err;

    if (!bytes)
        return 0;
    if (size)
        memcpy(bytes, data, size);
    (void)image_type(bytes, size);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        err_clear(&err);
        if (image_check(types[i], "it", bytes, size, &err) != LC_OK && !strstr(err.message, "cannot show"))
            abort();
    }
    free(bytes);
    return 0;
}
