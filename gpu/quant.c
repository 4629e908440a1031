/* quant.c: encoding and decoding; the tables are those of bitsandbytes and of the e4m3fn format (its two NaN codes
 * are never written). */
#include "gpu/quant.h"
#include "gpu/fp8.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 64, BLOCKS = 256, LINE = 64 };

/* clang-format off */
static const float nf4_codes[16] = {
    -1.0f, -0.696192801f, -0.525073051f, -0.394917488f, -0.284441382f, -0.18477343f, -0.0910500363f, 0.0f,
    0.0795802996f, 0.160930201f, 0.246112302f, 0.337915242f, 0.440709829f, 0.562617004f, 0.722956836f, 1.0f,
};
static const float fp4_codes[16] = {
    0.0f, 0.00520833349f, 0.666666687f, 1.0f, 0.333333343f, 0.5f, 0.166666672f, 0.25f,
    0.0f, -0.00520833349f, -0.666666687f, -1.0f, -0.333333343f, -0.5f, -0.166666672f, -0.25f,
};
static const float int8_codes[256] = {
    0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f,
    8.0f, 9.0f, 10.0f, 11.0f, 12.0f, 13.0f, 14.0f, 15.0f,
    16.0f, 17.0f, 18.0f, 19.0f, 20.0f, 21.0f, 22.0f, 23.0f,
    24.0f, 25.0f, 26.0f, 27.0f, 28.0f, 29.0f, 30.0f, 31.0f,
    32.0f, 33.0f, 34.0f, 35.0f, 36.0f, 37.0f, 38.0f, 39.0f,
    40.0f, 41.0f, 42.0f, 43.0f, 44.0f, 45.0f, 46.0f, 47.0f,
    48.0f, 49.0f, 50.0f, 51.0f, 52.0f, 53.0f, 54.0f, 55.0f,
    56.0f, 57.0f, 58.0f, 59.0f, 60.0f, 61.0f, 62.0f, 63.0f,
    64.0f, 65.0f, 66.0f, 67.0f, 68.0f, 69.0f, 70.0f, 71.0f,
    72.0f, 73.0f, 74.0f, 75.0f, 76.0f, 77.0f, 78.0f, 79.0f,
    80.0f, 81.0f, 82.0f, 83.0f, 84.0f, 85.0f, 86.0f, 87.0f,
    88.0f, 89.0f, 90.0f, 91.0f, 92.0f, 93.0f, 94.0f, 95.0f,
    96.0f, 97.0f, 98.0f, 99.0f, 100.0f, 101.0f, 102.0f, 103.0f,
    104.0f, 105.0f, 106.0f, 107.0f, 108.0f, 109.0f, 110.0f, 111.0f,
    112.0f, 113.0f, 114.0f, 115.0f, 116.0f, 117.0f, 118.0f, 119.0f,
    120.0f, 121.0f, 122.0f, 123.0f, 124.0f, 125.0f, 126.0f, 127.0f,
    -128.0f, -127.0f, -126.0f, -125.0f, -124.0f, -123.0f, -122.0f, -121.0f,
    -120.0f, -119.0f, -118.0f, -117.0f, -116.0f, -115.0f, -114.0f, -113.0f,
    -112.0f, -111.0f, -110.0f, -109.0f, -108.0f, -107.0f, -106.0f, -105.0f,
    -104.0f, -103.0f, -102.0f, -101.0f, -100.0f, -99.0f, -98.0f, -97.0f,
    -96.0f, -95.0f, -94.0f, -93.0f, -92.0f, -91.0f, -90.0f, -89.0f,
    -88.0f, -87.0f, -86.0f, -85.0f, -84.0f, -83.0f, -82.0f, -81.0f,
    -80.0f, -79.0f, -78.0f, -77.0f, -76.0f, -75.0f, -74.0f, -73.0f,
    -72.0f, -71.0f, -70.0f, -69.0f, -68.0f, -67.0f, -66.0f, -65.0f,
    -64.0f, -63.0f, -62.0f, -61.0f, -60.0f, -59.0f, -58.0f, -57.0f,
    -56.0f, -55.0f, -54.0f, -53.0f, -52.0f, -51.0f, -50.0f, -49.0f,
    -48.0f, -47.0f, -46.0f, -45.0f, -44.0f, -43.0f, -42.0f, -41.0f,
    -40.0f, -39.0f, -38.0f, -37.0f, -36.0f, -35.0f, -34.0f, -33.0f,
    -32.0f, -31.0f, -30.0f, -29.0f, -28.0f, -27.0f, -26.0f, -25.0f,
    -24.0f, -23.0f, -22.0f, -21.0f, -20.0f, -19.0f, -18.0f, -17.0f,
    -16.0f, -15.0f, -14.0f, -13.0f, -12.0f, -11.0f, -10.0f, -9.0f,
    -8.0f, -7.0f, -6.0f, -5.0f, -4.0f, -3.0f, -2.0f, -1.0f,
};
static const float fp8_codes[256] = {
    0.0f, 0.001953125f, 0.00390625f, 0.005859375f, 0.0078125f, 0.009765625f, 0.01171875f, 0.013671875f,
    0.015625f, 0.017578125f, 0.01953125f, 0.021484375f, 0.0234375f, 0.025390625f, 0.02734375f, 0.029296875f,
    0.03125f, 0.03515625f, 0.0390625f, 0.04296875f, 0.046875f, 0.05078125f, 0.0546875f, 0.05859375f,
    0.0625f, 0.0703125f, 0.078125f, 0.0859375f, 0.09375f, 0.1015625f, 0.109375f, 0.1171875f,
    0.125f, 0.140625f, 0.15625f, 0.171875f, 0.1875f, 0.203125f, 0.21875f, 0.234375f,
    0.25f, 0.28125f, 0.3125f, 0.34375f, 0.375f, 0.40625f, 0.4375f, 0.46875f,
    0.5f, 0.5625f, 0.625f, 0.6875f, 0.75f, 0.8125f, 0.875f, 0.9375f,
    1.0f, 1.125f, 1.25f, 1.375f, 1.5f, 1.625f, 1.75f, 1.875f,
    2.0f, 2.25f, 2.5f, 2.75f, 3.0f, 3.25f, 3.5f, 3.75f,
    4.0f, 4.5f, 5.0f, 5.5f, 6.0f, 6.5f, 7.0f, 7.5f,
    8.0f, 9.0f, 10.0f, 11.0f, 12.0f, 13.0f, 14.0f, 15.0f,
    16.0f, 18.0f, 20.0f, 22.0f, 24.0f, 26.0f, 28.0f, 30.0f,
    32.0f, 36.0f, 40.0f, 44.0f, 48.0f, 52.0f, 56.0f, 60.0f,
    64.0f, 72.0f, 80.0f, 88.0f, 96.0f, 104.0f, 112.0f, 120.0f,
    128.0f, 144.0f, 160.0f, 176.0f, 192.0f, 208.0f, 224.0f, 240.0f,
    256.0f, 288.0f, 320.0f, 352.0f, 384.0f, 416.0f, 448.0f, 0.0f,
    -0.0f, -0.001953125f, -0.00390625f, -0.005859375f, -0.0078125f, -0.009765625f, -0.01171875f, -0.013671875f,
    -0.015625f, -0.017578125f, -0.01953125f, -0.021484375f, -0.0234375f, -0.025390625f, -0.02734375f, -0.029296875f,
    -0.03125f, -0.03515625f, -0.0390625f, -0.04296875f, -0.046875f, -0.05078125f, -0.0546875f, -0.05859375f,
    -0.0625f, -0.0703125f, -0.078125f, -0.0859375f, -0.09375f, -0.1015625f, -0.109375f, -0.1171875f,
    -0.125f, -0.140625f, -0.15625f, -0.171875f, -0.1875f, -0.203125f, -0.21875f, -0.234375f,
    -0.25f, -0.28125f, -0.3125f, -0.34375f, -0.375f, -0.40625f, -0.4375f, -0.46875f,
    -0.5f, -0.5625f, -0.625f, -0.6875f, -0.75f, -0.8125f, -0.875f, -0.9375f,
    -1.0f, -1.125f, -1.25f, -1.375f, -1.5f, -1.625f, -1.75f, -1.875f,
    -2.0f, -2.25f, -2.5f, -2.75f, -3.0f, -3.25f, -3.5f, -3.75f,
    -4.0f, -4.5f, -5.0f, -5.5f, -6.0f, -6.5f, -7.0f, -7.5f,
    -8.0f, -9.0f, -10.0f, -11.0f, -12.0f, -13.0f, -14.0f, -15.0f,
    -16.0f, -18.0f, -20.0f, -22.0f, -24.0f, -26.0f, -28.0f, -30.0f,
    -32.0f, -36.0f, -40.0f, -44.0f, -48.0f, -52.0f, -56.0f, -60.0f,
    -64.0f, -72.0f, -80.0f, -88.0f, -96.0f, -104.0f, -112.0f, -120.0f,
    -128.0f, -144.0f, -160.0f, -176.0f, -192.0f, -208.0f, -224.0f, -240.0f,
    -256.0f, -288.0f, -320.0f, -352.0f, -384.0f, -416.0f, -448.0f, 0.0f,
};
/* bitsandbytes' create_dynamic_map(): exponents of ten in unary, the rest of the bits a linear fraction. */
static const float dynamic_codes[256] = {
    -0.992968738f, -0.978906274f, -0.96484375f, -0.950781226f, -0.936718762f, -0.922656238f, -0.908593774f, -0.89453125f,
    -0.880468726f, -0.866406262f, -0.852343738f, -0.838281274f, -0.82421875f, -0.810156226f, -0.796093762f, -0.782031238f,
    -0.767968774f, -0.75390625f, -0.739843726f, -0.725781262f, -0.711718798f, -0.697656274f, -0.68359375f, -0.669531226f,
    -0.655468762f, -0.641406298f, -0.627343774f, -0.61328125f, -0.599218726f, -0.585156262f, -0.571093798f, -0.557031274f,
    -0.54296875f, -0.528906226f, -0.514843702f, -0.500781238f, -0.486718714f, -0.47265625f, -0.458593726f, -0.444531262f,
    -0.430468738f, -0.416406244f, -0.40234375f, -0.388281226f, -0.374218762f, -0.360156238f, -0.346093744f, -0.33203125f,
    -0.317968726f, -0.303906262f, -0.289843738f, -0.275781274f, -0.26171875f, -0.247656241f, -0.233593747f, -0.219531253f,
    -0.205468744f, -0.19140625f, -0.177343756f, -0.163281247f, -0.149218753f, -0.135156244f, -0.12109375f, -0.107031256f,
    -0.0985937491f, -0.0957812592f, -0.0929687545f, -0.0901562497f, -0.0873437524f, -0.0845312476f, -0.0817187577f, -0.078906253f,
    -0.0760937482f, -0.0732812509f, -0.0704687461f, -0.0676562563f, -0.0648437515f, -0.0620312504f, -0.0592187531f, -0.0564062484f,
    -0.053593751f, -0.05078125f, -0.047968749f, -0.0451562516f, -0.0423437469f, -0.0395312496f, -0.0367187522f, -0.0339062512f,
    -0.0310937501f, -0.028281251f, -0.0254687499f, -0.0226562507f, -0.0198437516f, -0.0170312505f, -0.0142187504f, -0.0114062503f,
    -0.00971874967f, -0.00915624946f, -0.00859375019f, -0.00803124998f, -0.00746874977f, -0.00690625003f, -0.00634374982f, -0.00578125007f,
    -0.00521875033f, -0.00465624966f, -0.00409374991f, -0.00353124971f, -0.00296874996f, -0.00240624999f, -0.00184375001f, -0.00128124992f,
    -0.000943750085f, -0.000831249985f, -0.00071875006f, -0.000606250076f, -0.000493750034f, -0.000381250022f, -0.000268750038f, -0.000156250011f,
    -8.87499991e-05f, -6.62500024e-05f, -4.37499984e-05f, -2.12499981e-05f, -7.7499999e-06f, -3.25000019e-06f, -5.50000038e-07f, 0.0f,
    5.50000038e-07f, 3.25000019e-06f, 7.7499999e-06f, 2.12499981e-05f, 4.37499984e-05f, 6.62500024e-05f, 8.87499991e-05f, 0.000156250011f,
    0.000268750038f, 0.000381250022f, 0.000493750034f, 0.000606250076f, 0.00071875006f, 0.000831249985f, 0.000943750085f, 0.00128124992f,
    0.00184375001f, 0.00240624999f, 0.00296874996f, 0.00353124971f, 0.00409374991f, 0.00465624966f, 0.00521875033f, 0.00578125007f,
    0.00634374982f, 0.00690625003f, 0.00746874977f, 0.00803124998f, 0.00859375019f, 0.00915624946f, 0.00971874967f, 0.0114062503f,
    0.0142187504f, 0.0170312505f, 0.0198437516f, 0.0226562507f, 0.0254687499f, 0.028281251f, 0.0310937501f, 0.0339062512f,
    0.0367187522f, 0.0395312496f, 0.0423437469f, 0.0451562516f, 0.047968749f, 0.05078125f, 0.053593751f, 0.0564062484f,
    0.0592187531f, 0.0620312504f, 0.0648437515f, 0.0676562563f, 0.0704687461f, 0.0732812509f, 0.0760937482f, 0.078906253f,
    0.0817187577f, 0.0845312476f, 0.0873437524f, 0.0901562497f, 0.0929687545f, 0.0957812592f, 0.0985937491f, 0.107031256f,
    0.12109375f, 0.135156244f, 0.149218753f, 0.163281247f, 0.177343756f, 0.19140625f, 0.205468744f, 0.219531253f,
    0.233593747f, 0.247656241f, 0.26171875f, 0.275781274f, 0.289843738f, 0.303906262f, 0.317968726f, 0.33203125f,
    0.346093744f, 0.360156238f, 0.374218762f, 0.388281226f, 0.40234375f, 0.416406244f, 0.430468738f, 0.444531262f,
    0.458593726f, 0.47265625f, 0.486718714f, 0.500781238f, 0.514843702f, 0.528906226f, 0.54296875f, 0.557031274f,
    0.571093798f, 0.585156262f, 0.599218726f, 0.61328125f, 0.627343774f, 0.641406298f, 0.655468762f, 0.669531226f,
    0.68359375f, 0.697656274f, 0.711718798f, 0.725781262f, 0.739843726f, 0.75390625f, 0.767968774f, 0.782031238f,
    0.796093762f, 0.810156226f, 0.82421875f, 0.838281274f, 0.852343738f, 0.866406262f, 0.880468726f, 0.89453125f,
    0.908593774f, 0.922656238f, 0.936718762f, 0.950781226f, 0.96484375f, 0.978906274f, 0.992968738f, 1.0f,
};
/* clang-format on */

