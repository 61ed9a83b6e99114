"""Every way in which PyTorch people have a model on disk, written by torch and safetensors.

write(folder) writes one layout and returns (what to open, name -> tensor that it holds), or
(what to open, a part of the error that it must give). LAYOUTS lists them by name; most of the
writers are in layouts_write.py.

    check(run, name, folder)   holds what Nibble reads against the tensors, byte for byte

Nibble converts with a rule of null for all, which keeps every tensor, and safetensors opens the
result. Called by oracle.py.
"""

import collections
import json
import pathlib
import subprocess
import zipfile

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file
from torch import nn

from layouts_write import (
    Net, aligned, deepspeed, every, legacy, legacy_view, lightning, optimizer_state, plain, python2,
    repacked, saved, tar, trainer, views, with_attributes, without_checksums, wrapped,
)


def scripted(make):
    def write(folder):
        torch.jit.save(make(Net().eval()), folder / "x.pt")
        return folder / "x.pt", dict(torch.jit.load(folder / "x.pt").state_dict())
    return write


def mobile(folder):
    torch.jit.script(Net().eval())._save_for_lite_interpreter(str(folder / "x.ptl"))
    return folder / "x.ptl", dict(torch.jit.load(folder / "x.ptl").state_dict())


def exported(folder):
    program = torch.export.export(Net().eval(), (torch.randn(2, 3, 5, 5),))
    torch.export.save(program, folder / "x.pt2")
    return folder / "x.pt2", dict(program.state_dict)


def exported_later(folder):
    """Made by a newer torch (fixtures/layouts/exported.py), which wrote its state dict beside it."""
    fixtures = pathlib.Path(__file__).parent.parent / "fixtures/layouts"
    return fixtures / "exported.pt2", dict(torch.load(fixtures / "exported.pt"))


def whole(make, **options):
    def write(folder):
        net = nn.Sequential(nn.Linear(4, 3), nn.Conv1d(2, 2, 1), nn.ModuleDict({"a": nn.MultiheadAttention(4, 2)}),
            nn.BatchNorm1d(2))
        net.register_buffer("passing", torch.ones(3), persistent=False)
        torch.save(make(net), folder / "x.pt", **options)
        return folder / "x.pt", dict(net.state_dict())
    return write


def safetensors(state, **options):
    def write(folder):
        value = {k: v.contiguous() for k, v in state().items()}
        save_file(value, folder / "x.safetensors", **options)
        return folder / "x.safetensors", value
    return write


def from_numpy(folder):
    state = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(3.0), "c": np.zeros((0, 2), np.int16)}
    save_numpy(state, folder / "x.safetensors")
    return folder / "x.safetensors", {k: torch.from_numpy(v) for k, v in state.items()}


def padded(folder):
    """Leading whitespace and any JSON whitespace at the end, which the reference takes."""
    path, state = safetensors(plain_untied)(folder)
    b = path.read_bytes()
    n = int.from_bytes(b[:8], "little")
    head = b" \n" + b[8:8 + n].rstrip() + b"\n\t "
    path.write_bytes(len(head).to_bytes(8, "little") + head + b[8 + n:])
    with safe_open(path, framework="pt") as f:
        return path, {k: f.get_tensor(k) for k in f.keys()}


def plain_untied():
    return {k: v.clone() for k, v in plain().items()}


def f8():
    return {k: v for k, v in every().items() if k != "empty"}


def sharded(ending, shards=3, beside=()):
    """A folder of Hugging Face."""
    def write(folder):
        state = {f"model.layers.{i}.mlp.weight": torch.randn(4, 8)
            for i in range(7)} | {"lm_head.weight": torch.randn(10, 8), "norm.weight": torch.ones(8)}
        home, stem = folder / "home", "model" if ending == "safetensors" else "pytorch_model"
        home.mkdir()
        where = {}
        for n in range(shards):
            part = dict(list(state.items())[n::shards])
            name = f"{stem}-{n + 1:05}-of-{shards:05}.{ending}"
            save_file(part, home / name, metadata={"format": "pt"}) if ending == "safetensors" else torch.save(part,
                home / name)
            where |= {k: name for k in part}
        text = json.dumps({"metadata": {"total_size": 1}, "weight_map": where})
        (home / f"{stem}.{ending}.index.json").write_text(text)
        for name in beside:
            (home / name).write_text("{}")
        return home, state
    return write


def refused(state, says, **options):
    def write(folder):
        torch.save(state(), folder / "x.pt", **options)
        return folder / "x.pt", says
    return write


