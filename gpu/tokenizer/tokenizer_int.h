/* tokenizer_int.h: what the tokenizer's files share. Private to gpu/tokenizer.
 *
 * What      a text on its way to ids is a list of pieces. Each step of the file (normalizer, pre-tokenizer)
 *           is a struct step made from JSON; the steps run in order over the pieces of a struct work.
 * Ownership steps and vocabulary live as long as the tokenizer; pieces live in the work's arena.
 * Units     bytes.
 * Threads   a struct work belongs to one encode call.
 */
#ifndef LACUS_GPU_TOKENIZER_INT_H
#define LACUS_GPU_TOKENIZER_INT_H
#include "gpu/tokenizer/regex.h"
#include "gpu/tokenizer/template.h"
#include "gpu/tokenizer/tokenizer.h"
#include "runtime/base/mem.h"

/* ---- strings ↔ ids ---- */
struct vocab {
    struct vocab_slot {
        const char *text; /* borrowed from the arena; NULL: empty */
        uint32_t len;
        int32_t id;
    } * slots; /* owned */
    size_t mask, n;
    struct vocab_text {
        const char *text; /* NULL: no such id */
        uint32_t len;
    } * by_id; /* owned */
    size_t n_ids, cap_ids;
};
enum { VOCAB_ID_MAX = 1 << 24 };

enum lc vocab_init(struct vocab *v, size_t expected, struct err *err) MUST_CHECK;
void vocab_release(struct vocab *v);
/* text must outlive the vocabulary. A text that is there already keeps its id; the id's text is replaced. */
enum lc vocab_add(struct vocab *v, const char *text, size_t len, int64_t id, struct err *err) MUST_CHECK;
int32_t vocab_find(const struct vocab *v, const char *text, size_t len); /* -1: none */

/* ---- byte-level alphabet ---- */
extern const uint16_t bytelevel_char[256]; /* byte → code point of its visible character */
int bytelevel_byte(uint32_t code);         /* back; -1: not one of them */
size_t bytelevel_put(unsigned char byte, char out[4]);

/* ---- texts on their way ---- */
struct align {
    uint32_t start, end; /* bytes of the original text that this byte stands for */
};

struct piece {
    char *text; /* in the arena */
    size_t n;
    struct align *align; /* n of them, or NULL when nobody asked for offsets */
    int32_t id;          /* ≥ 0: an added token; -1: text */
    bool first;          /* starts where the original text starts */
};

struct work {
    const struct tokenizer *tok;
    struct arena *arena;
    struct regex_scratch *scratch; /* NULL when the file needs no regex */
    bool offsets;
    struct piece *pieces; /* in the arena */
    size_t n, cap;
    struct encoding *enc;
    struct err *err;
};

enum lc work_put(struct work *w, struct piece p) MUST_CHECK; /* LC_NOMEM, or an empty text is dropped */

/* Grows a text in the arena, with an align per byte when the work wants offsets. */
struct piece_writer {
    struct work *w;
    struct piece p;
    size_t cap;
    bool failed;
};
void writer_init(struct piece_writer *pw, struct work *w, size_t expected);
void writer_put(struct piece_writer *pw, const char *text, size_t n, struct align a);
/* Bytes [start, end) of p, each with its own range. */
void writer_copy(struct piece_writer *pw, const struct piece *p, size_t start, size_t end);
struct align piece_align(const struct piece *p, size_t at); /* zero when there are none, or at the end */

/* ---- steps ---- */
enum pattern_kind { PATTERN_LITERAL, PATTERN_REGEX, PATTERN_CHAR };
struct pattern {
    enum pattern_kind kind;
    const char *text; /* literal or source */
    size_t len;
    struct regex_code *code;                                                  /* owned */
    bool (*test)(const struct regex_vtable *re, uint32_t code, uint32_t arg); /* PATTERN_CHAR */
    uint32_t arg;
    bool invert;
};
struct match {
    size_t start, end;
    bool is_match;
};
/* Covers the text with matches and what lies between them. */
enum lc pattern_cover(const struct pattern *p, struct work *w, const char *text, size_t n, struct match **out,
                      size_t *n_out) MUST_CHECK;

enum behavior { BEHAVE_REMOVED, BEHAVE_ISOLATED, BEHAVE_PREVIOUS, BEHAVE_NEXT, BEHAVE_CONTIGUOUS };

struct step {
    enum lc (*run)(const struct step *s, struct work *w,
                   struct piece *p); /* normalizer: changes; pre-tokenizer: emits */
    struct pattern pattern;
    enum behavior behavior;
    const char *text; /* replacement, prefix */
    size_t len;
    unsigned flags; /* the step's own */
    uint32_t arg;
};

struct steps {
    struct step *items; /* owned */
    size_t n, cap;
};

struct decoder_step {
    /* changes the list of token texts (in the arena) */
    enum lc (*run)(const struct decoder_step *s, struct work *w, struct piece *tokens, size_t *n);
    struct pattern pattern;
    const char *text;
    size_t len;
    size_t start, stop;
    unsigned flags;
};