static const struct format {
    const float *table;
    int bits;
    bool twice; /* scales are quantised too */
    float most; /* the magnitude that the largest element of a block is scaled to */
} FORMATS[DTYPE_COUNT] = {
    [DTYPE_NF4] = {nf4_codes, 4, false, 1},     [DTYPE_NF4_DOUBLE] = {nf4_codes, 4, true, 1},
    [DTYPE_FP4] = {fp4_codes, 4, false, 1},     [DTYPE_FP4_DOUBLE] = {fp4_codes, 4, true, 1},
    [DTYPE_INT8] = {int8_codes, 8, false, 127}, [DTYPE_FP8] = {fp8_codes, 8, false, 448},
};

bool dtype_quantized(enum dtype t)
{
    return FORMATS[t].table != NULL;
}

bool quant_half(enum dtype t)
{
    return FORMATS[t].bits == 4;
}

enum dtype quant_double(enum dtype t, bool twice)
{
    if (t == DTYPE_NF4 || t == DTYPE_NF4_DOUBLE)
        return twice ? DTYPE_NF4_DOUBLE : DTYPE_NF4;
    if (t == DTYPE_FP4 || t == DTYPE_FP4_DOUBLE)
        return twice ? DTYPE_FP4_DOUBLE : DTYPE_FP4;
    return t;
}

