"""Classes of files for readers.py: zips of torch.save with one thing changed in the zip.

CLASSES maps a name to a function of a random generator that yields (ending, bytes).
"""

import functools
import io
import struct
import zlib
from dataclasses import replace

import torch

import pickles as p
from zips import Entry, Zip, parse

CLASSES = {}


def kind(name):
    def keep(f):
        CLASSES["zip: " + name] = f
        return f
    return keep


def saved(value, **more):
    b = io.BytesIO()
    torch.save(value, b, **more)
    return b.getvalue()


@functools.cache
def bases():
    """Small files of torch.save, as entries."""
    torch.manual_seed(3)
    both = torch.randn(4, 6)
    sound = [
        {"w": torch.randn(4, 4), "v": torch.randn(2, 3).half(), "n": torch.arange(3)},
        torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict(),
        {"a": both, "b": both.t(), "c": both[1:3, ::2], "d": both.view(-1)[5:6]},
        {"epoch": 3, "state_dict": {"x.weight": torch.randn(2, 2).bfloat16(), "x.bias": torch.zeros(0)},
            "lr": [0.1, (1, None)]},
    ]
    return [parse(saved(v)) for v in sound]


def plain(*tensors):
    """A zip of one root with data.pkl and storages 0, 1, ... of 16 floats each."""
    made = tensors or [("w", p.tensor())]
    files = [("data.pkl", p.pickle(p.items(*made))), ("byteorder", b"little"), ("data/0", floats(0)),
        ("data/1", floats(1)), ("version", b"3\n")]
    return [Entry(("archive/" + n).encode(), d) for n, d in files]


def floats(seed, n=16):
    return struct.pack(f"<{n}f", *(seed * 100 + i for i in range(n)))


def each(change):
    """A class that changes each base, in turn, many times."""
    def run(rng):
        for i in range(24):
            made = change(rng, [replace(e) for e in bases()[i % len(bases())]])
            if made is not None:
                yield ".pt", made.bytes() if isinstance(made, Zip) else made
    return run


def simple(name):
    return lambda change: kind(name)(each(change))


def add(entries, name, data=b"x"):
    root = entries[0].name.split(b"/")[0]
    return entries + [Entry(root + b"/" + name, data)]


simple("as it is")(lambda r, e: Zip(e))
simple("comment")(lambda r, e: Zip(e,
    comment=r.choice([b"hello", b"PK\5\6", b"PK\5\6" + bytes(18), b"PK\5\6" + bytes(30), b"x" * 300])))
simple("bytes after the end")(lambda r, e: Zip(e, after=r.choice([b"\0", b"x" * 40, b"PK\5\6" + bytes(30)])))
simple("bytes before the directory")(lambda r, e: Zip(e, before=r.choice([b"\0", b"x" * 100, b"PK\1\2" + bytes(60)])))
simple("bytes after the directory")(lambda r, e: Zip(e, between=r.choice([b"\0", b"x" * 100, b"PK\6\7" + bytes(16)])))
simple("offset off")(lambda r, e: Zip(e, offset=r.randrange(len(Zip(e).bytes()))))
simple("size off")(lambda r, e: Zip(e, size=r.choice([0, 46, 100, 10**6, r.randrange(2000)])))
simple("count off")(lambda r, e: Zip(e, count=r.choice([0, 1, len(e) - 1, len(e) + 1, 65535, len(e) - 2])))
simple("count here off")(lambda r, e: Zip(e, here=r.choice([0, 1, len(e) - 1, len(e) + 1])))
simple("disks")(lambda r, e: Zip(e, disks=r.choice([(1, 1), (1, 0), (0, 1), (2, 2), (65535, 65535)])))
simple("entry's disk")(lambda r, e: (setattr(r.choice(e), "disk", r.choice([1, 2, 65535])), Zip(e))[1])
simple("zip64 alike")(lambda r, e: Zip(e, zip64={}))
simple("zip64 marked")(lambda r, e: Zip(e, zip64={"marks": True, "gap": r.choice([b"", b"", b"xyz"])}))
simple("entry order")(lambda r, e: Zip(r.sample(e, len(e))))
simple("deflated pickle")(lambda r, e: ([setattr(x, "method", 8) for x in e if x.name.endswith(b".pkl")], Zip(e))[1])
simple("deflated storages")(lambda r, e: ([setattr(x, "method", 8) for x in e if b"/data/" in x.name], Zip(e))[1])
simple("other methods")(lambda r, e: (setattr(r.choice(e), "method", r.choice([1, 9, 12, 14, 99])), Zip(e))[1])
simple("checksums off")(lambda r, e: ([setattr(x, "crc", r.getrandbits(32)) for x in e], Zip(e))[1])
simple("flags")(lambda r, e: (setattr(r.choice(e), "flags", r.choice([1, 2, 8, 32, 64, 2048, 8192, 0x4000])),
    Zip(e))[1])
simple("attributes")(lambda r, e: (
    setattr(r.choice(e), "attributes", r.choice([0x10, 0x20, 0o40755 << 16, 0o100644 << 16, 1])), Zip(e))[1])
