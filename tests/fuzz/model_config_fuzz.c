/* model_config_fuzz.c: any bytes as config.json, adapter_config.json and training arguments: accepted or an error. */
#include "gpu/lora.h"
#include "gpu/model.h"
#include "gpu/trainer.h"
#include "runtime/base/buf.h"
#include "runtime/base/fs.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct model_config config;
    struct lora_config lora;
    struct training_args args;
    struct err err;
    json_t *object = json_loadb((const char *)data, size, 0, NULL);

    if (model_config_parse((const char *)data, size, "fuzz", &config, &err) == LC_OK) {
        struct buf text = BUF_INIT(1 << 20);
        struct model_config again;

        /* what is accepted can be written and read back */
        if (!model_config_write(&config, &text) ||
            model_config_parse(buf_str(&text), text.len, "again", &again, &err) != LC_OK ||
            model_config_parameters(&again) < 1)
            abort();
        buf_release(&text);
    }
    if (object && lora_config_from_json(object, &lora, &err) == LC_OK)
        lora_config_release(&lora);
    training_args_init(&args);
    if (object && training_args_from_json(&args, object, &err) == LC_OK &&
        training_args_check(&args, &err) == LC_OK)
        json_decref(training_args_to_json(&args));
    training_args_release(&args);
    json_decref(object);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
