/* lora_match.c: the names of a model's modules against target_modules, exclude_modules, modules_to_save, rank_pattern and
 * alpha_pattern, as PEFT matches them. */
#include "gpu/lora_int.h"
#include "gpu/tokenizer/regex.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EXPRESSIONS_MAX = 256 };

struct expression {
    const char *text; /* borrowed */
    struct regex_code *code;
};

struct lora_match {
    const struct lora_config *c;   /* borrowed */
    const struct regex_vtable *re; /* NULL: no expression so far */
    struct regex_scratch *scratch; /* owned */
    struct expression expressions[EXPRESSIONS_MAX];
    size_t n;
    bool *used, *saved_used; /* owned */
    bool regex_used;
};

static const char *const SUFFIXES[LIN_COUNT] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                "gate_proj", "up_proj", "down_proj"};

const char *lora_suffix(enum linear_id id)
{
    return SUFFIXES[id];
}

bool lora_default_targets(const struct lora_config *c)
{
    return !c->all_linear && c->n_targets == 0 && !c->target_regex;
}

enum lc lora_match_new(const struct lora_config *c, struct lora_match **out, struct err *err)
{
    struct lora_match *m = mem_zalloc(sizeof *m);

    if (!m)
        return err_nomem(err);
    m->c = c;
    m->used = mem_calloc(c->n_targets + 1, sizeof *m->used);
    m->saved_used = mem_calloc(json_array_size(c->modules_to_save) + 1, sizeof *m->saved_used);
    if (!m->used || !m->saved_used)
        return lora_match_free(m), err_nomem(err);
    *out = m;
    return LC_OK;
}

void lora_match_free(struct lora_match *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++)
        m->re->release(m->expressions[i].code);
    if (m->scratch)
        m->re->scratch_free(m->scratch);
    mem_free(m->used);
    mem_free(m->saved_used);
    mem_free(m);
}

/* ---- expressions ---- */
static enum lc compiled(struct lora_match *m, const char *text, const struct regex_code **out,
                        struct err *err)
{
    char *whole;
    enum lc code;

    for (size_t i = 0; i < m->n; i++)
        if (m->expressions[i].text == text) {
            *out = m->expressions[i].code;
            return LC_OK;
        }
    if (m->n == EXPRESSIONS_MAX)
        return err_set(err, LC_LIMIT, "LoraConfig: more than %d expressions", EXPRESSIONS_MAX);
    if (!m->re && !(m->re = regex_load(err)))
        return err->code;
    if (!m->scratch && !(m->scratch = m->re->scratch_new()))
        return err_nomem(err);
    whole = mem_printf("\\A(?:%s)\\z", text);
    code = whole ? m->re->compile(whole, strlen(whole), &m->expressions[m->n].code, err) : err_nomem(err);
    mem_free(whole);
    if (code != LC_OK)
        return err_wrap(err, "LoraConfig: cannot use the expression '%.100s'", text), code;
    m->expressions[m->n].text = text;
    *out = m->expressions[m->n++].code;
    return LC_OK;
}

static enum lc matches(struct lora_match *m, const char *text, const char *path, bool *found, struct err *err)
{
    const struct regex_code *code = NULL;
    size_t range[2];

    TRY(compiled(m, text, &code, err));
    return m->re->find(code, m->scratch, path, strlen(path), 0, found, range, err);
}

static bool is_plain(const char *text)
{
    return !strpbrk(text, "*+?[](){}|^$\\");
}

/* target is path, or its end after a dot */
static bool ends_with_module(const char *path, const char *target)
{
    size_t n = strlen(path), t = strlen(target);

    return t <= n && strcmp(path + n - t, target) == 0 && (t == n || path[n - t - 1] == '.');
}

/* PEFT's get_pattern_key: the value of the first key that the end of the name matches; 0: none. */
static enum lc pattern_value(struct lora_match *m, json_t *pattern, const char *path, double *out,
                             struct err *err)
{
    const char *key;
    json_t *v;

    *out = 0;
    json_object_foreach (pattern, key, v) {
        bool found = is_plain(key) && ends_with_module(path, key);

        for (const char *at = path; !is_plain(key) && at && !found;
             at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL)
            TRY(matches(m, key, at, &found, err));
        if (found) {
            *out = json_number_value(v);
            return LC_OK;
        }
    }
    return LC_OK;
}

/* ---- modules ---- */
static enum lc is_excluded(struct lora_match *m, const char *path, bool *found, struct err *err)
{
    const json_t *one;
    size_t i;

