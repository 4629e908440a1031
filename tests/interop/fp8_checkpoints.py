"""Checkpoints in FP8 as they are published, made from plain ones."""
import json

import torch
from safetensors.torch import load_file, save_file


def quantize(w, kind):
    """(codes, the tensor beside it, its ending) of a published layout."""
    out, inner = w.shape
    if kind == "block":
        s = torch.empty((out + 127) // 128, (inner + 127) // 128)
        for i in range(s.shape[0]):
            for j in range(s.shape[1]):
                s[i, j] = w[i * 128:(i + 1) * 128, j * 128:(j + 1) * 128].abs().max() / 448
        spread = s.repeat_interleave(128, 0)[:out].repeat_interleave(128, 1)[:, :inner]
        return (w / spread).to(torch.float8_e4m3fn), s, "_scale_inv", spread
    if kind == "row":
        s = w.abs().amax(1, keepdim=True) / 448
        return (w / s).to(torch.float8_e4m3fn), s.bfloat16(), "_scale", s.bfloat16().float()
    if kind == "tensor":
        s = w.abs().max() / 448
        return (w / s).to(torch.float8_e4m3fn), s.reshape(()), "_scale_inv", s
    return w.to(torch.float8_e4m3fn), None, None, torch.tensor(1.0)


def publish(folder, hf, kind):
    """The checkpoint in the folder becomes one in FP8, and its model in f32 gets the values that it says now. kind: block, row, tensor or plain."""
    weights, plain = load_file(folder / "model.safetensors"), {}
    for name in list(weights):
        plain[name] = weights[name]
        if "_proj.weight" not in name:
            continue
        codes, scale, ending, spread = quantize(weights[name], kind)
        plain[name] = codes.float() * spread
        weights[name] = codes
        if scale is not None:
            weights[name + ending] = scale
            weights[name.replace("weight", "input_scale")] = torch.tensor(1.0)
    hf.load_state_dict(plain, strict=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", weight_block_size=[128, 128])
    if kind == "row":
        config["quantization_config"] = dict(quant_method="compressed-tensors", format="float-quantized")
    (folder / "config.json").write_text(json.dumps(config))
