"""From the problems to the score: what keeps samples from being scored is said before any is asked for."""

import json

import pytest

from chaku import ChakuError
from chaku.evals.benchmarks.humaneval import HUMANEVAL
from chaku.evals.generate import Sampling
from chaku.evals.run import run_benchmark
from chaku.evals.score import Scoring
from chaku.sandbox.probe import check_sandbox
from scripted_engine import ScriptedEngine

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")


def adds(engine):
    """An engine that always adds."""
    return ScriptedEngine(engine, lambda request: "    return a + b\n")


@sandboxed
def test_a_model_is_asked_and_scored(engine, problems, tmp_path):
    results = run_benchmark(
        HUMANEVAL, adds(engine), tmp_path / "out", problems=problems, sampling=Sampling(num_samples=2)
    )
    assert results.pass_at_k == {1: pytest.approx(2 / 3)}
    assert results.num_samples == 6
    limited = run_benchmark(HUMANEVAL, adds(engine), problems=problems, limit=2)
    assert (limited.num_problems, limited.manifest["limit"]) == (2, 2)
    assert limited.manifest["data_sha256"] != results.manifest["data_sha256"]


@sandboxed
def test_a_benchmark_whose_references_fail_is_not_asked(engine, problems, tmp_path):
    rows = [json.loads(line) for line in problems.read_text().splitlines()]
    rows[1]["canonical_solution"] = "    return 'wrong'\n"
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = adds(engine)
    with pytest.raises(ChakuError, match="Little/times"):
        run_benchmark(HUMANEVAL, model, tmp_path / "out", problems=problems)
    assert model.asked == []


def test_a_k_beyond_the_samples_is_not_asked(engine, problems):
    model = adds(engine)
    with pytest.raises(ChakuError, match="pass@10 needs 10 samples of every problem, but Little/add has 1"):
        run_benchmark(HUMANEVAL, model, problems=problems, scoring=Scoring(ks=(10,)))
    assert model.asked == []
