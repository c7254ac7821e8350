"""Cuts of infilling compared: how likely each model finds held-out middles of each kind, and held-out text.

    chaku run recipes/rehearsal-infilling.toml
    python benchmarks/infilling_cuts.py runs/rehearsal-infilling --out infilling_cuts.json

Middles are cut from the same held-out documents at random characters, at lines, and around syntax nodes, once for each
kind and document, the same for every model, and read in prefix-suffix-middle order. Bits per byte of a middle count its
end token. A stage that is measured is kept in RUN/cuts, so that a stopped measurement goes on. Differences are against
random cuts at equal tokens: means over the seeds, with 95% intervals of a paired bootstrap over documents.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from chaku.console import say, show_table
from chaku.documents import Document, read_documents
from chaku.errors import ChakuError
from chaku.evals.heldout.documents import pick
from chaku.files import read_json, write_json
from chaku.inference.engine import Engine
from chaku.inference.load import load_engine
from chaku.tokens.cuts import line_cuts, random_cuts, syntax_cuts
from chaku.tokens.infilling import infill_text, layout
from chaku.tokens.tokenizer import Tokenizer

KINDS = ("random", "line", "syntax")
ARMS = ("random", "syntax", "half")
SEEDS = (1, 2, 3)
RESAMPLES = 10_000


def main() -> None:
    """Measure the stages that are not measured yet, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--documents", type=int, default=250)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    found: dict[str, dict[str, Any]] = {}
    for name in ("base", *(f"{arm}-{seed}" for seed in SEEDS for arm in ARMS)):
        stage = options.run / "stages" / name
        if not (stage / "stage.json").exists():
            say(f"{name}: not trained yet, left out")
            continue
        kept = options.run / "cuts" / f"{name}-{options.documents}.json"
        if not kept.exists():
            engine = load_engine(stage)
            kept.parent.mkdir(exist_ok=True)
            write_json(kept, measure(engine, options.run / "corpus", options.documents))
        found[name] = read_json(kept)
        say(f"{name}: " + ", ".join(f"{what} {rate(found[name], what):.4f}" for what in (*KINDS, "left_to_right")))
    result = compare(found)
    show(result)
    if options.out:
        write_json(options.out, {"benchmark": "infilling_cuts", "documents": options.documents, **result})


def measure(engine: Engine, corpus: Path, number: int) -> dict[str, Any]:
    """For each measure, the [bits, bytes] of every document."""
    chosen = list(choose(engine, corpus, number))
    if not chosen:
        raise ChakuError(f"{corpus} has no held-out documents that can be parsed and fit the model's context")
    results: dict[str, Any] = {"sha256": [document.sha256 for document, _ in chosen]}
    tokenizer = engine.tokenizer
    middle_id = layout(tokenizer).middle
    assert middle_id is not None
    for kind in KINDS:
        sequences = [infill_text(tokenizer, document.text, *cuts[kind], "psm") for document, cuts in chosen]
        middles = [document.text[slice(*cuts[kind])] for document, cuts in chosen]
        results[kind] = [
            [bits_after(scores, ids.index(middle_id), len(ids) - 2), len(middle.encode())]
            for scores, ids, middle in zip(engine.score(sequences), sequences, middles, strict=True)
        ]
    sequences = [[tokenizer.bos_id, *tokenizer.encode(document.text), tokenizer.eos_id] for document, _ in chosen]
    results["left_to_right"] = [
        [bits_after(scores, 0, len(ids) - 1), len(document.text.encode())]
        for scores, ids, (document, _) in zip(engine.score(sequences), sequences, chosen, strict=True)
    ]
    return results


def choose(engine: Engine, corpus: Path, number: int) -> Iterator[tuple[Document, dict[str, tuple[int, int]]]]:
    """Held-out Python pieces that fit the context with infilling, in the order of their hash, and the cuts of each."""
    documents = sorted(read_documents(corpus, "heldout", ("piece",), ("Python",)), key=lambda one: one.sha256)
    room = engine.model.config.max_position_embeddings
    for document in documents:
        if number == 0:
            return
        cuts = {kind: cut(kind, document) for kind in KINDS}
        if all(place is not None for place in cuts.values()) and fits(engine.tokenizer, document.text, room):
            number -= 1
            yield document, {kind: place for kind, place in cuts.items() if place is not None}


