"""Classes of files for readers.py: files of torch.save before 1.6, and programs of torch.export.

CLASSES maps a name to a function of a random generator that yields (ending, bytes).
"""

import functools
import io
import json
import struct
import tempfile

import torch

from mutations_zip import floats, saved
from pickles import items, number, pickle, storage, tensor, text, tuple_of
from zips import Entry, Zip, parse

CLASSES = {}


def kind(title, ending, n=60):
    """A class of n files, each made by a function of a random generator."""
    def keep(make):
        def run(rng):
            for i in range(n):
                yield ending, make(rng, i)
        CLASSES[title] = run
        return make
    return keep


# torch.save before 1.6

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
VERSION = b"\x80\x02M\xe9\x03."
INFO = pickle(items(("protocol_version", number(1001)), ("little_endian", b"\x88"), ("type_sizes", b"}")))


def values(count, data):
    return struct.pack("<q", count) + data


def old(root, keys, tail, info=INFO, version=VERSION):
    return MAGIC + version + info + pickle(root) + pickle(keys) + tail


def leg(key="0", kind="FloatStorage", count=16, view=b"N", location="cpu"):
    return storage(key, kind, count, location, view)


def listed(*keys):
    return b"](" + b"".join(text(k) for k in keys) + b"e"


@functools.cache
def old_files():
    torch.manual_seed(6)
    x = torch.randn(4, 6)
    values = [{"w": torch.randn(4, 4), "v": torch.randn(2, 3).half(), "n": torch.arange(3)},
        torch.nn.Linear(3, 2).state_dict(), {"a": x, "b": x.t(), "c": x[1:3]},
              {"state_dict": {"x": torch.zeros(2).bfloat16()}, "epoch": 1}]
    return [saved(v, _use_new_zipfile_serialization=False, pickle_protocol=n) for v in values for n in (2, 2, 3, 4)]


kind("legacy: as it is", ".pth", 40)(lambda r, i: old_files()[i % 16])
kind("legacy: cut or longer", ".pth")(lambda r, i: old_files()[i % 16][:r.randrange(40, len(old_files()[i % 16]))]
    if i % 2 else old_files()[i % 16] + r.randbytes(9))


@kind("legacy: a byte", ".pth", 300)
def old_byte(rng, i):
    data = bytearray(old_files()[i % 16])
    for _ in range(rng.choice([1, 1, 2])):
        data[rng.randrange(len(data))] = rng.choice([rng.randrange(256), 0, 1])
    return bytes(data)


