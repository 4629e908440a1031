"""Tokens a second of a 56M Llama, greedy, at batch 1 and 8, by the type of the weights: beside transformers' generate, beside llama.cpp (where `make bench-peers` has been
run), and beside what reading the weights alone would take."""
import ctypes as C
import os
import sys
import tempfile
import time

import numpy as np

import llama_cpp_peer
from table import Table
from train_bench import ROOT, SHAPE

sys.path.insert(0, str(ROOT / "tests/interop"))
PROMPT, NEW, THREADS = 64, 64, os.cpu_count()
TYPES = {"f32": (1, 0, 0), "bf16": (2, 2, 0), "int8": (0, 0, 8), "nf4": (0, 0, 4)}  # dtype, compute, linear (enum dtype)
NEAR = {"f32": 0.01, "bf16": 0.1}  # deviations of the logits: nearer than that, the two engines' roundings (llama.cpp keeps keys in f16, and rounds x to bf16 for bf16 weights) may choose
PER_WEIGHT = {"f32": (4, 4), "bf16": (2, 2), "int8": (4, 1), "nf4": (4, 0.5625)}  # bytes: head, layers


class Options(C.Structure):
    _fields_ = [("max_new_tokens", C.c_int64), ("temperature", C.c_double), ("top_k", C.c_int64), ("top_p", C.c_double), ("min_p", C.c_double),
                ("repetition_penalty", C.c_double), ("frequency_penalty", C.c_double), ("presence_penalty", C.c_double), ("bias", C.c_void_p), ("n_bias", C.c_size_t),
                ("top_logprobs", C.c_size_t), ("prompt_logprobs", C.c_bool), ("adapter", C.c_size_t), ("seed", C.c_uint64), ("stop", C.c_void_p), ("n_stop", C.c_size_t), ("no_stop", C.c_bool),
                ("on_token", C.c_void_p), ("arg", C.c_void_p)]


class Prompt(C.Structure):
    _fields_ = [("ids", C.c_void_p), ("n", C.c_size_t)]


class Generated(C.Structure):
    _fields_ = [("ids", C.POINTER(C.c_int32)), ("logprobs", C.c_void_p), ("n", C.c_size_t), ("end", C.c_int)]


class Generation(C.Structure):
    _fields_ = [("sequences", C.POINTER(Generated)), ("n", C.c_size_t)]


def our_run(engine, kind, folder=None):
    import json

    from engine import CTX
    text, parsed, m = json.dumps(SHAPE).encode(), C.create_string_buffer(16384), C.c_void_p()
    engine.call("model_config_parse", text, C.c_size_t(len(text)), b"config.json", parsed)
    engine.call("model_create", CTX, parsed, C.c_uint64(1), engine.backend, (C.c_int * 3)(*kind), C.byref(m))

    if folder:
        engine.call("model_save", CTX, m, folder.encode())

    def run(rows, new):
        ids = [np.array(r, np.int32) for r in rows]
        prompts, made, o = (Prompt * len(ids))(*[Prompt(i.ctypes.data, len(i)) for i in ids]), Generation(), Options()
        engine.lib.generate_defaults(C.byref(o))
        o.max_new_tokens, o.no_stop = new, True
        engine.call("generate", CTX, m, prompts, C.c_size_t(len(ids)), C.byref(o), C.byref(made))
        tokens = [made.sequences[i].ids[:made.sequences[i].n] for i in range(made.n)]
        engine.lib.generation_release(C.byref(made))
        return tokens
    return run


def their_run(dtype):
    import torch
    import transformers
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**{k: v for k, v in SHAPE.items() if k not in ("model_type", "architectures")})).to(dtype).eval()

    def run(rows, new):
        with torch.no_grad():
            model.generate(torch.tensor(rows), max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0, attention_mask=torch.ones(len(rows), len(rows[0]), dtype=torch.long))
    return run


def bandwidth():
    """Bytes a second that one thread reads."""
    x = np.ones(1 << 26, np.float32)
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        x.sum(dtype=np.float32)
        best = min(best, time.perf_counter() - start)
    return x.nbytes / best


def seconds(run, rows):
    """Wall and CPU seconds of one more token for each row, when the threads of who ran before have gone to sleep."""
    time.sleep(0.5)
    run(rows, 1)
    start, cpu = time.perf_counter(), time.process_time()
    run(rows, NEW)
    middle, middle_cpu = time.perf_counter(), time.process_time()
    run(rows, 1)
    return (middle - start - (time.perf_counter() - middle)) / (NEW - 1), (middle_cpu - cpu - (time.process_time() - middle_cpu)) / (NEW - 1)


def llama_peer(name, folder):
    found = llama_cpp_peer.there()
    if not found:
        print("llama.cpp is not here: make bench-peers")
        return None
    return llama_cpp_peer.Peer(found[0], llama_cpp_peer.write_gguf(found[1], folder, SHAPE, name == "bf16"), 8, PROMPT + NEW + 8, THREADS)


def main(*names, repeats=3):
    from engine import Engine
    import torch
    table, engine = Table("generate"), Engine("cpu")
    rng = np.random.default_rng(1)
    layers = SHAPE["num_hidden_layers"] * (512 * 512 * 2 + 512 * 256 * 2 + 3 * 512 * 1408)
    head = SHAPE["vocab_size"] * SHAPE["hidden_size"]
    rate = bandwidth()
    theirs = {"f32": their_run(torch.float32), "bf16": their_run(torch.bfloat16)}
    for name in names or TYPES:
        folder = tempfile.TemporaryDirectory()
        ours = our_run(engine, TYPES[name], folder.name if name in theirs else None)
        other = llama_peer(name, folder.name) if name in theirs else None
        for batch in (1, 8):
            rows = rng.integers(3, SHAPE["vocab_size"], (batch, PROMPT)).tolist()
            peer = theirs.get(name)
            a, b, c = [], [], []
            for _ in range(repeats):
                a.append(seconds(ours, rows))
                if peer:
                    b.append(seconds(peer, rows))
                if other:
                    c.append(seconds(other, rows))
            floor = (head * PER_WEIGHT[name][0] + layers * PER_WEIGHT[name][1]) / rate
            table.row(f"{name} token of {batch}", [x[0] * 1e3 for x in a], [x[0] * 1e3 for x in b], "ms", "transformers" if peer else "", "")
            if other:
                table.row("  beside llama.cpp", [x[0] * 1e3 for x in a], [x[0] * 1e3 for x in c], "ms", "llama.cpp", round(1 / 1.15, 2))
                table.row("  CPU time beside llama.cpp", [x[1] * 1e3 for x in a], [x[1] * 1e3 for x in c], "ms", "llama.cpp", "")
                gaps = [other.gap(row, x, y) for row, x, y in zip(rows, ours(rows, NEW), other(rows, NEW))]
                print(f"  {gaps.count(0)} of {batch} sequences have llama.cpp's {NEW} tokens; where another parts, the two tokens are at most {max(map(abs, gaps)):.4f} deviations of the logits apart")
                assert max(map(abs, gaps)) < NEAR[name], gaps
            table.row("  CPU time", [x[1] * 1e3 for x in a], [x[1] * 1e3 for x in b], "ms", "", "")
            table.row("  beside one thread that reads the weights", [x[1] * 1e3 for x in a], [floor * 1e3], "ms", "memory", "")
    table.save(ROOT / "build/bench/generate.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
