"""Writers of the layouts in which state dicts lie on disk; layouts.py lists them, and has the rest.

Each takes a folder and returns what to open, and name -> tensor that it holds. The tar of 2016 and zips with odd
fields are written by hand, and read back by torch to be sure.
"""

import argparse
import collections
import io
import pathlib
import pickle
import struct
import tarfile
import types
import zipfile

import numpy as np
import torch
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
