import json
import pathlib

import coremltools as ct
import torch
from safetensors import safe_open

# Yours: `model`, a fresh instance of your class, and `example`, an input that it takes.
state, schemes = {}, {}
for shard in sorted(pathlib.Path(MODEL_FILE).glob("*.safetensors")):
    with safe_open(shard, framework="pt") as f:
        state |= {key: f.get_tensor(key) for key in f.keys()}
        schemes |= json.loads(f.metadata()["nibble.schemes"])