/* ---- where the parts are ---- */
struct layout {
    int64_t block, blocks;
    size_t scales, scales2, mean, total; /* offsets; the codes are at 0. scales: one byte each when double */
};

static size_t line(size_t bytes)
{
    return (bytes + LINE - 1) & ~(size_t)(LINE - 1);
}

static struct layout layout_of(enum dtype type, int64_t rows, int64_t columns)
{
    const struct format *f = &FORMATS[type];
    size_t n = (size_t)(rows * columns);
    struct layout l = {.block = f->bits == 4 ? BLOCK : columns};

    l.blocks = f->bits == 4 ? (rows * columns + BLOCK - 1) / BLOCK : rows;
    l.scales = line(f->bits == 4 ? (n + 1) / 2 : n);
    l.scales2 = l.scales + line((size_t)l.blocks * (f->twice ? 1 : sizeof(float)));
    l.mean = l.scales2 + (f->twice ? line((size_t)((l.blocks + BLOCKS - 1) / BLOCKS) * sizeof(float)) : 0);
    l.total = l.mean + (f->twice ? LINE : 0);
    return l;
}

size_t quant_bytes(enum dtype type, int64_t rows, int64_t columns)
{
    return layout_of(type, rows, columns).total;
}

struct quant quant_view(const void *region, enum dtype type, int64_t rows, int64_t columns)
{
    struct layout l = layout_of(type, rows, columns);
    const uint8_t *at = region;
    bool twice = FORMATS[type].twice;

