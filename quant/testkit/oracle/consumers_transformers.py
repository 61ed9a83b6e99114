"""The part of the oracle of consumers that is Transformers with compressed-tensors (consumers.py says what is held)."""

import hashlib
import importlib.metadata as versions
import json
import pathlib

import torch
import transformers as hf
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams

import consumers
import consumers_models as models
from consumers_folder import read, stands_for, with_values

hf.utils.logging.set_verbosity_error()
hf.utils.logging.disable_progress_bar()
IDS = torch.tensor([[1, 5, 77, 200, 9, 42, 210, 8]])
VERSION = hf.__version__.split(".")[0]

BLOCK = {"weight_dtype": "int4", "granularity": "per_block", "block_size": 32}
HEAD = {"lm_head": None, "cls.predictions.decoder": None}


def entry(dtype="int4", granularity="per_block", size=None, **more):
    return {"weight_dtype": dtype, "granularity": granularity} | ({"block_size": size} if size else {}) | more


# Recipes for the place, as words of the command; the first goes to every model.
PLACE = {
    "usual": [],
    "vllm": ["--for", "vllm"],
    "g64": ["--group-size", "64"],
    "g32": ["--for", "transformers", "--group-size", "32"],
    "g16": ["--group-size", "16"],
    "channel": ["--granularity", "per_channel"],
    "affine": ["--scheme", "affine", "--group-size", "32"],
    "int8": ["--dtype", "int8"],
    "int8-channel-affine": ["--dtype", "int8", "--granularity", "per_channel", "--scheme", "affine"],
}
# Recipes that are coremltools', in the container packed.
OWN = {
    "head-kept": {"global_config": BLOCK, "module_name_configs": HEAD},
    "all": {"global_config": BLOCK},
    "affine": {"global_config": entry("uint4", size=32, quantization_scheme="affine"), "module_name_configs": HEAD},
    "affine-signed": {"global_config": entry(size=64, quantization_scheme="affine"), "module_name_configs": HEAD},
    "unsigned": {"global_config": entry("uint4", size=32), "module_name_configs": HEAD},
    "channel": {"global_config": entry(granularity="per_channel"), "module_name_configs": HEAD},
    "int8-channel": {"global_config": entry("int8", "per_channel"), "module_name_configs": HEAD},
    "uint8-affine": {
        "global_config": entry("uint8", "per_channel", quantization_scheme="affine"), "module_name_configs": HEAD,
    },
    "tensor": {"global_config": entry(granularity="per_tensor")},
    "tall": {"global_config": entry(size=[2, 32]), "module_name_configs": HEAD},
    "mixed": {
        "global_config": BLOCK,
        "module_name_configs": HEAD | {".*down_proj": entry("int8", "per_channel"), ".*o_proj": None},
    },
    "three": {
        "global_config": BLOCK,
        "module_name_configs": HEAD | {".*(gate|up)_proj": entry(size=16), ".*v_proj": entry("int8", "per_channel")},
    },
    "only-mlp": {"module_name_configs": {".*mlp.*": BLOCK}},
}


def own_codes(weight, parts):
    """What compressed-tensors makes of a weight; "" where it is what the folder holds."""
    codes, scale, zero, bits = parts
    groups = weight.unflatten(-1, (scale.shape[1], -1))
    args = QuantizationArgs(num_bits=bits, type="int", symmetric=zero is None, strategy="group",
                            group_size=groups.shape[-1])
    own_scale, own_zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
    if own_scale.dtype != scale.dtype or not torch.equal(own_scale, scale):
        return "other scales"
    if zero is not None and not torch.equal(own_zero.to(torch.int64), zero.to(torch.int64)):
        return "other zero points"
    own = quantize(weight, own_scale, own_zero, args, dtype=torch.int8)
    return "" if torch.equal(own.to(torch.int64), codes.to(torch.int64)) else "other codes"


def load(folder, **more):
    cls = getattr(hf, json.loads((folder / "config.json").read_text())["architectures"][0])
    model, info = cls.from_pretrained(folder, output_loading_info=True, **more)
    with torch.no_grad():
        for p in model.parameters():  # what lies at odd addresses is summed in another order
            p.data = p.data.clone()
    return model, info


def logits(model):
    with torch.no_grad():
        return model.eval()(IDS).logits


def complaints(info):
    kinds = ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs")
    found = {kind: sorted(map(str, info[kind])) for kind in kinds if info.get(kind)}
    return ", ".join(f"{kind}: {names[:3]} of {len(names)}" for kind, names in found.items())


