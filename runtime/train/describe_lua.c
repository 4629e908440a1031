/* describe_lua.c: print(model), as transformers prints it. */
#include "runtime/session/session_lua.h"
#include "runtime/train/model_lua.h"
#include <ctype.h>
#include <lauxlib.h>

enum { TEXT_MAX = 1 << 16 };

struct description {
    struct buf *out; /* borrowed */
    const struct model_config *c;
    char family[32]; /* "Llama" */
};

static void linear(const struct description *d, const char *margin, const char *name, int64_t in, int64_t out,
                   bool bias)
{
    buf_printf(d->out, "%s(%s): Linear(in_features=%lld, out_features=%lld, bias=%s)\n", margin, name,
               (long long)in, (long long)out, bias ? "True" : "False");
}

static void norm(const struct description *d, const char *margin, const char *name, int64_t width)
{
    buf_printf(d->out, "%s(%s): %sRMSNorm((%lld,), eps=%g)\n", margin, name, d->family, (long long)width,
               d->c->rms_norm_eps);
}

static void attention(const struct description *d)
{
    const struct model_config *c = d->c;
    const char *margin = "          ";
    int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;

    buf_printf(d->out, "        (self_attn): %sAttention(\n", d->family);
    linear(d, margin, "q_proj", c->hidden_size, q, c->qkv_bias);
    linear(d, margin, "k_proj", c->hidden_size, kv, c->qkv_bias);
    linear(d, margin, "v_proj", c->hidden_size, kv, c->qkv_bias);
    linear(d, margin, "o_proj", q, c->hidden_size, c->o_bias);
    if (c->qk_norm) {
        norm(d, margin, "q_norm", c->head_dim);
        norm(d, margin, "k_norm", c->head_dim);
    }
    buf_puts(d->out, "        )\n");
}

static void layer(const struct description *d)
{
    const struct model_config *c = d->c;
    const char *margin = "          ";

    buf_printf(d->out, "      (0-%lld): %lld x %sDecoderLayer(\n", (long long)c->num_hidden_layers - 1,
               (long long)c->num_hidden_layers, d->family);
    attention(d);
    buf_printf(d->out, "        (mlp): %sMLP(\n", d->family);
    linear(d, margin, "gate_proj", c->hidden_size, c->intermediate_size, c->mlp_bias);
    linear(d, margin, "up_proj", c->hidden_size, c->intermediate_size, c->mlp_bias);
    linear(d, margin, "down_proj", c->intermediate_size, c->hidden_size, c->mlp_bias);
    buf_printf(d->out, "%s(act_fn): SiLUActivation()\n        )\n", margin);
    norm(d, "        ", "input_layernorm", c->hidden_size);
    norm(d, "        ", "post_attention_layernorm", c->hidden_size);
    buf_puts(d->out, "      )\n");
}

static void whole(const struct description *d)
{
    const struct model_config *c = d->c;

    buf_printf(d->out, "%sForCausalLM(\n  (model): %sModel(\n    (embed_tokens): Embedding(%lld, %lld",
               d->family, d->family, (long long)c->vocab_size, (long long)c->hidden_size);
    if (c->pad_token_id >= 0)
        buf_printf(d->out, ", padding_idx=%lld", (long long)c->pad_token_id);
    buf_puts(d->out, ")\n    (layers): ModuleList(\n");
    layer(d);
    buf_puts(d->out, "    )\n");
    norm(d, "    ", "norm", c->hidden_size);
    buf_printf(d->out, "    (rotary_emb): %sRotaryEmbedding()\n  )\n", d->family);
    linear(d, "  ", "lm_head", c->hidden_size, c->vocab_size, false);
    buf_puts(d->out, ")");
}

int llm_model_text(lua_State *L)
{
    struct lua_model *m = llm_check_model(L, 1);
    struct description d = {.out = session_buf(L, TEXT_MAX), .c = model_get_config(m->model)};

    snprintf(d.family, sizeof d.family, "%s", d.c->model_type);
    d.family[0] = (char)toupper((unsigned char)d.family[0]);
    whole(&d);
    lua_pushlstring(L, buf_str(d.out), d.out->len);
    return 1;
}
