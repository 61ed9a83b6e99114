"""Configs that coremltools refuses, accepts, or accepts where Nibble does not.

    python configs.py       (in the environment of ./build.sh oracle)

Writes ../vectors/ptq_configs.json, which the ordinary tests read: each config with what
coremltools said to it. `./build.sh oracle` asks coremltools again and holds the file
to it.
"""

import json
import pathlib

import coremltools
from coremltools.optimize.torch.quantization import PostTrainingQuantizerConfig

import ptq


def entry(**more):
    return {"global_config": {"weight_dtype": "int4", **more}}


REFUSED = [
    entry(weight_dtype="INT4"),
    entry(weight_dtype="int3"),
    entry(weight_dtype="float16"),
    entry(weight_dtype="fp8_e4m3"),
    entry(weight_dtype=4),
    entry(weight_dtype=""),
    entry(weight_dtype=["int4"]),
    entry(granularity="per_row"),
    entry(granularity="per_block"),
    entry(granularity="PER_TENSOR"),
    entry(granularity=None),
    entry(granularity="per_block", block_size=None),
    entry(granularity="per_tensor", block_size=32),
    entry(block_size=32),
    entry(granularity="per_block", block_size=32.0),
    entry(granularity="per_block", block_size="32"),
    entry(granularity="per_block", block_size={"0": 32}),
    entry(granularity="per_block", block_size=[1, "32"]),
    entry(granularity="per_block", block_size=[1, 2.5]),
    entry(quantization_scheme="asymmetric"),
    entry(quantization_scheme="Affine"),
    entry(quantization_scheme=None),
    entry(weight_n_bits=4),
    entry(dtype="int4"),
    entry(blocksize=32),
    {"global_configs": {}},
    {"global": {}},
    {"module_name_config": {}},
    {"global_config": "int4"},
    {"global_config": []},
    {"module_name_configs": []},
    {"module_name_configs": {"a": "int4"}},
    {"module_name_configs": {"a": {"bits": 4}}},
    {"module_type_configs": {"Linear": "int4"}},
    {"module_type_configs": {"Linear": {"weight_dtype": "int5"}}},
    {"module_type_configs": {"Linear": {"granularity": "per_block"}}},
    {"global_config": {"quantization_scheme": "affine"}, "module_name_configs": {"a": {"weight_dtype": "int8"}}},
    {"module_type_configs": {"Linear": {"quantization_scheme": "affine"}, "Conv2d": {}}},
    {"module_name_configs": {"a": {"quantization_scheme": "affine"}, "b": {"quantization_scheme": "symmetric"}}},
]

ACCEPTED = [
    {},
    {"global_config": None},
    {"global_config": {}},
    {"module_name_configs": {}},
    {"module_name_configs": {"a": None}},
    {"module_type_configs": {"Linear": None, "MultiheadAttention": {}}},
    entry(granularity="per_block", block_size=32),
    entry(granularity="per_block", block_size=[1, 32]),
    entry(granularity="per_block", block_size=[1, 32, 0, 3]),
    entry(granularity="per_block", block_size=0),
    entry(granularity="per_block", block_size=-8),
    entry(granularity="per_tensor", block_size=None),
    {"global_config": {"quantization_scheme": "affine"},
        "module_name_configs": {"a": {"quantization_scheme": "affine", "weight_dtype": "uint8"}}},
    {"global_config": {"quantization_scheme": "affine"}, "module_name_configs": {"a": None}},
]

# Accepted without a word and then ignored, or wrong.
ONLY_COREMLTOOLS = [
    (entry(weight_dtype="fp8_e5m2"), "is quantized to plain int8"),
    ({"module_type_configs": {"Linear": {"bits": 4}}}, "the unknown key is ignored"),
    ({"module_type_configs": {"Linaer": {}}}, "never matches"),
    ({"module_type_configs": {"torch.nn.Linear": {}}}, "never matches"),
    ({"module_type_configs": {"LSTM": {}}}, "is not quantized all the same"),
    ({"module_name_configs": {"(": {}}}, "fails later, in re"),
    (entry(granularity="per_block", block_size=[]), "fails later"),
    ({"set_global": {}}, "passes as an attribute's name"),
]


def ask(config):
    """What coremltools says: "" when it accepts."""
    try:
        PostTrainingQuantizerConfig.from_dict(ptq.tuples(config))
        return ""
    except BaseException as e:  # cattrs raises groups
        while isinstance(e, BaseExceptionGroup):
            e = e.exceptions[0]
        return f"{type(e).__name__}: {e}"[:300]


def answers():
    return {
        "coremltools": coremltools.__version__,
        "refused": [{"config": c, "says": ask(c)} for c in REFUSED],
        "accepted": [{"config": c, "says": ask(c)} for c in ACCEPTED],
        "only_coremltools": [{"config": c, "why": why, "says": ask(c)} for c, why in ONLY_COREMLTOOLS],
    }


FILE = pathlib.Path(__file__).parent.parent / "vectors" / "ptq_configs.json"

if __name__ == "__main__":
    FILE.write_text(json.dumps(answers(), indent=1) + "\n")
