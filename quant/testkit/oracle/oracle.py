"""Holds Nibble's native command against coremltools, safetensors and compressed-tensors.

Run by `./build.sh oracle`, which makes the Python environment. For every model, weight
dtype and recipe:
  coremltools  equals PostTrainingQuantizer(model, config).compress().state_dict():
               the same keys in the same order, dtypes, shapes and bits
  int8         opens with safetensors and holds the codes that coremltools computed
  packed       unpacks with compressed-tensors' own function to the same codes
The command line: oracle.py NIBBLE. Exit status 1 when anything differs.
"""

import itertools
import json
import logging
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from coremltools.optimize.torch.quantization import PostTrainingQuantizer, PostTrainingQuantizerConfig
from safetensors import safe_open

import models

logging.disable(logging.WARNING)  # PostTrainingQuantizer warns of each layer it skips

MODELS = ["mlp", "conv", "attention"]
WEIGHTS = [torch.float32, torch.float16, torch.float64, torch.bfloat16]
DTYPES = ["int4", "uint4", "int8", "uint8"]
SCHEMES = ["symmetric", "affine"]
GRAINS = [
    {"granularity": "per_tensor"},
    {"granularity": "per_channel"},
    {"granularity": "per_block", "block_size": 32},
    {"granularity": "per_block", "block_size": [2, 16]},
]


def recipes():
    """Every config, in JSON form."""
    for dtype, scheme, grain in itertools.product(DTYPES, SCHEMES, GRAINS):
        yield {"global_config": {"weight_dtype": dtype, "quantization_scheme": scheme, **grain}}
    yield {
        "global_config": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 16},
        "module_name_configs": {
            r".*\.0": {"weight_dtype": "int8"},
            "head|up|attn": None,
            ".*": {"weight_dtype": "uint4", "granularity": "per_tensor"},
        },
    }
    yield {"module_name_configs": {"odd|deconv|cross": {"weight_dtype": "int4"}}}
    yield {}


def python_config(config):
    """coremltools takes tuples where JSON has lists."""

    def entry(c):
        if c and isinstance(c.get("block_size"), list):
            return {**c, "block_size": tuple(c["block_size"])}
        return c

    out = dict(config)
    if "global_config" in out:
        out["global_config"] = entry(out["global_config"])
    if "module_name_configs" in out:
        out["module_name_configs"] = {k: entry(v) for k, v in out["module_name_configs"].items()}
    return PostTrainingQuantizerConfig.from_dict(out)


class Recorder(PostTrainingQuantizer):
    """PostTrainingQuantizer that also keeps the integers, which it throws away."""

    def __init__(self, *args):
        super().__init__(*args)
        self.codes = {}

    def _quantize_weight(self, submod_name, submodule, submod_config, param_name):
        self._key = f"{submod_name}.{param_name}" if submod_name else param_name
        return super()._quantize_weight(submod_name, submodule, submod_config, param_name)

    def _dequantize_weight(self, quant_weight, scale, zp, mode):
        self.codes[self._key] = (quant_weight, scale, zp)
        return super()._dequantize_weight(quant_weight, scale, zp, mode)


def nibble(exe, *args):
    p = subprocess.run([exe, *map(str, args)], capture_output=True, text=True)
    if p.returncode:
        raise AssertionError(f"nibble {' '.join(map(str, args))}: {p.stderr}")


def same(a, b, what):
    assert a.dtype == b.dtype, f"{what}: dtype {a.dtype}, want {b.dtype}"
    assert a.shape == b.shape, f"{what}: shape {tuple(a.shape)}, want {tuple(b.shape)}"
    x, y = (t.detach().contiguous().reshape(-1).view(torch.uint8) for t in (a, b))
    assert torch.equal(x, y), f"{what}: bits differ"


def check_coremltools(out, want):
    got = torch.load(out, weights_only=True)
    assert list(got) == list(want), f"keys or their order differ: {list(got)} want {list(want)}"
    for k in want:
        same(got[k], want[k], k)
    assert got._metadata == want._metadata, "module versions differ"


def check_kept(f, source, codes):
    """What was not quantized is the same; returns the names of all other tensors."""
    kept = set(source) - set(codes)
    for key in kept:
        same(f.get_tensor(key), source[key], key)
    return set(f.keys()) - kept


