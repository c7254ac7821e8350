"""The optimizers of a stage beside each other: the first stage of a recipe, from random weights, with the same tokens.

Each optimizer trains at each learning rate with each seed, which draws the weights and the order of the data. The
corpus comes from this machine, as in the recipe, but smaller; --work keeps it for the next run. At the defaults the
training takes about 8 minutes of one core.

    python benchmarks/optimizers.py --work /tmp/optimizers --out optimizers.json
"""

import argparse
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import torch

from chaku.console import say, set_quiet, show_table
from chaku.corpus.build import fill_corpus
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.manifest import versions
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.model.quantization import stored_tensors
from chaku.pipeline.tokenizer_text import tokenizer_texts
from chaku.pipeline.training import make_dataset
from chaku.recipe.load import load_recipe
from chaku.recipe.schema import DocumentSet, Recipe
from chaku.tokens.load import load_tokenizer
from chaku.tokens.loader import Batch, collate
from chaku.tokens.packed_dataset import PackedDataset, TokenSet
from chaku.tokens.store import TokenStore, encode_corpus
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.tokenizer_training import train_tokenizer
from chaku.training.config import OptimizerName, TrainingConfig
from chaku.training.metrics import read_metrics
from chaku.training.optimizers import make_optimizer
from chaku.training.trainer import train

SMALLER = 4  # the corpus has this part of the recipe's bytes


def main() -> None:
    """Parse, make the tokens, train, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", type=Path, default=Path("recipes/demo-family.toml"), help="(default: %(default)s)")
    parser.add_argument("--optimizers", nargs="+", default=get_args(OptimizerName), help="(default: all)")
    parser.add_argument("--rates", nargs="+", type=float, default=[1e-3], help="(default: 1e-3)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3], help="(default: 1 2 3)")
    parser.add_argument("--steps", type=int, default=100, help="optimizer steps (default: 100)")
    parser.add_argument("--heldout-rows", type=int, default=32, help="held-out sequences of each set (default: 32)")
    parser.add_argument("--threads", type=int, default=1, help="processor threads (default: 1)")
    parser.add_argument("--work", type=Path, help="keep corpus, tokenizer and tokens in this directory")
    parser.add_argument("--out", type=Path, help="write the results as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = load_recipe(options.recipe)
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.work or Path(scratch)
        tokenizer = prepare(recipe, directory)
        results = []
        for seed in options.seeds:
            for rate in options.rates:
                for optimizer in options.optimizers:
                    results.append(measure(recipe, directory, tokenizer, optimizer, rate, seed, options))
                    say("  ".join(f"{key} {value}" for key, value in results[-1].items() if key != "heldout_losses"))
    show(results)
    if options.out:
        stage = next(iter(recipe.stages))
        made_from = {"recipe": str(options.recipe), "stage": stage, "steps": options.steps, "threads": options.threads}
        system = {"system": platform.platform(terse=True), "versions": versions()}
        write_json(options.out, {"benchmark": "optimizers", **made_from, **system, "results": results})


def prepare(recipe: Recipe, directory: Path) -> Tokenizer:
    """The tokenizer of the recipe, and in DIRECTORY its corpus and its tokens, which a former call may have left."""
    if not (directory / "tokens" / "heldout.idx").exists():
        for part in ("corpus", "tokenizer", "tokens"):
            shutil.rmtree(directory / part, ignore_errors=True)
            (directory / part).mkdir(parents=True)
        caps = {kind: size // SMALLER for kind, size in recipe.corpus.max_bytes.items()}
        corpus = directory / "corpus"
        fill_corpus(recipe.corpus.sources, corpus, heldout_fraction=recipe.corpus.heldout_fraction, max_bytes=caps)
        assert recipe.tokenizer.vocab_size is not None
        tokenizer = train_tokenizer(tokenizer_texts(recipe, corpus), recipe.tokenizer.vocab_size)
        tokenizer.save(directory / "tokenizer")
        for split in ("train", "heldout"):
            encode_corpus(corpus, tokenizer, directory / "tokens", split=split)
    return load_tokenizer(directory / "tokenizer")


def measure(
    recipe: Recipe,
    directory: Path,
    tokenizer: Tokenizer,
    optimizer: OptimizerName,
    rate: float,
    seed: int,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Train the recipe's first stage; its held-out losses at the end, in nats a token, and its time."""
    _, stage = next(iter(recipe.stages.items()))
    training = replace(
        stage.training,
        tokens=options.steps * stage.training.batch_tokens,
        share=None,
        optimizer=optimizer,
        learning_rate=rate,
        precision="float32",
        heldout_every=10**9,
        checkpoint_every=10**9,
    )
    dataset = make_dataset(recipe, directory, tokenizer, stage, seed)
    heldout = heldout_rows(recipe, directory, tokenizer, list(stage.mixture), stage.sequence_length, options)
    torch.manual_seed(seed)
    assert recipe.model.preset is not None
    model = Llama(replace(PRESETS[recipe.model.preset], vocab_size=tokenizer.vocab_size))
    name = f"{optimizer}-{rate:g}-{seed}"
    set_quiet(True)
    with tempfile.TemporaryDirectory() as state:
        try:
            reached = train(name, model, dataset, training, Path(state), heldout=heldout)
            losses = next(line for line in read_metrics(Path(state) / "metrics.jsonl") if "heldout_loss" in line)
        except ChakuError as error:  # the loss is not finite: a result, too
            return {"optimizer": optimizer, "rate": rate, "seed": seed, "failure": str(error)}
        finally:
            set_quiet(False)
    return {
        "optimizer": optimizer,
        "rate": rate,
        "seed": seed,
        "heldout_loss": fmean(losses["heldout_loss"].values()),
        "heldout_losses": losses["heldout_loss"],
        "seconds": reached.seconds,
        "state_bytes": state_bytes(model, training),
    }


