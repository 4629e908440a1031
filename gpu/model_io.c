/* model_io.c: weights from and to safetensors. */
#include "gpu/model_io.h"
#include "gpu/quant.h"
#include "gpu/safetensors.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static enum dtype from_st(enum st_dtype t)
{
    return t == ST_F32 || t == ST_F8_E4M3 ? DTYPE_F32 /* FP8 is decoded first */
           : t == ST_BF16                 ? DTYPE_BF16
           : t == ST_F16                  ? DTYPE_F16
                                          : DTYPE_NONE;
}

static enum st_dtype to_st(enum dtype t)
{
    return t == DTYPE_BF16 ? ST_BF16 : t == DTYPE_F16 ? ST_F16 : ST_F32;
}

/* ---- reading ---- */
static void shape_text(char *out, size_t size, const int64_t *shape, size_t n)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
}

static enum lc check_shape(const struct weight *w, const struct safetensor *t, const char *path,
                           struct err *err)
{
    int64_t shape[2] = {w->shape[w->turned], w->shape[!w->turned]};
    char expected[64], found[64];

    if (from_st(t->dtype) == DTYPE_NONE)
        return err_set(err, LC_UNSUPPORTED,
                       "cannot load '%s': tensor '%s' has dtype %s; supported are F32, BF16, F16 and F8_E4M3",
                       path, t->name, st_dtype_name(t->dtype));
    if (t->ndim == (size_t)w->ndim && memcmp(t->shape, shape, t->ndim * sizeof *t->shape) == 0)
        return LC_OK;
    shape_text(expected, sizeof expected, shape, (size_t)w->ndim);
    shape_text(found, sizeof found, t->shape, t->ndim);
    return err_set(err, LC_DATA, "cannot load '%s': tensor '%s' has shape [%s], but the config asks for [%s]",
                   path, t->name, found, expected);
}

static enum lc upload(struct model *m, void *to, const void *host, size_t bytes, struct err *err)
{
    TRY(m->backend->ops->upload(m->backend->state, NULL, to, host, bytes, err));
    return m->backend->ops->sync(m->backend->state, NULL, err);
}

/* Few bits have no code for what is no number: it would become one. */
static enum lc check_finite(const struct weight *w, const float *values, struct err *err)
{
    bool good = true;
    int64_t i = 0;

    for (int64_t k = 0; k < w->elements; k++)
        good &= fabsf(values[k]) <= FLT_MAX;
    if (good)
        return LC_OK;
    while (fabsf(values[i]) <= FLT_MAX)
        i++;
    err_set(err, LC_DATA, "the weight '%s' is %g at [%lld, %lld]: it cannot be kept in %s", w->name,
            (double)values[i], (long long)(i / w->shape[1]), (long long)(i % w->shape[1]),
            dtype_torch(w->dtype));
    return err_hint(err, "the model is broken: look at its files");
}

enum lc weights_put(struct model *m, void *to, const struct weight *w, const void *from, enum dtype from_type,
                    struct err *err)
{
    size_t n = (size_t)w->elements, bytes = weight_bytes(w);
    float *wide;
    void *host;
    enum lc code;

    if (from_type == w->dtype)
        return upload(m, to, from, bytes, err);
    wide = mem_reallocn(NULL, n, sizeof *wide);
    host = w->dtype == DTYPE_F32 ? wide : mem_alloc(bytes);
    code = wide && host ? LC_OK : err_nomem(err);
    if (code == LC_OK)
        dtype_to_f32(wide, from, from_type, n);
    if (code == LC_OK && dtype_quantized(w->dtype))
        code = check_finite(w, wide, err);
    if (code == LC_OK) {
        if (dtype_quantized(w->dtype))
            quant_encode(wide, w->shape[0], w->shape[1], w->dtype, host);
        else if (host != wide)
            dtype_from_f32(host, w->dtype, wide, n);
        code = upload(m, to, host, bytes, err);
    }
    if (host != wide)
        mem_free(host);
    mem_free(wide);
    return code;
}

/* to[j][i] = from[i][j] */
static void turn(float *to, const float *from, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            to[j * rows + i] = from[i * columns + j];
}

