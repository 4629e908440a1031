/* tokenizer_fuzz.c: any tokenizer.json loads or gives an error, and then encodes and decodes without harm. */
#include "gpu/tokenizer/tokenizer.h"
#include "runtime/base/fs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "Hello <s> w\xc3\xb6rld 123\n\n  \xe6\x97\xa5\xe6\x9c\xac <|x|>it's";
    struct tokenizer *tok;
    struct encoding enc = ENCODING_INIT;
    struct buf out = BUF_INIT(1 << 20);
    struct err err;

    if (tokenizer_parse((const char *)data, size, &tok, &err) != LC_OK)
        return 0;
    if (tokenizer_encode(tok, text, sizeof text - 1, TOKENIZER_SPECIAL | TOKENIZER_OFFSETS, &enc, &err) ==
        LC_OK) {
        for (size_t i = 0; i < enc.n; i++)
            if (enc.ids[i] < 0 || (size_t)enc.ids[i] >= tokenizer_vocab_size(tok))
                abort();
        if (tokenizer_decode(tok, enc.ids, enc.n, false, &out, &err) != LC_OK)
            fprintf(stderr, "%s\n", err.message);
    }
    buf_release(&out);
    encoding_release(&enc);
    tokenizer_free(tok);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
