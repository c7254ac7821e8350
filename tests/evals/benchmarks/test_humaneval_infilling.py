"""HumanEval infilling: programs, lines, modes; the real references pass."""

import gzip
import json

import pytest

from chaku.evals.benchmarks.humaneval_infilling import INFILLING
from chaku.evals.samples import Sample
from chaku.evals.score import Scoring, score_samples
from evals.running import benchmark_file, chosen, judge, sample_or_all

BY_NAME = {name.name: name for name in INFILLING}
SINGLE = BY_NAME["humaneval-single-line-psm"]
ROW = {
    "task_id": "SingleLineInfilling/HumanEval/38/L0",
    "entry_point": "decode",
    "prompt": "def encode(s):\n    return s[::-1]\n\n\ndef decode(s):\n",
    "suffix": "    return t\n",
    "canonical_solution": "    t = s[::-1]\n",
    "test": "def check(candidate):\n    for s in ('ab', 'c'):\n        assert candidate(encode(s)) == s\n",
}


def load(tmp_path, benchmark=SINGLE, **changes):
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({**ROW, **changes}).encode()))
    return benchmark.load(path)


def test_names_say_set_mode_and_healing():
    assert len(BY_NAME) == len(INFILLING) == 10
    healed = {name for name, value in BY_NAME.items() if value.healing}
    assert healed == {"humaneval-random-span-spm-healing", "humaneval-random-span-light-spm-healing"}
    assert all(value.mode in name for name, value in BY_NAME.items())


def test_a_line_keeps_its_line_break_and_spans_are_not_cut(tmp_path):
    [task] = load(tmp_path)
    assert SINGLE.stops == ("\n",)
    assert SINGLE.cut_text(task, "    t = s") == SINGLE.cut_text(task, "    t = s\n    t = t\n") == "    t = s\n"
    span = BY_NAME["humaneval-random-span-psm"]
    assert span.stops == ()
    assert span.cut_text(task, "a\n\ndef b") == "a\n\ndef b"


def test_the_hole_is_filled_between_prompt_and_suffix(tmp_path):
    [task] = load(tmp_path)
    [job] = SINGLE.jobs(task, "    t = s\n")
    assert job.source == ROW["prompt"] + "    t = s\n" + ROW["suffix"]
    assert job.prelude == "def encode(s):\n    return s[::-1]\n\n\n"
    right, wrong, cheat = judge(
        SINGLE,
        [
            (task, ROW["canonical_solution"]),
            (task, "    t = s\n"),
            (task, "    t = s\nencode = lambda s: s\ndef decode(s):\n    t = s\n"),  # a helper of its own
        ],
        tmp_path,
    )
    assert right.passed
    assert (wrong.verdict, wrong.passed) == ("failed", False)
    assert not cheat.passed


@pytest.mark.parametrize(("kind", "number"), [("single-line", 1033), ("random-span-light", 164)])
@sample_or_all
def test_the_real_references_pass(kind, number, choose, tmp_path):
    benchmark = BY_NAME[f"humaneval-{kind}-psm"]
    names = {"single-line": "SingleLineInfilling", "random-span-light": "RandomSpanInfillingLight"}
    tasks = benchmark.load(benchmark_file(f"humaneval-infilling/HumanEval-{names[kind]}.jsonl.gz"))
    assert len(tasks) == number
    tasks = chosen(choose, tasks)
    samples = [Sample(task.task_id, 0, task.references[0]) for task in tasks]
    judge(benchmark, [(tasks[0], "")], tmp_path)  # skips where nothing can be run
    results = score_samples(benchmark, tasks, samples, tmp_path / "out", Scoring(num_workers=2))
    assert (results.pass_at_k[1], results.num_problems) == (1.0, len(tasks))
    assert results.manifest["num_references"] == len(tasks) > 30
