"""Dataset, the tokenizer's batches and Trainer: what datasets and transformers give for the same."""
import json
import re

import pytest
from lacus import lacus, script, script_json
from test_train import ROWS, home, lua_rows, model  # noqa: F401

datasets = pytest.importorskip("datasets")
torch = pytest.importorskip("torch")

ROWS_LUA = 'local ds = Dataset.from_dict{a = {5, 3, 1, 4, 2, 9, 7}, s = {"x", "y", null, "z", "x", "w", "v"}}\n'
THEIRS = {"a": [5, 3, 1, 4, 2, 9, 7], "s": ["x", "y", None, "z", "x", "w", "v"]}


def theirs():
    return datasets.Dataset.from_dict(THEIRS)


def test_a_dataset_looks_like_hugging_faces(home):
    split = theirs().train_test_split(test_size=0.4, seed=1)
    out = script(home, ROWS_LUA + "print(ds) print(ds.features) print(ds:train_test_split{test_size = 0.4, seed = 1})")
    assert out == f"{theirs()}\n{theirs().features}\n{split}\n"


@pytest.mark.parametrize("lua, python", [
    ("ds:shuffle{seed = 42}", lambda d: d.shuffle(seed=42)),
    ("ds:shuffle{seed = 2 ^ 40 | 0}", lambda d: d.shuffle(seed=2**40)),
    ("ds:train_test_split{test_size = 0.3, seed = 7}.train", lambda d: d.train_test_split(test_size=0.3, seed=7)["train"]),
    ("ds:train_test_split{test_size = 2, seed = 7}.test", lambda d: d.train_test_split(test_size=2, seed=7)["test"]),
    ("ds:train_test_split{shuffle = false}.test", lambda d: d.train_test_split(shuffle=False)["test"]),
    ("ds:select{1, 3, 7}", lambda d: d.select([0, 2, 6])),
    ("ds:sort('a')", lambda d: d.sort("a")),
    ("ds:sort('a', {reverse = true})", lambda d: d.sort("a", reverse=True)),
    ("ds:sort({'s', 'a'}, {reverse = {false, true}})", lambda d: d.sort(["s", "a"], reverse=[False, True])),
    ("ds:sort({'s', 'a'}, {reverse = {true, false}})", lambda d: d.sort(["s", "a"], reverse=[True, False])),
    ("ds:add_column('x', {0.5, 0/0, 2, null, 0/0, -1, 3}):sort('x', {reverse = true}):select_columns('a')",
     lambda d: d.add_column("x", [0.5, float("nan"), 2.0, None, float("nan"), -1.0, 3.0]).sort("x", reverse=True).select_columns("a")),
    ("ds:take(2)", lambda d: d.take(2)),
    ("ds:skip(5)", lambda d: d.skip(5)),
    ("ds:shard{num_shards = 3, index = 1}", lambda d: d.shard(3, 0)),
    ("ds:shard{num_shards = 3, index = 3, contiguous = false}", lambda d: d.shard(3, 2, contiguous=False)),
    ("ds:filter(function(row) return row.a > 3 end)", lambda d: d.filter(lambda r: r["a"] > 3)),
    ("ds:rename_column('a', 'b')", lambda d: d.rename_column("a", "b")),
    ("ds:remove_columns{'a'}", lambda d: d.remove_columns(["a"])),
    ("ds:add_column('n', {1, 2, 3, 4, 5, 6, 7})", lambda d: d.add_column("n", [1, 2, 3, 4, 5, 6, 7])),
    ("ds:map{function(row) return {n = row.a * 2} end, remove_columns = 's'}", lambda d: d.map(lambda r: {"n": r["a"] * 2}, remove_columns="s")),
    ("ds:map(function(b) return {n = {#b.a, #b.a}} end, {batched = true, batch_size = 3, remove_columns = {'a', 's'}})",
     lambda d: d.map(lambda b: {"n": [len(b["a"])] * 2}, batched=True, batch_size=3, remove_columns=["a", "s"])),
    ("concatenate_datasets{ds, ds:take(1)}", lambda d: datasets.concatenate_datasets([d, d.take(1)])),
])
def test_methods_agree(home, lua, python):
    ours = script_json(home, ROWS_LUA + f'local d = {lua}\nprint(require("json").encode{{names = d.column_names, columns = d:to_dict(), n = #d}})')
    want = python(theirs())
    assert ours["names"] == want.column_names and ours["n"] == want.num_rows
    assert ours["columns"] == {name: list(want[name]) for name in want.column_names}


