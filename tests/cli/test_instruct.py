"""`chaku instruct`, as a user types it."""

import json
from pathlib import Path

import pytest

from chaku.cli import main
from instruct.conftest import QUESTIONS, Played


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    path = tmp_path / "questions.txt"
    path.write_text("".join(f"{question}\n" for question in QUESTIONS))
    return path


def test_from_questions_to_data(
    tmp_path: Path, questions: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("chaku.cli.instruct_synthesize.writer", lambda model, *options: Played(model))
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    ledger, out = str(tmp_path / "l.sqlite"), str(tmp_path / "out")
    line = f"instruct synthesize played --ledger {ledger} --questions {questions} --num-solutions 4 --json"
    assert main(line.split()) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["funnel"]["kept"] == 3
    assert "NOT checked against humaneval" in captured.err
    assert "no solution passes" in captured.err
    assert main(["instruct", "verify", ledger, "--sample", "5"]) == 0
    assert "3 triples are kept; 5 of" in capsys.readouterr().out
    assert main(["instruct", "export", ledger, "--out", out, "--against", "first_steps"]) == 0
    assert "0 conversations, 0 pairs" in capsys.readouterr().out  # all three are problems of it, in other words
    assert main(["instruct", "export", ledger, "--out", out]) == 0
    assert "3 conversations" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".chaku.json",
        "card.md",
        "contamination.json",
        "corrections.jsonl",
        "preferences.jsonl",
        "sft.jsonl",
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["verify", "none.sqlite"], "none.sqlite does not exist"),
        (
            ["synthesize", "m", "--ledger", "l", "--questions", "none.txt", "--seeds", "s"],
            "one of --questions, --seeds",
        ),
        (["synthesize", "m", "--ledger", "l", "--num-solutions", "0"], "--num-solutions is 0"),
        (["synthesize", "m", "--ledger", "l", "--endpoint", "localhost"], "is not a URL"),
        (["export", "pyproject.toml", "--out", "o"], "cannot be used as a ledger"),
    ],
)
def test_mistakes_are_said(
    arguments: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pyproject.toml").write_text("[project]\nname = 'no ledger'\n" * 40)
    assert main(["instruct", *arguments]) == 2
    assert problem in capsys.readouterr().err