simple("entry comments")(lambda r, e: ([setattr(x, "comment", b"c" * r.randrange(30)) for x in e], Zip(e))[1])
simple("extra fields")(lambda r, e: (
    [setattr(x, "extra", r.choice([b"FB\2\0ZZ", b"UT\5\0" + bytes(5), b"\1\0\x08\0" + bytes(8), b"xx",
        b"\1\0\xff\xff"])) for x in r.sample(e, 2)], Zip(e))[1])
simple("local extra fields")(lambda r,
    e: ([setattr(x, "local_extra", b"FB" + struct.pack("<H", n := r.randrange(60)) + b"Z" * n) for x in e], Zip(e))[1])
simple("local names")(lambda r, e: (
    setattr(x := r.choice(e), "local_name", r.choice([b"other", x.name + b"x", b"", x.name.upper()])), Zip(e))[1])
simple("local sizes")(lambda r, e: (
    setattr(r.choice(e), "local_sizes", r.choice([(0, 0), (1, 1), (0xFFFFFFFF, 0xFFFFFFFF)])), Zip(e))[1])
simple("gaps")(lambda r, e: ([setattr(x, "after", r.randbytes(r.randrange(20))) for x in e], Zip(e))[1])
simple("another file in the root")(lambda r,
    e: Zip(add(e, r.choice([b"extra/x.txt", b".data/x", b"code/x.py", b"data/extra", b"attributes.pkl",
        b"x.debug_pkl"]))))
simple("a file outside the root")(lambda r,
    e: Zip(r.choice([lambda f: e + [f], lambda f: [f] + e])(
        Entry(r.choice([b"__MACOSX/._x", b"other/data.pkl", b"x", b"ARCHIVE/x", b"archivex/y"]), b"x"))))
simple("no root")(lambda r, e: ([setattr(x, "name", x.name.split(b"/", 1)[1]) for x in e], Zip(e))[1])
simple("another root")(lambda r, e: (root := r.choice([b"a", b"a b", b"\xc3\xa9", b"a/b", b".", b"A" * 300]),
    [setattr(x, "name", root + b"/" + x.name.split(b"/", 1)[1]) for x in e], Zip(e))[2])
simple("a version")(lambda r, e: ([setattr(x, "data", r.choice([b"1", b"2\n", b"10\n", b"11", b"x", b"", b"999", b"0"]))
    for x in e if x.name.endswith(b"version")], Zip(e))[1])
simple("no version")(lambda r, e: Zip([x for x in e if not x.name.endswith(b"version")]))
simple("a byte order")(lambda r, e: (
    [setattr(x, "data", r.choice([b"big", b"LITTLE", b"little\n", b"", b"x", b"little"])) for x in e
        if x.name.endswith(b"byteorder")], Zip(e))[1])
simple("no byte order")(lambda r, e: Zip([x for x in e if not x.name.endswith(b"byteorder")]))
simple("format version, alignment")(lambda r,
    e: Zip(add([x for x in e if not x.name.endswith((b".format_version", b".storage_alignment"))],
        r.choice([b".format_version", b".storage_alignment"]), r.choice([b"1", b"0", b"x", b"64", b""]))))
simple("constants")(lambda r, e: Zip(add(e, r.choice([b"constants.pkl", b"CONSTANTS.PKL", b"data.pklx"]),
    p.pickle(b")"))))
simple("names in capitals")(lambda r,
    e: (setattr(x := r.choice(e), "name", (root := x.name.split(b"/", 1))[0] + b"/" + root[1].upper()), Zip(e))[1])
simple("zero in a name")(lambda r, e: (
    setattr(x := r.choice(e), "name", r.choice([x.name + b"\0", x.name[:-1] + b"\0", x.name + b"\0x"])), Zip(e))[1])
simple("backslashes")(lambda r, e: ([setattr(x, "name", x.name.replace(b"/", b"\\")) for x in e], Zip(e))[1])
simple("folders")(lambda r, e: Zip(add(e, r.choice([b"", b"data/", b"empty/"]), b"")))
simple("longer storages")(lambda r,
    e: ([setattr(x, "data", x.data + bytes(r.randrange(1, 40))) for x in e if b"/data/" in x.name], Zip(e))[1])
simple("shorter storages")(lambda r,
    e: ([setattr(x, "data", x.data[:-r.randrange(1, 8)]) for x in e if b"/data/" in x.name and len(x.data) > 8],
        Zip(e))[1])
simple("a storage less")(lambda r, e: (gone := r.choice([x for x in e if b"/data/" in x.name]),
    Zip([x for x in e if x is not gone]))[1])
simple("sizes off")(lambda r, e: (x := r.choice(e),
    setattr(x, r.choice(["size", "packed"]), r.choice([0, 1, len(x.data) + 1, 0xFFFFFFFF])), Zip(e))[2])
simple("offsets off")(lambda r, e: (setattr(r.choice(e), "at", r.choice([0, 1, 10**6, 0xFFFFFFFF])), Zip(e))[1])
simple("shared places")(lambda r, e: (setattr(r.choice(e[1:]), "at", 0), Zip(e))[1])


