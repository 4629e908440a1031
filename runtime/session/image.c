#include "runtime/session/image.h"
#include <stdint.h>
#include <string.h>

struct image {
    const char *bytes;
    size_t len;
    const char *name, *kind;
    struct err *err;
};

static enum lc wrong(const struct image *m, const char *what)
{
    err_set(m->err, LC_DATA, "cannot show '%.200s' as %s: %s (%zu bytes)", m->name, m->kind, what, m->len);
    return err_hint(m->err, "make or fetch the image again");
}

static bool has(const struct image *m, const char *part, size_t len)
{
    return memmem(m->bytes, m->len, part, len) != NULL;
}

static uint32_t big_endian(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Chunks of length, type, data and CRC from IHDR to IEND. Only a walk finds where a file was cut: IEND may be data. */
static enum lc check_png(const struct image *m)
{
    size_t at = 8;

    if (m->len < 8 || memcmp(m->bytes, "\x89PNG\r\n\x1a\n", 8) != 0)
        return wrong(m, "the signature is not that of a PNG file");
    while (m->len - at >= 12 && big_endian(m->bytes + at) <= m->len - at - 12) {
        const char *type = m->bytes + at + 4;

        if (at == 8 && memcmp(type, "IHDR", 4) != 0)
            return wrong(m, "it does not begin with a chunk 'IHDR'");
        if (memcmp(type, "IEND", 4) == 0)
            return has(m, "IDAT", 4) ? LC_OK : wrong(m, "it has no pixels (no chunk 'IDAT')");
        at += 12 + (size_t)big_endian(m->bytes + at);
    }
    return wrong(m, "it is cut off before its end (chunk 'IEND')");
}

static enum lc check_jpeg(const struct image *m)
{
    return has(m, "\xff\xd9", 2) ? LC_OK : wrong(m, "it is cut off before its end (marker FF D9)");
}

static enum lc check_gif(const struct image *m)
{
    return m->len >= 14 && memchr(m->bytes + 13, ';', m->len - 13)
               ? LC_OK
               : wrong(m, "it is cut off before its end (';')");
}

static enum lc check_webp(const struct image *m)
{
    const unsigned char *b = (const unsigned char *)m->bytes;

    if (m->len < 20 ||
        (b[4] | (uint64_t)b[5] << 8 | (uint64_t)b[6] << 16 | (uint64_t)b[7] << 24) > m->len - 8)
        return wrong(m, "it is cut off before its end");
    return LC_OK;
}

/* The root is svg (with or without a prefix), and the text ends with its end: more is the front end's to say. */
static enum lc check_svg(const struct image *m)
{
    size_t end = m->len;

    if (!has(m, "<svg", 4) && !has(m, ":svg", 4))
        return wrong(m, "there is no <svg> in it");
    while (end && strchr(" \t\r\n", m->bytes[end - 1]))
        end--;
    if ((end < 4 || memcmp(m->bytes + end - 4, "svg>", 4) != 0) &&
        (end < 2 || memcmp(m->bytes + end - 2, "/>", 2) != 0))
        return wrong(m, "it is cut off before its end (</svg>)");
    return LC_OK;
}

static const struct {
    const char *mime, *magic;
    size_t len;
    enum lc (*check)(const struct image *m);
} kinds[] = {{"image/png", "\x89PNG", 4, check_png},  {"image/jpeg", "\xff\xd8\xff", 3, check_jpeg},
             {"image/gif", "GIF8", 4, check_gif},     {"image/webp", "RIFF", 4, check_webp},
             {"image/svg+xml", "<svg", 4, check_svg}, {"image/svg+xml", "<?xml", 5, check_svg}};

const char *image_type(const char *bytes, size_t len)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (len < kinds[i].len || memcmp(bytes, kinds[i].magic, kinds[i].len) != 0)
            continue;
        if (kinds[i].check != check_webp || (len >= 12 && memcmp(bytes + 8, "WEBP", 4) == 0))
            return kinds[i].mime;
    }
    return NULL;
}

enum lc image_check(const char *mime, const char *name, const char *bytes, size_t len, struct err *err)
{
    const struct image m = {bytes, len, name, mime, err};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].mime, mime) == 0)
            return kinds[i].check(&m);
    return LC_OK;
}
