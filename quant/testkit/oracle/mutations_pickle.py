"""Classes of files for readers.py: zips of torch.save whose pickle is not what torch would write.

CLASSES maps a name to a function of a random generator that yields (ending, bytes).
"""

import functools
import struct

import torch

import pickles as p
from mutations_zip import floats, saved
from pickles import items, name, number, storage, tensor, text, tuple_of
from zips import Entry, Zip, parse

CLASSES = {}
COUNT = 60


def kind(title, n=COUNT):
    """A class of n files, each of the pickle that a function makes of a random generator."""
    def keep(make):
        def run(rng):
            for _ in range(n):
                yield ".pt", zipped(p.pickle(make(rng)))
        CLASSES["pickle: " + title] = run
        return make
    return keep


def zipped(pickle):
    files = [("data.pkl", pickle), ("data/0", floats(0)), ("data/1", floats(1)), ("data/2", bytes(range(64))),
        ("version", b"3\n")]
    return Zip([Entry(("archive/" + n).encode(), d) for n, d in files]).bytes()


class Thing(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)
        self.tied = self.a.weight


@functools.cache
def bases():
    """Files of torch.save: state dicts of many types, views, and what training scripts put beside them."""
    torch.manual_seed(4)
    x = torch.randn(4, 6)
    odd = torch.nn.Parameter(torch.randn(2, 2))
    odd.note = "mine"
    values = [
        {"w": torch.randn(4, 4), "v": torch.randn(2, 3).half(), "n": torch.arange(3), "b": torch.tensor(True),
            "e": torch.zeros(0, 3)},
        Thing().state_dict(),
        {"a": x, "b": x.t(), "c": x[1:3, ::2], "d": torch.zeros(1).expand(3, 2), "f": odd},
        {"epoch": 3, "state_dict": {"x.weight": torch.randn(2, 2).bfloat16()}, "lr": [0.1, (1, None, -5, 2**40)],
            "s": {"k", "l"}, b"z": b"bytes", 3: 1j},
        {"q": torch.randn(3).to(torch.float8_e4m3fn), "u": torch.arange(3).to(torch.uint16),
            "c": torch.randn(2, dtype=torch.complex64)},
        {"model": Thing().state_dict(),
            "optimizer": {"state": {0: {"exp": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}},
    ]
    files = [saved(v, pickle_protocol=n) for v in values for n in (2, 2, 4)] + [saved(values[0], pickle_protocol=n)
        for n in (0, 1, 3, 5)]
    files.append(saved(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))))
    return [parse(f) for f in files]


def changed(title, n=250):
    """A class of n files of torch.save, whose instructions a function changes."""
    def keep(change):
        def run(rng):
            for i in range(n):
                entries = [Entry(e.name, e.data) for e in bases()[i % len(bases())]]
                at = next(e for e in entries if e.name.endswith(b"data.pkl"))
                at.data = change(rng, at.data)
                yield ".pt", Zip(entries).bytes()
        CLASSES["pickle: " + title] = run
        return change
    return keep


changed("as it is", 60)(lambda r, d: d)
changed("more after the end", 60)(lambda r, d: d + r.choice([b"x", d, b"."]))
changed("protocol", 100)(lambda r, d: bytes([d[0], r.randrange(0, 8)]) + d[2:] if d[0] == 0x80 else d)


@changed("a byte")
def a_byte(rng, data):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 3])):
        data[rng.randrange(len(data))] = rng.choice([rng.randrange(256), 0, 1, 255])
    return bytes(data)


@changed("an instruction less")
def less(rng, data):
    ops = p.cut(data)
    del ops[rng.randrange(1, len(ops) - 1)]
    return b"".join(ops)


@changed("an instruction twice")
def twice(rng, data):
    ops = p.cut(data)
    i = rng.randrange(1, len(ops) - 1)
    return b"".join(ops[:i] + ops[i:i + 1] + ops[i:])


