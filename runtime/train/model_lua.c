/* model_lua.c: models, tokenizers and tensors as Lua values. */
#include "runtime/train/model_lua.h"
#include "gpu/adapter.h"
#include "gpu/quantization.h"
#include "gpu/tokenizer/train.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/session/session_lua.h"
#include "runtime/train/examples.h"
#include "runtime/train/llm_lua.h"
#include "runtime/train/manifest.h"
#include "runtime/train/rows.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char model_name[] = "lacus.Model", tokenizer_name[] = "lacus.Tokenizer",
                  tensor_name[] = "lacus.Tensor";

enum { TOKENS_MOST = 1 << 24, PROMPTS_MOST = 1 << 20, PER_BATCH = 16 };

struct lua_tensor { /* its user value is the model, when it is a view into one */
    struct tensor view;
    float *own;         /* owned: a copy; NULL: a view */
    const int64_t *now; /* of a view: what counts how often its memory was placed anew, and */
    int64_t made;       /* how often when it was made */
};

/* Memory that the garbage collector frees, whatever is raised. */
static int memory_gc(lua_State *L)
{
    void **p = lua_touserdata(L, 1);

    mem_free(*p);
    *p = NULL;
    return 0;
}

void *llm_push_memory(lua_State *L, size_t n, size_t size)
{
    void **p = session_slot(L, sizeof *p, "lacus.llm.memory", memory_gc);

    *p = mem_calloc(n ? n : 1, size);
    if (!*p)
        luaL_error(L, "not enough memory");
    return *p;
}

const struct ctx *llm_ctx(lua_State *L)
{
    return session_ctx(session_of(L));
}

static void wrong_option(lua_State *L, const char *name, const char *what)
{
    struct err err;

    err_set(&err, LC_ARG, "'%s' must be %s, and this is %s", name, what,
            lua_isnumber(L, -1) ? lua_tostring(L, -1) : lua_pushfstring(L, "a %s", luaL_typename(L, -1)));
    session_raise(L, &err);
}

lua_Number llm_option_number(lua_State *L, int index, const char *name, lua_Number otherwise)
{
    lua_Number x = otherwise;

    if (lua_getfield(L, index, name) != LUA_TNIL) {
        x = lua_tonumber(L, -1);
        if (!lua_isnumber(L, -1) || isnan(x))
            wrong_option(L, name, "a number");
    }
    lua_pop(L, 1);
    return x;
}

lua_Integer llm_option_integer(lua_State *L, int index, const char *name, lua_Integer otherwise)
{
    lua_Integer x = otherwise;
    int whole = 1;

    if (lua_getfield(L, index, name) != LUA_TNIL)
        x = lua_tointegerx(L, -1, &whole);
    if (!whole)
        wrong_option(L, name, "a whole number");
    lua_pop(L, 1);
    return x;
}

/* ---- tensors --------------------------------------------------------------------------------------------- */

static struct lua_tensor *new_tensor(lua_State *L, int model_index);

/* A tensor whose numbers are there: a view is none of a model that was closed, merged or lost its gradients. */
static struct lua_tensor *check_tensor(lua_State *L, int index)
{
    struct lua_tensor *t = luaL_checkudata(L, index, tensor_name);
    struct err err;

    if (!t->own && *t->now != t->made) {
        err_set(
            &err, LC_ARG,
            "the numbers of this tensor are gone: its model was closed, merged or has other parameters now");
        err_hint(&err, "model:parameters() gives those that are there");
        session_raise(L, &err);
    }
    return t;
}

static int l_tensor_gc(lua_State *L)
{
    struct lua_tensor *t = luaL_checkudata(L, 1, tensor_name);

    mem_free(t->own);
    t->own = NULL;
    return 0;
}

static void read_tensor(lua_State *L, const struct lua_tensor *t, int64_t from, int64_t n, float *out)
{
    struct err err;

    if (t->own)
        memcpy(out, t->own + from, (size_t)n * sizeof *out);
    else if (tensor_read(&t->view, from, n, out, &err) != LC_OK)
        session_raise(L, &err);
}

