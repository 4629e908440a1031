/* generate_lua.c: text from models, and their judgement of texts, as Lua functions. */
#include "gpu/generate.h"
#include "gpu/tokenizer/stop.h"
#include "runtime/base/mem.h"
#include "runtime/session/session_lua.h"
#include "runtime/train/examples.h"
#include "runtime/train/model_lua.h"
#include "runtime/train/rows.h"
#include "runtime/train/score.h"
#include <math.h>
#include <string.h>

enum { PROMPTS_MOST = 1 << 20, PER_BATCH = 16, STOPS_MOST = 16 };

static void wrong_option(lua_State *L, const char *text)
{
    struct err err;

    err_set(&err, LC_ARG, "%s", text);
    session_raise(L, &err);
}

static void read_options(lua_State *L, int index, struct generate_options *o)
{
    lua_Integer top = llm_option_integer(L, index, "top_logprobs", 0);

    if (top < 0)
        wrong_option(L, "'top_logprobs' is less than 0");
    generate_defaults(o);
    o->max_new_tokens = llm_option_integer(L, index, "max_new_tokens", o->max_new_tokens);
    o->temperature = llm_option_number(L, index, "temperature", o->temperature);
    o->top_k = llm_option_integer(L, index, "top_k", o->top_k);
    o->top_p = llm_option_number(L, index, "top_p", o->top_p);
    o->min_p = llm_option_number(L, index, "min_p", o->min_p);
    o->repetition_penalty = llm_option_number(L, index, "repetition_penalty", o->repetition_penalty);
    o->seed = (uint64_t)llm_option_integer(L, index, "seed", 0);
    o->frequency_penalty = llm_option_number(L, index, "frequency_penalty", 0);
    o->presence_penalty = llm_option_number(L, index, "presence_penalty", 0);
    o->top_logprobs = (size_t)top;
    o->adapter = (size_t)llm_option_integer(L, index, "adapter_number", 0);
}

/* transformers' max_length counts the prompt, as the longest of the batch is long; max_new_tokens has precedence. */
static void read_length(lua_State *L, int index, const struct score_text *prompts, size_t n,
                        struct generate_options *o)
{
    lua_Integer most = llm_option_integer(L, index, "max_length", 0);
    size_t longest = 0;
    struct err err;

    if (lua_getfield(L, index, "max_length") == LUA_TNIL ||
        lua_getfield(L, index, "max_new_tokens") != LUA_TNIL)
        return;
    for (size_t i = 0; i < n; i++)
        longest = prompts[i].n > longest ? prompts[i].n : longest;
    if (most <= (lua_Integer)longest) {
        err_set(&err, LC_ARG, "'max_length' is %lld, and the prompt alone has %zu tokens", (long long)most,
                longest);
        err_hint(&err, "max_new_tokens counts without the prompt");
        session_raise(L, &err);
    }
    o->max_new_tokens = most - (lua_Integer)longest;
}

/* logit_bias = {[id] = value}; the memory is left on the stack */
static void read_bias(lua_State *L, int index, struct generate_options *o)
{
    struct generate_bias *bias;
    size_t n = 0;

    if (lua_getfield(L, index, "logit_bias") == LUA_TNIL)
        return;
    luaL_checktype(L, -1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        n++;
    bias = llm_push_memory(L, n + 1, sizeof *bias);
    lua_insert(L, -2); /* under the table */
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (!lua_isinteger(L, -2) || !lua_isnumber(L, -1))
            luaL_error(L, "'logit_bias' maps token ids to numbers");
        bias[o->n_bias++] = (struct generate_bias){(int32_t)lua_tointeger(L, -2), (float)lua_tonumber(L, -1)};
    }
    o->bias = bias;
    lua_pop(L, 1);
}