def test_a_shuffle_of_many_rows_is_numpys(home):
    import numpy

    ours = script_json(home, 'local a = {} for i = 1, 20000 do a[i] = i - 1 end\nprint(require("json").encode(Dataset.from_dict{a = a}:shuffle{seed = 3}.a))')
    assert ours == numpy.random.default_rng(3).permutation(20000).tolist()


def test_map_is_cached_by_content(home):
    code = ROWS_LUA + """
local by = %d
scale = %d
local function f(row) print("called") return {n = row.a * by * scale} end
print(table.concat(ds:map{f}.n, ","))
"""
    first = script(home, code % (2, 1))
    assert first.count("called") == 7 and "10,6,2,8,4,18,14" in first
    assert script(home, code % (2, 1)) == "10,6,2,8,4,18,14\n"
    assert script(home, code % (3, 1)).count("called") == 7  # another upvalue
    assert script(home, code % (2, 5)).count("called") == 7  # another global
    assert script(home, (code % (2, 1)).replace("{5, 3", "{6, 3")).count("called") == 7  # other rows
    assert script(home, (code % (2, 1)).replace("ds:map{f}", "ds:map{f, load_from_cache_file = false}")).count("called") == 7


def test_files(home, tmp_path):
    import pyarrow.parquet

    folder = tmp_path / "rows.parquet"
    out = script_json(home, ROWS_LUA + f"""
ds:to_json("{tmp_path}/rows.jsonl")
ds:to_parquet("{folder}")
local names = {{}}
for kind, file in pairs{{json = "{tmp_path}/rows.jsonl", parquet = "{folder}"}} do
  names[kind] = load_dataset(kind, {{data_files = file, split = "train"}}):to_dict()
end
names.again = Dataset(ds:to_df()):to_dict()
print(require("json").encode(names))""")
    assert out["json"] == out["parquet"] == out["again"] == THEIRS
    assert datasets.load_dataset("json", data_files=str(tmp_path / "rows.jsonl"), split="train", cache_dir=str(tmp_path / "hf")).to_dict() == THEIRS
    assert pyarrow.parquet.read_table(folder).to_pydict() == THEIRS


