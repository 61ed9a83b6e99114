"""Every way in which PyTorch people have a model on disk, written by torch and safetensors.

write(folder) writes one layout and returns (what to open, name -> tensor that it holds), or
(what to open, part of the error that it must give). LAYOUTS lists them by name; the tar of
2016 and zips with odd fields are written by hand and read back by torch, to be sure.

    check(run, name, folder)   holds what Nibble reads against the tensors, byte for byte

Nibble converts with a rule of null for all, which keeps every tensor, and safetensors opens the
result. Called by oracle.py.
"""

import argparse
import collections
import io
import json
import pathlib
import pickle
import struct
import subprocess
import tarfile
import types
import zipfile

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(5)
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8,
    torch.bool, torch.complex64, torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn, torch.float8_e5m2,
    torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu,
]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose1d(8, 8, 2, bias=False)
        self.blocks = nn.ModuleList([nn.Linear(8, 16), nn.Linear(16, 8, bias=False)])
        self.emb = nn.Embedding(10, 8)
        self.register_buffer("table", torch.arange(6).reshape(2, 3))
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.tied = self.blocks[1].weight

    def forward(self, x):
        y = self.norm(self.conv(x)).mean((2, 3))
        y = self.blocks[1](self.blocks[0](y)) + self.emb(self.table).sum((0, 1)) + self.passing[0]
        return self.up(y[..., None])


def plain():
    return Net().state_dict()


def views():
    base = torch.randn(6, 8)
    return {
        "whole": base, "transposed": base.t(), "rows": base[2:5], "columns": base[:, 1:7:2], "last": base[5],
        "scalar": base[3, 3],
        "expanded": torch.randn(1, 3).expand(4, 3), "permuted": torch.randn(2, 3, 4).permute(2, 0, 1), "twin": base,
        "strided": torch.randn(40).as_strided((3, 4), (1, 9), 2), "empty": base[:0],
        "flipped": torch.randn(5, 7).t().contiguous().t(),
    }


def every():
    state = {str(d): (torch.arange(6).reshape(2, 3) % 2).to(d) for d in DTYPES}
    return state | {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "empty scalar": torch.zeros(())}


def saved(state, name="x.pt", **options):
    def write(folder):
        value = state() if callable(state) else state
        torch.save(value, folder / name, **options)
        return folder / name, dict(value)
    return write


def legacy(state, **options):
    return saved(state, "x.pth", _use_new_zipfile_serialization=False, **options)


def wrapped(make, **options):
    """A checkpoint of a training framework: make(state) is saved, the state dict is wanted."""
    def write(folder):
        state = plain()
        torch.save(make(state), folder / "x.ckpt", **options)
        return folder / "x.ckpt", dict(state)
    return write


class Attributes(dict):
    """Like Lightning's AttributeDict."""
    __getattr__ = dict.__getitem__


def optimizer_state():
    net = Net()
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.randn(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    return optimizer.state_dict()


def lightning(state):
    return {
        "epoch": 3, "global_step": 1000, "pytorch-lightning_version": "2.5.0", "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'loss'}": {"best_model_score": torch.tensor(0.5),
            "dirpath": pathlib.PurePosixPath("/tmp")}},
        "optimizer_states": [optimizer_state()],
        "lr_schedulers": [{"base_lrs": [0.1], "milestones": collections.Counter({3: 1})}],
        "hparams_name": "kwargs", "hyper_parameters": Attributes(lr=0.1,
            args=argparse.Namespace(width=8, dtype=torch.float32), when=np.float64(0.5)),
    }


def deepspeed(state):
    return {
        "module": state, "buffer_names": ["table"], "optimizer": None,
        "param_shapes": [collections.OrderedDict((k, v.shape) for k, v in state.items())],
        "frozen_param_shapes": None, "ds_config": {"zero_optimization": {"stage": 1}}, "ds_version": "0.16.4",
        "mp_world_size": 1, "global_samples": np.int64(12),
        "random": (3, (1, 2), None), "numpy": np.random.get_state(), "lr_scheduler": {"betas": (0.9, 0.99)},
    }


