"""Files and rows that are broken, lie, or belong to something else: one clear error each."""
import json
import re
import shutil
import struct

import pytest
import torch
from safetensors.torch import save_file

from clib import LacusError
from engine import CTX, Engine
from lacus import script
from test_engine import CONFIGS, SHAPE, examples
from test_train import ROWS, TEMPLATE, eval_loss, home, lua_rows, model, prelude  # noqa: F401: fixtures


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture
def folder(engine, tmp_path):
    m = engine.create({**SHAPE, **CONFIGS["llama"]})
    engine.call("model_save", CTX, m, str(tmp_path).encode())
    engine.lib.model_free(m)
    return tmp_path


def header(path, change):
    """Rewrites the header of a safetensors file, and nothing else."""
    data = path.read_bytes()
    n, = struct.unpack_from("<Q", data)
    head = json.loads(data[8:8 + n])
    change(head)
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + n:])


def offsets(name, value):
    return lambda head: head[name].update(data_offsets=value)


NORM = "model.norm.weight"


@pytest.mark.parametrize("change", [
    offsets(NORM, [0, 192]),                            # overlaps another
    offsets(NORM, [-8, 184]),
    offsets(NORM, [2 ** 63, 2 ** 63 + 192]),
    offsets(NORM, [192, 0]),
    lambda head: head[NORM].update(shape=[2 ** 40, 2 ** 40]),
    lambda head: head[NORM].update(shape=[49]),
    lambda head: head[NORM].update(dtype="F99"),
    lambda head: head.update({"model.nrm.weight": head.pop(NORM)}),
], ids=["overlap", "negative", "huge", "reversed", "overflow", "shape", "dtype", "name"])
def test_hostile_headers(engine, folder, change):
    header(folder / "model.safetensors", change)
    with pytest.raises(LacusError, match="model.safetensors|model.norm.weight|tensor"):
        engine.load(folder)


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_truncated_files(engine, folder, size):
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:size])
    with pytest.raises(LacusError, match="model.safetensors"):
        engine.load(folder)


@pytest.mark.parametrize("lie, message", [
    (dict(hidden_size=52), "has shape .* but the config asks for"),
    (dict(num_hidden_layers=1), "no place for tensor"),
    (dict(num_hidden_layers=3), "a tensor is missing|model.layers.2"),
    (dict(num_hidden_layers=10 ** 9), "num_hidden_layers"),
    (dict(num_key_value_heads=3), "is not a multiple"),
    (dict(vocab_size=10 ** 12), "vocab_size"),
    (dict(vocab_size=1000), "has shape .* but the config asks for"),
    (dict(rms_norm_eps=-1), "rms_norm_eps"),
    (dict(hidden_act="gelu"), "hidden_act"),
    (dict(model_type="bert"), "bert"),
])
def test_configs_that_lie(engine, folder, lie, message):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **lie}))
    with pytest.raises(LacusError, match=message):
        engine.load(folder)


def test_a_checkpoint_of_another_model(engine, folder, tmp_path):
    args = dict(max_steps=4, per_device_train_batch_size=4, save_steps=2, output_dir=str(tmp_path / "out"))
    m = engine.load(folder)
    engine.train(m, examples(), **args)
    other = engine.create({**SHAPE, **CONFIGS["llama"], "hidden_size": 32})
    t, _keep = engine.trainer(other, examples(), **args)
    with pytest.raises(LacusError, match="cannot resume|has shape"):
        engine.call("trainer_resume", CTX, t, str(tmp_path / "out" / "checkpoint-2").encode())
    engine.lib.trainer_free(t)
    t, _keep = engine.trainer(m, examples(), **args, seed=3)
    with pytest.raises(LacusError, match="'seed' is 3, it was 42"):
        engine.call("trainer_resume", CTX, t, str(tmp_path / "out" / "checkpoint-2").encode())
    engine.lib.trainer_free(t)


