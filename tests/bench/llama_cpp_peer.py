"""llama.cpp as a peer of generate_bench: the same weights in a GGUF file, greedy, through its C functions. `make bench-peers` gets it."""
import ctypes as C
import pathlib
import sys

import numpy as np

PEERS = pathlib.Path(__file__).resolve().parents[2] / "build" / "peers"


def there():
    """llama_cpp and gguf, or None where `make bench-peers` has not been run."""
    sys.path.append(str(PEERS))
    try:
        import gguf
        import llama_cpp
    except ImportError:
        return None
    return llama_cpp, gguf


NAMES = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def renamed(name):
    name = name.removesuffix(".weight")
    if name in TOP:
        return TOP[name] + ".weight"
    layer, _, rest = name.removeprefix("model.layers.").partition(".")
    return f"blk.{layer}.{NAMES[rest]}.weight"


def interleaved(w, heads):
    """llama.cpp turns neighbours, Hugging Face the halves of a head."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def write_gguf(gguf, folder, shape, bf16):
    """The checkpoint in folder as folder/model.gguf."""
    import torch
    from safetensors.torch import load_file

    path = pathlib.Path(folder) / f"{'bf16' if bf16 else 'f32'}.gguf"
    w = gguf.GGUFWriter(str(path), "llama")
    heads, kv = shape["num_attention_heads"], shape["num_key_value_heads"]
    w.add_context_length(shape["max_position_embeddings"])
    w.add_embedding_length(shape["hidden_size"])
    w.add_block_count(shape["num_hidden_layers"])
    w.add_feed_forward_length(shape["intermediate_size"])
    w.add_head_count(heads)
    w.add_head_count_kv(kv)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(10000.0)
    w.add_rope_dimension_count(shape["hidden_size"] // heads)
    w.add_vocab_size(shape["vocab_size"])
    w.add_tokenizer_model("no_vocab")
    for name, t in load_file(str(pathlib.Path(folder) / "model.safetensors")).items():
        if "q_proj" in name or "k_proj" in name:
            t = torch.from_numpy(interleaved(t.float().numpy(), heads if "q_proj" in name else kv).copy())
        if bf16 and t.ndim == 2:
            raw = t.to(torch.bfloat16).contiguous().view(torch.uint8).numpy()
            w.add_tensor(renamed(name), raw, raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            w.add_tensor(renamed(name), t.float().numpy())
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


class Peer:
    def __init__(self, llama, path, sequences, tokens, threads):
        quiet = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)(lambda *_: None)
        self.quiet, self.llama = quiet, llama
        llama.llama_log_set(quiet, None)
        llama.llama_backend_init()
        model = llama.llama_model_default_params()
        model.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(str(path).encode(), model)
        assert self.model, path
        p = llama.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max, p.n_threads, p.n_threads_batch = sequences * tokens, 512, 512, sequences, threads, threads
        self.context = llama.llama_init_from_model(self.model, p)
        assert self.context
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))
        self.batch = llama.llama_batch_init(512, 0, 1)

    def decode(self, rows):
        """rows: (token, position, sequence, wanted) → the likeliest next token of each wanted one."""
        b = self.batch
        b.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, position, 1, wanted
            b.seq_id[i][0] = sequence
        assert self.llama.llama_decode(self.context, b) == 0
        best = lambda i: int(np.ctypeslib.as_array(self.llama.llama_get_logits_ith(self.context, i), (self.vocabulary,)).argmax())
        return [best(i) for i, row in enumerate(rows) if row[3]]

    def __call__(self, rows, new):
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)
        made = [[] for _ in rows]
        for s, row in enumerate(rows):
            made[s] += self.decode([(t, i, s, i + 1 == len(row)) for i, t in enumerate(row)])
        for k in range(1, new):
            for s, token in enumerate(self.decode([(made[s][-1], len(row) + k - 1, s, True) for s, row in enumerate(rows)])):
                made[s].append(token)
        return made
