"""What ./build.sh bench peers holds Nibble against: torch.load, PostTrainingQuantizer and
torch.save of one checkpoint, as coremltools' users do it. Prints one line of JSON: the
seconds of each step, without the imports, and the peak memory of the process.

    peer.py SOURCE.pt OUT.pt CONFIG.json

With --half it times coremltools' own functions on float16 weights instead (int4, blocks of
32, one thread): codes, the weights that they stand for, and the error, which is what the
kernels do. It prints how many bytes of weights that is a second.
"""

import json
import resource
import sys
import time

import numpy as np
import torch
from coremltools.optimize._utils import compute_qparams, dequantize_by_scale_and_zp
from coremltools.optimize.torch.quantization import PostTrainingQuantizer, PostTrainingQuantizerConfig


def module_of(name, weight):
    """An empty layer that a weight of this name belongs to; its parameter is assigned later."""
    if weight.dim() == 2 and "embed" in name:
        return torch.nn.Embedding(*weight.shape, device="meta", dtype=weight.dtype)
    if weight.dim() == 2:
        return torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta", dtype=weight.dtype)
    return torch.nn.LayerNorm(weight.shape, bias=False, device="meta", dtype=weight.dtype)


def model_of(state):
    root = torch.nn.Module()
    for key, weight in state.items():
        *path, leaf, param = key.split(".")
        assert param == "weight", key
        at = root
        for part in path:
            if not hasattr(at, part):
                at.add_module(part, torch.nn.Module())
            at = getattr(at, part)
        at.add_module(leaf, module_of(key, weight))
    root.load_state_dict(state, assign=True)
    return root


def main(source, out, config):
    steps = {}

    def step(name, f):
        began = time.perf_counter()
        value = f()
        steps[name] = time.perf_counter() - began
        return value

    with open(config) as f:
        config = PostTrainingQuantizerConfig.from_dict(json.load(f))
    model = step("load", lambda: model_of(torch.load(source, weights_only=True)))
    quantized = step("compress", lambda: PostTrainingQuantizer(model, config).compress())
    step("save", lambda: torch.save(quantized.state_dict(), out))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": sum(steps.values()), "steps": steps, "peak": peak}))


def half():
    weight = (np.random.default_rng(1).standard_normal((2048, 4096)) * 0.02).astype(np.float16)
    began = time.perf_counter()
    codes, scale, zero = compute_qparams(weight=weight, nbits=4, signed=True, dtype=None, block_sizes=[1, 32],
        quantization_mode="LINEAR_SYMMETRIC")
    after = dequantize_by_scale_and_zp(codes, scale, zero)
    np.sqrt(np.mean(np.square(weight.astype(np.float32) - after.astype(np.float32))))
    print(json.dumps({"bytes_per_second": weight.nbytes / (time.perf_counter() - began)}))


half() if sys.argv[1:] == ["--half"] else main(*sys.argv[1:])
