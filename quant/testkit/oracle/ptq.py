"""coremltools' PostTrainingQuantizer, watched; and what Nibble does beyond it."""

import numpy as np
import torch
from coremltools.optimize._utils import compute_qparams, dequantize_by_scale_and_zp
from coremltools.optimize.torch.quantization import PostTrainingQuantizer, PostTrainingQuantizerConfig


class Recorder(PostTrainingQuantizer):
    """PostTrainingQuantizer that also keeps the integers, which it throws away."""

    def __init__(self, *args):
        super().__init__(*args)
        self.codes = {}

    def _quantize_weight(self, submod_name, submodule, submod_config, param_name):
        self._key = f"{submod_name}.{param_name}" if submod_name else param_name
        return super()._quantize_weight(submod_name, submodule, submod_config, param_name)

    def _dequantize_weight(self, quant_weight, scale, zp, mode):
        self.codes[self._key] = (quant_weight, scale, zp)
        return super()._dequantize_weight(quant_weight, scale, zp, mode)


def tuples(config):
    """coremltools takes tuples where JSON has lists."""

    def entry(c):
        if c and isinstance(c.get("block_size"), list):
            return {**c, "block_size": tuple(c["block_size"])}
        return c

    out = dict(config)
    if out.get("global_config"):
        out["global_config"] = entry(out["global_config"])
    for key in ("module_type_configs", "module_name_configs"):
        if out.get(key):
            out[key] = {k: entry(v) for k, v in out[key].items()}
    return out


def python_config(config):
    return PostTrainingQuantizerConfig.from_dict(tuples(config))


def buffers(key, bits, scale, zp):
    """The buffers of a quantized parameter, by their keys."""
    owner, dot, param = key.rpartition(".")
    out = {"quantization_n_bits": torch.tensor(bits), "quantization_scale": torch.from_numpy(scale)}
    if zp is not None:
        out["zero_point"] = torch.from_numpy(zp)
    out["compression_type"] = torch.tensor([3])
    return {f"{owner}{dot}_COREML_/{param}/{field}": value for field, value in out.items()}


def quantize(weight, scheme):
    """One weight by coremltools' own functions, in the blocks of a report's scheme."""
    dtype = scheme["weight_dtype"]
    blocks = [0 if n == 1 else size // n for size, n in zip(weight.shape, scheme["scale_shape"])]
    q, scale, zp = compute_qparams(
        weight=weight, nbits=int(dtype.lstrip("uint")), signed=dtype.startswith("int"), dtype=None, block_sizes=blocks,
        quantization_mode="LINEAR_SYMMETRIC" if scheme["quantization_scheme"] == "symmetric" else "LINEAR",
    )
    return q, scale, zp


def expected(model, config, rows):
    """The state dict and the codes that Nibble must write: coremltools' own, but for the
    listed deviations. rows is what Nibble's plan says of each tensor."""
    low = any(p.dtype == torch.bfloat16 for p in model.parameters())
    ties = tied(model.state_dict())
    source = {k: v.clone() for k, v in model.state_dict().items()}
    # coremltools refuses bfloat16; Nibble computes it in float32 and stores the
    # dequantized floats in bfloat16 again.
    ptq = Recorder(model.float() if low else model, python_config(config))
    want = ptq.compress().state_dict()
    report, codes = ptq.report(), dict(ptq.codes)
    deviations = 0

    def set_weight(key, q, scale, zp, bits):
        codes[key] = (q, scale, zp)
        want[key] = torch.from_numpy(dequantize_by_scale_and_zp(q, scale, zp))
        want.update(buffers(key, bits, scale, zp))

    for row in rows:
        key = row["name"]
        if row["beyond_coremltools"]:  # coremltools skips the layer
            assert key not in codes, f"{key}: coremltools does not skip it, the plan says it would"
            weight = (source[key].float() if low else source[key]).numpy()
            q, scale, zp = quantize(weight, row["scheme"])
            set_weight(key, q, scale, zp, int(row["scheme"]["weight_dtype"].lstrip("uint")))
            deviations += 1
    for first, others in ties.items():
        known = next((k for k in [first, *others] if k in codes), None)
        if known is None:
            continue
        # One weight is quantized once; coremltools quantizes it again from its own
        # output, and never registers buffers on the embedding.
        bits = int(want[next(iter(buffers(known, 0, codes[known][1], None)))])
        for key in [first, *others]:
            set_weight(key, *codes[known], bits)
        deviations += 1
    if low:
        for key in source:
            if source[key].dtype == torch.bfloat16:
                want[key] = want[key].bfloat16()
    return source, want, codes, report, deviations


def tied(state):
    """name -> other names of the same storage."""
    seen, out = {}, {}
    for key, value in state.items():
        first = seen.setdefault(value.data_ptr(), key) if value.numel() else key
        if first != key:
            out.setdefault(first, []).append(key)
    return out


def rmse(a, b):
    return float(np.sqrt(np.mean((a.double().numpy() - b.double().numpy()) ** 2)))