/* eos_token_id = id or {ids}, instead of those of config.json; null: none. The memory is left on the stack. */
static void read_ends(lua_State *L, int index, int64_t vocabulary, struct generate_options *o)
{
    int type = lua_getfield(L, index, "eos_token_id");
    size_t n = type == LUA_TTABLE ? (size_t)luaL_len(L, -1) : 1;
    int32_t *ids = llm_push_memory(L, n + 1, sizeof *ids);

    lua_insert(L, -2); /* under the value */
    o->no_stop = lua_isuserdata(L, -1) || (type == LUA_TTABLE && n == 0);
    for (size_t i = 0; i < n && type != LUA_TNIL && !o->no_stop; i++) {
        if (type == LUA_TTABLE)
            lua_geti(L, -1, (lua_Integer)i + 1);
        else
            lua_pushvalue(L, -1);
        if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 0 || lua_tointeger(L, -1) >= vocabulary)
            wrong_option(L, "'eos_token_id' is a token id of the model or a list of them");
        ids[o->n_stop++] = (int32_t)lua_tointeger(L, -1);
        lua_pop(L, 1);
    }
    o->stop = ids;
    lua_pop(L, 1);
}

static int generation_gc(lua_State *L)
{
    generation_release(lua_touserdata(L, 1));
    return 0;
}

static struct generation *push_generation(lua_State *L)
{
    return session_slot(L, sizeof(struct generation), "lacus.generation", generation_gc);
}

static int encoding_gc(lua_State *L)
{
    encoding_release(lua_touserdata(L, 1));
    return 0;
}

static struct encoding *push_encoding(lua_State *L)
{
    struct encoding *e = session_slot(L, sizeof *e, "lacus.encoding", encoding_gc);

    *e = (struct encoding)ENCODING_INIT;
    return e;
}

/* The texts of the table at index as ids, each kept alive by a value that is left in a new table on the stack. */
static struct score_text *encode_all(lua_State *L, const struct tokenizer *tok, int index, bool prompt,
                                     bool eos, size_t *n)
{
    struct score_text *out;
    struct err err;
    int keep;

    index = lua_absindex(L, index);
    *n = (size_t)luaL_len(L, index);
    luaL_argcheck(L, *n <= PROMPTS_MOST, index, "too many texts");
    out = llm_push_memory(L, *n, sizeof *out);
    lua_createtable(L, (int)*n, 0);
    keep = lua_gettop(L);
    for (size_t i = 0; i < *n; i++) {
        size_t len;
        const char *text;
        struct encoding *e;
        int32_t *ids;
        if (lua_geti(L, index, (lua_Integer)i + 1) == LUA_TTABLE && prompt) {
            size_t n_ids;
            const int32_t *given = llm_check_ids(L, lua_gettop(L), &n_ids);
            out[i] = (struct score_text){given, n_ids};
            lua_rawseti(L, keep, (lua_Integer)i + 1);
            lua_pop(L, 1);
            continue;
        }
        if (lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "texts expected, and element %d is a %s", (int)i + 1, luaL_typename(L, -1));
        text = lua_tolstring(L, -1, &len);
        e = push_encoding(L);
        if ((prompt ? tokenizer_encode(tok, text, len, examples_flags(tok, text, len), e, &err)
                    : examples_encode_behind(tok, text, len, e, &err)) != LC_OK)
            session_raise(L, &err);
        if (prompt && e->n && tokenizer_adds_eos(tok) && e->ids[e->n - 1] == tokenizer_eos(tok))
            e->n--;
        ids = lua_newuserdatauv(L, (e->n + 1) * sizeof *ids, 0);
        if (e->n)
            memcpy(ids, e->ids, e->n * sizeof *ids);
        out[i] = (struct score_text){ids, e->n};
        if (eos && tokenizer_eos(tok) >= 0)
            ids[out[i].n++] = tokenizer_eos(tok);
        encoding_release(e);
        lua_rawseti(L, keep, (lua_Integer)i + 1);
        lua_pop(L, 2);
    }
    return out;
}

/* ---- texts as they grow ---- */
struct writing { /* one call of generate; a userdata, so that nothing leaks */
    struct one {
        struct tokenizer_stream *stream; /* owned */
        struct buf text;                 /* owned */
        struct buf top;                  /* owned: the likely tokens of each, one after the other */
        size_t n_top;                    /* of each */
        size_t shown;                    /* bytes that on_text has had */
        bool stopped;
    } of[PER_BATCH];
    const struct tokenizer *tok;
    struct stop_texts stops;
    char *texts[STOPS_MOST]; /* borrowed from Lua strings that the options keep alive */
    lua_State *L;
    int on_text;  /* stack index of a Lua function; 0: none */
    size_t first; /* index of the batch's first prompt */
    bool failed;  /* on_text has raised; its error is on the top of the stack */
    struct err err;
};

