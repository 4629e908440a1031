#include "runtime/session/image.h"
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 512 /* elements within each other */ };

struct image {
    const unsigned char *bytes;
    size_t len;
    const char *name, *kind;
    struct err *err;
};

const char *image_type(const char *bytes, size_t len)
{
    static const struct {
        const char *magic, *mime;
        size_t len;
    } kinds[] = {{"\x89PNG", "image/png", 4},
                 {"\xff\xd8\xff", "image/jpeg", 3},
                 {"GIF8", "image/gif", 4},
                 {"<svg", "image/svg+xml", 4},
                 {"<?xml", "image/svg+xml", 5}};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (len >= kinds[i].len && memcmp(bytes, kinds[i].magic, kinds[i].len) == 0)
            return kinds[i].mime;
    if (len >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0)
        return "image/webp";
    return NULL;
}

static enum lc wrong(const struct image *m, size_t at, const char *what)
{
    return err_set(m->err, LC_DATA, "cannot show '%.200s' as %s: %s at byte %zu of %zu", m->name, m->kind,
                   what, at < m->len ? at : m->len, m->len);
}

/* ---- PNG ---- */
static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void crc_table(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? UINT32_C(0xEDB88320) ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
}

static uint32_t crc_of(const uint32_t table[256], const unsigned char *p, size_t n)
{
    uint32_t c = UINT32_MAX;

    for (size_t i = 0; i < n; i++)
        c = table[(c ^ p[i]) & 0xFF] ^ (c >> 8);
    return ~c;
}

static enum lc wrong_chunk(const struct image *m, size_t at, const char *what)
{
    char text[100], type[5];

    for (size_t i = 0; i < 4; i++)
        type[i] = isalpha(m->bytes[at + 4 + i]) ? (char)m->bytes[at + 4 + i] : '?';
    type[4] = '\0';
    snprintf(text, sizeof text, "%s chunk '%s'", what, type);
    return wrong(m, at, text);
}

/* A whole chunk stands at that place: length, type, data, CRC. */
static enum lc check_chunk(const struct image *m, const uint32_t table[256], size_t at)
{
    const unsigned char *chunk = m->bytes + at;
    uint32_t size;

    if (m->len - at < 12)
        return wrong(m, m->len, "it is cut off: no end chunk 'IEND'");
    size = big_endian(chunk);
    if (size > INT32_MAX || size > m->len - at - 12)
        return wrong_chunk(m, at, "it is cut off in");
    /* a decoder does without a damaged one that is not critical: a small first letter */
    if (isupper(chunk[4]) && crc_of(table, chunk + 4, size + 4) != big_endian(chunk + 8 + size))
        return wrong_chunk(m, at, "damaged (its check sum differs) is");
    return LC_OK;
}

static enum lc check_png(const struct image *m)
{
    uint32_t table[256];
    bool data = false;

    if (m->len < 8 || memcmp(m->bytes, "\x89PNG\r\n\x1a\n", 8) != 0)
        return wrong(m, 0, "the signature is not that of a PNG file");
    crc_table(table);
    for (size_t at = 8;; at += 12 + (size_t)big_endian(m->bytes + at)) {
        const unsigned char *chunk = m->bytes + at;

        TRY(check_chunk(m, table, at));
        if (at == 8 && (memcmp(chunk + 4, "IHDR", 4) != 0 || big_endian(chunk) != 13))
            return wrong_chunk(m, at, "not 'IHDR' of 13 bytes but another one comes first,");
        if (at == 8 && (big_endian(chunk + 8) == 0 || big_endian(chunk + 12) == 0))
            return wrong(m, at, "its width or height is 0");
        data = data || memcmp(chunk + 4, "IDAT", 4) == 0;
        if (memcmp(chunk + 4, "IEND", 4) == 0)
            return data ? LC_OK : wrong(m, at, "it has no pixels (no chunk 'IDAT')");
    }
}

