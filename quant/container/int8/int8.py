for key, scheme in schemes.items():
    codes, scale = state.pop(key), state.pop(key + "_scale")
    if scheme.get("high_nibble") == "zero" and scheme["weight_dtype"] == "int4":
        codes = (codes ^ 8).to(torch.int8) - 8
    steps = codes.float()
    owner, dot, param = key.rpartition(".")
    bits = 4 if "int4" in scheme["weight_dtype"] else 8
    fields = {"quantization_n_bits": torch.tensor(bits), "quantization_scale": scale}
    if key + "_zero_point" in state:
        fields["zero_point"] = state.pop(key + "_zero_point")
        steps -= per_weight(fields["zero_point"], codes.shape)
    fields["compression_type"] = torch.tensor([3])
    state[key] = (steps * per_weight(scale, codes.shape)).float()
    state |= {f"{owner}{dot}_COREML_/{param}/{field}": value for field, value in fields.items()}