    return (struct quant){.type = type,
                          .table = FORMATS[type].table,
                          .codes = at,
                          .scales = (const float *)(const void *)(at + (twice ? l.scales2 : l.scales)),
                          .scales8 = twice ? at + l.scales : NULL,
                          .mean = twice ? (const float *)(const void *)(at + l.mean) : NULL,
                          .block = l.block};
}

/* ---- decoding ---- */
float quant_scale(const struct quant *q, int64_t block)
{
    float scaled;

    if (!q->scales8)
        return q->scales[block];
    scaled = dynamic_codes[q->scales8[block]] * q->scales[block / BLOCKS];
    return scaled + *q->mean;
}

void quant_decode(const struct quant *q, int64_t from, int64_t n, float *out)
{
    bool half = quant_half(q->type);

    while (n > 0) {
        int64_t block = from / q->block, end = (block + 1) * q->block, some = end - from < n ? end - from : n;
        float scale = quant_scale(q, block);

        for (int64_t i = from; i < from + some; i++)
            *out++ = q->table[half ? q->codes[i / 2] >> (i & 1 ? 0 : 4) & 15 : q->codes[i]] * scale;
        from += some;
        n -= some;
    }
}

/* ---- encoding ---- */
/* Codes may be in any order (FP4): the first of the nearest. */
static uint8_t nearest_of_16(const float *table, float x)
{
    uint8_t best = 0;
    float distance = INFINITY;

    for (uint8_t i = 0; i < 16; i++)
        if (fabsf(x - table[i]) < distance) {
            distance = fabsf(x - table[i]);
            best = i;
        }
    return best;
}