enum lc weights_put_file(struct model *m, void *to, const struct weight *w, const void *from,
                         enum dtype from_type, struct err *err)
{
    size_t n = (size_t)w->elements;
    float *wide, *turned;
    enum lc code;

    if (!w->turned)
        return weights_put(m, to, w, from, from_type, err);
    wide = mem_reallocn(NULL, 2 * n, sizeof *wide);
    if (!wide)
        return err_nomem(err);
    turned = wide + n;
    dtype_to_f32(wide, from, from_type, n);
    turn(turned, wide, w->shape[1], w->shape[0]);
    code = weights_put(m, to, w, turned, DTYPE_F32, err);
    mem_free(wide);
    return code;
}

/* ---- FP8 checkpoints ---- */
/* The scales beside a weight: one, one for each row, or one for each block (128 by 128 in published models). */
struct scales {
    float *values; /* owned */
    int64_t rows, columns, row_block, column_block;
};

static bool is_block(int64_t size, int64_t n) /* a power of two, or all of it */
{
    return size == n || (size & (size - 1)) == 0;
}

static enum lc scales_shape(const struct weight *w, const struct safetensor *t, struct scales *s)
{
    int64_t out = w->shape[0], in = w->ndim == 2 ? w->shape[1] : 1;

    s->rows = t->ndim > 0 ? t->shape[0] : 1;
    s->columns = t->ndim > 1 ? t->shape[1] : 1;
    if (t->ndim > 2 || from_st(t->dtype) == DTYPE_NONE || s->rows < 1 || s->columns < 1 || s->rows > out ||
        s->columns > in)
        return LC_DATA;
    s->row_block = s->rows == (out + 127) / 128 ? 128 : (out + s->rows - 1) / s->rows;
    s->column_block = s->columns == (in + 127) / 128 ? 128 : (in + s->columns - 1) / s->columns;
    if (!is_block(s->row_block, out) || !is_block(s->column_block, in))
        return LC_DATA;
    return (out + s->row_block - 1) / s->row_block == s->rows &&
                   (in + s->column_block - 1) / s->column_block == s->columns
               ? LC_OK
               : LC_DATA;
}

/* weight_scale_inv of DeepSeek's and Hugging Face's FP8, or weight_scale of compressed-tensors; without either 1. */
static enum lc scales_read(const struct safetensors *st, const struct weight *w, const char *of,
                           const char *path, struct scales *s, struct err *err)
{
    static const char *const endings[] = {"_scale_inv", "_scale"};
    const struct safetensor *t = NULL;

    *s = (struct scales){.rows = 1, .columns = 1, .row_block = INT64_MAX, .column_block = INT64_MAX};
    for (int i = 0; i < 2 && !t; i++) {
        char *name = mem_printf("%s%s", of, endings[i]);

        if (!name)
            return err_nomem(err);
        if (safetensors_get(st, name, &t, NULL) != LC_OK)
            t = NULL;
        mem_free(name);
    }
    if (t && scales_shape(w, t, s) != LC_OK)
        return err_set(err, LC_DATA, "cannot load '%s': tensor '%s' does not fit the FP8 weight it scales",
                       path, t->name);
    s->values = mem_reallocn(NULL, (size_t)(s->rows * s->columns), sizeof *s->values);
    if (!s->values)
        return err_nomem(err);
    s->values[0] = 1;
    if (t)
        dtype_to_f32(s->values, t->data, from_st(t->dtype), (size_t)(s->rows * s->columns));
    return LC_OK;
}

static float e4m3_value(uint8_t code)
{
    int exponent = code >> 3 & 15, fraction = code & 7;
    float x = exponent ? ldexpf((float)(8 + fraction), exponent - 10) : ldexpf((float)fraction, -9);

    if ((code & 0x7f) == 0x7f)
        return NAN;
    return code & 0x80 ? -x : x;
}

