"""A training step of a 56M Llama (8 x 256 tokens) beside torch + peft: wall time of the steps in turn, CPU seconds and peak memory."""
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

from table import Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPE = dict(model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=32000, hidden_size=512, intermediate_size=1408, num_hidden_layers=8,
             num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=2048, bos_token_id=1, eos_token_id=2, pad_token_id=0)
BATCH, LENGTH, THREADS = 8, 256, os.cpu_count()
GOALS = {"lora fp32": (0.67, 0.5), "lora bf16": (0.33, 0.5), "full fp32": (0.67, 0.5), "full bf16": (0.40, 0.5)}


def rows():
    """Not made by torch: our side's process has none."""
    import numpy as np
    return np.random.default_rng(1).integers(3, SHAPE["vocab_size"], (BATCH, LENGTH))


def our_steps(method, bf16):
    sys.path.insert(0, str(ROOT / "tests/interop"))
    from engine import Engine
    engine = Engine("cpu")
    m = engine.create(SHAPE)
    if method == "lora":
        engine.lora(m, r=16, lora_alpha=32, target_modules=["q_proj", "v_proj"])
    examples = [(list(map(int, r)), list(map(int, r))) for r in rows()]
    yield from engine.steps(m, examples, per_device_train_batch_size=BATCH, num_train_epochs=1000, learning_rate=1e-4, bf16=bf16)


def their_steps(method, bf16):
    import torch
    import transformers
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**{k: v for k, v in SHAPE.items() if k not in ("model_type", "architectures")}))
    if method == "lora":
        import peft
        model = peft.get_peft_model(model, peft.LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0)
    ids = torch.from_numpy(rows())
    while True:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield


def serve(side, method, dtype):
    """A child: one step for each line of its input, answered with [seconds, CPU seconds, peak MB]."""
    steps = (our_steps if side == "ours" else their_steps)(method, dtype == "bf16")
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        next(steps)
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]), flush=True)


def step(child):
    child.stdin.write("go\n")
    child.stdin.flush()
    return json.loads(child.stdout.readline())


def compare(table, method, dtype, repeats=4):
    children = [subprocess.Popen([sys.executable, __file__, side, method, dtype], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for side in ("ours", "theirs")]
    first = [step(c) for c in children]  # allocation and warm-up
    assert first
    measured = [[step(c) for c in children] for _ in range(repeats)]
    for c in children:
        c.stdin.close()
        c.wait()
    ours, theirs = ([m[i] for m in measured] for i in (0, 1))
    time_goal, memory_goal = GOALS[f"{method} {dtype}"]
    table.row(f"{method} {dtype} step, 56M Llama, {BATCH}x{LENGTH}", [x[0] for x in ours], [x[0] for x in theirs], "s", "torch" + (" + peft" if method == "lora" else ""), f"<= {time_goal}")
    table.row("  CPU seconds of a step", [x[1] for x in ours], [x[1] for x in theirs], "s", "", "")
    table.row("  peak memory of the process", [x[2] for x in ours], [x[2] for x in theirs], "MB", "", f"<= {memory_goal}")


def main():
    table = Table("train")
    for method in ("lora", "full"):
        for dtype in ("fp32", "bf16"):
            compare(table, method, dtype)
    table.save(ROOT / "build/bench/train.json")


if __name__ == "__main__":
    serve(*sys.argv[1:]) if len(sys.argv) > 1 else main()
