/* regex.h: what the plugin `regex` (PCRE2 and utf8proc) gives the tokenizer.
 *
 * What      regular expressions in Oniguruma's spelling, as tokenizer.json has them, and Unicode data.
 * Ownership compile → release; scratch_new → scratch_free.
 * Units     bytes; texts are valid UTF-8 (the caller checked).
 * Errors    compile: LC_DATA with the position in the pattern. find: LC_LIMIT when the pattern needs too many
 *           steps.
 * Threads   a compiled pattern: any; a scratch: one at a time.
 *
 * Example:
 *     struct err err;
 *     const struct regex_vtable *re = regex_load(&err);
 *     if (!re)
 *         return err.code;
 */
#ifndef LACUS_GPU_TOKENIZER_REGEX_H
#define LACUS_GPU_TOKENIZER_REGEX_H
#include "runtime/base/buf.h"

struct regex_code;
struct regex_scratch;

enum regex_form { REGEX_NFC, REGEX_NFD, REGEX_NFKC, REGEX_NFKD };
enum { REGEX_VERSION = 2 };

struct regex_vtable {
    int version; /* REGEX_VERSION */
    enum lc (*compile)(const char *pattern, size_t len, struct regex_code **out, struct err *err);
    void (*release)(struct regex_code *code);
    struct regex_scratch *(*scratch_new)(void); /* NULL without memory */
    void (*scratch_free)(struct regex_scratch *s);
    /* The first match at or after `from`; *found false when there is none. */
    enum lc (*find)(const struct regex_code *code, struct regex_scratch *s, const char *text, size_t len,
                    size_t from, bool *found, size_t range[2], struct err *err);
    enum lc (*normalize)(enum regex_form form, const char *text, size_t len, struct buf *out,
                         struct err *err);
    uint32_t (*lower)(uint32_t code); /* simple lower case */
    uint32_t (*upper)(uint32_t code);
    const char *(*category)(uint32_t code); /* "Lu", "Nd", "Mn", … */
    bool (*starts_segment)(
        uint32_t code); /* never composes with, nor is reordered before, what precedes it */
};

const struct regex_vtable *regex_load(struct err *err); /* NULL on failure */
#endif
