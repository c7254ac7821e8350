"""The commands that a run tries for its reader: only those whose answers are right are kept."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chaku.files import write_json, write_text
from chaku.pipeline import try_it
from chaku.pipeline.run_directory import Run
from chaku.results import MeasureResult
from shop_database import make_shop

QUESTION, GOLD = "How many customers are there?", "SELECT count(*) FROM customers"
RIGHT = {"index": 0, "ex": True, "test_suite": True}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A finished run, with a writer that counts customers whatever it is asked."""
    monkeypatch.setattr(try_it, "stage_engine", lambda run, name: SimpleNamespace())
    monkeypatch.setattr("chaku.sql.ask.writer.ModelWriter", CountsCustomers)
    monkeypatch.setattr(try_it, "checkpoint", lambda run, name: f"models/{name}")
    (tmp_path / "shop" / "shop").mkdir(parents=True)
    make_shop(tmp_path / "shop" / "shop" / "shop.sqlite")
    write_json(tmp_path / "stages" / "sql" / "sql_prompt.json", {"form": "compact", "max_tokens": 80, "link": True})
    recipe: Any = SimpleNamespace(evals=SimpleNamespace(stages=()))
    return Run(recipe, tmp_path, None)  # type: ignore[arg-type]


class CountsCustomers:
    form, max_prompt_tokens = "compact", 512

    def __init__(self, *_: object, **__: object):
        pass

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def write_each(self, prompt: str, schema: object, num_samples: int) -> Iterator[tuple[int, str]]:
        return enumerate(["SELECT count(*) FROM customers"] * num_samples)


def results(run: Run, row: dict[str, Any] = RIGHT, gold: str = GOLD) -> None:
    example = {"question": QUESTION, "query": gold, "db_id": "shop"}
    write_text(run.directory / "shop" / "dev.jsonl", json.dumps(example) + "\n")
    MeasureResult("shop", {}, {"rows": [row]}).write(run.directory / "evals" / "sql" / "shop.json")


def test_a_question_that_is_answered_rightly_becomes_a_command(run: Run) -> None:
    results(run)
    [command] = try_it.write_commands(run, {"sql": "1"}, ["sql"])
    program, *words = shlex.split(command.command)
    database = str(run.directory / "shop" / "shop" / "shop.sqlite")
    assert program.endswith("chaku")
    assert words == ["sql", "ask", "--model", "models/sql", "--db", database, QUESTION]
    assert try_it.read_commands(run.directory) == [command]


@pytest.mark.parametrize(
    ("row", "gold"),
    [
        (RIGHT, "SELECT count(*) + 1 FROM customers"),  # asked again, the answer is wrong
        (RIGHT | {"test_suite": False}, GOLD),  # right by luck
        (RIGHT | {"ex": False}, GOLD),
    ],
)
def test_a_question_that_is_not_answered_rightly_is_not_shown(run: Run, row: dict[str, Any], gold: str) -> None:
    results(run, row, gold)
    assert try_it.write_commands(run, {"sql": "1"}, ["sql"]) == []


def test_what_was_tried_is_not_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    results(run)
    first = try_it.write_commands(run, {"sql": "1"}, ["sql"])
    monkeypatch.setattr("chaku.sql.ask.writer.ModelWriter", None)  # nobody can write any more
    assert try_it.write_commands(run, {"sql": "1"}, ["sql"]) == first
    with pytest.raises(TypeError):
        try_it.write_commands(run, {"sql": "another model"}, ["sql"])


def test_a_run_without_a_right_answer_is_not_tried_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    results(run, RIGHT, "SELECT count(*) + 1 FROM customers")
    assert try_it.write_commands(run, {"sql": "1"}, ["sql"]) == []
    monkeypatch.setattr(try_it, "stage_engine", lambda run, name: pytest.fail("loaded again"))
    assert try_it.write_commands(run, {"sql": "1"}, ["sql"]) == []


def test_a_completion_is_shown_where_it_is_right(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.recipe.evals.stages = ("model",)  # type: ignore[misc]
    results(run)
    said = {"def is_even(number):\n    return": " number % 3", "def add(a, b):\n    return": " a + b\n"}
    monkeypatch.setattr(try_it, "complete", lambda tokenizer, prompt: prompt)
    engine = SimpleNamespace(
        tokenizer=None, generate=lambda prompts, params: [[SimpleNamespace(text=said.get(prompts[0], ""))]]
    )
    monkeypatch.setattr(try_it, "stage_engine", lambda run, name: engine)
    [command] = try_it.write_commands(run, {"model": "1"}, [])
    assert shlex.split(command.command)[1:4] == ["complete", "models/model", "def add(a, b):\n    return"]
