"""safetensors files against the Python library: it reads ours, we read its, byte for byte."""
import ctypes as C

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from clib import Err, LacusError, check, load


class Tensor(C.Structure):
    _fields_ = [("name", C.c_char_p), ("dtype", C.c_int), ("ndim", C.c_size_t), ("shape", C.POINTER(C.c_int64)),
                ("data", C.c_void_p), ("bytes", C.c_size_t)]


DTYPES = [torch.bool, torch.uint8, torch.int8, torch.float8_e5m2, torch.float8_e4m3fn, torch.int16, torch.float16,
          torch.bfloat16, torch.int32, torch.float32, torch.float64, torch.int64]


@pytest.fixture(scope="module")
def lib():
    lib = load()
    lib.safetensors_at.restype = C.POINTER(Tensor)
    lib.safetensors_at.argtypes = [C.c_void_p, C.c_size_t]
    lib.safetensors_count.restype = C.c_size_t
    lib.safetensors_count.argtypes = [C.c_void_p]
    lib.safetensors_close.argtypes = [C.c_void_p]
    return lib


def tensors():
    torch.manual_seed(0)
    made = {f"block.{i}.{str(d).split('.')[1]}": (torch.randn(i % 4, 3, 5) * 3).to(d) for i, d in enumerate(DTYPES)}
    made["scalar"] = torch.tensor(2.5)
    made['odd "name" é'] = torch.arange(7, dtype=torch.uint8)
    return made


def opened(lib, path):
    err, st = Err(), C.c_void_p()
    check(lib.safetensors_open(str(path).encode(), C.byref(st), C.byref(err)), err)
    return st


def test_reads_what_python_writes_and_writes_the_same_bytes(lib, tmp_path):
    want = tensors()
    save_file(want, tmp_path / "py.safetensors", metadata={"format": "pt"})
    st = opened(lib, tmp_path / "py.safetensors")
    n = lib.safetensors_count(st)
    assert n == len(want)
    ours = (Tensor * n)()
    for i in range(n):
        t = lib.safetensors_at(st, i).contents
        ours[i] = t
        ref = want[t.name.decode()]
        assert [t.shape[d] for d in range(t.ndim)] == list(ref.shape)
        raw = ref.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if ref.numel() else b""
        assert C.string_at(t.data, t.bytes) == raw
    err = Err()
    check(lib.safetensors_write(str(tmp_path / "c.safetensors").encode(), ours, C.c_size_t(n), None, C.byref(err)), err)
    lib.safetensors_close(st)
    assert (tmp_path / "c.safetensors").read_bytes() == save(want, metadata={"format": "pt"})
    with safe_open(tmp_path / "c.safetensors", framework="pt") as f:
        assert f.metadata() == {"format": "pt"}
        for name, ref in want.items():
            got = f.get_tensor(name)
            assert got.dtype == ref.dtype and got.shape == ref.shape


def test_both_refuse_the_same_damage(lib, tmp_path):
    from safetensors import SafetensorError
    good = save({"a": torch.arange(6.0), "b": torch.ones(3, dtype=torch.int64)})
    rng = np.random.default_rng(1)
    agree = 0
    for case in range(400):
        data = bytearray(good)
        if case % 2:
            data = data[: rng.integers(0, len(data))]
        else:
            data[rng.integers(0, 8 + int.from_bytes(good[:8], "little"))] = rng.integers(32, 127)
        path = tmp_path / "bad.safetensors"
        path.write_bytes(bytes(data))
        try:
            with safe_open(path, framework="pt") as f:
                names = set(f.keys())
        except (SafetensorError, OSError):
            names = None
        try:
            st = opened(lib, path)
            ours = {lib.safetensors_at(st, i).contents.name.decode() for i in range(lib.safetensors_count(st))}
            lib.safetensors_close(st)
        except LacusError:
            ours = None
        # a tensor's unknown fields are an error there and ignored here; nothing it refuses may be read differently
        assert ours == names or names is None or ours is None, (bytes(data), ours, names)
        agree += ours == names
    assert agree > 390
