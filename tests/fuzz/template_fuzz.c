/* template_fuzz.c: any template renders or gives an error. */
#include "gpu/tokenizer/template.h"
#include "runtime/base/fs.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *vars = json_pack("{s:[{s:s,s:s},{s:s,s:s}],s:b,s:s,s:i,s:[i,i]}", "messages", "role", "user",
                             "content", " Hi ", "role", "assistant", "content", "b\n",
                             "add_generation_prompt", 1, "bos_token", "<s>", "n", 7, "l", 1, 2);
    struct buf out = BUF_INIT(1 << 20);
    struct err err = {.message = ""};

    if (template_render((const char *)data, size, vars, &out, &err) != LC_OK && !err.message[0])
        abort();
    buf_release(&out);
    json_decref(vars);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