@changed("instructions exchanged")
def exchanged(rng, data):
    ops = p.cut(data)
    i = rng.randrange(1, len(ops) - 2)
    k = rng.choice([i + 1, rng.randrange(1, len(ops) - 1)])
    ops[i], ops[k] = ops[k], ops[i]
    return b"".join(ops)


@changed("an instruction more")
def more(rng, data):
    ops = p.cut(data)
    extra = rng.choice([b"0", b"2", b"(", b"N", b"K\1", b"}", b"]", b")", b"h\1", b"q\1", b"\x85", b"t", b"s", b"b",
        b"R", b"\x81", b"a", b"u", b"e", b"1", b"(t", b"}b", b"(d", b"(l", b"\x8f"])
    ops.insert(rng.randrange(1, len(ops)), extra)
    return b"".join(ops)


@changed("a number")
def a_number(rng, data):
    ops = p.cut(data)
    at = [i for i, o in enumerate(ops) if o[:1] in b"KMJ\x8a\x8bIL"]
    if at:
        ops[rng.choice(at)] = number(rng.choice([0, 1, 2, 3, 4, 6, 16, 255, -1, 2**31 - 1, 2**33]),
            rng.choice([None, "\x8a", "\x8b", "I", "L"]))
    return b"".join(ops)


@changed("a text")
def a_text(rng, data):
    ops = p.cut(data)
    at = [i for i, o in enumerate(ops) if o[:1] in b"XUV\x8c"]
    if at:
        i = rng.choice(at)
        ops[i] = rng.choice([
            text("0"), text("cpu"), text("w"), text("storage"), text("state_dict"), text("é"), text(b"\xed\xa0\x80"),
            text(b"\xff"), text(""), text("cuda:0"),
            text("meta"), text("data"), text("1"), text("0\0")])
    return b"".join(ops)


@changed("a name")
def a_name(rng, data):
    ops = p.cut(data)
    at = [i for i, o in enumerate(ops) if o[:1] == b"c"]
    if at:
        ops[rng.choice(at)] = name(*rng.choice([
            ("torch", "FloatStorage"), ("torch", "HalfStorage"), ("torch", "LongStorage"),
            ("torch.storage", "UntypedStorage"), ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_tensor"), ("torch._utils", "_rebuild_tensor_v3"), ("collections", "OrderedDict"),
            ("torch._utils", "_rebuild_parameter"),
            ("torch", "Size"), ("builtins", "dict"), ("builtins", "list"), ("torch.nn.parameter", "Parameter"),
            ("torch", "Tensor"), ("torch", "FloatTensor"),
            ("torch", "float32"), ("torch", "int64"), ("__main__", "Unknown"), ("torch", "QInt8Storage"),
            ("collections", "Counter"), ("torch", "device")]))
    return b"".join(ops)


