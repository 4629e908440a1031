"""llama.cpp as a peer of generate_bench: the same weights in a GGUF file, greedy, through the C functions of its shared libraries (llama.h of release v0.5.0). `make bench-peers`
gets them, prebuilt, with the CPU's best variant chosen at run time; its threads are kept between tokens, as llama.cpp's own programs keep them."""
import ctypes as C
import pathlib
import sys

import numpy as np

PEERS = pathlib.Path(__file__).resolve().parents[2] / "build" / "peers"
LIBRARIES = PEERS / "llama.cpp/bins/linux-x64"
RELEASE = "v0.5.0"
F32, F16 = 0, 1  # enum ggml_type


def fields(*rows):
    """("type", "names …") → ctypes fields."""
    return [(name, kind) for kind, names in rows for name in names.split()]


class ModelParams(C.Structure):
    _fields_ = fields((C.c_void_p, "devices tensor_buft_overrides"), (C.c_int32, "n_gpu_layers split_mode load_mode lazy_mode main_gpu"),
                      (C.c_void_p, "tensor_split progress_callback progress_callback_user_data kv_overrides"),
                      (C.c_bool, "vocab_only check_tensors use_extra_bufts no_host no_alloc load_mtp"))


class ContextParams(C.Structure):
    _fields_ = fields((C.c_uint32, "n_ctx n_batch n_ubatch n_seq_max n_rs_seq n_outputs_max n_outputs_max_per_seq"), (C.c_int32, "n_threads n_threads_batch"),
                      (C.c_int, "ctx_type rope_scaling_type pooling_type attention_type flash_attn_type"),
                      (C.c_float, "rope_freq_base rope_freq_scale yarn_ext_factor yarn_attn_factor yarn_beta_fast yarn_beta_slow"), (C.c_uint32, "yarn_orig_ctx"),
                      (C.c_float, "defrag_thold"), (C.c_void_p, "cb_eval cb_eval_user_data"), (C.c_int, "type_k type_v"), (C.c_void_p, "abort_callback abort_callback_data"),
                      (C.c_bool, "embeddings offload_kqv no_perf op_offload swa_full kv_unified"), (C.c_void_p, "samplers"), (C.c_size_t, "n_samplers"), (C.c_void_p, "ctx_other"))


class Batch(C.Structure):
    _fields_ = [("n_tokens", C.c_int32), ("token", C.POINTER(C.c_int32)), ("embd", C.c_void_p), ("pos", C.POINTER(C.c_int32)), ("n_seq_id", C.POINTER(C.c_int32)),
                ("seq_id", C.POINTER(C.POINTER(C.c_int32))), ("logits", C.POINTER(C.c_int8))]


class ThreadpoolParams(C.Structure):
    _fields_ = [("cpumask", C.c_bool * 512), ("n_threads", C.c_int), ("prio", C.c_int), ("poll", C.c_uint32), ("strict_cpu", C.c_bool), ("paused", C.c_bool)]


# function → (result, arguments)
P = C.c_void_p
FUNCTIONS = {
    "llama_log_set": (None, P, P), "llama_backend_init": (None,), "llama_print_system_info": (C.c_char_p,),
    "llama_model_default_params": (ModelParams,), "llama_context_default_params": (ContextParams,),
    "llama_model_load_from_file": (P, C.c_char_p, ModelParams), "llama_init_from_model": (P, P, ContextParams), "llama_attach_threadpool": (None, P, P, P),
    "llama_model_get_vocab": (P, P), "llama_vocab_n_tokens": (C.c_int32, P), "llama_batch_init": (Batch, C.c_int32, C.c_int32, C.c_int32),
    "llama_decode": (C.c_int32, P, Batch), "llama_get_logits_ith": (C.POINTER(C.c_float), P, C.c_int32), "llama_get_memory": (P, P), "llama_memory_clear": (None, P, C.c_bool),
    "llama_free": (None, P), "llama_model_free": (None, P),
}