def trainer(state):
    return {
        "model": state, "args": argparse.Namespace(lr=0.1, fp16=True, path=pathlib.PurePosixPath("a/b")),
        "best": np.array([1.5, 2.5]), "scores": [np.float32(1)],
        "rng": {"torch": torch.get_rng_state(), "numpy": np.random.get_state()}, "optimizer": optimizer_state(),
        "defaults": collections.defaultdict(list, a=[1]),
        "shape": torch.Size([2, 3]), "device": torch.device("cpu"), "dtype": torch.bfloat16, "set": {1, 2},
        "bytes": b"abc", "big": 1 << 80, "none": None,
    }


def with_attributes():
    state = plain()
    state["conv.weight"].note = "a tensor with an attribute"
    p = nn.Parameter(torch.randn(3, 3))
    p.tag = 7
    return {**state, "parameter": nn.Parameter(torch.randn(2, 2)), "tagged": p, "buffer": nn.Buffer(torch.ones(3)),
        "sub": torch.randn(4).as_subclass(Special)}


class Special(torch.Tensor):
    pass


def repacked(method=zipfile.ZIP_STORED, zip64=False, root="x"):
    """The same entries in a zip of Python's zipfile."""
    def write(folder):
        state, b = plain(), io.BytesIO()
        torch.save(state, b)
        with zipfile.ZipFile(b) as old, zipfile.ZipFile(folder / "x.pt", "w") as new:
            for name in old.namelist():
                at = root + name.removeprefix("archive").removeprefix("/" if root == "" else "")
                kind = method if name.endswith("data.pkl") else zipfile.ZIP_STORED
                with new.open(zipfile.ZipInfo(at) if kind == zipfile.ZIP_STORED else deflated(at), "w",
                    force_zip64=zip64) as f:
                    f.write(old.read(name))
        return folder / "x.pt", dict(state)
    return write


def deflated(name):
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def without_checksums(folder):
    torch.serialization.set_crc32_options(False)
    try:
        return saved(plain)(folder)
    finally:
        torch.serialization.set_crc32_options(True)


def aligned(folder):
    from torch.utils.serialization import config
    config.save.storage_alignment = 4096
    try:
        return saved(plain)(folder)
    finally:
        config.save.storage_alignment = 64


def python2(folder):
    """OrderedDict as Python 2 pickled it: OrderedDict([[key, value], ...])."""
    state = plain()

    class Two(pickle._Pickler):
        dispatch = dict(pickle._Pickler.dispatch)

        def reducer_override(self, o):
            if type(o) is collections.OrderedDict and o:
                return collections.OrderedDict, ([[k, v] for k, v in o.items()],)
            return NotImplemented

    module = types.SimpleNamespace(Pickler=Two, dump=pickle.dump, __name__="pickle")
    torch.save(collections.OrderedDict(state), folder / "x.pth", pickle_module=module,
        _use_new_zipfile_serialization=False)
    return folder / "x.pth", dict(torch.load(folder / "x.pth", weights_only=False))


class Legacy:
    """Writes the formats before 1.6 by hand, with what today's torch no longer writes."""

    def __init__(self, state):
        self.state = {k: v.contiguous() for k, v in state.items()}

    def pickled(self, identify):
        class P(pickle._Pickler):
            def persistent_id(self, o):
                return identify(o)
        b = io.BytesIO()
        P(b, protocol=2).dump(collections.OrderedDict(self.state))
        return b.getvalue()


