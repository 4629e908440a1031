/* postprocess.c: the post-processors of tokenizer.json: what is put around the ids, and trimmed offsets. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <string.h>

/* ---- trimmed offsets ---- */
static bool is_space_char(uint32_t code)
{
    return code == bytelevel_char[' '] || is_white_space(code);
}

static void count_spaces(const struct vocab_text *t, uint32_t *leading, uint32_t *trailing)
{
    bool started = false;

    *leading = *trailing = 0;
    for (size_t at = 0, len; at < t->len; at += len) {
        uint32_t code;
        len = utf8_decode(t->text + at, t->len - at, &code);
        len = len ? len : 1;
        if (!is_space_char(code)) {
            started = true;
            *trailing = 0;
            continue;
        }
        *leading += !started;
        ++*trailing;
    }
}

void trim_offsets(struct work *w)
{
    for (size_t i = 0; i < w->enc->n; i++) {
        uint32_t *range = w->enc->range[i], leading, trailing;
        if (w->tok->kinds[w->enc->ids[i]] & TOKEN_ADDED)
            continue; /* trimmed when it was found */
        count_spaces(&w->tok->vocab.by_id[w->enc->ids[i]], &leading, &trailing);
        if (leading == 1 && w->tok->trim_prefix_space && (i == 0 || range[0] == 0))
            leading = 0; /* the one that was put there; more are the text's own */
        if (leading > 0)
            range[0] = range[0] + leading < range[1] ? range[0] + leading : range[1];
        if (trailing > 0 && range[1] >= trailing)
            range[1] = range[1] - trailing > range[0] ? range[1] - trailing : range[0];
    }
}

/* ---- loading ---- */
static enum lc add_run(struct tokenizer *tok, struct special_run *run, const int32_t *ids, size_t n,
                       bool in_front, struct err *err)
{
    int32_t *both = arena_alloc(tok->arena, (run->n + n) * sizeof *both);

    if (!both)
        return err_nomem(err);
    if (n)
        memcpy(both + (in_front ? 0 : run->n), ids, n * sizeof *ids);
    if (run->n)
        memcpy(both + (in_front ? n : 0), run->ids, run->n * sizeof *ids);
    run->ids = both;
    run->n += n;
    return LC_OK;
}

enum { RUN_MAX = 64 };

struct run {
    int32_t ids[RUN_MAX];
    size_t n;
};

static enum lc template_token(const struct tokenizer *tok, const json_t *specials, const char *name,
                              struct run *run, struct err *err)
{
    json_t *ids = json_object_get(json_object_get(specials, name), "ids"), *id;
    size_t i;

    if (!json_is_array(ids))
        return err_set(err, LC_DATA, "the post_processor names the token '%.100s' and gives no ids for it",
                       name);
    json_array_foreach (ids, i, id) {
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || (size_t)value >= tok->vocab.n_ids || run->n == RUN_MAX)
            return err_set(err, LC_DATA,
                           "the post_processor's token '%.100s' has ids that are not in the vocabulary",
                           name);
        run->ids[run->n++] = (int32_t)value;
    }
    return LC_OK;
}

static enum lc load_template(struct tokenizer *tok, const json_t *json, struct err *err)
{
    struct run front = {.n = 0}, back = {.n = 0};
    json_t *item;
    size_t i;
    bool seen = false;

    json_array_foreach (json_object_get(json, "single"), i, item) {
        const char *special = json_text(json_object_get(item, "SpecialToken"), "id", NULL);
        const char *sequence = json_text(json_object_get(item, "Sequence"), "id", NULL);
        if (special)
            TRY(template_token(tok, json_object_get(json, "special_tokens"), special, seen ? &back : &front,
                               err));
        else if (!sequence || strcmp(sequence, "A") != 0 || seen)
            return err_set(err, LC_DATA,
                           "the post_processor's template is not 'special tokens, A, special tokens'");
        else
            seen = true;
    }
    if (!seen)
        return err_set(err, LC_DATA, "the post_processor's template has no sequence A");
    TRY(add_run(tok, &tok->front, front.ids, front.n, true, err));
    return add_run(tok, &tok->back, back.ids, back.n, false, err);
}

static enum lc load_byte_level(struct tokenizer *tok, const json_t *json, struct err *err)
{
    (void)err;
    tok->trim_offsets = !json_is_false(json_object_get(json, "trim_offsets"));
    tok->trim_prefix_space = !json_is_false(json_object_get(json, "add_prefix_space"));
    return LC_OK;
}

static enum lc pair_id(struct tokenizer *tok, const json_t *json, const char *key, int32_t *out,
                       struct err *err)
{
    const char *text = json_string_value(json_array_get(json_object_get(json, key), 0));

    *out = text ? vocab_find(&tok->vocab, text, strlen(text)) : -1;
    return *out >= 0 ? LC_OK
                     : err_set(err, LC_DATA, "the post_processor's '%s' token is not in the vocabulary", key);
}

static enum lc load_bert(struct tokenizer *tok, const json_t *json, struct err *err)
{
    int32_t front, back;

    TRY(pair_id(tok, json, "cls", &front, err));
    TRY(pair_id(tok, json, "sep", &back, err));
    TRY(add_run(tok, &tok->front, &front, 1, true, err));
    return add_run(tok, &tok->back, &back, 1, false, err);
}

static enum lc load_roberta(struct tokenizer *tok, const json_t *json, struct err *err)
{
    TRY(load_byte_level(tok, json, err));
    return load_bert(tok, json, err);
}

static enum lc load_sequence(struct tokenizer *tok, const json_t *json, struct err *err)
{
    json_t *inner;
    size_t i;

    json_array_foreach (json_object_get(json, "processors"), i, inner)
        TRY(load_post_processor(tok, inner, err));
    return LC_OK;
}

enum lc load_post_processor(struct tokenizer *tok, const json_t *json, struct err *err)
{
    static const struct {
        const char *name;
        enum lc (*load)(struct tokenizer *tok, const json_t *json, struct err *err);
    } kinds[] = {
        {"TemplateProcessing", load_template}, {"ByteLevel", load_byte_level}, {"BertProcessing", load_bert},
        {"RobertaProcessing", load_roberta},   {"Sequence", load_sequence},
    };
    const char *type = json_text(json, "type", NULL);

    if (!json || json_is_null(json))
        return LC_OK;
    if (!type)
        return err_set(err, LC_DATA, "the post_processor has no type");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, type) == 0)
            return kinds[i].load(tok, json, err);
    return unsupported("post_processor", type, err);
}
