/* model_lua.h: what the files that show models to Lua share.
 *
 * What      the model's userdata, and small helpers of the Lua edge.
 * Ownership a userdata owns backend, model and tokenizer; its __gc ends them. Memory from llm_push_memory belongs to
 *           the collector.
 * Units     none.
 * Errors    raise.
 * Threads   the session's.
 *
 * Example:
 *     struct lua_model *m = llm_check_model(L, 1);
 *     lua_pushboolean(L, m->tok != NULL);
 */
#ifndef LACUS_TRAIN_MODEL_LUA_H
#define LACUS_TRAIN_MODEL_LUA_H
#include "gpu/model.h"
#include "gpu/tokenizer/tokenizer.h"
#include <lua.h>

struct lua_model {
    struct backend *backend; /* owned */
    struct model *model;     /* owned */
    struct tokenizer *tok;   /* owned; NULL: the folder has none */
    int64_t values, grads;   /* from 1: how often what tensors look into was placed anew; 0: closed */
    int64_t forwards;        /* so that backward without a forward is refused */
};

struct lua_tokenizer {     /* its user value is the path it was opened with */
    struct tokenizer *tok; /* owned; first: a pointer to this is a pointer to it */
    bool pad_left, cut_left;
    double longest; /* model_max_length; 0: none */
};

struct lua_model *llm_check_model(lua_State *L, int index);
const struct tokenizer *llm_check_tokenizer(lua_State *L,
                                            int index);     /* a tokenizer, or a model that has one */
int32_t *llm_check_ids(lua_State *L, int index, size_t *n); /* pushes their owner */
void llm_push_ids(lua_State *L, const int32_t *ids, size_t n);
/* The ids of a text; flags as of tokenizer_encode. */
int llm_push_tokens(lua_State *L, const struct tokenizer *tok, const char *text, size_t len, unsigned flags);
void *llm_push_memory(lua_State *L, size_t n, size_t size); /* zeroed; pushes its owner */
/* Releases text; pushes it, or raises err when rc is not LC_OK. */
int llm_push_text(lua_State *L, struct buf *text, enum lc rc, const struct err *err);
const struct ctx *llm_ctx(lua_State *L);
/* A field of an options table; what is no number, or no whole one, is refused by name. */
lua_Number llm_option_number(lua_State *L, int index, const char *name, lua_Number otherwise);
lua_Integer llm_option_integer(lua_State *L, int index, const char *name, lua_Integer otherwise);

/* batch_lua.c: what tokenizer_config.json beside a tokenizer says about batches; tok{texts, …}. */
void llm_tokenizer_settings(struct lua_tokenizer *t, const char *path);
int llm_tokenize_batch(lua_State *L);
int llm_apply_chat_template(lua_State *L); /* chat_lua.c */
int llm_model_text(lua_State *L);          /* describe_lua.c: a model as Hugging Face prints it */
void llm_generate_functions(lua_State *L); /* generate_lua.c: into the table on the top */
#endif
