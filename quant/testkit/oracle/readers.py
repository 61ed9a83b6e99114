"""Holds Nibble's readers against torch's and safetensors' on thousands of files with one thing changed.

For each file, what torch (or safetensors) reads and what Nibble reads are equal, or Nibble refuses it; where it asks
which of several models is meant, each is one that the reference reads. Of what the reference opens, Nibble opens with
equal tensors no less, class by class, than readers.json says, which is what it opened before it knew what to refuse;
the classes of REFUSED it refuses whole. What the reference refuses and Nibble opens is of a kind in BEYOND. No file
takes longer than 5 s.

The command line: readers.py READERS [PART-OF-A-CLASS] [-v], with the program of testkit/readers; -v prints what
Nibble refuses and the reference opens. `./build.sh oracle readers` runs it.
"""

import collections
import json
import pathlib
import random
import select
import subprocess
import sys
import tempfile

import mutations_pickle
import mutations_state  # adds to the classes of mutations_pickle
import mutations_safetensors
import mutations_zip

HERE = pathlib.Path(__file__).parent
CLASSES = mutations_zip.CLASSES | mutations_pickle.CLASSES | mutations_safetensors.CLASSES
FLOORS = json.loads((HERE / "readers.json").read_text())
REFUSED = {
    "zip: two names in one, by case", "zip: two of one name", "pickle: one storage under two types",
    "legacy: one storage under two types",
    "pickle: build on tensors and storages", "pickle: tensors with attributes that set values", "export: two ways",
    "export: before 2.8, two names in one", "safetensors: doubled keys",
}
# What Nibble reads beyond the reference: a part of the reference's error, and why.
BEYOND = {
    "file in archive is not in a subdirectory": "zips of torch.save that were packed again without their folder",
    "is not on the list": "objects of unknown classes are records that nothing is done with",
    "No module named '__builtin__'": "names of Python 2 in newer protocols",
    "SpecViolationError": "the weights of a program whose graph wants others",
}


class Reference:
    """reference.py, started anew when a file ends it."""

    def __init__(self):
        self.process = None

    def read(self, path):
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "reference.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True)
        try:
            self.process.stdin.write(f"{path}\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            return json.loads(self.process.stdout.readline()) if ready else self.end("it takes too long")
        except (json.JSONDecodeError, BrokenPipeError):
            return self.end("it ends the process")

    def end(self, why):
        self.process.kill()
        self.process.wait()
        return {"error": why}


def canonical(tensors):
    return {name: (kind, shape, digest) for name, kind, shape, digest in tensors}


def compare(mine, theirs):
    """What one file shows: a word to count, and what is wrong with it, if anything."""
    if mine["error"]:
        return "theirs" if "dicts" in theirs else "neither", "" if mine[
            "kind"] else f"the error is no fault: {mine['error']}"
    if "dicts" in theirs:
        dicts = list(map(canonical, theirs["dicts"]))
        equal = all(canonical(m) in dicts for m in mine["models"])
        if equal:
            return "equal", ""
        return "other", f"it is read in two ways:\n  {mine['models']}\n  {theirs['dicts']}"
    known = any(part in theirs["error"] for part in BEYOND)
    return "beyond", "" if known else f"Nibble opens what the reference does not: {theirs['error']}"


def write(folder, only):
    for name, make in CLASSES.items():
        if only in name:
            for i, (ending, data) in enumerate(make(random.Random(name))):
                path = pathlib.Path(folder,
                    f"{name.replace(':', '').replace(' ', '-').replace(',', '')}-{i:03}{ending}".replace("'", ""))
                path.write_bytes(data)
                yield name, path


def main(readers, only, verbose):
    tally, wrong = collections.defaultdict(collections.Counter), []
    with tempfile.TemporaryDirectory() as folder:
        files = list(write(folder, only))
        answers = subprocess.run([readers], input="".join(f"{p}\n" for _, p in files), capture_output=True, text=True,
            check=True).stdout.splitlines()
        reference = Reference()
        for (name, path), answer in zip(files, answers, strict=True):
            mine, theirs = json.loads(answer), reference.read(path)
            word, what = compare(mine, theirs)
            tally[name][word] += 1
            if what:
                wrong.append(f"{path.name}: {what}")
            if mine["seconds"] > 5:
                wrong.append(f"{path.name}: {mine['seconds']:.1f} s")
            if verbose and word == "theirs":
                print(f"{path.name}: {mine['error']}")
        reference.end("")
    for name, count in tally.items():
        equal, opened = count["equal"], count["equal"] + count["other"] + count["theirs"]
        print(f"  {name:48} {count.total():4} files; of {opened:3} that the reference opens {equal:3} are equal "
            f"(before: {FLOORS.get(name, 0):3}); {count['beyond']:2} beyond")
        if name in REFUSED:
            if count["equal"] + count["beyond"]:
                wrong.append(f"{name}: {count['equal'] + count['beyond']} are opened, which must be refused")
        elif equal < FLOORS[name]:
            wrong.append(f"{name}: {equal} are equal, before it were {FLOORS[name]}")
    total = sum((c for c in tally.values()), collections.Counter())
    print(f"readers: {total.total()} files of {len(tally)} classes; {total['equal']} equal, {total['neither']} "
        f"refused by both, "
          f"{total['theirs']} by Nibble alone, {total['beyond']} read beyond the reference, {total['other']} read in "
              f"two ways")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong or not tally else 0


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "-v"]
    sys.exit(main(arguments[0], (arguments + [""])[1], "-v" in sys.argv))
