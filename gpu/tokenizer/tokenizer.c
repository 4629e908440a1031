#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/fs.h"
#include "runtime/base/plugin.h"
#include "runtime/base/utf8.h"
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 256 << 20, TEXT_MAX = 1 << 30 };

/* ---- shared by the loaders ---- */
const struct regex_vtable *regex_load(struct err *err)
{
    const struct regex_vtable *re = plugin_symbol("regex", "lacus_regex", err);

    if (re && re->version != REGEX_VERSION) {
        err_set(err, LC_MISSING, "the plugin 'regex' is of another version of lacus");
        err_hint(err, "run 'make' again");
        return NULL;
    }
    return re;
}

enum lc need_regex(struct tokenizer *tok, struct err *err)
{
    if (!tok->re && (tok->re = regex_load(err)) == NULL)
        return LC_MISSING;
    return LC_OK;
}

enum lc unsupported(const char *what, const char *name, struct err *err)
{
    err_set(err, LC_UNSUPPORTED, "the %s '%.100s' is not supported", what, name);
    return err_hint(err, "lacus reads the BPE tokenizers of the Llama, Mistral, Qwen and GPT families");
}

const char *json_text(const json_t *object, const char *key, size_t *len)
{
    const json_t *value = json_object_get(object, key);

    if (len)
        *len = json_string_length(value);
    return json_string_value(value);
}

enum lc load_pattern(struct tokenizer *tok, const json_t *json, const char *where, struct pattern *out,
                     struct err *err)
{
    const json_t *pattern = json_object_get(json, "pattern");
    size_t len;
    const char *literal = json_text(pattern, "String", &len), *source;

    if (literal) {
        *out = (struct pattern){
            .kind = PATTERN_LITERAL, .text = arena_strndup(tok->arena, literal, len), .len = len};
        return out->text ? LC_OK : err_nomem(err);
    }
    if ((source = json_text(pattern, "Regex", &len)) == NULL)
        return err_set(err, LC_DATA, "a %s has a pattern that is neither String nor Regex", where);
    TRY(need_regex(tok, err));
    out->kind = PATTERN_REGEX;
    return tok->re->compile(source, len, &out->code, err);
}

static void pattern_release(struct tokenizer *tok, struct pattern *p)
{
    if (p->code)
        tok->re->release(p->code);
    p->code = NULL;
}

/* ---- opening ---- */
struct step *steps_add(struct steps *steps)
{
    struct step *more = mem_reallocn(steps->items, steps->n + 1, sizeof *more);

    if (!more)
        return NULL;
    steps->items = more;
    memset(&more[steps->n], 0, sizeof *more);
    return &more[steps->n++];
}

enum lc load_part(struct tokenizer *tok, const struct part *part, const json_t *json, struct err *err)
{
    const char *type = json_text(json, "type", NULL);
    json_t *inner;
    size_t i;

    if (!json || json_is_null(json))
        return LC_OK;
    if (!type)
        return err_set(err, LC_DATA, "the %s has no type", part->name);
    if (strcmp(type, "Sequence") != 0)
        return part->add(tok, json, type, err);
    json_array_foreach (json_object_get(json, part->members), i, inner)
        TRY(load_part(tok, part, inner, err));
    return LC_OK;
}

static void steps_release(struct tokenizer *tok, struct steps *steps)
{
    for (size_t i = 0; i < steps->n; i++)
        pattern_release(tok, &steps->items[i].pattern);
    mem_free(steps->items);
}

void tokenizer_free(struct tokenizer *tok)
{
    if (!tok)
        return;
    steps_release(tok, &tok->normalizers);
    steps_release(tok, &tok->pre_tokenizers);
    for (size_t i = 0; i < tok->n_decoders; i++)
        pattern_release(tok, &tok->decoders[i].pattern);
    mem_free(tok->decoders);
    mem_free(tok->before.items);
    mem_free(tok->after.items);
    mem_free(tok->bpe.merges);
    word_cache_free(tok->bpe.cache);
    mem_free(tok->kinds);
    vocab_release(&tok->vocab);
    json_decref(tok->special_texts);
    arena_free(tok->arena);
    mem_free(tok);
}

