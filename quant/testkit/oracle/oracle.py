"""Holds Nibble's native command against coremltools, torch, safetensors and
compressed-tensors.

Run by `./build.sh oracle`, which makes the Python environment. In parts:

  state dicts  for every model, weight dtype and recipe: the coremltools container equals
               PostTrainingQuantizer(model, config).compress().state_dict(), with
               --coremltools-skips key for key and bit for bit, without it but for the
               deviations that docs/differences.md lists; int8 and packed hold the codes that
               coremltools computed; the report has the numbers of .report()
  large        the same of weights that are read in many tiles, some of them twice
  exports      a recipe written by --export makes coremltools do what Nibble does
  configs      what coremltools refuses, Nibble refuses (configs.py)
  tied         verdicts that the recipe sets apart are an error
  conv1d       Conv1D of Transformers, whose blocks run along its rows
  conversion   ct.convert, by the lines that Nibble prints (conversion.py)
  zero blocks  what ct.convert makes of scales of 0
  layouts      every way in which torch and safetensors write a model, read byte for byte
               (layouts.py)

The command line: oracle.py NIBBLE [PART]. Exit status 1 when anything differs or is missing.
"""

import functools
import itertools
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback
import warnings

os.environ["TQDM_DISABLE"] = "1"  # no bars of progress

import torch
import yaml

logging.disable(logging.WARNING)  # PostTrainingQuantizer warns of each layer it skips
warnings.simplefilter("ignore")

import configs
import conversion
import layouts
import models
import ptq
from containers import check_coremltools, check_int8, check_packed

MODELS = ["mlp", "conv", "attention", "tied", "root"]
WEIGHTS = [torch.float32, torch.float16, torch.float64, torch.bfloat16]
DTYPES = ["int4", "uint4", "int8", "uint8"]
SCHEMES = ["symmetric", "affine"]
GRAINS = [
    {"granularity": "per_tensor"},
    {"granularity": "per_channel"},
    {"granularity": "per_block", "block_size": 32},
    {"granularity": "per_block", "block_size": [2, 16]},
]
MIXED = [
    {
        "global_config": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 16},
        "module_name_configs": {
            r".*\.0": {"weight_dtype": "int8"},
            r"(?!.*(?:head|up|attn)).*(?<!d)": {"weight_dtype": "uint4", "granularity": "per_tensor"},
            "head|up|attn": None,
        },
    },
    {
        "module_type_configs": {
            "Linear": {"weight_dtype": "uint4"},
            "ConvTranspose2d": {"weight_dtype": "int8", "granularity": "per_tensor"},
            "MultiheadAttention": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 8}, "Conv2d": None,
        },
    },
    {"module_name_configs": {"odd|deconv|cross|": {"weight_dtype": "int4"}}},
    {"global_config": {"weight_dtype": "int4"}, "module_type_configs": {"Linear": None, "Conv3d": None}},
    {},
]


def recipes(name):
    """Every config, in JSON form. Mixed ones give tied weights different verdicts."""
    for dtype, scheme, grain in itertools.product(DTYPES, SCHEMES, GRAINS):
        yield {"global_config": {"weight_dtype": dtype, "quantization_scheme": scheme, **grain}}
    yield from MIXED[-1:] if name == "tied" else MIXED


LARGE = [
    {"global_config": {"weight_dtype": "int4", "granularity": "per_tensor"}},
    {"global_config": {"weight_dtype": "uint4", "quantization_scheme": "affine", "granularity": "per_channel"}},
    {"global_config": {"weight_dtype": "int8", "granularity": "per_block", "block_size": [576, 64]}},
]


def nibble(exe, *args, cwd=None):
    if args[0] == "convert":
        args = (*args, "--force")  # outputs are written over each other
    if args[0] in ("convert", "plan"):
        args = (*args, "--allow-none")  # as coremltools does
    p = subprocess.run([exe, *map(str, args)], capture_output=True, text=True, cwd=cwd)
    if p.returncode:
        raise AssertionError(f"nibble {' '.join(map(str, args))}: {p.stderr}")
    return p.stdout


