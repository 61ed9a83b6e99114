"""Holds the folders that Nibble writes against Transformers with compressed-tensors, against MLX, and against vLLM.

Run by `./build.sh oracle consumers`, which makes the Python environments and calls it in each:

  consumers.py NIBBLE transformers [TEXT]   opened by Transformers, whichever version the environment has
  consumers.py NIBBLE mlx [TEXT]            opened by mlx-lm
  consumers.py NIBBLE vllm [TEXT]           opened by vLLM on the CPU
  consumers.py NIBBLE models                makes the models (consumers_models.py), which both need first
  consumers.py NIBBLE goldens               writes fixtures/consumers/ct.json, for the ordinary tests

For each model and recipe: nothing is missing, unexpected or mismatched when the folder is loaded, and its logits are,
bit for bit, those of the float model that holds the weights that the folder's codes stand for. Folders made for
Transformers hold the codes and scales that compressed-tensors' own functions make of the source. Folders made for MLX
hold, byte for byte, the tensors that mlx_lm.convert -q makes. A folder with one name altered must fail.

With TEXT only folders with it in their names are tried. Exit status 1 when anything differs, or is not there.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TQDM_DISABLE"] = "1"  # no bars of progress
warnings.simplefilter("ignore")

HOME = pathlib.Path(os.environ["NIBBLE_BUILD"]) / "consumers"
failed, passed = [], 0


def say(name, problem):
    global passed
    if problem:
        failed.append(name)
        print(f"FAILED {name}: {problem}", flush=True)
    else:
        passed += 1


def convert(nibble, source, out, words, config=None):
    """Runs the command; config is a recipe that goes into a file."""
    shutil.rmtree(out, ignore_errors=True)
    command = [nibble, "convert", str(source), "-o", str(out), *words, "--quiet"]
    if config is not None:
        path = HOME / "recipe.json"
        path.write_text(json.dumps(config))
        command += ["--config", str(path)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr.strip())


def altered(folder, ends):
    """Gives one tensor whose name ends so another name, in the file's header, whose length stays."""
    path = next(p for p in sorted(folder.glob("*.safetensors")) if ends.encode() in p.read_bytes())
    text = path.read_bytes()
    path.write_bytes(text.replace(ends.encode() + b'"', ends[:-1].encode() + b'x"', 1))


def finish(least):
    """Ends with a status; fewer than so many checks are a failure, too."""
    print(f"{passed} passed, {len(failed)} failed")
    if passed < least:
        print(f"at least {least} were to pass")
    sys.exit(bool(failed) or passed < least)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    nibble, part, wanted = sys.argv[1], sys.argv[2], (sys.argv[3:] or [""])[0]
    HOME.mkdir(parents=True, exist_ok=True)
    if part == "models":
        import consumers_models

        shutil.rmtree(HOME / "models", ignore_errors=True)
        consumers_models.make(HOME / "models", wanted)
    elif part in ("transformers", "goldens"):
        import consumers_transformers

        getattr(consumers_transformers, "run" if part == "transformers" else part)(nibble, wanted)
    elif part == "vllm":
        import consumers_vllm

        consumers_vllm.run(nibble, wanted)
    else:
        import consumers_mlx

        consumers_mlx.run(nibble, wanted)
