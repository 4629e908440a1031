/* quantization.h: how a base model is to be kept, in the words of bitsandbytes and Hugging Face.
 *
 * What      reads a BitsAndBytesConfig (load_in_4bit, load_in_8bit, bnb_4bit_quant_type,
 *           bnb_4bit_use_double_quant, bnb_4bit_compute_dtype) or {quant_method = "fp8"} into the types that
 *           model_options take.
 * Ownership none.
 * Units     none.
 * Errors    LC_ARG: an unknown key (the nearest is offered) or value; LC_UNSUPPORTED: a key whose value would
 *           change results and is not supported here (modules to skip, offloading).
 * Threads   any.
 * Numbers   4 bits as bitsandbytes has them. 8 bits: the weights are stored in int8 with a scale for each row, and
 *           products are of the decoded weights: no outlier decomposition, activations are not quantised.
 *           FP8: e4m3fn storage with a scale for each row. Products are in f32; with bf16 they are of 8-bit factors
 *           where the device has them, else in bf16; activation_scheme = "dynamic": of 8-bit factors everywhere.
 *
 * Example:
 *     json_t *config = json_pack("{s:b}", "load_in_4bit", 1);
 *     struct quantization q;
 *     if (quantization_from_json(config, &q, &err) == LC_OK)
 *         printf("%s\n", dtype_torch(q.linear));
 *     json_decref(config);
 */
#ifndef LACUS_GPU_QUANTIZATION_H
#define LACUS_GPU_QUANTIZATION_H
#include "gpu/backend.h"
#include "gpu/dtype.h"
#include "runtime/base/err.h"
#include <jansson.h>

struct quantization {
    enum dtype linear; /* DTYPE_NONE: not quantised */
    enum dtype
        compute; /* DTYPE_NONE: not said; DTYPE_FP8: bf16, and 8-bit factors where the weights are in FP8 */
};

/* object NULL or null: not quantised. */
enum lc quantization_from_json(const json_t *object, struct quantization *out, struct err *err) MUST_CHECK;
/* For model_options.compute on that device; bf16: asked for otherwise. */
enum dtype quantization_compute(const struct quantization *q, bool bf16, const struct backend *b);
#endif