def check_int8(out, source, codes, high_nibble, bits_of):
    with safe_open(out, framework="pt") as f:
        names = check_kept(f, source, codes)
        for key, (q, scale, zp) in codes.items():
            got, want = f.get_tensor(key).numpy(), q
            if high_nibble == "zero" and bits_of(key) == 4:
                want = q.astype(np.uint8) & 15
            assert got.dtype == want.dtype and np.array_equal(got, want), f"{key}: codes differ"
            same(f.get_tensor(key + "_scale"), torch.from_numpy(scale), key + "_scale")
            names -= {key, key + "_scale"}
            if key + "_zero_point" in names:
                assert np.array_equal(f.get_tensor(key + "_zero_point").numpy(), zp), f"{key}: zero points differ"
                names.discard(key + "_zero_point")
            else:
                assert zp is None, f"{key}: zero points are missing"
        assert not names, f"unexpected tensors {names}"


def check_packed(out, source, codes, bits_of):
    with safe_open(out, framework="pt") as f:
        names = check_kept(f, source, codes)
        for key, (q, scale, zp) in codes.items():
            bits, shift = bits_of(key), 0
            if q.dtype == np.uint8:
                shift = 1 << (bits - 1)  # unsigned codes travel as signed ones
            rows = q.shape[0]
            shape = torch.Size(f.get_tensor(key + "_shape").tolist())
            assert shape == source[key].shape, f"{key}: shape {shape}"
            flat = torch.Size((rows, q.size // rows))
            got = unpack_from_int32(f.get_tensor(key + "_packed"), bits, flat)
            want = torch.from_numpy(q.astype(np.int16) - shift).reshape(flat)
            assert torch.equal(got.to(torch.int16), want), f"{key}: unpacked codes differ"
            across = scale.size // scale.shape[0]
            per_row = lambda a: torch.from_numpy(np.repeat(a.reshape(a.shape[0], across), rows // a.shape[0], axis=0))
            same(f.get_tensor(key + "_scale"), per_row(scale), key + "_scale")
            names -= {key + "_packed", key + "_shape", key + "_scale"}
            if key + "_zero_point" in names:
                got = unpack_from_int32(f.get_tensor(key + "_zero_point"), bits, torch.Size((rows, across)), packed_dim=0)
                want = per_row(zp.astype(np.int16) - shift)
                assert torch.equal(got.to(torch.int16), want), f"{key}: zero points differ"
                names.discard(key + "_zero_point")
            else:
                assert zp is None, f"{key}: zero points are missing"
        assert not names, f"unexpected tensors {names}"


def check(exe, folder, name, dtype, config):
    model = models.build(name, dtype)
    source = {k: v.clone() for k, v in model.state_dict().items()}
    torch.save(model.state_dict(), folder / "in.pt")
    (folder / "config.json").write_text(json.dumps(config))
    # coremltools refuses bfloat16; Nibble computes it in float32 and stores the
    # dequantized floats in bfloat16 again.
    ptq = Recorder(model.float() if dtype == torch.bfloat16 else model, python_config(config))
    want = ptq.compress().state_dict()
    if dtype == torch.bfloat16:
        for key in source:
            if source[key].dtype == dtype:
                want[key] = want[key].bfloat16()

    def bits_of(key):
        head, _, param = key.rpartition(".")
        buffer = f"_COREML_/{param}/quantization_n_bits"
        return int(want[f"{head}.{buffer}" if head else buffer])

    def convert(to, out, *more):
        nibble(exe, "convert", folder / "in.pt", "--config", folder / "config.json", "--to", to, "-o", out, *more)
        nibble(exe, "verify", out, "--against", folder / "in.pt")

    # A signed symmetric scheme has no zero point; coremltools computes none then.
    convert("coremltools", folder / "out.pt")
    check_coremltools(folder / "out.pt", want)
    for nibbles in ("sign", "zero"):
        convert("int8", folder / "int8.safetensors", "--high-nibble", nibbles)
        check_int8(folder / "int8.safetensors", source, ptq.codes, nibbles, bits_of)
    convert("packed", folder / "packed.safetensors")
    check_packed(folder / "packed.safetensors", source, ptq.codes, bits_of)
    return len(ptq.codes)


def main():
    exe, failed, ran, weights = sys.argv[1], 0, 0, 0
    with tempfile.TemporaryDirectory() as d:
        for name, dtype, config in itertools.product(MODELS, WEIGHTS, list(recipes())):
            ran += 1
            try:
                weights += check(exe, pathlib.Path(d), name, dtype, config)
            except AssertionError as e:
                failed += 1
                print(f"FAIL {name} {dtype} {json.dumps(config)}: {e}")
    want = len(MODELS) * len(WEIGHTS) * (len(DTYPES) * len(SCHEMES) * len(GRAINS) + 3)
    print(f"oracle: {ran} of {want} combinations ran, {weights} weights compared, {failed} failed")
    return 1 if failed or ran != want or weights == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