@pytest.mark.parametrize("code, says", [
    ("ds:remove_columns('aa')", "Column name 'aa' not in the dataset"),
    ("ds:map{1}", "ds:map takes a function first"),
    ("ds:map{function() end, batch = true}", "did you mean"),
    ("print(ds[9])", "out of bounds for size 7"),
    ("load_dataset('jsonl', {data_files = 'x'})", "load_dataset does not know 'jsonl'"),
    ("Trainer{model = 'x', train_data = ds}", "did you mean 'train_dataset'"),
    ("Trainer{model = 'x', args = TrainingArguments{learning_rat = 1}}", "learning_rate"),
    ("TrainingArguments{learning_rat = 1}", "did you mean 'learning_rate'"),
    ("TrainingArguments{learning_rate = '1e-4'}", "'learning_rate' is not a number"),
    ("TrainingArguments{max_lenght = 8}", "did you mean 'max_length'"),
    ("TrainingArguments{push_to_hub = true}", "nothing is uploaded"),
    ("TrainingArguments{per_device_train_batch_size = 0}", "'per_device_train_batch_size' is 0: not between"),
    ("TrainingArguments{eval_steps = 1.5}", "'eval_steps' is not a whole number, or a share of all steps"),
    ("ds:sort({'a', 's'}, {reverse = {true}})", "'reverse' has 1 values for 2 columns"),
    ("DPOConfig{beta = 0.1}", "llm.dpo"),
    ("get_peft_model(m, LoraConfig{r = 4})", "llm.finetune{peft"),
    ("LoraConfig{rank = 8}", "LoraConfig has no field 'rank'"),
    ("LoraConfig{target_module = {'q_proj'}}", "did you mean 'target_modules'"),
    ("LoraConfig{use_dora = 'true'}", "'use_dora' is not true or false"),
    ("LoraConfig{use_rslora = 1}", "'use_rslora' is not true or false"),
    ("PromptTuningConfig{num_virtual_token = 8}", "num_virtual_token"),
    ("PrefixTuningConfig{num_virtual_token = 8}", "num_virtual_token"),
    ("BitsAndBytesConfig{load_in_4bits = true}", "did you mean 'load_in_4bit'"),
    ("Dataset:from_list{{text = 'a'}}", "Dataset.from_list takes a dot, not a colon"),
    ("Dataset:from_dict{text = {'a'}}", "Dataset.from_dict takes a dot"),
    ("Trainer{model = 'x', report_to = 'wandb'}", "cannot report a training to 'wandb'"),
    ("Trainer{model = 'x', callbacks = {{on_logs = print}}}", "did you mean 'on_log'"),
])
def test_bad_input_is_answered(home, code, says):
    """Where it is written: nothing has started."""
    done = lacus(home, "-", text=ROWS_LUA + code)
    assert done.returncode != 0 and says in done.stderr + done.stdout


def test_nested_values_of_a_dataframe(home, tmp_path):
    row = {"id": 1, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}], "s": {"a": 1, "b": [1, 2]}}
    datasets.Dataset.from_list([row, row]).to_parquet(str(tmp_path / "rows.parquet"))
    ours = script(home, f"""
local ds = load_dataset("parquet", {{data_files = "{tmp_path}/rows.parquet", split = "train"}})
print(require("json").encode(ds:to_list()))
ds:to_json("{tmp_path}/rows.jsonl")
print(load_dataset("json", {{data_files = "{tmp_path}/rows.jsonl"}}))""")
    lines = ours.splitlines()
    assert json.loads(lines[0]) == [row, row]
    assert [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()] == [row, row]
    assert "\n".join(lines[1:]) == str(datasets.DatasetDict(train=datasets.Dataset.from_list([row, row])))


def test_map_with_a_tokenizer(home, model):  # noqa: F811
    import transformers

    tok = transformers.AutoTokenizer.from_pretrained(model)
    want = datasets.Dataset.from_dict({"s": TEXTS}).map(lambda b: tok(b["s"], truncation=True, max_length=6), batched=True, batch_size=2, remove_columns="s")
    code = f"""
local tok = llm.tokenizer("{model}")
local ds = Dataset.from_dict{{s = {{{", ".join(json.dumps(t) for t in TEXTS)}}}}}
local out = ds:map{{function(b) print("called") return tok(b.s, {{truncation = true, max_length = 6}}) end, batched = true, batch_size = 2, remove_columns = "s"}}
for row in out:iter() do print(table.concat(row.input_ids, ","), table.concat(row.attention_mask, ",")) end
"""
    lines = [f"{','.join(map(str, r['input_ids']))}\t{','.join(map(str, r['attention_mask']))}" for r in want]
    assert script(home, code).splitlines() == ["called"] * 3 + lines
    assert script(home, code).splitlines() == lines  # from the cache


TEXTS = ["Which section", "", "Which section does package 3 of tool kind number 8 belong to? tool", "a b c", "<bos>library"]


