"""Runs a recipe's evals on one stage."""

from dataclasses import replace
from pathlib import Path

from chaku.console import say
from chaku.evals.benchmark import Benchmark
from chaku.evals.chat import in_chat
from chaku.evals.config import EvalsConfig
from chaku.evals.generate import Sampling
from chaku.evals.heldout import measures
from chaku.evals.run import run_benchmark
from chaku.evals.suite import BENCHMARKS
from chaku.files import remove_directory, sha256_json, write_text
from chaku.inference.engine import Engine
from chaku.jsonl import read_lines
from chaku.results import BenchmarkResult, EvalResult, MeasureResult, ShownSample

KEPT_SAMPLES = 4  # shown in the report


def evaluate_stage(
    engine: Engine,
    stage: str,
    settings: EvalsConfig,
    corpus: Path,
    out: Path,
    *,
    training_length: int,
    longest_length: int,
    fingerprint: str,
) -> int:
    """Run all benchmarks of a recipe on one stage, and write BENCHMARK.json into `out` for each of them.

    The completions and verdicts of a benchmark go into the folder BENCHMARK. A benchmark with results from the same
    inputs is skipped. Returns the number of benchmarks that were run. Raises ChakuError for a benchmark that this
    machine cannot run (no sandbox, no problem file); a run has left such benchmarks out before.
    """
    done = 0
    for name in settings.benchmarks:
        if name in BENCHMARKS:
            inputs = sha256_json([fingerprint, settings.max_tokens, settings.chat])
        else:
            inputs = sha256_json([fingerprint, measures.inputs(name, settings, training_length, longest_length)])
        path = out / f"{name}.json"
        if path.exists() and EvalResult.read(path).inputs == inputs:
            continue
        result: BenchmarkResult | MeasureResult
        if name in BENCHMARKS:
            benchmark = BENCHMARKS[name]
            if settings.chat and benchmark.chat is not None:
                benchmark = in_chat(benchmark, BENCHMARKS)
            result = _run(benchmark, engine, settings, out / name, inputs)
            line = f"{result.num_passed} of {result.num_problems} passed"
        else:
            result = measures.measure(engine, name, settings, corpus, training_length, longest_length)
            line = measures.in_a_line(name, result.results)
        replace(result, stage=stage, inputs=inputs).write(path)
        done += 1
        say(f"{stage}: {name} {line}")
    return done


def _run(benchmark: Benchmark, engine: Engine, settings: EvalsConfig, out: Path, inputs: str) -> BenchmarkResult:
    """The results, with KEPT_SAMPLES samples: passed samples first. Continues an interrupted try with equal inputs."""
    made_from = out / "inputs.txt"
    if out.exists() and (not made_from.exists() or made_from.read_text() != inputs):
        remove_directory(out)
    write_text(made_from, inputs)
    sampling = Sampling(benchmark.temperature, num_samples=benchmark.num_samples, max_tokens=settings.max_tokens)
    result = run_benchmark(benchmark, engine, out, sampling=sampling)
    prompts = {task.task_id: task.prompt for task in benchmark.load(None)}
    rows = (row for _, row in read_lines(out / "completions.jsonl"))
    completions = {(row["task_id"], row["index"]): row["completion"] for row in rows}
    verdicts = [verdict for _, verdict in read_lines(out / "samples.jsonl")]
    verdicts.sort(key=lambda verdict: not verdict["passed"])
    shown = [
        ShownSample(
            prompt=prompts[verdict["task_id"]],
            completion=completions[verdict["task_id"], verdict["index"]],
            **verdict,
        )
        for verdict in verdicts[:KEPT_SAMPLES]
    ]
    return replace(result, samples=tuple(shown))
