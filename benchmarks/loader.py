"""Loading speed: stored documents to packed, infilled batches on one core, beside infilling by encoding again.

The other way decodes a document, cuts the text and encodes its parts anew, as Megatron-style data sets do; once with
the fast encoder that chaku uses and once with the `tokenizers` library. All three pack the same documents with the same
cuts, and every sequence of the first is compared with the second's.

    python benchmarks/loader.py --out loader.json
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch

from chaku.console import say, short, show_table
from chaku.corpus.build import build_corpus
from chaku.corpus.reading.sources import Source, machine_sources
from chaku.documents import read_documents
from chaku.errors import ChakuError
from chaku.files import write_json
from chaku.machine import processor_name
from chaku.tokens.config import InfillingConfig
from chaku.tokens.infilling import Infilled, Infiller, infill_text
from chaku.tokens.load import load_tokenizer
from chaku.tokens.loader import load_batches
from chaku.tokens.packed_dataset import PackedDataset, TokenSet
from chaku.tokens.store import encode_corpus
from chaku.tokens.tokenizer import Tokenizer, extend_for_infilling
from chaku.tokens.tokenizer_training import train_tokenizer


class ByText(Infiller):
    """The same draws and cuts; the document's text is cut and its parts are encoded anew."""

    def __call__(self, tokens: np.ndarray, document_id: int, epoch: int, *settings: Any) -> Infilled:
        self.text = self.tokenizer.decode(tokens)
        return super().__call__(tokens, document_id, epoch, *settings)

    def splice(self, tokens: np.ndarray, characters: np.ndarray, first: int, second: int, mode: Any) -> np.ndarray:
        return np.asarray(infill_text(self.tokenizer, self.text, first, second, mode), dtype=np.int32)


class SlowTokenizer(Tokenizer):
    """Encodes with the `tokenizers` library."""

    def __init__(self, definition: dict[str, Any]):
        super().__init__(definition)
        plain = {**definition, "added_tokens": [], "post_processor": None, "decoder": None}
        plain["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
        self._library = tokenizers.Tokenizer.from_str(json.dumps(plain))

    def encode_infilling(self, text: str) -> list[int]:
        return self._library.encode(text, add_special_tokens=False).ids


def main() -> None:
    """Build, encode, measure, compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, help="a tree of code (default: this Python's standard library)")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer to load (default: train one of 4,096)")
    parser.add_argument("--sequence-length", type=int, default=4096)
    parser.add_argument("--tokens", type=float, default=4e6, help="tokens a round (default: 4M)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as directory:
        results = measure(options, Path(directory))
    rows: list[list[object]] = [
        [way, short(value["tokens_per_second"]), f"{results['chaku'] / value['tokens_per_second']:.1f}"]
        for way, value in results["ways"].items()
    ]
    show_table("Packed, infilled tokens/s on one core", ["way", "tokens/s", "chaku is faster by"], rows)
    say(f"{results['sequences_compared']:,} sequences compared with a full encoding: all equal")
    if options.out:
        write_json(options.out, results)


def measure(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Time each way `rounds` times, in turn. Raises ChakuError when a sequence differs from a full encoding."""
    source = Source("code", "tree", str(options.source)) if options.source else machine_sources()[0]
    build_corpus([source], directory / "corpus", heldout_fraction=0, max_bytes={"code": 24_000_000}, num_workers=2)
    if options.tokenizer:
        tokenizer = extend_for_infilling(load_tokenizer(options.tokenizer))
    else:
        texts = (document.text for document in read_documents(directory / "corpus", "train", kinds=("code",)))
        tokenizer = train_tokenizer(texts, 4096)
    store = encode_corpus(directory / "corpus", tokenizer, directory / "tokens")
    documents = TokenSet("code", store.select(kinds=("code",)), 1.0)
    length, config = options.sequence_length, InfillingConfig()

    def dataset(infiller: type[Infiller], encoder: Tokenizer) -> PackedDataset:
        made = PackedDataset(store, [documents], length, tokenizer, 0, infilling=config)
        made.infiller = infiller(encoder, config, 0)
        return made

    ways = {
        "chaku": dataset(Infiller, tokenizer),
        "encode again": dataset(ByText, tokenizer),
        "encode again, tokenizers": dataset(ByText, SlowTokenizer(tokenizer.definition)),
    }
    rows = 8
    sizes = {
        "chaku": options.tokens,
        "encode again": options.tokens / 4,
        "encode again, tokenizers": options.tokens / 40,
    }
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(options.rounds):
        for way, made in ways.items():
            num_batches = max(1, int(sizes[way] / (rows * length)))
            batches = load_batches(made, start=number * num_batches * rows, batch_size=rows)
            started = time.perf_counter()
            for _ in range(num_batches):
                next(batches)
            speeds[way].append(num_batches * rows * length / (time.perf_counter() - started))
    compared = len(ways["chaku"].plans[0])
    for index in range(compared):
        ours, theirs = ways["chaku"][index], ways["encode again"][index]
        if not np.array_equal(ours.tokens, theirs.tokens):
            raise ChakuError(f"sequence {index} differs from a full encoding")
    medians = {way: {"tokens_per_second": statistics.median(value), "rounds": value} for way, value in speeds.items()}
    return {
        "chaku": medians["chaku"]["tokens_per_second"],
        "ways": medians,
        "sequences_compared": compared,
        "sequence_length": length,
        "vocab_size": tokenizer.vocab_size,
        "documents": len(documents.indices),
        "mean_tokens_a_document": float(store.lengths[documents.indices].mean()),
        "processor": processor_name(),
    }


if __name__ == "__main__":
    main()
