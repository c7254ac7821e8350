"""`chaku eval run`, `score` and `compare`, as a user types them."""

import json

import pytest
import torch

from chaku.checkpoint.huggingface import save_model
from chaku.cli import main
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.sandbox.probe import check_sandbox
from chaku.tokens.tokenizer_training import train_tokenizer

sandboxed = pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")

PROBLEMS = [
    {
        "task_id": f"T/{number}",
        "prompt": f"def f{number}(a):\n",
        "canonical_solution": f"    return a + {number}\n",
        "test": f"def check(candidate):\n    assert candidate(1) == {number + 1}\n",
        "entry_point": f"f{number}",
    }
    for number in range(4)
]


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    directory = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    save_model(Llama(PRESETS["tiny"]), directory)
    train_tokenizer(["def add(a, b):\n    return a + b\n", "for x in range(10):\n    print(x)\n"], 310).save(directory)
    return str(directory)


@pytest.fixture
def problems(tmp_path):
    return write_lines(tmp_path / "problems.jsonl", PROBLEMS)


def score(tmp_path, problems, rows, out, *more):
    samples = write_lines(tmp_path / "samples.jsonl", rows)
    command = ["eval", "score", "--benchmark", "humaneval", "--samples", samples, "--problems", problems]
    return main([*command, "--out", str(tmp_path / out), *more])


def right(number):
    return {"task_id": f"T/{number}", "completion": PROBLEMS[number]["canonical_solution"]}


def wrong(number):
    return {"task_id": f"T/{number}", "completion": "    return None\n"}


@sandboxed
def test_score_writes_results_and_prints_them(tmp_path, problems, capsys):
    rows = [right(0), wrong(0), right(1), right(1), wrong(2), wrong(2), right(3), wrong(3)]
    assert score(tmp_path, problems, rows, "out", "--json", "--k", "1", "2", "--workers", "2") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "results.json").read_text())
    assert printed["pass_at_k"] == {"1": 0.5, "2": 0.75}
    lines = [json.loads(line) for line in (tmp_path / "out" / "samples.jsonl").read_text().splitlines()]
    assert len(lines) == 8
    assert lines[1].keys() == {"task_id", "index", "verdict", "passed", "reason", "cpu_seconds"}
    assert score(tmp_path, problems, rows, "out") == 0
    words = capsys.readouterr().out
    assert words.startswith("humaneval: 3 of 4 problems have a right sample\n  pass@1  50.0%  (95%: ")
    assert "8 samples: 4 passed, 4 failed" in words


