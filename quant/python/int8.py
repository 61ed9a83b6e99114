import json

import coremltools as ct
import torch
from safetensors import safe_open

# Yours: `model`, a fresh instance of your class, and `example`, an input that it takes.
with safe_open(MODEL_FILE, framework="pt") as f:
    state = {key: f.get_tensor(key) for key in f.keys()}
    schemes = json.loads(f.metadata()["nibble.schemes"])


def per_weight(values, shape):
    for axis, blocks in enumerate(values.shape):
        values = values.repeat_interleave(shape[axis] // blocks, axis)
    return values.float() if values.dtype != torch.float64 else values


for key, scheme in schemes.items():
    codes, scale = state.pop(key), state.pop(key + "_scale")
    if scheme.get("high_nibble") == "zero" and scheme["weight_dtype"] == "int4":
        codes = (codes ^ 8).to(torch.int8) - 8
    steps = codes.float()
    owner, dot, param = key.rpartition(".")
    fields = {"quantization_n_bits": torch.tensor(4 if "int4" in scheme["weight_dtype"] else 8), "quantization_scale": scale}
    if key + "_zero_point" in state:
        fields["zero_point"] = state.pop(key + "_zero_point")
        steps -= per_weight(fields["zero_point"], codes.shape)
    fields["compression_type"] = torch.tensor([3])
    state[key] = (steps * per_weight(scale, codes.shape)).float()
    state |= {f"{owner}{dot}_COREML_/{param}/{field}": value for field, value in fields.items()}
