"""A recipe with [instruct]: a stage writes, the sandbox judges, stages learn from the arms; killed it goes on."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.inference.generator import Completion, Request
from chaku.pipeline import run_recipe
from chaku.recipe.load import load_recipe
from instruct.conftest import QUESTIONS, Played
from instruct.test_rehearsal import Habitual

RECIPE = """
name = "little"
seed = 5
num_threads = 1

[corpus]
sources = [{ name = "exercises", type = "exercises", path = "1", max_bytes = 40_000 }]
num_workers = 1

[tokenizer]
vocab_size = 400
train_bytes = 40_000

[model]
preset = "tiny"

[sets]
corpus = { kinds = ["code"] }
passed = { instruct = "first_pass", template = "llama2" }
preferences = { instruct = "preferences", template = "llama2" }

[instruct]
stage = "base"
exercises = 12
num_solutions = 4
full = false

[stages.base]
mixture = { corpus = 1.0 }
sequence_length = 256
training = { tokens = 1024, batch_tokens = 512, learning_rate = 1e-3, precision = "float32" }

[stages.passed]
parent = "base"
mixture = { passed = 0.9, corpus = 0.1 }
sequence_length = 256
training = { tokens = 1024, batch_tokens = 512, learning_rate = 1e-3, precision = "float32" }

[stages.dpo]
parent = "passed"
mixture = { preferences = 1.0 }
sequence_length = 512
dpo = { beta = 0.1 }
training = { tokens = 1024, batch_tokens = 1024, learning_rate = 1e-4, precision = "float32" }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "little.toml"
    path.write_text(RECIPE)
    return path


def play(monkeypatch: pytest.MonkeyPatch, model: Played | Habitual) -> None:
    monkeypatch.setattr("chaku.pipeline.steps.stage_engine", lambda run, name: model)


def test_stages_learn_from_what_passed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    play(monkeypatch, Habitual())
    run = tmp_path / "run"
    run_recipe(load_recipe(path), run)
    report = read_json(run / "instruct" / "report.json")
    rows = read_json(run / "stages" / "passed" / "stage.json")["conversations"]["passed"]["rows"]
    assert rows == report["arms"]["first_pass"]["taken"] > 0
    assert (
        read_json(run / "stages" / "dpo" / "stage.json")["conversations"]["preferences"]["rows"] == report["num_pairs"]
    )
    capsys.readouterr()
    idle = Habitual()
    play(monkeypatch, idle)
    run_recipe(load_recipe(path), run)
    said = capsys.readouterr().err
    assert "instruct: done before" in said
    assert "passed: done before" in said
    assert idle.num_asked == 0
    run_recipe(load_recipe(path, ["instruct.exercises=11"]), run, make_again=True)
    said = capsys.readouterr().err
    assert "instruct: made again, because of instruct.exercises" in said
    assert "stages/passed: made again, because of conversations.passed" in said
    assert "base: done before" in said
    assert idle.num_asked == 0  # all of it was asked before
    shutil.rmtree(run / "instruct")  # to save disk: the ledger has what the model wrote
    run_recipe(load_recipe(path, ["instruct.exercises=11"]), run)
    assert idle.num_asked == 0
    said = capsys.readouterr().err
    assert all(f"{step}: done before" in said for step in ("conversations/passed", "passed", "dpo"))


def test_a_killed_step_goes_on_with_its_ledger(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mortal(Habitual):
        num_rows = 1

        def answer(self, requests: Sequence[Request]) -> list[Completion]:
            if self.num_asked == 5:
                raise KeyboardInterrupt
            return super().answer(requests)

    mortal, heir = Mortal(), Habitual()
    play(monkeypatch, mortal)
    with pytest.raises(KeyboardInterrupt):
        run_recipe(load_recipe(path), tmp_path / "run")
    play(monkeypatch, heir)
    run_recipe(load_recipe(path), tmp_path / "run")
    assert mortal.num_asked + heir.num_asked == 12


def test_questions_of_ones_own(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    (tmp_path / "mine.txt").write_text("".join(f"{question}\n" for question in QUESTIONS))
    text = RECIPE.replace('instruct = "first_pass"', 'instruct = "sft"').replace(
        "exercises = 12\n", f'questions = "{tmp_path}/mine.txt"\n'
    )
    path.write_text(text[: text.index("[stages.dpo]")])
    play(monkeypatch, Played())
    run_recipe(load_recipe(path), tmp_path / "run")
    assert read_json(tmp_path / "run" / "stages" / "passed" / "stage.json")["conversations"]["passed"]["rows"] == 3
    assert (tmp_path / "run" / "instruct" / "card.md").is_file()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('stage = "base"', 'stage = "bass"', "instruct.stage names 'bass'"),
        ('stage = "base"', 'stage = "passed"', "stages.passed trains on text of the stage passed"),
        ("exercises = 12", 'exercises = 12\nquestions = "x"', "both `exercises` and `questions`"),
        ("tokens = 1024, batch_tokens = 1024", "epochs = 1, batch_tokens = 1024", "stages.dpo.training needs `tokens`"),
        ("[instruct]\nstage", "[evals]\nstages", "comes from .instruct., which is missing"),
    ],
)
def test_mistakes_are_said(path: Path, old: str, new: str, problem: str) -> None:
    text = RECIPE.replace(old, new, 1)
    if "[evals]" in new:
        text = RECIPE.replace('[instruct]\nstage = "base"\nexercises = 12\nnum_solutions = 4\nfull = false\n', "")
    path.write_text(text)
    with pytest.raises(ChakuError, match=problem):
        load_recipe(path)


def test_a_stage_that_writes_nothing_right_is_said(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Mute(Habitual):
        def answer(self, requests: Sequence[Request]) -> list[Completion]:
            return [Completion("", 1, "stop") for _ in requests]

    play(monkeypatch, Mute())
    with pytest.raises(ChakuError, match="found no sample: train the stage that writes"):
        run_recipe(load_recipe(path), tmp_path / "run")
