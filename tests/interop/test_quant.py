"""Weights in few bits: codes, scales and decoded values equal to those of bitsandbytes and torch, bit for bit."""
import ctypes as C

import numpy as np
import pytest
import torch

from clib import load

bnb = pytest.importorskip("bitsandbytes.functional", reason="SKIP: bitsandbytes is not installed")
LIB = load()
LIB.quant_bytes.restype = C.c_size_t
NF4, NF4_DOUBLE, FP4, FP4_DOUBLE, INT8, FP8 = range(4, 10)  # enum dtype


class View(C.Structure):
    _fields_ = [("type", C.c_int), ("table", C.c_void_p), ("codes", C.c_void_p), ("scales", C.c_void_p), ("scales8", C.c_void_p),
                ("mean", C.c_void_p), ("block", C.c_int64)]


def encode(x, dtype):
    """(view of the region, the region, decoded values)"""
    rows, columns = x.shape
    x = np.ascontiguousarray(x.numpy(), np.float32)
    region = np.zeros(LIB.quant_bytes(dtype, C.c_int64(rows), C.c_int64(columns)), np.uint8)
    LIB.quant_encode(x.ctypes.data_as(C.c_void_p), C.c_int64(rows), C.c_int64(columns), dtype, region.ctypes.data_as(C.c_void_p))
    LIB.quant_view.restype = View
    view = LIB.quant_view(region.ctypes.data_as(C.c_void_p), dtype, C.c_int64(rows), C.c_int64(columns))
    out = np.empty(x.shape, np.float32)
    LIB.quant_decode(C.byref(view), C.c_int64(0), C.c_int64(x.size), out.ctypes.data_as(C.c_void_p))
    return view, region, torch.from_numpy(out)


def numbers(pointer, n, dtype):
    return torch.from_numpy(np.ctypeslib.as_array(C.cast(pointer, C.POINTER(np.ctypeslib.as_ctypes_type(dtype))), (n,)).copy())


def matrices():
    g = torch.Generator().manual_seed(7)
    yield torch.randn(48, 320, generator=g) * 0.05
    yield torch.randn(2000, 1024, generator=g) * torch.rand(2000, 1, generator=g)
    x = torch.randn(7, 192, generator=g)
    x[3] = 0
    x[4, 0] = 1e30
    x[5] *= 1e-30
    yield x


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_four_bits_are_those_of_bitsandbytes(kind):
    for x in matrices():
        codes, state = bnb.quantize_4bit(x, blocksize=64, quant_type=kind, compress_statistics=False)
        view, _, decoded = encode(x, NF4 if kind == "nf4" else FP4)
        assert torch.equal(numbers(view.scales, state.absmax.numel(), np.float32), state.absmax.reshape(-1))
        theirs = bnb.dequantize_4bit(codes, state)
        if kind == "nf4":  # FP4 has two codes for 0, and two values can be equally near
            assert torch.equal(numbers(view.codes, codes.numel(), np.uint8), codes.reshape(-1))
            assert torch.equal(decoded, theirs)
        assert torch.equal((decoded - x).abs(), (theirs - x).abs())


def test_double_quantization_is_that_of_bitsandbytes():
    exact = 0
    for x in matrices():
        if x.abs().max() > 1e20:
            continue  # the mean depends on torch's order of summation
        codes, state = bnb.quantize_4bit(x, blocksize=64, quant_type="nf4", compress_statistics=True)
        view, _, decoded = encode(x, NF4_DOUBLE)
        assert torch.equal(numbers(view.codes, codes.numel(), np.uint8), codes.reshape(-1))
        mean = numbers(view.mean, 1, np.float32)[0]
        torch.testing.assert_close(mean, state.offset, rtol=2e-7, atol=0)
        if mean != state.offset:  # torch sums many numbers in an order that depends on the processor
            torch.testing.assert_close(decoded, bnb.dequantize_4bit(codes, state), rtol=2e-2, atol=1e-4)
            continue
        exact += 1
        assert torch.equal(numbers(view.scales, state.state2.absmax.numel(), np.float32), state.state2.absmax.reshape(-1))
        assert torch.equal(numbers(view.scales8, state.absmax.numel(), np.uint8), state.absmax.reshape(-1))
        assert torch.equal(decoded, bnb.dequantize_4bit(codes, state))
    assert exact >= 1


def test_eight_bits_are_those_of_torch():
    for x in matrices():
        scale = x.abs().amax(1, keepdim=True) / 448
        theirs = torch.where(scale > 0, (x / scale).clamp(-448, 448).to(torch.float8_e4m3fn).float() * scale, torch.zeros(()))
        assert torch.equal(encode(x, FP8)[2], theirs)
        scale = x.abs().amax(1, keepdim=True) / 127
        assert torch.equal(encode(x, INT8)[2], torch.where(scale > 0, (x / scale).round() * scale, torch.zeros(())))
