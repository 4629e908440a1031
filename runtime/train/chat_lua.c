/* chat_lua.c: tok:apply_chat_template(messages, options): conversations, tools and whatever else a template reads. */
#include "gpu/tokenizer/assistant.h"
#include "runtime/session/session_lua.h"
#include "runtime/train/model_lua.h"
#include <lauxlib.h>
#include <string.h>

/* As published tools have their fields: a Lua table has no order, and a template writes them as they come. */
static const char *const ORDER[] = {"type",       "function", "name", "description", "parameters",
                                    "properties", "required", "enum", "items",       "default"};

static json_t *ordered(json_t *value);

static json_t *ordered_object(json_t *object)
{
    json_t *out = json_object(), *v;
    const char *key;

    for (size_t i = 0; i < sizeof ORDER / sizeof *ORDER; i++)
        if ((v = json_object_get(object, ORDER[i])) != NULL)
            json_object_set_new(out, ORDER[i], ordered(v));
    json_object_foreach (object, key, v)
        if (!json_object_get(out, key))
            json_object_set_new(out, key, ordered(v));
    return out;
}

static json_t *ordered(json_t *value)
{
    json_t *out, *v;
    size_t i;

    if (json_is_object(value))
        return ordered_object(value);
    if (!json_is_array(value))
        return json_incref(value);
    out = json_array();
    json_array_foreach (value, i, v)
        json_array_append_new(out, ordered(v));
    return out;
}

/* The value at index as JSON; a text where a table is meant is JSON already, in its own order. */
static json_t *tools_of(lua_State *L, int index, struct err *err)
{
    json_error_t fault;
    json_t *value, *out;

    if (lua_type(L, index) == LUA_TSTRING) {
        out = json_loads(lua_tostring(L, index), 0, &fault);
        if (!out)
            err_set(err, LC_ARG, "'tools' is a text, but not JSON: %s", fault.text);
        return out;
    }
    value = session_to_json(L, index, err);
    out = value ? ordered(value) : NULL;
    if (value && !out)
        (void)err_nomem(err);
    json_decref(value);
    return out;
}

struct chat_options {
    bool generation, tokenize, goes_on, dict, mask;
    const char *chat_template; /* on the stack; NULL: the model's */
};

static bool flag(lua_State *L, const char *name)
{
    bool set = lua_getfield(L, 3, name) != LUA_TNIL && lua_toboolean(L, -1);

    lua_pop(L, 1);
    return set;
}

static bool is_ours(const char *key)
{
    static const char *const names[] = {
        "add_generation_prompt", "tokenize",    "continue_final_message",
        "chat_template",         "return_dict", "return_assistant_tokens_mask"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return false;
}

/* All that is not said to us is the template's: tools, documents, enable_thinking, … */
static void read_extra(lua_State *L, json_t **extra)
{
    struct err err = {.code = LC_OK};

    *extra = json_object();
    for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        json_t *v;

        if (!key)
            luaL_argerror(L, 3, "the options of apply_chat_template have names");
        if (is_ours(key))
            continue;
        v = strcmp(key, "tools") == 0 ? tools_of(L, lua_gettop(L), &err) : session_to_json(L, -1, &err);
        if (!v || json_object_set_new(*extra, key, v) < 0)
            session_raise(L, &err);
    }
}

static struct chat_options read_options(lua_State *L, json_t **extra)
{
    struct chat_options o = {0};

    if (lua_isnoneornil(L, 3))
        return o;
    luaL_checktype(L, 3, LUA_TTABLE);
    read_extra(L, extra);
    o.generation = flag(L, "add_generation_prompt");
    o.tokenize = flag(L, "tokenize");
    o.goes_on = flag(L, "continue_final_message");
    if (o.generation && o.goes_on)
        luaL_argerror(L, 3,
                      "continue_final_message goes on with an answer, add_generation_prompt begins one");
    o.dict = flag(L, "return_dict");
    o.mask = flag(L, "return_assistant_tokens_mask");
    if (o.mask && !(o.dict && o.tokenize))
        luaL_argerror(L, 3, "return_assistant_tokens_mask needs return_dict = true and tokenize = true");
    if (o.mask && o.goes_on)
        luaL_argerror(L, 3, "continue_final_message has no return_assistant_tokens_mask");
    if (lua_getfield(L, 3, "chat_template") == LUA_TSTRING)
        o.chat_template = lua_tostring(L, -1); /* stays on the stack */
    return o;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

#define TAG "CONTINUE_FINAL_MESSAGE_TAG"

/* As transformers: a mark behind the last message, which the template writes with it, says where it ends. */
static enum lc mark_last(json_t *messages, struct err *err)
{
    json_t *last = json_array_get(messages, json_array_size(messages) - 1), *marked;
    const char *said = json_string_value(json_object_get(last, "content"));

