/* added.c: added tokens: found in the text before the model sees it, longest first. */
#include "gpu/tokenizer/tokenizer_int.h"
#include "runtime/base/utf8.h"
#include <stdlib.h>
#include <string.h>

/* A letter, mark, digit, connector or joiner: what \w matches. */
static bool is_word(const struct regex_vtable *re, uint32_t code)
{
    const char *category;

    if (code < 128)
        return (code >= '0' && code <= '9') || ((code | 32) >= 'a' && (code | 32) <= 'z') || code == '_';
    category = re->category(code);
    return category[0] == 'L' || category[0] == 'M' || strcmp(category, "Nd") == 0 ||
           strcmp(category, "Nl") == 0 || strcmp(category, "Pc") == 0 || code == 0x200c || code == 0x200d;
}

static size_t last_char(const char *text, size_t n, uint32_t *code)
{
    size_t start = n;

    while (start > 0 && n - start < 4)
        if (((unsigned char)text[--start] & 0xc0) != 0x80)
            break;
    if (utf8_decode(text + start, n - start, code) != n - start)
        *code = 0;
    return n - start;
}

static bool stands_alone(const struct regex_vtable *re, const char *text, size_t n, size_t start, size_t end)
{
    uint32_t code;

    if (start > 0 && last_char(text, start, &code) && is_word(re, code))
        return false;
    return !(end < n && utf8_decode(text + end, n - end, &code) && is_word(re, code));
}

static const struct added *match_at(const struct added_set *set, const char *text, size_t n)
{
    unsigned char first = (unsigned char)text[0];

    for (uint32_t i = set->first[first]; i < set->first[first + 1]; i++) {
        const struct added *a = &set->items[i];
        if (a->len <= n && memcmp(a->text, text, a->len) == 0)
            return a;
    }
    return NULL;
}

static size_t spaces_before(const char *text, size_t start, size_t floor)
{
    uint32_t code;
    size_t len;

    while (start > floor && (len = last_char(text, start, &code)) > 0 && is_white_space(code) &&
           start - len >= floor)
        start -= len;
    return start;
}

static size_t spaces_after(const char *text, size_t n, size_t end)
{
    uint32_t code;
    size_t len;

    while (end < n && (len = utf8_decode(text + end, n - end, &code)) > 0 && is_white_space(code))
        end += len;
    return end;
}

static enum lc put_part(struct work *w, const struct piece *p, size_t start, size_t end, int32_t id)
{
    return work_put(w, (struct piece){p->text + start, end - start, p->align ? p->align + start : NULL, id,
                                      p->first && start == 0});
}

static enum lc split_one(const struct added_set *set, struct work *w, const struct piece *p)
{
    size_t done = 0;

    for (size_t at = 0; at < p->n;) {
        const struct added *a = match_at(set, p->text + at, p->n - at);
        size_t start = at, end;
        if (!a) {
            at++;
            continue;
        }
        at = end = at + a->len;
        if (a->single_word && !stands_alone(w->tok->re, p->text, p->n, start, end))
            continue;
        if (a->lstrip)
            start = start < done ? done : spaces_before(p->text, start, done);
        if (a->rstrip) /* a token that begins with these spaces is found all the same */
            end = spaces_after(p->text, p->n, end);
        if (start > done)
            TRY(put_part(w, p, done, start, -1));
        TRY(put_part(w, p, start, end, a->id));
        done = end;
    }
    return put_part(w, p, done, p->n, -1);
}

enum lc split_added(const struct added_set *set, struct work *w)
{
    struct work in = *w;

    if (set->n == 0)
        return LC_OK;
    w->pieces = NULL;
    w->n = w->cap = 0;
    for (size_t i = 0; i < in.n; i++)
        if (in.pieces[i].id >= 0)
            TRY(work_put(w, in.pieces[i]));
        else
            TRY(split_one(set, w, &in.pieces[i]));
    return LC_OK;
}

