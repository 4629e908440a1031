"""Jobs of every method: adapters that go on, prompts, and what peft makes of the results."""
import re

import pytest

from lacus import script
from test_train import ROWS, TEMPLATE, eval_loss, home, lua_rows, model, prelude  # noqa: F401: fixtures

torch = pytest.importorskip("torch")


def tuned(model, folder):
    import peft
    import transformers

    return peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), folder)


def results(printed):
    return [(float(a), float(b)) for a, b in re.findall(r"RESULT\t(\S+)\t(\S+)", printed)]


@pytest.mark.parametrize("peft", ['PromptTuningConfig{num_virtual_tokens = 6, prompt_tuning_init = "TEXT", prompt_tuning_init_text = "Which section"}',
                                  "PrefixTuningConfig{num_virtual_tokens = 6}",
                                  'LoraConfig{r = 4, target_modules = ".*q_proj", use_dora = true, modules_to_save = {"lm_head"}}'])
def test_a_job_trains_what_peft_loads(home, model, tmp_path, peft):  # noqa: F811
    out = tmp_path / "out"
    printed = script(home, prelude(model, out, learning_rate=0.02) + f"""
local job = start{{peft = {peft}}}:wait()
local r = job:result()
print("RESULT", r.eval_loss_before, r.eval_loss)
local m = llm.load(job.output_dir)
local e = llm.evaluate{{model = m, dataset = {lua_rows(ROWS[40:])}, template = "{TEMPLATE}", response_column = "a", completion_only = true, max_length = 64}}
print("RESULT", r.eval_loss, e.eval_loss)
print("TEXT", m:generate{{prompt = "Which section", max_new_tokens = 3, temperature = 0}}.text)
""")
    (before, after), (same, here) = results(printed)
    assert after < before - 0.05 and here == pytest.approx(same, abs=1e-5)
    hf = tuned(model, out).eval()
    if "Lora" in peft:
        assert after == pytest.approx(eval_loss(hf, model, ROWS[40:]), abs=1e-4)
    text = re.search(r"TEXT\t(.*)", printed)[1]
    import transformers

    tok = transformers.AutoTokenizer.from_pretrained(model)
    ids = tok("Which section", return_tensors="pt").input_ids
    for _ in range(3):  # greedy, without a cache
        ids = torch.cat([ids, hf(input_ids=ids).logits[:, -1:].argmax(-1)], 1)
    assert text == tok.decode(ids[0, -3:]).split("<eos>")[0]


def test_training_goes_on_from_an_adapter(home, model, tmp_path):  # noqa: F811
    """Twice ten steps, by the folder and by the model that it is."""
    printed = script(home, prelude(model, tmp_path / "out") + f"""
local job = start():wait()
local r = job:result()
print("RESULT", r.eval_loss_before, r.eval_loss)
local more = start({{adapter = "{tmp_path}/out", output_dir = "{tmp_path}/more"}}, "peft"):wait():result()
print("RESULT", more.eval_loss_before, more.eval_loss)
local again = start({{model = "{tmp_path}/out", output_dir = "{tmp_path}/again"}}, "peft"):wait():result()
print("RESULT", again.eval_loss_before, again.eval_loss)
print(pcall(start, {{adapter = "{tmp_path}/out"}}))
print(pcall(start, {{adapter = "{model}"}}, "peft"))
local m = llm.load("{tmp_path}/more")
local before = m:parameters()
m:merge_and_unload():save_pretrained("{tmp_path}/merged")
for _, tensor in ipairs{{before[1].value, before[#before].value}} do print(pcall(function() return tensor:norm() end)) end
print("AGAIN", m:parameters()[1].value:norm() > 0, before[#before].value)
local kept = m:parameters()[1].value
m:close()
print(pcall(function() return kept:totable() end))
""")
    assert printed.count("the numbers of this tensor are gone") == 3 and re.search(r"AGAIN\ttrue\ttensor\[\d", printed)
    first, more, again = results(printed)
    assert more[0] == pytest.approx(first[1], abs=1e-5) and more[1] < first[1] - 0.01
    assert again == pytest.approx(more, abs=1e-6)
    assert "it takes no peft" in printed and "is not an adapter" in printed
    assert eval_loss(tuned(model, tmp_path / "more"), model, ROWS[40:]) == pytest.approx(more[1], abs=1e-4)
    import transformers

    merged = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "merged", dtype=torch.float32)
    assert eval_loss(merged, model, ROWS[40:]) == pytest.approx(more[1], abs=1e-4)