@kind("legacy: one storage under two types", ".pth")
def old_two_types(rng, i):
    a, b = rng.sample(["FloatStorage", "HalfStorage", "IntStorage", "ByteStorage"], 2)
    width = {"FloatStorage": 4, "HalfStorage": 2, "IntStorage": 4, "ByteStorage": 1}
    count = 64 // width[a]
    return old(items(("w", tensor(leg("0", a, count))), ("v", tensor(leg("0", b, 64 // width[b])))), listed("0"),
        values(count, floats(1)))


@kind("legacy: lists of storages", ".pth", 100)
def old_lists(rng, i):
    root = items(("w", tensor(leg("0"))), ("v", tensor(leg("1"))))
    keys = rng.choice([("0", "1"), ("1", "0"), ("0",), ("0", "0", "1"), ("0", "1", "2"), ()])
    tail = b"".join(values(rng.choice([16, 16, 16, 16, 15, 17, -1]), floats(n))
        for n in range(rng.choice([1, 2, 2, 2, 3])))
    return old(root, rng.choice([listed(*keys), listed(*keys), tuple_of(*map(text, keys)), b"N", text("01")]), tail)


@kind("legacy: views", ".pth", 150)
def old_views(rng, i):
    view = tuple_of(text(rng.choice(["v", "v", "0", "1"])), number(rng.choice([0, 4, 8, 16, 17, -1])),
        number(rng.choice([8, 4, 0, 16, 17])))
    other = rng.choice([b"N", view, tuple_of(text("v"), number(2), number(8)), b"\x89", b")"])
    root = items(("w", tensor(leg("0", view=view), size=(2, 2))),
        ("v", tensor(leg("0", view=other), size=rng.choice([(2, 2), (8,), (16,)]), stride=rng.choice([(2, 1), (1,)]))))
    return old(root, listed("0"), values(16, floats(3)))


@kind("legacy: heads", ".pth", 100)
def old_heads(rng, i):
    info = rng.choice([INFO, pickle(b"}"), pickle(b"N"), pickle(items(("little_endian", b"\x89"))), pickle(number(1)),
        pickle(items(("protocol_version", number(1))))])
    version = rng.choice([VERSION, VERSION, pickle(number(1002)), pickle(number(1001, "\x8a")), pickle(text("1001")),
        pickle(b"N"), b"\x80\x04M\xe9\x03."])
    return old(items(("w", tensor(leg()))), listed("0"), values(16, floats(2)), info, version)


@kind("legacy: persistent ids", ".pth", 100)
def old_ids(rng, i):
    of = rng.choice([
        leg(), storage("0"), leg(count=8), leg(location="cuda:0"), leg(location="meta"), leg("0", view=number(0)),
        leg("0", "UntypedStorage", 64),
        storage("0", "UntypedStorage", 64, module="torch.storage", more=b"N"), leg(number(0)), leg("0", count=-1),
        leg("1"), leg("0", "QInt8Storage", 64)])
    return old(items(("w", tensor(of)), ("v", tensor(leg()))), listed("0"), values(rng.choice([16, 16, 8]), floats(2)))


@kind("legacy: tensors beyond their storage", ".pth")
def old_beyond(rng, i):
    root = items(("w", tensor(leg(), offset=rng.choice([0, 8, 16, 20]),
        size=rng.choice([(16,), (17,), (0,), (4,), (0, 3)]), stride=(1,) * rng.choice([1, 2]))), ("v", tensor(leg())))
    return old(root, listed("0"), values(16, floats(2)))


# torch.export.save

@functools.cache
def program():
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(3, 2)
            self.register_buffer("n", torch.arange(3.0))

        def forward(self, x):
            return self.a(x) + self.n.sum()

    torch.manual_seed(8)
    with tempfile.NamedTemporaryFile(suffix=".pt2") as f:
        torch.export.save(torch.export.export(Net(), (torch.zeros(1, 3),)), f.name)
        return parse(open(f.name, "rb").read())


def exported(title, n):
    """A class of n programs, whose entries a function changes."""
    def keep(change):
        def run(rng, i):
            made = [Entry(e.name, e.data) for e in program()]
            out = change(rng, made)
            return (out if isinstance(out, Zip) else Zip(made)).bytes()
        kind("export: " + title, ".pt2", n)(run)
        return change
    return keep


def weights(made):
    return next(e for e in made if b"/weights/" in e.name)


exported("as it is", 4)(lambda r, e: None)
exported("checksums off", 4)(lambda r, e: [setattr(x, "crc", 1) for x in e] and None)
exported("entry order", 10)(lambda r, e: Zip(r.sample(e, len(e))))
exported("a file outside the root", 6)(lambda r, e: e.insert(r.choice([0, len(e)]), Entry(b"other/x", b"x")))
exported("no archive format", 6)(lambda r,
    e: Zip([x for x in e if not x.name.endswith(r.choice([b"archive_format", b"version"]))]))
exported("compressed", 4)(lambda r, e: [setattr(x, "method", 8) for x in e] and None)


@exported("two ways", 20)
def two_ways(rng, made):
    root = made[0].name.split(b"/")[0]
    config = json.dumps({"config": {"a.weight": {"path_name": "weight_0", "is_param": True, "use_pickle": False,
        "tensor_meta": {
        "dtype": 7, "layout": 7, "sizes": [{"as_int": 2}, {"as_int": 3}], "strides": [{"as_int": 3}, {"as_int": 1}],
        "storage_offset": {"as_int": 0}}}}}).encode()
    more = [Entry(root + b"/data/weights/model_weights_config.json", config),
        Entry(root + b"/data/weights/weight_0", floats(2, 6))]
    for e in more:
        made.insert(rng.randrange(1, len(made) + 1), e)


@exported("several programs", 6)
def several(rng, made):
    w = weights(made)
    made.append(Entry(w.name.replace(b"model", b"other"), w.data))


@exported("bytes of the weights", 80)
def weights_bytes(rng, made):
    w = weights(made)
    data = bytearray(w.data)
    for _ in range(rng.choice([1, 2])):
        data[rng.randrange(len(data))] = rng.choice([rng.randrange(256), 0, 1])
    w.data = bytes(data)


@exported("weights in other zips", 60)
def weights_zip(rng, made):
    inner = parse(weights(made).data)
    for e in inner:
        if e.name.endswith(b"byteorder") and rng.random() < 0.2:
            e.name = e.name.upper() if rng.random() < 0.5 else e.name.replace(b"byteorder", b"BYTEORDER")
            e.data = rng.choice([b"big", b"little"])
    if rng.random() < 0.3:
        inner.append(Entry(inner[0].name.split(b"/")[0] + rng.choice([b"/DATA.PKL", b"/data/A", b"/x"]), b"x"))
    if rng.random() < 0.3:
        inner = [e for e in inner if not e.name.endswith(b"version")]
    weights(made).data = Zip(inner, zip64=rng.choice([None, {}, {"offset": 0}])).bytes()


def old_program(rng, change):
    """As torch before 2.8 wrote it: files at the root."""
    by = {e.name.split(b"/", 1)[1]: e.data for e in program()}
    pick = lambda part: next(v for k, v in by.items() if part in k)
    empty = saved({})
    files = [("version", b"8.8"), ("serialized_exported_program.json", pick(b"models/")),
        ("serialized_state_dict.pt", pick(b"weights/")),
             ("serialized_constants.pt", saved({})),
             ("serialized_example_inputs.pt", saved(((torch.zeros(1, 3),), {})))]
    entries = [Entry(n.encode(), d) for n, d in files]
    if change == "order":
        rng.shuffle(entries)
    if change == "double":
        entries.append(Entry(b"serialized_state_dict.pt", saved({"a.weight": torch.zeros(2, 3)})))
    if change == "case":
        entries.append(Entry(b"SERIALIZED_STATE_DICT.pt", b"x"))
    if change == "more":
        entries.append(Entry(b"x/y", b"x"))
    return Zip(entries).bytes()


kind("export: before 2.8", ".pt2", 30)(lambda r, i: old_program(r, r.choice(["", "", "order", "more"])))
kind("export: before 2.8, two names in one", ".pt2", 10)(lambda r, i: old_program(r, r.choice(["double", "case"])))