def legacy_view(folder):
    """A storage that is a view of a larger one, as torch wrote before 0.4."""
    whole = torch.randn(20)
    state = {"a": whole[4:10].clone(), "b": whole[10:].clone()}
    span = {state["a"].untyped_storage()._cdata: ("4", 4, 6), state["b"].untyped_storage()._cdata: ("10", 10, 10)}

    def identify(o):
        if isinstance(o, torch.storage.TypedStorage):
            key, offset, size = span[o._untyped_storage._cdata]
            return ("storage", torch.FloatStorage, "7", "cpu", 20, ("7." + key, offset, size))
        return None

    with open(folder / "x.pth", "wb") as f:
        for value in (0x1950A86A20F9469CFC6C, 1001,
            {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}):
            pickle.dump(value, f, protocol=2)
        f.write(Legacy(state).pickled(identify))
        pickle.dump(["7"], f, protocol=2)
        f.write(struct.pack("<q", 20) + whole.numpy().tobytes())
    return folder / "x.pth", dict(torch.load(folder / "x.pth", weights_only=False))


def tar(state, views=False):
    """The tar of PyTorch 0.1; torch.load still reads it."""
    def write(folder):
        tensors = {k: v.contiguous() for k, v in state().items()}
        keys = {id(v): 100 + i for i, v in enumerate(tensors.values())}
        storages, described = io.BytesIO(), io.BytesIO()
        distinct = list({keys[id(v)]: v for v in tensors.values()}.items())
        pickle.dump(len(distinct), storages, protocol=2)
        pickle.dump(len(distinct), described, protocol=2)
        moved = []
        for key, t in distinct:
            pickle.dump((key + 1000, "cpu", getattr(torch, t.storage()._pickle_storage_type())), storages, protocol=2)
            raw = t.reshape(-1).view(torch.uint8).numpy().tobytes()
            storages.write(struct.pack("<q", t.numel()) + raw)
            where = key + 1000
            if views:
                moved.append((key + 2000, key + 1000, t.numel() // 2, t.numel() - t.numel() // 2))
            pickle.dump((key, where, torch.FloatTensor), described, protocol=2)
            described.write(struct.pack("<ii", t.dim(), 0) + struct.pack(f"<{t.dim()}q", *t.shape) +
                struct.pack(f"<{t.dim()}q", *t.stride()) + struct.pack("<q", 0))
        if views:  # one more tensor over each half
            described = io.BytesIO()
            pickle.dump(len(distinct), described, protocol=2)
            for (key, t), (view, _, _, size) in zip(distinct, moved):
                pickle.dump((key, view, torch.FloatTensor), described, protocol=2)
                described.write(struct.pack("<ii", 1, 0) + struct.pack("<q", size) + struct.pack("<q", 1) +
                    struct.pack("<q", 0))
        pickle.dump(moved, storages, protocol=2)

        class P(pickle._Pickler):
            def persistent_id(self, o):
                return str(keys[id(o)]) if isinstance(o, torch.Tensor) else None

        value = io.BytesIO()
        P(value, protocol=2).dump(collections.OrderedDict(tensors))
        with tarfile.open(folder / "x.tar", "w:") as t:
            for name, b in (("sys_info", pickle.dumps({}, protocol=2)), ("pickle", value.getvalue()),
                ("tensors", described.getvalue()), ("storages", storages.getvalue())):
                info = tarfile.TarInfo(name)
                info.size = len(b)
                t.addfile(info, io.BytesIO(b))
        return folder / "x.tar", dict(torch.load(folder / "x.tar", weights_only=False))
    return write


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
    """The output is sharded again, with an index that tells the truth, and small files."""
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert sorted(index["weight_map"]) == sorted(want), "the index names other tensors"
    assert index["metadata"]["total_size"] == sum(len(raw(t)) for t in want.values()), "total_size"
    for key, shard in index["weight_map"].items():
        with safe_open(out / shard, framework="pt") as f:
            assert key in f.keys(), f"{key} is not in {shard}"
    for file in path.iterdir():
        if file.suffix in (".json", ".md") and ".index." not in file.name:
            assert (out / file.name).read_bytes() == file.read_bytes(), f"{file.name} was not copied"