def fits(tokenizer: Tokenizer, text: str, room: int) -> bool:
    """Whether an infilled text fits, with its special tokens and the growth of the lines that are cut."""
    return len(tokenizer.encode(text)) + 16 <= room


def cut(kind: str, document: Document) -> tuple[int, int] | None:
    """The cuts of a document with a middle that is not empty, by the first draw that gives one; None without such."""
    for attempt in range(20):
        draws = (pick("cuts", document.sha256, kind, attempt, place) / 2**64 for place in range(8))
        if kind == "syntax":
            found = syntax_cuts(document.text, document.language, draws)
        elif kind == "line":
            found = line_cuts(document.text, next(draws), next(draws))
        else:
            found = random_cuts(len(document.text), next(draws), next(draws))
        if found is not None and found[0] < found[1]:
            return found
    return None


def bits_after(scores: np.ndarray, place: int, end: int) -> float:
    """The bits of the tokens after position `place`, up to position `end`."""
    return -float(scores[place:end].sum(dtype="float64")) / math.log(2)


def rate(measured: dict[str, Any], what: str) -> float:
    """Bits per byte over all documents."""
    bits, size = np.array(measured[what], dtype=np.float64).sum(axis=0)
    return float(bits / size)


def compare(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Bits per byte of every stage, and the differences of each arm from random cuts."""
    rates = {name: {what: rate(part, what) for what in (*KINDS, "left_to_right")} for name, part in found.items()}
    differences = []
    for arm in ARMS[1:]:
        seeds = [seed for seed in SEEDS if {f"{arm}-{seed}", f"random-{seed}"} <= found.keys()]
        for what in (*KINDS, "left_to_right"):
            if seeds:
                pairs = [(found[f"{arm}-{seed}"][what], found[f"random-{seed}"][what]) for seed in seeds]
                differences.append({"arm": arm, "measure": what, "seeds": seeds, **difference(pairs)})
    return {"bits_per_byte": rates, "differences": differences}


def difference(pairs: Sequence[tuple[Sequence[Sequence[float]], Sequence[Sequence[float]]]]) -> dict[str, Any]:
    """The difference in bits per byte for each seed, its mean, and the 95% interval over documents."""
    bits = np.array([[[row[0] for row in side] for side in pair] for pair in pairs])  # (seeds, 2, documents)
    sizes = np.array([row[1] for row in pairs[0][0]], dtype=np.float64)
    apart = bits[:, 0] - bits[:, 1]  # (seeds, documents)
    mean = apart.mean(axis=0)
    random = np.random.default_rng(0)
    resampled = []
    for _ in range(RESAMPLES):
        drawn = random.integers(len(sizes), size=len(sizes))
        resampled.append(mean[drawn].sum() / sizes[drawn].sum())
    low, high = np.percentile(resampled, [2.5, 97.5])
    each = (apart.sum(axis=1) / sizes.sum()).tolist()
    return {"by_seed": each, "mean": fmean(each), "interval_95": [float(low), float(high)]}


def show(result: dict[str, Any]) -> None:
    """Print the bits per byte of the arms, means over the seeds, and the differences."""
    columns = (*KINDS, "left_to_right")
    rows: list[list[object]] = []
    for arm in ("base", *ARMS):
        parts = [part for name, part in result["bits_per_byte"].items() if name.partition("-")[0] == arm]
        if parts:
            rows.append([arm, len(parts), *(f"{fmean(part[what] for part in parts):.4f}" for what in columns)])
    show_table("bits per byte", ["trained with", "seeds", *columns], rows)
    shown: list[list[object]] = [
        [
            row["arm"],
            row["measure"],
            f"{row['mean']:+.4f}",
            "{:+.4f} to {:+.4f}".format(*row["interval_95"]),
            " ".join(f"{one:+.4f}" for one in row["by_seed"]),
        ]
        for row in result["differences"]
    ]
    show_table("against random cuts", ["trained with", "measure", "difference", "95% interval", "seeds"], shown)


if __name__ == "__main__":
    main()