static enum lc load_parts(struct tokenizer *tok, const json_t *root, struct err *err)
{
    if (!json_is_object(root))
        return err_set(err, LC_DATA, "it is not a JSON object");
    TRY(load_bpe(tok, json_object_get(root, "model"), err));
    TRY(load_normalizer(tok, json_object_get(root, "normalizer"), err));
    TRY(load_pre_tokenizer(tok, json_object_get(root, "pre_tokenizer"), err));
    TRY(load_added(tok, json_object_get(root, "added_tokens"), err));
    TRY(load_decoder(tok, json_object_get(root, "decoder"), err));
    return load_post_processor(tok, json_object_get(root, "post_processor"), err);
}

static int32_t first_of(const struct tokenizer *tok, const char *const *names)
{
    for (; *names; names++) {
        int32_t id = tokenizer_id(tok, *names);
        if (id >= 0 && (tok->kinds[id] & TOKEN_SPECIAL) != 0)
            return id;
    }
    return -1;
}

/* Without a config, the names that published models use. */
static void guess_specials(struct tokenizer *tok)
{
    static const char *const bos[] = {"<|begin_of_text|>", "<s>", "<bos>", "<|startoftext|>", NULL};
    static const char *const eos[] = {"<|end_of_text|>", "</s>",          "<eos>",
                                      "<|im_end|>",      "<|endoftext|>", NULL};
    static const char *const pad[] = {"<pad>", "<|finetune_right_pad_id|>", "[PAD]", "<|pad|>", NULL};

    tok->bos = first_of(tok, bos);
    tok->eos = first_of(tok, eos);
    tok->pad = first_of(tok, pad);
}

enum lc tokenizer_parse(const char *json, size_t len, struct tokenizer **out, struct err *err)
{
    struct tokenizer *tok = mem_zalloc(sizeof *tok);
    json_error_t json_error;
    json_t *root;
    enum lc rc;

    if (!tok || (tok->arena = arena_new(0)) == NULL || (tok->special_texts = json_object()) == NULL) {
        tokenizer_free(tok);
        return err_nomem(err);
    }
    root = json_loadb(json, len, JSON_REJECT_DUPLICATES, &json_error);
    if (!root) {
        err_set(err, LC_DATA, "not valid JSON: %s (line %d)", json_error.text, json_error.line);
        rc = err_at(err, json_error.position);
    } else {
        rc = load_parts(tok, root, err);
    }
    json_decref(root);
    if (rc != LC_OK) {
        tokenizer_free(tok);
        return rc;
    }
    guess_specials(tok);
    *out = tok;
    return LC_OK;
}

static enum lc open_file(const char *path, struct tokenizer **out, struct err *err)
{
    struct buf text = BUF_INIT(FILE_MAX);
    enum lc rc = fs_read(path, &text, err);

    if (rc == LC_OK && (rc = tokenizer_parse(buf_str(&text), text.len, out, err)) != LC_OK && err) {
        char cause[sizeof err->message];
        memcpy(cause, err->message, sizeof cause);
        snprintf(err->message, sizeof err->message, "cannot read '%.300s': %.700s", path, cause);
    }
    buf_release(&text);
    return rc;
}

enum lc tokenizer_open(const char *path, struct tokenizer **out, struct err *err)
{
    bool folder = fs_is_dir(path);
    const char *slash = strrchr(path, '/');
    char *file = folder ? fs_join(path, "tokenizer.json") : mem_strdup(path);
    char *dir = folder  ? mem_strdup(path)
                : slash ? mem_strndup(path, (size_t)(slash + 1 - path))
                        : mem_strdup(".");
    enum lc rc = file && dir ? open_file(file, out, err) : err_nomem(err);