def test_a_student_learns_from_a_teacher(home, model, tmp_path):  # noqa: F811
    """Against a loop in torch; the teacher is another architecture over the same tokens."""
    import shutil

    import torch.nn.functional as F
    import transformers
    from test_train import examples

    torch.manual_seed(1)
    tok = transformers.AutoTokenizer.from_pretrained(model)
    teacher = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(vocab_size=len(tok), hidden_size=48, intermediate_size=96, num_hidden_layers=1,
                                            num_attention_heads=2, num_key_value_heads=1, head_dim=24, max_position_embeddings=256, initializer_range=0.2)).eval()
    teacher.save_pretrained(tmp_path / "teacher")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(model / name, tmp_path / "teacher")
    printed = script(home, prelude(model, tmp_path / "out", train=ROWS[:12], max_steps=6, learning_rate=2e-3, gradient_accumulation_steps=3) + f"""
local o = {{model = "{model}", teacher = "{tmp_path}/teacher", train_dataset = {lua_rows(ROWS[:12])}, template = "{TEMPLATE}", response_column = "a",
  completion_only = true, max_length = 64, output_dir = "{tmp_path}/out", temperature = 3, alpha = 0.7,
  args = {{max_steps = 3, per_device_train_batch_size = 4, gradient_accumulation_steps = 3, learning_rate = 2e-3, lr_scheduler_type = "constant", logging_steps = 1}}}}
local job = llm.distill(o):wait()
for _, m in ipairs(job.metrics) do print("LOSS", m.loss) end
print(pcall(llm.distill, {{model = "{model}", train_dataset = {{"x"}}}}))
print(pcall(llm.finetune, {{model = "{model}", train_dataset = {{"x"}}, alpha = 1}}))
""")
    assert "llm.distill needs a teacher" in printed and "temperature and alpha are of a distillation" in printed
    student = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    decay = [p for p in student.parameters() if p.ndim == 2]
    opt = torch.optim.AdamW([dict(params=decay), dict(params=[p for p in student.parameters() if p.ndim == 1])], lr=2e-3, weight_decay=0.0)
    rows, losses = list(examples(model, ROWS[:12])), []
    for _ in range(3):
        n = sum(int((labels[:, 1:] != -100).sum()) for _, labels in rows)
        loss = 0
        for ids, labels in rows:
            keep = labels[0, 1:] != -100
            s, want = student(ids).logits[0, :-1][keep], labels[0, 1:][keep]
            with torch.no_grad():
                t = teacher(ids).logits[0, :-1][keep]
            kl = F.kl_div(F.log_softmax(s / 3, -1), F.log_softmax(t / 3, -1), log_target=True, reduction="sum") * 9
            loss = loss + (0.7 * kl + 0.3 * F.cross_entropy(s, want, reduction="sum")) / n
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        opt.step()
        losses.append(loss.item())
    assert [float(x) for x in re.findall(r"LOSS\t(\S+)", printed)] == pytest.approx(losses, abs=1e-4)


