/* place_fuzz.c: where the cursor stands in any text, and signatures made of it. */
#include "runtime/session/manual.h"
#include "runtime/session/place.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct place *p = malloc(sizeof *p);
    struct manual_call *call = malloc(sizeof *call), *fields = malloc(sizeof *fields);
    struct buf out = BUF_INIT(1 << 20);
    char *text = malloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    place_find(text, size, p);
    if (p->kind == PLACE_STRING && (p->string < text || p->string > text + size))
        abort();
    if (p->kind == PLACE_NAME && (p->chain.n < 1 || p->chain.n > PLACE_PARTS))
        abort();
    for (int i = 0; i < p->chain.n; i++)
        if (p->chain.parts[i].name < text || p->chain.parts[i].name + p->chain.parts[i].len > text + size)
            abort();
    if (manual_parse((struct manual_text){text, size}, call))
        for (int i = 0; i < call->n; i++) {
            manual_param_type(&call->params[i], &out);
            manual_fields(call->params[i].type, fields);
        }
    buf_release(&out);
    free(text);
    free(fields);
    free(call);
    free(p);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