    if (rc == LC_NOTFOUND && folder)
        err_hint(err, "lacus needs tokenizer.json; a folder with tokenizer.model only is converted by "
                      "loading and saving it "
                      "with transformers once");
    if (rc == LC_OK && (rc = load_config(*out, dir, err)) != LC_OK) {
        tokenizer_free(*out);
        *out = NULL;
    }
    mem_free(file);
    mem_free(dir);
    return rc;
}

/* ---- encode ---- */
void encoding_release(struct encoding *enc)
{
    mem_free(enc->ids);
    mem_free(enc->range);
    memset(enc, 0, sizeof *enc);
}

static enum lc encoding_reserve(struct encoding *enc, size_t more, bool ranges, struct err *err)
{
    size_t cap = enc->cap ? enc->cap : 64;
    int32_t *ids;
    uint32_t(*range)[2];

    if (enc->n + more <= enc->cap && (!ranges || enc->range))
        return LC_OK;
    while (cap < enc->n + more)
        cap *= 2;
    if ((ids = mem_reallocn(enc->ids, cap, sizeof *ids)) == NULL)
        return err_nomem(err);
    enc->ids = ids;
    if (ranges) {
        if ((range = mem_reallocn(enc->range, cap, sizeof *range)) == NULL)
            return err_nomem(err);
        enc->range = range;
    }
    enc->cap = cap;
    return LC_OK;
}

enum lc encoding_put_all(struct work *w, const int32_t *ids, size_t n)
{
    TRY(encoding_reserve(w->enc, n, w->offsets, w->err));
    for (size_t i = 0; i < n; i++)
        w->enc->ids[w->enc->n + i] = ids[i];
    w->enc->n += n;
    return LC_OK;
}

enum lc encoding_put(struct work *w, int32_t id, struct align a)
{
    struct encoding *enc = w->enc;

    TRY(encoding_reserve(enc, 1, w->offsets, w->err));
    enc->ids[enc->n] = id;
    if (w->offsets) {
        enc->range[enc->n][0] = a.start;
        enc->range[enc->n][1] = a.end;
    }
    enc->n++;
    return LC_OK;
}

static enum lc start_piece(struct work *w, const char *text, size_t len)
{
    struct piece p = {.text = arena_alloc(w->arena, len), .n = len, .id = -1, .first = true};

    if (w->offsets)
        p.align = arena_alloc(w->arena, len * sizeof *p.align);
    if (!p.text || (w->offsets && !p.align))
        return err_nomem(w->err);
    memcpy(p.text, text, len);
    for (size_t at = 0, n; w->offsets && at < len; at += n) {
        uint32_t code;
        n = utf8_decode(text + at, len - at, &code);
        for (size_t i = 0; i < n; i++)
            p.align[at + i] = (struct align){(uint32_t)at, (uint32_t)(at + n)};
    }
    return work_put(w, p);
}

static enum lc normalize_all(struct work *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->pieces[i].id < 0)
            TRY(normalize_piece(w, &w->pieces[i]));
    return LC_OK;
}

/* Where an added token stands: with ByteLevel's trim_offsets, without the spaces that it took along. */
static struct align added_range(const struct work *w, const struct piece *p)
{
    size_t start = 0, end = 0, len;
    uint32_t code;
    struct align whole = {piece_align(p, 0).start, piece_align(p, p->n - 1).end};

    if (!w->tok->trim_offsets)
        return whole;
    for (size_t at = 0; at < p->n; at += len) {
        len = utf8_decode(p->text + at, p->n - at, &code);
        len = len ? len : 1;
        if (!is_white_space(code))
            end = at + len;
        else if (end == 0)
            start = at + len;
    }
    if (end == 0)
        return (struct align){whole.end, whole.end};
    if (start == 1 && w->tok->trim_prefix_space && whole.start == 0)
        start = 0;
    return (struct align){piece_align(p, start).start, piece_align(p, end - 1).end};
}

static enum lc run_model(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct piece *p = &w->pieces[i];
        if (p->id >= 0)
            TRY(encoding_put(w, p->id, added_range(w, p)));
        else if (p->n > 0)
            TRY(bpe_encode(w, p));
    }
    return LC_OK;
}