static enum lc put_fp8(struct model *m, void *to, const struct weight *w, const struct safetensors *st,
                       const struct safetensor *t, const char *path, struct err *err)
{
    const uint8_t *codes = t->data;
    int64_t in = w->ndim == 2 ? w->shape[1] : 1;
    float table[256], *wide = mem_reallocn(NULL, (size_t)w->elements, sizeof *wide);
    struct scales s = {0};
    enum lc code = wide ? scales_read(st, w, t->name, path, &s, err) : err_nomem(err);

    for (int i = 0; i < 256; i++)
        table[i] = e4m3_value((uint8_t)i);
    for (int64_t i = 0; i < w->shape[0] && code == LC_OK; i++)
        for (int64_t j = 0; j < in; j++)
            wide[i * in + j] =
                table[codes[i * in + j]] * s.values[i / s.row_block * s.columns + j / s.column_block];
    if (code == LC_OK)
        code = weights_put(m, to, w, wide, DTYPE_F32, err);
    mem_free(s.values);
    mem_free(wide);
    return code;
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), e = strlen(end);

    return n > e && strcmp(name + n - e, end) == 0;
}

static bool is_scale(const char *name)
{
    static const char *const endings[] = {".weight_scale_inv", ".weight_scale", ".input_scale",
                                          ".activation_scale"};

    for (int i = 0; i < 4; i++)
        if (ends_with(name, endings[i]))
            return true;
    return false;
}

static bool may_be_extra(const struct model *m, const char *name)
{
    return strstr(name, "rotary_emb.inv_freq") || is_scale(name) ||
           (m->head == m->embed && strcmp(name, "lm_head.weight") == 0) ||
           (m->embed_lora.a >= 0 && ends_with(name, ".embed_tokens.base_layer.weight")) ||
           (m->head_lora.a >= 0 && ends_with(name, ".lm_head.base_layer.weight"));
}

/* Names of the text part of a model that reads images: language_model.model.norm.weight is model.norm.weight. */
#define TEXT_PART "language_model."

static bool is_of_another_part(const char *name)
{
    return strncmp(name, "vision_tower.", 13) == 0 || strncmp(name, "multi_modal_projector.", 22) == 0;
}

static enum lc refuse_extra(const struct model *m, const struct arena_of *a, const struct safetensors *st,
                            const char *path, struct err *err)
{
    size_t n = safetensors_count(st), found;

    for (size_t i = 0; i < n; i++) {
        const char *name = safetensors_at(st, i)->name;

        if (a == &m->base && m->config.beside_vision) {
            if (is_of_another_part(name))
                continue;
            name += strncmp(name, TEXT_PART, sizeof TEXT_PART - 1) == 0 ? sizeof TEXT_PART - 1 : 0;
        }
        for (found = 0; found < a->n && strcmp(a->weights[found].name, name) != 0;)
            found++;
        if (found == a->n && !may_be_extra(m, name))
            return err_set(err, LC_DATA, "cannot load '%s': the config has no place for tensor '%s'", path,
                           name);
    }
    return LC_OK;
}

static enum lc find_tensor(const struct model *m, const struct arena_of *a, const struct safetensors *st,
                           const struct weight *w, const struct safetensor **out, struct err *err)
{
    char *name;
    enum lc code;

    if (a != &m->base || !m->config.beside_vision)
        return safetensors_get(st, w->name, out, err);
    name = mem_printf(TEXT_PART "%s", w->name);
    code = name ? safetensors_get(st, name, out, err) : err_nomem(err);
    mem_free(name);
    return code;
}

enum lc weights_read(struct model *m, const struct arena_of *a, const char *path, struct err *err)
{
    struct safetensors *st;
    enum lc code;

    TRY(safetensors_open(path, &st, err));
    code = safetensors_count(st) > a->n ? refuse_extra(m, a, st, path, err) : LC_OK;
    for (size_t i = 0; i < a->n && code == LC_OK; i++) {
        const struct weight *w = &a->weights[i];
        const struct safetensor *t = NULL;

        code = find_tensor(m, a, st, w, &t, err);
        if (code == LC_OK)
            code = check_shape(w, t, path, err);
        if (code == LC_OK)
            code = t->dtype == ST_F8_E4M3
                       ? put_fp8(m, weight_data(a, (int)i), w, st, t, path, err)
                       : weights_put_file(m, weight_data(a, (int)i), w, t->data, from_st(t->dtype), err);
        if (code == LC_OK)
            safetensors_done(st, t);
    }
    if (code == LC_NOTFOUND)
        err_wrap(err, "cannot load '%s': a tensor is missing", path);
    safetensors_close(st);
    return code;
}

