"""What Nibble takes a model's layers for, held against Python's own classes.

Run by `./build.sh oracle classes`. For each model of zoo.py, as a state dict and as a whole file, in blocks and per
channel:

  right    each weight that is quantized is of a layer that coremltools quantizes, and of the class that is said
  covered  of the bytes that PostTrainingQuantizer quantizes, at least 99 % are; tied pairs, routers and doubtful
           tensors are counted apart, and listed
  equal    what both quantize has the same numbers, bit for bit
  folded   the lines of Python that fold weights in parts leave none

The command line: classes.py NIBBLE [MODEL]. Exit status 1 when anything is wrong or missing.
"""

import json
import logging
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback
import warnings

os.environ["TQDM_DISABLE"] = "1"

import torch
import torch.nn.utils.parametrize
from torch import nn

logging.disable(logging.WARNING)
warnings.simplefilter("ignore")

import ptq
import zoo

CONFIGS = {
    "blocks of 32": {"weight_dtype": "int4", "granularity": "per_block", "block_size": 32},
    "per channel": {"weight_dtype": "int8", "granularity": "per_channel"},
}
LEAST_MODELS, LEAST_COVERED = 60, 0.99
APART = ("tied", "router", "doubtful")
LAYERS = [
    nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.MultiheadAttention,
    nn.Linear,
]


def layer_of(module):
    """The layer of coremltools' list that a module is, or ""."""
    return next((c.__name__ for c in LAYERS if isinstance(module, c)), "")


def truth(model):
    """tensor -> the class of the layer whose weight it is, or "" where it is none that coremltools quantizes."""
    out, attention = {}, [name for name, m in model.named_modules() if isinstance(m, nn.MultiheadAttention)]
    for name, module in model.named_modules(remove_duplicate=False):
        dot = name + "." if name else ""
        kind = layer_of(module)
        for param in [*dict(module.named_parameters(recurse=False)), *dict(module.named_buffers(recurse=False))]:
            out[dot + param] = kind if param.endswith("weight") else ""
        if any(name == a + ".out_proj" for a in attention):
            out[dot + "weight"] = "MultiheadAttention"
    return out


def nibble(exe, *args):
    p = subprocess.run([exe, *map(str, args)], capture_output=True, text=True)
    assert p.returncode == 0, f"nibble {' '.join(map(str, args))}: {p.stderr}"
    return p.stdout


def expected(model, config):
    """What PostTrainingQuantizer leaves, and the weights that it quantized. It works on the model itself, and stops at
    layers with parametrizations, which are kept."""
    kept = {re.escape(name): None for name, m in model.named_modules() if nn.utils.parametrize.is_parametrized(m)}
    quantizer = ptq.Recorder(model, ptq.python_config({**config, "module_name_configs": kept} if kept else config))
    return quantizer.compress().state_dict(), set(quantizer.codes)


def check(exe, build, whole, config, folder):
    """One model in one form: how many weights are compared, the share of bytes covered, what stands apart."""
    torch.manual_seed(20261126)
    model = build().eval()
    classes, state = truth(model), {k: v.clone() for k, v in model.state_dict().items()}
    torch.save(model if whole else model.state_dict(), folder / "in.pt")
    (folder / "config.json").write_text(json.dumps(config))
    asked = ["--config", folder / "config.json", "--allow-none"]
    report = json.loads(nibble(exe, "plan", folder / "in.pt", "--json", *asked))
    rows = {t["name"]: t for t in report["tensors"]}
    assert list(rows) == list(state), f"other tensors than torch's: {set(rows) ^ set(state)}"
    for row in rows.values():
        if row["verdict"] == "quantize":
            is_one, said = classes.get(row["name"], ""), row["module_type"]
            other = type(model.get_submodule(row["name"].rpartition(".")[0])).__name__
            assert is_one == said, f"{row['name']} is quantized as {said}, and is {is_one or other}"
    nibble(exe, "convert", folder / "in.pt", "--to", "coremltools", "-o", folder / "out.pt", "--force", *asked)
    ours = torch.load(folder / "out.pt", weights_only=True)
    theirs, codes = expected(model, config)
    both = total = covered = 0
    apart = {}
    for key in sorted(codes):
        row, size = rows[key], state[key].numel() * state[key].element_size()
        if row["verdict"] == "quantize":
            compare(key, ours, theirs)
            both, total, covered = both + 1, total + size, covered + size
        elif row["reason_code"] in APART:
            apart.setdefault(row["reason_code"], []).append(key)
        else:
            total += size
            apart.setdefault("missed: " + row["reason"], []).append(key)
    share = covered / total if total else 1.0
    assert share >= LEAST_COVERED, f"only {share:.2%} of what coremltools quantizes is: {apart}"
    return both, share, apart, report


def compare(key, ours, theirs):
    """A weight and its buffers are the same in both, bit for bit."""
    owner, dot, param = key.rpartition(".")
    prefix = f"{owner}{dot}_COREML_/{param}/"
    names = [key, *(k for k in theirs if k.startswith(prefix))]
    assert len(names) > 2, f"{key}: coremltools left no buffers"
    for k in names:
        assert k in ours and torch.equal(ours[k], theirs[k]), f"{k} differs"


def folded(exe, build, report, folder):
    """The lines that the report gives leave no weight in parts."""
    lines = [a["text"].split("\n", 1)[1] for a in report["advice"] if a["about"].startswith("fold_")]
    if not lines:
        return 0
    torch.manual_seed(20261126)
    model = build().eval()
    for text in lines:
        exec(text, {"torch": torch, "model": model})
    torch.save(model.state_dict(), folder / "folded.pt")
    after = json.loads(nibble(exe, "plan", folder / "folded.pt", "--json", "--allow-none"))
    left = [t["name"] for t in after["tensors"] if t["reason_code"] == "split"]
    assert not left, f"weights in parts are left after folding: {left}"
    return len(lines)


def forms(exe, name, build):
    """Both forms of a model, by each config.

    It yields a line to print, and how many weights and foldings that stands for.
    """
    for whole in (False, True):
        for words, entry in CONFIGS.items():
            with tempfile.TemporaryDirectory() as d:
                folder, form = pathlib.Path(d), f"{name}, {'whole' if whole else 'state dict'}, {words}"
                try:
                    both, share, apart, report = check(exe, build, whole, {"global_config": entry}, folder)
                    folds = folded(exe, build, report, folder) if not whole else 0
                except Exception as e:
                    if whole and "parametrized modules is only supported through state_dict" in str(e):
                        yield f"  {form}: torch itself cannot save it whole", 0, 0
                        continue
                    if not isinstance(e, AssertionError):
                        traceback.print_exc()
                    yield f"FAIL {form}: {e}", None, 0
                    continue
            listed = "".join(f"\n    {why}: {len(keys)}: {', '.join(keys[:4])} {'...' * (len(keys) > 4)}" for why,
                keys in apart.items())
            yield f"  {form}: {both} weights as coremltools', {share:.2%} of its bytes{listed}", both, folds


def run(exe, only):
    models = [row for row in zoo.MODELS if not only or only in row[0]]
    failed = compared = folds = 0
    for name, build in models:
        for line, both, n in forms(exe, name, build):
            print(line, flush=True)
            failed, compared, folds = failed + (both is None), compared + (both or 0), folds + n
    enough = bool(only) or len(models) >= LEAST_MODELS and folds > 0
    print(f"oracle: classes: {len(models)} models, {compared} weights compared, {folds} foldings, {failed} failed")
    return 0 if failed == 0 and enough and compared else 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