/* As bitsandbytes finds it on a CPU: [-1, 1] on a grid of 2^16 points, then the nearest code, the lower of two. */
static uint8_t nearest_dynamic(float x)
{
    float grid = 65535, on_grid = floorf((x + 1) * 0.5f * grid + 0.5f) / grid * 2 - 1;
    int low = 0, high = 255;

    while (low < high) { /* the last code that is not above it */
        int middle = (low + high + 1) / 2;

        if (dynamic_codes[middle] <= on_grid)
            low = middle;
        else
            high = middle - 1;
    }
    if (low < 255 && fabsf(on_grid - dynamic_codes[low + 1]) < fabsf(on_grid - dynamic_codes[low]))
        low++;
    return (uint8_t)low;
}

static uint8_t code_of(enum dtype type, float x)
{
    if (type == DTYPE_FP8)
        return isnan(x) ? 0 : fp8_code(FP8_E4M3, x);
    if (type == DTYPE_INT8)
        return (uint8_t)(int8_t)(isfinite(x) ? nearbyintf(fminf(fmaxf(x, -127), 127)) : 0);
    return nearest_of_16(FORMATS[type].table, x);
}

static float largest(const float *x, int64_t n)
{
    float most = 0;

    for (int64_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

struct source { /* what is encoded */
    const float *x;
    int64_t n, block, blocks;
};

static float block_scale(const struct source *from, int64_t block, float most)
{
    int64_t at = block * from->block, left = from->n - at;

    return largest(from->x + at, left < from->block ? left : from->block) / most;
}

/* The magnitudes as codes of their own. They are found again rather than kept: no memory to ask for. */
static void encode_scales(const struct source *from, uint8_t *codes, float *scales2, float *mean)
{
    double sum = 0;

    for (int64_t i = 0; i < from->blocks; i++)
        sum += (double)block_scale(from, i, 1);
    *mean = from->blocks ? (float)(sum / (double)from->blocks) : 0;
    for (int64_t first = 0; first < from->blocks; first += BLOCKS) {
        int64_t n = from->blocks - first < BLOCKS ? from->blocks - first : BLOCKS;
        float shifted[BLOCKS], most;

        for (int64_t i = 0; i < n; i++)
            shifted[i] = block_scale(from, first + i, 1) - *mean;
        most = scales2[first / BLOCKS] = largest(shifted, n);
        for (int64_t i = 0; i < n; i++)
            codes[first + i] = nearest_dynamic(most > 0 ? shifted[i] / most : 0);
    }
}

static void put_code(uint8_t *codes, int64_t i, uint8_t code, bool half)
{
    if (!half)
        codes[i] = code;
    else if (i & 1)
        codes[i / 2] = (uint8_t)(codes[i / 2] | code);
    else
        codes[i / 2] = (uint8_t)(code << 4);
}

void quant_encode(const float *x, int64_t rows, int64_t columns, enum dtype type, void *region)
{
    const struct format *f = &FORMATS[type];
    struct layout l = layout_of(type, rows, columns);
    struct source from = {x, rows * columns, l.block, l.blocks};
    uint8_t *at = region, zero = code_of(type, 0);
    float *scales = (float *)(void *)(at + l.scales);

    for (int64_t b = 0; b < l.blocks; b++) {
        float scale = block_scale(&from, b, f->most);
        int64_t end = (b + 1) * l.block < from.n ? (b + 1) * l.block : from.n;

        for (int64_t i = b * l.block; i < end; i++)
            put_code(at, i, scale > 0 ? code_of(type, x[i] / scale) : zero, f->bits == 4);
        if (!f->twice)
            scales[b] = scale;
    }
    if (f->twice)
        encode_scales(&from, at + l.scales, (float *)(void *)(at + l.scales2),
                      (float *)(void *)(at + l.mean));
}