static const struct safetensor *named(const struct safetensors *st, const struct model_config *c,
                                      const char *name)
{
    char whole[TENSOR_NAME];

    snprintf(whole, sizeof whole, "%s%s", c->beside_vision ? TEXT_PART : "", name);
    return safetensors_find(st, whole);
}

void weights_untie(const char *folder, struct model_config *c)
{
    const struct safetensor *head, *embed;
    struct safetensors *st;

    if (!c->tie_word_embeddings || safetensors_open(folder, &st, NULL) != LC_OK)
        return; /* who reads the weights says what is wrong with them */
    head = named(st, c, "lm_head.weight");
    embed = named(st, c, "model.embed_tokens.weight");
    if (head && embed) {
        c->tie_word_embeddings = head->dtype == embed->dtype && head->bytes == embed->bytes &&
                                 memcmp(head->data, embed->data, head->bytes) == 0;
        safetensors_done(st, head);
        safetensors_done(st, embed);
    }
    safetensors_close(st);
}

enum lc model_copy_weights(struct model *m, struct arena_of *a, const char *folder, struct err *err)
{
    return weights_read(m, a, folder, err);
}

/* ---- writing ---- */
/* The values as a file has them; *out is the caller's, also after an error. */
static enum lc read_wide(const struct weight *w, const struct tensor *t, float **out, struct err *err)
{
    size_t n = (size_t)w->elements;
    float *wide = mem_reallocn(NULL, n, sizeof *wide), *turned;

    *out = wide;
    if (!wide)
        return err_nomem(err);
    TRY(tensor_read(t, 0, w->elements, wide, err));
    if (!w->turned)
        return LC_OK;
    turned = mem_reallocn(NULL, n, sizeof *turned);
    if (!turned)
        return err_nomem(err);
    turn(turned, wide, w->shape[0], w->shape[1]);
    mem_free(wide);
    *out = turned;
    return LC_OK;
}

/* A weight as bytes of `type` on the host; *owned is freed by the caller (NULL: the backend's memory is readable). */
static enum lc host_copy(struct model *m, const struct weight *w, const void *data, enum dtype type,
                         const void **out, void **owned, struct err *err)
{
    struct tensor t = {.name = w->name,
                       .backend = m->backend,
                       .dtype = w->dtype,
                       .ndim = 1,
                       .shape = {w->elements},
                       .data = (void *)(uintptr_t)data};
    float *wide;
    enum lc code;

    *owned = NULL;
    *out = data;
    if (w->dtype == type && m->backend->ops->host_visible && !w->turned)
        return LC_OK;
    code = read_wide(w, &t, &wide, err);
    *out = *owned = wide;
    if (code != LC_OK || type == DTYPE_F32)
        return code;
    *owned = mem_reallocn(NULL, (size_t)w->elements, dtype_size(type));
    if (*owned)
        dtype_from_f32(*owned, type, wide, (size_t)w->elements);
    mem_free(wide);
    *out = *owned;
    return *owned ? LC_OK : err_nomem(err);
}

enum lc weights_write(struct model *m, const struct arena_of *a, const struct weights_part *parts,
                      size_t n_parts, const char *path, enum dtype type, const char *const *metadata,
                      struct err *err)
{
    size_t n = a->n * n_parts;
    struct safetensor *list = mem_calloc(n, sizeof *list);
    void **owned = mem_calloc(n, sizeof *owned);
    char **names = mem_calloc(n, sizeof *names);
    int64_t(*shapes)[2] = mem_calloc(n, sizeof *shapes);
    enum lc code = list && owned && names && shapes ? LC_OK : err_nomem(err);

