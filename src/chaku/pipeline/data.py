"""The first steps of a run: the corpus, the tokenizer, the tokens, and the shape of the base model."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from chaku.checkpoint.find import find_checkpoint
from chaku.checkpoint.formats import open_checkpoint, sha256_checkpoint
from chaku.cluster import current
from chaku.console import Bar, progress, say
from chaku.corpus.build import fill_corpus, show_summary
from chaku.corpus.reading.repository_order import write_order
from chaku.corpus.workers import worker_map
from chaku.documents import document_files
from chaku.errors import ChakuError
from chaku.model.config import PRESETS, LlamaConfig
from chaku.pipeline.run_directory import Run, Work
from chaku.pipeline.tokenizer_text import tokenizer_texts
from chaku.recipe.schema import Recipe
from chaku.tokens.load import load_tokenizer
from chaku.tokens.store import encode_corpus, forget_parts
from chaku.tokens.tokenizer import Tokenizer, extend_for_infilling
from chaku.tokens.tokenizer_training import train_tokenizer

REPOSITORIES, ORDER_FILE = "repositories", "train.parquet"  # in a run directory: the files of each repository in order
INFILLING_PIECES = 16  # `extend_for_infilling` adds this number of tokens to Llama 2's vocabulary


def build(run: Run, path: Path) -> Work:
    """Build the corpus in `path`."""
    corpus = run.recipe.corpus
    summary = fill_corpus(
        corpus.sources,
        path,
        heldout_fraction=corpus.heldout_fraction,
        max_bytes=corpus.max_bytes,
        num_workers=corpus.num_workers,
        near_duplicates=corpus.near_duplicates,
        cleaning=corpus.cleaning(),
    )
    show_summary(summary)
    return Work(sum(row["bytes"] for row in summary["kept"]), "bytes")


def make_tokenizer(run: Run, path: Path) -> Work:
    """Copy the given tokenizer to `path`, or train one."""
    settings = run.recipe.tokenizer
    if (tokenizer := given_tokenizer(run.recipe)) is not None:
        if any(stage.infilling for stage in run.recipe.stages.values()):
            tokenizer = extend_for_infilling(tokenizer)
        tokenizer.save(path)
        return Work(0, "bytes")
    used = 0

    def texts(bar: Bar) -> Iterator[str]:
        nonlocal used
        for text in tokenizer_texts(run.recipe, run.directory / "corpus"):
            used += len(text)
            bar.advance(len(text))
            yield text

    with progress("tokenizer", settings.train_bytes, "bytes") as bar:
        train_tokenizer(texts(bar), settings.vocab_size or PRESETS["7b"].vocab_size).save(path)
    return Work(used, "bytes")


def given_tokenizer(recipe: Recipe) -> Tokenizer | None:
    """The tokenizer that the recipe names, or the base model's; None when the run trains a tokenizer."""
    path = recipe.tokenizer.path or recipe.model.path
    return None if path is None else load_tokenizer(find_checkpoint(path))


def encode(run: Run, tokenizer: Tokenizer, path: Path) -> Work:
    """Encode the corpus into a token store at `path`."""
    corpus = run.directory / "corpus"
    num_files = len(document_files(corpus, "train"))  # a worker for one file would only take time to start
    if (cluster := current()) is not None:
        cluster.check_shared([corpus, path])
    with worker_map(min(run.recipe.corpus.num_workers, num_files)) as work:
        stores = [encode_corpus(corpus, tokenizer, path, split, work) for split in ("train", "heldout")]
    forget_parts(path)
    return Work(sum(int(store.lengths.sum()) for store in stores), "tokens")


def order_repositories(run: Run, path: Path) -> Work:
    """Write the order of the training files of every repository to `path`."""
    with worker_map(run.recipe.corpus.num_workers) as work:
        counts = write_order(run.directory / "corpus", "train", path / ORDER_FILE, run.recipe.seed, work)
    say("repositories: {:,} files of {:,} repositories, in the order of their imports".format(*counts))
    return Work(counts[0], "files")


def base_shape(recipe: Recipe, tokenizer: Tokenizer) -> LlamaConfig:
    """The configuration of the base model. Raises ChakuError when its vocabulary does not fit the tokenizer."""
    if recipe.model.path is not None:
        shape = open_checkpoint(recipe.model.path).config
        missing = tokenizer.vocab_size - shape.vocab_size
        if missing == INFILLING_PIECES and tokenizer.prefix_id is not None:
            return dataclasses.replace(shape, vocab_size=tokenizer.vocab_size)
        # The embeddings of Qwen and DeepSeek-Coder have more rows than their tokenizers have tokens.
        padded = missing < 0 and recipe.tokenizer.path is None
        if missing and not padded:
            raise ChakuError(
                f"{recipe.model.path} has a vocabulary of {shape.vocab_size}, but the tokenizer has "
                f"{tokenizer.vocab_size}; remove tokenizer.path to use the model's own tokenizer"
            )
        return shape
    return dataclasses.replace(PRESETS[recipe.model.preset or ""], vocab_size=tokenizer.vocab_size)


def base_fingerprint(recipe: Recipe) -> str:
    """The hash of the base model's checkpoint; "random" for random weights."""
    if recipe.model.path is None:
        return "random"
    return sha256_checkpoint(open_checkpoint(recipe.model.path).path)
