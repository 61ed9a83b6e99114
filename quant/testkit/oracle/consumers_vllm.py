"""The part of the oracle of consumers that is vLLM on the CPU (consumers.py says what is held).

Logarithms of probabilities are those of the model that holds what the codes stand for, bit for bit where the weights
are bfloat16 and the codes symmetric. Of float16 and with zero points vLLM's kernel rounds otherwise than its own for
floats, and they are held to a fifth of what quantizing changes.
vLLM has no kernels for experts in 4 bits, nor for 8 bits, on a CPU.
"""

import os

os.environ.update(
    HF_HUB_OFFLINE="1", VLLM_LOGGING_LEVEL="ERROR", VLLM_CPU_KVCACHE_SPACE="1", VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1",
)

import vllm
from vllm import LLM, SamplingParams
from vllm.distributed import cleanup_dist_env_and_memory

import consumers
import consumers_models as models
from consumers_folder import read, stands_for, with_values

IDS = [1, 5, 77, 200, 9, 42, 210, 8, 33, 150, 61, 7]
RECIPES = {"usual": [], "g32": ["--group-size", "32"], "affine": ["--scheme", "affine", "--group-size", "64"]}

def logprobs(folder):
    """Of what is most likely after each token."""
    model = LLM(str(folder), dtype="auto", enforce_eager=True, max_model_len=64)
    try:
        ask = SamplingParams(max_tokens=1, temperature=0, logprobs=20, prompt_logprobs=20, ignore_eos=True)
        answer = model.generate([{"prompt_token_ids": IDS}], ask, use_tqdm=False)[0]
    finally:
        del model
        cleanup_dist_env_and_memory()
    rows = answer.prompt_logprobs[1:] + answer.outputs[0].logprobs
    return [{token: p.logprob for token, p in row.items()} for row in rows]


def apart(a, b):
    """The largest difference of what both have, which must be most."""
    pairs = [(x[token], y[token]) for x, y in zip(a, b, strict=True) for token in x if token in y]
    assert len(pairs) > 15 * len(IDS)
    return max(abs(p - q) for p, q in pairs)


def check(nibble, source, words):
    out = consumers.HOME / "vllm"
    consumers.convert(nibble, source, out, ["--for", "vllm", *words])
    tensors, schemes = read(out)
    values, _ = stands_for(tensors, schemes)
    floats, _ = read(source)
    if not values:
        return "nothing is quantized"
    got = logprobs(out)
    same = apart(got, logprobs(with_values(source, "floats-vllm", floats | values)))
    other = apart(got, logprobs(source))
    print(f"{source.name} {' '.join(words)}: {same:.4f} from what the codes stand for, {other:.4f} from the source",
          flush=True)
    exact = source.name.split("-")[1] == "bf16" and "affine" not in words
    if same > (0 if exact else other / 5):
        return f"logarithms differ by {same:g}; those of the source by {other:g}"
    return ""


def attempt(name, step):
    try:
        consumers.say(name, step())
    except Exception as e:  # whatever it is, the folder does not load
        consumers.say(name, f"{type(e).__name__}: {str(e)[:300]}")


def red(nibble):
    """A folder in which one tensor has another name does not load."""
    out = consumers.HOME / "vllm"
    consumers.convert(nibble, consumers.HOME / "models" / "llama-bf16", out, ["--for", "vllm"])
    consumers.altered(out, "mlp.up_proj.weight_packed")
    try:
        logprobs(out)
    except Exception:
        return ""
    return "an altered name was not found"


def run(nibble, wanted):
    print("vllm", vllm.__version__, flush=True)
    for row in models.FOLDERS:
        name = models.name_of(*row)
        if row[0] not in models.DENSE or row[1] == "f32" or wanted not in name:
            continue
        source = consumers.HOME / "models" / name
        for recipe, words in RECIPES.items():
            if recipe == "usual" or name in ("llama-bf16", "qwen2-bf16-tied"):
                attempt(f"vllm {name} {recipe}", lambda: check(nibble, source, words))
    if not wanted:
        attempt("vllm red", lambda: red(nibble))
    consumers.finish(1 if wanted else 18)
