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
m:merge_and_unload()
m:save_pretrained("{tmp_path}/merged")
""")
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
