for key, scheme in schemes.items():
    words, scale = state.pop(key + "_packed"), state.pop(key + "_scale")
    shape, blocks = state.pop(key + "_shape").tolist(), scheme["scale_shape"]
    bits = 4 if "int4" in scheme["weight_dtype"] else 8
    signed = scheme["weight_dtype"].startswith("int")
    shift, dtype = (1 << bits - 1, torch.int8) if signed else (0, torch.uint8)
    places = torch.arange(0, 32, bits)
    rows, row = shape[0], torch.Size(shape[1:]).numel()
    one_per_block = slice(None, None, rows // blocks[0])  # the file repeats it for each row

    codes = (words[:, :, None] >> places & (1 << bits) - 1).reshape(rows, -1)[:, :row] - shift
    steps = codes.reshape(shape).float()
    scale = scale[one_per_block].reshape(blocks)
    if scale.dtype == torch.bfloat16:  # which coremltools does not know
        scale = scale.float()
    owner, dot, param = key.rpartition(".")
    fields = {"quantization_n_bits": torch.tensor(bits), "quantization_scale": scale}
    if key + "_zero_point" in state:
        words = state.pop(key + "_zero_point")
        points = (words[:, None, :] >> places[:, None] & (1 << bits) - 1).reshape(-1, words.shape[1])[:rows] - shift
        fields["zero_point"] = points[one_per_block].reshape(blocks).to(dtype)
        steps -= per_weight(fields["zero_point"], shape)
    fields["compression_type"] = torch.tensor([3])
    state[key] = (steps * per_weight(scale, shape)).float()
    state |= {f"{owner}{dot}_COREML_/{param}/{field}": value for field, value in fields.items()}
