def per_weight(values, shape):
    for axis, blocks in enumerate(values.shape):
        values = values.repeat_interleave(shape[axis] // blocks, axis)
    return values.float() if values.dtype != torch.float64 else values
