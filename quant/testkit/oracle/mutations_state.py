"""Classes of files for readers.py: zips of torch.save whose pickle sets states, copies dicts, or calls.

They stand beside those of mutations_pickle.py, in the same CLASSES.
"""

import struct

import pickles as p
from mutations_pickle import kind
from pickles import items, name, number, storage, tensor, text, tuple_of

STATES = [b"}", b"N", tuple_of(storage("1"), number(0), p.ints((2, 2)), p.ints((2, 1))), items(("a", number(1))),
    tuple_of(b"}", b"}"), tuple_of(b"N", items(("a", number(1)))), b"]", p.ORDERED, items(("_metadata", p.ORDERED))]


@kind("build on tensors and storages")
def build_tensors(rng):
    return items(("w", rng.choice([tensor(), storage()]) + rng.choice(STATES) + b"b"), ("v", tensor()))


@kind("build", 120)
def build(rng):
    state = rng.choice(STATES)
    on = rng.choice([p.ORDERED, p.ORDERED, b"}", b"]", number(1), text("x"), b")", name("torch", "FloatStorage"),
        name("torch._utils", "_rebuild_tensor_v2"), name("torch", "Size") + b"()tR", name("torch", "float32")])
    if rng.random() < 0.4:
        return items(("w", tensor()), of=p.ORDERED) + state + b"b"
    return items(("w", on + state + b"b"), ("v", tensor()))


@kind("copies", 120)
def copies(rng):
    made = rng.choice([name("builtins", "dict"), name("__builtin__", "dict"), name("collections", "OrderedDict"),
        name("builtins", "list"), name("builtins", "set")])
    source = rng.choice([b"}", p.ORDERED, b"]", b"]" + tuple_of(text("v"), tensor(storage("1"))) + b"a",
        tuple_of(tuple_of(text("v"), tensor(storage("1")))), items(("v", tensor(storage("1")))),
        b"]" + text("v") + b"a", b"](]" + text("v") + b"K\1ea"])
    fill = rng.choice([b"", text("w") + tensor() + b"s", text("v") + tensor() + b"s", text("x") + b"a"])
    late = rng.choice([b"", text("w") + tensor(storage("1")) + b"s", text("x") + b"a"])
    start = b"(" + source + b"q\x08" + fill + made + b"h\x08\x85Rq\x09h\x08" + late
    return start + b"l0" + rng.choice(
        [b"h\x09", b"h\x08", items(("state_dict", b"h\x09")), items(("w", tensor()), ("s", b"h\x09"))])


@kind("keys", 120)
def keys(rng):
    some = [number(1), b"\x88", b"G" + struct.pack(">d", 1), text("w"), text("w", "U"), text("w", "V"), text("w", "S"),
        text("w", "T"), b"N", b"(K\1t", b"]", b"}", text(b"\xff"), text("w", "short"), text("é"),
        text("é".encode("latin-1"), "U"), text("é".encode(), "U"), p.ORDERED, tensor(), storage(), tuple_of(b"]")]
    return items(*((rng.choice(some), tensor(storage(rng.choice("01")))) for _ in range(3)), ("z", tensor()),
        of=rng.choice([p.DICT, p.ORDERED]))


@kind("texts", 150)
def texts(rng):
    form = rng.choice("VVVSSUTX")
    raw = rng.choice([b"weight", b"w\\u0041", b"w\\U00000041", b"w\\n", b"w\\x41", b"w\\\\", b"w\\u00", b"\xe9",
        b"\xc3\xa9", b"w\\'", b'"w', b"", b"a\\uD800", b"a\tb", b"a\\", b"\\101", b"w ", b" w", b"w\r"])
    return items((text(raw, form), tensor()), ("v", text(raw, rng.choice([form, "X"]))))


@kind("items in bulk", 120)
def bulk(rng):
    pairs = [text("a") + tensor(), text("b") + tensor(storage("1")), text("a") + number(1), number(3) + number(4),
        b"]" + number(1)]
    inside = b"".join(rng.sample(pairs, rng.randrange(4))) + rng.choice([b"", b"", text("c"), number(1)])
    on = rng.choice([b"}", b"}", p.ORDERED, b"]", b")", tensor(), name("collections", "Counter") + b")R"])
    return items(("w", tensor()), ("x",
        rng.choice([on + b"(" + inside + b"u", b"(" + inside + b"d", b"](" + inside + b"e", b"(" + inside + b"l",
            on + inside[:20] + b"s"])))


@kind("items in bulk, at the top")
def bulk_top(rng):
    pairs = [text("a") + tensor(), text("b") + tensor(storage("1")), text("a") + number(1),
        text("a") + tensor(storage("1")), number(3) + number(4)]
    inside = b"".join(rng.sample(pairs, rng.randrange(1, 5))) + rng.choice([b"", b"", b"", text("c")])
    return rng.choice([b"}(" + inside + b"u", b"(" + inside + b"d", p.ORDERED + b"(" + inside + b"u",
        name("collections", "OrderedDict") + b"(](" + inside + b"ltR"])


@kind("memo", 120)
def memo(rng):
    put = rng.choice([b"q\1", b"r\1\0\0\0", b"p1\n", b"q\2"])
    get = rng.choice([b"h\1", b"j\1\0\0\0", b"g1\n", b"h\2", b"g 1\n", b"g01\n", b"g+1\n"])
    return items(("w", tensor() + put), ("v", get), ("u", tensor(storage("1")) + put), ("t", get))


@kind("wrappers")
def wrapped(rng):
    inner = items(("a", tensor()), ("b", tensor(storage("1"))), of=rng.choice([p.DICT, p.ORDERED]))
    outer = [(rng.choice(["state_dict", "model", "module", "net", "weights", "params_ema"]), inner),
        ("epoch", number(3)), ("args", text("x"))]
    if rng.random() < 0.3:
        outer.append(("w", tensor()))
    if rng.random() < 0.3:
        outer[0] = (outer[0][0], items(("state_dict", inner)))
    rng.shuffle(outer)
    return items(*outer)


@kind("callables of all kinds")
def callables(rng):
    made = rng.choice([
        name("_codecs", "encode") + tuple_of(text("ab"), text("latin1")) + b"R",
        name("builtins", "bytearray") + tuple_of(b"C\2ab") + b"R",
        name("builtins", "complex") + tuple_of(number(1), number(2)) + b"R", name("collections", "Counter") + b")R",
        name("torch", "device") + tuple_of(text("cpu")) + b"R",
        name("torch", "Size") + b"()tR", name("builtins", "set") + tuple_of(b"]" + number(1) + b"a") + b"R",
        name("argparse", "Namespace") + b")\x81" + items(("a", number(1))) + b"b",
        name("copyreg", "_reconstructor") + tuple_of(name("argparse", "Namespace"), name("builtins", "object"), b"N") +
        b"R", name("collections", "OrderedDict") + tuple_of(b"}") + b"R",
        name("collections", "OrderedDict") + b")\x81", name("builtins", "dict") + b")\x81",
        name("torch._utils", "_rebuild_parameter") + b")R",
        name("collections", "defaultdict") + tuple_of(name("builtins", "list")) + b"R" + text("a") + number(1) + b"s",
        name("torch.serialization", "_get_layout") + tuple_of(text("torch.strided")) + b"R"])
    return items(("x", made), ("w", tensor())) if rng.random() < 0.5 else items(("w", tensor()), ("model", b"}"),
        ("x", made))
