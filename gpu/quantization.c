#include "gpu/quantization.h"
#include "gpu/quant.h"
#include "runtime/base/nearest.h"
#include <string.h>

struct reading {
    bool four, eight, twice, fp8;
    const char *type, *compute, *scheme;
};

enum kind { FLAG, TEXT, NEUTRAL };

static const struct key {
    const char *name;
    enum kind kind;
    size_t offset; /* into struct reading */
} KEYS[] = {
    {"load_in_4bit", FLAG, offsetof(struct reading, four)},
    {"load_in_8bit", FLAG, offsetof(struct reading, eight)},
    {"bnb_4bit_use_double_quant", FLAG, offsetof(struct reading, twice)},
    {"bnb_4bit_quant_type", TEXT, offsetof(struct reading, type)},
    {"bnb_4bit_compute_dtype", TEXT, offsetof(struct reading, compute)},
    {"activation_scheme", TEXT, offsetof(struct reading, scheme)}, /* of FP8 */
    /* of Python's memory layout and of int8 outliers: they change nothing here */
    {"bnb_4bit_quant_storage", NEUTRAL, 0},
    {"llm_int8_threshold", NEUTRAL, 0},
    {"llm_int8_has_fp16_weight", NEUTRAL, 0},
    {"_load_in_4bit", NEUTRAL, 0},
    {"_load_in_8bit", NEUTRAL, 0},
    {"quant_method", NEUTRAL, 0},
};
enum { N_KEYS = sizeof KEYS / sizeof *KEYS };

static bool empty(const json_t *v)
{
    return json_is_null(v) || json_is_false(v) || (json_is_array(v) && json_array_size(v) == 0);
}

static enum lc unknown(const char *key, const json_t *v, struct err *err)
{
    static const char *const refused[] = {"llm_int8_skip_modules", "llm_int8_enable_fp32_cpu_offload",
                                          "modules_to_not_convert", "weight_block_size"};
    const char *names[N_KEYS], *near;

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(key, refused[i]) == 0)
            return empty(v) ? LC_OK
                            : err_set(err, LC_UNSUPPORTED, "BitsAndBytesConfig: '%s' is not supported", key);
    for (size_t i = 0; i < N_KEYS; i++)
        names[i] = KEYS[i].name;
    near = nearest_one(key, names, N_KEYS);
    err_set(err, LC_ARG, "BitsAndBytesConfig has no field '%s'", key);
    return near ? err_hint(err, "did you mean '%s'?", near) : LC_ARG;
}

static enum lc read_key(struct reading *r, const char *name, const json_t *v, struct err *err)
{
    const struct key *k = KEYS;

    while (k < KEYS + N_KEYS && strcmp(k->name, name) != 0)
        k++;
    if (k == KEYS + N_KEYS)
        return unknown(name, v, err);
    if (k->kind == NEUTRAL || json_is_null(v))
        return LC_OK;
    if (k->kind == FLAG ? !json_is_boolean(v) : !json_is_string(v))
        return err_set(err, LC_ARG, "BitsAndBytesConfig: '%s' is not %s", name,
                       k->kind == FLAG ? "true or false" : "a text");
    if (k->kind == FLAG)
        *(bool *)((char *)r + k->offset) = json_is_true(v);
    else
        *(const char **)((char *)r + k->offset) = json_string_value(v);
    return LC_OK;
}

static enum lc read_method(struct reading *r, const json_t *object, struct err *err)
{
    const char *method = json_string_value(json_object_get(object, "quant_method"));

    if (!method || strncmp(method, "bitsandbytes", 12) == 0)
        return LC_OK;
    r->fp8 = strcmp(method, "fp8") == 0;
    if (r->fp8)
        return LC_OK;
    err_set(err, LC_UNSUPPORTED, "quantization method '%s' is not supported", method);
    return err_hint(err, "BitsAndBytesConfig{load_in_4bit = true} and {quant_method = \"fp8\"} are");
}

static enum lc choose(const struct reading *r, struct quantization *out, struct err *err)
{
    const char *type = r->type ? r->type : "fp4"; /* as bitsandbytes defaults */

    if (r->four + r->eight + r->fp8 > 1)
        return err_set(err, LC_ARG,
                       "BitsAndBytesConfig: weights are kept in 4 bits, in 8 bits or in FP8, not in two");
    if (strcmp(type, "nf4") != 0 && strcmp(type, "fp4") != 0)
        return err_set(err, LC_ARG, "BitsAndBytesConfig: 'bnb_4bit_quant_type' is '%s': not nf4 or fp4",
                       type);
    if (r->compute) {
        out->compute = dtype_from_torch(r->compute);
        if (out->compute != DTYPE_F32 && out->compute != DTYPE_BF16)
            return err_set(
                err, LC_UNSUPPORTED,
                "BitsAndBytesConfig: 'bnb_4bit_compute_dtype' is '%s': supported are float32 and bfloat16",
                r->compute);
    }
    if (r->scheme && strcmp(r->scheme, "dynamic") != 0)
        return err_set(err, LC_UNSUPPORTED, "quantization: 'activation_scheme' is '%s': supported is dynamic",
                       r->scheme);
    if (r->fp8 && r->scheme)
        out->compute = DTYPE_FP8;
    if (r->four)
        out->linear = quant_double(strcmp(type, "nf4") == 0 ? DTYPE_NF4 : DTYPE_FP4, r->twice);
    else
        out->linear = r->eight ? DTYPE_INT8 : r->fp8 ? DTYPE_FP8 : DTYPE_NONE;
    return LC_OK;
}

enum lc quantization_from_json(const json_t *object, struct quantization *out, struct err *err)
{
    struct reading r = {0};
    const char *name;
    json_t *v;

    *out = (struct quantization){DTYPE_NONE, DTYPE_NONE};
    if (!object || json_is_null(object))
        return LC_OK;
    if (!json_is_object(object))
        return err_set(err, LC_ARG, "quantization is a table: BitsAndBytesConfig{load_in_4bit = true, …}");
    json_object_foreach ((json_t *)(uintptr_t)object, name, v)
        TRY(read_key(&r, name, v, err));
    TRY(read_method(&r, object, err));
    return choose(&r, out, err);
}

enum dtype quantization_compute(const struct quantization *q, bool bf16, const struct backend *b)
{
    if (q->compute == DTYPE_FP8)
        return DTYPE_FP8;
    if (!bf16 && q->compute != DTYPE_BF16)
        return DTYPE_NONE;
    return q->linear == DTYPE_FP8 && b->ops->has_fp8 && b->ops->has_fp8(b->state) ? DTYPE_FP8 : DTYPE_BF16;
}