def test_a_teacher_may_be_an_adapter(home, model, tmp_path):  # noqa: F811
    """Of a job, as models:/sft@champion is one: the student learns from what it makes of its base, not from the base."""
    import torch.nn.functional as F
    import transformers
    from test_train import examples

    printed = script(home, prelude(model, tmp_path / "sft", learning_rate=0.05) + f"""
start():wait()
for _, m in ipairs(llm.distill{{model = "{model}", teacher = "{tmp_path}/sft", train_dataset = {lua_rows(ROWS[:4])}, template = "{TEMPLATE}", response_column = "a",
  completion_only = true, max_length = 64, output_dir = "{tmp_path}/out", temperature = 2, alpha = 1,
  args = {{max_steps = 1, per_device_train_batch_size = 4, logging_steps = 1}}}}:wait().metrics) do print("LOSS", m.loss) end
""")
    base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    teacher, kl, n = tuned(model, tmp_path / "sft").eval(), 0.0, 0
    for ids, labels in examples(model, ROWS[:4]):
        keep = labels[0, 1:] != -100
        with torch.no_grad():
            s, t = base(ids).logits[0, :-1][keep], teacher(ids).logits[0, :-1][keep]
        kl += F.kl_div(F.log_softmax(s / 2, -1), F.log_softmax(t / 2, -1), log_target=True, reduction="sum").item() * 4
        n += int(keep.sum())
    assert float(re.search(r"LOSS\t(\S+)", printed)[1]) == pytest.approx(kl / n, abs=1e-4) and kl / n > 0.01


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def fields(message):
    """{number: [values]} of a protocol buffer."""
    import struct

    out, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        number, wire = key >> 3, key & 7
        if wire == 0:
            value = varint()
        elif wire == 1:
            value, at = struct.unpack_from("<d", message, at)[0], at + 8
        elif wire == 5:
            value, at = struct.unpack_from("<f", message, at)[0], at + 4
        else:
            n = varint()
            value, at = message[at:at + n], at + n
        out.setdefault(number, []).append(value)
    return out


def scalars(path):
    """(tag, step, value) of an event file, with both checksums of each record checked."""
    import struct

    data, at, out = path.read_bytes(), 0, []
    while at < len(data):
        length, = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == masked(data[at:at + 8])
        event = data[at + 12:at + 12 + length]
        assert struct.unpack_from("<I", data, at + 12 + length)[0] == masked(event)
        at += 16 + length
        event = fields(event)
        assert 1.6e9 < event[1][0] < 4e9
        if 3 in event:
            assert not out and event[3] == [b"brain.Event:2"]
        for summary in event.get(5, []):
            for value in fields(summary)[1]:
                value = fields(value)
                out.append((value[1][0].decode(), event.get(2, [0])[0], value[2][0]))
    return out


def test_event_files_for_tensorboard(home, model, tmp_path):  # noqa: F811
    printed = script(home, prelude(model, tmp_path / "out", eval_strategy="steps", eval_steps=5, max_steps=10) + f"""
local job = start{{report_to = "tensorboard"}}:wait()
for _, m in ipairs(job.metrics) do print("STEP", m.step, m.loss, m.tokens_per_second, m.mfu, m.memory, m.step_seconds) end
start{{report_to = {{"mlflow", "tensorboard"}}, output_dir = "{tmp_path}/other", args = {{max_steps = 1, logging_dir = "{tmp_path}/logs"}}}}:wait()
start{{report_to = "none", output_dir = "{tmp_path}/none", args = {{max_steps = 1}}}}:wait()
print(pcall(start, {{report_to = "wandb"}}))
""")
    assert "cannot report a training to 'wandb'" in printed
    found = list((tmp_path / "out" / "runs").rglob("events.out.tfevents.*"))
    assert len(found) == 1 and len(list((tmp_path / "logs").glob("events.out.tfevents.*"))) == 1 and not (tmp_path / "none" / "runs").exists()
    rows = scalars(found[0])
    loss = {step: value for tag, step, value in rows if tag == "train/loss"}
    steps = [line.split("\t")[1:] for line in printed.splitlines() if line.startswith("STEP")]
    assert len(steps) == 10
    for step, value, speed, mfu, memory, seconds in steps:
        assert loss[int(step)] == pytest.approx(float(value), rel=1e-6)
        assert float(speed) > 0 and 0 < float(mfu) < 10 and float(memory) > 1e6 and float(seconds) > 0
    tags = {tag for tag, _, _ in rows}
    assert {"train/learning_rate", "train/grad_norm", "train/tokens_per_second", "train/mfu", "eval/loss", "eval/perplexity"} <= tags
    assert [step for tag, step, _ in rows if tag == "eval/perplexity"] == [5, 10]
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    except ImportError:
        return
    assert any(v.tag == "train/loss" for e in EventFileLoader(str(found[0])).Load() for v in e.summary.value)