@sandboxed
def test_compare_says_whether_it_is_chance_and_refuses_other_protocols(tmp_path, problems, capsys):
    assert score(tmp_path, problems, [right(0), right(1), wrong(2), wrong(3)], "one") == 0
    assert score(tmp_path, problems, [right(0), right(1), right(2), right(3)], "two") == 0
    assert score(tmp_path, problems, [right(0), right(1), right(2), right(3)], "slow", "--timeout", "9") == 0
    capsys.readouterr()
    one, two, slow = (str(tmp_path / name) for name in ("one", "two", "slow"))
    assert main(["eval", "compare", one, two, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)["scores"]["pass@1"]
    assert (row["a"], row["b"], row["p"]) == (0.5, 1.0, 0.5)
    assert main(["eval", "compare", one, f"{two}/results.json"]) == 0
    assert "pass@1" in capsys.readouterr().out
    assert main(["eval", "compare", one, slow]) == 2
    assert "timeout is 3.0 in the first, 9.0 in the second" in capsys.readouterr().err
    assert main(["eval", "compare", one, slow, "--anyway"]) == 0
    assert capsys.readouterr().out.startswith("NOT ALIKE: timeout is 3.0 in the first, 9.0 in the second\n")


def test_list_names_benchmarks_and_says_what_is_not_here(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    assert main(["eval", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["first_steps"]["num_problems"] == 24
    assert rows["humaneval"]["num_problems"] is None
    assert rows["humaneval"]["why_not"].startswith(f"{tmp_path}/humaneval/HumanEval.jsonl.gz does not exist")
    assert rows["cruxeval-o"]["chat"]
    assert not rows["apps"]["chat"]
    assert main(["eval", "list"]) == 0
    out = capsys.readouterr().out
    assert "Short Python functions that come with chaku:\n  first_steps " in out
    assert "24 problems  --chat" in out
    assert "no data here" in out


@sandboxed
def test_run_generates_and_scores_and_goes_on(checkpoint, tmp_path, problems, capsys):
    command = ["eval", "run", checkpoint, "--benchmark", "humaneval", "--problems", problems, "--limit", "3", "--json"]
    command += ["--num-samples", "2", "--temperature", "0.9", "--max-tokens", "8", "--out", str(tmp_path / "out")]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["num_problems"], result["num_samples"]) == (3, 6)
    record = result["manifest"]
    assert (record["temperature"], record["num_samples"], record["max_tokens"], record["limit"]) == (0.9, 2, 8, 3)
    assert record["prompt_form"] == "zero-shot, unstripped"
    names = {".chaku.json", "completions.json", "completions.jsonl", "results.json", "samples.jsonl"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == result
    assert main([*command, "--seed", "1"]) == 2
    assert "made with other settings: seed was 0, is now 1. Name a new directory" in capsys.readouterr().err
    scoring = ["eval", "score", "--benchmark", "humaneval", "--problems", problems, "--partial", "--json"]
    assert main([*scoring, "--samples", str(tmp_path / "out" / "completions.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["verdicts"] == result["verdicts"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "CHECKPOINT", "--benchmark", "nothing"], "no benchmark 'nothing' (`chaku eval list` lists all)"),
        (["run", "CHECKPOINT", "--benchmark", "perplexity"], "give --corpus"),
        (["run", "m", "--benchmark", "perplexity", "--endpoint", "http://x"], "which an endpoint cannot do"),
        (["run", "m", "--benchmark", "mbpp", "--endpoint", "http://x", "--quantize", "int8"], "serves what it serves"),
        (
            ["run", "m", "--benchmark", "mbpp", "--benchmark", "humaneval", "--problems", "f"],
            "the file of one benchmark",
        ),
        (["run", "m", "--benchmark", "mbpp", "--limit", "0"], "--limit is 0"),
        (["score", "--benchmark", "nothing", "--samples", "f"], "there is no benchmark 'nothing'"),
        (["score", "--benchmark", "infilling", "--samples", "f"], "is measured on a model, not on samples"),
        (["score", "--benchmark", "first_steps", "--samples", "/nowhere"], "/nowhere does not exist"),
        (["score", "--benchmark", "humaneval", "--samples", "/x", "--problems", "/nowhere"], "/nowhere does not exist"),
        (["compare", "/nowhere", "/nowhere"], "there is no result in /nowhere"),
    ],
)
def test_mistakes_are_one_line_and_status_2(checkpoint, capsys, arguments, message):
    assert main(["eval", *(checkpoint if argument == "CHECKPOINT" else argument for argument in arguments)]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("chaku: ")
    assert message in errors
    assert errors.count("\n") == 1


def test_a_run_that_is_refused_leaves_no_directory(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["eval", "run", "m", "--benchmark", "perplexity", "--out", str(out)]) == 2
    assert "give --corpus DIRECTORY" in capsys.readouterr().err
    assert not out.exists()


def test_samples_that_do_not_fit_are_refused(tmp_path, problems, capsys):
    assert score(tmp_path, problems, [right(0)], "out") == 2
    assert "3 of the 4 problems have no sample: T/1, T/2, T/3; " in capsys.readouterr().err
    assert score(tmp_path, problems, [{**right(0), "task_id": "T/9"}], "out") == 2
    assert "T/9 is not in this benchmark" in capsys.readouterr().err
    assert score(tmp_path, problems, [right(n) for n in range(4)], "out", "--k", "2") == 2
    assert "pass@2 needs 2 samples of every problem, but T/0 has 1" in capsys.readouterr().err
