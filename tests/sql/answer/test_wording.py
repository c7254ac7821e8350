"""A model that lies: its sentence is kept only if every number and name is in the rows or the question."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.answer.wording import MAX_ROWS, in_words, says_only
from chaku.sql.execute.runner import Result

CITIES = Result("ok", "", ("city", "customers", "growth"), [("Lima", 1234, -5), ("New York", 12, 2.5)])
QUESTION = "How many customers does each city of the Americas have in 2024?"


@pytest.mark.parametrize(
    "sentence",
    [
        "Lima has 1234 customers and New York has 12.",
        "In 2024 Lima had 1,234 customers.",
        'The 2 cities are "Lima" and "New York".',
        "lima has most customers.",
        "Growth was -5 in Lima and 2.5 in New York.",
        "El crecimiento fue de −5 en Lima y de 2,5 en New York.",
        "在 Lima 有 1234 个客户。",
    ],
)
def test_what_the_rows_say_is_kept(sentence):
    assert in_words(QUESTION, CITIES, lambda prompt: f"{sentence}\n") == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "Lima has 1235 customers.",
        "Lima has 12345 customers.",
        "Paris has 1234 customers.",
        "Lima (not Paris) has 1234 customers.",
        "Lima has 123 customers.",
        "Lima has 1.234 customers.",
        "Lima has 12k customers.",
        "Growth was 5 in Lima.",
        "Growth was -5% in Lima.",
        "Lima has $12.",
        "Lima has twelve customers.",
        "Lima tiene mil clientes.",
        "Lima 有十二个客户。",
        "Lima and Paris have 12 customers.",
        'Lima and "paris" have 12 customers.',
        "Lima und «york city» haben 12.",
        "Lima and **cusco** have 12 customers.",
        "Lim has 12 customers, and York Town too.",
        "There are many customers.",
        "",
        "Lima " * 100,
    ],
)
def test_a_lie_is_not_kept(sentence):
    assert not says_only(sentence, QUESTION, CITIES)
    assert in_words(QUESTION, CITIES, lambda prompt: sentence) == ""


def test_the_model_is_told_all_rows_and_never_a_part_of_them():
    prompts = []

    def reply(prompt):
        prompts.append(prompt)
        return "1"

    in_words(QUESTION, CITIES, reply)
    assert "city | customers | growth\nLima | 1234 | -5\nNew York | 12 | 2.5\n" in prompts[0]
    many = Result("ok", "", ("n",), [(1,)] * (MAX_ROWS + 1))
    cut = Result("ok", "", ("n",), [(1,)], truncated=True)
    assert [in_words("how many", result, reply) for result in (many, cut, Result("ok"))] == ["", "", ""]
    assert len(prompts) == 1
