"""What a folder of compressed-tensors holds, read without its tools, and folders of the floats that codes stand for."""

import json
import shutil

import torch
from safetensors import safe_open
from safetensors.torch import save_file

import consumers


def read(folder):
    tensors, schemes = {}, {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as f:
            tensors |= {key: f.get_tensor(key) for key in f.keys()}
            schemes |= json.loads((f.metadata() or {}).get("nibble.schemes", "{}"))
    return tensors, schemes


def unpacked(words, bits, count):
    """The codes of each row, signed."""
    places = torch.arange(0, 32, bits)
    codes = words[:, :, None] >> places & (1 << bits) - 1
    return codes.reshape(len(words), -1)[:, :count] - (1 << bits - 1)


def stands_for(tensors, schemes):
    """Name of a weight -> what its codes stand for, each step in the dtype of its scales; and its codes and scales."""
    out, parts = {}, {}
    for key, scheme in schemes.items():
        words, scale, shape = (tensors[key + end] for end in ("_packed", "_scale", "_shape"))
        rows, row = shape.tolist()
        bits = 4 if "4" in scheme["weight_dtype"] else 8
        codes = unpacked(words, bits, row)
        groups = codes.reshape(rows, scale.shape[1], -1).to(scale.dtype)
        zero = None
        if key + "_zero_point" in tensors:
            zero = unpacked(tensors[key + "_zero_point"].T.contiguous(), bits, rows).T
            groups = groups - zero[..., None].to(scale.dtype)
        out[key] = (groups * scale[..., None]).reshape(rows, row)
        parts[key] = codes, scale, zero, bits
    return out, parts


def with_values(source, name, tensors):
    """A folder like the source, with other weights."""
    out = consumers.HOME / name
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out, ignore=shutil.ignore_patterns("*.safetensors", "*.index.json"))
    save_file({key: t.contiguous() for key, t in tensors.items()}, out / "model.safetensors", {"format": "pt"})
    return out