@simple("zip64 entries")
def zip64_entries(rng, entries):
    """Sizes and places that stand in extra fields, as those of large files do."""
    at = 0
    for e in entries:
        wrong = rng.random() < 0.1
        e.local_extra = b""
        which = rng.choice([(1, 1, 1), (1, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 0)])
        values = [v + wrong for v, on in zip((len(e.data), len(e.data), at), which) if on]
        e.extra = rng.choice([b"", b"FB\1\0Z"]) + struct.pack("<HH", 1, 8 * len(values)) + b"".join(struct.pack("<Q", v)
            for v in values)
        at += 30 + len(e.name) + len(e.data)
        if which[0]:
            e.size = 0xFFFFFFFF
        if which[1]:
            e.packed = 0xFFFFFFFF
        if which[2]:
            e.at = 0xFFFFFFFF
    return Zip(entries, zip64=rng.choice([None, {}, {"marks": True}]))


@kind("bytes of the directory")
def directory_bytes(rng):
    for i in range(150):
        raw = bytearray(Zip([replace(e) for e in bases()[i % 4]]).bytes())
        start = raw.find(b"PK\1\2")
        for _ in range(rng.choice([1, 1, 2, 5])):
            raw[rng.randrange(start, len(raw))] = rng.choice([0, 1, 255, rng.randrange(256)])
        yield ".pt", bytes(raw)


@kind("bytes anywhere")
def any_bytes(rng):
    for i in range(150):
        raw = bytearray(Zip([replace(e) for e in bases()[i % 4]]).bytes())
        for _ in range(rng.choice([1, 1, 2, 5])):
            raw[rng.randrange(len(raw))] = rng.choice([0, 1, 255, rng.randrange(256)])
        yield ".pt", bytes(raw)


@kind("cut short")
def cut_short(rng):
    for i in range(40):
        raw = Zip([replace(e) for e in bases()[i % 4]]).bytes()
        yield ".pt", raw[:rng.randrange(len(raw))]


def other_directory(rng):
    """A file with two directories: one of other places, and the sound one."""
    entries = plain(("w", p.tensor()), ("v", p.tensor(p.storage("1"))))
    swapped = [replace(e) for e in entries]
    offsets, at = [], 0
    for e in entries:
        offsets.append(at)
        at += 30 + len(e.name) + len(e.data)
    for e, o in zip(swapped, offsets):
        e.at = o
    swapped[2].at, swapped[3].at = offsets[3], offsets[2]
    second = Zip(swapped).bytes()
    return entries, second[second.find(b"PK\1\2"):second.find(b"PK\5\6")]


@kind("two directories, zip64")
def two_directories(rng):
    """A zip64 end record that names another directory than the plain one does."""
    for i in range(40):
        entries, other = other_directory(rng)
        at = len(Zip(entries).bytes()) - 22 - len(other)
        first = rng.random() < 0.5
        z = Zip(entries, before=other,
            zip64={"offset": at if first else None, "marks": rng.random() < 0.3,
                "gap": rng.choice([b"", b"", b"\0" * 4])})
        if z.zip64["offset"] is None:
            del z.zip64["offset"]
            z.offset = at
        if rng.random() < 0.2:
            z.zip64["total"] = 2
        yield ".pt", z.bytes()


@kind("two names in one, by case")
def two_cases(rng):
    for i in range(40):
        entries = plain(("w", p.tensor()), ("v", p.tensor(p.storage("1"))))
        name, data = rng.choice([
            (b"DATA.PKL", p.pickle(p.items(("w", p.tensor(p.storage("1")))))), (b"data/A", floats(3)),
            (b"Version", b"3\n"), (b"BYTEORDER", b"big"),
            (b"data.Pkl", b"x"), (b"DATA/0", floats(4)), (b"Data/1", floats(5))])
        if name == b"data/A":
            entries = add(plain(("w", p.tensor(p.storage("a")))), b"data/a", floats(2))
        more = Entry(b"archive/" + name, data)
        entries.insert(rng.randrange(1, len(entries)) if i % 2 else len(entries), more)
        yield ".pt", Zip(entries).bytes()


@kind("two of one name")
def two_names(rng):
    for i in range(30):
        entries = plain()
        e = rng.choice(entries)
        entries.insert(rng.randrange(len(entries)), replace(e, data=rng.choice([e.data, floats(7)])))
        yield ".pt", Zip(entries).bytes()


@kind("special names in capitals")
def special_capitals(rng):
    for name in (b"BYTEORDER", b"ByteOrder", b"VERSION", b"DATA.PKL", b".FORMAT_VERSION", b".Storage_Alignment"):
        for value in (b"big", b"little", b"3", b"x", b"1"):
            entries = [e for e in plain() if e.name.lower() != b"archive/" + name.lower()]
            data = plain()[0].data if name == b"DATA.PKL" else value
            yield ".pt", Zip([Entry(b"archive/" + name, data)] + entries if rng.random() < 0.3
                else entries + [Entry(b"archive/" + name, data)]).bytes()
