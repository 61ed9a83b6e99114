"""Proof by ct.convert: Nibble's files, taken to Core ML by the very lines that Nibble
prints, give the same program and the same weight.bin as PostTrainingQuantizer's model.
"""

import json
import os
import pathlib
import subprocess
from collections import Counter

import coremltools as ct
import numpy as np
import torch
from coremltools.converters.mil.mil import types
from safetensors.torch import save_file

import models
import ptq

RECIPES = [
    {"weight_dtype": "int4", "granularity": "per_block", "block_size": 16},
    {"weight_dtype": "uint4", "quantization_scheme": "affine", "granularity": "per_channel"},
    {"weight_dtype": "int4", "quantization_scheme": "affine", "granularity": "per_block", "block_size": [2, 16]},
    {"weight_dtype": "uint4", "granularity": "per_tensor"},
    {"weight_dtype": "int8", "granularity": "per_channel"},
    {"weight_dtype": "uint8", "quantization_scheme": "affine", "granularity": "per_tensor"},
]
CASES = [(name, torch.float32, r) for name in ("mlp", "conv", "attention", "tied", "root") for r in RECIPES]
# coremltools quantizes tied weights twice, and with affine codes the second time differs.
CASES = [c for c in CASES if c[0] != "tied" or "quantization_scheme" not in c[2]]
CASES += [("root", torch.float16, r) for r in RECIPES]  # coremltools converts few other half models
CASES += [(name, torch.float32, RECIPES[i], True) for name, i in (("mlp", 2), ("conv", 0))]  # sharded
CONTAINERS = ["coremltools", "int8", "packed"]

torch.backends.mha.set_fastpath_enabled(False)


def core_ml(model, example, name, folder):
    """The program's op types, the dtypes of its quantized data, and weight.bin."""
    if name == "attention":
        # torch.jit.trace of MultiheadAttention trips coremltools 9.0 under numpy 2.4
        # (int() of an array), so it goes by torch.export.
        program = torch.export.export(model.eval(), (example,)).run_decompositions({})
        package = ct.convert(program, minimum_deployment_target=ct.target.iOS18, skip_model_load=True)
    else:
        traced = torch.jit.trace(model.eval(), example, check_trace=False)
        package = ct.convert(
            traced, inputs=[ct.TensorType(shape=example.shape, **({"dtype": np.int32} if name == "tied" else {}))],
            minimum_deployment_target=ct.target.iOS18, skip_model_load=True,
        )
    return described(package, folder)


def described(package, folder):
    path = folder / "described.mlpackage"
    subprocess.run(["rm", "-rf", path], check=True)
    package.save(str(path))
    function = package._mil_program.functions["main"]
    quantized = [types.builtin_to_string(o.data.dtype)
        for o in function.find_ops(op_type="constexpr_blockwise_shift_scale")]
    return Counter(o.op_type for o in function.operations), Counter(quantized), (
        path / "Data/com.apple.CoreML/weights/weight.bin").read_bytes()


def run_lines(lines, model, example, name, folder):
    """Executes the printed lines as they stand; attention takes torch.export for the
    last of them."""
    scope = {"model": model, "example": example}
    here = os.getcwd()
    os.chdir(folder)
    try:
        if name in ("attention", "tied"):
            lines = lines[: lines.index("# With the default target")]
        exec(compile(lines, "lines", "exec"), scope)
    finally:
        os.chdir(here)
    if name in ("attention", "tied"):  # tied takes token ids, which the lines know nothing of
        return core_ml(model, example, name, folder)
    return described(scope["package"], folder)


def shards(state, folder):
    """A state dict as a folder of two shards with an index."""
    folder.mkdir()
    where = {}
    for n in (0, 1):
        file = f"model-{n + 1:05}-of-00002.safetensors"
        part = {k: v.contiguous() for k, v in list(state.items())[n::2]}
        save_file(part, folder / file)
        where |= {k: file for k in part}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    return folder