def check_states(run, folder, name, dtype, config):
    """One combination; returns how many weights were compared, and how many deviations."""
    torch.save(models.build(name, dtype).state_dict(), folder / "in.pt")
    (folder / "config.json").write_text(json.dumps(config))
    types = [f"--module-type={t}" for t in models.TYPES.get(name, [])]
    if name == "tied":
        types.append("--include-embeddings")

    def convert(to, out, *more):
        run("convert", folder / "in.pt", "--config", folder / "config.json", "--to", to, "-o", out, *types, *more)
        run("verify", out, "--against", folder / "in.pt")

    def plan(*more):
        return json.loads(run("plan", folder / "in.pt", "--config", folder / "config.json", "--json", *types, *more))[
            "tensors"]

    strict = ["--coremltools-skips"]
    source, want, codes, _, deviations = ptq.expected(models.build(name, dtype), config, plan(*strict))
    assert deviations == 0 or name == "tied", "a deviation with --coremltools-skips"
    convert("coremltools", folder / "out.pt", *strict)
    check_coremltools(folder / "out.pt", want, ordered=name != "tied")

    source, want, codes, report, deviations = ptq.expected(models.build(name, dtype), config, plan())

    def bits_of(key):
        return int(want[next(k for k in ptq.buffers(key, 0, codes[key][1], None) if k.endswith("n_bits"))])

    convert("coremltools", folder / "out.pt", "--report", folder / "report.json")
    check_coremltools(folder / "out.pt", want, ordered=deviations == 0)
    check_report(json.loads((folder / "report.json").read_text()), source, want, report, dtype)
    for nibbles in ("sign", "zero"):
        convert("int8", folder / "int8.safetensors", "--high-nibble", nibbles)
        check_int8(folder / "int8.safetensors", source, codes, nibbles, bits_of)
    convert("packed", folder / "packed.safetensors")
    check_packed(folder / "packed.safetensors", source, codes, bits_of)
    return len(codes), deviations


def check_report(ours, source, want, theirs, dtype):
    """error, #params and dtype of coremltools' .report(), which computes the error in the
    weight's dtype (so poorly in float16; and bfloat16 it refuses), and from the floats
    themselves."""
    rows = {r["name"]: r for r in ours["tensors"] if r["scheme"]}
    for key, row in rows.items():
        exact = ptq.rmse(source[key], want[key])
        assert abs(row["rmse"] - exact) <= 2e-7 * exact + 1e-300, f"{key}: rmse {row['rmse']}, want {exact}"
    for key, line in theirs.items():
        row = rows[key]
        assert row["parameters"] == line["#params"], f"{key}: #params"
        assert "dtype=" + row["scheme"]["weight_dtype"].removeprefix("u") == line["dtype"], f"{key}: dtype"
        if dtype in (torch.float32, torch.float64):
            assert abs(row["rmse"] - line["error"]) <= 1e-2 * line[
                "error"] + 1e-12, f"{key}: rmse {row['rmse']}, coremltools {line['error']}"


EXPORTS = [
    (name, config)
    for name in ("mlp", "conv", "root")
    for config in [
        *[{"global_config": {"weight_dtype": "uint4", "quantization_scheme": "affine", **g}} for g in GRAINS],
        {"global_config": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 99999}},
        MIXED[0],
        MIXED[1],
    ]
]


def check_export(run, folder, name, config):
    """coremltools with the exported config, JSON and YAML, does what Nibble did."""
    torch.save(models.build(name, torch.float32).state_dict(), folder / "in.pt")
    (folder / "config.json").write_text(json.dumps(config))
    asked = [f"--module-type={t}" for t in models.TYPES.get(name, [])]
    outputs = []
    for form in (None, "json", "yaml"):
        given = folder / (f"exported.{form}" if form else "config.json")
        if form:
            run("plan", folder / "in.pt", "--config", folder / "config.json", "--export", given, *asked)
        out = folder / "out.safetensors"
        run("convert", folder / "in.pt", "--config", given, "--to", "int8", "-o", out, *asked)
        outputs.append(out.read_bytes())
        run("convert", folder / "in.pt", "--config", given, "--to", "coremltools", "-o", folder / "out.pt", *asked)
    assert outputs[0] == outputs[1] == outputs[2], "the exported config gives other bytes on the command line"
    exported = json.loads((folder / "exported.json").read_text())
    exported.pop("nibble", None)  # what coremltools has no word for, and no patience
    want = ptq.Recorder(models.build(name, torch.float32), ptq.python_config(exported)).compress().state_dict()
    check_coremltools(folder / "out.pt", want, ordered=True)
    if "[" not in (folder / "exported.yaml").read_text():  # lists, which coremltools cannot read from YAML
        own = yaml.safe_load((folder / "exported.yaml").read_text())
        own.pop("nibble", None)
        (folder / "own.yaml").write_text(yaml.safe_dump(own, sort_keys=False))
        config = ptq.PostTrainingQuantizerConfig.from_yaml(str(folder / "own.yaml"))
        again = ptq.Recorder(models.build(name, torch.float32), config).compress().state_dict()
        check_coremltools(folder / "out.pt", again, ordered=True)
    return 1, 0


def check_configs(run, folder):
    """coremltools still says what the vectors record, and Nibble refuses and accepts the
    same, but for what only coremltools takes."""
    recorded, now = json.loads(configs.FILE.read_text()), configs.answers()
    assert recorded == now, "coremltools answers otherwise than ptq_configs.json: run configs.py"
    torch.save(models.build("root", torch.float32).state_dict(), folder / "in.pt")
    n = 0
    for kind in ("refused", "accepted", "only_coremltools"):
        for row in now[kind]:
            (folder / "config.json").write_text(json.dumps(row["config"]))
            p = subprocess.run([*run.args, "plan", folder / "in.pt", "--config", folder / "config.json",
                "--allow-none"], capture_output=True, text=True)
            assert (row["says"] != "") == (kind == "refused"), f"coremltools on {row}"
            assert (p.returncode != 0) == (kind != "accepted"), f"nibble on {row}: {p.stderr}"
            n += 1
    return n, 0


