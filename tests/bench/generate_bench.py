"""Tokens a second of a 56M Llama, greedy, at batch 1 and 8, by the type of the weights: beside transformers' generate, and beside what reading the weights alone would take."""
import ctypes as C
import os
import sys
import time

import numpy as np

from table import Table
from train_bench import ROOT, SHAPE

sys.path.insert(0, str(ROOT / "tests/interop"))
PROMPT, NEW, THREADS = 64, 64, os.cpu_count()
TYPES = {"f32": (1, 0), "bf16": (2, 0), "int8": (0, 8), "nf4": (0, 4)}  # dtype, linear (enum dtype)
PER_WEIGHT = {"f32": (4, 4), "bf16": (2, 2), "int8": (4, 1), "nf4": (4, 0.5625)}  # bytes: head, layers


class Options(C.Structure):
    _fields_ = [("max_new_tokens", C.c_int64), ("temperature", C.c_double), ("top_k", C.c_int64), ("top_p", C.c_double), ("min_p", C.c_double),
                ("repetition_penalty", C.c_double), ("seed", C.c_uint64), ("stop", C.c_void_p), ("n_stop", C.c_size_t), ("no_stop", C.c_bool),
                ("on_token", C.c_void_p), ("arg", C.c_void_p)]


class Prompt(C.Structure):
    _fields_ = [("ids", C.c_void_p), ("n", C.c_size_t)]


def our_run(engine, kind):
    import json

    from engine import CTX
    text, parsed, m = json.dumps(SHAPE).encode(), C.create_string_buffer(4096), C.c_void_p()
    engine.call("model_config_parse", text, C.c_size_t(len(text)), b"config.json", parsed)
    engine.call("model_create", CTX, parsed, C.c_uint64(1), engine.backend, (C.c_int * 3)(*kind), C.byref(m))

    def run(rows, new):
        ids = [np.array(r, np.int32) for r in rows]
        prompts, made, o = (Prompt * len(ids))(*[Prompt(i.ctypes.data, len(i)) for i in ids]), (C.c_void_p * 2)(), Options()
        engine.lib.generate_defaults(C.byref(o))
        o.max_new_tokens, o.no_stop = new, True
        engine.call("generate", CTX, m, prompts, C.c_size_t(len(ids)), C.byref(o), C.byref(made))
        engine.lib.generation_release(C.byref(made))
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
    """Wall and CPU seconds of one more token for each row."""
    start, cpu = time.perf_counter(), time.process_time()
    run(rows, NEW)
    middle, middle_cpu = time.perf_counter(), time.process_time()
    run(rows, 1)
    return (middle - start - (time.perf_counter() - middle)) / (NEW - 1), (middle_cpu - cpu - (time.process_time() - middle_cpu)) / (NEW - 1)


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
        dtype, linear = TYPES[name]
        ours = our_run(engine, (dtype, 0, linear))
        for batch in (1, 8):
            rows = rng.integers(3, SHAPE["vocab_size"], (batch, PROMPT)).tolist()
            peer = theirs.get(name)
            a, b = [], []
            for _ in range(repeats):
                a.append(seconds(ours, rows))
                if peer:
                    b.append(seconds(peer, rows))
            floor = (head * PER_WEIGHT[name][0] + layers * PER_WEIGHT[name][1]) / rate
            table.row(f"{name} token of {batch}", [x[0] * 1e3 for x in a], [x[0] * 1e3 for x in b], "ms", "transformers" if peer else "", "")
            table.row("  CPU time", [x[1] * 1e3 for x in a], [x[1] * 1e3 for x in b], "ms", "", "")
            table.row("  beside one thread that reads the weights", [x[1] * 1e3 for x in a], [floor * 1e3], "ms", "memory", "")
    table.save(ROOT / "build/bench/generate.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