/* ---- JPEG ---- */
/* Behind a start of scan the data runs to the next marker: FF with neither 0 (an FF that is data) nor a restart. */
static size_t scan_end(const struct image *m, size_t at)
{
    while (at + 1 < m->len &&
           (m->bytes[at] != 0xFF || m->bytes[at + 1] == 0 || (m->bytes[at + 1] & 0xF8) == 0xD0))
        at++;
    return at;
}

/* C0 to CF but for three: the frame, which has the size of the image. */
static bool is_frame(unsigned marker)
{
    return (marker & 0xF0) == 0xC0 && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

static enum lc check_jpeg(const struct image *m)
{
    bool frame = false, scan = false;
    size_t at = 2, size;

    for (;;) {
        while (at + 1 < m->len && m->bytes[at] == 0xFF && m->bytes[at + 1] == 0xFF)
            at++; /* fill bytes */
        if (m->len - at < 2)
            return wrong(m, m->len, "it is cut off: no end marker (FF D9)");
        const unsigned marker = m->bytes[at + 1];
        if (m->bytes[at] != 0xFF || marker == 0)
            return wrong(m, at, "there is no marker where a segment must begin,");
        if (marker == 0xD9)
            return frame && scan ? LC_OK : wrong(m, at, "it ends without a picture");
        if (m->len - at < 4)
            return wrong(m, m->len, "it is cut off: no end marker (FF D9)");
        size = (size_t)m->bytes[at + 2] << 8 | m->bytes[at + 3];
        if (size < 2 || size > m->len - at - 2)
            return wrong(m, at, "it is cut off in the segment");
        if (is_frame(marker) && size < 8)
            return wrong(m, at, "too short is the frame");
        frame = frame || is_frame(marker);
        scan = scan || marker == 0xDA;
        at += 2 + size;
        if (marker == 0xDA)
            at = scan_end(m, at);
    }
}

/* ---- GIF, WebP ---- */
/* Sub-blocks up to the empty one; where the next block begins, or past the end. */
static size_t after_blocks(const struct image *m, size_t at)
{
    while (at < m->len && m->bytes[at])
        at += 1 + (size_t)m->bytes[at];
    return at + 1;
}

static size_t colour_table(unsigned flags)
{
    return flags & 0x80 ? (size_t)3 << ((flags & 7) + 1) : 0;
}

static enum lc check_gif(const struct image *m)
{
    bool picture = false;

    if (m->len < 13 || (memcmp(m->bytes, "GIF87a", 6) != 0 && memcmp(m->bytes, "GIF89a", 6) != 0))
        return wrong(m, 0, "the header is not that of a GIF file");
    for (size_t at = 13 + colour_table(m->bytes[10]); at < m->len;) {
        const unsigned kind = m->bytes[at];

        if (kind == 0x3B)
            return picture ? LC_OK : wrong(m, at, "it ends without a picture");
        if (kind != 0x2C && kind != 0x21)
            return wrong(m, at, "there is no block where one must begin,");
        picture = picture || kind == 0x2C;
        if (kind == 0x21)
            at = after_blocks(m, at + 2);
        else
            at = m->len - at > 9 ? after_blocks(m, at + 11 + colour_table(m->bytes[at + 9])) : m->len;
    }
    return wrong(m, m->len, "it is cut off: no trailer (3B)");
}

static enum lc check_webp(const struct image *m)
{
    uint32_t size = (uint32_t)m->bytes[4] | (uint32_t)m->bytes[5] << 8 | (uint32_t)m->bytes[6] << 16 |
                    (uint32_t)m->bytes[7] << 24; /* of what follows these 8 bytes */

    if (m->len < 20 || memcmp(m->bytes + 12, "VP8", 3) != 0)
        return wrong(m, 12, "there is no picture (VP8)");
    return size > m->len - 8 ? wrong(m, m->len, "it is cut off") : LC_OK;
}

/* ---- SVG ---- */
struct xml {
    const struct image *m;
    const char *p, *end;
    struct {
        const char *name;
        size_t len;
    } open[DEPTH_MAX]; /* the elements around p */
    size_t depth;
    bool root; /* it has been seen */
};

static enum lc wrong_xml(const struct xml *x, const char *what)
{
    return wrong(x->m, (size_t)(x->p - (const char *)x->m->bytes), what);
}

static enum lc wrong_element(const struct xml *x, const char *before, const char *name, size_t len,
                             const char *after)
{
    char text[160];

    snprintf(text, sizeof text, "%s <%.*s>%s", before, (int)(len < 60 ? len : 60), name, after);
    return wrong_xml(x, text);
}

static bool begins(const struct xml *x, const char *text)
{
    size_t n = strlen(text);

    return (size_t)(x->end - x->p) >= n && memcmp(x->p, text, n) == 0;
}

static void skip_blanks(struct xml *x)
{
    while (x->p < x->end && strchr(" \t\r\n", *x->p) && *x->p)
        x->p++;
}

/* Past the text that ends a comment, an instruction, a section. */
static enum lc skip_to(struct xml *x, const char *last, const char *what)
{
    const char *found = memmem(x->p, (size_t)(x->end - x->p), last, strlen(last));

    if (!found)
        return wrong_xml(x, what);
    x->p = found + strlen(last);
    return LC_OK;
}

static size_t name_length(const struct xml *x)
{
    size_t n = 0;

    while (x->p + n < x->end && (isalnum((unsigned char)x->p[n]) || (x->p[n] && strchr("_:.-", x->p[n])) ||
                                 (unsigned char)x->p[n] >= 0x80))
        n++;
    return n && !isdigit((unsigned char)*x->p) && *x->p != '-' && *x->p != '.' ? n : 0;
}

/* <!DOCTYPE svg … [ … ]> */
static enum lc skip_doctype(struct xml *x)
{
    char quote = '\0';
    int brackets = 0;

    for (; x->p < x->end; x->p++) {
        if (quote)
            quote = *x->p == quote ? '\0' : quote;
        else if (*x->p == '"' || *x->p == '\'')
            quote = *x->p;
        else if (*x->p == '[' || *x->p == ']')
            brackets += *x->p == '[' ? 1 : -1;
        else if (*x->p == '>' && brackets <= 0)
            return x->p++, LC_OK;
    }
    return wrong_xml(x, "it is cut off in <!DOCTYPE …>");
}

/* &amp; &#8364; */
static enum lc check_reference(struct xml *x)
{
    const char *p = x->p + 1;

    p += p < x->end && *p == '#';
    const char *word = p;
    while (p < x->end && isalnum((unsigned char)*p))
        p++;
    if (p == word || p == x->end || *p != ';')
        return wrong_xml(x, "a '&' is written &amp; in SVG,");
    x->p = p + 1;
    return LC_OK;
}

static enum lc check_value(struct xml *x)
{
    const char quote = x->p < x->end ? *x->p : '\0';

    if (quote != '"' && quote != '\'')
        return wrong_xml(x, "the value of an attribute has no quotes");
    for (x->p++; x->p < x->end && *x->p != quote;) {
        if (*x->p == '<')
            return wrong_xml(x, "a '<' stands in the value of an attribute,");
        if (*x->p == '&')
            TRY(check_reference(x));
        else
            x->p++;
    }
    if (x->p == x->end)
        return wrong_xml(x, "it is cut off in the value of an attribute");
    x->p++;
    return LC_OK;
}

static enum lc check_attributes(struct xml *x, const char *element, size_t len)
{
    for (;;) {
        const char *before = x->p;
        size_t n;

        skip_blanks(x);
        if (x->p == x->end)
            return wrong_element(x, "it is cut off in", element, len, "");
        if (*x->p == '>' || *x->p == '/')
            return LC_OK;
        n = name_length(x);
        if (n == 0 || x->p == before)
            return wrong_element(x, "no attribute is what stands in", element, len, "");
        x->p += n;
        skip_blanks(x);
        if (x->p == x->end || *x->p != '=')
            return wrong_element(x, "an attribute without a value is in", element, len, "");
        x->p++;
        skip_blanks(x);
        TRY(check_value(x));
    }
}

static bool is_svg(const char *name, size_t len)
{
    return (len == 3 && memcmp(name, "svg", 3) == 0) || (len > 4 && memcmp(name + len - 4, ":svg", 4) == 0);
}

static enum lc check_start(struct xml *x)
{
    const char *name = ++x->p;
    size_t len = name_length(x);

    if (len == 0)
        return wrong_xml(x, "a '<' is written &lt; in SVG,");
    if (x->depth == 0 && x->root)
        return wrong_element(x, "a second root", name, len, " stands");
    if (!x->root && !is_svg(name, len))
        return wrong_element(x, "the root is", name, len, ", not <svg>,");
    x->root = true;
    x->p += len;
    TRY(check_attributes(x, name, len));
    if (*x->p == '/') {
        x->p++;
        if (x->p == x->end || *x->p != '>')
            return wrong_element(x, "no '>' stands behind the '/' of", name, len, "");
    } else if (x->depth == DEPTH_MAX) {
        return wrong_xml(x, "its elements are nested too deeply");
    } else {
        x->open[x->depth].name = name;
        x->open[x->depth++].len = len;
    }
    x->p++;
    return LC_OK;
}

static enum lc check_end(struct xml *x)
{
    size_t len, wanted = x->depth ? x->open[x->depth - 1].len : 0;
    const char *name = x->p += 2;

    len = name_length(x);
    if (x->depth == 0)
        return wrong_element(x, "nothing is open that", name, len, " could end");
    if (len != wanted || memcmp(name, x->open[x->depth - 1].name, len) != 0)
        return wrong_element(x, "not closed is", x->open[x->depth - 1].name, wanted,
                             ": another end tag stands");
    x->p += len;
    skip_blanks(x);
    if (x->p == x->end || *x->p != '>')
        return wrong_element(x, "it is cut off in the end of", name, len, "");
    x->p++;
    x->depth--;
    return LC_OK;
}

static enum lc check_text(struct xml *x)
{
    if (*x->p == '&' && x->depth)
        return check_reference(x);
    if (x->depth == 0 && !strchr(" \t\r\n", *x->p))
        return wrong_xml(x, x->root ? "something stands behind </svg>" : "something stands before <svg>");
    if (*x->p == '\0')
        return wrong_xml(x, "a byte 0 stands");
    x->p++;
    return LC_OK;
}

static enum lc check_markup(struct xml *x)
{
    if (begins(x, "<!--"))
        return skip_to(x, "-->", "a comment has no end,");
    if (begins(x, "<?"))
        return skip_to(x, "?>", "an instruction <? has no end,");
    if (begins(x, "<![CDATA[") && x->depth)
        return skip_to(x, "]]>", "a section <![CDATA[ has no end,");
    if (begins(x, "<!") && !x->root)
        return skip_doctype(x);
    return begins(x, "</") ? check_end(x) : check_start(x);
}

static enum lc check_svg(const struct image *m)
{
    struct xml x = {.m = m, .p = (const char *)m->bytes, .end = (const char *)m->bytes + m->len};

    if (begins(&x, "\xEF\xBB\xBF"))
        x.p += 3;
    while (x.p < x.end)
        TRY(*x.p == '<' ? check_markup(&x) : check_text(&x));
    if (!x.root)
        return wrong_xml(&x, "there is no <svg>");
    if (x.depth)
        return wrong_element(&x, "it is cut off:", x.open[x.depth - 1].name, x.open[x.depth - 1].len,
                             " is not closed");
    return LC_OK;
}

enum lc image_check(const char *mime, const char *name, const char *bytes, size_t len, struct err *err)
{
    static const struct {
        const char *mime;
        enum lc (*check)(const struct image *m);
        size_t least;
    } kinds[] = {{"image/png", check_png, 0},
                 {"image/jpeg", check_jpeg, 3},
                 {"image/gif", check_gif, 0},
                 {"image/webp", check_webp, 12},
                 {"image/svg+xml", check_svg, 0}};
    const struct image m = {(const unsigned char *)bytes, len, name, mime, err};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].mime, mime) != 0)
            continue;
        return len < kinds[i].least ? wrong(&m, len, "it is cut off") : kinds[i].check(&m);
    }
    return LC_OK;
}
