/* quant.h: matrices kept in 4 or 8 bits.
 *
 * What      formats of frozen weights. NF4 and FP4 are those of bitsandbytes (QLoRA, Dettmers et al. 2023,
 *           arXiv:2305.14314): blocks of 64 in row-major order, the largest magnitude of each block, codes of
 *           4 bits, the even element in the high half of a byte. "Double": the magnitudes minus their mean are
 *           themselves 8-bit codes in blocks of 256. INT8 and FP8 (e4m3fn) have one scale for each row.
 *           A quantised matrix is one region of memory: codes, then scales, each part on a cache line; where
 *           they are follows from type and shape alone, on every device.
 * Ownership quant_view borrows the region.
 * Units     elements; offsets and sizes in bytes.
 * Errors    none. A NaN is kept as the code nearest to 0; a block of zeros decodes to zeros.
 * Threads   any.
 *
 * Example:
 *     float x[64] = {0.5f}, y[64];
 *     _Alignas(64) char region[512];
 *     if (quant_bytes(DTYPE_NF4, 1, 64) <= sizeof region) {
 *         quant_encode(x, 1, 64, DTYPE_NF4, region);
 *         struct quant q = quant_view(region, DTYPE_NF4, 1, 64);
 *         quant_decode(&q, 0, 64, y);
 *     }
 */
#ifndef LACUS_GPU_QUANT_H
#define LACUS_GPU_QUANT_H
#include "gpu/dtype.h"
#include <stdbool.h>

struct quant {
    enum dtype type;
    const float *table;     /* what a code stands for: 16 or 256 entries */
    const uint8_t *codes;   /* one for an element, or for two */
    const float *scales;    /* of the blocks, or with `scales8` of 256 blocks */
    const uint8_t *scales8; /* NULL: not double */
    const float *mean;      /* of the magnitudes; with scales8 */
    int64_t block;          /* elements that share a scale */
};

bool dtype_quantized(enum dtype t);
bool quant_half(enum dtype t); /* two codes in a byte */
/* The plain or the double form of a 4-bit type. */
enum dtype quant_double(enum dtype t, bool twice);
size_t quant_bytes(enum dtype type, int64_t rows, int64_t columns);
struct quant quant_view(const void *region, enum dtype type, int64_t rows, int64_t columns);
float quant_scale(const struct quant *q, int64_t block);
void quant_encode(const float *x, int64_t rows, int64_t columns, enum dtype type, void *region);
void quant_decode(const struct quant *q, int64_t from, int64_t n, float *out);
#endif
