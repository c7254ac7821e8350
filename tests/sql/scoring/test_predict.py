"""Published questions to queries: in batches by database, with a vote, with a repair."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.errors import ChakuError
from chaku.sql.scoring.datasets import Example
from chaku.sql.scoring.predict import Asking, predict
from chaku.sql.training.example_prompts import ExamplePrompts, PromptSettings
from singers_database import SINGERS, write_database


class ScriptedWriter:
    """Writes what a test tells it for each question, one list of texts a round; keeps the prompts of each batch."""

    def __init__(self, **texts):
        self.texts = {question.replace("_", " "): list(rounds) for question, rounds in texts.items()}
        self.batches = []

    def write(self, asked, num_samples):
        self.batches.append([prompt for prompt, _ in asked])
        return [self.texts[prompt.strip().rsplit("-- ", 1)[1]].pop(0) for prompt, _ in asked]


@pytest.fixture
def ask(tmp_path):
    """ask(writer, *(question, database)) -> predictions in the order in which they came."""
    for name in ("music", "other"):
        write_database(tmp_path / name / f"{name}.sqlite", SINGERS)

    def one(writer, *asked, **asking):
        examples = [Example(question, "SELECT 1", database) for question, database in asked]
        prompts = ExamplePrompts(tmp_path, PromptSettings(link=True), len)
        batches = predict(examples, range(len(examples)), prompts, writer, tmp_path, Asking(**asking))
        return [prediction for batch in batches for prediction in batch]

    return one


def test_questions_are_asked_in_batches_sorted_by_database(ask):
    writer = ScriptedWriter(a=[["SELECT 1"]], b=[["SELECT 2"]], c=[["```sql\nSELECT 3;\n```"]], d=[["SELECT 4"]])
    made = ask(writer, ("a", "music"), ("b", "other"), ("c", "music"), ("d", "music"), batch_size=3)
    assert [len(batch) for batch in writer.batches] == [3, 1]
    assert [(example.index, example.sql) for example in made] == [
        (0, "SELECT 1"), (2, "SELECT 3"), (3, "SELECT 4"), (1, "SELECT 2")
    ]  # fmt: skip
    assert made[1].reply == "```sql\nSELECT 3;\n```"


def test_without_repair_a_query_stays_as_it_is_written(ask):
    [made] = ask(ScriptedWriter(a=[["SELECT names FROM singers"]]), ("a", "music"))
    assert made.sql == "SELECT names FROM singers"
    assert not made.asked_again


def test_the_result_that_most_samples_agree_on_is_predicted(ask):
    texts = ["SELECT count(*) FROM song", "SELECT 3 + 0", "SELECT 1 + 2", "SELECT nothing"]
    [made] = ask(ScriptedWriter(a=[texts]), ("a", "music"), num_samples=4)
    assert (made.sql, made.share) == ("SELECT 3 + 0", 0.5)


def test_repair_puts_names_right_and_asks_once_more_with_the_error(ask):
    writer = ScriptedWriter(
        plural=[["SELECT names FROM singers"]],
        wrong=[["SELECT city FROM singer"], ["SELECT country FROM singer"]],
        hopeless=[["SELECT city FROM singer"], ["SELECT town FROM singer"]],
    )
    made = ask(writer, ("plural", "music"), ("wrong", "music"), ("hopeless", "music"), repair=True)
    assert [example.sql for example in made] == [
        "SELECT name FROM singer", "SELECT country FROM singer", "SELECT city FROM singer"
    ]  # fmt: skip
    assert [example.asked_again for example in made] == [False, True, True]
    assert [example.share for example in made] == [1.0, 1.0, 0.0]
    assert len(writer.batches[1]) == 2
    assert "This query is wrong: SELECT city FROM singer." in writer.batches[1][0]


def test_a_query_without_rows_is_asked_again_if_that_is_wanted(ask):
    nothing, something = "SELECT name FROM singer WHERE country = 'peru'", "SELECT name FROM singer WHERE age = 30"
    writer = ScriptedWriter(a=[[nothing], [something]], b=[["SELECT 1"]])
    made = ask(writer, ("a", "music"), ("b", "music"), repair_empty=True)
    assert [example.sql for example in made] == [something, "SELECT 1"]
    assert [example.asked_again for example in made] == [True, False]
    assert f"This query gives no rows: {nothing}." in writer.batches[1][0]
    [made] = ask(ScriptedWriter(a=[[nothing]]), ("a", "music"), repair=True)
    assert made.sql == nothing


def test_a_second_look_chooses_between_the_two_most_frequent_results(ask):
    texts = ["SELECT 1", "SELECT 1", "SELECT count(*) FROM singer"]
    looked = ["SELECT count(id) FROM singer", "SELECT 1", "SELECT 4"]
    writer = ScriptedWriter(a=[texts, looked], sure=[["SELECT 2", "SELECT 2", "SELECT nothing"]])
    made = ask(writer, ("a", "music"), ("sure", "music"), num_samples=3, select="csc")
    assert [(example.sql, round(example.share, 2)) for example in made] == [
        ("SELECT count(*) FROM singer", 0.33), ("SELECT 2", 0.67)
    ]  # fmt: skip
    assert len(writer.batches[1]) == 1
    assert "Query 1: SELECT 1; gives 1 row: (1)." in writer.batches[1][0]


def test_queries_that_agree_on_other_data_vote_together(ask):
    lucky, right, same = "SELECT 4", "SELECT count(*) FROM singer", "SELECT count(id) FROM singer"
    texts = [lucky, lucky, right, same, "SELECT count(1) FROM singer", "SELECT 3", "SELECT 3"]
    [made] = ask(ScriptedWriter(a=[texts]), ("a", "music"), num_samples=7, select="tests")
    assert (made.sql, made.share) == (right, 3 / 7)


def test_a_choice_among_one_sample_is_refused():
    with pytest.raises(ChakuError, match="--select csc chooses among several queries; give --samples 5"):
        Asking(select="csc")


def test_a_question_that_cannot_be_asked_says_why(ask):
    made = ask(ScriptedWriter(a=[["SELECT 1"]]), ("a", "music"), ("x " * 2000, "music"), ("a", "nowhere"))
    assert made[0].sql == "SELECT 1"
    assert "the question fills all" in made[1].problem
    assert "nowhere.sqlite does not exist" in made[2].problem


def test_counts_are_at_least_one():
    with pytest.raises(ChakuError, match="num_samples is 0"):
        Asking(num_samples=0)