static int writing_gc(lua_State *L)
{
    struct writing *w = lua_touserdata(L, 1);

    for (size_t i = 0; i < PER_BATCH; i++) {
        tokenizer_stream_free(w->of[i].stream);
        buf_release(&w->of[i].text);
        buf_release(&w->of[i].top);
        w->of[i].stream = NULL;
    }
    return 0;
}

/* The text on the top, as a C string. */
static char *stop_text(lua_State *L)
{
    const char *text = lua_tostring(L, -1);

    if (strlen(text) != lua_rawlen(L, -1))
        wrong_option(L, "'stop' has a text with a NUL character in it");
    return (char *)(uintptr_t)text;
}

static void read_stops(lua_State *L, int options, struct writing *w)
{
    int top = lua_gettop(L), type = lua_getfield(L, options, "stop");

    if (type == LUA_TSTRING)
        w->texts[w->stops.n++] = stop_text(L);
    for (lua_Integer i = 1; type == LUA_TTABLE && lua_geti(L, -1, i) != LUA_TNIL; i++) {
        if (lua_type(L, -1) != LUA_TSTRING || w->stops.n == STOPS_MOST)
            wrong_option(L, "'stop' is a text or a list of at most 16 texts");
        w->texts[w->stops.n++] = stop_text(L);
        lua_pop(L, 1);
    }
    if (type != LUA_TNIL && type != LUA_TSTRING && type != LUA_TTABLE)
        wrong_option(L, "'stop' is a text or a list of texts");
    w->stops.texts = w->texts;
    lua_settop(L, top);
}

static struct writing *push_writing(lua_State *L, const struct tokenizer *tok, int options)
{
    struct writing *w = session_slot(L, sizeof *w, "lacus.llm.writing", writing_gc);

    *w = (struct writing){.tok = tok, .L = L};
    for (size_t i = 0; i < PER_BATCH; i++)
        w->of[i] = (struct one){.text = BUF_INIT(BUF_TEXT_MAX), .top = BUF_INIT(BUF_TEXT_MAX)};
    lua_insert(L, options + 1);
    if (lua_getfield(L, options, "on_text") == LUA_TFUNCTION)
        w->on_text = lua_gettop(L);
    else if (!lua_isnil(L, -1))
        wrong_option(L, "'on_text' is a function(piece, index)");
    return w;
}

/* Gives what can be shown to on_text. An error in it, or an interrupt, ends the generation and is raised after it:
 * nothing may jump over the engine's frames. */
static bool show(struct writing *w, size_t sequence, size_t visible)
{
    struct one *one = &w->of[sequence];

    if (!w->on_text || visible <= one->shown || w->failed)
        return !w->failed;
    lua_pushvalue(w->L, w->on_text);
    lua_pushlstring(w->L, one->text.data + one->shown, visible - one->shown);
    lua_pushinteger(w->L, (lua_Integer)(w->first + sequence) + 1);
    one->shown = visible;
    w->failed = lua_pcall(w->L, 2, 1, 0) != LUA_OK;
    if (w->failed)
        return false;
    visible = lua_isboolean(w->L, -1) && !lua_toboolean(w->L, -1);
    lua_pop(w->L, 1);
    return !visible; /* false ends this text */
}

static bool on_token(void *arg, size_t sequence, const struct generate_token *t)
{
    struct writing *w = arg;
    struct one *one = &w->of[sequence];
    size_t old = one->text.len;

    if (w->failed || w->err.code != LC_OK ||
        tokenizer_stream_put(one->stream, t->token, &one->text, &w->err) != LC_OK)
        return false;
    one->n_top = t->n_top;
    if (t->n_top)
        buf_add(&one->top, t->top, t->n_top * sizeof *t->top);
    one->stopped = stop_cut(&w->stops, &one->text, old);
    return show(w, sequence, one->stopped ? one->text.len : stop_visible(&w->stops, &one->text)) &&
           !one->stopped;
}

