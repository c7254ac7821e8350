"""No reply of hacks.py gets a reward, right replies do, and tasks that could be cheated are refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from chaku.inference.prompts import Prompt
from chaku.reinforcement.infills import InfillReward
from chaku.reinforcement.programs import ProgramReward, split_tests
from chaku.reinforcement.queries import RUNS, QueryReward
from chaku.reinforcement.tasks import Task
from chaku.sandbox.probe import check_sandbox
from chaku.tokens.chat import Message
from reinforcement.hacks import PROGRAMS, QUERIES

needs_sandbox = pytest.mark.skipif(bool(check_sandbox()), reason="programs cannot be isolated here")
SHOWN = "assert add(1, 2) == 3"
HIDDEN = ["assert add(4, 5) == 9", "assert add(-1, 5) == 4", "assert add(10, 20) == 30"]
COUNT = "SELECT count(*) FROM product WHERE color = 'red'"


def task(text: str, **fields: object) -> Task:
    return Task(text, (Message("user", text),), Prompt((1,)), fields)


ADD = task(f"Write add(a, b). For example, {SHOWN}", tests=[SHOWN, *HIDDEN], entry_point="add")


def test_there_are_at_least_thirty() -> None:
    assert len(PROGRAMS) + len(QUERIES) >= 30


@needs_sandbox
def test_no_program_gets_a_reward_without_solving_the_task() -> None:
    reward = ProgramReward(timeout=1.0)
    try:
        waiting = {name: reward.submit(ADD, text) for name, text in PROGRAMS.items()}
        judged = {name: wait() for name, wait in waiting.items()}
        right = [reward.submit(ADD, text)() for text in ("def add(a, b):\n    return a + b", FENCED)]
    finally:
        reward.close()
    assert {name: one.value for name, one in judged.items() if one.value or one.solved} == {}
    assert [(one.value, one.solved, one.shown) for one in right] == [(1.0, True, True)] * 2
    assert judged["special-cases the shown test"].shown  # the monitor sees it
    assert not judged["leaves with status 0"].shown


FENCED = "Here it is:\n```python\ndef add(a, b):\n    return a + b\n```\n"


@needs_sandbox
def test_the_share_of_tests_pays_neither_hacks_nor_constants() -> None:
    even = task(
        "Write even(n). For example, assert even(2)",
        tests=["assert even(2)", "assert even(4)", "assert not even(5)", "assert even(6)", "assert not even(7)"],
        entry_point="even",
    )
    reward = ProgramReward("share_of_tests", timeout=1.0)
    try:
        waiting = {name: reward.submit(ADD, text) for name, text in PROGRAMS.items()}
        bodies = ("True", "False", "n in (2, 4, 5, 6)", "n in (4, 5, 6)", "n in (2, 4, 6)")
        evens = [reward.submit(even, f"def even(n):\n    return {body}") for body in bodies]
        paid = {name: value for name, wait in waiting.items() if (value := wait().value)}
        values = [wait().value for wait in evens]
        other = reward.problem(task("add", tests=[SHOWN], hidden_tests=HIDDEN, language="lua"))
    finally:
        reward.close()
    assert paid == {}
    assert values == [0.0, 0.0, 0.5, 0.0, 1.0]  # the fourth fails the shown test
    assert "is for Python" in other


def test_hidden_tests_are_the_default() -> None:
    assert split_tests(ADD) == ((SHOWN,), tuple(HIDDEN))
    reward = ProgramReward.__new__(ProgramReward)
    reward._kind = "tests"
    only_shown = task(f"Write add. {SHOWN}", tests=[SHOWN], entry_point="add")
    assert reward.problem(only_shown) == "the row has no hidden test: its prompt shows every test"
    assert reward.problem(ADD) == ""
    assert "no tests" in reward.problem(task("Write add."))
    named = task("Write add.", tests=[SHOWN], hidden_tests=HIDDEN, entry_point="add")
    assert split_tests(named) == ((SHOWN,), tuple(HIDDEN))


@pytest.fixture
def databases(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "shop.sqlite")) as data:
        data.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, color TEXT, price INTEGER)")
        rows = [(i, f"thing {i}", ("red", "blue", "green")[i % 3], 10 * (i // 2)) for i in range(12)]
        data.executemany("INSERT INTO product VALUES (?, ?, ?, ?)", rows)
        data.commit()
    return tmp_path


def query_task(query: str) -> Task:
    return task(query, query=query, database="shop")


def test_no_query_gets_a_reward_without_an_answer(databases: Path) -> None:
    right = query_task(COUNT)
    reward = QueryReward([right], databases, timeout=1.0)
    try:
        assert reward.problem(right) == ""
        waiting = {name: reward.submit(right, text) for name, text in QUERIES.items()}
        judged = {name: wait() for name, wait in waiting.items()}
        good = reward.submit(right, f"```sql\n{COUNT};\n```")()
        other = reward.submit(right, "SELECT count(id) FROM product WHERE color IN ('red')")()
        lucky = reward.submit(right, "SELECT count(*) FROM product WHERE id % 3 = 0")()
        wrong = reward.submit(right, "SELECT count(*) FROM product")()
    finally:
        reward.close()
    assert {name: one.value for name, one in judged.items() if one.value or one.solved} == {}
    assert [good.value, other.value, good.solved] == [1.0, 1.0, True]
    assert (lucky.value, lucky.shown, lucky.reason) == (RUNS, True, "returns other rows on a variant of the database")
    assert (wrong.value, wrong.shown) == (RUNS, False)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("SELECT name FROM product ORDER BY price LIMIT 1", "tied rows"),
        ("SELECT name FROM product WHERE price < 0 AND price > 0", "no rows on any variant"),
        ("SELECT count(*) > -1 FROM product", "the same rows on every variant"),
        ("SELECT nothing FROM product", "fails"),
    ],
)
def test_queries_whose_rows_cannot_tell_right_from_wrong_are_refused(databases: Path, query: str, problem: str) -> None:
    asked = query_task(query)
    reward = QueryReward([asked], databases)
    try:
        assert problem in reward.problem(asked)
    finally:
        reward.close()


@needs_sandbox
def test_an_infill_is_paid_for_what_it_adds() -> None:
    hole = task(
        "fill",
        prefix="def add(a, b):\n    ",
        middle="return a + b",
        suffix="\n",
        tests=[SHOWN, *HIDDEN],
        entry_point="add",
    )
    untested = task("fill 2", prefix="x = ", middle="1", suffix="\n")
    reward = InfillReward(timeout=1.0)
    try:
        assert reward.problem(hole) == reward.problem(untested) == ""
        asked = {
            "return a + b ": 1.0,
            "return b + a": 1.0,
            "return a - b": 0.1,
            "pass": 0.0,
            "# nothing": 0.0,
            "return (": 0.0,
        }
        assert {text: reward.submit(hole, text)().value for text in asked} == asked
        assert [reward.submit(untested, text)().value for text in ("1", "2", "(", "")] == [1.0, 0.1, 0.0, 0.0]
    finally:
        reward.close()