    if (!said)
        return err_set(err, LC_ARG, "continue_final_message: the last message has no text");
    marked = json_sprintf("%s" TAG " ", said);
    return marked && json_object_set_new(last, "content", marked) == 0 ? LC_OK : err_nomem(err);
}

/* Where the template has taken the mark's space away it trims, and what stands before the mark is trimmed, too. */
static enum lc cut_at_mark(struct buf *text, struct err *err)
{
    const char *whole = buf_str(text), *at = NULL;
    size_t n = sizeof TAG - 1;

    for (const char *next = strstr(whole, TAG); next; next = strstr(next + 1, TAG))
        at = next;
    if (!at)
        return err_set(err, LC_ARG,
                       "continue_final_message: the template does not write the last message as it is");
    text->len = (size_t)(at - whole);
    while (at[n] != ' ' && text->len > 0 && is_space(whole[text->len - 1]))
        text->len--;
    return LC_OK;
}

static int encoding_gc(lua_State *L)
{
    encoding_release(lua_touserdata(L, 1));
    return 0;
}

static int spans_gc(lua_State *L)
{
    text_spans_release(lua_touserdata(L, 1));
    return 0;
}

static void push_mask(lua_State *L, const struct text_spans *spans, const struct encoding *enc)
{
    int32_t *mask = lua_newuserdatauv(L, (enc->n ? enc->n : 1) * sizeof *mask, 0);

    assistant_mask(spans, enc, mask);
    llm_push_ids(L, mask, enc->n);
    lua_replace(L, -2);
}

/* {input_ids, attention_mask, assistant_masks}; spans NULL: without the last. */
static int push_dict(lua_State *L, const struct tokenizer *tok, const struct buf *text,
                     const struct text_spans *spans)
{
    struct encoding *enc = session_slot(L, sizeof *enc, "lacus.encoding", encoding_gc);
    struct err err;

    if (tokenizer_encode(tok, buf_str(text), text->len, spans ? TOKENIZER_OFFSETS : 0, enc, &err) != LC_OK)
        return session_raise(L, &err);
    lua_createtable(L, 0, 3);
    llm_push_ids(L, enc->ids, enc->n);
    lua_setfield(L, -2, "input_ids");
    lua_createtable(L, (int)enc->n, 0);
    for (size_t i = 0; i < enc->n; i++) {
        lua_pushinteger(L, 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "attention_mask");
    if (spans) {
        push_mask(L, spans, enc);
        lua_setfield(L, -2, "assistant_masks");
    }
    return 1;
}

static int refuse_without_marks(lua_State *L)
{
    struct err err;

    err_set(&err, LC_ARG, "the chat template does not say which tokens are the assistant's");
    err_hint(&err,
             "it puts {%% generation %%} … {%% endgeneration %%} around what the assistant says: add them in "
             "chat_template.jinja beside tokenizer.json");
    return session_raise(L, &err);
}

int llm_apply_chat_template(lua_State *L)
{
    const struct tokenizer *tok = llm_check_tokenizer(L, 1);
    json_t **messages, **extra;
    struct text_spans *spans;
    struct chat_options o;
    struct buf *text;
    struct err err;

    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    messages = session_json_slot(L);
    extra = session_json_slot(L);
    text = session_buf(L, BUF_TEXT_MAX);
    spans = session_slot(L, sizeof *spans, "lacus.spans", spans_gc);
    o = read_options(L, extra);
    *messages = session_to_json(L, 2, &err);
    if (!*messages)
        return session_raise(L, &err);
    if (o.goes_on && mark_last(*messages, &err) != LC_OK)
        return session_raise(L, &err);
    if (tokenizer_render_chat(tok, o.chat_template, *messages, o.generation, *extra, text,
                              o.mask ? spans : NULL, &err) != LC_OK)
        return session_raise(L, &err);
    if (o.mask && !spans->tagged)
        return refuse_without_marks(L);
    if (o.goes_on && cut_at_mark(text, &err) != LC_OK)
        return session_raise(L, &err);
    if (o.tokenize && o.dict)
        return push_dict(L, tok, text, o.mask ? spans : NULL);
    if (o.tokenize)
        return llm_push_tokens(L, tok, buf_str(text), text->len, 0);
    lua_pushlstring(L, buf_str(text), text->len);
    return 1;
}
