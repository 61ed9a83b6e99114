"""A zip writer whose every field can be set, for readers.py: what zipfile writes is always sound."""

import dataclasses
import struct
import zlib


@dataclasses.dataclass
class Entry:
    name: bytes
    data: bytes
    method: int = 0
    flags: int = 0
    crc: int | None = None
    raw: bytes | None = None  # what lies in the file, where it is not what method makes of data
    packed: int | None = None  # the compressed size that the directory gives
    size: int | None = None  # the size that the directory gives
    extra: bytes = b""
    local_extra: bytes = b""
    local_name: bytes | None = None
    local_sizes: tuple | None = None
    attributes: int = 0
    comment: bytes = b""
    disk: int = 0
    at: int | None = None  # the offset that the directory gives
    after: bytes = b""  # between this entry and the next

    def body(self):
        if self.raw is not None:
            return self.raw
        if self.method == 8:
            z = zlib.compressobj(6, zlib.DEFLATED, -15)
            return z.compress(self.data) + z.flush()
        return self.data


@dataclasses.dataclass
class Zip:
    entries: list
    before: bytes = b""  # the directory
    between: bytes = b""  # the directory and the end record
    comment: bytes = b""
    after: bytes = b""
    count: int | None = None
    here: int | None = None  # entries on this disk
    size: int | None = None
    offset: int | None = None
    disks: tuple = (0, 0)
    zip64: dict | None = None  # a zip64 end record: {"count", "size", "offset", "disks", "marks", "gap"}

    def bytes(self):
        out, directory = bytearray(), bytearray()
        for e in self.entries:
            at, body = len(out), e.body()
            crc = zlib.crc32(e.data) if e.crc is None else e.crc
            packed = len(body) if e.packed is None else e.packed
            size = len(e.data) if e.size is None else e.size
            low = lambda n: min(n, 0xFFFFFFFF)
            local = e.local_sizes or (low(packed), low(size))
            name = e.name if e.local_name is None else e.local_name
            out += struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, e.flags, e.method, 0, 0x21, crc, *local, len(name),
                len(e.local_extra))
            out += name + e.local_extra + body + e.after
            at = at if e.at is None else e.at
            directory += struct.pack(
                "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 0, 20, e.flags, e.method, 0, 0x21, crc, low(packed), low(size),
                len(e.name),
                len(e.extra), len(e.comment), e.disk, 0, e.attributes, low(at))
            directory += e.name + e.extra + e.comment
        out += self.before
        start, n = len(out), len(self.entries)
        out += directory
        pick = lambda given, real: real if given is None else given
        size, offset, count = pick(self.size, len(directory)), pick(self.offset, start), pick(self.count, n)
        if self.zip64 is not None:
            z, at = self.zip64, len(out)
            out += struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, *z.get("disks", (0, 0)),
                z.get("here", z.get("count", n)), z.get("count", n),
                               z.get("size", len(directory)), z.get("offset", start))
            out += z.get("gap", b"")
            out += struct.pack("<4sIQI", b"PK\6\7", 0, z.get("at", at), z.get("total", 1))
            if z.get("marks"):
                size, offset, count = 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFF
        out += self.between
        out += struct.pack("<4sHHHHIIH", b"PK\5\6", *self.disks, pick(self.here, count), count, size, offset,
            len(self.comment))
        return bytes(out + self.comment + self.after)


def parse(data):
    """The entries of a sound zip, as they are."""
    import io
    import zipfile
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        return [Entry(i.filename.encode(), z.read(i)) for i in z.infolist()]
