/* stop.h: texts that end a generated text.
 *
 * What      finds the first of them as the text grows piece by piece, and says how much of the text can be shown
 *           before it is known whether one begins at its end.
 * Ownership texts are borrowed.
 * Units     bytes.
 * Errors    none; empty texts never match.
 * Threads   any.
 *
 * Example:
 *     char *texts[] = {"\n\n"};
 *     struct stop_texts stops = {texts, 1};
 *     struct buf text = BUF_INIT(BUF_TEXT_MAX);
 *     buf_puts(&text, "an answer\n");
 *     if (!stop_cut(&stops, &text, 0))
 *         printf("%zu\n", stop_visible(&stops, &text));
 *     buf_release(&text);
 */
#ifndef LACUS_GPU_TOKENIZER_STOP_H
#define LACUS_GPU_TOKENIZER_STOP_H
#include "runtime/base/buf.h"

struct stop_texts {
    char **texts;
    size_t n;
};

/* Cuts the text at the first stop text in it; old: its length when it was looked at last. */
bool stop_cut(const struct stop_texts *stops, struct buf *text, size_t old);
/* All but the longest end that may be the beginning of a stop text. */
size_t stop_visible(const struct stop_texts *stops, const struct buf *text);
#endif
