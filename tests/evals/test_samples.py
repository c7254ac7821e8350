"""Files of samples and of problems: what they may hold, and what is said of each mistake."""

import gzip
import json

import pytest

from chaku import ChakuError
from chaku.evals.benchmark import Task
from chaku.evals.benchmarks.problem_files import find_file, read_rows
from chaku.evals.samples import Sample, choose_tasks, read_samples


def line(**fields):
    return json.dumps(fields) + "\n"


def test_samples_are_numbered_in_the_order_of_the_file(tmp_path):
    text = (
        line(task_id="a", completion="x") + "\n" + line(task_id=7, completion="y") + line(task_id="a", completion="z")
    )
    expected = [Sample("a", 0, "x"), Sample("7", 0, "y"), Sample("a", 1, "z")]
    (tmp_path / "plain.jsonl").write_text(text)
    assert read_samples(tmp_path / "plain.jsonl") == expected
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert read_samples(tmp_path / "packed.jsonl.gz") == expected


def test_an_index_of_their_own_is_kept(tmp_path):
    (tmp_path / "s.jsonl").write_text(
        line(task_id="a", index=3, completion="x") + line(task_id="a", index=1, completion="")
    )
    assert read_samples(tmp_path / "s.jsonl") == [Sample("a", 3, "x"), Sample("a", 1, "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no samples"),
        ("\n\n", "has no samples"),
        (line(task_id="a", completion="x") + '{"task_id": "a", "comp', "line 2 is not valid JSON"),
        (line(task_id="a", completion="x") + "\n" + line(task_id="a"), "line 3 is not a sample"),
        (line(completion="x"), "line 1 is not a sample"),
        ('"a"\n', "line 1 is not a sample"),
        (line(task_id="a", completion=None), "line 1: completion must be a text, not null"),
        (line(task_id=None, completion="x"), "line 1: task_id must be a text, not null"),
        (line(task_id="a", completion="x", index="1"), "line 1: index must be a whole number"),
        (line(task_id="a", completion="x", index=0) * 2, "line 2: a has a second sample with the index 0"),
    ],
)
def test_what_is_no_sample_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "s.jsonl").write_text(text)
    with pytest.raises(ChakuError, match=message):
        read_samples(tmp_path / "s.jsonl")


def test_a_file_that_is_not_there_or_not_whole(tmp_path):
    with pytest.raises(ChakuError, match="does not exist"):
        read_samples(tmp_path / "none.jsonl")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(line(task_id="a", completion="x" * 1000).encode())[:-9])
    with pytest.raises(ChakuError, match="cannot be read whole"):
        read_samples(tmp_path / "cut.gz")


TASKS = [Task("1", "", in_split=False), Task("11", ""), Task("12", "")]


def test_all_problems_of_the_split_are_to_be_sampled():
    assert choose_tasks(TASKS, [Sample("12", 0, ""), Sample("11", 0, "")]) == TASKS[1:]
    with pytest.raises(ChakuError, match=r"1 of the 2 problems have no sample: 12; .*--partial"):
        choose_tasks(TASKS, [Sample("11", 0, "")])
    assert choose_tasks(TASKS, [Sample("11", 0, "")], partial=True) == [TASKS[1]]


def test_problems_outside_the_split_are_scored_where_they_are_sampled():
    assert choose_tasks(TASKS, [Sample(each, 0, "") for each in ("12", "1", "11")]) == TASKS


def test_samples_of_unknown_problems_are_refused():
    with pytest.raises(
        ChakuError, match="HumanEval/0, HumanEval/1 are no problem of this benchmark, whose ids are like 1"
    ):
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
    with pytest.raises(ChakuError, match=r"CHAKU_BENCHMARKS is not set; save https://x as SOMEWHERE/a/b.jsonl"):
        find_file(None, "a/b.jsonl", "https://x")
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    with pytest.raises(ChakuError, match="does not exist; save https://x there"):
        find_file(None, "a/b.jsonl", "https://x")
    assert find_file(tmp_path / "own", "a/b.jsonl", "https://x") == tmp_path / "own"