LAYOUTS = {
    **{f"zip, protocol {p}": saved(plain, pickle_protocol=p) for p in (2, 3, 4, 5)},
    "zip, views": saved(views), "zip, every dtype": saved(every), "zip, odd name": saved(plain, "a b ü.(1).pt"),
    "zip, zip64 fields": repacked(zip64=True), "zip, deflated pickle": repacked(zipfile.ZIP_DEFLATED),
    "zip, at the root": repacked(root=""), "zip, other root": repacked(root="naïve model"),
    "zip, no checksums": without_checksums, "zip, aligned to 4096": aligned,
    "zip, attributes and subclasses": saved(with_attributes),
    "zip, OrderedDict": saved(lambda: collections.OrderedDict(views())),
    "zip, defaultdict": saved(lambda: collections.defaultdict(list, views())),
    **{f"legacy, protocol {p}": legacy(plain, pickle_protocol=p) for p in (2, 3, 4, 5)},
    "legacy, views": legacy(views), "legacy, every dtype": legacy(every), "legacy, storage views": legacy_view,
    "legacy, Python 2": python2,
    "legacy, attributes and subclasses": legacy(with_attributes),
    "tar": tar(plain_untied), "tar, storage views": tar(plain_untied, views=True),
    "TorchScript, scripted": scripted(torch.jit.script),
    "TorchScript, traced": scripted(lambda net: torch.jit.trace(net, torch.randn(2, 3, 5, 5))),
    "TorchScript, mobile": mobile, "torch.export": exported, "torch.export, newer": exported_later,
    "module": whole(lambda net: net), "module, legacy": whole(lambda net: net, _use_new_zipfile_serialization=False),
    "module in a dict": whole(lambda net: {"epoch": 1, "model": net}),
    "module, protocol 4": whole(lambda net: net, pickle_protocol=4),
    "Lightning": wrapped(lightning), "DeepSpeed": wrapped(deepspeed), "Trainer": wrapped(trainer),
    "Lightning, legacy": wrapped(lightning, _use_new_zipfile_serialization=False),
    "one dict of another name": wrapped(lambda state: {"step": 5, "student": state}),
    "two wrappers": wrapped(lambda state: {"model": {"state_dict": state}, "iter": 3}),
    "safetensors": safetensors(plain_untied),
    "safetensors, metadata": safetensors(plain_untied, metadata={"format": "pt", "ünïcode": "✓ \" \\"}),
    "safetensors, every dtype": safetensors(every), "safetensors, NumPy": from_numpy, "safetensors, padded": padded,
    "shards, safetensors": sharded("safetensors"), "shards, PyTorch": sharded("bin"),
    "shards, one": sharded("safetensors", 1),
    "shards, with small files": sharded("safetensors", 2, ["config.json", "tokenizer.json", "README.md"]),
    "refused: sparse": refused(lambda: {"a": torch.eye(3).to_sparse()}, "sparse"),
    "refused: sparse CSR": refused(lambda: {"a": torch.eye(3).to_sparse_csr()}, "sparse"),
    "refused: quantized": refused(lambda: {"a": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)},
        "quantized"),
    "refused: quantized per channel": refused(
        lambda: {"a": torch.quantize_per_channel(torch.ones(4, 4), torch.ones(4), torch.zeros(4), 0, torch.quint8)},
        "quantized"),
    "refused: meta": refused(lambda: {"a": torch.empty(3, device="meta")}, "meta device"),
    "refused: complex128": refused(lambda: {"a": torch.ones(2, dtype=torch.complex128)}, "complex128"),
    "refused: conjugated": refused(lambda: {"a": torch.ones(2, dtype=torch.complex64).conj()},
        "pending operation (conj)"),
    "refused: nested": refused(lambda: {"a": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])}, "nested"),
    "refused: float4": refused(lambda: {"a": torch.ones(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)},
        "float4_e2m1fn_x2"), "refused: optimizer": refused(optimizer_state, "state of an optimizer"),
    "refused: quantized, legacy": refused(lambda: {"a": torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8)},
        "quantized", _use_new_zipfile_serialization=False),
    "refused: several": refused(lambda: {"generator": plain(), "discriminator": plain()},
        "holds 2 models: generator, discriminator"),
}


def raw(t):
    return t.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def check(run, name, folder):
    """Returns how many tensors were compared."""
    path, want = LAYOUTS[name](folder)
    (folder / "keep.json").write_text(json.dumps({"module_name_configs": {".*": None}}))
    out = folder / "out"
    if isinstance(want, str):
        p = subprocess.run([*run.args, "plan", path], capture_output=True, text=True)
        assert p.returncode == 1 and want in p.stderr, f"{name}: {p.returncode}: {p.stderr}"
        return 1
    run("convert", path, "--config", folder / "keep.json", "-o", out)
    listed = json.loads(run("inspect", path, "--json"))["tensors"]
    got = {}
    for file in sorted(out.glob("*.safetensors")) if out.is_dir() else [out]:
        with safe_open(file, framework="pt") as f:
            got |= {k: f.get_tensor(k) for k in f.keys()}
    assert sorted(got) == sorted(want) == sorted(t["name"]
        for t in listed), f"{name}: {sorted(got)}, want {sorted(want)}"
    for key, t in want.items():
        assert got[key].dtype == t.dtype and got[
            key].shape == t.shape, f"{name}: {key} is {got[key].dtype} {got[key].shape}"
        assert raw(got[key]) == raw(t), f"{name}: the values of {key} differ"
    if path.is_dir():
        check_folder(path, out, want)
    return len(want)


def check_folder(path, out, want):
    """The output is sharded again, with an index that is true, and small files."""
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert sorted(index["weight_map"]) == sorted(want), "the index names other tensors"
    assert index["metadata"]["total_size"] == sum(len(raw(t)) for t in want.values()), "total_size"
    for key, shard in index["weight_map"].items():
        with safe_open(out / shard, framework="pt") as f:
            assert key in f.keys(), f"{key} is not in {shard}"
    for file in path.iterdir():
        if file.suffix in (".json", ".md") and ".index." not in file.name:
            if file.name == "config.json":  # written anew, and nothing is quantized
                assert json.loads((out / file.name).read_text()) == json.loads(file.read_text()), "config.json differs"
            else:
                assert (out / file.name).read_bytes() == file.read_bytes(), f"{file.name} was not copied"