/* Bytes to characters: the ranges ascend but for overlaps, so one walk with small steps back is enough. */
static void count_characters(struct encoding *enc, const char *text, size_t len)
{
    size_t at = 0, characters = 0;

    for (size_t i = 0; i < enc->n; i++)
        for (int end = 0; end < 2; end++) {
            size_t want = enc->range[i][end] < len ? enc->range[i][end] : len;
            for (; at < want; at++)
                characters += ((unsigned char)text[at] & 0xc0) != 0x80;
            for (; at > want; at--)
                characters -= ((unsigned char)text[at - 1] & 0xc0) != 0x80;
            enc->range[i][end] = (uint32_t)characters;
        }
}

static enum lc add_specials(struct work *w)
{
    const struct tokenizer *tok = w->tok;
    struct encoding *enc = w->enc;
    size_t front = tok->front.n, back = tok->back.n;

    TRY(encoding_reserve(enc, front + back, w->offsets, w->err));
    if (enc->n)
        memmove(enc->ids + front, enc->ids, enc->n * sizeof *enc->ids);
    if (front)
        memcpy(enc->ids, tok->front.ids, front * sizeof *enc->ids);
    if (back)
        memcpy(enc->ids + front + enc->n, tok->back.ids, back * sizeof *enc->ids);
    if (w->offsets) {
        memmove(enc->range + front, enc->range, enc->n * sizeof *enc->range);
        memset(enc->range, 0, front * sizeof *enc->range);
        memset(enc->range + front + enc->n, 0, back * sizeof *enc->range);
    }
    enc->n += front + back;
    return LC_OK;
}

static enum lc encode(struct work *w, const char *text, size_t len, bool special)
{
    TRY(start_piece(w, text, len));
    TRY(split_added(&w->tok->before, w));
    TRY(normalize_all(w));
    TRY(split_added(&w->tok->after, w));
    TRY(pre_tokenize(w));
    TRY(run_model(w));
    if (w->offsets) {
        count_characters(w->enc, text, len);
        if (w->tok->trim_offsets)
            trim_offsets(w);
    }
    return special ? add_specials(w) : LC_OK;
}

static enum lc check_text(const char *text, size_t len, struct err *err)
{
    size_t at = 0, n;
    uint32_t code;

    if (len > TEXT_MAX)
        return err_set(err, LC_LIMIT, "cannot tokenize a text of %zu bytes; the limit is %d", len, TEXT_MAX);
    if (utf8_valid(text, len))
        return LC_OK;
    while ((n = utf8_decode(text + at, len - at, &code)) > 0)
        at += n;
    err_set(err, LC_DATA, "cannot tokenize the text: byte %zu is not UTF-8", at);
    return err_at(err, (int64_t)at);
}

enum lc tokenizer_encode(const struct tokenizer *tok, const char *text, size_t len, unsigned flags,
                         struct encoding *enc, struct err *err)
{
    struct work w = {.tok = tok, .enc = enc, .err = err, .offsets = (flags & TOKENIZER_OFFSETS) != 0};
    enum lc rc;

