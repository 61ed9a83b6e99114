"""An assembler of pickles for readers.py: values as the opcodes that make them."""

import pickletools
import struct

END = b"."
DICT = b"}"
ORDERED = b"ccollections\nOrderedDict\n)R"
HOOKS = ORDERED


def text(s, form="X"):
    b = s.encode() if isinstance(s, str) else s
    return {
        "X": lambda: b"X" + struct.pack("<I", len(b)) + b, "short": lambda: b"\x8c" + bytes([len(b)]) + b,
        "V": lambda: b"V" + b + b"\n", "S": lambda: b"S'" + b + b"'\n", "U": lambda: b"U" + bytes([len(b)]) + b,
        "T": lambda: b"T" + struct.pack("<I", len(b)) + b, "8": lambda: b"\x8d" + struct.pack("<Q", len(b)) + b,
        "C": lambda: b"C" + bytes([len(b)]) + b,
    }[form]()


def number(n, form=None):
    form = form or ("K" if 0 <= n < 256 else "J" if -2**31 <= n < 2**31 else "\x8a")
    if form == "K":
        return b"K" + bytes([n])
    if form == "M":
        return b"M" + struct.pack("<H", n)
    if form == "J":
        return b"J" + struct.pack("<i", n)
    if form == "I":
        return b"I%d\n" % n
    if form == "L":
        return b"L%dL\n" % n
    raw = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw if form == "\x8a" else b"\x8b" + struct.pack("<i", len(raw)) + raw


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def ints(values, form=None):
    return tuple_of(*(number(v, form) for v in values))


def name(module, of):
    return f"c{module}\n{of}\n".encode()


def storage(key="0", kind="FloatStorage", count=16, location="cpu", more=b"", module="torch"):
    key = key if isinstance(key, bytes) else text(key)
    return tuple_of(text("storage"), name(module, kind), key, text(location),
        count if isinstance(count, bytes) else number(count), more) + b"Q"


def tensor(of=None, offset=0, size=(4, 2), stride=(2, 1), more=b"", rebuild="_rebuild_tensor_v2", hooks=HOOKS):
    of = storage() if of is None else of
    field = lambda v: v if isinstance(v, bytes) else ints(v)
    offset = offset if isinstance(offset, bytes) else number(offset)
    return name("torch._utils", rebuild) + tuple_of(of, offset, field(size), field(stride), b"\x89", hooks, more) + b"R"


def items(*pairs, of=DICT):
    """A dict by SETITEM, one after the other."""
    return of + b"".join((text(k) if isinstance(k, str) else k) + v + b"s" for k, v in pairs)


def pickle(value, protocol=b"\x80\x02"):
    return protocol + value + END


def cut(data):
    """The pickle's instructions, each as its bytes; raises where pickletools cannot read it."""
    at = [pos for _, _, pos in pickletools.genops(data)] + [len(data)]
    return [data[a:b] for a, b in zip(at, at[1:])]


SAFE = {
    "collections OrderedDict", "torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_tensor_v3", "torch._utils _rebuild_parameter",
    "torch._utils _rebuild_parameter_with_state", "__builtin__ complex", "__builtin__ tuple",
    "torch._tensor _rebuild_from_type_v2", "torch Size", "torch Tensor", "torch.nn.parameter Parameter",
    "torch.storage UntypedStorage",
    "torch.storage TypedStorage", "builtins dict", "builtins list", "builtins set", "builtins tuple",
    "builtins frozenset", "builtins object",
    "builtins complex", "builtins bytearray", "builtins int", "builtins float", "builtins str", "__builtin__ dict",
    "__builtin__ list",
    "__builtin__ set", "__builtin__ object", "copy_reg _reconstructor", "copyreg _reconstructor", "_codecs encode",
    "torch device", "argparse Namespace", "torch.serialization _get_layout",
    "collections Counter", "collections defaultdict", "collections deque", "pathlib PurePosixPath",
    "datetime timedelta",
}


def harmless(module, of):
    """Whether Python's own unpickler may find a name."""
    dtype = module == "torch" and (of.endswith("Storage")
        or of.startswith(("float", "int", "uint", "bfloat", "complex", "bool")))
    layer = module.startswith("torch.nn.modules.") and of[:1].isupper() and "." not in of
    return f"{module} {of}" in SAFE or dtype or layer
