/* hub_fuzz.c: no answer of a Hub may crash its parsers, and no name that is accepted may leave its folder. */
#include "runtime/base/mem.h"
#include "runtime/hub/answer.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(const struct hub_listing *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const char *name = l->names[i];
        size_t n = strlen(name);
        if (name[0] == '/' || strstr(name, "/../") || strncmp(name, "../", 3) == 0 ||
            strcmp(name, "..") == 0 || (n > 2 && strcmp(name + n - 3, "/..") == 0) ||
            (i && strcmp(l->names[i - 1], name) >= 0))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hub_listing l;
    struct hub_head head;
    struct err err;
    char *text = mem_strndup((const char *)data, size);

    if (hub_listing_parse((const char *)data, size, &l, &err) == LC_OK) {
        check(&l);
        if (!hub_is_sha(l.sha))
            abort();
        hub_listing_release(&l);
    }
    if (hub_index_parse((const char *)data, size, &l, &err) == LC_OK) {
        check(&l);
        hub_listing_release(&l);
    }
    if (text && hub_head_parse(text, size % 2, &head, &err) == LC_OK &&
        (strchr(head.etag, '/') || head.etag[0] == '.'))
        abort();
    if (text && hub_range_begin(text) < -1)
        abort();
    if (text && (hub_id_ok(text) || hub_revision_ok(text)) && strstr(text, "../"))
        abort();
    mem_free(text);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
