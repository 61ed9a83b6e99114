import json

import coremltools as ct
import torch
from safetensors import safe_open

# Yours: `model`, a fresh instance of your class, and `example`, an input that it takes.
with safe_open(MODEL_FILE, framework="pt") as f:
    state = {key: f.get_tensor(key) for key in f.keys()}
    schemes = json.loads(f.metadata()["nibble.schemes"])
