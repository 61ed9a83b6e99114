"""Compares an output of Nibble with a state dict and codes, through the real readers."""

import numpy as np
import torch
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from safetensors import safe_open


def same(a, b, what):
    assert a.dtype == b.dtype, f"{what}: dtype {a.dtype}, want {b.dtype}"
    assert a.shape == b.shape, f"{what}: shape {tuple(a.shape)}, want {tuple(b.shape)}"
    x, y = (t.detach().contiguous().reshape(-1).view(torch.uint8) for t in (a, b))
    assert torch.equal(x, y), f"{what}: bits differ"


def check_coremltools(out, want, ordered):
    got = torch.load(out, weights_only=True)
    keys, wanted = list(got), list(want)
    if not ordered:
        keys, wanted = sorted(keys), sorted(wanted)
    assert keys == wanted, f"keys or their order differ: {keys} want {wanted}"
    for k in want:
        same(got[k], want[k], k)
    assert got._metadata == want._metadata, "module versions differ"


def check_kept(f, source, codes):
    """What was not quantized is the same; returns the names of all other tensors."""
    kept = set(source) - set(codes)
    for key in kept:
        same(f.get_tensor(key), source[key], key)
    return set(f.keys()) - kept


def check_int8(out, source, codes, high_nibble, bits_of):
    with safe_open(out, framework="pt") as f:
        names = check_kept(f, source, codes)
        for key, (q, scale, zp) in codes.items():
            got, want = f.get_tensor(key).numpy(), q
            if high_nibble == "zero" and bits_of(key) == 4:
                want = q.astype(np.uint8) & 15
            assert got.dtype == want.dtype and np.array_equal(got, want), f"{key}: codes differ"
            same(f.get_tensor(key + "_scale"), torch.from_numpy(scale), key + "_scale")
            names -= {key, key + "_scale"}
            if key + "_zero_point" in names:
                assert np.array_equal(f.get_tensor(key + "_zero_point").numpy(), zp), f"{key}: zero points differ"
                names.discard(key + "_zero_point")
            else:
                assert zp is None, f"{key}: zero points are missing"
        assert not names, f"unexpected tensors {names}"


def narrow(weight, q, scale, zp, bits):
    """Codes made with scales of bfloat16, and these scales, which packed has for weights of bfloat16."""
    rows, across = q.shape[0], scale.size // scale.shape[0]
    tall = rows // scale.shape[0]
    rounded = torch.from_numpy(scale).bfloat16()
    wide = lambda a: np.repeat(np.repeat(a.reshape(a.shape[0], across), tall, axis=0), q.size // rows // across, axis=1)
    least, most = (0, (1 << bits) - 1) if q.dtype == np.uint8 else (-(1 << bits - 1), (1 << bits - 1) - 1)
    with np.errstate(all="ignore"):
        steps = np.rint(weight.float().numpy().reshape(rows, -1) / wide(rounded.float().numpy()))
    steps = np.nan_to_num(steps) + (0 if zp is None else wide(zp.astype(np.float32)))
    return np.clip(steps, least, most).astype(q.dtype).reshape(q.shape), rounded


def check_packed(out, source, codes, bits_of):
    with safe_open(out, framework="pt") as f:
        names = check_kept(f, source, codes)
        for key, (q, scale, zp) in codes.items():
            bits, shift = bits_of(key), 0
            stored = torch.from_numpy(scale)
            if source[key].dtype == torch.bfloat16:
                q, stored = narrow(source[key], q, scale, zp, bits)
            if q.dtype == np.uint8:
                shift = 1 << (bits - 1)  # unsigned codes travel as signed ones
            rows = q.shape[0]
            shape = torch.Size(f.get_tensor(key + "_shape").tolist())
            assert shape == source[key].shape, f"{key}: shape {shape}"
            flat = torch.Size((rows, q.size // rows))
            got = unpack_from_int32(f.get_tensor(key + "_packed"), bits, flat)
            want = torch.from_numpy(q.astype(np.int16) - shift).reshape(flat)
            assert torch.equal(got.to(torch.int16), want), f"{key}: unpacked codes differ"
            across = scale.size // scale.shape[0]
            per_row = lambda a: torch.from_numpy(np.repeat(a.reshape(a.shape[0], across), rows // a.shape[0], axis=0))
            scales = stored.reshape(len(stored), across).repeat_interleave(rows // len(stored), 0)
            same(f.get_tensor(key + "_scale"), scales, key + "_scale")
            names -= {key + "_packed", key + "_shape", key + "_scale"}
            if key + "_zero_point" in names:
                got = unpack_from_int32(f.get_tensor(key + "_zero_point"), bits, torch.Size((rows, across)),
                    packed_dim=0)
                want = per_row(zp.astype(np.int16) - shift)
                assert torch.equal(got.to(torch.int16), want), f"{key}: zero points differ"
                names.discard(key + "_zero_point")
            else:
                assert zp is None, f"{key}: zero points are missing"
        assert not names, f"unexpected tensors {names}"
