"""What compressed-tensors' and MLX's own functions make of some weights: minmax.json and mlx.json, for the methods.

Run in the environment of ./build.sh oracle consumers:  python quant/testkit/vectors/consumers.py
"""

import importlib.metadata as versions
import json
import pathlib

import mlx.core as mx
import numpy as np
import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
from compressed_tensors.quantization.utils import calculate_qparams

here = pathlib.Path(__file__).parent
dtypes = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def weights(seed, rows, cols):
    """Rows of every kind: ordinary ones, zeros, one-signed, constant, tiny, with an outlier, ties."""
    r = np.random.default_rng(seed)
    w = r.standard_normal((rows, cols)) * 0.05
    w[0] = 0
    w[1] = abs(w[1])
    w[2] = -abs(w[2])
    w[3] = 0.25
    w[4] = -0.75
    w[5] *= 1e-4
    w[6, 3] = 3.0
    w[7] = r.integers(-15, 16, cols) / 2
    w[8] *= 1e-9
    w[9] = 0
    w[9, 5] = -0.0
    w[9, 7] = 1e-30
    w[10] = r.integers(-8, 8, cols) * 0.125
    w[11] = r.standard_t(2, cols) * 30
    w[12] += 5
    w[13] = r.integers(0, 2, cols) * 1e-7
    return torch.tensor(w, dtype=torch.float32)


def raw(t):
    return t.contiguous().view(torch.uint8).numpy().tobytes().hex()


def minmax(w, bits, symmetric, group):
    """The memoryless minmax observer's scales, and what they make of the weights."""
    if group is None:
        args = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, strategy="channel")
        low, high = w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
    else:
        args = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, strategy="group", group_size=group)
        parts = w.unflatten(-1, (-1, group))
        low, high = parts.amin(-1), parts.amax(-1)
    scale, zero = calculate_qparams(low, high, args)
    codes = quantize(w, scale, zero, args, dtype=torch.int8)
    after = dequantize(codes, scale, zero, args)
    assert scale.dtype == w.dtype and after.dtype == w.dtype
    return {"scale": raw(scale), "zero": raw(zero.to(torch.int8)), "codes": raw(codes), "after": raw(after)}


def of_mlx(w, name, bits, group):
    """mx.quantize on the CPU; float16 and bfloat16 travel as bits."""
    if name == "BF16":
        a = mx.array(w.view(torch.uint16).numpy()).view(mx.bfloat16)
    else:
        a = mx.array(w.numpy())
    q, s, b = mx.quantize(a, group_size=group, bits=bits, stream=mx.cpu)
    bytes_of = lambda x: np.array(x.view(mx.uint8)).tobytes().hex()
    return {"words": bytes_of(q), "scale": bytes_of(s), "offset": bytes_of(b)}


cases = {"minmax": [], "mlx": []}
seed = 0
for name, dtype in dtypes.items():
    for bits in (4, 8):
        for group in (32, 64, None):
            for symmetric in (True, False):
                seed += 1
                w = weights(seed, 14, 128).to(dtype)
                cases["minmax"].append(
                    {"dtype": name, "bits": bits, "symmetric": symmetric, "group": group or 128, "shape": list(w.shape),
                     "channel": group is None, "weights": raw(w)} | minmax(w, bits, symmetric, group))
        for group in (32, 64, 128):
            seed += 1
            w = weights(seed, 14, 256).to(dtype)
            cases["mlx"].append({"dtype": name, "bits": bits, "group": group, "shape": list(w.shape), "weights": raw(w)}
                                | of_mlx(w, name, bits, group))

tools = {"minmax": ["compressed-tensors", "torch"], "mlx": ["mlx", "mlx-cpu"]}
for name, rows in cases.items():
    made_by = {tool: versions.version(tool) for tool in tools[name]}
    lines = ",\n".join(json.dumps(row) for row in rows)
    (here / f"{name}.json").write_text('{"made_by": ' + json.dumps(made_by) + ', "cases": [\n' + lines + "\n]}\n")
    print(name, len(rows))
