/* assistant.c: the source of the rules is transformers' apply_chat_template with return_assistant_tokens_mask. */
#include "gpu/tokenizer/assistant.h"
#include "runtime/base/mem.h"
#include <string.h>

enum lc text_spans_put(struct text_spans *s, struct text_span span, struct err *err)
{
    size_t cap = s->cap ? s->cap * 2 : 8;
    struct text_span *items;

    if (s->n == s->cap) {
        items = mem_reallocn(s->items, cap, sizeof *items);
        if (!items)
            return err_nomem(err);
        s->items = items;
        s->cap = cap;
    }
    s->items[s->n++] = span;
    return LC_OK;
}

void text_spans_release(struct text_spans *s)
{
    mem_free(s->items);
    *s = (struct text_spans){0};
}

/* The first token that covers the character; enc->n: none does. */
static size_t token_at(const struct encoding *enc, size_t character)
{
    size_t i = 0;

    while (i < enc->n && !(enc->range[i][0] <= character && character < enc->range[i][1]))
        i++;
    return i;
}

/* Behind the last token of a span. Where no token covers its last character (a blank that offsets leave out), or where that is the
 * first token of all, transformers takes all that follows for the assistant's, too: here it ends with the last token that begins in
 * it. */
static size_t token_behind(const struct encoding *enc, struct text_span span)
{
    size_t end = token_at(enc, span.end - 1);

    if (end < enc->n)
        return end + 1;
    while (end > 0 && enc->range[end - 1][0] >= span.end)
        end--;
    return end;
}

void assistant_mask(const struct text_spans *s, const struct encoding *enc, int32_t *mask)
{
    memset(mask, 0, enc->n * sizeof *mask);
    for (size_t i = 0; i < s->n; i++) {
        size_t from = token_at(enc, s->items[i].start), to;

        if (from == enc->n)
            break; /* transformers takes this for the end of what was cut */
        to = s->items[i].end > 0 ? token_behind(enc, s->items[i]) : from;
        for (; from < to; from++)
            mask[from] = 1;
    }
}