static void begin_batch(struct writing *w, size_t first, size_t n)
{
    w->first = first;
    for (size_t i = 0; i < n; i++) {
        tokenizer_stream_free(w->of[i].stream);
        buf_clear(&w->of[i].text);
        buf_clear(&w->of[i].top);
        w->of[i].shown = 0;
        w->of[i].stopped = false;
        w->of[i].stream = tokenizer_stream_new(w->tok, true);
        if (!w->of[i].stream)
            luaL_error(w->L, "not enough memory");
    }
}

/* What is held back at the end of a text that no stop text has ended. */
static void end_batch(struct writing *w, size_t n)
{
    for (size_t i = 0; i < n && !w->failed; i++) {
        struct one *one = &w->of[i];
        size_t old = one->text.len;

        if (!one->stopped && tokenizer_stream_end(one->stream, &one->text, &w->err) == LC_OK)
            one->stopped = stop_cut(&w->stops, &one->text, old);
        (void)show(w, i, one->text.len);
    }
    if (w->failed)
        lua_error(w->L);
    if (w->err.code != LC_OK)
        session_raise(w->L, &w->err);
}

/* {{id, logprob}, …} for each token */
static void push_top(lua_State *L, const struct one *one, size_t n)
{
    const char *at = one->top.data;

    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_createtable(L, (int)one->n_top, 0);
        for (size_t k = 0; k < one->n_top; k++, at += sizeof(struct likely)) {
            struct likely t;

            memcpy(&t, at, sizeof t);
            lua_createtable(L, 0, 2);
            lua_pushinteger(L, t.token);
            lua_setfield(L, -2, "id");
            lua_pushnumber(L, t.logprob);
            lua_setfield(L, -2, "logprob");
            lua_rawseti(L, -2, (lua_Integer)k + 1);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "top_logprobs");
}

