/* batch_lua.c: a tokenizer called with texts: cut and padded as transformers does it. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/session/session_lua.h"
#include "runtime/train/model_lua.h"
#include <string.h>

enum { TEXTS_MOST = 1 << 22, CHECK_EVERY = 256 };
#define NO_LIMIT 1e9 /* transformers writes a model_max_length of 10^30 for none */

enum padding { PAD_NONE, PAD_LONGEST, PAD_MAX_LENGTH };

struct batch_options {
    bool special, truncate, pad_left, cut_left, mask;
    enum padding padding;
    size_t max_length; /* 0: none */
    size_t multiple;   /* the width is a multiple of it; 0: any */
};

struct row_ids { /* memory of the collector */
    int32_t *ids;
    size_t n;
};

void llm_tokenizer_settings(struct lua_tokenizer *t, const char *path)
{
    char *folder =
             fs_is_dir(path) ? mem_strdup(path) : mem_printf("%.*s", (int)(fs_basename(path) - path), path),
         *file = folder ? fs_join(folder, "tokenizer_config.json") : NULL;
    json_t *config = file && fs_exists(file) ? json_load_file(file, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
    const char *pad = json_string_value(json_object_get(config, "padding_side")),
               *cut = json_string_value(json_object_get(config, "truncation_side"));
    double longest = json_number_value(json_object_get(config, "model_max_length"));

    t->pad_left = pad && strcmp(pad, "left") == 0;
    t->cut_left = cut && strcmp(cut, "left") == 0;
    t->longest = longest >= 1 && longest < NO_LIMIT ? longest : 0;
    json_decref(config);
    mem_free(file);
    mem_free(folder);
}

/* ---- options --------------------------------------------------------------------------------------------- */

static int wrong(lua_State *L, const char *name, const char *takes)
{
    struct err err;

    (void)err_set(&err, LC_ARG, "the tokenizer does not know this value of '%s'", name);
    (void)err_hint(&err, "%s is %s", name, takes);
    return session_raise(L, &err);
}

static bool take_side(lua_State *L, int index, const char *name, bool otherwise)
{
    const char *text = NULL;

    if (lua_getfield(L, index, name) != LUA_TNIL) {
        text = lua_tostring(L, -1);
        if (!text || (strcmp(text, "left") != 0 && strcmp(text, "right") != 0))
            (void)wrong(L, name, "\"left\" or \"right\"");
    }
    otherwise = text ? strcmp(text, "left") == 0 : otherwise;
    lua_pop(L, 1);
    return otherwise;
}

static bool take_flag(lua_State *L, int index, const char *name, bool otherwise)
{
    if (lua_getfield(L, index, name) != LUA_TNIL)
        otherwise = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return otherwise;
}

static size_t take_count(lua_State *L, int index, const char *name)
{
    lua_Integer n = 0;

    if (lua_getfield(L, index, name) != LUA_TNIL) {
        n = luaL_checkinteger(L, -1);
        if (n < 1 || n > INT32_MAX)
            (void)wrong(L, name, "a whole number from 1");
    }
    lua_pop(L, 1);
    return (size_t)n;
}

static enum padding take_padding(lua_State *L, int index)
{
    static const struct {
        const char *name;
        enum padding is;
    } names[] = {{"longest", PAD_LONGEST}, {"max_length", PAD_MAX_LENGTH}, {"do_not_pad", PAD_NONE}};
    int type = lua_getfield(L, index, "padding");
    enum padding found = type == LUA_TBOOLEAN && lua_toboolean(L, -1) ? PAD_LONGEST : PAD_NONE;
    bool known = type != LUA_TSTRING;

    for (size_t i = 0; !known && i < sizeof names / sizeof *names; i++)
        if (strcmp(lua_tostring(L, -1), names[i].name) == 0) {
            found = names[i].is;
            known = true;
        }
    if (!known)
        (void)wrong(L, "padding", "true, \"longest\", \"max_length\" or false");
    lua_pop(L, 1);
    return found;
}

static bool take_truncation(lua_State *L, int index, bool otherwise)
{
    static const char *const names[] = {"longest_first", "only_first", "do_not_truncate"};
    int type = lua_getfield(L, index, "truncation");
    bool known = type != LUA_TSTRING, found = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);

    for (size_t i = 0; !known && i < sizeof names / sizeof *names; i++)
        if (strcmp(lua_tostring(L, -1), names[i]) == 0) {
            found = i < 2;
            known = true;
        }
    if (!known)
        (void)wrong(L, "truncation", "true or false");
    lua_pop(L, 1);
    return found;
}