def library():
    """libllama with its functions typed, its CPU backend loaded; beside it ggml's thread pool."""
    base, ggml, llama = (C.CDLL(str(LIBRARIES / name), mode=C.RTLD_GLOBAL) for name in ("libggml-base.so", f"libggml.{RELEASE}.so", f"libllama.{RELEASE}.so"))
    for name, (result, *arguments) in FUNCTIONS.items():
        getattr(llama, name).restype, getattr(llama, name).argtypes = result, arguments
    llama.quiet = C.CFUNCTYPE(None, C.c_int, C.c_char_p, C.c_void_p)(lambda *_: None)
    base.ggml_log_set(llama.quiet, None)
    llama.llama_log_set(llama.quiet, None)
    ggml.ggml_backend_load_all_from_path(str(LIBRARIES).encode())
    llama.llama_backend_init()
    for f in (ggml.ggml_backend_dev_by_type, base.ggml_backend_dev_backend_reg, base.ggml_backend_reg_get_proc_address):
        f.restype = P
    cpu = P(base.ggml_backend_dev_backend_reg(P(ggml.ggml_backend_dev_by_type(0))))
    llama.threadpool_new = C.CFUNCTYPE(P, P)(base.ggml_backend_reg_get_proc_address(cpu, b"ggml_threadpool_new"))
    llama.threadpool_params_init = base.ggml_threadpool_params_init
    return llama


def there():
    """llama.cpp and gguf, or None where `make bench-peers` has not been run."""
    sys.path.append(str(PEERS))
    try:
        import gguf
        return library(), gguf
    except (ImportError, OSError):
        return None


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
    def __init__(self, llama, path, sequences, tokens, threads, cache=F16):
        """cache: the type of llama.cpp's keys and values; F16 is what it takes when nothing is said."""
        self.llama = llama
        model = llama.llama_model_default_params()
        model.n_gpu_layers = 0
        self.model = llama.llama_model_load_from_file(str(path).encode(), model)
        assert self.model, path
        p = llama.llama_context_default_params()
        assert p.type_k == F16 and p.n_ctx == 512 and p.ctx_other is None, "llama_context_params is another one than that of " + RELEASE
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_seq_max, p.n_threads, p.n_threads_batch = sequences * tokens, 512, 512, sequences, threads, threads
        p.type_k = p.type_v = cache
        self.context = llama.llama_init_from_model(self.model, p)
        assert self.context
        pool = ThreadpoolParams()
        llama.threadpool_params_init(C.byref(pool), threads)
        self.pool = llama.threadpool_new(C.byref(pool))
        llama.llama_attach_threadpool(self.context, self.pool, None)
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
        return [int(self.logits(i).argmax()) for i, row in enumerate(rows) if row[3]]

    def logits(self, i):
        return np.ctypeslib.as_array(self.llama.llama_get_logits_ith(self.context, i), (self.vocabulary,))

    def gap(self, row, ours, theirs):
        """Where two continuations of row part: by how much llama.cpp prefers its own token, in standard deviations of its logits; 0 where they do not part."""
        k = next((k for k, (a, b) in enumerate(zip(ours, theirs)) if a != b), None)
        if k is None:
            return 0.0
        read = row + theirs[:k]
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)
        self.decode([(t, i, 0, i + 1 == len(read)) for i, t in enumerate(read)])
        x = self.logits(len(read) - 1)
        return float((x[theirs[k]] - x[ours[k]]) / x.std())

    def __call__(self, rows, new):
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)
        made = [[] for _ in rows]
        for s, row in enumerate(rows):
            made[s] += self.decode([(t, i, s, i + 1 == len(row)) for i, t in enumerate(row)])
        for k in range(1, new):
            for s, token in enumerate(self.decode([(made[s][-1], len(row) + k - 1, s, True) for s, row in enumerate(rows)])):
                made[s].append(token)
        return made
