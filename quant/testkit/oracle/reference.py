"""What torch and safetensors read of files: a process that answers for readers.py, which starts it anew when
a file ends it.

Each line of standard input is a path; each answer one line of JSON: {"dicts": [[[name, type, shape, sha256]]]}
or {"error": text}. Where torch.load refuses a class or an instruction with weights_only, Python's own unpickler
reads the file, for which no name is found but those that are harmless (pickles.py). The tensors of each dict
in it are kept apart.
"""

import ctypes
import hashlib
import json
import os
import pickle
import sys
import types
import warnings

import torch
from safetensors import deserialize

import pickles

TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL", torch.complex64: "C64",
    torch.uint16: "U16", torch.uint32: "U32",
    torch.uint64: "U64", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ", torch.float8_e8m0fnu: "F8_E8M0",
}
MOST = 1 << 24


def line(name, t):
    kind = TYPES.get(t.dtype, str(t.dtype))
    if t.layout != torch.strided or t.device.type != "cpu" or t.is_quantized or t.is_nested:
        return [name, f"{kind} {t.layout} {t.device}", list(t.shape), ""]
    assert t.numel() <= MOST, "too many elements"
    t = t.detach().resolve_conj().resolve_neg().contiguous()
    raw = ctypes.string_at(t.data_ptr(), t.numel() * t.element_size()) if t.numel() else b""
    return [name, kind, list(t.shape), hashlib.sha256(raw).hexdigest()]


def dicts_of(value, depth=0):
    """The tensors by name of each dict that has some, and of each module, those inside others included."""
    if isinstance(value, torch.nn.Module):
        value = value.state_dict()
    if not isinstance(value, dict):
        return []
    own = [line(k, v) for k, v in value.items() if isinstance(k, str) and isinstance(v, torch.Tensor)]
    inner = [d for v in value.values() for d in dicts_of(v, depth + 1)] if depth < 4 else []
    return ([own] if own else []) + inner


class Careful(pickle.Unpickler):
    """Python's own unpickler, for names that are harmless alone."""

    def find_class(self, module, of):
        if not pickles.harmless(module, of):
            raise pickle.UnpicklingError(f"{module}.{of} is not on the list")
        return super().find_class(module, of)


def careful():
    module = types.ModuleType("careful")
    module.__dict__.update({k: v for k, v in vars(pickle).items() if not k.startswith("__")})
    module.__dict__.update(Unpickler=Careful, load=lambda f, **more: Careful(f, **more).load())
    return module


def load(path):
    if path.endswith(".safetensors"):
        out = []
        for name, t in deserialize(open(path, "rb").read()):
            out.append([name, t["dtype"], list(t["shape"]), hashlib.sha256(bytes(t["data"])).hexdigest()])
        return [out]
    if path.endswith(".pt2"):
        return [[line(k, v) for k, v in torch.export.load(path).state_dict.items()]]
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:
        if "was not an allowed global" not in str(e) and "Unsupported operand" not in str(
            e) and "Can only create new object" not in str(e):
            raise
        value = torch.load(path, map_location="cpu", weights_only=False)
    dicts = dicts_of(value)
    if not dicts:
        raise TypeError(f"it holds {type(value)} without tensors")
    return dicts


def main():
    warnings.simplefilter("ignore")
    torch.serialization.pickle = careful()  # what torch.load takes with weights_only=False
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for path in sys.stdin:
        try:
            answer = {"dicts": load(path.rstrip("\n"))}
        except BaseException as e:
            answer = {"error": f"{type(e).__name__}: {e}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
