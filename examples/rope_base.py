"""Longer context for your own model: a larger rotary base beside position interpolation, and beside neither.

    python examples/rope_base.py MODEL FOLDER --length 1024 --tokens 200000

MODEL: a directory, a .gguf file, or a name of `chaku models`; or a shape (mini, demo), which is first trained from
random weights. FOLDER: text or code with files longer than --length tokens. Three stages train from the same weights
on the same batches, and differ in one setting. Printed: each one's perplexity on held-out files, by position; lower
is better, and a curve that does not rise uses its context. In the Code Llama paper (section 2.4) the larger base
wins.
"""

import argparse
import json
from pathlib import Path

import chaku

RECIPE = """
name = "rope-base"
[corpus]
sources = [{{ name = "own", type = "tree", path = {folder} }}]
heldout_fraction = 0.1
{tokenizer}
[model]
{model}
[sets]
all = {{}}
{base}
{stages}
[evals]
stages = {measured}
benchmarks = ["perplexity"]
num_long_documents = 4
perplexity_tokens = {twice}
"""
STAGE = """
[stages.{name}]
{parent}
mixture = {{ all = 1.0 }}
sequence_length = {length}
{setting}
[stages.{name}.training]
tokens = {tokens}
batch_tokens = {batch}
micro_batch_tokens = {batch}
learning_rate = {rate}
warmup_steps = 10
"""


def recipe(options: argparse.Namespace) -> str:
    """The recipe: three stages from one parent, which differ in how they hold positions."""
    from_shape = options.model in ("mini", "demo", "tiny")
    length, times = options.length, options.length // options.trained
    ways = {
        "unchanged": "",
        "base-1e6": "rope_theta = 1e6",
        "interpolated": f"rope_scaling_factor = {times}.0",
    }
    parent = 'parent = "base"' if from_shape else ""
    common = {"length": length, "tokens": options.tokens, "batch": max(length, 2048), "rate": 5e-4, "parent": parent}
    base = {"name": "base", "length": options.trained, "tokens": options.base_tokens, "batch": 1024, "rate": 1e-3}
    return RECIPE.format(
        folder=json.dumps(str(options.folder)),
        model=f"preset = {json.dumps(options.model)}" if from_shape else f"path = {json.dumps(options.model)}",
        tokenizer="[tokenizer]\nvocab_size = 1024\ntrain_bytes = 1_000_000" if from_shape else "",
        base=STAGE.format(parent="", setting="", **base) if from_shape else "",
        stages="".join(STAGE.format(name=name, setting=setting, **common) for name, setting in ways.items()),
        measured=json.dumps(list(ways)),
        twice=2 * length,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trained", type=int, default=256, help="the length that the model was trained at")
    parser.add_argument("--length", type=int, default=1024, help="the new length")
    parser.add_argument("--tokens", type=int, default=200_000, help="of each of the three stages")
    parser.add_argument("--base-tokens", type=int, default=400_000, help="of a shape's first training")
    parser.add_argument("--out", type=Path, default=Path("runs/rope-base"))
    options = parser.parse_args()
    file = options.out.with_suffix(".toml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(recipe(options), encoding="utf-8")
    chaku.run(file, options.out)
    for number, way in enumerate(("unchanged", "base-1e6", "interpolated")):
        results = json.loads((options.out / "evals" / way / "perplexity.json").read_text(encoding="utf-8"))["results"]
        ends = results["edges"][1:] if len(results["edges"]) > len(results["perplexity"]) else results["edges"]
        if number == 0:
            print(f"perplexity up to each position, documents measured: {results['documents']}")
        cells = [f"{end}: {value:.1f}" for end, value in zip(ends, results["perplexity"], strict=True) if value]
        print(f"{way:13}", "  ".join(cells))


if __name__ == "__main__":
    main()
