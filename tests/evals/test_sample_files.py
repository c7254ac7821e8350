"""Files of samples as other programs write them, and what is said of what is none."""

import gzip
import json

import pytest

from chaku import ChakuError
from chaku.evals.sample_files import read_raw_samples


def line(**fields):
    return json.dumps(fields) + "\n"


def read(tmp_path, content, name="s.jsonl", **options):
    """(problem or its place, text, kind) of each sample of a file with this content."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return texts(path, **options)


def texts(path, **options):
    samples = read_raw_samples(path, **options)
    return [
        (sample.place if sample.task_id is None else sample.task_id, sample.text, sample.kind) for sample in samples
    ]


COMPLETION = [("a", "x", "completion"), ("7", "y", "completion"), ("a", "z", "completion")]


@pytest.mark.parametrize(
    "encode", [str.encode, lambda text: text.encode("utf-8-sig"), lambda text: text.encode("utf-16")]
)
@pytest.mark.parametrize("compress", [lambda data: data, gzip.compress])
def test_human_evals_lines_are_read_in_any_encoding_that_says_itself(tmp_path, encode, compress):
    text = (
        line(task_id="a", completion="x") + "\n" + line(task_id=7, completion="y") + line(task_id="a", completion="z")
    )
    assert read(tmp_path, compress(encode(text))) == COMPLETION


def test_an_index_of_their_own_is_kept(tmp_path):
    (tmp_path / "s.jsonl").write_text(line(task_id="a", index=3, completion="x"))
    assert [sample.index for sample in read_raw_samples(tmp_path / "s.jsonl")] == [3]


@pytest.mark.parametrize(
    ("row", "samples"),
    [
        ({"task_id": "HumanEval/0", "solution": "p"}, [("HumanEval/0", "p", "program")]),  # EvalPlus
        ({"task_id": "CPP/0", "prompt": "q", "generation": "g"}, [("CPP/0", "g", "either")]),  # CodeGeeX
        (  # DeepSeek-Coder's, with all of MBPP's row
            {"task_id": 11, "text": "t", "code": "the reference", "gpt_completion": "r", "generation": "g"},
            [("11", "g", "either")],
        ),
        ({"task_id": 0, "completions": ["c", "d"]}, [("0", "c", "completion"), ("0", "d", "completion")]),
        ({"task_id": "a", "completion": ["c", "d"]}, [("a", "c", "completion"), ("a", "d", "completion")]),
        ({"question_id": "1873_A", "output_list": ["r"], "code_list": ["p"]}, [("1873_A", "p", "program")]),
        (  # MultiPL-E's prompt is its own
            {"name": "HumanEval_0_f", "prompt": "f(\n", "tests": "t", "completions": ["c"]},
            [("HumanEval_0_f", "f(\nc", "program")],
        ),
        (
            {"name": "HumanEval_0_f", "tests": "}\ntest()\n", "results": [{"program": "f(\nc\n}\ntest()\n"}]},
            [("HumanEval_0_f", "f(\nc\n", "program")],
        ),
        (  # lm-evaluation-harness: what it judged
            {"doc_id": 4, "doc": {"task_id": "HumanEval/4"}, "resps": [["r"]], "filtered_resps": [["pr"]]},
            [("HumanEval/4", "pr", "either")],
        ),
        ({"doc_id": 4, "doc": {"text": "t"}, "resps": [["r", "s"]]}, [(4, "r", "either"), (4, "s", "either")]),
        (
            {"HumanEval/0": ["c", "d"], "HumanEval/1": "e"},
            [("HumanEval/0", "c", "either"), ("HumanEval/0", "d", "either"), ("HumanEval/1", "e", "either")],
        ),
        (
            {"date": "", "hash": "", "eval": {"Mbpp/2": [{"solution": "p", "base_status": "pass"}]}},
            [("Mbpp/2", "p", "program")],
        ),
    ],
)
def test_rows_are_told_by_their_keys(tmp_path, row, samples):
    assert read(tmp_path, json.dumps(row)) == samples
    assert read(tmp_path, json.dumps(row, indent=4), "pretty.json") == samples
    assert read(tmp_path, json.dumps([row, row], indent=1), "list.json") == samples * 2


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"task_id": "a", "reply": "r", "completion": "c"}, "r"),  # chaku's own
        ({"task_id": "a", "solution": "r"}, "r"),
        ({"task_id": "a", "output": "r", "generation": "c"}, "r"),
        ({"question_id": "a", "output_list": ["r"], "code_list": ["c"]}, "r"),
        ({"doc": {"task_id": "a"}, "resps": [["r"]], "filtered_resps": [["c"]]}, "r"),
        ({"task_id": "a", "generation": "r"}, "r"),
        ({"task_id": "a", "text": "t", "code": "the reference", "gpt_completion": "r", "generation": "c"}, "r"),
    ],
)
def test_with_extract_the_reply_is_taken(tmp_path, row, text):
    assert read(tmp_path, json.dumps(row), replies=True) == [("a", text, "reply")]


def test_bigcodes_generations_are_told_by_their_place(tmp_path):
    assert read(tmp_path, json.dumps([["a", "b"], ["c"]]), "generations.json") == [
        (0, "a", "either"),
        (0, "b", "either"),
        (1, "c", "either"),
    ]


def test_evalplus_folders_are_read_in_the_samples_order(tmp_path):
    for number in (0, 2, 10):
        file = tmp_path / "HumanEval_3" / f"{number}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"n = {number}")
    (tmp_path / "eval_results.json").write_text("{}")
    assert texts(tmp_path) == [("HumanEval/3", f"n = {number}", "program") for number in (0, 2, 10)]


def test_multipl_e_folders_are_read_and_results_stand_for_completions_that_are_not_there(tmp_path):
    row = {"name": "HumanEval_0_f", "prompt": "f", "tests": "t", "completions": ["(0)"]}
    (tmp_path / "HumanEval_0_f.json.gz").write_bytes(gzip.compress(json.dumps(row).encode()))
    (tmp_path / "HumanEval_0_f.results.json").write_text(json.dumps(row | {"results": [{"program": "other"}]}))
    row = {"name": "HumanEval_1_g", "tests": "t", "results": [{"program": "g\nt"}]}
    (tmp_path / "HumanEval_1_g.results.json.gz").write_bytes(gzip.compress(json.dumps(row, indent=2).encode()))
    assert texts(tmp_path) == [("HumanEval_0_f", "f(0)", "program"), ("HumanEval_1_g", "g\n", "program")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no samples"),
        ("\n\n", "has no samples"),
        (line(task_id="a", completion="x") + '{"task_id": "a", "comp', "line 2 is not valid JSON"),
        (line(task_id="a", completion="x") + "\n" + line(task_id="a"), "line 3 is not a sample"),
        (line(completion="x"), "line 1 is not a sample"),
        (line(task_id=11, text="t", code="the reference", mine="x"), "line 1 is not a sample"),
        (line(task_id="a", response="x"), "line 1 is not a sample.*'response' looks like a chat model's.*--extract"),
        ('"a"\n', "line 1 is not a sample"),
        (line(task_id="a", completion=None), "line 1: completion must be a text, not null"),
        (line(task_id="a", completions=["x", None]), "line 1: a list of samples must hold texts, not null"),
        (line(task_id=None, completion="x"), "line 1: task_id must be a text, not null"),
        (line(task_id="a", completion="x", index="1"), "line 1: index must be a whole number"),
        ("[[1]]", "line 1: a list of samples must hold texts, not 1"),
        (line(name="a", prompt="", completions=None), "line 1: completions must be a text, not null"),
        (line(doc={}, doc_id="x", resps=[]), "line 1 is not a sample"),
        (
            line(doc={"task_id": "a"}, resps=["x"], filter="b") + line(doc={"task_id": "a"}, resps=["x"], filter="c"),
            r"once for every filter \(.*filter b; .*filter c\); keep the rows of one filter",
        ),
        (line(eval={"a": [{}]}), "line 1: a list of samples must hold texts, not null"),
    ],
)
def test_what_is_no_sample_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(ChakuError, match=message):
        read(tmp_path, text)


def test_a_file_or_folder_that_is_not_there_or_not_whole(tmp_path):
    with pytest.raises(ChakuError, match="does not exist"):
        read_raw_samples(tmp_path / "none.jsonl")
    with pytest.raises(ChakuError, match=r"a folder of samples has PROBLEM/0\.py"):
        read_raw_samples(tmp_path)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(line(task_id="a", completion="x" * 1000).encode())[:-9])
    with pytest.raises(ChakuError, match="cannot be read to its end"):
        read_raw_samples(tmp_path / "cut.gz")
