"""What watching a training costs: CPU of the processes that keep and show its numbers (coordinator: tracker, TensorBoard, log; session: the cell) beside the worker's,
while it trains a 56M Llama (8 x 256 tokens, LoRA) with a value of each metric at every step."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from table import Table
from train_bench import BATCH, LENGTH, SHAPE

ROOT = pathlib.Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")


def make_model(folder):
    sys.path.insert(0, str(ROOT / "tests/interop"))
    from engine import CTX, Engine
    from tokenizers import Tokenizer, models, pre_tokenizers
    engine = Engine("cpu")
    engine.call("model_save", CTX, engine.create(SHAPE), str(folder).encode())
    tok = Tokenizer(models.BPE(vocab={"<pad>": 0, "<s>": 1, "</s>": 2, **{chr(97 + i): 3 + i for i in range(26)}}, merges=[]))
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tok.save(str(folder / "tokenizer.json"))


def cpu(pid):
    """Seconds of a process; None: it is gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK
    except OSError:
        return None


def children(pid):
    try:
        return [int(c) for t in pathlib.Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    except OSError:
        return []


def share(folder, report_to, steps):
    """(CPU of a step's watching, CPU of a step), between the first and the last fifth of the training."""
    with tempfile.TemporaryDirectory() as home:
        code = f"""
mlflow.start_run()
local rows, text = {{}}, ("a b c d "):rep({LENGTH // 4})
for i = 1, 64 do rows[i] = {{text = text}} end
local job = llm.finetune{{model = "{folder}", train_dataset = rows, text_column = "text", max_length = {LENGTH}, report_to = "{report_to}", output_dir = "{home}/out",
  peft = LoraConfig{{r = 16, target_modules = {{"q_proj", "v_proj"}}}},
  args = {{max_steps = {steps}, per_device_train_batch_size = {BATCH}, logging_steps = 1, save_strategy = "no"}}}}
job:wait()
"""
        env = {**os.environ, "LACUS_HOME": home, "LACUS_DEVICE": "cpu"}
        session = subprocess.Popen([ROOT / "build/lacus", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, text=True)
        session.stdin.write(code)
        session.stdin.close()
        seen, about = [], pathlib.Path(home) / "workers" / "coordinator.json"
        try:
            while session.poll() is None:
                time.sleep(0.1)
                coordinator = json.loads(about.read_text())["pid"] if about.exists() else None
                working = [cpu(c) or 0 for c in children(coordinator)] if coordinator else []
                if working and cpu(coordinator) is not None and cpu(session.pid) is not None:
                    seen.append((cpu(coordinator) + cpu(session.pid), sum(working)))
            assert session.returncode == 0, "the training failed"
        finally:
            if about.exists():
                os.kill(json.loads(about.read_text())["pid"], 15)
        most = max(w for _, w in seen)
        inside = [s for s in seen if 0.2 * most <= s[1] <= 0.8 * most]
        return (inside[-1][0] - inside[0][0]) / (0.6 * steps), (inside[-1][1] - inside[0][1]) / (0.6 * steps)


def main(steps=30):
    table = Table("watching")
    with tempfile.TemporaryDirectory() as folder:
        make_model(pathlib.Path(folder))
        for report_to in ("none", "all"):
            watching, working = share(folder, report_to, steps)
            table.row(f"CPU of watching a step, report_to = {report_to}", [watching], [working], "s", "CPU of the step", "<= 0.01")
    table.save(ROOT / "build/bench/watching.json")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