    *found = false;
    if (json_is_string(m->c->exclude))
        return matches(m, json_string_value(m->c->exclude), path, found, err);
    json_array_foreach (m->c->exclude, i, one)
        *found = *found || ends_with_module(path, json_string_value(one));
    return LC_OK;
}

static bool in_layers(const struct lora_config *c, int64_t layer)
{
    const json_t *one;
    size_t i;

    if (json_is_integer(c->layers))
        return json_integer_value(c->layers) == layer;
    json_array_foreach (c->layers, i, one)
        if (json_integer_value(one) == layer)
            return true;
    return !c->layers;
}

static enum lc is_target(struct lora_match *m, const char *path, enum linear_id id, int64_t layer,
                         bool *found, struct err *err)
{
    const struct lora_config *c = m->c;
    bool excluded = false;

    *found = (c->all_linear && id < LIN_COUNT) || (lora_default_targets(c) && (id == LIN_Q || id == LIN_V));
    if (c->target_regex) {
        TRY(matches(m, c->target_regex, path, found, err));
        m->regex_used = m->regex_used || *found;
    }
    for (size_t i = 0; i < c->n_targets; i++)
        if (ends_with_module(path, c->targets[i]))
            *found = m->used[i] = true;
    TRY(is_excluded(m, path, &excluded, err));
    *found = *found && !excluded && in_layers(c, layer) && !lora_match_saved(m, path);
    return LC_OK;
}

enum lc lora_match_linear(struct lora_match *m, const char *path, enum linear_id id, int64_t layer,
                          bool *found, int64_t *rank, float *scale, struct err *err)
{
    double r, alpha;

    TRY(is_target(m, path, id, layer, found, err));
    if (!*found)
        return LC_OK;
    TRY(pattern_value(m, m->c->rank_pattern, path, &r, err));
    TRY(pattern_value(m, m->c->alpha_pattern, path, &alpha, err));
    *rank = r != 0 ? (int64_t)r : m->c->r;
    if (*rank < 1 || *rank > 4096)
        return err_set(err, LC_ARG, "LoraConfig: 'rank_pattern' gives '%s' the rank %g", path, r);
    alpha = alpha != 0 ? alpha : m->c->lora_alpha;
    *scale = (float)(alpha / (m->c->use_rslora ? sqrt((double)*rank) : (double)*rank));
    return LC_OK;
}

/* PEFT looks at the end of a module's name, without a dot before it; what is inside the module is trained, too. */
bool lora_match_saved(struct lora_match *m, const char *name)
{
    const json_t *one;
    size_t i;
    bool found = false;

    json_array_foreach (m->c->modules_to_save, i, one) {
        const char *end = json_string_value(one);
        size_t n = strlen(end);

        for (const char *dot = strchr(name, '.'); n; dot = strchr(dot + 1, '.')) {
            size_t length = dot ? (size_t)(dot - name) : strlen(name);

            if (length >= n && strncmp(name + length - n, end, n) == 0)
                found = m->saved_used[i] = true;
            if (!dot)
                break;
        }
    }
    return found;
}

static enum lc not_found(const char *what, const char *name, bool saved, struct err *err)
{
    struct buf near = BUF_INIT(400);

    err_set(err, LC_NOTFOUND, "LoraConfig: %s '%s' is in no layer of the model", what, name);
    if (nearest_list(&near, name, SUFFIXES, LIN_COUNT, 3) && near.len)
        err_hint(err, "did you mean %s?%s", buf_str(&near), saved ? "" : " all of them: 'all-linear'");
    else
        err_hint(err, saved
                          ? "there are embed_tokens, lm_head, norm and the modules of the layers"
                          : "there are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj and down_proj (all "
                            "of them: 'all-linear'), embed_tokens and lm_head");
    buf_release(&near);
    return LC_NOTFOUND;
}

enum lc lora_match_unused(const struct lora_match *m, struct err *err)
{
    const struct lora_config *c = m->c;
    const json_t *one;
    size_t i;

    for (i = 0; i < c->n_targets; i++) {
        if (m->used[i])
            continue;
        return not_found("target module", c->targets[i], false, err);
    }
    if (c->target_regex && !m->regex_used)
        return not_found("the expression", c->target_regex, false, err);
    json_array_foreach (c->modules_to_save, i, one)
        if (!m->saved_used[i])
            return not_found("the module to save", json_string_value(one), true, err);
    return LC_OK;
}