static int l_tensor_norm(lua_State *L)
{
    struct lua_tensor *t = check_tensor(L, 1);
    double norm = 0;
    struct err err;

    if (!t->own) {
        if (tensor_norm(&t->view, &norm, &err) != LC_OK)
            return session_raise(L, &err);
    } else {
        for (int64_t i = 0, n = tensor_elements(&t->view); i < n; i++)
            norm += (double)t->own[i] * (double)t->own[i];
        norm = sqrt(norm);
    }
    lua_pushnumber(L, norm);
    return 1;
}

static int l_tensor_get(lua_State *L) /* t:get(i, j, k): positions from 0, as in Python */
{
    struct lua_tensor *t = check_tensor(L, 1);
    int64_t at = 0;
    float x = 0;

    for (int d = 0; d < t->view.ndim; d++) {
        lua_Integer i = luaL_checkinteger(L, 2 + d);
        luaL_argcheck(L, i >= 0 && i < t->view.shape[d], 2 + d,
                      "position outside the tensor (positions start at 0)");
        at = at * t->view.shape[d] + i;
    }
    read_tensor(L, t, at, 1, &x);
    lua_pushnumber(L, (lua_Number)x);
    return 1;
}

static int l_tensor_argmax(lua_State *L) /* where the greatest of each last row is, from 0 */
{
    struct lua_tensor *t = check_tensor(L, 1);
    int64_t width = t->view.ndim ? t->view.shape[t->view.ndim - 1] : 1,
            n = width ? tensor_elements(&t->view) / width : 0;
    float *values = llm_push_memory(L, (size_t)width, sizeof *values);

    luaL_argcheck(L, n <= TOKENS_MOST, 1, "too many rows for a table");
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        int64_t best = 0;
        read_tensor(L, t, i * width, width, values);
        for (int64_t k = 1; k < width; k++)
            best = values[k] > values[best] ? k : best;
        lua_pushinteger(L, best);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static int l_tensor_totable(lua_State *L) /* all elements, one after the other */
{
    struct lua_tensor *t = check_tensor(L, 1);
    int64_t n = tensor_elements(&t->view);
    float *values;

    luaL_argcheck(L, n <= TOKENS_MOST, 1, "too many elements for a table");
    values = llm_push_memory(L, (size_t)n, sizeof *values);
    read_tensor(L, t, 0, n, values);
    lua_createtable(L, (int)n, 0);
    for (int64_t i = 0; i < n; i++) {
        lua_pushnumber(L, (lua_Number)values[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

static void push_shape(lua_State *L, const struct tensor *t)
{
    lua_createtable(L, t->ndim, 0);
    for (int d = 0; d < t->ndim; d++) {
        lua_pushinteger(L, t->shape[d]);
        lua_rawseti(L, -2, d + 1);
    }
}

static int l_tensor_index(lua_State *L)
{
    struct lua_tensor *t = check_tensor(L, 1);
    const char *key = luaL_checkstring(L, 2);

    if (strcmp(key, "shape") == 0)
        return push_shape(L, &t->view), 1;
    if (strcmp(key, "name") == 0)
        return lua_pushstring(L, t->own ? "" : t->view.name), 1;
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static int l_tensor_tostring(lua_State *L)
{
    struct lua_tensor *t = luaL_checkudata(L, 1, tensor_name);

    lua_pushliteral(L, "tensor[");
    for (int d = 0; d < t->view.ndim; d++)
        lua_pushfstring(L, "%s%I", d ? ", " : "", (LUAI_UACINT)t->view.shape[d]);
    lua_pushliteral(L, "]");
    lua_concat(L, t->view.ndim + 2);
    return 1;
}

static struct lua_tensor *new_tensor(lua_State *L, int model_index)
{
    static const luaL_Reg methods[] = {{"norm", l_tensor_norm},
                                       {"get", l_tensor_get},
                                       {"totable", l_tensor_totable},
                                       {"argmax", l_tensor_argmax},
                                       {NULL, NULL}};
    struct lua_tensor *t;

    model_index = lua_absindex(L, model_index);
    t = lua_newuserdatauv(L, sizeof *t, 1);
    *t = (struct lua_tensor){0};
    lua_pushvalue(L, model_index);
    lua_setiuservalue(L, -2, 1); /* the model lives as long as its tensors */
    if (luaL_newmetatable(L, tensor_name)) {
        luaL_newlib(L, methods);
        lua_pushcclosure(L, l_tensor_index, 1);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_tensor_gc);
        lua_setfield(L, -2, "__gc");
        lua_pushcfunction(L, l_tensor_tostring);
        lua_setfield(L, -2, "__tostring");
    }
    lua_setmetatable(L, -2);
    return t;
}

/* ---- tokenizers ------------------------------------------------------------------------------------------ */

/* A tokenizer, or the one of a model. */
const struct tokenizer *llm_check_tokenizer(lua_State *L, int index)
{
    struct lua_model *m = luaL_testudata(L, index, model_name);

    if (m) {
        luaL_argcheck(L, m->tok, index, "this model's folder has no tokenizer.json");
        return m->tok;
    }
    return *(struct tokenizer **)luaL_checkudata(L, index, tokenizer_name);
}

static int l_tokenizer_gc(lua_State *L)
{
    struct tokenizer **t = luaL_checkudata(L, 1, tokenizer_name);

    tokenizer_free(*t);
    *t = NULL;
    return 0;
}

void llm_push_ids(lua_State *L, const int32_t *ids, size_t n)
{
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushinteger(L, ids[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

int llm_push_tokens(lua_State *L, const struct tokenizer *tok, const char *text, size_t len, unsigned flags)
{
    struct encoding enc = ENCODING_INIT;
    struct err err;
    enum lc rc = tokenizer_encode(tok, text, len, flags, &enc, &err);
    size_t n = enc.n;
    int32_t *ids;

    if (rc != LC_OK) {
        encoding_release(&enc);
        return session_raise(L, &err);
    }
    ids = lua_newuserdatauv(L, (n ? n : 1) * sizeof *ids, 0); /* nothing of ours is live when Lua may raise */
    if (n)
        memcpy(ids, enc.ids, n * sizeof *ids);
    encoding_release(&enc);
    llm_push_ids(L, ids, n);
    return 1;
}

static int l_encode(lua_State *L) /* tok:encode(text, {add_special_tokens = true}) → ids */
{
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    bool special = true;

    if (lua_istable(L, 3) && lua_getfield(L, 3, "add_special_tokens") != LUA_TNIL)
        special = lua_toboolean(L, -1);
    return llm_push_tokens(L, tok, text, len, special ? TOKENIZER_SPECIAL : 0);
}

int32_t *llm_check_ids(lua_State *L, int index, size_t *n)
{
    int32_t *ids;

    luaL_checktype(L, index, LUA_TTABLE);
    *n = (size_t)luaL_len(L, index);
    luaL_argcheck(L, *n <= TOKENS_MOST, index, "too many tokens");
    ids = lua_newuserdatauv(L, (*n ? *n : 1) * sizeof *ids, 0);
    for (size_t i = 0; i < *n; i++) {
        int ok;
        lua_geti(L, index, (lua_Integer)i + 1);
        lua_Integer v = lua_tointegerx(L, -1, &ok);
        if (!ok || v < INT32_MIN || v > INT32_MAX)
            luaL_error(L, "token ids are integers, and element %d is a %s", (int)i + 1, luaL_typename(L, -1));
        ids[i] = (int32_t)v;
        lua_pop(L, 1);
    }
    return ids;
}

/* Releases text; pushes it, or raises err when rc is not LC_OK. */
int llm_push_text(lua_State *L, struct buf *text, enum lc rc, const struct err *err)
{
    if (rc == LC_OK) {
        lua_pushlstring(L, buf_str(text), text->len);
        buf_release(text);
        return 1;
    }
    buf_release(text);
    return session_raise(L, err);
}

static int l_decode(lua_State *L) /* tok:decode(ids, {skip_special_tokens = false}) */
{
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    size_t n;
    const int32_t *ids = llm_check_ids(L, 2, &n);
    bool skip =
        lua_istable(L, 3) && lua_getfield(L, 3, "skip_special_tokens") != LUA_TNIL && lua_toboolean(L, -1);
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    struct err err;

    return llm_push_text(L, &text, tokenizer_decode(tok, ids, n, skip, &text, &err), &err);
}

static int l_vocab(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)tokenizer_vocab_size(llm_check_tokenizer(L, 1)));
    return 1;
}

static void push_token_id(lua_State *L, int32_t id)
{
    if (id >= 0)
        lua_pushinteger(L, id);
    else
        lua_pushnil(L);
}

static int l_tokenizer_index(lua_State *L)
{
    static const struct {
        const char *name;
        int32_t (*get)(const struct tokenizer *tok);
    } ids[] = {
        {"bos_token_id", tokenizer_bos}, {"eos_token_id", tokenizer_eos}, {"pad_token_id", tokenizer_pad}};
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    const char *key = luaL_checkstring(L, 2);

    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (strcmp(key, ids[i].name) == 0)
            return push_token_id(L, ids[i].get(tok)), 1;
    if (strcmp(key, "vocab_size") == 0)
        return l_vocab(L);
    if (strcmp(key, "name_or_path") == 0 && lua_type(L, 1) == LUA_TUSERDATA)
        return lua_getiuservalue(L, 1, 1), 1;
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
    return 1;
}

static int l_tokenizer_text(lua_State *L)
{
    const struct lua_tokenizer *t = luaL_checkudata(L, 1, tokenizer_name);

    lua_getiuservalue(L, 1, 1);
    lua_pushfstring(L, "Tokenizer(name_or_path='%s', vocab_size=%I, padding_side='%s', truncation_side='%s')",
                    luaL_tolstring(L, -1, NULL), (LUAI_UACINT)tokenizer_vocab_size(t->tok),
                    t->pad_left ? "left" : "right", t->cut_left ? "left" : "right");
    return 1;
}

static int l_tokenizer(lua_State *L) /* core.tokenizer(path) */
{
    static const luaL_Reg methods[] = {{"encode", l_encode},
                                       {"decode", l_decode},
                                       {"apply_chat_template", llm_apply_chat_template},
                                       {NULL, NULL}};
    const char *path = luaL_checkstring(L, 1);
    struct lua_tokenizer *t = lua_newuserdatauv(L, sizeof *t, 1);
    struct err err;

    *t = (struct lua_tokenizer){0};
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    if (luaL_newmetatable(L, tokenizer_name)) {
        luaL_newlib(L, methods);
        lua_pushcclosure(L, l_tokenizer_index, 1);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, l_vocab);
        lua_setfield(L, -2, "__len");
        lua_pushcfunction(L, llm_tokenize_batch);
        lua_setfield(L, -2, "__call");
        lua_pushcfunction(L, l_tokenizer_text);
        lua_setfield(L, -2, "__tostring");
        lua_pushcfunction(L, l_tokenizer_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    if (tokenizer_open(path, &t->tok, &err) != LC_OK)
        return session_raise(L, &err);
    llm_tokenizer_settings(t, path);
    return 1;
}

/* ---- models ---------------------------------------------------------------------------------------------- */

struct lua_model *llm_check_model(lua_State *L, int index)
{
    struct lua_model *m = luaL_checkudata(L, index, model_name);

    luaL_argcheck(L, m->model, index, "this model is closed");
    return m;
}

static int l_model_gc(lua_State *L)
{
    struct lua_model *m = luaL_checkudata(L, 1, model_name);

    model_free(m->model);
    backend_close(m->backend);
    tokenizer_free(m->tok);
    *m = (struct lua_model){0};
    return 0;
}

/* {{1, 2}, {3}} → n rows of one length each, padded with `pad`. Leaves its memory on the stack. */
static int64_t *check_matrix(lua_State *L, int index, int64_t *n, int64_t *length, int64_t pad)
{
    int64_t *out;

    *n = luaL_len(L, index);
    if (*length == 0)
        for (int64_t i = 0; i < *n; i++) {
            if (lua_geti(L, index, i + 1) != LUA_TTABLE)
                luaL_error(L, "a table of rows of token ids expected: {{1, 2, 3}, {4, 5}}");
            *length = luaL_len(L, -1) > *length ? luaL_len(L, -1) : *length;
            lua_pop(L, 1);
        }
    if (*n * *length > TOKENS_MOST || *n * *length == 0)
        luaL_error(L, "a batch of 1 to %d tokens expected", TOKENS_MOST);
    out = llm_push_memory(L, (size_t)(*n * *length), sizeof *out);
    for (int64_t i = 0; i < *n; i++) {
        lua_geti(L, index, i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        for (int64_t k = 0; k < *length; k++) {
            lua_geti(L, -1, k + 1);
            out[i * *length + k] = lua_isnil(L, -1) ? pad : (int64_t)luaL_checkinteger(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    return out;
}

/* The attention mask when none was given: shorter rows are padded at their ends. */
static int64_t *default_mask(lua_State *L, int ids, int64_t n, int64_t length)
{
    int64_t *mask = llm_push_memory(L, (size_t)(n * length), sizeof *mask);

    for (int64_t i = 0; i < n; i++) {
        lua_geti(L, ids, i + 1);
        for (int64_t k = 0, m = luaL_len(L, -1); k < m && k < length; k++)
            mask[i * length + k] = 1;
        lua_pop(L, 1);
    }
    return mask;
}

/* Logits go from rows without padding to [batch, position, vocabulary]. */
static void push_logits(lua_State *L, struct lua_model *m, const int32_t *row_of, int64_t n, int64_t length)
{
    int64_t vocab = model_get_config(m->model)->vocab_size;
    struct lua_tensor *t = new_tensor(L, 1);
    struct tensor logits;
    struct err err;
    enum lc rc;

    t->own = mem_calloc((size_t)(n * length), (size_t)vocab * sizeof *t->own);
    rc = t->own ? model_logits(m->model, &logits, &err) : err_nomem(&err);
    for (int64_t i = 0; rc == LC_OK && i < n * length; i++)
        if (row_of[i] >= 0)
            rc = tensor_read(&logits, row_of[i] * vocab, vocab, t->own + i * vocab, &err);
    if (rc != LC_OK)
        session_raise(L, &err);
    t->view = (struct tensor){.name = "", .dtype = DTYPE_F32, .ndim = 3, .shape = {n, length, vocab}};
}

/* m:forward{input_ids, attention_mask, labels, longest} → {loss, logits}; longest: of the whole batch that these rows are of */
static int l_forward(lua_State *L)
{
    struct lua_model *m = llm_check_model(L, 1);
    struct model_packed packed;
    struct model_loss loss = {0};
    int64_t n, length = 0, longest, *ids, *mask, *labels = NULL;
    int32_t *row_of;
    struct err err;
    enum lc rc;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    longest = llm_option_integer(L, 2, "longest", 0);
    if (lua_getfield(L, 2, "input_ids") != LUA_TTABLE)
        return luaL_argerror(L, 2, "input_ids expected: rows of token ids");
    ids = check_matrix(L, 3, &n, &length, 0);
    if (lua_getfield(L, 2, "attention_mask") == LUA_TTABLE)
        mask = check_matrix(L, lua_gettop(L), &n, &length, 0);
    else
        mask = default_mask(L, 3, n, length);
    if (lua_getfield(L, 2, "labels") == LUA_TTABLE)
        labels = check_matrix(L, lua_gettop(L), &n, &length, -100);
    row_of = llm_push_memory(L, (size_t)(n * length), sizeof *row_of);
    if (model_pack(ids, mask, labels, n, length, &packed, &err) != LC_OK)
        return session_raise(L, &err);
    memcpy(row_of, packed.row_of, (size_t)(n * length) * sizeof *row_of);
    packed.batch.seen = longest > packed.batch.seen ? longest : packed.batch.seen;
    rc = model_forward(llm_ctx(L), m->model, &packed.batch,
                       &(struct model_forward){.train = labels, .logits = true}, &loss, &err);
    model_packed_release(&packed);
    if (rc != LC_OK)
        return session_raise(L, &err);
    m->forwards += labels != NULL;
    lua_createtable(L, 0, 2);
    if (labels) {
        lua_pushnumber(L, loss.mean);
        lua_setfield(L, -2, "loss");
    }
    push_logits(L, m, row_of, n, length);
    lua_setfield(L, -2, "logits");
    return 1;
}

static int l_backward(lua_State *L)
{
    struct lua_model *m = llm_check_model(L, 1);
    struct err err;

    luaL_argcheck(L, m->forwards > 0, 1, "a forward with labels comes before backward");
    if (model_backward(llm_ctx(L), m->model, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static int l_zero_grad(lua_State *L)
{
    struct err err;

    if (model_zero_grad(llm_check_model(L, 1)->model, &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

static void push_view(lua_State *L, const struct tensor *t, const int64_t *now)
{
    struct lua_tensor *view;

    if (!t->data) {
        lua_pushnil(L);
        return;
    }
    view = new_tensor(L, 1);
    view->view = *t;
    view->now = now;
    view->made = *now;
}

static int l_parameters(lua_State *L) /* → {{name, shape, value, grad, requires_grad}, …} */
{
    struct lua_model *m = llm_check_model(L, 1);
    size_t n = model_parameters(m->model);

    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        struct parameter p;
        model_parameter(m->model, i, &p);
        lua_createtable(L, 0, 5);
        lua_pushstring(L, p.value.name);
        lua_setfield(L, -2, "name");
        push_shape(L, &p.value);
        lua_setfield(L, -2, "shape");
        push_view(L, &p.value, &m->values);
        lua_setfield(L, -2, "value");
        push_view(L, &p.grad, &m->grads);
        lua_setfield(L, -2, "grad");
        lua_pushboolean(L, p.trainable);
        lua_setfield(L, -2, "requires_grad");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int l_count(lua_State *L) /* → trainable, all */
{
    int64_t trainable, all;

    model_count_parameters(llm_check_model(L, 1)->model, &trainable, &all);
    lua_pushinteger(L, trainable);
    lua_pushinteger(L, all);
    return 2;
}

static int l_trainable(lua_State *L) /* core.trainable(m, true or false) */
{
    struct lua_model *m = llm_check_model(L, 1);
    struct err err;

    if (model_set_trainable(m->model, lua_toboolean(L, 2), &err) != LC_OK)
        return session_raise(L, &err);
    m->grads += !lua_toboolean(L, 2);
    return 0;
}

static int l_attach(lua_State *L) /* core.attach(m, {LoraConfig}, seed) */
{
    struct lua_model *m = llm_check_model(L, 1);
    lua_Integer seed = luaL_optinteger(L, 3, 42);
    struct encoding ids = ENCODING_INIT;
    struct adapter_config c;
    struct err err;
    json_t *o;
    enum lc rc;

    luaL_checktype(L, 2, LUA_TTABLE);
    o = session_to_json(L, 2, &err);
    if (!o)
        return session_raise(L, &err);
    rc = adapter_config_from_json(o, &c, &err);
    json_decref(o);
    if (rc == LC_OK && adapter_config_text(&c))
        rc = m->tok ? tokenizer_encode(m->tok, adapter_config_text(&c), strlen(adapter_config_text(&c)),
                                       TOKENIZER_SPECIAL, &ids, &err)
                    : err_set(&err, LC_NOTFOUND,
                              "the prompt starts from a text, and the model has no tokenizer");
    m->grads++;
    if (rc == LC_OK)
        rc = adapter_attach(m->model, &c, ids.ids, ids.n, (uint64_t)seed, &err);
    encoding_release(&ids);
    adapter_config_release(&c);
    return rc == LC_OK ? 0 : session_raise(L, &err);
}

/* core.load_adapter(m, folder, keep) → the number of one that is kept beside others */
static int l_load_adapter(lua_State *L)
{
    struct lua_model *owner = llm_check_model(L, 1);
    struct model *m = owner->model;
    bool keep = lua_toboolean(L, 3);
    size_t number = 0;
    struct err err;
    enum lc rc = LC_OK;

    if (keep && adapter_attached(m))
        rc = err_set(&err, LC_CONFLICT,
                     "the model has an adapter already: merge it, or load it with a name, too");
    owner->grads++;
    if (rc == LC_OK)
        rc = adapter_load(llm_ctx(L), m, luaL_checkstring(L, 2), &err);
    if (rc == LC_OK && keep && (rc = adapter_keep(m, &number, &err)) != LC_OK)
        adapter_detach(m);
    if (rc != LC_OK)
        return session_raise(L, &err);
    lua_pushinteger(L, (lua_Integer)number);
    return 1;
}

static int l_merge(lua_State *L) /* m:merge_and_unload() → m */
{
    struct lua_model *m = llm_check_model(L, 1);
    struct err err;

    m->values++;
    m->grads++;
    if (lora_merge(m->model, &err) != LC_OK)
        return session_raise(L, &err);
    lua_settop(L, 1);
    return 1;
}

static int l_save(lua_State *L) /* core.save(m, folder): the adapter when there is one */
{
    struct lua_model *m = llm_check_model(L, 1);
    const char *folder = luaL_checkstring(L, 2);
    struct err err;
    enum lc rc = fs_mkdirs(folder, &err);

    if (rc == LC_OK)
        rc = adapter_attached(m->model) ? adapter_save(llm_ctx(L), m->model, folder, &err)
                                        : model_save(llm_ctx(L), m->model, folder, &err);
    return rc == LC_OK ? 0 : session_raise(L, &err);
}

/* ---- opening and creating -------------------------------------------------------------------------------- */

static int l_model_index(lua_State *L) /* C methods, then those of lacus/llm.lua, then fields */
{
    struct lua_model *m = llm_check_model(L, 1);

    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (lua_getfield(L, LUA_REGISTRYINDEX, "lacus.model.methods") == LUA_TTABLE) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, -2) != LUA_TNIL)
            return 1;
    }
    if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "path") == 0)
        return lua_pushstring(L, model_folder(m->model)), 1;
    lua_pushnil(L);
    return 1;
}

static struct lua_model *push_model(lua_State *L)
{
    static const luaL_Reg methods[] = {{"forward", l_forward},     {"backward", l_backward},
                                       {"zero_grad", l_zero_grad}, {"parameters", l_parameters},
                                       {"count", l_count},         {"merge_and_unload", l_merge},
                                       {"close", l_model_gc},      {NULL, NULL}};
    struct lua_model *m = lua_newuserdatauv(L, sizeof *m, 0);

    *m = (struct lua_model){.values = 1, .grads = 1};
    if (luaL_newmetatable(L, model_name)) {
        luaL_newlib(L, methods);
        lua_pushcclosure(L, l_model_index, 1);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, llm_model_text);
        lua_setfield(L, -2, "__tostring");
        lua_pushcfunction(L, l_model_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return m;
}

static void read_quantization(lua_State *L, struct model_options *o) /* from the table on the top */
{
    struct quantization q;
    struct err err;
    json_t **slot;

    if (lua_getfield(L, -1, "quantization") == LUA_TTABLE) {
        slot = session_json_slot(L);
        *slot = session_to_json(L, -2, &err);
        if (!*slot || quantization_from_json(*slot, &q, &err) != LC_OK)
            session_raise(L, &err);
        o->linear = q.linear;
        o->compute = q.compute;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* core.load(folder, {dtype, backend, tokenizer, quantization}) → model, or model and why it is a slow one */
static int l_load(lua_State *L)
{
    const char *folder = luaL_checkstring(L, 1), *dtype = NULL, *backend = "cpu", *tokenizer = folder;
    struct model_options o = {0};
    struct lua_model *m;
    struct err err = {.code = LC_OK}, slow = {.code = LC_OK};

    luaL_checktype(L, 2, LUA_TTABLE);
    if (lua_getfield(L, 2, "dtype") == LUA_TSTRING)
        dtype = lua_tostring(L, -1);
    if (lua_getfield(L, 2, "backend") == LUA_TSTRING)
        backend = lua_tostring(L, -1);
    if (lua_getfield(L, 2, "tokenizer") == LUA_TSTRING)
        tokenizer = lua_tostring(L, -1);
    lua_settop(L, 2);
    read_quantization(L, &o);
    if (dtype && dtype_from_torch(dtype) == DTYPE_BF16)
        o.dtype = o.compute = DTYPE_BF16;
    else if (dtype && dtype_from_torch(dtype) != DTYPE_F32)
        return luaL_error(L, "dtype '%s' is not known here: \"float32\" and \"bfloat16\" are", dtype);
    m = push_model(L);
    if (backend_open(backend, &(struct backend_options){0}, &m->backend, &slow) != LC_OK)
        return session_raise(L, &slow);
    if (model_load(llm_ctx(L), folder, m->backend, &o, &m->model, &err) != LC_OK)
        return session_raise(L, &err);
    if (tokenizer_open(tokenizer, &m->tok, &err) != LC_OK && err.code != LC_NOTFOUND)
        return session_raise(L, &err);
    if (strcmp(m->backend->name, backend) == 0)
        return 1;
    lua_pushstring(L, slow.message);
    return 2;
}

static int l_create(lua_State *L) /* core.create(config as JSON text, seed, folder) */
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len), *folder = luaL_checkstring(L, 3);
    lua_Integer seed = luaL_checkinteger(L, 2);
    struct lua_model *m = push_model(L);
    struct model_config c;
    struct err err;
    enum lc rc = model_config_parse(text, len, "config", &c, &err);

    if (rc == LC_OK)
        rc = model_config_check(&c, &err);
    if (rc == LC_OK)
        rc = backend_open("ref", &(struct backend_options){0}, &m->backend, &err);
    if (rc == LC_OK)
        rc = model_create(llm_ctx(L), &c, (uint64_t)seed, m->backend, NULL, &m->model, &err);
    if (rc == LC_OK)
        rc = fs_mkdirs(folder, &err);
    if (rc == LC_OK)
        rc = model_save(llm_ctx(L), m->model, folder, &err);
    if (rc != LC_OK)
        return session_raise(L, &err);
    lua_pushinteger(L, model_config_parameters(&c));
    return 1;
}

static int l_copy_tokenizer(lua_State *L) /* core.copy_tokenizer(from, to) */
{
    struct err err;

    if (folder_copy(llm_ctx(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), manifest_is_tokenizer_file,
                    &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}

/* The next text of a file of rows. */
static enum lc next_text(void *arg, const char **text, size_t *len, struct err *err)
{
    struct row row;
    enum lc rc = LC_OK;

    *text = NULL;
    if (rows_next(arg, &row, &rc, err)) {
        *text = row.completion;
        *len = row.completion_len;
    }
    return rc;
}

static int l_train_tokenizer(lua_State *L) /* core.train_tokenizer(rows file, {vocab_size, …}, folder) */
{
    const char *path = luaL_checkstring(L, 1), *folder = luaL_checkstring(L, 3);
    struct tokenizer_training t = {
        .bos = "<|begin_of_text|>", .eos = "<|end_of_text|>", .pad = "<|pad|>", .add_bos = true};
    struct rows *r = NULL;
    struct err err;
    enum lc rc;

    luaL_checktype(L, 2, LUA_TTABLE);
    t.vocab_size = (size_t)llm_option_number(L, 2, "vocab_size", 8000);
    t.min_frequency = (size_t)llm_option_number(L, 2, "min_frequency", 0);
    t.model_max_length = (int64_t)llm_option_number(L, 2, "model_max_length", 0);
    if (lua_getfield(L, 2, "chat_template") == LUA_TSTRING)
        t.chat_template = lua_tostring(L, -1);
    rc = fs_mkdirs(folder, &err);
    if (rc == LC_OK)
        rc = rows_open(path, &r, &err);
    if (rc == LC_OK)
        rc = tokenizer_train(llm_ctx(L), next_text, r, &t, folder, &err);
    rows_close(r);
    return rc == LC_OK ? 0 : session_raise(L, &err);
}

static int l_model_methods(lua_State *L) /* core.model_methods{name = function}: those written in Lua */
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "lacus.model.methods");
    return 0;
}

static int l_is_model(lua_State *L)
{
    lua_pushboolean(L, luaL_testudata(L, 1, model_name) != NULL);
    return 1;
}

void llm_model_functions(struct lua_State *L)
{
    static const luaL_Reg functions[] = {{"load", l_load},
                                         {"create", l_create},
                                         {"tokenizer", l_tokenizer},
                                         {"trainable", l_trainable},
                                         {"attach", l_attach},
                                         {"load_adapter", l_load_adapter},
                                         {"save", l_save},
                                         {"copy_tokenizer", l_copy_tokenizer},
                                         {"model_methods", l_model_methods},
                                         {"is_model", l_is_model},
                                         {"train_tokenizer", l_train_tokenizer},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
    llm_generate_functions(L);
}
