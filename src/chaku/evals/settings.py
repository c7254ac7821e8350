"""A recipe's [evals]: which measures run on which stages, and their sizes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Evals:
    """`benchmarks` are held-out measures (`measures.py`) and benchmarks (`suite.py`).

    `max_tokens` caps a sample of a benchmark (None: the benchmark's own). `perplexity_tokens` is how far perplexity by
    position goes (None: four times the longest training length). `chat`: benchmarks that can be asked in a chat are.
    """

    stages: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    max_bytes_per_language: int = 60_000
    num_examples: int = 64
    retrieval_examples: int = 16
    num_long_documents: int = 8
    perplexity_tokens: int | None = None
    max_tokens: int | None = None
    chat: bool = False
