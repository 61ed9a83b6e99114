"""Classes of files for readers.py: safetensors with one thing changed.

They stand in CLASSES, beside those of mutations_other.py.
"""

import json
import struct

from mutations_other import CLASSES, kind

WIDTH = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1, "U16": 2,
    "U32": 4, "U64": 8, "C64": 8,
         "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1}


def entries(rng):
    """Entries and data of a sound file."""
    made, at = [], 0
    for name in rng.sample(["a", "b.weight", "é", "", "x" * 40, "__metadata", "c\n"], rng.randrange(1, 5)):
        kind = rng.choice(list(WIDTH))
        shape = [rng.randrange(0, 4) for _ in range(rng.randrange(0, 4))]
        size = WIDTH[kind]
        for n in shape:
            size *= n
        made.append([name, {"dtype": kind, "shape": shape, "data_offsets": [at, at + size]}])
        at += size
    return made, rng.randbytes(at)


def file(header, data, length=None):
    header = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def sound(rng, i=0):
    made, data = entries(rng)
    if rng.random() < 0.3:
        made.insert(0, ["__metadata__", {"format": "pt"}])
    return file(json.dumps(dict(made)) + " " * rng.randrange(9), data)


class Raw(str):
    """JSON as it is to be written."""


def written(pairs):
    """JSON of pairs, doubled ones too."""
    return Raw("{" + ", ".join(json.dumps(k) + ": " + (v if isinstance(v, Raw) else json.dumps(v)) for k, v in pairs) +
        "}")


kind("safetensors: as it is", ".safetensors", 100)(sound)


@kind("safetensors: a byte", ".safetensors", 300)
def a_byte(rng, i):
    data = bytearray(sound(rng))
    for _ in range(rng.choice([1, 1, 2])):
        data[rng.randrange(min(len(data), 300))] = rng.choice([rng.randrange(256), *b'{}[]",:0 -.e\\n'])
    return bytes(data)


@kind("safetensors: cut or longer", ".safetensors")
def cut(rng, i):
    data = sound(rng)
    return data[:rng.randrange(len(data))] if i % 2 else data + rng.randbytes(rng.randrange(3))


@kind("safetensors: length of the header", ".safetensors")
def header_length(rng, i):
    made, data = entries(rng)
    header = json.dumps(dict(made)).encode()
    return file(header, data, rng.choice([0, 1, len(header) - 1, len(header) + 1, len(header) + len(data), 10**8, 2**63,
        2**64 - 1]))


@kind("safetensors: unknown keys", ".safetensors", 100)
def unknown_keys(rng, i):
    made, data = entries(rng)
    odd = ["1", "null", '"x"', "[1, [2, {}]]", '{"a": 1, "a": 2}', '{"dtype": "F32"}', "1e400", "-0",
        "[" * 100 + "]" * 100, "[" * 130 + "]" * 130]
    key = rng.choice(["x", "Dtype", "dtype ", "", "shape\\u0000"])
    pairs = []
    for name, e in made:
        fields = list(e.items())
        for _ in range(rng.choice([1, 1, 2])):
            fields.insert(rng.randrange(len(fields) + 1), (key, Raw(rng.choice(odd))))
        pairs.append((name, written(fields)))
    return file(written(pairs), data)


@kind("safetensors: doubled keys", ".safetensors", 100)
def doubled_keys(rng, i):
    made, data = entries(rng)
    name, e = rng.choice(made)
    fields = list(e.items())
    fields.append(rng.choice([*fields, ("dtype", "U8")]))
    pairs = [(n, written(fields) if n == name else v) for n, v in made]
    if i % 3 == 0:
        pairs = [*made, rng.choice(made)]
    if i % 3 == 1:
        pairs = [*made, ("__metadata__", {"a": "b"}),
            rng.choice([("__metadata__", {"c": "d"}), ("__metadata__", None)])]
    return file(written(pairs), data)


@kind("safetensors: metadata", ".safetensors", 100)
def metadata(rng, i):
    made, data = entries(rng)
    text = rng.choice(["null", "{}", '{"a": "b"}', '{"a": 1}', '{"a": null}', "[]", '"x"', "1", '{"a": "b", "a": "c"}',
        '{"\\u0000": "\\ud800"}', '{"a": {"b": "c"}}', '{"": ""}'])
    pairs = list(made)
    pairs.insert(rng.randrange(len(pairs) + 1), ("__metadata__", Raw(text)))
    return file(written(pairs), data)


@kind("safetensors: types", ".safetensors", 150)
def types(rng, i):
    kind = rng.choice([*WIDTH, "F4", "F6_E2M3", "F6_E3M2", "f32", "F128", "", "C128", "Float32"])
    bits = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}.get(kind, 8 * WIDTH.get(kind, 4))
    shape = rng.choice([[4], [2, 4], [8], [0], [], [3]])
    n = 1
    for s in shape:
        n *= s
    size = n * bits // 8
    return file(json.dumps({"w": {"dtype": kind, "shape": shape, "data_offsets": [0, size]}}), rng.randbytes(size))


@kind("safetensors: numbers", ".safetensors", 200)
def numbers(rng, i):
    made, data = entries(rng)
    name, e = rng.choice(made)
    number = rng.choice(["1.0", "1e0", "-1", "-0", "00", "0x1", "1e1", '"1"', "null", "true", str(2**63), str(2**64),
        str(10**30), "[1]", "1 ", "0", "2"])
    field = rng.choice(["shape", "data_offsets"])
    values = [str(v) for v in e[field]] or ["0"]
    values[rng.randrange(len(values))] = number
    if rng.random() < 0.1:
        values.append("0")
    pairs = [(n, written([(k, Raw("[" + ", ".join(values) + "]") if k == field else v) for k, v in e.items()])
        if n == name else v) for n, v in made]
    return file(written(pairs), data)


@kind("safetensors: places", ".safetensors", 200)
def places(rng, i):
    made, data = entries(rng)
    e = rng.choice(made)[1]
    e["data_offsets"] = rng.choice([[0, 0], [0, len(data)], [e["data_offsets"][1], e["data_offsets"][0]],
        [e["data_offsets"][0] + 1, e["data_offsets"][1] + 1], [2**40, 2**40], [len(data), len(data)]])
    if rng.random() < 0.3:
        e["shape"] = rng.choice([[0], [2**32, 2**32, 0], [2**31, 2**31, 2**31], []])
    rng.shuffle(made)
    return file(json.dumps(dict(made)), data)


@kind("safetensors: white space and text", ".safetensors", 100)
def white(rng, i):
    made, data = entries(rng)
    header = json.dumps(dict(made), ensure_ascii=rng.random() < 0.5)
    return file(rng.choice([" " + header, "\n" + header, header + "\n", header + "\0", header + "x", "\ufeff" + header,
        header.replace(": ", " :\t"), header + "{}", "[" + header + "]", header.replace("a", "\\u0061"),
        header.replace('"', "'")]), data)
