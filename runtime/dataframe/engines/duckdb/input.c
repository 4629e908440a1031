#include "runtime/dataframe/engines/duckdb/input.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { PACKED = 1 << 17, FOREIGN = 1 << 16 };

struct packing {
    const char *ending;
    void *(*open)(void);
    /* Unpacks from packed[start … end] into out; *n 0 with more input asked for, or at the end. */
    const char *(*unpack)(struct input *in, char *out, size_t size, size_t *n);
    void (*close)(void *unpacker);
};

static const char *fail(struct input *in, const char *what)
{
    char why[256];

    snprintf(why, sizeof why, "%.200s", in->message); /* the path, until now */
    snprintf(in->message, sizeof in->message, "[FAILED_READ_FILE] '%s': %s", why, what);
    return in->message;
}

/* ---- the file ---- */
static const char *fill(struct input *in)
{
    ssize_t n;

    if (in->start < in->end || in->at_end)
        return NULL;
    do
        n = read(in->fd, in->packed, PACKED);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(in, strerror(errno));
    in->start = 0;
    in->end = (size_t)n;
    in->at_end = n == 0;
    return NULL;
}

/* ---- gzip: members one after the other ---- */
static void *gzip_open(void)
{
    z_stream *z = mem_zalloc(sizeof *z);

    if (z && inflateInit2(z, 15 + 16) != Z_OK) {
        mem_free(z);
        return NULL;
    }
    return z;
}

static const char *gzip_unpack(struct input *in, char *out, size_t size, size_t *n)
{
    z_stream *z = in->unpacker;
    int rc;

    z->next_in = (Bytef *)in->packed + in->start;
    z->avail_in = (uInt)(in->end - in->start);
    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)(size < 1u << 30 ? size : 1u << 30);
    *n = z->avail_out;
    rc = inflate(z, Z_NO_FLUSH);
    *n -= z->avail_out;
    in->start = in->end - z->avail_in;
    in->inside = rc != Z_STREAM_END && (in->inside || in->start > 0);
    if (rc == Z_STREAM_END)
        rc = inflateReset(z);
    return rc == Z_OK || rc == Z_BUF_ERROR ? NULL : fail(in, "the gzip data is corrupt");
}

static void gzip_close(void *unpacker)
{
    if (unpacker)
        inflateEnd(unpacker);
    mem_free(unpacker);
}

/* ---- Zstandard ---- */
static void *zstd_open(void)
{
    return ZSTD_createDStream();
}

static const char *zstd_unpack(struct input *in, char *out, size_t size, size_t *n)
{
    ZSTD_outBuffer to = {out, size, 0};
    ZSTD_inBuffer from = {in->packed, in->end, in->start};
    size_t rc = ZSTD_decompressStream(in->unpacker, &to, &from);

    *n = to.pos;
    in->start = from.pos;
    in->inside = rc != 0;
    return ZSTD_isError(rc) ? fail(in, "the Zstandard data is corrupt") : NULL;
}

static void zstd_close(void *unpacker)
{
    ZSTD_freeDStream(unpacker);
}

static const struct packing packings[] = {
    {".gz", gzip_open, gzip_unpack, gzip_close},
    {".zst", zstd_open, zstd_unpack, zstd_close},
};
static const char *const unknown[] = {".bz2", ".snappy", ".lz4", ".deflate"};

static bool ends_with(const char *path, const char *ending)
{
    size_t n = strlen(path), k = strlen(ending);

    return n > k && strcasecmp(path + n - k, ending) == 0;
}

static const struct packing *packing_of(const char *path)
{
    for (size_t i = 0; i < sizeof packings / sizeof *packings; i++)
        if (ends_with(path, packings[i].ending))
            return &packings[i];
    return NULL;
}

static bool is_utf8(const char *encoding)
{
    return !*encoding || strcasecmp(encoding, "UTF-8") == 0 || strcasecmp(encoding, "UTF8") == 0 ||
           strcasecmp(encoding, "US-ASCII") == 0;
}

bool input_is_plain(const char *path, const char *encoding)
{
    return !packing_of(path) && is_utf8(encoding);
}

/* ---- open, read, close ---- */
static const char *open_parts(struct input *in, const char *path, const char *encoding)
{
    in->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (in->fd < 0)
        return fail(in, strerror(errno));
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        if (ends_with(path, unknown[i]))
            return fail(in,
                        "this kind of compression is not known: unpack the file, or pack it as .gz or .zst");
    in->packing = packing_of(path);
    in->packed = mem_alloc(PACKED);
    if (!in->packed || (in->packing && !(in->unpacker = in->packing->open())))
        return fail(in, "out of memory");
    if (is_utf8(encoding))
        return NULL;
    in->foreign = mem_alloc(FOREIGN);
    in->converter = iconv_open("UTF-8", encoding);
    if (in->converter == (iconv_t)-1) {
        in->converter = NULL;
        return fail(in, "the encoding is not known");
    }
    return in->foreign ? NULL : fail(in, "out of memory");
}

const char *input_open(struct input *in, const char *path, const char *encoding)
{
    *in = (struct input){.fd = -1};
    snprintf(in->message, sizeof in->message, "%.200s", path);
    return open_parts(in, path, encoding);
}

static const char *unpacked(struct input *in, char *out, size_t size, size_t *n)
{
    const char *failed = NULL;

    for (*n = 0; !failed && *n == 0;) {
        failed = fill(in);
        if (!failed && in->start == in->end && in->at_end)
            return in->inside ? fail(in, "the packed data ends too early") : NULL;
        if (failed)
            return failed;
        if (in->packing) {
            failed = in->packing->unpack(in, out, size, n);
        } else {
            *n = in->end - in->start < size ? in->end - in->start : size;
            memcpy(out, in->packed + in->start, *n);
            in->start += *n;
        }
    }
    return failed;
}

/* A byte that is none of the encoding becomes U+FFFD. */
static void replace(char **from, size_t *left, char **to, size_t *room)
{
    memcpy(*to, "\xEF\xBF\xBD", 3);
    *to += 3;
    *room -= 3;
    (*from)++;
    (*left)--;
}

static const char *converted(struct input *in, char *out, size_t size, size_t *n)
{
    char *to = out;
    size_t room = size;

    while (to == out) {
        char *from = in->foreign;
        size_t got = 0, left;
        const char *failed = NULL;

        if (!in->foreign_end && in->n_foreign < FOREIGN / 2)
            failed = unpacked(in, in->foreign + in->n_foreign, FOREIGN - in->n_foreign, &got);
        if (failed)
            return failed;
        in->foreign_end = in->foreign_end || (got == 0 && in->n_foreign < FOREIGN / 2);
        left = in->n_foreign += got;
        if (left == 0)
            break;
        if (iconv(in->converter, &from, &left, &to, &room) == (size_t)-1 && room >= 3 && left &&
            (errno == EILSEQ || (errno == EINVAL && in->foreign_end)))
            replace(&from, &left, &to, &room);
        memmove(in->foreign, from, left);
        in->n_foreign = left;
    }
    *n = (size_t)(to - out);
    return NULL;
}

const char *input_read(struct input *in, char *out, size_t size, size_t *n)
{
    return in->converter ? converted(in, out, size, n) : unpacked(in, out, size, n);
}

void input_close(struct input *in)
{
    if (in->fd >= 0)
        close(in->fd);
    if (in->packing)
        in->packing->close(in->unpacker);
    if (in->converter)
        iconv_close(in->converter);
    mem_free(in->packed);
    mem_free(in->foreign);
    *in = (struct input){.fd = -1};
}
