"""Which of several results is chosen: by votes, after a second look, or by tests on variants of the database."""

import sqlite3

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.errors import ChakuError
from chaku.sql.ask.answers import Answer
from chaku.sql.ask.asker import Asker
from chaku.sql.ask.candidates import Candidate
from chaku.sql.ask.selection import by_tests, by_votes, check_choice, two_results
from chaku.sql.execute.database import Database
from chaku.sql.execute.runner import Result
from shop_database import make_shop


class ScriptedWriter:
    """Writes what a test tells it, one list of texts a round; keeps the prompts and the numbers of samples."""

    form = "ddl"
    max_prompt_tokens = 2000

    def __init__(self, *rounds):
        self.rounds, self.prompts, self.counts = list(rounds), [], []

    def count_tokens(self, text):
        return len(text) // 3

    def write_each(self, prompt, schema, num_samples):
        self.prompts.append(prompt)
        self.counts.append(num_samples)
        return reversed([*enumerate(self.rounds.pop(0))])  # samples finish in any order


@pytest.fixture
def shop(tmp_path):
    return make_shop(tmp_path / "shop.sqlite")


@pytest.fixture
def ask(shop):
    """ask(*rounds) -> (answer, writer) about the shop's customers."""
    with Database(str(shop)) as database:

        def one(
            *rounds, max_prompt_tokens=2000, question="How many customers are there?", **settings
        ) -> tuple[Answer, ScriptedWriter]:
            writer = ScriptedWriter(*rounds)
            writer.max_prompt_tokens = max_prompt_tokens
            asker = Asker(database, writer, num_samples=len(rounds[0]), **settings)
            return asker.ask(question), writer

        yield one


CUSTOMERS, ORDERS, PRODUCTS = (f"SELECT count(*) FROM {name}" for name in ("customers", "orders", "products"))


def candidate(sql, rows, votes=1, status="ok", written=""):
    return Candidate(written or sql, sql, votes, Result(status, "", ("x",), rows))


def test_a_second_look_sees_both_queries_with_their_rows_and_decides(ask):
    answer, writer = ask([ORDERS, ORDERS, CUSTOMERS], [CUSTOMERS, CUSTOMERS, ORDERS], select="csc")
    assert writer.counts == [3, 3]
    assert f"Query 1: {ORDERS}; gives 1 row: (3). Query 2: {CUSTOMERS}; gives 1 row: (4)." in writer.prompts[1]
    assert answer.sql == CUSTOMERS
    assert answer.confidence == pytest.approx(1 / 3)  # of the first samples, as for a vote
    assert [tried.votes for tried in answer.candidates] == [2, 1]


def test_a_period_in_the_question_holds_in_the_second_look_too(ask):
    answer, _ = ask([ORDERS, ORDERS, CUSTOMERS], [CUSTOMERS] * 3, select="csc", question="How many came in 2022?")
    assert answer.sql == "SELECT COUNT(*) FROM customers WHERE joined >= '2022-01-01' AND joined < '2023-01-01'"


def test_without_a_second_result_nobody_looks_again(ask):
    answer, writer = ask([CUSTOMERS, "SELECT count(id) FROM customers", "SELECT nothing"], select="csc")
    assert len(writer.prompts) == 1
    assert answer.sql == CUSTOMERS


@pytest.mark.parametrize("looked", [[PRODUCTS] * 3, ["SELECT nothing"] * 3, ["no idea"] * 3])
def test_a_third_result_or_none_leaves_the_vote_as_it_was(ask, looked):
    answer, _ = ask([ORDERS, ORDERS, CUSTOMERS], looked, select="csc")
    assert answer.sql == ORDERS


def test_no_cell_is_in_the_prompt_of_a_second_look_without_values(ask):
    names = "SELECT name FROM customers WHERE id = 1"
    _, writer = ask([names, ORDERS], [names] * 3, select="csc", send_values=False)
    assert f"Query 1: {names}; Query 2: {ORDERS};" in writer.prompts[1]
    assert "Ada" not in "".join(writer.prompts)
    assert "gives" not in writer.prompts[1]


def test_a_prompt_without_room_for_two_queries_is_not_sent_and_the_answer_says_so(ask):
    names = ", ".join(f"'nobody {number}'" for number in range(400))
    long = f"SELECT count(*) FROM customers WHERE name IN ({names})"
    answer, writer = ask([ORDERS, ORDERS, long], select="csc", max_prompt_tokens=300)
    assert len(writer.prompts) == 1
    assert answer.sql == ORDERS
    assert answer.assumptions[0] == "no second look: the prompt has no room for two queries"


def test_a_prompt_shows_three_rows_and_no_long_cell():
    rows = [("a" * 99,), (None,), ("b\nc",), ("d",)]
    said = two_results([candidate("SELECT a", rows, 2), candidate("SELECT b", [])])
    assert f"gives 4 rows: ({'a' * 39}…), (NULL), (b c), ...." in said
    assert "SELECT b; gives 0 rows: none." in said


def test_queries_that_agree_by_luck_do_not_vote_together(shop):
    """Three queries return the United Kingdom's two customers, but only two of them do on other data."""
    luck = "SELECT name FROM customers WHERE id IN (1, 4)"
    right = "SELECT name FROM customers WHERE country = 'United Kingdom'"
    same = "SELECT c.name FROM customers AS c WHERE c.country LIKE 'United Kingdom'"
    other = "SELECT name FROM customers WHERE country = 'France'"
    rows = [("Ada",), ("Cy",)]
    tried = [candidate(luck, rows, 2), candidate(right, rows, 2), candidate(same, rows), candidate(other, [("Bo",)], 2)]
    assert by_votes(tried, 7).candidate.sql == luck
    best = by_tests(tried, 7, shop)
    assert (best.candidate.sql, best.share, best.note) == (right, 3 / 7, "")


def test_tests_write_nothing_beside_the_database(ask, shop):
    answer, _ = ask([ORDERS, CUSTOMERS, CUSTOMERS], select="tests")
    assert answer.sql == CUSTOMERS
    assert [path.name for path in shop.parent.iterdir()] == [shop.name]


def test_a_database_that_cannot_be_varied_is_voted_about_and_the_answer_says_so(tmp_path):
    path = tmp_path / "sums.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a INTEGER, b INTEGER GENERATED ALWAYS AS (a + 1))")
        connection.execute("INSERT INTO t (a) VALUES (1), (2)")
    with Database(str(path)) as database:
        writer = ScriptedWriter(["SELECT max(a) FROM t", "SELECT b FROM t WHERE a = 1", "SELECT min(a) FROM t"])
        answer = Asker(database, writer, num_samples=3, select="tests").ask("the largest a?")
    assert answer.result.rows == [(2,)]
    assert answer.assumptions[0].startswith("not tested on other data, for its tables cannot be varied: ")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("tests", None, 5, "postgres"), "--select tests varies a SQLite file, and this is PostgreSQL"),
        (("csc", None, 1, "sqlite"), "give --samples 5"),
        (("vote", 100.0, 5, "duckdb"), "--max-cost needs the estimate of a server"),
        (("vote", float("nan"), 5, "postgres"), "must be above 0"),
        (("vote", -1.0, 5, "mysql"), "must be above 0"),
    ],
)
def test_a_choice_that_cannot_work_is_refused_at_the_start(settings, message):
    check_choice("tests", None, 5, "sqlite")
    check_choice("csc", 1e9, 5, "postgres")
    with pytest.raises(ChakuError, match=message):
        check_choice(*settings)