def test_a_trainer_stops_early(home, model, tmp_path):  # noqa: F811
    """The rate is so high that nothing gets better: after two evaluations it is over, and the best model is what is left."""
    printed = script(home, f"""
local t = Trainer{{model = "{model}", train_dataset = Dataset({lua_rows(ROWS[:16])}), eval_dataset = Dataset({lua_rows(ROWS[40:])}), template = "{TEMPLATE}",
  response_column = "a", completion_only = true, callbacks = {{EarlyStoppingCallback{{early_stopping_patience = 2}}}},
  args = {{max_steps = 100, per_device_train_batch_size = 8, learning_rate = 10, eval_strategy = "steps", save_strategy = "steps", eval_steps = 2, save_steps = 2, logging_steps = 2,
           load_best_model_at_end = true, metric_for_best_model = "accuracy", save_total_limit = 1, output_dir = "{tmp_path}/out"}}}}
local r = t:train()
print("STEPS", r.global_step, t.state.best_metric)
for _, line in ipairs(t.state.log_history) do if line.eval_accuracy then print("EVAL", line.step, line.eval_accuracy) end end
print(pcall(EarlyStoppingCallback, {{patience = 2}}))
""")
    steps, best = re.search(r"STEPS\t(\d+)\t(\S+)", printed).groups()
    scores = [(int(a), float(b)) for a, b in re.findall(r"EVAL\t(\d+)\t(\S+)", printed)]
    assert int(steps) < 100, printed
    assert int(steps) == scores[-1][0]
    assert float(best) == max(score for _, score in scores)
    best_at = next(i for i, (_, score) in enumerate(scores) if score == float(best))
    assert best_at == len(scores) - 3
    assert "has no argument 'patience'" in printed


@pytest.mark.parametrize("peft", ["PromptTuningConfig{num_virtual_tokens = 6}", "PrefixTuningConfig{num_virtual_tokens = 6}",
                                  'LoraConfig{r = 4, target_modules = "all-linear", use_dora = true, lora_dropout = 0.1}'])
def test_a_killed_job_of_every_method_resumes_exactly(home, model, tmp_path, peft):  # noqa: F811
    printed = script(home, prelude(model, tmp_path / "a", max_steps=24, per_device_train_batch_size=40, save_steps=5) + f"""
local whole = start{{peft = {peft}}}:wait():result()
local job = start{{peft = {peft}, max_restarts = 0, output_dir = "{tmp_path}/b"}}
until_step(job, 8)
os.execute("kill -9 " .. worker_pid(job))
print("ENDED", pcall(job.wait, job))
local again = job:resume():wait():result()
print("SAME", whole.eval_loss == again.eval_loss, whole.eval_loss_before == again.eval_loss_before, #job.metrics)
""", timeout=180)
    assert "ENDED\tfalse" in printed and "SAME\ttrue\ttrue\t24" in printed
    for name in ("a", "b"):
        assert (tmp_path / name / "adapter_model.safetensors").exists()
    assert (tmp_path / "a" / "adapter_model.safetensors").read_bytes() == (tmp_path / "b" / "adapter_model.safetensors").read_bytes()