@kind("one storage under two types")
def two_types(rng):
    a, b = rng.sample(["FloatStorage", "HalfStorage", "IntStorage", "ByteStorage"], 2)
    width = {"FloatStorage": 4, "HalfStorage": 2, "IntStorage": 4, "ByteStorage": 1}
    return items(("w", tensor(storage("0", a, 64 // width[a]))), ("v", tensor(storage("0", b, 64 // width[b]))))


@kind("types of storage")
def types(rng):
    kind = rng.choice(["FloatStorage", "HalfStorage", "LongStorage", "ByteStorage", "DoubleStorage", "BFloat16Storage",
        "BoolStorage", "ComplexFloatStorage"])
    width = {"F": 4, "H": 2, "L": 8, "D": 8, "C": 8}.get(kind[0], 2 if kind == "BFloat16Storage" else 1)
    return items(("w", tensor(storage("2", kind, rng.choice([64 // width, 8, 4, 64])))))


@kind("untyped storages")
def untyped(rng):
    of = storage("2", "UntypedStorage", rng.choice([64, 64, 32, 65]), module="torch.storage")
    kind = rng.choice(["float32", "float16", "uint8", "int64", "bfloat16", "float8_e5m2", "uint32", "bool", "float",
        "complex64", "float8_e8m0fnu"])
    v3 = tensor(of, rng.choice([0, 1, 4]), more=name("torch", kind) + rng.choice([b"", b"}", b"N"]),
        rebuild="_rebuild_tensor_v3")
    return items(("w", rng.choice([v3, v3, tensor(of)])), ("v", tensor(of)))


@kind("persistent ids")
def ids(rng):
    n = rng.choice([16, 15, 17, 0, 8, -1, 2**40])
    of = rng.choice([
        storage("0", count=n), storage(number(0)), storage("0", more=b"N"), storage("0\0x"), storage("é"),
        storage("0", location=rng.choice(["cuda:0", "meta", "x"])),
        tuple_of(text("module"), name("torch", "FloatStorage"), b"N", b"N") + b"Q",
        tuple_of(text("storage"), text("x"), text("0"), text("cpu"), number(16)) + b"Q",
        tuple_of(text("storage", "U"), name("torch", "FloatStorage"), text("0", "U"), text("cpu", "U"), number(16)) +
        b"Q", storage("../data/0"), storage("A"),
        storage("00"), text("0") + b"Q", storage("0", count=b"\x88"), storage("0", count=b"G" + struct.pack(">d", 16))])
    return items(("w", tensor(of, size=(2, 2))), ("v", tensor(storage("0", count=rng.choice([16, 8])))))


@kind("places of tensors", 200)
def places(rng):
    offset = rng.choice([0, 0, 1, 8, 15, 16, 17, 100, -1, 2**62])
    size = rng.choice([(), (0,), (1,), (2, 2), (4, 2), (16,), (17,), (0, 5), (2, 0), (1, 1, 1), (2**31, 2**31, 0),
        (3, 3), (-1,), (2, 2, 2)])
    stride = rng.choice([tuple(rng.choice([0, 1, 2, 4, 100, -1]) for _ in size), tuple([1] * len(size)), (1,),
        tuple(2 for _ in size)])
    return items(("w", tensor(offset=offset, size=size, stride=stride)), ("v", tensor()))


@kind("shapes in other forms")
def shapes(rng):
    size = rng.choice([
        p.ints((2, 2)), b"]" + number(2) + b"a" + number(2) + b"a",
        name("torch", "Size") + tuple_of(p.ints((2, 2))) + b"R", tuple_of(b"\x88", number(2)),
        p.ints((2, 2), "\x8a"), tuple_of(b"N"), number(2), tuple_of(b"G" + struct.pack(">d", 2), number(2)),
        name("builtins", "tuple") + tuple_of(b"]" + number(2) + b"a" + number(2) + b"a") + b"R",
        p.ints((2, 2), "I"), p.ints((2, 2), "L"), p.ints((2, 2), "M"), tuple_of(b"I010\n"), tuple_of(b"I0x4\n"),
        tuple_of(b"L010L\n"), tuple_of(b"I 4\n"), tuple_of(b"I4 \n")])
    stride = rng.choice([p.ints((2, 1)), p.ints((1,)), b"]" + number(2) + b"a" + number(1) + b"a"])
    return items(("w", tensor(size=size, stride=stride)))


@kind("a list that changes")
def list_changes(rng):
    made = rng.choice([name("torch", "Size"), name("builtins", "tuple"), name("builtins", "list")])
    return b"(" + b"]q\5" + number(2) + b"a" + number(2) + b"a" + made + b"h\5\x85Rq\6" + b"h\5" + number(
        2) + b"a" + items(("w", tensor(size=b"h\6", stride=p.ints((2, 1))))) + b"q\7l" + b"0h\7"


@kind("arguments of the rebuild")
def arguments(rng):
    base = [storage(), number(0), p.ints((2, 2)), p.ints((2, 1)), b"\x89", p.HOOKS]
    more = [b"N", b"}", items(("conj", b"\x88")), items(("neg", b"\x89")), items(("x", b"\x89")),
        name("torch", "float32"), b"K\1"]
    which = rng.choice(["_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3"])
    given = base[:rng.choice([3, 4, 5, 6, 6, 6])] + rng.sample(more, rng.choice([0, 0, 1, 2]))
    if len(given) > 4:
        given[4] = rng.choice([b"\x89", b"\x88", b"N", b"K\0", b"K\1"])
    if len(given) > 5 and rng.random() < 0.3:
        given[5] = rng.choice([b"N", b"}", b")", b"]", b"K\0"])
    if rng.random() < 0.2:
        given[0] = storage("2", "LongStorage", 8)
    return items(("w", name("torch._utils", which) + tuple_of(*given) + b"R"))


@kind("parameters")
def parameters(rng):
    of = rng.choice([tensor(), tensor(storage("2", "LongStorage", 8)), number(1), b"N"])
    grad = rng.choice([b"\x88", b"\x89", b"K\1", b"N"])
    state = rng.choice([b"}", b"N", items(("note", number(1))), items(("data", tensor(storage("1")))),
        tuple_of(b"}", b"}"), tuple_of(items(("data", tensor(storage("1")))), b"N"), items(("grad", b"N"))])
    return items(("w", rng.choice([
        name("torch._utils", "_rebuild_parameter") + tuple_of(of, grad, p.HOOKS) + b"R",
        name("torch._utils", "_rebuild_parameter") + tuple_of(of, grad) + b"R",
        name("torch._utils", "_rebuild_parameter_with_state") + tuple_of(of, grad, p.HOOKS, state) + b"R",
        name("torch.nn.parameter", "Parameter") + tuple_of(of, grad) + b"R",
        name("torch.nn.parameter", "Parameter") + tuple_of(of) + b"\x81",
        name("torch.nn.parameter", "Parameter") + tuple_of(of, grad) + b"\x81" +
        rng.choice([b"", b"}b", tuple_of(tensor(), b"\x88") + b"b"]),
    ])), ("v", tensor()))


def with_state(rng, *states):
    function = rng.choice([name("torch._utils", "_rebuild_tensor_v2"), name("torch._utils", "_rebuild_parameter"),
        name("collections", "OrderedDict")])
    args = tensor()[len(name("torch._utils", "_rebuild_tensor_v2")):-1] if b"tensor" in function else tuple_of(tensor(),
        b"\x88", p.HOOKS)
    kind = rng.choice([name("torch", "Tensor"), name("torch.nn.parameter", "Parameter"), name("__main__", "Mine"),
        b"N"])
    return items(("w", name("torch._tensor", "_rebuild_from_type_v2") +
        tuple_of(function, kind, args, rng.choice(states)) + b"R"))


@kind("tensors with attributes")
def attributes(rng):
    return with_state(rng, b"}", b"N", items(("note", number(1))), tuple_of(items(("note", b"N")), b"}"),
        tuple_of(b"N", b"N"), items(("names", b"N")))


@kind("tensors with attributes that set values")
def attributes_set(rng):
    return with_state(rng, items(("data", tensor(storage("1")))), items(("real", tensor(storage("1")))),
        items(("requires_grad", b"\x88")), tuple_of(b"N", items(("data", tensor(storage("1"))))))


@kind("tensors of old classes")
def old_classes(rng):
    kind = rng.choice(["FloatTensor", "Tensor", "LongTensor", "HalfTensor"])
    state = tuple_of(storage(), number(0), p.ints((2, 2)), p.ints((2, 1)))
    made = name("torch", kind) + rng.choice([b")R", b")\x81", b"(K\2K\3tR", b"(]K\1aK\2atR"]) + rng.choice(
        [b"", state + b"b"])
    return items(("v", tensor()), ("w", made)) if rng.random() < 0.8 else items(("v", tensor()),
        ("list", b"]" + made + b"a"))