def check(nibble, name, dtype, entry, folder, sharded=False):
    """Returns how many quantized constants the program holds."""
    config = {"global_config": entry}
    model = models.build(name, dtype)
    source = folder / "in.pt"
    torch.save(model.state_dict(), source)
    if sharded:
        source = shards(model.state_dict(), folder / "in")
    example = models.example(name).to(dtype) if name != "tied" else models.example(name)
    asked = [f"--module-type={t}" for t in models.TYPES.get(name, [])] + ["--coremltools-skips", "--include-embeddings"]
    made = ptq.Recorder(model, ptq.python_config(config)).compress()
    if name == "tied":  # else the converter loses the head's compression to the embedding, which comes first
        for key, value in list(made.head.named_buffers()):
            made.embed.register_buffer(key, value)
    ops, data, weights = core_ml(made, example, name, folder)
    assert data, f"nothing is quantized in {name}"
    bits = entry["weight_dtype"].lstrip("uint")
    assert all(d.lstrip("uint") == bits for d in data), f"{name}: the program holds {data}, not {entry['weight_dtype']}"
    for container in CONTAINERS:
        out = "out" + (f"-{container}" if sharded else ".pt" if container == "coremltools" else ".safetensors")
        nibble("convert", source, "--config", save(config, folder), "--to", container, "-o", folder / out, *asked)
        lines = nibble("python", out, cwd=folder)
        fresh = models.build(name, dtype)
        with torch.no_grad():
            for p in fresh.parameters():
                p.zero_()
        got = run_lines(lines, fresh, example, name, folder)
        assert got[0] == ops, f"{container}: ops {got[0]}, want {ops}"
        assert got[1] == data, f"{container}: data {got[1]}, want {data}"
        assert got[2] == weights, f"{container}: weight.bin differs"
    return sum(data.values())


def save(config, folder):
    path = pathlib.Path(folder) / "config.json"
    path.write_text(json.dumps(config))
    return path


def read_back(model, example):
    """The weights of the converted program, at full precision."""
    traced = torch.jit.trace(model.eval(), example, check_trace=False)
    package = ct.convert(
        traced, inputs=[ct.TensorType(shape=example.shape)], minimum_deployment_target=ct.target.iOS18,
        skip_model_load=True,
        compute_precision=ct.precision.FLOAT32,
    )
    return [o.materialized_val_inference()
        for o in package._mil_program.functions["main"].find_ops(op_type="constexpr_blockwise_shift_scale")][0]


def zero_blocks(nibble, dtype, scheme, folder):
    """A row of zeros: what the converter makes of scale 0, and of what Nibble writes."""
    torch.manual_seed(3)
    model = torch.nn.Linear(64, 8)
    with torch.no_grad():
        model.weight[0] = 0
    torch.save(model.state_dict(), folder / "in.pt")
    example, config = torch.rand(1, 64), {"global_config": {"weight_dtype": dtype, "quantization_scheme": scheme}}
    nibble("convert", folder / "in.pt", "--config", save(config, folder), "--to", "coremltools", "-o",
        folder / "out.pt")
    ours = torch.load(folder / "out.pt", weights_only=True)
    theirs = ptq.Recorder(model, ptq.python_config(config)).compress()
    scale = "_COREML_/weight/quantization_scale"
    assert theirs.state_dict()[scale][0] == 0 and ours[scale][0] == 1, "the scales of the zero row"
    assert torch.equal(ours[scale][1:], theirs.state_dict()[scale][1:]), "the other scales differ"
    assert torch.equal(ours["weight"], theirs.weight), "the weights differ"  # 0 == -0
    try:
        broken = np.abs(read_back(theirs, example) - theirs.weight.detach().numpy()).max()
        lost = f"largest error {broken:.4f}"
        assert broken > 0.5 * float(theirs.weight.abs().max()), f"coremltools is mended: {lost}"
    except ValueError as e:
        lost = f"ct.convert fails ({str(e)[:60]})"
    fresh = torch.nn.Linear(64, 8)
    for key, value in ours.items():
        if "_COREML_" in key:
            fresh.register_buffer(key, value)
    fresh.load_state_dict(ours)
    mended = np.abs(read_back(fresh, example) - ours["weight"].numpy()).max()
    assert mended == 0, f"Nibble's file comes out wrong by {mended}"
    print(f"zero block, {dtype} {scheme}: coremltools {lost} of {float(theirs.weight.abs().max()):.4f}; Nibble 0")
