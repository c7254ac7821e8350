"""A recipe's [evals]: which measures run on which stages, and their sizes."""

from dataclasses import dataclass

from chaku.settings import setting


@dataclass(frozen=True)
class EvalsConfig:
    """`benchmarks`: names of held-out measures (`measures.py`) and of benchmarks (`suite.py`).

    `max_tokens`: the length limit of a sample (None: the benchmark's own). `perplexity_tokens`: the last position of
    perplexity by position (None: four times the longest training length). `chat`: use the chat form of every benchmark
    that has one.
    """

    stages: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    max_bytes_per_language: int = setting(60_000, at_least=1)
    num_examples: int = setting(64, at_least=1)
    retrieval_examples: int = setting(16, at_least=1)
    num_long_documents: int = setting(8, at_least=1)
    perplexity_tokens: int | None = setting(None, at_least=1)
    max_tokens: int | None = setting(None, at_least=1)
    chat: bool = False