    for (size_t i = 0; i < n && code == LC_OK; i++) {
        const struct weights_part *part = &parts[i / a->n];
        const struct weight *w = &a->weights[i % a->n];

        names[i] = mem_printf("%s%s", part->prefix, w->name);
        shapes[i][0] = w->shape[w->turned];
        shapes[i][1] = w->shape[!w->turned];
        list[i] = (struct safetensor){.name = names[i],
                                      .dtype = to_st(type),
                                      .ndim = (size_t)w->ndim,
                                      .shape = shapes[i],
                                      .bytes = (size_t)w->elements * dtype_size(type)};
        code = names[i] ? host_copy(m, w, (const char *)part->block + w->offset, type, &list[i].data,
                                    &owned[i], err)
                        : err_nomem(err);
    }
    if (code == LC_OK)
        code = safetensors_write(path, list, n, metadata, err);
    for (size_t i = 0; i < n && owned && names; i++) {
        mem_free(owned[i]);
        mem_free(names[i]);
    }
    mem_free(list);
    mem_free(owned);
    mem_free(names);
    mem_free(shapes);
    return code;
}

/* What the checkpoint that the model was loaded from says (the ends of a text, how to sample). False: nothing. */
static bool read_generation_config(const struct model *m, struct buf *text)
{
    char *path = *m->folder ? fs_join(m->folder, "generation_config.json") : NULL;
    bool found = path && fs_exists(path) && fs_read(path, text, NULL) == LC_OK && text->len > 0;

    if (!found)
        buf_clear(text);
    mem_free(path);
    return found;
}

static void put_generation_config(const struct model_config *c, struct buf *out)
{
    buf_puts(out, "{\n  \"_from_model_config\": true");
    if (c->bos_token_id >= 0)
        buf_printf(out, ",\n  \"bos_token_id\": %lld", (long long)c->bos_token_id);
    for (int i = 0; i < c->n_eos_token_ids; i++)
        buf_printf(out, "%s%lld", i ? ", " : ",\n  \"eos_token_id\": [", (long long)c->eos_token_ids[i]);
    if (c->n_eos_token_ids)
        buf_putc(out, ']');
    if (c->pad_token_id >= 0)
        buf_printf(out, ",\n  \"pad_token_id\": %lld", (long long)c->pad_token_id);
    buf_puts(out, "\n}\n");
}

static enum lc write_generation_config(const struct model *m, const char *folder, struct err *err)
{
    struct buf text = BUF_INIT(1 << 20);
    char *path = fs_join(folder, "generation_config.json");
    enum lc code;

    if (!read_generation_config(m, &text))
        put_generation_config(&m->config, &text);
    code = path ? buf_check(&text, err) : err_nomem(err);
    if (code == LC_OK)
        code = fs_write(path, buf_str(&text), text.len, err);
    buf_release(&text);
    mem_free(path);
    return code;
}

static enum lc write_config(const struct model_config *c, const char *folder, struct err *err)
{
    struct buf text = BUF_INIT(1 << 16);
    char *path = fs_join(folder, "config.json");
    enum lc code =
        path && model_config_write(c, &text) ? fs_write(path, buf_str(&text), text.len, err) : err_nomem(err);

    buf_release(&text);
    mem_free(path);
    return code;
}

enum lc model_save(const struct ctx *ctx, struct model *m, const char *folder, struct err *err)
{
    struct weights_part part = {"", m->base.block};
    struct model_config config = m->config;
    char *path = fs_join(folder, "model.safetensors");
    enum lc code = path ? ctx_check(ctx, err) : err_nomem(err);

    for (size_t i = 0; i < m->base.n && code == LC_OK; i++)
        if (dtype_quantized(m->base.weights[i].dtype)) {
            err_set(err, LC_UNSUPPORTED, "cannot save a checkpoint: '%s' is kept in %s",
                    m->base.weights[i].name, dtype_torch(m->base.weights[i].dtype));
            code = err_hint(err, "save the adapter alone, or load the base without quantization");
        }
    config.dtype = m->base.weights[m->embed].dtype;
    if (code == LC_OK)
        code = fs_mkdirs(folder, err);
    if (code == LC_OK)
        code = weights_write(m, &m->base, &part, 1, path, config.dtype, NULL, err);
    if (code == LC_OK)
        code = write_generation_config(m, folder, err);
    if (code == LC_OK)
        code = write_config(&config, folder, err);
    mem_free(path);
    return code;
}
