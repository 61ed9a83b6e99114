import coremltools as ct
import torch

# Yours: `model`, a fresh instance of your class, and `example`, an input that it takes.
state = torch.load(MODEL_FILE, weights_only=True)