/* ---- added tokens ---- */
struct added {
    const char *text; /* what is searched: normalised when the token says so */
    uint32_t len;
    int32_t id;
    bool single_word, lstrip, rstrip, special;
    const char *content;
};
struct added_set {       /* those searched before, or after, normalisation; by first byte, longest first */
    struct added *items; /* owned */
    size_t n;
    uint32_t first[257]; /* items whose text starts with byte b: first[b] … first[b + 1] */
};

/* ---- the model ---- */
struct merge {
    int32_t left, right; /* left < 0: empty slot */
    int32_t rank, id;
};
struct cached_word {
    uint16_t len, n;
    int32_t ids[]; /* [n], then len bytes of text */
};
struct word_cache;                          /* may be used from any thread at once */
struct word_cache *word_cache_new(void);    /* NULL without memory: then there is none */
void word_cache_free(struct word_cache *c); /* NULL is fine */
const struct cached_word *word_cache_find(const struct word_cache *c, const char *text, size_t len);
void word_cache_put(struct word_cache *c, const char *text, size_t len, const int32_t *ids, size_t n);

struct bpe {
    struct word_cache *cache; /* owned */
    struct merge *merges;     /* owned hash table */
    size_t mask, n;
    int32_t unk;
    int32_t byte_ids[256]; /* <0xNN>, for byte fallback; -1: not in the vocabulary */
    bool byte_fallback, fuse_unk, ignore_merges;
    bool
        by_words; /* nothing merges over the place where a word ends and SPACE_MARK follows: a piece is cut there */
    const char *prefix, *suffix; /* continuing_subword_prefix, end_of_word_suffix; "" when none */
};

struct special_run { /* ids that a post-processor puts around */
    int32_t *ids;    /* in the arena */
    size_t n;
};

enum token_kind { TOKEN_ADDED = 1, TOKEN_SPECIAL = 2 };

struct tokenizer {
    struct arena *arena;           /* owned: every text */
    const struct regex_vtable *re; /* NULL until a component needs it */
    struct vocab vocab;
    struct bpe bpe;
    struct added_set before, after;
    uint8_t *kinds; /* owned: per id, enum token_kind */
    struct steps normalizers, pre_tokenizers;
    struct decoder_step *decoders; /* owned */
    size_t n_decoders;
    bool has_decoder;
    struct special_run front, back;
    bool trim_offsets, trim_prefix_space; /* ByteLevel post-processing */
    int32_t bos, eos, pad;
    const char *chat_template, *tool_template; /* NULL: none */
    json_t *special_texts; /* owned: bos_token, eos_token, … as texts, for the template */
};

enum lc need_regex(struct tokenizer *tok, struct err *err) MUST_CHECK;
enum lc load_bpe(struct tokenizer *tok, const json_t *model, struct err *err) MUST_CHECK;
/* A part of tokenizer.json that is one step or a Sequence of steps. */
struct part {
    const char *name, *members; /* "normalizer", and what its Sequence calls them: "normalizers" */
    enum lc (*add)(struct tokenizer *tok, const json_t *json, const char *type, struct err *err);
};
enum lc load_part(struct tokenizer *tok, const struct part *part, const json_t *json,
                  struct err *err) MUST_CHECK;
struct step *steps_add(struct steps *steps); /* zeroed; NULL without memory */
enum lc load_normalizer(struct tokenizer *tok, const json_t *json, struct err *err) MUST_CHECK;
enum lc load_pre_tokenizer(struct tokenizer *tok, const json_t *json, struct err *err) MUST_CHECK;
enum lc load_decoder(struct tokenizer *tok, const json_t *json, struct err *err) MUST_CHECK;
enum lc load_post_processor(struct tokenizer *tok, const json_t *json, struct err *err) MUST_CHECK;
enum lc load_added(struct tokenizer *tok, const json_t *json, struct err *err) MUST_CHECK;
enum lc load_config(struct tokenizer *tok, const char *folder, struct err *err) MUST_CHECK;
enum lc load_pattern(struct tokenizer *tok, const json_t *json, const char *where, struct pattern *out,
                     struct err *err) MUST_CHECK;

enum lc normalize_piece(struct work *w, struct piece *p) MUST_CHECK;
enum lc split_added(const struct added_set *set, struct work *w) MUST_CHECK;
enum lc pre_tokenize(struct work *w) MUST_CHECK;
enum lc bpe_encode(struct work *w, const struct piece *p) MUST_CHECK;
enum lc encoding_put_all(struct work *w, const int32_t *ids, size_t n) MUST_CHECK; /* without ranges */
enum lc encoding_put(struct work *w, int32_t id, struct align a) MUST_CHECK;
void trim_offsets(struct work *w);

/* "unknown pre_tokenizer 'X'": the error for a component this library does not have. */
enum lc unsupported(const char *what, const char *name, struct err *err);
const char *json_text(const json_t *object, const char *key, size_t *len); /* NULL: not a string */
bool is_white_space(uint32_t code);
#endif
