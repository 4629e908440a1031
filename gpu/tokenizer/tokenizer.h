/* tokenizer.h: text ↔ token ids, as a Hugging Face tokenizer.json says.
 *
 * What      loads tokenizer.json (with tokenizer_config.json and chat_template.jinja beside it when there)
 *           and gives the ids, offsets and texts that the `tokenizers` library gives. Models: BPE
 *           (byte-level, or with byte fallback). A component this library does not have is named in an
 *           LC_UNSUPPORTED error, never skipped. The file's `truncation` and `padding` sections are left to
 *           the caller, as transformers does.
 * Ownership tokenizer_open → tokenizer_free. Returned texts are borrowed from the tokenizer. struct encoding
 *           is the caller's: start from ENCODING_INIT, end with encoding_release.
 * Units     token ids start at 0; lengths are bytes; offsets are characters (code points) of the text,
 *           [start, end), as in Python.
 * Errors    LC_DATA (file or text broken), LC_UNSUPPORTED, LC_LIMIT, LC_MISSING (plugin `regex`), LC_NOMEM.
 * Threads   immutable once open: any number at once, each with its own struct encoding.
 *
 * Example:
 *     struct tokenizer *tok;
 *     struct encoding enc = ENCODING_INIT;
 *     struct err err;
 *     if (tokenizer_open("path/to/model", &tok, &err) != LC_OK)
 *         return err.code;
 *     if (tokenizer_encode(tok, "Hello", 5, TOKENIZER_SPECIAL, &enc, &err) == LC_OK)
 *         printf("%zu tokens, the first is %d\n", enc.n, enc.ids[0]);
 *     encoding_release(&enc);
 *     tokenizer_free(tok);
 */
#ifndef LACUS_GPU_TOKENIZER_H
#define LACUS_GPU_TOKENIZER_H
#include "runtime/base/buf.h"
#include <jansson.h>
#include <stddef.h>

struct tokenizer;

/* path: tokenizer.json or the folder that holds it. */
enum lc tokenizer_open(const char *path, struct tokenizer **out, struct err *err) MUST_CHECK;
/* The text of a tokenizer.json alone. */
enum lc tokenizer_parse(const char *json, size_t len, struct tokenizer **out, struct err *err) MUST_CHECK;
void tokenizer_free(struct tokenizer *tok); /* NULL is fine */

/* ---- encode ---- */
struct encoding {
    int32_t *ids;         /* owned */
    uint32_t (*range)[2]; /* owned: start and end character of each token; NULL without TOKENIZER_OFFSETS */
    size_t n, cap;
};
#define ENCODING_INIT                                                                                        \
    {                                                                                                        \
        0                                                                                                    \
    }
void encoding_release(struct encoding *enc);

enum tokenizer_flags {
    TOKENIZER_SPECIAL = 1, /* what the post-processor adds (BOS, EOS): add_special_tokens=True */
    TOKENIZER_OFFSETS = 2, /* fill range */
};

/* Replaces what enc holds. Text that is not UTF-8 is LC_DATA with the position. */
enum lc tokenizer_encode(const struct tokenizer *tok, const char *text, size_t len, unsigned flags,
                         struct encoding *enc, struct err *err) MUST_CHECK;

/* ---- decode ---- */
/* Appends the text. Bytes that do not form UTF-8 become U+FFFD. An id outside the vocabulary is left out. */
enum lc tokenizer_decode(const struct tokenizer *tok, const int32_t *ids, size_t n, bool skip_special,
                         struct buf *out, struct err *err) MUST_CHECK;

/* Appends what this token alone stands for, which need not be UTF-8: a byte of a character, a word with its blank.
 * Nothing for an id outside the vocabulary. */
enum lc tokenizer_token_bytes(const struct tokenizer *tok, int32_t id, struct buf *out,
                              struct err *err) MUST_CHECK;

/* ---- streams of tokens: gives text as soon as it is whole ---- */
struct tokenizer_stream; /* borrows the tokenizer */
struct tokenizer_stream *tokenizer_stream_new(const struct tokenizer *tok, bool skip_special);
void tokenizer_stream_free(struct tokenizer_stream *s);
/* The text continues these tokens: a word's blank at its beginning is kept. Before the first put. */
void tokenizer_stream_after(struct tokenizer_stream *s, const int32_t *ids, size_t n);
/* Appends what this token adds to the text; nothing while a character is incomplete. */
enum lc tokenizer_stream_put(struct tokenizer_stream *s, int32_t id, struct buf *out,
                             struct err *err) MUST_CHECK;
/* Appends what is held back. */
enum lc tokenizer_stream_end(struct tokenizer_stream *s, struct buf *out, struct err *err) MUST_CHECK;

/* ---- vocabulary ---- */
size_t tokenizer_vocab_size(const struct tokenizer *tok);             /* highest id + 1 */
const char *tokenizer_token(const struct tokenizer *tok, int32_t id); /* NULL: no such id */
int32_t tokenizer_id(const struct tokenizer *tok, const char *token); /* -1: no such token */
bool tokenizer_is_special(const struct tokenizer *tok, int32_t id);
/* From tokenizer_config.json, else from usual names (<|end_of_text|>, </s>, …); -1: none. */
int32_t tokenizer_bos(const struct tokenizer *tok);
int32_t tokenizer_eos(const struct tokenizer *tok);
int32_t tokenizer_pad(const struct tokenizer *tok);
/* Whether TOKENIZER_SPECIAL puts something in front / behind (so that nobody adds it twice). */
bool tokenizer_adds_bos(const struct tokenizer *tok);
bool tokenizer_adds_eos(const struct tokenizer *tok);

/* ---- chat ---- */
/* NULL: the model has none. tools: the one for chats with tools, where the model has two. */
const char *tokenizer_chat_template(const struct tokenizer *tok, bool tools);
/* Appends the rendered conversation. messages: array of {role, content, …}; extra: further template variables
 * (tools, documents, …) or NULL; chat_template: instead of the model's own, or NULL. */
enum lc tokenizer_apply_chat_template(const struct tokenizer *tok, const char *chat_template,
                                      const json_t *messages, bool add_generation_prompt, const json_t *extra,
                                      struct buf *out, struct err *err) MUST_CHECK;
struct text_spans;
/* The same into an empty buffer, with the parts that the template marks as the assistant's (assistant.h; NULL: not asked for). */
enum lc tokenizer_render_chat(const struct tokenizer *tok, const char *chat_template, const json_t *messages,
                              bool add_generation_prompt, const json_t *extra, struct buf *out,
                              struct text_spans *spans, struct err *err) MUST_CHECK;
#endif
