import pathlib

import coremltools as ct
import torch

# Yours: `model`, a fresh instance of your class, and `example`, an input that it takes.
state = {}
for shard in sorted(pathlib.Path(MODEL_FILE).glob("*.bin")):
    state |= torch.load(shard, weights_only=True)
