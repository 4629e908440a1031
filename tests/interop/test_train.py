"""Training jobs: what transformers and peft make of them, and what happens when something dies."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lacus import LACUS, environment, lacus, script

torch = pytest.importorskip("torch")
WORDS = "tool library game editor driver font manual shell".split()
ROWS = [{"q": f"Which section does package {i} of {WORDS[i % 8]} kind number {i * 7 % 13} belong to?", "a": " " + WORDS[i % 8]} for i in range(48)]
TEMPLATE = "{q} Answer:{a}"
CHAT = ("{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny Llama that transformers made, with a tokenizer that tokenizers made."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    folder = tmp_path_factory.mktemp("model")
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator([r["q"] + r["a"] for r in ROWS],
                            trainers.BpeTrainer(vocab_size=400, special_tokens=["<bos>", "<eos>", "<pad>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    fast.chat_template = CHAT
    torch.manual_seed(0)
    config = transformers.LlamaConfig(vocab_size=len(fast), hidden_size=64, intermediate_size=2048, num_hidden_layers=2, num_attention_heads=4,
                                      num_key_value_heads=2, max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=2)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    yield path
    end_coordinator(path)


def end_coordinator(home, sig=signal.SIGTERM):
    try:
        pid = json.loads((home / "workers" / "coordinator.json").read_text())["pid"]
        if "coordinator" in open(f"/proc/{pid}/cmdline").read():
            os.kill(pid, sig)
    except (OSError, ValueError):
        pass


def lua_rows(rows):
    return "{" + ",".join("{q = [==[%s]==], a = [==[%s]==]}" % (r["q"], r["a"]) for r in rows) + "}"


def prelude(model, out, train=ROWS[:40], evaluation=ROWS[40:], **args):
    """Lua text that starts a job; args are training arguments."""
    settings = dict(max_steps=10, per_device_train_batch_size=4, learning_rate=0.005, save_steps=1000, logging_steps=1, lr_scheduler_type="constant")
    settings.update(args)
    text = ", ".join(f"{k} = {json.dumps(v)}" for k, v in settings.items())
    return f"""
local function start(more, without)
  local o = {{model = "{model}", train_dataset = {lua_rows(train)}, eval_dataset = {lua_rows(evaluation)}, template = "{TEMPLATE}",
    response_column = "a", completion_only = true, max_length = 64, output_dir = "{out}",
    peft = LoraConfig{{r = 4, lora_alpha = 8, target_modules = {{"q_proj", "v_proj"}}}}, args = {{{text}}}}}
  for k, v in pairs(more or {{}}) do o[k] = v end
  if without then o[without] = nil end
  return llm.finetune(o)
end
local function until_step(job, n)
  for i = 1, 600 do
    local m = job.metrics
    if #m >= n or job.status == "failed" then return end
    sleep(0.05)
  end
  error("no step " .. n .. " in time: " .. job:logs())
end
local function worker_pid(job)
  local pid
  for _, e in ipairs(job:events()) do if e.event == "status" and e.about then pid = e.about:match("pid (%d+)") end end
  return pid
end
"""


SLOW = dict(max_steps=60, per_device_train_batch_size=40, save_steps=5)  # about 50 ms a step


def examples(model, rows):
    import transformers

    tok = transformers.AutoTokenizer.from_pretrained(model)
    for r in rows:
        prompt, answer = tok(r["q"] + " Answer:").input_ids, tok(r["a"]).input_ids
        ids = prompt + answer + [tok.eos_token_id]
        yield torch.tensor([ids]), torch.tensor([[-100] * len(prompt) + ids[len(prompt):]])


def eval_loss(net, model, rows):
    """Hugging Face's: the token mean of each batch of 8, weighted by the batches' sizes."""
    total = 0.0
    rows = list(rows)
    with torch.no_grad():
        for i in range(0, len(rows), 8):
            losses, labels = 0.0, 0
            for ids, lab in examples(model, rows[i:i + 8]):
                n = int((lab[:, 1:] != -100).sum())
                losses += net(input_ids=ids, labels=lab).loss.item() * n
                labels += n
            total += losses / labels * len(rows[i:i + 8])
    return total / len(rows)


def test_peft_loads_the_adapter_and_agrees(home, model, tmp_path):
    import peft
    import transformers

    out = tmp_path / "out"
    printed = script(home, prelude(model, out) + """
local job = start():wait()
local r = job:result()
print("RESULT", r.eval_loss_before, r.eval_loss, r.steps, job.status, r.trainable_parameters)
print("FIRST", job.metrics[1].loss, #job.metrics)
local m = llm.load(job.output_dir)
local e = llm.evaluate{model = m, dataset = """ + lua_rows(ROWS[40:]) + f""", template = "{TEMPLATE}", response_column = "a", completion_only = true, max_length = 64}}
print("HERE", e.eval_loss)
""")
    before, after, steps, status, text = re.search(r"RESULT\t(\S+)\t(\S+)\t(\d+)\t(\w+)\t(.*)", printed).groups()
    assert status == "finished" and steps == "10"
    base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    assert float(before) == pytest.approx(eval_loss(base, model, ROWS[40:]), abs=1e-4)
    tuned = peft.PeftModel.from_pretrained(base, out)
    assert float(after) == pytest.approx(eval_loss(tuned, model, ROWS[40:]), abs=1e-4)
    assert float(re.search(r"HERE\t(\S+)", printed)[1]) == pytest.approx(float(after), abs=1e-5)
    assert float(after) < float(before) - 0.01
    tuned = peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), out, is_trainable=True)
    trainable, every = tuned.get_nb_trainable_parameters()
    assert text == f"trainable params: {trainable:,d} || all params: {every:,d} || trainable%: {100 * trainable / every:.4f}"
    assert re.search(r"FIRST\t\S+\t10", printed)


@pytest.mark.parametrize("fields", ["{load_in_4bit = true, bnb_4bit_quant_type = 'nf4', bnb_4bit_use_double_quant = true, bnb_4bit_compute_dtype = 'bfloat16'}",
                                    "{load_in_8bit = true}", "{quant_method = 'fp8'}"])
def test_an_adapter_is_trained_over_few_bits(home, model, tmp_path, fields):
    printed = script(home, prelude(model, tmp_path / "out") + f"""
