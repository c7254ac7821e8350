"""Runs `chaku eval run`: several benchmarks and measures on one model, and again with quantised weights."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chaku.errors import ChakuError
from chaku.evals.benchmark import Benchmark
from chaku.evals.chat import in_chat
from chaku.evals.config import EvalsConfig
from chaku.evals.generate import Sampling
from chaku.evals.judging import check_machine
from chaku.evals.run import run_benchmark
from chaku.evals.score import Scoring
from chaku.evals.suite import BENCHMARKS, HELDOUT_MEASURES, no_such_benchmark
from chaku.inference.endpoint import Endpoint
from chaku.inference.generator import Generator
from chaku.ownership import EVALUATION, make_ours
from chaku.results import BenchmarkResult, EvalResult, MeasureResult, Quantized

if TYPE_CHECKING:
    from chaku.inference.engine import Engine


@dataclass(frozen=True)
class EvalRun:
    """The options of `chaku eval run`; its help explains the options that are not explained here.

    `model`: a checkpoint; with `endpoint`, the model's name on the server. `loading`: arguments of `load_engine`.
    """

    model: str
    benchmarks: tuple[str, ...]
    endpoint: str | None = None
    problems: Path | None = None
    limit: int | None = None
    quantize: Literal["int8", "int4"] | None = None
    loading: Mapping[str, Any] = field(default_factory=dict)
    corpus: Path | None = None
    training_length: int | None = None
    chat: bool = False
    sampling: Sampling = field(default_factory=Sampling)
    scoring: Scoring = field(default_factory=Scoring)
    out: Path | None = None


def run_benchmarks(asked: EvalRun) -> Iterator[EvalResult]:
    """Yields the result of every benchmark as soon as it is measured. Writes to OUT; with several, to OUT/BENCHMARK.

    With `quantize`, first measures all benchmarks, then measures them again with quantised weights (in the directory's
    `quantized`), and only then yields results. Raises ChakuError for contradicting options, before loading anything.
    """
    _check(asked)
    if asked.out is not None:
        make_ours(asked.out, EVALUATION)
    if asked.endpoint is not None:
        endpoint = Endpoint(asked.endpoint, asked.model, chat=asked.chat)
        for name in asked.benchmarks:
            yield _run(asked, name, endpoint, _directory(asked, name))
        return
    engine = _load(asked)
    if asked.quantize is None:
        for name in asked.benchmarks:
            yield _measure(asked, name, engine, _directory(asked, name))
        return
    before = {name: _measure(asked, name, engine, _directory(asked, name)) for name in asked.benchmarks}
    num_bytes = engine.decoder.weights_bytes()
    engine = _load(asked, asked.quantize)
    about = Quantized(asked.quantize, num_bytes, engine.decoder.weights_bytes())
    for name, result in before.items():
        directory = _directory(asked, name)
        after = _measure(asked, name, engine, directory / "quantized" if directory else None)
        quantized = (
            replace(about, results=after.results)
            if isinstance(after, MeasureResult)
            else replace(about, pass_at_k=after.pass_at_k, intervals_95=after.intervals_95, measures=after.measures)
        )
        result = replace(result, quantized=quantized)
        if directory:
            result.write(directory / "results.json")
        yield result


def _check(asked: EvalRun) -> None:
    for name in asked.benchmarks:
        if name in BENCHMARKS:
            check_machine(_benchmark(asked, name), isolated=asked.scoring.isolated)
        elif name not in HELDOUT_MEASURES:
            raise no_such_benchmark(name)
        elif asked.chat:
            raise ChakuError(f"{name} has no chat form: it scores given text; leave out --chat")
        elif asked.endpoint is not None:
            raise ChakuError(f"{name} scores given text, which an endpoint cannot do; give a model's directory")
        elif asked.corpus is None:
            raise ChakuError(f"{name} is measured on held-out documents; give --corpus DIRECTORY")
    if asked.problems is not None and len(asked.benchmarks) > 1:
        raise ChakuError("--problems is the file of one benchmark; give only one --benchmark with it")
    if asked.limit is not None and asked.limit < 1:
        raise ChakuError(f"--limit is {asked.limit}; it must be at least 1")


def _benchmark(asked: EvalRun, name: str) -> Benchmark:
    benchmark = BENCHMARKS[name]
    return in_chat(benchmark, BENCHMARKS, endpoint=asked.endpoint is not None) if asked.chat else benchmark


def _directory(asked: EvalRun, name: str) -> Path | None:
    return asked.out / name if asked.out is not None and len(asked.benchmarks) > 1 else asked.out


def _run(asked: EvalRun, name: str, generator: Generator, out: Path | None) -> BenchmarkResult:
    return run_benchmark(
        _benchmark(asked, name),
        generator,
        out,
        problems=asked.problems,
        limit=asked.limit,
        sampling=asked.sampling,
        scoring=asked.scoring,
    )


def _measure(asked: EvalRun, name: str, engine: "Engine", out: Path | None) -> BenchmarkResult | MeasureResult:
    if name in BENCHMARKS:
        return _run(asked, name, engine, out)
    from chaku.evals.heldout.measures import measure

    result = measure(engine, name, EvalsConfig(), asked.corpus, asked.training_length or engine.context)
    if out is not None:
        result.write(out / "results.json")
    return result


def _load(asked: EvalRun, scheme: Literal["int8", "int4"] | None = None) -> "Engine":
    from chaku.inference.load import load_engine

    return load_engine(asked.model, **{**asked.loading, "scheme": scheme})
