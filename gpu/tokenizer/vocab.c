/* vocab.c: texts ↔ ids, and the byte-level alphabet of GPT-2. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <string.h>

static uint64_t hash(const char *text, size_t len)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

enum lc vocab_init(struct vocab *v, size_t expected, struct err *err)
{
    size_t slots = 64;

    while (slots < expected * 2)
        slots *= 2;
    v->slots = mem_calloc(slots, sizeof *v->slots);
    v->mask = slots - 1;
    return v->slots ? LC_OK : err_nomem(err);
}

void vocab_release(struct vocab *v)
{
    mem_free(v->slots);
    mem_free(v->by_id);
    memset(v, 0, sizeof *v);
}

static struct vocab_slot *slot_of(const struct vocab *v, const char *text, size_t len)
{
    size_t at = hash(text, len) & v->mask;

    while (v->slots[at].text && (v->slots[at].len != len || memcmp(v->slots[at].text, text, len) != 0))
        at = (at + 1) & v->mask;
    return &v->slots[at];
}

int32_t vocab_find(const struct vocab *v, const char *text, size_t len)
{
    const struct vocab_slot *slot = v->slots ? slot_of(v, text, len) : NULL;

    return slot && slot->text ? slot->id : -1;
}

static enum lc grow_slots(struct vocab *v, struct err *err)
{
    struct vocab_slot *old = v->slots;
    size_t n = v->mask + 1;

    if ((v->n + 1) * 2 <= n)
        return LC_OK;
    v->slots = mem_calloc(n * 2, sizeof *v->slots);
    if (!v->slots) {
        v->slots = old;
        return err_nomem(err);
    }
    v->mask = n * 2 - 1;
    for (size_t i = 0; i < n; i++)
        if (old[i].text)
            *slot_of(v, old[i].text, old[i].len) = old[i];
    mem_free(old);
    return LC_OK;
}

static enum lc grow_ids(struct vocab *v, size_t need, struct err *err)
{
    struct vocab_text *more;
    size_t cap = v->cap_ids ? v->cap_ids : 256;

    if (need <= v->cap_ids)
        return LC_OK;
    while (cap < need)
        cap *= 2;
    more = mem_reallocn(v->by_id, cap, sizeof *more);
    if (!more)
        return err_nomem(err);
    memset(more + v->cap_ids, 0, (cap - v->cap_ids) * sizeof *more);
    v->by_id = more;
    v->cap_ids = cap;
    return LC_OK;
}

enum lc vocab_add(struct vocab *v, const char *text, size_t len, int64_t id, struct err *err)
{
    struct vocab_slot *slot;

    if (id < 0 || id >= VOCAB_ID_MAX)
        return err_set(err, LC_DATA, "token '%.100s' has the id %lld; ids lie between 0 and %d", text,
                       (long long)id, VOCAB_ID_MAX - 1);
    TRY(grow_slots(v, err));
    TRY(grow_ids(v, (size_t)id + 1, err));
    slot = slot_of(v, text, len);
    if (!slot->text) {
        *slot = (struct vocab_slot){text, (uint32_t)len, (int32_t)id};
        v->n++;
    }
    v->by_id[id] = (struct vocab_text){text, (uint32_t)len};
    if ((size_t)id >= v->n_ids)
        v->n_ids = (size_t)id + 1;
    return LC_OK;
}

/* GPT-2's alphabet: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on. */
#define SELF4(b)  b, b + 1, b + 2, b + 3
#define SELF16(b) SELF4(b), SELF4(b + 4), SELF4(b + 8), SELF4(b + 12)
const uint16_t bytelevel_char[256] = {
    SELF16(0x100), SELF16(0x110), 0x120,        0x21,         0x22,         0x23,         SELF4(0x24),
    SELF4(0x28),   SELF4(0x2c),   SELF16(0x30), SELF16(0x40), SELF16(0x50), SELF16(0x60), SELF4(0x70),
    SELF4(0x74),   SELF4(0x78),   0x7c,         0x7d,         0x7e,         0x121,        SELF16(0x122),
    SELF16(0x132), 0x142,         0xa1,         0xa2,         0xa3,         SELF4(0xa4),  SELF4(0xa8),
    0xac,          0x143,         0xae,         0xaf,         SELF16(0xb0), SELF16(0xc0), SELF16(0xd0),
    SELF16(0xe0),  SELF16(0xf0),
};

int bytelevel_byte(uint32_t code)
{
    if (code >= 0x144)
        return -1;
    if (code < 0x100)
        return bytelevel_char[code] == code ? (int)code : -1;
    if (code <= 0x120)
        return (int)code - 0x100;
    if (code == 0x143)
        return 0xad;
    return (int)code - 0x121 + 0x7f;
}

size_t bytelevel_put(unsigned char byte, char out[4])
{
    uint16_t code = bytelevel_char[byte];

    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    out[0] = (char)(0xc0 | code >> 6);
    out[1] = (char)(0x80 | (code & 0x3f));
    return 2;
}

bool is_white_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}
