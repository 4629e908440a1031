/* assistant.h: which tokens of a conversation are the assistant's, as its chat template marks them with {% generation %}.
 *
 * What      a render notes the marked parts of its text as spans; a mask says it of the tokens of that text.
 * Ownership struct text_spans is the caller's: {0}, then text_spans_release.
 * Units     characters (code points) of the rendered text, [start, end), as in Python and in struct encoding.
 * Errors    LC_NOMEM.
 * Threads   any.
 *
 * Example:
 *     struct text_spans spans = {0};
 *     if (tokenizer_render_chat(tok, NULL, messages, false, NULL, &text, &spans, &err) == LC_OK && spans.tagged &&
 *         tokenizer_encode(tok, buf_str(&text), text.len, TOKENIZER_OFFSETS, &enc, &err) == LC_OK)
 *         assistant_mask(&spans, &enc, mask);
 *     text_spans_release(&spans);
 */
#ifndef LACUS_GPU_TOKENIZER_ASSISTANT_H
#define LACUS_GPU_TOKENIZER_ASSISTANT_H
#include "gpu/tokenizer/tokenizer.h"

struct text_span {
    size_t start, end;
};

struct text_spans {
    struct text_span *items; /* owned */
    size_t n, cap;
    bool tagged; /* the template has a {% generation %}, written or not */
};

enum lc text_spans_put(struct text_spans *s, struct text_span span, struct err *err) MUST_CHECK;
void text_spans_release(struct text_spans *s);

/* mask[enc->n]: 1 for the tokens of the spans, else 0. enc: with TOKENIZER_OFFSETS. */
void assistant_mask(const struct text_spans *s, const struct encoding *enc, int32_t *mask);
#endif