local q = BitsAndBytesConfig{fields}
local r = start({{quantization = q}}):wait():result()
local m = llm.load("{tmp_path}/out", {{quantization = q}})
local e = llm.evaluate{{model = m, dataset = {lua_rows(ROWS[40:])}, template = "{TEMPLATE}", response_column = "a", completion_only = true, max_length = 64}}
local plain = llm.evaluate{{model = "{tmp_path}/out", dataset = {lua_rows(ROWS[40:])}, template = "{TEMPLATE}", response_column = "a", completion_only = true, max_length = 64}}
print("LOSS", r.eval_loss_before, r.eval_loss, e.eval_loss, plain.eval_loss)
""")
    before, after, here, plain = map(float, re.search(r"LOSS\t(\S+)\t(\S+)\t(\S+)\t(\S+)", printed).groups())
    assert after < before - 0.01 and here == pytest.approx(after, abs=1e-5)
    assert here != plain and here == pytest.approx(plain, abs=0.05)  # the adapter over the weights as they were


def test_packed_rows(home, model, tmp_path):
    printed = script(home, prelude(model, tmp_path / "out") + """
local job = start{packing = true, max_length = 48}:wait()
print("PACKED", job:logs():match("train.rows: %d+ examples packed into %d+ rows of 48 tokens"))
print("LOSS", job:result().eval_loss_before, job:result().eval_loss)
""")
    examples_, rows = map(int, re.search(r"PACKED\ttrain.rows: (\d+) examples packed into (\d+) rows", printed).groups())
    before, after = map(float, re.search(r"LOSS\t(\S+)\t(\S+)", printed).groups())
    assert examples_ == 40 and rows < 30 and after < before


def test_preferences_are_learned(home, model, tmp_path):
    rows = "{" + ",".join("{prompt = [==[%s]==], chosen = ' yes', rejected = ' no'}" % r["q"] for r in ROWS[:20]) + "}"
    printed = script(home, f"""
mlflow.set_experiment("dpo")
local rows = {rows}
local job = llm.dpo{{model = "{model}", train_dataset = rows, eval_dataset = rows, max_length = 64, output_dir = "{tmp_path}/out",
  peft = LoraConfig{{r = 4, lora_alpha = 8}}, args = {{beta = 0.5, max_steps = 12, per_device_train_batch_size = 5, learning_rate = 0.01, save_steps = 100}}}}