@pytest.fixture(scope="module")
def adding(model, tmp_path_factory):  # noqa: F811
    """The tokenizer of the model, with what begins and ends a text put there by its post-processor, and sides of its own."""
    import transformers
    from tokenizers.processors import TemplateProcessing

    folder = tmp_path_factory.mktemp("adding")
    fast = transformers.AutoTokenizer.from_pretrained(model)
    fast.backend_tokenizer.post_processor = TemplateProcessing(single="<bos> $A <eos>", special_tokens=[("<bos>", 0), ("<eos>", 1)])
    fast.padding_side, fast.truncation_side = "left", "left"
    fast.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("which", ["model", "adding"])
def test_batches_of_a_tokenizer_agree(home, model, adding, which):  # noqa: F811
    import transformers

    folder = {"model": model, "adding": adding}[which]
    fast = transformers.AutoTokenizer.from_pretrained(folder)
    cases = [dict(zip(("truncation", "padding", "max_length", "padding_side", "truncation_side", "add_special_tokens"), c)) for c in [
        (None, None, None, None, None, None), (True, "longest", 8, None, None, None), (True, "max_length", 8, "left", "left", None),
        (None, True, None, "right", None, None), (True, False, 5, None, "right", None), (True, "max_length", 6, None, None, False),
        (True, "longest", 2, "left", None, None), (None, "max_length", 4, None, None, None)]]
    cases = [{k: v for k, v in c.items() if v is not None} for c in cases]
    calls = "".join("out[#out + 1] = tok{texts, %s}\n" % ", ".join(f"{k} = {json.dumps(v)}" for k, v in c.items()) for c in cases)
    ours = script_json(home, f"""
local tok, out, texts = llm.tokenizer("{folder}"), {{}}, {{{", ".join(json.dumps(t) for t in TEXTS)}}}
{calls}out[#out + 1] = tok("Which section", {{padding = "max_length", max_length = 6}})
for _, b in ipairs(out) do
  for _, rows in pairs(b) do for i, row in ipairs(rows) do if type(row) == "table" and #row == 0 then rows[i] = require("json").array{{}} end end end
end
print(require("json").encode(out))""")
    side = fast.truncation_side
    for case, got in zip(cases, ours):
        fast.truncation_side = case.get("truncation_side", side)  # no argument of a call there
        want = fast(TEXTS, **{k: v for k, v in case.items() if k != "truncation_side"})
        assert got == {"input_ids": want["input_ids"], "attention_mask": want["attention_mask"]}, case
    want = fast("Which section", padding="max_length", max_length=6)
    assert ours[-1] == {"input_ids": want["input_ids"], "attention_mask": want["attention_mask"]}


ARGS = dict(max_steps=12, per_device_train_batch_size=4, per_device_eval_batch_size=4, learning_rate=0.001, logging_steps=5, eval_steps=6, lr_scheduler_type="cosine",
            warmup_steps=3, weight_decay=0.1, seed=42, save_steps=1000,
            label_smoothing_factor=0.1, eval_on_start=True)


def token_rows(model, rows):  # noqa: F811
    import transformers

    tok = transformers.AutoTokenizer.from_pretrained(model)
    return [{"input_ids": (ids := tok(r["q"] + r["a"]).input_ids), "labels": [-100] * 5 + ids[5:]} for r in rows]


def trainer_of_transformers(model, out):  # noqa: F811
    import transformers

    tok = transformers.AutoTokenizer.from_pretrained(model)
    net = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    args = transformers.TrainingArguments(output_dir=str(out), eval_strategy="steps", report_to="none", use_cpu=True, disable_tqdm=True, save_strategy="no",
                                          **{k: v for k, v in ARGS.items() if k != "save_steps"})
    return transformers.Trainer(net, args, train_dataset=datasets.Dataset.from_list(token_rows(model, ROWS[:40])),
                                eval_dataset=datasets.Dataset.from_list(token_rows(model, ROWS[40:])),
                                data_collator=transformers.DataCollatorForSeq2Seq(tok, padding=True))


