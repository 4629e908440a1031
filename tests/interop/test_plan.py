"""llm.plan: what it says against what a training takes, and what it refuses."""
import ctypes
import json
import pathlib
import re
import subprocess
import sys

import pytest

from engine import CTX, Engine
from lacus import script
from test_train import home  # noqa: F401: a fixture

torch = pytest.importorskip("torch")
SHAPE = dict(model_type="llama", architectures=["LlamaForCausalLM"], vocab_size=4000, hidden_size=256, intermediate_size=704, num_hidden_layers=6,
             num_attention_heads=8, num_key_value_heads=4, max_position_embeddings=512, bos_token_id=0, eos_token_id=1, pad_token_id=2)
NF4 = dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
LORA = dict(r=16, lora_alpha=32, target_modules="all-linear")
LENGTH = 256
EMULATED = pathlib.Path(__file__).resolve().parents[2] / "build" / "cuda_host"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    engine, folder = Engine("cpu"), tmp_path_factory.mktemp("base")
    m = engine.create(SHAPE)
    engine.call("model_save", CTX, m, str(folder).encode())
    engine.lib.model_free(m)
    return folder


def anonymous():
    return int(re.search(r"RssAnon:\s+(\d+)", open("/proc/self/status").read())[1]) * 1024


def lua(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {lua(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def plan(home, base, text):
    printed = script(home, f"""
local p = llm.plan{{model = "{base}", {text}}}
print("PLAN", require("json").encode(p))
print(p)
""")
    return json.loads(re.search(r"PLAN\t(.*)", printed)[1]), printed


@pytest.mark.parametrize("peft, quantization, more", [(None, None, {}), (LORA, None, {}), (LORA, NF4, {}), (None, None, dict(optim="sgd")),
                                                      (LORA, None, dict(gradient_checkpointing=True))],
                         ids=["full", "LoRA", "QLoRA", "SGD", "recomputed"])
def test_the_plan_is_what_a_training_takes(home, base, peft, quantization, more):  # noqa: F811
    """The memory of this process after two steps against before: other than what was counted."""
    args = dict(per_device_train_batch_size=4, max_steps=2, **more)
    text = f"args = {lua(args)}, max_length = {LENGTH}" + (f", peft = {lua(peft)}" if peft else "") + (f", quantization = {lua(quantization)}" if quantization else "")
    said, printed = plan(home, base, text)
    assert said["fits"] and said["tokens_per_step"] == 4 * LENGTH and said["seconds"] > 0 and "it fits" in printed
    engine = Engine("cpu")
    g = torch.Generator().manual_seed(1)
    rows = [(torch.randint(3, 4000, (LENGTH,), generator=g).tolist(),) * 2 for _ in range(8)]
    libc = ctypes.CDLL(None)
    libc.mallopt(-3, 1 << 17)  # blocks that are freed go back at once, so that none is counted twice
    libc.malloc_trim(0)
    before = anonymous()
    m = engine.load(base, quantization)
    if peft:
        engine.lora(m, **peft)
    t, _keep = engine.trainer(m, rows, save_strategy="no", **args)
    engine.call("trainer_run", CTX, t)
    taken = anonymous() - before
    engine.lib.trainer_free(t)
    engine.lib.model_free(m)
    assert said["total"] == pytest.approx(taken, rel=0.15)


LOADED = """
import pathlib, re, sys
from engine import Engine
engine, status = Engine("cpu"), pathlib.Path("/proc/self/status")
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = int(re.search(r"VmRSS:\\s+(\\d+)", status.read_text())[1])
engine.load(pathlib.Path(sys.argv[1]))
print(int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) - before)
"""


def test_loading_holds_one_form_of_the_weights(base):
    """The pages of a file that have been copied go: the peak is the weights and one tensor, not twice the weights. In a process
    of its own: this one has memory left over from other models."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the kernel does not reset the peak")
    done = subprocess.run([sys.executable, "-c", LOADED, base], cwd=pathlib.Path(__file__).parent, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    size = (base / "model.safetensors").stat().st_size / 1024
    assert 0.8 * size < int(done.stdout) < 1.5 * size, (done.stdout, size)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_fp8_has_a_rate_of_its_own_where_the_device_multiplies_in_it(home, base, device, monkeypatch):  # noqa: F811
    """On the processor, which does not, and on the emulated GPU, which does."""
    if device == "cuda":
        if not EMULATED.is_dir():
            pytest.skip("no emulated GPU: make build/cuda_host/plugins/gpu_cuda.so")
        monkeypatch.setenv("LACUS_LIB", str(EMULATED))
    monkeypatch.setenv("LACUS_DEVICE", device)
    ask = f'args = {{per_device_train_batch_size = 2, max_steps = 2, bf16 = true}}, max_length = {LENGTH}, peft = {lua(LORA)}'
    plain, _ = plan(home, base, ask)
    said, printed = plan(home, base, ask + ', quantization = {quant_method = "fp8"}')
    assert "assumes" not in plain and said["assumes"] in printed and said["seconds_per_step"] > 0
    assert ("no FP8 products on this device: all at its bf16 rate" if device == "cpu" else "products of the layers in FP8") in printed
    assert said["flops_per_token"] == plain["flops_per_token"] and said["weights"] < plain["weights"]


def test_what_does_not_fit_is_said_with_what_would(home, base):  # noqa: F811
    said, printed = plan(home, base, f"args = {{per_device_train_batch_size = 16, memory_budget = {90 << 20}}}, max_length = {LENGTH}")
    assert not said["fits"] and said["total"] > 90 << 20
    assert any("load_in_4bit" in s["text"] or "at batch size 1" in s["text"] for s in said["suggestions"]), said
    assert all(s["total"] <= 90 << 20 for s in said["suggestions"])
    assert "it does not fit" in printed and "would fit" in printed


def test_a_training_that_cannot_fit_does_not_start(home, base):  # noqa: F811

    from tokenizers import Tokenizer, models, pre_tokenizers

    tok = Tokenizer(models.BPE(vocab={"<bos>": 0, "<eos>": 1, "<pad>": 2, "a": 3, "b": 4}, merges=[]))
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tok.save(str(base / "tokenizer.json"))
    printed = script(home, f"""
local ok, e = pcall(llm.finetune, {{model = "{base}", train_dataset = {{"a b", "b a b"}}, args = {{memory_budget = {1 << 20}}}}})
print(ok, tostring(e))
print(#llm.jobs())
local p = llm.plan{{model = "{base}", train_dataset = {{"a b", "b a b"}}, args = {{num_train_epochs = 2}}}}
print("ROWS", p.tokens_per_step, p.steps)
""")
    assert "this training needs" in printed and "memory_budget is 1 MiB" in printed
    assert re.search(r"ROWS\t\d+(\.0)?\t2", printed)