local r = job:wait():result()
local first, last = job.metrics[1], job.metrics[#job.metrics]
print("DPO", first.loss, r.eval_loss_before, r.eval_loss, first.rewards_margins, last.rewards_margins, last.rewards_accuracies)
print(pcall(llm.dpo, {{model = "{model}", train_dataset = {{{{prompt = "a", chosen = "b"}}}}}}))
print(pcall(llm.dpo, {{model = "{model}", train_dataset = rows, args = {{loss_type = "simpo"}}}}))
print(pcall(llm.finetune, {{model = "{model}", train_dataset = rows, method = "ppo"}}))
""")
    first, before, after, margin0, margin1, accuracy = map(float, re.search(r"DPO" + r"\t(\S+)" * 6, printed).groups())
    assert before == pytest.approx(0.693147, abs=1e-5) and first == pytest.approx(before, abs=1e-5)  # ln 2: the policy is the reference
    assert margin0 == 0 and margin1 > 0.5 and accuracy == 1 and after < 0.5
    assert "row 1 has no column 'rejected'" in printed and "simpo" in printed and "'ppo'" in printed


def test_full_fine_tuning_gives_a_checkpoint_of_transformers(home, model, tmp_path):
    import transformers

    out = tmp_path / "full"
    printed = script(home, prelude(model, out, learning_rate=0.001) + """
local job = start({}, "peft"):wait()
print("RESULT", job:result().eval_loss)
""")
    net = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
    assert float(re.search(r"RESULT\t(\S+)", printed)[1]) == pytest.approx(eval_loss(net, model, ROWS[40:]), abs=1e-4)
    transformers.AutoTokenizer.from_pretrained(out)


def test_a_killed_worker_is_reported_and_the_job_resumes_exactly(home, model, tmp_path):
    printed = script(home, prelude(model, tmp_path / "a", **SLOW) + """
local whole = start():wait():result()
local job = start{max_restarts = 0, output_dir = \"""" + str(tmp_path / "b") + """\"}
until_step(job, 12)
os.execute("kill -9 " .. worker_pid(job))
local ok, e = pcall(job.wait, job)
print("ERROR", ok, e.code, e.message, "|", e.hint)
print("STATUS", job.status)
job:resume():wait()
local again = job:result()
print("LOSSES", whole.eval_loss, again.eval_loss, whole.eval_loss_before == again.eval_loss_before, #job.metrics)
""", timeout=180)
    error = re.search(r"ERROR\t(.*)", printed)[1]
    assert error.startswith("false\tWORKER\tworker 'local-") and "signal 9" in error and "in step" in error
    assert "job:resume() goes on from checkpoint-" in error
    assert "STATUS\tfailed" in printed
    whole, again, same, steps = re.search(r"LOSSES\t(\S+)\t(\S+)\t(\w+)\t(\d+)", printed).groups()
    assert whole == again and same == "true" and steps == "60"


def test_the_best_checkpoint_survives_a_resume(home, model, tmp_path):
    """The largest loss counts as best here: that of the first evaluation, long before the worker is killed."""
    args = dict(max_steps=40, per_device_train_batch_size=40, save_steps=5, eval_steps=5, eval_strategy="steps", greater_is_better=True,
                load_best_model_at_end=True, metric_for_best_model="eval_loss", save_strategy="steps")
    printed = script(home, prelude(model, tmp_path / "a", **args) + """
local whole = start():wait()
local job = start{max_restarts = 0, output_dir = \"""" + str(tmp_path / "b") + """\"}
until_step(job, 27)
os.execute("kill -9 " .. worker_pid(job))
print("KILLED", pcall(job.wait, job))
job:resume():wait()
print("LOSSES", whole:result().eval_loss, job:result().eval_loss)
local last
for _, e in ipairs(whole:events()) do if e.event == "eval" and e.step == 40 and not e.when then last = e.eval_loss end end
print("LAST", last)
""", timeout=180)
    assert "KILLED\tfalse" in printed
    whole, resumed = re.search(r"LOSSES\t(\S+)\t(\S+)", printed).groups()
    assert whole == resumed
    assert float(whole) > float(re.search(r"LAST\t(\S+)", printed)[1]) + 0.01
    assert (tmp_path / "a" / "adapter_model.safetensors").read_bytes() == (tmp_path / "b" / "adapter_model.safetensors").read_bytes()


def test_cancel(home, model, tmp_path):
    printed = script(home, prelude(model, tmp_path / "out", **SLOW) + """
local job = start()
until_step(job, 3)
job:cancel()
local ok, e = pcall(job.wait, job)
print("CANCELLED", ok, e.code, job.status)
local job = start()
until_step(job, 3)
print("STARTED", job.id)
""")
    assert "CANCELLED\tfalse\tCANCELLED\tcancelled" in printed


def test_a_job_survives_its_session_and_its_coordinator(home, model, tmp_path):
    printed = script(home, prelude(model, tmp_path / "out", **SLOW) + """
local job = start()
until_step(job, 7)
print("ID", job.id)
""")
    job = re.search(r"ID\t(\S+)", printed)[1]
    end_coordinator(home, signal.SIGKILL)
    printed = script(home, f"""
print(llm.jobs()[1].id == "{job}")
local job = llm.job("{job}")
job:wait()
print("RESULT", job.status, job:result().steps, #job.metrics)
""")
    assert "RESULT\tfinished\t60\t60" in printed


def test_sigterm_checkpoints_and_ends_the_worker(home, model, tmp_path):
    printed = script(home, prelude(model, tmp_path / "out", **dict(SLOW, save_steps=1000)) + """
local job = start{max_restarts = 0}
until_step(job, 4)
os.execute("kill -TERM " .. worker_pid(job))
local ok, e = pcall(job.wait, job)
print("ENDED", e.message, "|", e.hint)
job:resume():wait()
print("RESULT", job.status, job:result().steps, #job.metrics)
""")
    assert re.search(r"ENDED\t.*SIGTERM.*\|\t.*checkpoint-\d+", printed), printed
    assert "RESULT\tfinished\t60\t60" in printed


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def invite(home, name, *more):
    done = lacus(home, "worker", "invite", name, *more)
    assert done.returncode == 0, done.stderr
    return re.search(r"printf '%s\\n' '([^']+)'", done.stdout)[1], re.search(r"--connect (\S+)", done.stdout)[1]


def write_key(path, text):
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


def test_an_invited_worker_takes_the_job_until_it_is_revoked(home, model, tmp_path):
    key, endpoint = invite(home, "box", "--listen", f"tcp://127.0.0.1:{free_port()}")
    path = write_key(tmp_path / "box.key", key)
    other = tmp_path / "other-home"
    other.mkdir()
    worker = subprocess.Popen([LACUS, "worker", "--connect", endpoint, "--key", path], env=environment(other), stderr=subprocess.PIPE, text=True)
    try:
        assert "attached" in worker.stderr.readline()
        printed = script(home, prelude(model, tmp_path / "out") + """
local job = start():wait()
for _, e in ipairs(job:events()) do if e.event == "status" and e.worker then print("WORKER", e.worker) end end
""")
        assert "WORKER\tbox" in printed
        cache = other / "cache" / "blobs"
        assert max(f.stat().st_size for f in cache.rglob("*") if f.is_file()) > 2 << 20  # the weights came in parts
        listed = json.loads(lacus(home, "worker", "list", "--output", "json").stdout)
        assert listed[0]["name"] == "box" and listed[0]["state"] == "idle"
        assert lacus(home, "worker", "revoke", "box").returncode == 0
        time.sleep(1)
        refused = subprocess.run([LACUS, "worker", "--connect", endpoint, "--key", path], env=environment(other), capture_output=True, text=True, timeout=30)
        assert refused.returncode == 77 and "unknown or revoked" in refused.stderr
        printed = script(home, prelude(model, tmp_path / "out2") + """
local job = start():wait()
for _, e in ipairs(job:events()) do if e.event == "status" and e.worker then print("WORKER", e.worker) end end
""")
        assert "WORKER\tlocal-" in printed
    finally:
        worker.kill()
        worker.wait()


def test_worker_errors_are_clear_and_in_time(home, tmp_path):
    key, endpoint = invite(home, "box", "--listen", f"tcp://127.0.0.1:{free_port()}")
    name, server, public, secret = key.split()[1:]
    for _ in range(50):  # until the coordinator listens
        if (home / "workers" / "coordinator.json").exists():
            break
        time.sleep(0.1)
    cases = [
        (f"lacus-worker-key-1 {name} {'ab' * 32} {public} {secret}", endpoint, 77, "not the server whose public key"),
        (key, "tcp://127.0.0.1:1", 75, "nobody answered"),
        (key, "elsewhere", 64, "tcp://HOST:PORT"),
        ("nonsense", endpoint, 65, "not a key file"),
    ]
    for text, where, code, says in cases:
        begin = time.time()
        done = lacus(home, "worker", "--connect", where, "--key", write_key(tmp_path / "k", text), "--timeout", "2")
        assert done.returncode == code and says in done.stderr, done.stderr
        assert time.time() - begin < 6
    (tmp_path / "k").chmod(0o644)
    assert "other users may read it" in lacus(home, "worker", "--connect", endpoint, "--key", tmp_path / "k").stderr
    assert lacus(home, "worker", "invite", "box").returncode == 73
    assert "nobody" not in lacus(home, "worker", "revoke", "nobody").stdout


@pytest.mark.parametrize("change, says", [
    ("{args = {learning_rat = 1}}", "learning_rate"),
    ("{modle = 1}", "did you mean 'model'"),
    ("{model = '/no/such/folder'}", "no model '/no/such/folder'"),
    ("{train_dataset = {{x = 1}}}", "names 'q'"),
    ("{train_dataset = {}}", "no rows"),
    ("{ranks = 0}", "1 to 64 ranks, not on 0"),
    ("{max_restarts = -1}", "max_restarts is a number"),
    ("{quantization = {load_in_4bits = true}}", "did you mean 'load_in_4bit'"),
    ("{quantization = {load_in_4bit = true, bnb_4bit_quant_type = 'nf5'}}", "nf5"),
    ("{quantization = {load_in_8bit = true, load_in_4bit = true}}", "not in two"),
    ("{quantization = {load_in_4bit = true}, peft = false}", "peft = LoraConfig"),
    ("{peft = {r = 4, target_module = {'q_proj'}}}", "target_modules"),
    ("{args = 3}", "args is a table of training arguments, not a number"),
    ("{args = {learning_rate = '2e-4'}}", "tonumber"),
    ("{args = {fp16 = true}}", "bf16 = true"),
    ("{train_dataset = {{input_ids = {1, 2}, labels = {1}}}}, 'template'", "row 1 has 2 input_ids and 1 labels"),
    ("{train_dataset = {1, 2}}, 'template'", "row 1 of train_dataset is a number"),
    ("{train_dataset = {{input_ids = {'a'}}}}, 'template'", "row 1: token ids are integers, and element 1 is a string"),
    ("{train_dataset = {{input_ids = {3}, labels = 3}}}, 'template'", "'labels' of row 1 is no list"),
    ("{train_dataset = 'mine.jsonl'}", "a list of rows, not a string"),
    ("{max_length = -1}", "max_length is a number of tokens, not -1"),
    ("{max_length = '512'}", "max_length is a number of tokens, not the text '512'"),
    ("{args = {beta = 0.5}}", "'beta' is of preferences"),
    ("{args = {label_smoothing = 0.1}}", "label_smoothing_factor"),
    ("{method = 'dpo', args = {label_smoothing_factor = 0.1}}", "'label_smoothing_factor' is not of preferences"),
    ("{method = 'dpo', packing = true}", "not packed"),
    ("{teacher = '%s', args = {label_smoothing_factor = 0.1}}", "is not of a distillation"),
    ("{teacher = '%s', temperature = 0}", "temperature is a number above 0, not 0"),
    ("{teacher = '%s', alpha = 0/0}", "alpha is a number between 0 and 1"),
    ("{seed = 2^63}", "'seed' is 9.22337e+18: not between"),
    ("{seed = -1}", "'seed' is -1: not between 0 and"),
    ("{seed = 0/0}", "'seed' is nan"),
    ("{args = {lr_scheduler_kwargs = {num_cycles = 1/0}}}", "'lr_scheduler_kwargs.num_cycles' is inf"),
    ("{args = {optim = 'sgd\\0'}}", "'optim' has a NUL character"),
    ("{output_dir = 'a\\0b'}", "'output_dir' has a NUL character"),
    ("{peft = {target_modules = {'q_proj\\0'}}}", "'target_modules' has a NUL character"),
    ("{compute_metrics = 5}", "compute_metrics is a function"),
    ("{compute_metrics = function() return {} end, ranks = 2}", "on 2 ranks"),
])
def test_bad_input_is_answered_at_once(home, model, tmp_path, change, says):
    printed = script(home, prelude(model, tmp_path / "out") + f"""
local ok, e = pcall(start, {change.replace("%s", str(model))})
print(ok, tostring(e))
print(#llm.jobs())
""")
    assert printed.startswith("false") and says in printed, printed
    assert printed.strip().endswith("0")
    assert not (home / "jobs").exists() or not list((home / "jobs").iterdir())


def test_a_model_that_changed_is_not_trained_on(home, model, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    printed = script(home, prelude(copy, tmp_path / "out", **SLOW) + f"""
local job = start{{max_restarts = 0}}
until_step(job, 6)
os.execute("kill -9 " .. worker_pid(job))
pcall(job.wait, job)
os.execute("printf wrong | dd of={copy}/model.safetensors bs=1 seek=20000 conv=notrunc 2>/dev/null")
job:resume()
local ok, e = pcall(job.wait, job)
print("CHANGED", ok, e.message)
""")
    assert re.search(r"CHANGED\tfalse\t.*model.safetensors.*changed", printed), printed


def lie(folder, **changed):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


DAMAGE = [  # what is done to the folder, what is said, whether it is said before there is a job
    (lambda f: (f / "config.json").unlink(), r"'{f}' is not a model: no config.json", True),
    (lambda f: (f / "config.json").write_text("{"), r"cannot read '{f}/config.json'", True),
    (lambda f: lie(f, architectures=["FalconForCausalLM"], model_type="falcon"), r"'{f}/config.json'.*FalconForCausalLM", True),
    (lambda f: os.truncate(f / "model.safetensors", 5000), r"'{f}/model.safetensors'.*beyond the end of the file", True),
    (lambda f: (f / "tokenizer.json").write_text("{"), r"cannot read '{f}/tokenizer.json'", True),
    (lambda f: lie(f, num_hidden_layers=5), r"cannot load '{f}': a tensor is missing", False)]


def test_a_folder_that_is_no_model_is_called_by_its_own_name(home, model, tmp_path):
    code = "local rows = {{instruction = 'a', response = 'b'}}\n"
    for i, (damage, _, _) in enumerate(DAMAGE):
        folder = shutil.copytree(model, tmp_path / f"m{i}")
        damage(folder)
        code += f"""
local ok, e = pcall(function() return llm.finetune{{model = "{folder}", train_dataset = rows, args = {{max_steps = 1}}, output_dir = "{tmp_path}/out"}} end)
local at_once = not ok
if ok then ok, e = pcall(e.wait, e) end
print("SAID", ok, at_once, e.message)
"""
    said = re.findall(r"SAID\tfalse\t(\w+)\t(.*)", script(home, code))
    assert len(said) == len(DAMAGE)
    for i, (at_once, message) in enumerate(said):
        assert re.search(DAMAGE[i][1].replace("{f}", re.escape(str(tmp_path / f"m{i}"))), message), message
        assert at_once == ("true" if DAMAGE[i][2] else "false"), message


def test_models_in_the_session_agree_with_transformers(home, model):
    import transformers

    net = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tok = transformers.AutoTokenizer.from_pretrained(model)
    ids = tok(["Which section", "Which section does package"], padding=True, return_tensors="pt")
    labels = ids.input_ids.masked_fill(ids.attention_mask == 0, -100)
    out = net(**ids, labels=labels)
    out.loss.backward()
    rows = json.dumps(ids.input_ids.tolist()).replace("[", "{").replace("]", "}")
    mask = json.dumps(ids.attention_mask.tolist()).replace("[", "{").replace("]", "}")
    label = json.dumps(labels.tolist()).replace("[", "{").replace("]", "}")
    printed = script(home, f"""
local m = llm.load("{model}", {{dtype = "f32", device = "cpu"}})
local out = m:forward{{input_ids = {rows}, attention_mask = {mask}, labels = {label}}}
print("LOSS", out.loss, out.logits.shape[1], out.logits.shape[2], out.logits.shape[3], out.logits:get(1, 2, 5))
m:backward()
for _, p in ipairs(m:parameters()) do print("GRAD", p.name, p.grad:norm()) end
m:print_trainable_parameters()
print("TEXT", m:generate{{prompt = "Which section", max_new_tokens = 8, temperature = 0}}.text)
local tok = llm.tokenizer("{model}")
print("IDS", table.concat(tok:encode("Which section does"), " "), tok:decode(tok:encode("Which section does")), #tok)
""")
    loss, b, n, v, logit = re.search(r"LOSS\t(.*)", printed)[1].split("\t")
    assert float(loss) == pytest.approx(out.loss.item(), rel=2e-5)
    assert [int(b), int(n), int(v)] == list(out.logits.shape)
    assert float(logit) == pytest.approx(out.logits[1, 2, 5].item(), abs=2e-5)
    grads = dict(re.findall(r"GRAD\t(\S+)\t(\S+)", printed))
    for name, p in net.named_parameters():
        assert float(grads[name]) == pytest.approx(p.grad.norm().item(), rel=2e-4), name
    made = net.generate(**tok("Which section", return_tensors="pt"), max_new_tokens=8, do_sample=False)[0][len(tok("Which section").input_ids):]
    assert re.search(r"TEXT\t(.*)", printed)[1] == tok.decode(made, skip_special_tokens=True)
    assert f"IDS\t{' '.join(map(str, tok('Which section does').input_ids))}\tWhich section does\t{len(tok)}" in printed


def test_generated_text_grows_and_stops(home, model):
    printed = script(home, f"""
local m = llm.load("{model}")
local whole = m:generate{{prompt = "a b", max_new_tokens = 16}}
local pieces, at = {{}}, 3
m:generate{{prompt = {{"c", "a b"}}, max_new_tokens = 16, on_text = function(p, i) if i == 2 then pieces[#pieces + 1] = p end end}}
print("SAME", table.concat(pieces) == whole.text, #pieces > 1, #whole.logprobs == #whole.ids, whole.finish_reason)
local stop = whole.text:sub(at, at + 2)
local cut = m:generate{{prompt = "a b", max_new_tokens = 16, stop = {{stop, "never"}}}}
print("CUT", cut.text == whole.text:sub(1, whole.text:find(stop, 1, true) - 1), cut.finish_reason)
print("ERROR", pcall(m.generate, m, {{prompt = "x", on_text = function() error("mine") end}}))
print("END", m:generate{{prompt = "a b", max_new_tokens = 16, on_text = function() return false end}}.finish_reason)
print("GREEDY", m:generate{{prompt = "a b", max_new_tokens = 5, temperature = 2, min_p = 1, seed = 9}}.text == m:generate{{prompt = "a b", max_new_tokens = 5}}.text)
print("BAD", pcall(m.generate, m, {{prompt = "x", min_p = 2}}))
print("BAD", pcall(m.generate, m, {{prompt = "x", stop = 3}}))
""")
    assert "SAME\ttrue\ttrue\ttrue\tlength" in printed and "CUT\ttrue\tstop" in printed, printed
    assert re.search(r"ERROR\tfalse\t.*mine", printed) and "END\tcallback" in printed and "GREEDY\ttrue" in printed
    assert "BAD\tfalse\t'min_p' is 2" in printed and "BAD\tfalse\t'stop' is a text" in printed


def test_choices_are_the_likeliest_answers(home, model):
    import transformers

    net = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tok = transformers.AutoTokenizer.from_pretrained(model)
    choices = [" " + w for w in WORDS] + [" tool shell", " game of the driver"]
    prompts = [r["q"] + " Answer:" for r in ROWS[:12]]

    def score(prompt, choice):
        p, c = tok(prompt).input_ids, tok(choice).input_ids + [tok.eos_token_id]
        with torch.no_grad():
            logp = net(torch.tensor([p + c])).logits[0].log_softmax(-1)
        return sum(logp[len(p) + i - 1, t].item() for i, t in enumerate(c))

    expected = [max(choices, key=lambda c: score(p, c)) for p in prompts]
    as_lua = lambda texts: "{" + ",".join(json.dumps(t) for t in texts) + "}"
    printed = script(home, f"""
for _, p in ipairs(llm.predict{{model = "{model}", prompts = {as_lua(prompts)}, choices = {as_lua(choices)}}}) do print("PICK", p.text, p.logprob) end
""")
    picks = re.findall(r"PICK\t( [^\t]*)\t(\S+)", printed)
    assert [p for p, _ in picks] == expected
    assert float(picks[0][1]) == pytest.approx(score(prompts[0], expected[0]), abs=1e-3)


def test_a_model_and_tokenizer_from_nothing(home, tmp_path):
    import transformers

    texts = "{" + ",".join(json.dumps(r["q"] + r["a"]) for r in ROWS) + "}"
    printed = script(home, f"""
local tok = llm.train_tokenizer{{texts = {texts}, vocab_size = 380, output_dir = "{tmp_path}/m"}}
local m = llm.create_model{{config = {{hidden_size = 32, intermediate_size = 64, num_hidden_layers = 1, num_attention_heads = 2, num_key_value_heads = 1}},
  tokenizer = tok, output_dir = "{tmp_path}/m", seed = 7}}
print("MADE", m.parameters, #tok)
local job = llm.finetune{{model = "{tmp_path}/m", train_dataset = {texts}, args = {{max_steps = 3}}, output_dir = "{tmp_path}/out"}}
job:wait()
""")
    net = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    tok = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    parameters, size = re.search(r"MADE\t(\d+)\t(\d+)", printed).groups()
    assert int(parameters) == sum(p.numel() for p in net.parameters())
    assert int(size) == len(tok) == net.config.vocab_size
    assert net.config.bos_token_id == tok.bos_token_id
    transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out")


def test_the_tracking_run_and_the_registry_get_everything(home, model, tmp_path):
    import peft
    import transformers

    printed = script(home, prelude(model, tmp_path / "out") + """
mlflow.set_experiment("/sft")
local run = mlflow.start_run{run_name = "one"}
local job = start()
mlflow.end_run() -- the job logs on
job:wait()
local r = mlflow.get_run(run.info.run_id)
print("PARAMS", json.encode(r.data.params))
print("METRICS", json.encode(r.data.metrics))
local history = mlflow.MlflowClient():get_metric_history(run.info.run_id, "loss")
print("HISTORY", #history, job.metrics[3].loss, history[3].value)
print("ADAPTER", mlflow.artifacts.download_artifacts(job.model_uri))
spark:sql("CREATE CATALOG ml"); spark:sql("CREATE SCHEMA ml.models")
local mv = mlflow.register_model(job.model_uri, "ml.models.sft")
mlflow.MlflowClient():set_registered_model_alias{name = mv.name, alias = "champion", version = mv.version}
local m = llm.load("models:/ml.models.sft@champion")
local e = llm.evaluate{model = m, dataset = """ + lua_rows(ROWS[40:]) + f""", template = "{TEMPLATE}", response_column = "a", completion_only = true}}
print("LOSSES", job:result().eval_loss, e.eval_loss)
""")
    params = json.loads(re.search(r"PARAMS\t(.*)", printed)[1])
    assert params["learning_rate"] == "0.005" and params["lora_alpha"] == "8" and params["model"] == str(model)
    metrics = json.loads(re.search(r"METRICS\t(.*)", printed)[1])
    assert {"loss", "eval_loss", "learning_rate", "train_loss"} <= set(metrics)
    n, said, logged = re.search(r"HISTORY\t(\d+)\t(\S+)\t(\S+)", printed).groups()
    assert n == "10" and said == logged
    base = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    tuned = peft.PeftModel.from_pretrained(base, re.search(r"ADAPTER\t(\S+)", printed)[1])
    after, loaded = re.search(r"LOSSES\t(\S+)\t(\S+)", printed).groups()
    assert float(after) == pytest.approx(float(loaded), abs=1e-5)
    assert float(after) == pytest.approx(eval_loss(tuned, model, ROWS[40:]), abs=1e-4)


def test_a_frozen_worker_is_named(home, model, tmp_path):
    printed = script(home, prelude(model, tmp_path / "out", **dict(SLOW, max_steps=100000)) + """
local job = start{max_restarts = 0}
until_step(job, 6)
local pid = worker_pid(job)
os.execute("kill -STOP " .. pid)
local ok, e = pcall(job.wait, job)
print("FROZEN", e.message, pid)
""", timeout=60)
    message, pid = re.search(r"FROZEN\t(.*)\t(\d+)", printed).groups()
    assert message.startswith("worker 'local-") and "its connection is gone" in message and "in step" in message
    assert not os.path.exists(f"/proc/{pid}")  # and it was ended


def test_conversations_are_written_by_the_chat_template(home, model, tmp_path):
    import peft
    import transformers

    tok = transformers.AutoTokenizer.from_pretrained(model)
    talks = [[{"role": "user", "content": r["q"]}, {"role": "assistant", "content": r["a"]}] for r in ROWS[:16]]
    as_lua = "{" + ",".join("{messages = {{role = 'user', content = %s}, {role = 'assistant', content = %s}}}" % (json.dumps(t[0]["content"]),
                            json.dumps(t[1]["content"])) for t in talks) + "}"
    printed = script(home, f"""
local talks = {as_lua}
local tok = llm.tokenizer("{model}")
print("CHAT", json.encode(tok:apply_chat_template(talks[1].messages, {{add_generation_prompt = true}})))
local job = llm.finetune{{model = "{model}", train_dataset = talks, eval_dataset = talks, completion_only = true, output_dir = "{tmp_path}/out",
  peft = LoraConfig{{r = 4, target_modules = {{"q_proj"}}}}, args = {{max_steps = 4, learning_rate = 0.01}}}}:wait()
print("RESULT", job:result().eval_loss)
""")
    assert json.loads(re.search(r"CHAT\t(.*)", printed)[1]) == tok.apply_chat_template(talks[0], add_generation_prompt=True, tokenize=False)
    net = peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), tmp_path / "out")
    total = 0.0
    for i in range(0, 16, 8):
        losses = labels = 0.0
        for talk in talks[i:i + 8]:
            prompt = tok(tok.apply_chat_template(talk[:1], add_generation_prompt=True, tokenize=False), add_special_tokens=False).input_ids
            whole = tok(tok.apply_chat_template(talk, tokenize=False), add_special_tokens=False).input_ids
            assert whole[:len(prompt)] == prompt and whole.count(tok.bos_token_id) == 1 and whole[-1] == tok.eos_token_id != whole[-2]
            lab = torch.tensor([[-100] * len(prompt) + whole[len(prompt):]])
            with torch.no_grad():
                n = len(whole) - len(prompt)
                losses += net(input_ids=torch.tensor([whole]), labels=lab).loss.item() * n
            labels += n
        total += losses / labels * 8
    assert float(re.search(r"RESULT\t(\S+)", printed)[1]) == pytest.approx(total / 16, abs=1e-4)


CHATML = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '</s>' + '\\n' }}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def test_a_template_that_ends_with_a_line_gets_no_second_end(home, model, tmp_path):
    import transformers

    folder = shutil.copytree(model, tmp_path / "chatml")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    tok = transformers.AutoTokenizer.from_pretrained(folder)
    tok.chat_template = CHATML.replace("</s>", tok.eos_token)
    tok.save_pretrained(folder)
    talk = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    net = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.tensor([tok.apply_chat_template(talk, return_dict=False)])
    with torch.no_grad():
        want = net(input_ids=ids, labels=ids).loss.item()
    printed = script(home, f"""
local talk = {{messages = {{{{role = "user", content = "one"}}, {{role = "assistant", content = "two"}}}}}}
print("LOSS", llm.finetune{{model = "{folder}", train_dataset = {{talk}}, eval_dataset = {{talk}}, output_dir = "{tmp_path}/out",
  args = {{max_steps = 1}}}}:wait():result().eval_loss_before)
""")
    assert float(re.search(r"LOSS\t(\S+)", printed)[1]) == pytest.approx(want, abs=1e-5)


def test_the_line_of_a_bad_template_is_named(home, plain_model, tmp_path):
    folder = shutil.copytree(plain_model, tmp_path / "bad")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}\n\n{{ nothing.at.all }}\n")
    code = f"""print(select(2, pcall(function() return llm.tokenizer("{folder}"):apply_chat_template{{{{role = "user", content = "x"}}}} end)).message)"""
    assert script(home, code) == "cannot render the chat template, line 3: 'nothing' is undefined\n"


def coordinator(home):
    return json.loads((home / "workers" / "coordinator.json").read_text())


def until(condition, seconds=30):
    for _ in range(int(seconds * 20)):
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_a_coordinator_that_hangs_is_named_and_replaced(home, model, tmp_path):
    code = prelude(model, tmp_path / "out") + """
start():wait()
local pid = %s
os.execute("kill -STOP " .. pid)
local job = start()
local ok, e = pcall(job.wait, job, {silent_seconds = 2})
print("HUNG", ok, e.message, e.hint, e.cause)
os.execute("kill -KILL " .. pid)
print("THEN", job:wait().status)
""" % "require('json').decode(io.open(os.getenv('LACUS_HOME') .. '/workers/coordinator.json'):read('a')).pid"
    printed = script(home, code)
    assert re.search(r"HUNG\tfalse\tthe coordinator of job 'job-\w+' has given no sign of life for \d+ s", printed)
    assert re.search(r"kill -9 \d+.*coordinator: job job-\w+: finished", printed, re.S) and "THEN\tfinished" in printed


def test_a_coordinator_of_another_version_or_build_is_replaced(home, model, tmp_path):
    program = tmp_path / "bin" / "lacus"
    shutil.copytree(LACUS.parent / "plugins", tmp_path / "bin" / "plugins")
    shutil.copy(LACUS, program)
    subprocess.run([program, "-"], input=prelude(model, tmp_path / "out", max_steps=1) + "start():wait()", text=True, check=True, env=environment(home))
    first = coordinator(home)
    shutil.copy(LACUS, tmp_path / "new")
    os.replace(tmp_path / "new", program)  # as a build does it
    assert until(lambda: not os.path.exists(f"/proc/{first['pid']}"), 30), "it stays although its program was replaced"
    subprocess.run([program, "-"], input=prelude(model, tmp_path / "out", max_steps=1) + "start():wait()", text=True, check=True, env=environment(home))
    second = coordinator(home)
    assert second["pid"] != first["pid"]
    time.sleep(1)  # it writes its file once more when the worker has left
    (home / "workers" / "coordinator.json").write_text(json.dumps(dict(second, version="0.0.1")))  # what an older one would say
    script(home, prelude(model, tmp_path / "out", max_steps=1) + "start():wait()")
    assert coordinator(home)["pid"] != second["pid"] and coordinator(home)["version"] != "0.0.1"
    done = subprocess.run([program, "-"], input=f'os.execute("cp {LACUS} {tmp_path}/new; mv {tmp_path}/new {program}") spark:range(3):show()', text=True,
                          capture_output=True, env=environment(home))
    assert done.returncode != 0 and "was replaced while it ran" in done.stderr and "start lacus again" in done.stderr  # not the new build's plugins
    time.sleep(1)
    third = dict(coordinator(home), version="0.0.1", workers=[{"name": "w", "about": "", "job": "job-1"}])
    (home / "workers" / "coordinator.json").write_text(json.dumps(third))
    printed = script(home, prelude(model, tmp_path / "out") + "local ok, e = pcall(start) print('REFUSED', e.message) print(#llm.jobs())")
    assert re.search(r"REFUSED\ta coordinator of another version of lacus \(0.0.1, pid \d+\) runs jobs.*\n3\n", printed)


def test_checkpoints_are_limited_and_jobs_are_managed_from_the_shell(home, model, tmp_path):
    args = dict(max_steps=12, save_steps=2, save_total_limit=2)
    printed = script(home, prelude(model, tmp_path / "out", **args) + "local j = start(); j:wait(); print('ID', j.id)")
    job = re.search(r"ID\t(\S+)", printed)[1]
    folder = home / "jobs" / job
    assert sorted(p.name for p in folder.glob("checkpoint-*")) == ["checkpoint-10", "checkpoint-12"]
    listed = lacus(home, "job", "list")
    assert re.search(rf"{job}\s+finished\s+local-\S+", listed.stdout)
    rows = json.loads(lacus(home, "job", "--output", "json").stdout)
    assert [r["id"] for r in rows] == [job] and rows[0]["status"] == "finished"
    shown = lacus(home, "job", "show", job).stdout
    assert "max_steps = 12" in shown and f"output         {tmp_path}/out" in shown and "eval_loss = " in shown
    assert json.loads(lacus(home, "job", "show", job, "--output", "json").stdout)["spec"]["args"]["save_steps"] == 2
    said = lacus(home, "job", "logs", job).stdout
    assert "running on local-" in said and "kept checkpoint-4" in said and "--- worker ---" in said
    assert any(e["event"] == "metric" and e["step"] == 12 for e in json.loads(lacus(home, "job", "logs", job, "--output", "json").stdout))
    wrong = lacus(home, "job", "show", job[:-1] + "x")
    assert wrong.returncode != 0 and f"did you mean '{job}'" in wrong.stderr
    cleaned = lacus(home, "job", "clean")
    assert re.match(r"1 job cleaned, (0\.[1-9]|[1-9]\d*\.\d) MB freed", cleaned.stdout)
    assert not list(folder.glob("checkpoint-*")) and not (folder / "data").exists() and (folder / "events.jsonl").exists()
    assert (tmp_path / "out" / "adapter_model.safetensors").exists()

    printed = script(home, prelude(model, tmp_path / "out2", **dict(SLOW, max_steps=100000)) + "local j = start(); until_step(j, 3); print('ID', j.id)")
    job = re.search(r"ID\t(\S+)", printed)[1]
    refused = lacus(home, "job", "clean", job)
    assert refused.returncode != 0 and "it has not ended" in refused.stderr and f"lacus job cancel {job}" in refused.stderr
    assert lacus(home, "job", "cancel", job).returncode == 0
    assert until(lambda: "cancelled" in lacus(home, "job", "show", job).stdout)


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", folder], capture_output=True).returncode != 0:
        pytest.skip("a small disk needs root: mount -t tmpfs")
    yield folder
    end_coordinator(folder / "home")
    until(lambda: subprocess.run(["umount", folder], capture_output=True).returncode == 0)


def test_a_full_disk_is_one_clear_error_and_loses_nothing(small_disk, model, tmp_path):
    """The checkpoint has 10 MB: one fits, the worker's copy beside it does not."""
    home = small_disk / "home"
    home.mkdir()
    start = prelude(model, tmp_path / "out", max_steps=12, save_steps=4)
    printed = script(home, start + """
local job = start({}, "peft")
local ok, e = pcall(job.wait, job)
print("FULL", ok, e.code, e.message, e.cause, e.hint)
print("STATUS", job.id, job.status)
""")
    assert re.search(r"FULL\tfalse\tNOSPACE\tcannot save the checkpoint of step 8\t.*No space left on device.*\tfree some space", printed), printed
    job, status = re.search(r"STATUS\t(\S+)\t(\w+)", printed).groups()
    assert status == "failed"
    before = lacus(home, "job", "logs", job, "--output", "json").stdout
    assert any(e["event"] == "metric" and e["step"] == 4 for e in json.loads(before))
    assert not list((home / "jobs" / job).glob(".incoming-*"))
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    assert "THEN\tfinished\t12" in script(home, f'local job = llm.job("{job}"):resume():wait() print("THEN", job.status, job:result().steps)')
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_a_disk_without_a_byte_left_still_ends_the_job(small_disk, model, tmp_path):
    home = small_disk / "home"
    home.mkdir()
    printed = script(home, prelude(model, tmp_path / "out", **dict(SLOW, save_steps=10)) + f"""
local job = start()
until_step(job, 5)
os.execute("dd if=/dev/zero of={small_disk}/fill bs=4k 2>/dev/null")
local ok, e = pcall(job.wait, job)
print("FULL", ok, e.code, job.status)
os.remove("{small_disk}/fill")
print("THEN", job:resume():wait().status, #job.metrics)
""", timeout=90)
    assert "FULL\tfalse\tNOSPACE\tfailed" in printed and "THEN\tfinished\t60" in printed, printed


@pytest.fixture
def plain_model(model, tmp_path):
    """The same model without a chat template."""
    folder = tmp_path / "plain"
    shutil.copytree(model, folder)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_a_template_becomes_the_chat_template(home, plain_model, tmp_path):
    """What a conversation is turned into is, token for token, what was learned."""
    import transformers

    script(home, prelude(plain_model, tmp_path / "out", max_steps=2) + r"""
start({template = "it's a \\ {q}\n\n### Answer:\n{a} !"}):wait()
start({output_dir = "%s", template = "{q}: {a} {q}"}):wait()
""" % (tmp_path / "other"))
    tok = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    talk = [{"role": "user", "content": "one {x} 'two'"}, {"role": "assistant", "content": "three"}]
    assert tok.apply_chat_template(talk, tokenize=False) == "it's a \\ one {x} 'two'\n\n### Answer:\nthree !<eos>"
    assert tok.apply_chat_template(talk[:1], add_generation_prompt=True, tokenize=False) == "it's a \\ one {x} 'two'\n\n### Answer:\n"
    assert not (tmp_path / "other" / "chat_template.jinja").exists()  # no conversation can be written by that one
    ours = script(home, f"""local tok = llm.tokenizer("{tmp_path}/out")
print("CHAT", json.encode(tok:apply_chat_template({{{{role = "user", content = "one {{x}} 'two'"}}, {{role = "assistant", content = "three"}}}})))""")
    assert json.loads(re.search(r"CHAT\t(.*)", ours)[1]) == tok.apply_chat_template(talk, tokenize=False)


def test_a_template_never_replaces_a_chat_template(home, model, tmp_path):
    import transformers

    script(home, prelude(model, tmp_path / "out", max_steps=2) + "start():wait()")
    assert transformers.AutoTokenizer.from_pretrained(tmp_path / "out").chat_template == CHAT


def notebook(path, *cells):
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name": "lacus", "display_name": "lacus", "language": "lua"}},
                                "cells": [{"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": c, "outputs": [], "execution_count": None}
                                          for i, c in enumerate(cells)]}))
    return path


def test_a_notebook_shows_the_curve_and_ends_its_jobs(home, model, tmp_path):
    book = notebook(tmp_path / "n.ipynb", prelude(model, tmp_path / "a") + "start():wait()",
                    prelude(model, tmp_path / "b", **dict(SLOW, max_steps=100000)) + "local job = start(); until_step(job, 3); print(job.id)")
    done = lacus(home, "run", book, "-o", tmp_path / "out.ipynb")
    assert done.returncode == 0, done.stdout + done.stderr
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    shown = [o["data"] for o in cells[0]["outputs"] if o["output_type"] == "display_data"]
    bars = [d for d in shown if "text/html" in d]
    curves = [d for d in shown if "application/vnd.vegalite.v5+json" in d]
    assert len(bars) == 1 and "step 10/10" in "".join(bars[0]["text/plain"]) and "<progress value='10' max='10'" in "".join(bars[0]["text/html"])
    assert len(curves) == 1 and "o eval" in "".join(curves[0]["text/plain"])
    assert done.stdout.count("o eval") == 1  # once, at the end
    values = curves[0]["application/vnd.vegalite.v5+json"]["data"]["values"]
    assert [v["step"] for v in values if v["series"] == "train"] == list(range(1, 11))
    assert [v["step"] for v in values if v["series"] == "eval"] == [0, 10]
    for _ in range(60):
        printed = script(home, "print(llm.jobs()[1].status)")
        if "cancelled" in printed:
            break
        time.sleep(0.5)
    assert "cancelled" in printed


def test_conversations_and_gaps_of_a_dataframe(home, model, plain_model, tmp_path):
    talks = [{"messages": [{"role": "user", "content": r["q"]}, {"role": "assistant", "content": r["a"]}]} for r in ROWS[:8]]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps(t) + "\n" for t in talks))
    as_lua = "json.decode([==[" + json.dumps(talks) + "]==])"
    printed = script(home, f"""
local function loss(rows)
  return llm.finetune{{model = "{model}", train_dataset = rows, eval_dataset = rows, output_dir = "{tmp_path}/out", args = {{max_steps = 1}}}}:wait():result().eval_loss_before
end
print("SAME", loss(spark.read:json("{tmp_path}/chat.jsonl")) == loss({as_lua}))
local function said(o)
  o.model = o.model or "{model}"
  print("SAID", (select(2, pcall(llm.finetune, o))).message)
end
local gaps = spark:sql("SELECT 'a' AS q, 'b' AS a UNION ALL SELECT 'c', NULL")
said{{train_dataset = gaps, template = "{{q}} {{a}}", response_column = "a"}}
said{{train_dataset = {{{{instruction = "a", response = null}}}}}}
said{{train_dataset = {{{{messages = {{{{role = "user", content = "a"}}}}}}}}}}
said{{model = "{plain_model}", train_dataset = {{{{messages = {{{{role = "user", content = "a"}}, {{role = "assistant", content = "a"}}}}}}}}}}
""")
    assert "SAME\ttrue" in printed
    said = re.findall(r"SAID\t(.*)", printed)
    assert said[0] == "the template names 'a', which row 2 has not, or it is NULL there"
    assert said[1] == "'response' of row 1 is NULL"
    assert said[2] == "the conversation of row 1 does not end with an answer of the assistant"
    assert said[3] == "cannot write the conversation of row 1: the model has no chat template"


def test_a_dataframe_is_a_dataset(home, model, tmp_path):
    rows = "{" + ",".join("{[==[%s]==], [==[%s]==], %d}" % (r["q"], r["a"], i) for i, r in enumerate(ROWS)) + "}"
    printed = script(home, prelude(model, tmp_path / "a") + f"""
local df = spark:createDataFrame({rows}, {{"q", "a", "n"}})
local same = start():wait():result()
local other = start{{train_dataset = df:filter("n < 40"):orderBy("n"), eval_dataset = df:filter("n >= 40"):orderBy("n"), output_dir = "{tmp_path}/b"}}:wait():result()
df.write:format("delta"):saveAsTable("talks")
df.write:format("delta"):mode("overwrite"):saveAsTable("talks")
spark:table("talks"):count() -- read for something else
spark:createDataFrame({{{{1}}}}, {{"n"}}).write:format("delta"):saveAsTable("others")
local from = spark:table("talks")
local third = start{{train_dataset = from:filter("n < 40"):orderBy("n"), eval_dataset = from:filter("n >= 40"):orderBy("n"), output_dir = "{tmp_path}/c"}}:wait()
print("TABLES", third:result().eval_loss == other.eval_loss, table.concat(third.spec.data.tables, " "), llm.job(llm.jobs()[2].id).spec.data.tables)
print("LOSSES", same.eval_loss, other.eval_loss)
""")
    assert "TABLES\ttrue\tspark_catalog.default.talks@1\tnil" in printed
    same, other = re.search(r"LOSSES\t(\S+)\t(\S+)", printed).groups()
    assert same == other
