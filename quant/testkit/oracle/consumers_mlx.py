"""The part of the oracle of consumers that is MLX with mlx-lm on the CPU (consumers.py says what is held)."""

import json
import pathlib
import shutil

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from mlx_lm import convert
from mlx_lm.utils import load_model

import consumers
import consumers_models as models
from consumers_folder import read as folder_of
from consumers_folder import stands_for, with_values

mx.set_default_device(mx.cpu)
IDS = mx.array([[1, 5, 77, 200, 9, 42, 210, 8]])

# Recipes of MLX's own arithmetic, by group size; None is the one that is usual.
SIZES = [None, 32, 128]
# Recipes of coremltools that MLX holds as they are.
OWN = {
    "b32": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 32},
    "b64": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 64},
    "int8": {"weight_dtype": "int8", "granularity": "per_block", "block_size": 32},
}
# Folders of compressed-tensors that become MLX's, and their bits.
MOVED = {"usual": ([], 4), "g32": (["--group-size", "32"], 4), "int8": (["--dtype", "int8"], 8)}


def read(folder):
    out = {}
    for path in sorted(folder.glob("model*.safetensors")):
        out |= mx.load(str(path))
    return out


def loaded(folder):
    """The tensors as they are once mlx-lm has stacked experts, which it does for mixtral when it loads it."""
    model, _ = load_model(folder)
    return dict(tree_flatten(model.parameters()))


def raw(array):
    return np.array(array.reshape(-1).view(mx.uint8)).tobytes()


def logits(folder):
    model, _ = load_model(pathlib.Path(folder))
    return np.array(model(IDS).astype(mx.float32))


def compare(own, theirs):
    """What differs between two sets of tensors; "" where nothing does."""
    if own.keys() != theirs.keys():
        return f"names: {sorted(own.keys() ^ theirs.keys())[:4]}"
    for name, array in theirs.items():
        if own[name].dtype != array.dtype or own[name].shape != array.shape:
            return f"{name} is {own[name].dtype} {own[name].shape}, not {array.dtype} {array.shape}"
        if raw(own[name]) != raw(array):
            return f"{name} differs"
    return ""


def exact(nibble, source, size):
    """Tensors and logits are those of mlx_lm.convert -q."""
    out, theirs = consumers.HOME / "mlx", consumers.HOME / "mlx-own"
    consumers.convert(nibble, source, out, ["--for", "mlx"] + (["--group-size", str(size)] if size else []))
    shutil.rmtree(theirs, ignore_errors=True)
    convert(str(source), str(theirs), quantize=True, q_group_size=size or 64)
    tensors = loaded if "mixtral" in source.name else read
    if problem := compare(tensors(out), tensors(theirs)):
        return problem
    said, want = (json.loads((folder / "config.json").read_text())["quantization"] for folder in (out, theirs))
    if said != want:
        return f"quantization is {said}, not {want}"
    got, want = logits(out), logits(theirs)
    return "" if np.array_equal(got, want) else f"logits differ by {abs(got - want).max():g}"


def relabelled(nibble, source, entry):
    """coremltools' codes stand for the same numbers there as in the container packed."""
    out, packed = consumers.HOME / "mlx", consumers.HOME / "packed"
    for folder, to in ((out, "mlx"), (packed, "packed")):
        consumers.convert(nibble, source, folder, ["--to", to], {"global_config": entry})
    return same_numbers(source, out, packed, int(entry["weight_dtype"][-1]))


def moved(nibble, source, words, bits):
    """A folder of compressed-tensors becomes one of MLX with the same numbers."""
    out, packed = consumers.HOME / "mlx", consumers.HOME / "packed"
    consumers.convert(nibble, source, packed, ["--for", "transformers", *words])
    consumers.convert(nibble, packed, out, ["--for", "mlx"])
    return same_numbers(source, out, packed, bits)


def same_numbers(source, out, packed, bits):
    own, other, count = read(out), read(packed), 0
    for name in [n for n in other if n.endswith("_packed")]:
        module = name.removesuffix(".weight_packed")
        words, scale = other[name].view(mx.uint32), other[module + ".weight_scale"]
        if raw(own[module + ".weight"]) != raw(words) or raw(own[module + ".scales"]) != raw(scale):
            return f"{module} has other codes or scales"
        if raw(own[module + ".biases"]) != raw(scale * -(2 ** (bits - 1))):
            return f"{module} has other offsets"
        count += 1
    if count == 0 or any(n.endswith("_zero_point") for n in other):
        return "there is nothing to compare"
    got = logits(out)
    if "f32" not in source.name:  # half floats are summed in another order, which is seen
        return "" if np.isfinite(got).all() else "logits are not finite"
    values, _ = stands_for(*folder_of(packed))
    floats, _ = folder_of(source)
    want = logits(with_values(source, "floats-mlx", floats | values))
    return "" if np.allclose(got, want, rtol=0, atol=2e-5 * abs(want).max()) else f"off by {abs(got - want).max():g}"


def attempt(name, step):
    try:
        consumers.say(name, step())
    except Exception as e:  # whatever it is, the folder does not load
        consumers.say(name, f"{type(e).__name__}: {str(e)[:300]}")


def red(nibble):
    """A folder in which one tensor has another name does not load."""
    out = consumers.HOME / "mlx"
    consumers.convert(nibble, consumers.HOME / "models" / "llama-bf16", out, ["--for", "mlx"])
    consumers.altered(out, "mlp.up_proj.scales")
    try:
        logits(out)
    except ValueError:
        return ""
    return "an altered name was not found"


def run(nibble, wanted):
    print("mlx", mx.__version__, flush=True)
    for row in models.FOLDERS:
        name = models.name_of(*row)
        if row[0] in models.ENCODERS or wanted not in name:
            continue
        source = consumers.HOME / "models" / name
        for size in SIZES:
            attempt(f"mlx {name} {size or 'usual'}", lambda: exact(nibble, source, size))
        if row[0] in models.DENSE:
            for recipe, entry in OWN.items():
                attempt(f"mlx {name} own {recipe}", lambda: relabelled(nibble, source, entry))
            for recipe, (words, bits) in MOVED.items():
                attempt(f"mlx {name} moved {recipe}", lambda: moved(nibble, source, words, bits))
    if not wanted:
        attempt("mlx red", lambda: red(nibble))
    consumers.finish(1 if wanted else 150)