@pytest.mark.parametrize("rows, message", [
    ([], "has 0 examples"),
    ([([3, 4, 5], [-100, -100, -100])], "carries a label to learn from"),
    ([([3], [3])], "carries a label to learn from"),
    ([([3, 131], [3, 131])], "example 0, place 1: token 131"),
    ([([3, -1], [3, 3])], "token -1"),
    ([([3, 4], [3, 4000])], "label 4000"),
])
def test_rows_that_teach_nothing(engine, rows, message):
    m = engine.create({**SHAPE, **CONFIGS["llama"]})
    with pytest.raises(LacusError, match=message):
        engine.trainer(m, rows, max_steps=1)


def test_adapters_that_do_not_fit(engine, folder, tmp_path):
    m = engine.load(folder)
    engine.lora(m, r=4, target_modules=["q_proj"])
    engine.call("lora_save", CTX, m, str(tmp_path / "a").encode())
    file, config = tmp_path / "a" / "adapter_model.safetensors", tmp_path / "a" / "adapter_config.json"
    keep = file.read_bytes()
    other = engine.create({**SHAPE, **CONFIGS["llama"], "hidden_size": 32})
    with pytest.raises(LacusError, match="has shape"):
        engine.call("adapter_load", CTX, other, str(tmp_path / "a").encode())
    file.write_bytes(keep[:50])
    with pytest.raises(LacusError, match="adapter_model.safetensors"):
        engine.call("adapter_load", CTX, engine.load(folder), str(tmp_path / "a").encode())
    save_file({"base_model.model.other.lora_A.weight": torch.zeros(2, 2)}, file)
    with pytest.raises(LacusError, match="a tensor is missing"):
        engine.call("adapter_load", CTX, engine.load(folder), str(tmp_path / "a").encode())
    config.write_text('{"peft_type": "LORA", "r": "four"}')
    with pytest.raises(LacusError, match="'r' is not a whole number"):
        engine.call("adapter_load", CTX, engine.load(folder), str(tmp_path / "a").encode())


def test_jobs_say_what_is_wrong_with_their_rows(home, model, tmp_path):  # noqa: F811
    printed = script(home, prelude(model, tmp_path / "out") + """
local function try(more, without)
  local ok, e = pcall(function() return start(more, without):wait() end)
  print("SAID", (tostring(e):gsub("\\n", " ")))
end
try{template = "{q} {colour} {a}"}
try{train_dataset = {}}
try{max_length = 3}
""" + f"""
local job = start{{train_dataset = {{{{q = ("word "):rep(300), a = "x"}}}}, max_length = 2000, args = {{max_steps = 1}}}}:wait()
print("LOG", (job:logs():gsub("\\n", " ")))
""")
    said = re.findall(r"SAID\t(.*)", printed)
    assert "the template names 'colour', which row 1 has not" in said[0]
    assert "train_dataset has no rows" in said[1]
    assert "carries a label to learn from" in said[2]
    assert re.search(r"the longest example has \d+ tokens, and the model's context is 256", printed)


def test_the_end_is_learned_when_it_is_the_padding_too(home, model, tmp_path):  # noqa: F811
    """pad = eos: nothing is padded here, so that no end of a text is taken for padding."""
    shutil.copytree(model, tmp_path / "model")
    path = tmp_path / "model" / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pad_token": "<eos>"}))
    printed = script(home, f"""
local e = llm.evaluate{{model = "{tmp_path}/model", dataset = {lua_rows(ROWS[40:])}, template = "{TEMPLATE}", response_column = "a", completion_only = true, max_length = 64,
  metrics = {{"loss", "perplexity", "exact_match", "accuracy"}}, max_new_tokens = 2,
  compute_metrics = function(p) return {{answers = #p.predictions, first = p.references[1], asked = #p.prompts}} end}}
print("LOSS", e.eval_loss, e.perplexity, e.exact_match, e.accuracy, e.answers, e.asked)
""")
    import math

    import transformers

    net = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    loss, perplexity, exact, accuracy, answers, asked = map(float, re.search(r"LOSS\t(.*)", printed)[1].split("\t"))
    assert loss == pytest.approx(eval_loss(net, model, ROWS[40:]), abs=1e-4)
    assert perplexity == pytest.approx(math.exp(loss)) and exact <= accuracy and answers == asked == 8
