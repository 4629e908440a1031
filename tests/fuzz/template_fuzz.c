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

#ifndef FUZZING_ENGINE
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct buf b = BUF_INIT(BUF_TEXT_MAX);
        struct err err;
        if (fs_read(argv[i], &b, &err) != LC_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)buf_str(&b), b.len);
        buf_release(&b);
    }
    return 0;
}
#endif
