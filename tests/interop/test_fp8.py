"""Checkpoints in FP8 and F16, as they are published, against the same weights in f32."""
import ctypes
import json

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from clib import LacusError
from engine import CTX, Engine
from fp8_checkpoints import publish
from test_engine import ARGS, CONFIGS, SHAPE, batch, close, examples, hf_forward, hf_train, same_history

BIG = dict(hidden_size=192, intermediate_size=320)  # more than a block of 128, and no multiple


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def make(engine, folder, kind):
    """An FP8 checkpoint, and the f32 model with the values that it says."""
    m = engine.create({**SHAPE, **CONFIGS["llama"], **BIG})
    engine.call("model_save", CTX, m, str(folder).encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    publish(folder, hf, kind)
    return hf.eval()


@pytest.mark.parametrize("kind", ["block", "row", "tensor", "plain"])
def test_fp8_checkpoints_are_read(engine, kind, tmp_path):
    hf = make(engine, tmp_path, kind)
    close(engine.forward(engine.load(tmp_path), *batch())[1], hf_forward(hf, *batch())[1])


def test_an_adapter_over_an_fp8_checkpoint_trains_as_over_its_values(engine, tmp_path):
    hf = make(engine, tmp_path / "base", "block")
    tuned = peft.get_peft_model(hf, peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]))
    tuned.save_pretrained(tmp_path / "start")
    m = engine.load(tmp_path / "base")
    engine.call("lora_load", CTX, m, str(tmp_path / "start").encode())
    losses = lambda history: [h["loss"] for h in history if "loss" in h]
    theirs = hf_train(tuned, tmp_path / "hf")
    same_history(engine.train(m, examples(), **ARGS), theirs)
    kept = engine.load(tmp_path / "base", quantization=dict(quant_method="fp8"))  # stays in FP8, with scales of its own
    engine.call("lora_load", CTX, kept, str(tmp_path / "start").encode())
    assert losses(engine.train(kept, examples(), **ARGS)) == pytest.approx(losses(theirs), abs=0.05)


@pytest.mark.parametrize("kind, dtype", [(0, torch.float8_e4m3fn), (1, torch.float8_e5m2)])
def test_numbers_of_8_bits_are_those_of_torch(engine, kind, dtype):
    most = torch.finfo(dtype).max
    every = torch.arange(256, dtype=torch.uint8).view(dtype).float()
    every = every[every.isfinite()].unique()
    x = torch.cat([every, (every[1:] + every[:-1]) / 2, torch.randn(500, generator=torch.Generator().manual_seed(3)) * most / 3, torch.tensor([1e-9, -1e30])])
    want = x.clamp(-most, most).to(dtype)
    engine.lib.fp8_code.restype, engine.lib.fp8_nearest.restype = ctypes.c_uint8, ctypes.c_float
    assert [engine.lib.fp8_code(kind, ctypes.c_float(v)) for v in x] == want.view(torch.uint8).tolist()
    assert [engine.lib.fp8_nearest(kind, ctypes.c_float(v)) for v in x] == want.float().tolist()


class Eighths(torch.autograd.Function):
    """y = x W^T where both are rounded to 8 bits, forward and backward: rows of x to e4m3, rows of dy (times the weights' scales) to e5m2."""

    @staticmethod
    def rows(x, kind):
        scale = x.abs().amax(-1, keepdim=True) / torch.finfo(kind).max
        return torch.where(scale > 0, (x / scale).to(kind).float() * scale, 0)

    @staticmethod
    def forward(ctx, x, codes, scales):
        ctx.save_for_backward(codes, scales)
        return Eighths.rows(x, torch.float8_e4m3fn) @ (codes * scales).T

    @staticmethod
    def backward(ctx, dy):
        codes, scales = ctx.saved_tensors
        return Eighths.rows(dy * scales.T, torch.float8_e5m2) @ codes, None, None


class EightBits(torch.nn.Linear):
    def forward(self, x):
        scales = self.weight.detach().abs().amax(1, keepdim=True) / 448
        return Eighths.apply(x, (self.weight.detach() / scales).to(torch.float8_e4m3fn).float(), scales)


@pytest.mark.parametrize("device", ["ref", "cpu"])
def test_an_adapter_trains_by_products_of_8_bits(device, tmp_path):
    torch.manual_seed(0)
    engine = Engine(device)
    m = engine.create({**SHAPE, **CONFIGS["llama"]})
    engine.call("model_save", CTX, m, str(tmp_path / "base").encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    plain = hf_forward(hf.eval(), *batch())[1]
    for part in hf.model.layers.modules():
        if isinstance(part, torch.nn.Linear):
            part.__class__ = EightBits
    want = hf_forward(hf, *batch())[1]
    tuned = peft.get_peft_model(hf, peft.LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"]))
    tuned.save_pretrained(tmp_path / "start")
    m = engine.load(tmp_path / "base", quantization=dict(quant_method="fp8", activation_scheme="dynamic"))
    engine.lib.model_set_compute(m, 1)  # the rest in f32
    got = engine.forward(m, *batch())[1]
    assert (got - want).abs().max() < 0.02 * (plain - want).abs().max()
    engine.call("lora_load", CTX, m, str(tmp_path / "start").encode())
    ours, theirs = engine.train(m, examples(), **ARGS), hf_train(tuned.train(), tmp_path / "hf")
    for key, near in (("loss", 5e-3), ("grad_norm", 5e-2)):
        pick = lambda history: [h[key] for h in history if key in h]
        assert pick(ours) == pytest.approx(pick(theirs), rel=near)


def test_half_precision_is_read(engine, tmp_path):
    m = engine.create({**SHAPE, **CONFIGS["llama"]})
    engine.call("model_save", CTX, m, str(tmp_path).encode())
    hf = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float16)
    hf.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors")["model.norm.weight"].dtype == torch.float16
    close(engine.forward(engine.load(tmp_path), *batch())[1], hf_forward(hf.float().eval(), *batch())[1])


def test_what_cannot_be_read_is_said(engine, tmp_path):
    make(engine, tmp_path, "block")
    weights = load_file(tmp_path / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight_scale_inv"
    weights[name] = torch.ones(7, 2)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(LacusError, match=f"'{name}' does not fit the FP8 weight"):
        engine.load(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantization_config"] = dict(quant_method="gptq", bits=4)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(LacusError, match="quantization_config"):
        engine.load(tmp_path)
