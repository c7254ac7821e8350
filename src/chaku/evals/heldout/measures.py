"""Runs the measures on held-out documents, by name, with their settings and manifests."""

from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.config import EvalsConfig
from chaku.evals.heldout import bits_per_byte, infilling, key_retrieval, perplexity
from chaku.evals.heldout.documents import heldout_sha256
from chaku.inference.engine import Engine
from chaku.manifest import versions
from chaku.results import MeasureResult

LENGTHS = (1 / 8, 1 / 4, 1 / 2, 1, 3 / 2)  # lengths of key retrieval, as shares of the longest training length


def measure(
    engine: Engine,
    name: str,
    settings: EvalsConfig,
    corpus: Path | None,
    training_length: int,
    longest_length: int | None = None,
) -> MeasureResult:
    """Run one measure on one model.

    `training_length`: the sequence length, in tokens, of the model's last training. `longest_length`: the longest
    training length in the model's family; it sets the lengths of the long-context measures, so that the family's models
    can be compared. Raises ChakuError without a corpus.
    """
    if corpus is None:
        raise ChakuError(f"{name} is measured on held-out documents; give --corpus DIRECTORY")
    longest = longest_length or training_length
    about: dict[str, Any] = {}
    if name == "bits_per_byte":
        results = bits_per_byte.evaluate(engine, corpus, max_bytes=settings.max_bytes_per_language)
        context = engine.model.config.max_position_embeddings
        about = {"context": context, "max_bytes_per_language": settings.max_bytes_per_language}
    elif name == "infilling":
        results = infilling.evaluate(engine, corpus, num_examples=settings.num_examples)
        about = {"prompt_form": "psm, spm, left to right", **infilling.PARAMS.record()}
    elif name == "perplexity":
        results = perplexity.evaluate(
            engine,
            corpus,
            training_length=training_length,
            max_length=settings.perplexity_tokens or 4 * longest,
            num_documents=settings.num_long_documents,
        )
    else:
        results = key_retrieval.evaluate(
            engine,
            corpus,
            training_length=training_length,
            lengths=[int(longest * part) for part in LENGTHS],
            num_examples=settings.retrieval_examples,
        )
    record = {**versions(), **engine.record, "data_sha256": heldout_sha256(corpus), **about}
    return MeasureResult(name, record, results)


def inputs(name: str, settings: EvalsConfig, training_length: int, longest_length: int) -> list[int | None]:
    """The settings that determine a measure: it is measured again when one of them changes."""
    if name == "bits_per_byte":
        return [settings.max_bytes_per_language]
    if name == "infilling":
        return [settings.num_examples]
    if name == "perplexity":
        return [training_length, settings.perplexity_tokens or 4 * longest_length, settings.num_long_documents]
    return [training_length, longest_length, settings.retrieval_examples]


def in_a_line(name: str, results: dict[str, Any]) -> str:
    """The most important result, for the terminal."""
    if name == "bits_per_byte":
        overall = results["overall"]
        return f"{overall['bits_per_byte']:.3f} (xz {overall['xz_bits_per_byte']:.3f})"
    if name == "infilling":
        modes = [mode for mode in ("psm", "spm", "left_to_right") if mode in results]
        return ", ".join(f"{mode} {results[mode]['exact_match']:.1%}" for mode in modes)
    if name == "perplexity":
        ends = zip(results["edges"][1:], results["perplexity"], strict=True)
        return ", ".join(f"{value:.1f} to {end:,}" for end, value in ends)
    cells = [cell for row in results["forced_accuracy"] for cell in row]
    return f"ranked first {sum(cells) / len(cells):.1%} of the time (chance 1.1%)"
