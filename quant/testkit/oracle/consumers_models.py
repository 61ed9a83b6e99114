"""Folders of tiny random models, as Transformers saves them, for the oracle of those who open Nibble's folders.

    make(OUT)   one folder for each row of FOLDERS

Rows and weights are of every kind: groups of zeros, of one sign, constant ones, tiny ones, an outlier.
"""

import json
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers as hf

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
VOCAB = 272

# Intermediate sizes that 128 does not divide, so that layers get smaller groups.
DECODER = {
    "vocab_size": VOCAB, "hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
FAMILIES = {
    "llama": ("LlamaForCausalLM", {}),
    "mistral": ("MistralForCausalLM", {"sliding_window": None}),
    "qwen2": ("Qwen2ForCausalLM", {}),
    "qwen3": ("Qwen3ForCausalLM", {"head_dim": 32}),
    "gemma2": ("Gemma2ForCausalLM", {"head_dim": 32, "query_pre_attn_scalar": 32}),
    "phi3": ("Phi3ForCausalLM", {}),
    "bert": ("BertForMaskedLM", {"num_key_value_heads": None}),
    "bert-classes": ("BertForSequenceClassification", {"num_key_value_heads": None}),
    "mixtral": ("MixtralForCausalLM", {"num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 128}),
    "qwen3_moe": ("Qwen3MoeForCausalLM", {"head_dim": 32, "decoder_sparse_step": 1, "mlp_only_layers": []} | EXPERTS),
}
DENSE = ["llama", "mistral", "qwen2", "qwen3", "gemma2", "phi3"]
ENCODERS = ["bert", "bert-classes"]
MOE = ["mixtral", "qwen3_moe"]
TIED = {"gemma2", "bert"}

# Name of the folder: family, dtype, whether its head is tied, whether it lies in shards.
FOLDERS = [
    (family, dtype, tied, sharded)
    for family in DENSE + ENCODERS + MOE
    for dtype in DTYPES
    for tied, sharded in ([(True, False)] if family in TIED else [(False, False)])
] + [(family, "bf16", True, False) for family in ("llama", "qwen2", "qwen3")] + [
    (family, dtype, tied, True) for family, dtype, tied in (("llama", "bf16", False), ("qwen2", "f32", True),
                                                            ("gemma2", "f16", True), ("phi3", "bf16", False),
                                                            ("mixtral", "bf16", False), ("qwen3_moe", "bf16", False))
]


def name_of(family, dtype, tied, sharded):
    return f"{family}-{dtype}" + ("-tied" if tied else "") + ("-sharded" if sharded else "")


def odd(weight):
    """Gives a weight rows of every kind."""
    weight[0] = 0
    weight[1, :32] = -weight[1, :32].abs()
    weight[2, 32:64] = weight[2, 32:64].abs()
    weight[3, :32] = 0.25
    weight[4] *= 1e-4
    weight[5, 3] = 3.0


def build(family, dtype, tied, seed):
    architecture, more = FAMILIES[family]
    cls = getattr(hf, architecture)
    config = {k: v for k, v in (DECODER | more | {"tie_word_embeddings": tied}).items() if v is not None}
    torch.manual_seed(seed)
    model = cls(cls.config_class(**config)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim >= 2:
                p.normal_(0, 0.5 if "embed" in name else 0.08)
            elif "norm" in name.lower():
                p.add_(torch.randn_like(p) * 0.1)
            else:
                p.normal_(0, 0.1)
        for name, p in model.named_parameters():
            if name.endswith(("down_proj.weight", "o_proj.weight", "output.dense.weight")) and p.ndim == 2:
                odd(p)
    return model.to(DTYPES[dtype])


def tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB, special_tokens=["<|end|>", "<|begin|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    t.train_from_iterator(["nibble four bits the the the quick brown fox"] * 9, trainer)
    return hf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<|begin|>", eos_token="<|end|>")


def make(out, wanted):
    words = tokenizer()
    for seed, row in enumerate(FOLDERS):
        path = f"{out}/{name_of(*row)}"
        if wanted in path:
            family, dtype, tied, sharded = row
            build(family, dtype, tied, seed).save_pretrained(path, **({"max_shard_size": "150KB"} if sharded else {}))
            words.save_pretrained(path)
            if family == "qwen3_moe":  # as Transformers 4 and MLX know these numbers
                config = pathlib.Path(path) / "config.json"
                more = EXPERTS | {"rope_theta": 10000.0, "norm_topk_prob": True}
                config.write_text(json.dumps(json.loads(config.read_text()) | more, indent=2))