def heldout_rows(
    recipe: Recipe,
    directory: Path,
    tokenizer: Tokenizer,
    names: Sequence[str],
    sequence_length: int,
    options: argparse.Namespace,
) -> dict[str, Batch]:
    """The first held-out sequences of each set."""
    store = TokenStore.open(directory / "tokens", "heldout")
    found = {}
    for name in names:
        chosen = recipe.sets[name]
        assert isinstance(chosen, DocumentSet)
        indices = store.select(kinds=chosen.kinds, languages=chosen.languages)
        dataset = PackedDataset(store, [TokenSet(name, indices, 1.0)], sequence_length, tokenizer, 0, infilling=None)
        found[name] = collate([(row, dataset[row]) for row in range(options.heldout_rows)])
    return found


def state_bytes(model: Llama, training: TrainingConfig) -> int:
    """Bytes of an optimizer's state after one step."""
    optimizer = make_optimizer(model, training)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    values = [value for state in optimizer.state.values() for value in state.values()]
    return sum(tensor.nbytes for value in values for tensor in stored_tensors(value))


def show(results: Sequence[dict[str, Any]]) -> None:
    """A row for each optimizer and rate: the mean held-out loss of the seeds, and each seed's."""
    rows: list[list[object]] = []
    for optimizer, rate in dict.fromkeys((result["optimizer"], result["rate"]) for result in results):
        group = [result for result in results if (result["optimizer"], result["rate"]) == (optimizer, rate)]
        ended = [result for result in group if "failure" not in result]
        losses = [result["heldout_loss"] for result in ended]
        rows.append(
            [
                optimizer,
                f"{rate:g}",
                f"{fmean(losses):.3f}" if losses else "",
                " ".join(f"{loss:.3f}" for loss in losses),
                len(group) - len(ended),
                f"{fmean(result['seconds'] for result in ended):.0f}" if ended else "",
                f"{ended[0]['state_bytes'] / 1e6:.1f}" if ended else "",
            ]
        )
    columns = ["optimizer", "learning rate", "held-out loss", "seeds", "failed", "seconds", "state, MB"]
    show_table("Held-out loss in nats a token", columns, rows)


if __name__ == "__main__":
    main()