def test_a_trainer_has_the_history_of_transformers(home, model, tmp_path):  # noqa: F811
    import transformers

    theirs_ = trainer_of_transformers(model, tmp_path / "hf")
    theirs_.train()
    predicted = theirs_.predict(theirs_.eval_dataset)
    for name, rows in {"train": ROWS[:40], "eval": ROWS[40:]}.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, token_rows(model, rows))))
    args = ", ".join(f"{k} = {json.dumps(v)}" for k, v in ARGS.items())
    printed = script(home, f"""
local function read(name) return load_dataset("json", {{data_files = "{tmp_path}/" .. name .. ".jsonl", split = "train"}}) end
local steps, logs = 0, 0
local t = Trainer{{model = "{model}", train_dataset = read("train"), eval_dataset = read("eval"),
  args = TrainingArguments{{eval_strategy = "steps", output_dir = "{tmp_path}/out", {args}}},
  compute_metrics = function(p) return {{rows = #p.predictions, first = p.predictions[1][1], labels = p.label_ids[1][1]}} end,
  callbacks = {{{{on_step_end = function() steps = steps + 1 end, on_log = function(args, state, control, line) logs = logs + 1 end}}}}}}
local r = t:train()
local p = t:predict(read("eval"))
t:save_model("{tmp_path}/saved")
print("RESULT" .. require("json").encode{{history = table.move(t.state.log_history, 1, #t.state.log_history, 1, {{}}), steps = steps, logs = logs, loss = r.training_loss, eval = t:evaluate(),
  predictions = p.predictions, labels = p.label_ids, metrics = p.metrics}})
""")
    got = json.loads(re.search("RESULT(.*)", printed)[1])
    want = theirs_.state.log_history
    for key in ("loss", "eval_loss", "learning_rate", "grad_norm"):
        a, b = [[(row["step"], row[key]) for row in rows if key in row] for rows in (got["history"], want)]
        assert len(b) >= 2 and [s for s, _ in a] == [s for s, _ in b]
        assert [v for _, v in a] == pytest.approx([v for _, v in b], rel=1e-3 if key == "grad_norm" else 1e-4, abs=1e-7), key
    assert got["steps"] == 12 and got["logs"] == 2 + 2 + 1 + 1
    assert got["loss"] == pytest.approx(theirs_.state.log_history[-1]["train_loss"], rel=1e-4)
    assert got["metrics"]["test_loss"] == pytest.approx(predicted.metrics["test_loss"], rel=1e-4)
    assert got["eval"]["eval_rows"] == 8 and got["eval"]["eval_labels"] == -100
    assert got["labels"] == [r["labels"] for r in token_rows(model, ROWS[40:])]
    best = predicted.predictions.argmax(-1)
    same = [a == b for row, line in zip(got["predictions"], best) for a, b in zip(row, line)]
    assert sum(same) >= 0.99 * len(same)
    saved = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    ids = torch.tensor([token_rows(model, ROWS[:1])[0]["input_ids"]])
    with torch.no_grad():
        assert torch.allclose(saved(ids).logits, theirs_.model(ids).logits, atol=2e-3)


def test_a_callback_stops_a_training(home, model, tmp_path):  # noqa: F811
    printed = script(home, f"""
local rows = {{}}
for i = 1, 16 do rows[i] = {{text = ("number %d and some more words of a text"):format(i):rep(4)}} end
local t = Trainer{{model = "{model}", train_dataset = Dataset(rows), report_to = "none",
  args = TrainingArguments{{max_steps = 5000, per_device_train_batch_size = 16, logging_steps = 1, save_steps = 2, output_dir = "{tmp_path}/out"}},
  callbacks = {{{{on_log = function(args, state, control, line) if state.global_step >= 4 then return "stop" end end}}}}}}
local r = t:train()
t:save_model("{tmp_path}/saved")
print("STOPPED", r.global_step, t:evaluate(Dataset(rows)).eval_loss)
""")
    steps = int(re.search(r"STOPPED\t(\d+)\t\d", printed)[1])
    assert 4 <= steps < 5000 and (tmp_path / "saved" / "config.json").exists()


