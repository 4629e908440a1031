/* yaml_fuzz.c: any bytes as the YAML of a run's parameters: what comes is JSON that can be written, no deeper and no larger than
 * the contract says; what does not come has a message. */
#include "runtime/notebook/yaml.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
enum lc lacus_yaml(const char *text, size_t len, const char *name, json_t **out, struct err *err);

static size_t count(const json_t *value, int depth)
{
    size_t n = 1, i;
    const char *key;
    json_t *one;

    if (depth > YAML_DEPTH)
        abort();
    if (json_is_array(value))
        json_array_foreach (value, i, one)
            n += count(one, depth + 1);
    json_object_foreach ((json_t *)(uintptr_t)value, key, one)
        n += count(one, depth + 1);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value = NULL, *again;
    struct err err;
    char *text;

    err_clear(&err);
    if (lacus_yaml(data ? (const char *)data : "", size, "-y", &value, &err) != LC_OK) {
        if (value || !err.code || !err.message[0] || !strstr(err.message, "-y"))
            abort();
        return 0;
    }
    if (!value || count(value, 0) > YAML_NODES)
        abort();
    text = json_dumps(value, JSON_ENCODE_ANY);
    again = text ? json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    if (!again)
        abort();
    json_decref(again);
    free(text);
    json_decref(value);
    return 0;
}

#ifndef LIBFUZZER
#include "tests/fuzz/replay.h"
#endif
