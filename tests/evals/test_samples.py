"""Which problem a sample is of, which problems are scored, and files of problems."""

import json
from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import Task
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.evals.sample_files import RawSample
from chaku.evals.samples import Sample, choose_tasks, identify_samples


def raw(*ids, index=None):
    """One text of each problem, named by its id, or by its place where that is a number."""
    return [
        RawSample(None if isinstance(name, int) else name, name if isinstance(name, int) else None, index, "x", *ABOUT)
        for name in ids
    ]


ABOUT = ("completion", "rows", "s.jsonl, line 1")


def identified(benchmark, ids, *given):
    tasks = [Task(task_id, "") for task_id in ids]
    return [sample.task_id for sample in identify_samples(raw(*given), tasks, benchmark)]


@pytest.mark.parametrize(
    ("benchmark", "ids", "given", "found"),
    [
        ("humaneval", ["HumanEval/0", "HumanEval/7"], "7", "HumanEval/7"),
        ("humaneval", ["HumanEval/0", "HumanEval/7"], "HumanEval_7", "HumanEval/7"),
        ("humaneval", ["HumanEval/0", "HumanEval/7"], 1, "HumanEval/7"),
        ("humaneval", ["HumanEval/0", "HumanEval/7"], "MBPP/7", "MBPP/7"),
        ("humaneval", ["HumanEval/0", "HumanEval/7"], "8", "8"),
        ("mbpp", ["11", "12"], "Mbpp/12", "12"),
        ("mbpp-plus", ["Mbpp/2", "Mbpp/3"], "3", "Mbpp/3"),
        ("multipl-e-js", ["HumanEval_0_a_b", "HumanEval_1_c"], "HumanEval/1", "HumanEval_1_c"),
        ("humaneval-x-cpp", ["CPP/0", "CPP/1"], "1", "CPP/1"),
        ("humaneval-infilling", ["A/HumanEval/1/L0", "A/HumanEval/1/L1"], "1", "1"),
    ],
)
def test_a_problem_is_found_by_its_number_or_its_place(benchmark, ids, given, found):
    assert identified(benchmark, ids, given) == [found]


def test_a_place_is_of_the_test_split_and_has_to_be_there():
    tasks = [Task("1", "", in_split=False), Task("11", ""), Task("12", "")]
    assert [sample.task_id for sample in identify_samples(raw(1, 0), tasks, "mbpp")] == ["12", "11"]
    with pytest.raises(ChakuError, match=r"s.jsonl, line 1 is of problem number 3 .* but mbpp has only 2 problems"):
        identify_samples(raw(2), tasks, "mbpp")


def test_a_list_in_another_order_than_the_benchmarks_is_refused():
    tasks = [Task("a", "def a():\n"), Task("b", "\ndef b():\n")]
    given = [RawSample(None, place, None, f"def {name}():\n    pass\n", *ABOUT) for place, name in enumerate("ab")]
    assert [sample.task_id for sample in identify_samples(given, tasks, "little")] == ["a", "b"]
    swapped = [replace(name, place=1 - place) for place, name in enumerate(given)]
    with pytest.raises(ChakuError, match=r"in the place of b but begins with the prompt of a: .* give every text its"):
        identify_samples(swapped, tasks, "little")


def test_samples_of_a_problem_are_numbered_or_keep_their_own_number():
    tasks = [Task("a", ""), Task("b", "")]
    given = identify_samples(raw("a", "b", "a"), tasks, "little")
    assert given == [Sample("a", 0, "x"), Sample("b", 0, "x"), Sample("a", 1, "x")]
    assert identify_samples(raw("a", index=3), tasks, "little") == [Sample("a", 3, "x")]
    with pytest.raises(ChakuError, match="line 1: a has a second sample with the index 0"):
        identify_samples(raw("a", "a", index=0), tasks, "little")


TASKS = [Task("1", "", in_split=False), Task("11", ""), Task("12", "")]


def test_all_problems_of_the_split_are_to_be_sampled():
    assert choose_tasks(TASKS, [Sample("12", 0, ""), Sample("11", 0, "")]) == TASKS[1:]
    with pytest.raises(ChakuError, match=r"1 of the 2 problems have no sample: 12; .*--partial"):
        choose_tasks(TASKS, [Sample("11", 0, "")])
    assert choose_tasks(TASKS, [Sample("11", 0, "")], partial=True) == [TASKS[1]]


def test_problems_outside_the_split_are_scored_where_they_are_sampled():
    assert choose_tasks(TASKS, [Sample(number, 0, "") for number in ("12", "1", "11")]) == TASKS


def test_samples_of_unknown_problems_are_refused():
    with pytest.raises(ChakuError, match="HumanEval/0, HumanEval/1 are not in this benchmark, whose ids are like 1"):
        choose_tasks(TASKS, [Sample("HumanEval/1", 0, ""), Sample("HumanEval/0", 0, ""), Sample("11", 0, "")])


def test_problems_come_as_lines_or_as_one_list(tmp_path):
    rows = [{"task_id": 1, "code": "x"}, {"task_id": 2, "code": "y"}]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "list.json").write_text(json.dumps(rows, indent=1))
    assert read_rows(tmp_path / "lines.jsonl", ("code",)) == read_rows(tmp_path / "list.json", ("code",)) == rows
    with pytest.raises(ChakuError, match="line 1 has no field 'test'; a problem has code, test"):
        read_rows(tmp_path / "lines.jsonl", ("code", "test"))
    (tmp_path / "list.json").write_text(json.dumps(rows)[:-5])
    with pytest.raises(ChakuError, match="not valid JSON"):
        read_rows(tmp_path / "list.json", ())


def test_a_benchmark_that_is_not_there_is_said_with_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    with pytest.raises(ChakuError, match=r"CHAKU_BENCHMARKS is not set; save https://x as DIRECTORY/a/b.jsonl"):
        find_file(None, "a/b.jsonl", "https://x")
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    with pytest.raises(ChakuError, match="does not exist; save https://x there"):
        find_file(None, "a/b.jsonl", "https://x")
    assert find_file(tmp_path / "own", "a/b.jsonl", "https://x") == tmp_path / "own"