TIED_CONFLICTS = [
    ({"module_name_configs": {"head": {"weight_dtype": "int4"}}}, [], "embed.weight"),
    ({"global_config": {"weight_dtype": "int4"}, "module_name_configs": {"embed|head": None, "b": None}}, [],
        "a.weight"),
    ({"global_config": {"weight_dtype": "int4"}, "module_name_configs": {"a": {"weight_dtype": "int8"}}},
        ["--include-embeddings"], "a.weight"),
]


def check_tied(run, folder, config, asked, names):
    torch.save(models.build("tied", torch.float32).state_dict(), folder / "in.pt")
    p = subprocess.run([*run.args, "convert", folder / "in.pt", "--config", conversion.save(config, folder), "-o",
        folder / "out", "--force", *asked], capture_output=True, text=True)
    assert p.returncode == 1 and "tied" in p.stderr and names in p.stderr, f"{p.returncode}: {p.stderr}"
    assert not (folder / "out").exists(), "a file is left"
    return 1, 0


def check_conv1d(run, folder, dtype, scheme):
    """Conv1D of Transformers, whose weight is [in, out]: with its type set, blocks run along the inputs, which are the
    rows, and the numbers are those of coremltools' own functions."""
    torch.manual_seed(20261126)
    source = {"h.c_fc.weight": torch.randn(64, 256), "h.c_fc.bias": torch.zeros(256)}
    torch.save(source, folder / "in.pt")
    config = {"global_config": {"weight_dtype": dtype, "quantization_scheme": scheme, "granularity": "per_block",
        "block_size": 16}}
    asked = ["--config", conversion.save(config, folder), "--module-type", r".*\.c_fc=Conv1D"]
    rows = {t["name"]: t for t in json.loads(run("plan", folder / "in.pt", "--json", *asked))["tensors"]}
    row = rows["h.c_fc.weight"]
    assert row["scheme"]["scale_shape"] == [4, 256], row
    codes = {"h.c_fc.weight": ptq.quantize(source["h.c_fc.weight"].numpy(), row["scheme"])}
    bits_of = lambda key: int(dtype.lstrip("uint"))
    for to, check in (("int8", functools.partial(check_int8, high_nibble="sign")), ("packed", check_packed)):
        out = folder / f"out-{to}.safetensors"
        run("convert", folder / "in.pt", "--to", to, "-o", out, *asked)
        run("verify", out, "--against", folder / "in.pt")
        check(out, source, codes, bits_of=bits_of)
    return 1, 0


def main():
    run = functools.partial(nibble, sys.argv[1])
    only = sys.argv[2].replace("-", " ") if len(sys.argv) > 2 else ""
    parts = {
        "state dicts": [(check_states, name, dtype, c) for name in MODELS for dtype in WEIGHTS for c in recipes(name)],
        "large": [(check_states, "large", dtype, c) for dtype in WEIGHTS for c in LARGE],
        "exports": [(check_export, name, c) for name, c in EXPORTS],
        "configs": [(check_configs,)],
        "tied": [(check_tied, *row) for row in TIED_CONFLICTS],
        "conv1d": [(check_conv1d, dtype, scheme) for dtype in DTYPES for scheme in SCHEMES],
        "conversion": [(lambda run, folder, *row: (conversion.check(run, *row[:3], folder, *row[3:]), 0), *row)
            for row in conversion.CASES],
        "zero blocks": [(lambda run, folder, *row: (conversion.zero_blocks(run, *row, folder), 0), d, s)
            for d in ("uint4", "uint8") for s in SCHEMES],
        "layouts": [(lambda run, folder, name: (layouts.check(run, name, folder), 0), name)
            for name in layouts.LAYOUTS],
    }
    want = {"state dicts": 4 * (4 * 37 + 33), "large": 12, "exports": 21, "configs": 1, "tied": 3, "conv1d": 8,
        "conversion": 35, "zero blocks": 4, "layouts": 63}
    failed = 0
    if only and only not in parts:
        sys.exit(f"oracle.py: there is no part {only}; the parts are {', '.join(p.replace(' ', '-') for p in parts)}")
    for part, rows in parts.items():
        if only not in ("", part):
            continue
        ran = things = deviations = wrong = 0
        for check, *args in rows:
            with tempfile.TemporaryDirectory() as d:
                ran += 1
                try:
                    n, k = check(run, pathlib.Path(d), *args)
                    things, deviations = things + (n or 0), deviations + k
                except Exception as e:
                    wrong += 1
                    print(f"FAIL {part} {args}: {e}")
                    if not isinstance(e, AssertionError):
                        traceback.print_exc()
        print(f"oracle: {part}: {ran} of {want[part]} combinations ran, {things} weights compared, {deviations} "
            f"listed deviations, {wrong} failed", flush=True)
        failed += wrong + (ran != want[part])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
