"""The library's C functions through ctypes (build/tests/liblacus.so, made by `make pytest`)."""
import ctypes
import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "tests" / "liblacus.so"
os.environ.setdefault("LACUS_LIB", str(ROOT / "build"))


class Err(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("position", ctypes.c_int64), ("message", ctypes.c_char * 1024),
                ("hint", ctypes.c_char * 512), ("cause", ctypes.c_char * 512)]


class LacusError(Exception):
    pass


def load():
    if not LIBRARY.exists():
        pytest.fail(f"{LIBRARY} is not built: make build/tests/liblacus.so")
    return ctypes.CDLL(str(LIBRARY), mode=ctypes.RTLD_GLOBAL)  # plugins find the base functions in it


def check(rc, err):
    if rc != 0:
        raise LacusError(err.message.decode())
