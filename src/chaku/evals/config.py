"""A recipe's [evals]: which measures run on which stages, and their sizes."""

from dataclasses import dataclass

from chaku.settings import setting


@dataclass(frozen=True)
class EvalsConfig:
    """`benchmarks` are held-out measures (`measures.py`) and benchmarks (`suite.py`).

    `max_tokens` caps a sample of a benchmark (None: the benchmark's own). `perplexity_tokens` is how far perplexity by
    position goes (None: four times the longest training length). `chat`: benchmarks that can be asked in a chat are.
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