static void push_generated(lua_State *L, const struct one *one, const struct generated *g)
{
    static const char *const ends[] = {"length", "stop", "callback", "cancelled"};

    lua_createtable(L, 0, 4);
    lua_pushlstring(L, buf_str(&one->text), one->text.len);
    lua_setfield(L, -2, "text");
    llm_push_ids(L, g->ids, g->n);
    lua_setfield(L, -2, "ids");
    lua_createtable(L, (int)g->n, 0);
    for (size_t i = 0; i < g->n; i++) {
        lua_pushnumber(L, g->logprobs[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "logprobs");
    if (one->n_top && one->top.len == g->n * one->n_top * sizeof(struct likely))
        push_top(L, one, g->n);
    lua_pushstring(L, one->stopped ? "stop" : ends[g->end]);
    lua_setfield(L, -2, "finish_reason");
}

/* core.generate(m, {prompts}, options) → {{text, ids, logprobs, finish_reason}, …} */
static int l_generate(lua_State *L)
{
    struct lua_model *m = llm_check_model(L, 1);
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    struct generate_options o;
    struct generate_prompt p[PER_BATCH];
    const struct score_text *prompts;
    struct writing *w;
    struct generation *g;
    struct err err;
    size_t n;
    int result;

    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_settop(L, 3);
    read_options(L, 3, &o);
    read_bias(L, 3, &o);
    read_ends(L, 3, model_get_config(m->model)->vocab_size, &o);
    w = push_writing(L, tok, 3);
    read_stops(L, 3, w);
    o.on_token = on_token;
    o.arg = w;
    prompts = encode_all(L, tok, 2, true, false, &n);
    read_length(L, 3, prompts, n, &o);
    g = push_generation(L);
    lua_createtable(L, (int)n, 0);
    result = lua_gettop(L);
    luaL_checkstack(L, 10, NULL);
    for (size_t i = 0; i < n; i += PER_BATCH) {
        size_t k = n - i < PER_BATCH ? n - i : PER_BATCH;

        for (size_t j = 0; j < k; j++)
            p[j] = (struct generate_prompt){prompts[i + j].ids, prompts[i + j].n};
        begin_batch(w, i, k);
        o.seed += i ? PER_BATCH : 0; /* what is drawn differs from batch to batch */
        if (generate(llm_ctx(L), m->model, p, k, &o, g, &err) != LC_OK && !w->failed)
            return session_raise(L, &err);
        end_batch(w, k);
        for (size_t j = 0; j < k; j++) {
            push_generated(L, &w->of[j], &g->sequences[j]);
            lua_rawseti(L, result, (lua_Integer)(i + j) + 1);
        }
        generation_release(g);
        *g = (struct generation){0};
    }
    return 1;
}

static int l_chat_text(lua_State *L) /* core.chat_text(m, messages): what the model is to continue */
{
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    struct buf text = BUF_INIT(BUF_TEXT_MAX);
    json_t *messages;
    struct err err;
    enum lc rc;

    luaL_checktype(L, 2, LUA_TTABLE);
    if ((messages = session_to_json(L, 2, &err)) == NULL)
        return session_raise(L, &err);
    rc = tokenizer_apply_chat_template(tok, NULL, messages, true, NULL, &text, &err);
    json_decref(messages);
    return llm_push_text(L, &text, rc, &err);
}

static int
l_choose(lua_State *L) /* core.choose(m, {prompts}, {choices}, max_length) → {index…}, {logprob…} */
{
    struct lua_model *m = llm_check_model(L, 1);
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    int64_t keep = luaL_optinteger(L, 4, 0);
    const struct score_text *prompts, *choices;
    size_t n, k, *best;
    double *logprob;
    struct err err;

    luaL_checktype(L, 2, LUA_TTABLE);
    luaL_checktype(L, 3, LUA_TTABLE);
    prompts = encode_all(L, tok, 2, true, false, &n);
    choices = encode_all(L, tok, 3, false, true, &k);
    best = llm_push_memory(L, n, sizeof *best);
    logprob = llm_push_memory(L, n, sizeof *logprob);
    if (score_choices(llm_ctx(L), m->model, prompts, n, choices, k, keep, best, logprob, &err) != LC_OK)
        return session_raise(L, &err);
    lua_createtable(L, (int)n, 0);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushinteger(L, (lua_Integer)best[i] + 1);
        lua_rawseti(L, -3, (lua_Integer)i + 1);
        lua_pushnumber(L, logprob[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 2;
}

static int l_eval_loss(
    lua_State *
        L) /* core.eval_loss(m, rows file, {max_length, completion_only, batch_size, label_smoothing_factor}) */
{
    struct lua_model *m = llm_check_model(L, 1);
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    const char *path = luaL_checkstring(L, 2);
    struct example_options o = {0};
    struct examples *e = NULL;
    double loss = 0, smoothing;
    int64_t batch, n = 0;
    struct err err;
    enum lc rc;

    luaL_checktype(L, 3, LUA_TTABLE);
    o.max_length = llm_option_integer(L, 3, "max_length", 0);
    batch = llm_option_integer(L, 3, "batch_size", 8);
    smoothing = llm_option_number(L, 3, "label_smoothing_factor", 0);
    lua_getfield(L, 3, "completion_only");
    o.completion_only = lua_toboolean(L, -1);
    luaL_argcheck(L, batch > 0, 3, "batch_size is at least 1");
    rc = examples_load(llm_ctx(L), tok, path, &o, &e, &err);
    if (rc == LC_OK) {
        n = examples_dataset(e)->n;
        rc = score_loss(llm_ctx(L), m->model, examples_dataset(e), batch, smoothing, &loss, &err);
    }
    examples_free(e);
    if (rc != LC_OK)
        return session_raise(L, &err);
    lua_pushnumber(L, loss);
    lua_pushinteger(L, n);
    return 2;
}

void llm_generate_functions(lua_State *L)
{
    static const luaL_Reg functions[] = {{"generate", l_generate},
                                         {"chat_text", l_chat_text},
                                         {"choose", l_choose},
                                         {"eval_loss", l_eval_loss},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
