"""A recipe's evals on a stage: one file a benchmark, done once."""

from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals.benchmarks.first_steps import FIRST_STEPS
from chaku.evals.config import EvalsConfig
from chaku.evals.suite import BENCHMARKS, HELDOUT_MEASURES, find_benchmark
from chaku.files import read_json
from chaku.pipeline.evaluation import evaluate_stage
from chaku.sandbox import pool
from chaku.sandbox.probe import check_sandbox
from scripted_engine import ScriptedEngine

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")


def solves(engine):
    """An engine that knows the solutions of the first steps but for every third."""
    answers = {
        task.prompt: task.references[0] if number % 3 else "    return 'wrong'\n"
        for number, task in enumerate(FIRST_STEPS.load(None))
    }
    return ScriptedEngine(engine, lambda request: answers[request.prompt.text], batch_size=5)


def evaluate(engine, settings, corpus, out, fingerprint="f"):
    return evaluate_stage(
        engine, "base", settings, corpus, out, training_length=64, longest_length=64, fingerprint=fingerprint
    )


@sandboxed
def test_programs_and_measures_are_done_once_from_the_same_inputs(engine, corpus, tmp_path):
    settings = EvalsConfig(benchmarks=("first_steps", "bits_per_byte"), max_bytes_per_language=3000)
    model = solves(engine)
    assert evaluate(model, settings, corpus, tmp_path) == 2
    result = read_json(tmp_path / "first_steps.json")
    assert (result["benchmark"], result["stage"], result["num_problems"]) == ("first_steps", "base", 24)
    assert result["pass_at_k"] == {"1": pytest.approx(16 / 24)}
    assert [sample["passed"] for sample in result["samples"]] == [True] * 4
    tasks = {task.task_id: task for task in FIRST_STEPS.load(None)}
    for sample in result["samples"]:
        task = tasks[sample["task_id"]]
        assert (sample["prompt"], sample["completion"]) == (task.prompt, task.references[0])
    assert result["manifest"]["model_sha256"]
    assert read_json(tmp_path / "bits_per_byte.json")["results"]["overall"]
    assert evaluate(model, settings, corpus, tmp_path) == 0
    assert len(model.requests) == 24
    assert evaluate(model, settings, corpus, tmp_path, fingerprint="trained again") == 2
    assert len(model.requests) == 48


def test_another_benchmark_in_the_list_leaves_what_was_measured(engine, corpus, tmp_path):
    settings = EvalsConfig(benchmarks=("bits_per_byte",), max_bytes_per_language=3000)
    assert evaluate(engine, settings, corpus, tmp_path) == 1
    more = replace(settings, benchmarks=("bits_per_byte", "infilling"), num_examples=2)
    assert evaluate(engine, replace(more, num_examples=settings.num_examples), corpus, tmp_path) == 1
    assert evaluate(engine, more, corpus, tmp_path) == 1  # bits per byte do not follow from num_examples


def test_a_benchmark_whose_problems_are_not_here_is_an_error(engine, corpus, tmp_path, monkeypatch):
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    with pytest.raises(ChakuError, match="CHAKU_BENCHMARKS is not set"):
        evaluate(engine, EvalsConfig(benchmarks=("humaneval",)), corpus, tmp_path)


@sandboxed
def test_first_steps_solutions_pass_and_an_empty_body_does_not():
    tasks = FIRST_STEPS.load(None)
    assert len(tasks) == 24
    jobs = [
        job for task in tasks for text in (task.references[0], "    pass\n") for job in FIRST_STEPS.jobs(task, text)
    ]
    assert [verdict.passed for verdict in pool.run_many(jobs)] == [True, False] * 24


def test_benchmarks_are_found_by_name():
    assert find_benchmark("mbpp") is BENCHMARKS["mbpp"]
    assert not set(BENCHMARKS) & set(HELDOUT_MEASURES)
    with pytest.raises(ChakuError, match=r"there is no benchmark 'mbp'; did you mean mbpp"):
        find_benchmark("mbp")
    with pytest.raises(ChakuError, match="perplexity is measured on a model"):
        find_benchmark("perplexity")
