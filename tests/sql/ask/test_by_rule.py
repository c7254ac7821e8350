"""A glossary beside the model: which questions it answers, and what it tells the model about the others."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.plain import from_plain
from chaku.sql.ask.answers import Ran
from chaku.sql.ask.asker import Asker
from chaku.sql.execute.database import Database
from chaku.sql.execute.runner import Result
from chaku.sql.glossary.file import Glossary
from chaku.sql.glossary.rules import CurrentRules
from chaku.sql.schema.knowledge import Knowledge
from shop_database import make_shop

WORDS = {
    "tables": {
        "customers": {
            "synonyms": ["Kunde"],
            "columns": {"country": {"synonyms": ["Land"], "values": {"United Kingdom": ["Großbritannien"]}}},
        },
        "products": {"leave_out": True},
    },
    "metrics": {
        "buyers": {"expression": "count(*)", "table": "customers", "synonyms": ["head count"]},
        "units": {"expression": "sum(quantity)", "table": "order_items"},
        "sold": {"expression": "sum(price)", "table": "products", "filter": "category = 'Books'"},
    },
}


class Silent:
    """A writer that writes one query, and keeps its prompts."""

    form, max_prompt_tokens = "ddl", 2000

    def __init__(self):
        self.prompts = []

    def count_tokens(self, text):
        return len(text) // 3

    def write_each(self, prompt, schema, num_samples):
        self.prompts.append(prompt)
        return enumerate(["SELECT name FROM customers WHERE country = 'United Kingdom'"])


@pytest.fixture
def asker(tmp_path):
    with Database(str(make_shop(tmp_path / "shop.sqlite"))) as database:
        knowledge = Knowledge(database)
        rules = CurrentRules(from_plain(Glossary, WORDS, "words"), knowledge)
        yield Asker(database, Silent(), num_samples=1, knowledge=knowledge, rules=rules)


def test_a_question_in_a_metrics_scope_needs_no_model(asker):
    ran, answer = asker.steps("Head count by Land?")
    assert isinstance(ran, Ran)
    assert asker.writer.prompts == []
    assert (answer.by_rule, answer.confidence, answer.refusal, answer.tables) == (True, 1.0, "", ("customers",))
    assert answer.result.rows == [("France", 1), ("United Kingdom", 2), ("中国", 1)]
    assert answer.assumptions == ("by rule: buyers = count(*) of customers; by customers.country",)
    assert answer.as_json()["by_rule"] is True


def test_a_result_that_would_count_twice_is_refused(asker):
    [answer] = asker.steps("buyers by order placed")
    assert "customers" in answer.refusal
    assert "may have several rows of orders" in answer.refusal
    assert asker.writer.prompts == []


def test_without_values_the_model_sees_no_text_of_a_metric_and_its_query_gets_the_value(asker):
    asker.send_values = False
    answer = asker.ask("Welche head count hat kein Kunde in Großbritannien? sold in the UK")
    [prompt] = asker.writer.prompts
    assert "kunde is customers;" in prompt
    assert "United Kingdom" not in prompt
    assert "sold is" not in prompt
    assert answer.result.ok


def test_a_query_that_fails_is_refused_with_its_reason(asker, monkeypatch):
    monkeypatch.setattr(asker, "run", lambda sql: Result("failed", "too slow"))
    assert asker.ask("units").refusal == "by rule: units = sum(quantity) of order_items: too slow"


def test_the_model_is_told_what_the_words_of_other_questions_mean(asker):
    answer = asker.ask("Welche Kunde lebt in Großbritannien?")
    [prompt] = asker.writer.prompts
    assert "kunde is customers; grossbritannien is customers.country = 'United Kingdom';" in prompt
    assert "products" not in prompt
    assert not answer.by_rule
    assert answer.assumptions == ("\"grossbritannien\" is taken as customers.country = 'United Kingdom'",)
    asker.ask("buyers without a name?")
    assert "buyers is count(*) of customers;" in asker.writer.prompts[1]