/* ---- loading ---- */
static int by_first_byte(const void *a, const void *b)
{
    const struct added *x = a, *y = b;

    if (x->text[0] != y->text[0])
        return (unsigned char)x->text[0] < (unsigned char)y->text[0] ? -1 : 1;
    if (x->len != y->len)
        return x->len > y->len ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void index_set(struct added_set *set)
{
    uint32_t at = 0;

    if (set->n)
        qsort(set->items, set->n, sizeof *set->items, by_first_byte);
    for (unsigned b = 0; b < 256; b++) {
        set->first[b] = at;
        while (at < set->n && (unsigned char)set->items[at].text[0] == b)
            at++;
    }
    set->first[256] = at;
}

static bool flag(const json_t *json, const char *key)
{
    return json_is_true(json_object_get(json, key));
}

/* What the text of a token looks like after the normalizer has gone over it. */
static enum lc normalized(struct tokenizer *tok, struct added *a, struct err *err)
{
    struct work w = {.tok = tok, .arena = tok->arena, .err = err};
    struct piece p = {arena_strndup(tok->arena, a->text, a->len), a->len, NULL, -1, true};
    enum lc rc;

    if (!p.text)
        return err_nomem(err);
    if (tok->re && (w.scratch = tok->re->scratch_new()) == NULL)
        return err_nomem(err);
    rc = normalize_piece(&w, &p);
    if (tok->re)
        tok->re->scratch_free(w.scratch);
    a->text = rc == LC_OK ? arena_strndup(tok->arena, p.text, p.n) : NULL;
    if (rc == LC_OK && !a->text)
        rc = err_nomem(err);
    a->len = (uint32_t)p.n;
    return rc;
}

static enum lc read_added(struct tokenizer *tok, const json_t *json, struct added *a, bool *after,
                          struct err *err)
{
    size_t len;
    const char *content = json_text(json, "content", &len);
    const json_t *id = json_object_get(json, "id");

    if (!content || !json_is_integer(id))
        return err_set(err, LC_DATA, "an added token has no content or no id");
    a->content = a->text = arena_strndup(tok->arena, content, len);
    if (!a->text)
        return err_nomem(err);
    a->len = (uint32_t)len;
    a->single_word = flag(json, "single_word");
    a->lstrip = flag(json, "lstrip");
    a->rstrip = flag(json, "rstrip");
    a->special = flag(json, "special");
    *after = json_object_get(json, "normalized") ? flag(json, "normalized") : !a->special;
    TRY(vocab_add(&tok->vocab, a->content, len, json_integer_value(id), err));
    a->id = vocab_find(&tok->vocab, a->content, len);
    if (a->single_word)
        TRY(need_regex(tok, err));
    return *after ? normalized(tok, a, err) : LC_OK;
}

/* A token that the normalizer changes shows its changed text, and is no longer skipped as special: so the library
 * does since 0.22. */
static void set_kinds(struct tokenizer *tok, const struct added_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct added *a = &set->items[i];
        bool changed = strlen(a->content) != a->len || memcmp(a->content, a->text, a->len) != 0;
        tok->kinds[a->id] |= (uint8_t)(TOKEN_ADDED | (a->special && !changed ? TOKEN_SPECIAL : 0));
        if (changed)
            tok->vocab.by_id[a->id] = (struct vocab_text){a->text, a->len};
    }
}

enum lc load_added(struct tokenizer *tok, const json_t *json, struct err *err)
{
    size_t n = json_array_size(json), i;
    json_t *entry;

    if (json && !json_is_null(json) && !json_is_array(json))
        return err_set(err, LC_DATA, "added_tokens is not a list");
    tok->before.items = mem_calloc(n, sizeof *tok->before.items);
    tok->after.items = mem_calloc(n, sizeof *tok->after.items);
    if (!tok->before.items || !tok->after.items)
        return err_nomem(err);
    json_array_foreach (json, i, entry) {
        struct added a = {0};
        bool after = false;
        struct added_set *set;
        TRY(read_added(tok, entry, &a, &after, err));
        set = after ? &tok->after : &tok->before;
        if (a.len)
            set->items[set->n++] = a;
    }
    if ((tok->kinds = mem_zalloc(tok->vocab.n_ids)) == NULL)
        return err_nomem(err);
    set_kinds(tok, &tok->before);
    set_kinds(tok, &tok->after);
    index_set(&tok->before);
    index_set(&tok->after);
    return LC_OK;
}