    TRY(check_text(text, len, err));
    enc->n = 0;
    if (!w.offsets) {
        mem_free(enc->range);
        enc->range = NULL;
    }
    if ((w.arena = arena_new(0)) == NULL)
        return err_nomem(err);
    rc = encoding_reserve(enc, len / 3 + 4, w.offsets, err);
    if (rc == LC_OK && tok->re && (w.scratch = tok->re->scratch_new()) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = encode(&w, text, len, (flags & TOKENIZER_SPECIAL) != 0);
    if (tok->re && w.scratch)
        tok->re->scratch_free(w.scratch);
    arena_free(w.arena);
    return rc;
}

/* ---- vocabulary ---- */
size_t tokenizer_vocab_size(const struct tokenizer *tok)
{
    return tok->vocab.n_ids;
}

const char *tokenizer_token(const struct tokenizer *tok, int32_t id)
{
    return id >= 0 && (size_t)id < tok->vocab.n_ids ? tok->vocab.by_id[id].text : NULL;
}

int32_t tokenizer_id(const struct tokenizer *tok, const char *token)
{
    return vocab_find(&tok->vocab, token, strlen(token));
}

bool tokenizer_is_special(const struct tokenizer *tok, int32_t id)
{
    return id >= 0 && (size_t)id < tok->vocab.n_ids && (tok->kinds[id] & TOKEN_SPECIAL) != 0;
}

int32_t tokenizer_bos(const struct tokenizer *tok)
{
    return tok->bos;
}

int32_t tokenizer_eos(const struct tokenizer *tok)
{
    return tok->eos;
}

int32_t tokenizer_pad(const struct tokenizer *tok)
{
    return tok->pad;
}

bool tokenizer_adds_bos(const struct tokenizer *tok)
{
    return tok->front.n > 0;
}

bool tokenizer_adds_eos(const struct tokenizer *tok)
{
    return tok->back.n > 0;
}

/* ---- chat ---- */
const char *tokenizer_chat_template(const struct tokenizer *tok, bool tools)
{
    return tools && tok->tool_template ? tok->tool_template : tok->chat_template;
}

static enum lc set_all(json_t *into, const json_t *from)
{
    return !from || json_object_update(into, (json_t *)(uintptr_t)from) == 0 ? LC_OK : LC_NOMEM;
}

/* A template's fault with the line that it is in. */
static enum lc say_line(const char *text, struct err *err)
{
    char said[sizeof err->message];
    int line = 1;

    if (err->code == LC_NOMEM || err->code == LC_CANCELLED)
        return err->code;
    for (int64_t i = 0; i < err->position && text[i]; i++)
        line += text[i] == '\n';
    memcpy(said, err->message, sizeof said);
    return err_set(err, err->code, "cannot render the chat template, line %d: %.900s", line, said);
}

enum lc tokenizer_apply_chat_template(const struct tokenizer *tok, const char *chat_template,
                                      const json_t *messages, bool add_generation_prompt, const json_t *extra,
                                      struct buf *out, struct err *err)
{
    return tokenizer_render_chat(tok, chat_template, messages, add_generation_prompt, extra, out, NULL, err);
}

enum lc tokenizer_render_chat(const struct tokenizer *tok, const char *chat_template, const json_t *messages,
                              bool add_generation_prompt, const json_t *extra, struct buf *out,
                              struct text_spans *spans, struct err *err)
{
    const json_t *tools = json_object_get(extra, "tools");
    const char *text =
        chat_template ? chat_template : tokenizer_chat_template(tok, tools && !json_is_null(tools));
    json_t *vars;
    enum lc rc;

    if (!text) {
        err_set(err, LC_NOTFOUND, "the model has no chat template");
        return err_hint(err,
                        "put one into chat_template.jinja beside tokenizer.json, or send a plain prompt");
    }
    if (!json_is_array(messages))
        return err_set(err, LC_ARG, "messages is not a list");
    if ((vars = json_object()) == NULL)
        return err_nomem(err);
    rc = set_all(vars, tok->special_texts);
    if (json_object_set_new(vars, "tools", json_null()) != 0 ||
        json_object_set_new(vars, "documents", json_null()) != 0)
        rc = LC_NOMEM; /* transformers always passes these two */
    if (rc == LC_OK)
        rc = set_all(vars, extra);
    if (rc != LC_OK || json_object_set(vars, "messages", (json_t *)(uintptr_t)messages) != 0 ||
        json_object_set_new(vars, "add_generation_prompt", json_boolean(add_generation_prompt)) != 0)
        rc = err_nomem(err);
    else
        rc = template_render_marked(text, strlen(text), vars, out, spans, err);
    if (rc != LC_OK && err)
        rc = say_line(text, err);
    json_decref(vars);
    return rc;
}
