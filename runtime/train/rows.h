/* rows.h: the rows of a job's dataset: pairs of prompt and completion, as one compact file.
 *
 * What      a file "lacus-rows-1\n", then per row two 32-bit little-endian lengths and the bytes of both
 *           texts. A row without a prompt is plain text. A row of token ids has the highest bit of the first length
 *           set, and ids and labels (32-bit, little-endian, one label per id) in the places of the texts.
 * Ownership rows_create/rows_open give, rows_close ends. Texts from rows_next are borrowed until the next
 *           call.
 * Units     bytes; a text has at most ROWS_TEXT_MAX.
 * Errors    LC_DATA (broken file: the row is named), LC_LIMIT, LC_IO, LC_NOSPACE.
 * Threads   one at a time.
 *
 * Example:
 *     struct rows *r;
 *     if (rows_create("train.rows", &r, &err) == LC_OK && rows_add(r, "1 + 1 = ", 8, "2", 1, &err) == LC_OK)
 *         code = rows_finish(r, &err);
 *     rows_close(r);
 */
#ifndef LACUS_TRAIN_ROWS_H
#define LACUS_TRAIN_ROWS_H
#include "runtime/base/err.h"
#include <stddef.h>

#define ROWS_TEXT_MAX ((size_t)16 << 20)

struct rows;
enum lc rows_create(const char *path, struct rows **out, struct err *err) MUST_CHECK;
enum lc rows_add(struct rows *r, const char *prompt, size_t prompt_len, const char *completion,
                 size_t completion_len, struct err *err) MUST_CHECK;
/* n ids with a label each: -100 for a place that is not learned. */
enum lc rows_add_tokens(struct rows *r, const int32_t *ids, const int32_t *labels, size_t n,
                        struct err *err) MUST_CHECK;
enum lc rows_finish(struct rows *r,
                    struct err *err) MUST_CHECK; /* synced: before this the file counts for nothing */
size_t rows_count(const struct rows *r);         /* added or read so far */
enum lc rows_open(const char *path, struct rows **out, struct err *err) MUST_CHECK;
struct row {
    const char *prompt, *completion;
    size_t prompt_len, completion_len;
    bool tokens; /* prompt is the bytes of the ids, completion those of the labels; both of one length */
};
bool rows_next(struct rows *r, struct row *out, enum lc *rc,
               struct err *err); /* false: the end, or *rc is set */
void rows_close(struct rows *r); /* NULL is fine */
#endif
