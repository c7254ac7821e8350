"""What infilling costs: the same model trained on the same documents, with 90% of them infilled and with none.

    python examples/infilling_cost.py FOLDER --tokens 400000

FOLDER: your code. A small model (mini) is trained twice from the same random weights. Printed: left-to-right bits per
byte of held-out files, where infilling may cost a little, and the share of hidden lines that each writes exactly,
which only the first can learn to do with the text behind them: asked with prefix and suffix (psm), with the suffix
first (spm), and with the prefix alone (left_to_right). After a short training there may
be no such line. In the Code Llama paper (table 14) infilling costs little at 7B and 13B.
"""

import argparse
import json
from pathlib import Path

import chaku

RECIPE = """
name = "infilling-cost"
[corpus]
sources = [{{ name = "own", type = "tree", path = {folder}, piece_bytes = 600 }}]
heldout_fraction = 0.1
[tokenizer]
vocab_size = 1024
train_bytes = 1_000_000
[model]
preset = "mini"
[sets]
pieces = {{ kinds = ["piece"] }}   # only whole documents are infilled: functions fit 256 tokens, files seldom do
[stages.infilled]
mixture = {{ pieces = 1.0 }}
sequence_length = 256
infilling = {{ rate = 0.9, spm_rate = 0.5 }}
seed = 1
training = {training}
[stages.left-to-right]
mixture = {{ pieces = 1.0 }}
sequence_length = 256
seed = 1
training = {training}
[evals]
stages = ["infilled", "left-to-right"]
benchmarks = ["bits_per_byte", "infilling"]
num_examples = {examples}
max_bytes_per_language = 100_000
"""
TRAINING = (
    "{{ tokens = {tokens}, batch_tokens = 1024, micro_batch_tokens = 1024, learning_rate = 2e-3, warmup_steps = 20 }}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=400_000, help="of each of the two stages")
    parser.add_argument("--examples", type=int, default=64, help="hidden lines")
    parser.add_argument("--out", type=Path, default=Path("runs/infilling-cost"))
    options = parser.parse_args()
    file = options.out.with_suffix(".toml")
    file.parent.mkdir(parents=True, exist_ok=True)
    training = TRAINING.format(tokens=options.tokens)
    folder = json.dumps(str(options.folder))
    file.write_text(RECIPE.format(folder=folder, training=training, examples=options.examples), encoding="utf-8")
    chaku.run(file, options.out)
    for stage in ("infilled", "left-to-right"):
        results = {
            name: json.loads((options.out / "evals" / stage / f"{name}.json").read_text(encoding="utf-8"))["results"]
            for name in ("bits_per_byte", "infilling")
        }
        lines = "  ".join(
            f"{mode}: {results['infilling'][mode]['exact_match']:.1%}" for mode in ("psm", "spm", "left_to_right")
        )
        if stage == "infilled":
            print(f"held-out files; lines: the share of {results['infilling']['num_examples']} that is written exactly")
        print(f"{stage:14} {results['bits_per_byte']['overall']['bits_per_byte']:.4f} bits per byte; lines {lines}")


if __name__ == "__main__":
    main()