/* A name that means nothing is answered with the nearest. */
static void check_names(lua_State *L, int index)
{
    static const char *const known[] = {"truncation",
                                        "max_length",
                                        "padding",
                                        "padding_side",
                                        "truncation_side",
                                        "add_special_tokens",
                                        "return_attention_mask",
                                        "pad_to_multiple_of"};
    struct err err;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL, *near;
        size_t i = 0;
        while (name && i < sizeof known / sizeof *known && strcmp(name, known[i]) != 0)
            i++;
        if (!name || i < sizeof known / sizeof *known)
            continue;
        (void)err_set(&err, LC_ARG, "a tokenizer has no argument '%.60s'", name);
        near = nearest_one(name, known, sizeof known / sizeof *known);
        (void)err_hint(&err, near ? "did you mean '%s'?" : "it takes truncation, max_length, padding", near);
        (void)session_raise(L, &err);
    }
}

static void take_options(lua_State *L, int index, const struct lua_tokenizer *t, struct batch_options *o)
{
    check_names(L, index);
    o->special = take_flag(L, index, "add_special_tokens", true);
    o->mask = take_flag(L, index, "return_attention_mask", true);
    o->pad_left = take_side(L, index, "padding_side", t->pad_left);
    o->cut_left = take_side(L, index, "truncation_side", t->cut_left);
    o->padding = take_padding(L, index);
    o->max_length = take_count(L, index, "max_length");
    o->multiple = take_count(L, index, "pad_to_multiple_of");
    o->truncate = take_truncation(L, index, o->max_length > 0 && o->padding == PAD_NONE);
    if (!o->max_length && (o->truncate || o->padding == PAD_MAX_LENGTH))
        o->max_length = (size_t)t->longest;
    if (o->padding == PAD_MAX_LENGTH && !o->max_length)
        o->padding = PAD_NONE; /* as transformers: there is no length to pad to */
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

/* A row from tokenizer_encode cut to max tokens: what the post-processor adds stays, the text gives way. */
static void cut(const struct tokenizer *tok, const struct batch_options *o, struct encoding *enc)
{
    bool bos = o->special && enc->n && tokenizer_adds_bos(tok) && enc->ids[0] == tokenizer_bos(tok);
    bool eos = o->special && enc->n > (size_t)bos && tokenizer_adds_eos(tok) &&
               enc->ids[enc->n - 1] == tokenizer_eos(tok);
    size_t added = (size_t)bos + (size_t)eos, text = enc->n - added, keep;

    if (enc->n <= o->max_length)
        return;
    keep = o->max_length > added ? o->max_length - added : 0;
    memmove(enc->ids + bos, enc->ids + bos + (o->cut_left ? text - keep : 0), keep * sizeof *enc->ids);
    if (eos)
        enc->ids[bos + keep] = enc->ids[enc->n - 1];
    enc->n = added + keep;
}

/* Encodes a text into memory of the collector, which stays on the stack. */
static void encode_row(lua_State *L, const struct tokenizer *tok, const struct batch_options *o, int text,
                       struct row_ids *out)
{
    struct encoding enc = ENCODING_INIT;
    size_t len;
    const char *bytes = lua_tolstring(L, text, &len);
    struct err err;
    enum lc rc = tokenizer_encode(tok, bytes, len, o->special ? TOKENIZER_SPECIAL : 0, &enc, &err);

    if (rc == LC_OK && o->truncate && o->max_length)
        cut(tok, o, &enc);
    out->n = enc.n;
    out->ids = rc == LC_OK ? lua_newuserdatauv(L, (enc.n ? enc.n : 1) * sizeof *out->ids, 0) : NULL;
    if (out->ids && enc.n)
        memcpy(out->ids, enc.ids, enc.n * sizeof *out->ids);
    encoding_release(&enc);
    if (rc != LC_OK)
        session_raise(L, &err);
}

static void push_fill(lua_State *L, const struct row_ids *row, size_t width, bool left, bool mask,
                      int32_t pad)
{
    size_t start = left && width > row->n ? width - row->n : 0;

    width = width > row->n ? width : row->n;
    lua_createtable(L, (int)width, 0);
    for (size_t i = 0; i < width; i++) {
        bool real = i >= start && i < start + row->n;
        if (mask)
            lua_pushinteger(L, real);
        else
            lua_pushinteger(L, real ? row->ids[i - start] : pad);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static size_t width_of(const struct row_ids *rows, size_t n, const struct batch_options *o)
{
    size_t width = o->padding == PAD_MAX_LENGTH ? o->max_length : 0;

    for (size_t i = 0; o->padding == PAD_LONGEST && i < n; i++)
        width = rows[i].n > width ? rows[i].n : width;
    if (o->padding != PAD_NONE && o->multiple && width % o->multiple)
        width += o->multiple - width % o->multiple;
    return width;
}

/* One of the columns of the result, on the stack: the rows, or the row of a single text. */
static void push_column(lua_State *L, const struct row_ids *rows, size_t n, const struct batch_options *o,
                        bool single, bool mask, int32_t pad)
{
    size_t width = width_of(rows, n, o);

    if (single) {
        push_fill(L, rows, width, o->pad_left, mask, pad);
        return;
    }
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        push_fill(L, rows + i, width, o->pad_left, mask, pad);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static struct row_ids *encode_all(lua_State *L, const struct tokenizer *tok, const struct batch_options *o,
                                  int texts, size_t n)
{
    struct row_ids *rows = lua_newuserdatauv(L, (n ? n : 1) * sizeof *rows, 0);
    struct err err;
    int keep;

    lua_createtable(L, (int)n, 0);
    keep = lua_gettop(L);
    for (size_t i = 0; i < n; i++) {
        if (i % CHECK_EVERY == 0 && ctx_check(llm_ctx(L), &err) != LC_OK)
            session_raise(L, &err);
        if (lua_type(L, texts) == LUA_TSTRING)
            lua_pushvalue(L, texts);
        else if (lua_geti(L, texts, (lua_Integer)i + 1) != LUA_TSTRING)
            luaL_error(L, "a tokenizer takes texts, and element %d is a %s", (int)i + 1,
                       luaL_typename(L, -1));
        encode_row(L, tok, o, keep + 1, &rows[i]);
        lua_rawseti(L, keep, (lua_Integer)i + 1);
        lua_settop(L, keep);
    }
    return rows;
}

/* tok(text or texts, {…}), tok{texts, truncation = true, …} → {input_ids, attention_mask} */
int llm_tokenize_batch(lua_State *L)
{
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    const struct lua_tokenizer *t = lua_touserdata(L, 1);
    struct batch_options o;
    struct row_ids *rows;
    bool single;
    size_t n;

    lua_settop(L, 3);
    if (lua_istable(L, 2) &&
        lua_isnil(L, 3)) { /* tok{"a", "b", padding = true}, tok{texts, padding = true} */
        lua_copy(L, 2, 3);
        if (lua_geti(L, 2, 1) == LUA_TTABLE)
            lua_copy(L, -1, 2);
        lua_settop(L, 3);
    } else if (lua_isnil(L, 3)) {
        lua_newtable(L);
        lua_replace(L, 3);
    }
    luaL_checktype(L, 3, LUA_TTABLE);
    single = lua_type(L, 2) == LUA_TSTRING;
    if (!single && !lua_istable(L, 2))
        return luaL_argerror(L, 1, "a text or a list of texts expected");
    n = single ? 1 : (size_t)luaL_len(L, 2);
    luaL_argcheck(L, n <= TEXTS_MOST, 1, "too many texts");
    take_options(L, 3, t, &o);
    if (o.padding != PAD_NONE && tokenizer_pad(tok) < 0) {
        struct err err;
        (void)err_set(&err, LC_ARG, "cannot pad: this tokenizer has no padding token");
        (void)err_hint(&err, "leave padding out (rows of different lengths are fine for training), or name a "
                             "pad_token in tokenizer_config.json");
        return session_raise(L, &err);
    }
    rows = encode_all(L, tok, &o, 2, n);
    lua_createtable(L, 0, 2);
    push_column(L, rows, n, &o, single, false, tokenizer_pad(tok));
    lua_setfield(L, -2, "input_ids");
    if (o.mask) {
        push_column(L, rows, n, &o, single, true, 0);
        lua_setfield(L, -2, "attention_mask");
    }
    return 1;
}