def test_metrics_of_ones_own_at_each_evaluation(home, model, tmp_path):  # noqa: F811
    import peft
    import torch
    import transformers

    printed = script(home, f"""
local rows = {lua_rows(ROWS[:16])}
local weight = 7
local function sums(e)
  local s, n, labels = 0, 0, 0
  for i, row in ipairs(e.predictions) do
    for j, id in ipairs(row) do s, n, labels = s + id * (i + weight * j), n + 1, labels + e.label_ids[i][j] end
  end
  return {{sum = s, places = n, eval_labels = labels}}
end
local o = {{model = "{model}", train_dataset = rows, eval_dataset = rows, template = "{{q}} {{a}}", response_column = "a", completion_only = true, compute_metrics = sums,
  peft = LoraConfig{{r = 4, target_modules = {{"q_proj", "v_proj"}}}},
  args = {{max_steps = 4, eval_strategy = "steps", eval_steps = 2, save_steps = 2, per_device_eval_batch_size = 3, learning_rate = 0.05, output_dir = "{tmp_path}/out",
    metric_for_best_model = "sum", load_best_model_at_end = false}}}}
local t = Trainer(o)
t:train()
for _, l in ipairs(t.state.log_history) do if l.eval_loss then print("AT", l.step, l.eval_sum, l.eval_places, l.eval_labels) end end
local e = t:evaluate()
print("HERE", 0, e.eval_sum, e.eval_places, e.eval_labels)
local tok = llm.tokenizer("{model}")
o.compute_metrics, o.args.metric_for_best_model = function(e) return {{n = #tok:decode(e.predictions[1])}} end, nil
t = Trainer(o)
t:train()
print("N", t.state.log_history[1].eval_n, t:evaluate().eval_n ~= nil)
for _, f in ipairs{{function(e) return e.nothing.here end, function() return 1 end, function() return {{x = "1"}} end}} do
  print("SAID", (select(2, pcall(function() llm.finetune{{model = "{model}", train_dataset = rows, eval_dataset = rows, template = "{{q}} {{a}}", compute_metrics = f, args = {{max_steps = 1}}}}:wait() end))).message)
end
""")
    net = peft.PeftModel.from_pretrained(transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32), tmp_path / "out").eval()
    tok = transformers.AutoTokenizer.from_pretrained(model)
    sums = places = labels = 0
    for i, r in enumerate(ROWS[:16], 1):
        prompt = tok(r["q"] + " ").input_ids
        ids = prompt + tok(r["a"]).input_ids + [tok.eos_token_id]
        with torch.no_grad():
            best = net(input_ids=torch.tensor([ids])).logits[0].argmax(-1).tolist()
        sums += sum(p * (i + 7 * j) for j, p in enumerate(best, 1))
        places += len(ids)
        labels += -100 * len(prompt) + sum(ids[len(prompt):])
    lines = [[float(x) for x in line] for line in re.findall(r"(?:AT|HERE)\t(\S+)\t(\S+)\t(\S+)\t(\S+)", printed)]
    assert [line[0] for line in lines] == [2, 4, 0]
    assert lines[1][1:] == lines[2][1:] == [sums, places, labels] and lines[0][1] != sums
    assert "compute_metrics is not called while it trains" in printed and "N\tnil\ttrue" in printed
    said = re.findall(r"SAID\t(.*)", printed)
    assert re.match("compute_metrics failed: .*nothing", said[0])
    assert said[1:] == ["compute_metrics gives no metrics: it returned a number", "compute_metrics gives no metrics: 'x' is a string"]
