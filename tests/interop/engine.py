"""The engine's C functions (gpu/*.h) through ctypes, for tests and benchmarks."""
import ctypes as C
import json
import struct

import numpy as np

from clib import Err, check, load

CTX = C.create_string_buffer(256)  # no cancel, no deadline


class Batch(C.Structure):
    _fields_ = [("rows", C.c_int64), ("sequences", C.c_int64), ("ids", C.c_void_p), ("labels", C.c_void_p),
                ("positions", C.c_void_p), ("starts", C.c_void_p), ("seen", C.c_int64)]


class Packed(C.Structure):
    _fields_ = [("batch", Batch), ("memory", C.c_void_p), ("row_of", C.c_void_p)]


class Forward(C.Structure):
    _fields_ = [("train", C.c_bool), ("dropout", C.c_bool), ("seed", C.c_uint64), ("num_items", C.c_int64),
                ("label_smoothing", C.c_double), ("logits", C.c_bool), ("plain", C.c_bool), ("losses", C.c_void_p), ("weighted", C.c_bool)]


class Loss(C.Structure):
    _fields_ = [("sum", C.c_double), ("mean", C.c_double), ("scaled", C.c_double), ("labels", C.c_int64)]


class Tensor(C.Structure):
    _fields_ = [("name", C.c_char_p), ("backend", C.c_void_p), ("dtype", C.c_int), ("ndim", C.c_int),
                ("shape", C.c_int64 * 4), ("data", C.c_void_p)]


class Example(C.Structure):
    _fields_ = [("input_ids", C.c_void_p), ("labels", C.c_void_p), ("n", C.c_int64)]


class Dataset(C.Structure):
    _fields_ = [("examples", C.POINTER(Example)), ("n", C.c_int64), ("pairs", C.c_bool), ("first", C.c_void_p)]