def check(source, out, exact):
    """What is wrong with a folder; "" where nothing is."""
    floats, _ = read(source)
    tensors, schemes = read(out)
    values, parts = stands_for(tensors, schemes)
    if not values:
        return "nothing is quantized"
    if exact:
        for key, part in parts.items():
            if problem := own_codes(floats[key], part):
                return f"{problem} of {key}"
    dtype = next(iter(floats.values())).dtype
    model, info = load(out, dtype="auto")
    if problem := complaints(info):
        return problem
    for key, value in values.items():
        if value.dtype != dtype:
            return f"{key} has scales of {value.dtype}"
    reference, info = load(with_values(source, f"floats{VERSION}", floats | values), dtype=dtype)
    if problem := complaints(info):
        return f"the reference: {problem}"
    want, got = logits(reference), logits(model)
    if got.dtype != want.dtype or not torch.equal(got, want):
        return f"logits differ by {(got.float() - want.float()).abs().max():g} of {want.float().abs().max():g}"
    return ""


def attempt(name, step):
    try:
        consumers.say(name, step())
    except Exception as e:  # whatever it is, the folder does not load
        consumers.say(name, f"{type(e).__name__}: {str(e)[:300]}")


def one(nibble, row, recipe, words, config):
    source = consumers.HOME / "models" / models.name_of(*row)
    out = consumers.HOME / f"transformers{VERSION}"
    consumers.convert(nibble, source, out, words, config)
    return check(source, out, config is None)


def red(nibble):
    """The check finds a folder in which one tensor has another name, and one whose config lacks an ignored head."""
    source, out = consumers.HOME / "models" / "llama-bf16", consumers.HOME / f"transformers{VERSION}"
    consumers.convert(nibble, source, out, [])
    consumers.altered(out, "mlp.up_proj.weight_packed")
    try:
        problem = check(source, out, False)
    except Exception as e:
        problem = str(e)
    return "" if problem else "an altered name was not found"


def golden(nibble, source, recipe, words, config):
    """What a folder holds that loads as it should: its config, and a digest of each tensor."""
    out = consumers.HOME / f"transformers{VERSION}"
    consumers.convert(nibble, source, out, words, config)
    if problem := check(source, out, config is None):
        raise RuntimeError(f"{source} {recipe}: {problem}")
    tensors = {
        key: hashlib.sha256(t.contiguous().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()[:16]
        for key, t in sorted(read(out)[0].items())
    }
    said = json.loads((out / "config.json").read_text())["quantization_config"]
    return {"source": source.parent.name, "name": recipe, "words": words, "config": config,
            "quantization_config": said, "tensors": tensors}


def goldens(nibble, _):
    """Writes what the ordinary tests hold Nibble to, of the folders that Transformers has just loaded."""
    home = pathlib.Path(__file__).parent.parent / "fixtures" / "consumers"
    rows = [golden(nibble, source, recipe, words, config)
            for source in sorted(home.glob("*/src"))
            for recipe, words, config in [(n, w, None) for n, w in PLACE.items()]
            + [("own " + n, ["--to", "packed"], c) for n, c in OWN.items()]]
    made_by = {"transformers": hf.__version__, "compressed-tensors": versions.version("compressed-tensors"),
               "torch": torch.__version__}
    lines = ",\n".join(json.dumps(row) for row in rows)
    (home / "ct.json").write_text('{"made_by": ' + json.dumps(made_by) + ', "cases": [\n' + lines + "\n]}\n")
    print(len(rows), "goldens")


def run(nibble, wanted):
    made_by = f"transformers {hf.__version__}"
    print(made_by, flush=True)
    rows = [row for row in models.FOLDERS if wanted in models.name_of(*row)]
    many = {"llama-bf16", "llama-f32", "llama-f16", "qwen2-bf16-tied", "qwen2-f32-tied-sharded", "bert-f32-tied"}
    for row in rows:
        name = models.name_of(*row)
        for recipe, words in PLACE.items():
            if recipe == "usual" or name in many:
                attempt(f"{made_by} {name} {recipe}", lambda: one(nibble, row, recipe, words, None))
        for recipe, config in OWN.items():
            if name in many and not name.startswith("bert"):
                attempt(f"{made_by} {name} own {recipe}",
                        lambda: one(nibble, row, recipe, ["--to", "packed"], config))
    if not wanted:
        attempt(f"{made_by} red", lambda: red(nibble))
    consumers.finish(1 if wanted else 150)