class Engine:
    """The C functions, with errors as exceptions."""

    def __init__(self, device="cpu"):
        self.lib = load()
        self.jansson = C.CDLL("libjansson.so.4")
        self.jansson.json_loads.restype = self.lib.lora_config_to_json.restype = C.c_void_p
        self.jansson.json_dumps.restype = C.c_char_p
        self.lib.trainer_history.restype = C.c_void_p
        self.backend = C.c_void_p()
        self.call("backend_open", device.encode(), C.create_string_buffer(256), C.byref(self.backend))

    def call(self, name, *args):
        err = Err()
        rc = getattr(self.lib, name)(*args, C.byref(err))
        self.hint = err.hint.decode() if rc else ""
        check(rc, err)

    def load(self, folder, quantization=None, bf16=False):
        m, types = C.c_void_p(), (C.c_int * 2)()
        self.call("quantization_from_json", self.json(quantization or {}), types)
        options = (C.c_int * 3)(0, 2 if bf16 else types[1], types[0])  # dtype, compute, linear
        self.call("model_load", CTX, str(folder).encode(), self.backend, options, C.byref(m))
        return m

    def create(self, config, seed=1):
        text, parsed, m = json.dumps(config).encode(), C.create_string_buffer(16384), C.c_void_p()
        self.call("model_config_parse", text, C.c_size_t(len(text)), b"config.json", parsed)
        self.call("model_create", CTX, parsed, C.c_uint64(seed), self.backend, None, C.byref(m))
        return m

    def json(self, value):
        return C.c_void_p(self.jansson.json_loads(json.dumps(value).encode(), C.c_size_t(4), None))

    def lora(self, m, seed=5, **fields):
        c = C.create_string_buffer(512)
        self.call("lora_config_from_json", self.json(fields), c)
        self.call("lora_attach", m, c, C.c_uint64(seed))

    def forward(self, m, ids, mask, labels):
        """(loss, logits [n, length, vocabulary] with zeros at padding)"""
        ids, mask, labels = (np.ascontiguousarray(t.numpy()) for t in (ids, mask, labels))
        packed, loss, out = Packed(), Loss(), Tensor()
        self.call("model_pack", ids.ctypes.data_as(C.c_void_p), mask.ctypes.data_as(C.c_void_p),
                  labels.ctypes.data_as(C.c_void_p), C.c_int64(ids.shape[0]), C.c_int64(ids.shape[1]), C.byref(packed))
        self.call("model_forward", CTX, m, C.byref(packed.batch), C.byref(Forward(logits=True)), C.byref(loss))
        self.call("model_logits", m, C.byref(out))
        rows, vocabulary = out.shape[0], out.shape[1]
        flat = np.empty((rows, vocabulary), np.float32)
        self.call("tensor_read", C.byref(out), C.c_int64(0), C.c_int64(flat.size), flat.ctypes.data_as(C.c_void_p))
        import torch  # here: the bench measures the memory of processes that need none of it
        logits = torch.zeros(*ids.shape, vocabulary)
        logits[torch.from_numpy(mask).bool()] = torch.from_numpy(flat)
        self.lib.model_packed_release(C.byref(packed))
        return loss.mean, logits

    def trainer(self, m, examples, pairs=False, packed=None, eval_examples=None, warnings=None, **args):
        """The trainer and what must outlive it; examples are (input_ids, labels), in twos when they are pairs; packed: the first of each row."""
        a, t, callbacks = C.create_string_buffer(1024), C.c_void_p(), C.create_string_buffer(256)
        self.lib.training_args_init(a)
        self.call("training_args_from_json", a, self.json(args))
        keep = [(np.array(i, np.int32), np.array(l, np.int32)) for i, l in examples]
        rows = (Example * len(keep))(*[Example(i.ctypes.data, l.ctypes.data, len(i)) for i, l in keep])
        first = np.array([*packed, len(keep)], np.int64) if packed else None
        data = Dataset(rows, len(packed) if packed else len(keep) // 2 if pairs else len(keep), pairs, first.ctypes.data if packed else None)
        other = [(np.array(i, np.int32), np.array(l, np.int32)) for i, l in eval_examples or []]
        eval_rows = (Example * len(other))(*[Example(i.ctypes.data, l.ctypes.data, len(i)) for i, l in other])
        evaluation = Dataset(eval_rows, len(other), False, None) if other else data
        warn = C.CFUNCTYPE(None, C.c_void_p, C.c_char_p)(lambda _, text: warnings is None or warnings.append(text.decode()))
        struct.pack_into("P", callbacks, 7 * C.sizeof(C.c_void_p), C.cast(warn, C.c_void_p).value)  # the last of trainer_callbacks
        self.call("trainer_new", CTX, m, a, C.byref(data), C.byref(evaluation), callbacks, C.byref(t))
        return t, (keep, rows, data, callbacks, warn, first, other, eval_rows, evaluation)

    def train(self, m, examples, **args):
        """Runs to the end; returns log_history."""
        t, _keep = self.trainer(m, examples, **args)
        self.call("trainer_run", CTX, t)
        history = json.loads(self.jansson.json_dumps(C.c_void_p(self.lib.trainer_history(t)), C.c_size_t(0x8800)))
        self.lib.trainer_free(t)
        return history

    def steps(self, m, examples, **args):
        """One optimizer step for each value taken, to the end of training."""
        t, _keep = self.trainer(m, examples, **args)
        finished = C.c_bool(False)
        while not finished.value:
            self.call("trainer_step", CTX, t, C.byref(finished))
            yield
        self.lib.trainer_free(t)

    def adapter(self, m, seed=5, tokens=(), **fields):
        """An adapter of any kind; tokens: those of the text that a prompt starts from."""
        c, ids = C.create_string_buffer(64), np.array(tokens, np.int32)
        self.call("adapter_config_from_json", self.json(fields), c)
        self.call("adapter_attach", m, c, ids.ctypes.data_as(C.c_void_p), C.c_size_t(len(ids)), C.c_uint64(seed))
