"""Which texts go on with the turn before: many cases in both directions."""

from pathlib import Path

import pytest

from chaku.sql.conversation.following import goes_on
from chaku.sql.conversation.hearing import hear
from sql.glossary.rulebooks import TODAY

CASES = [
    line.split("\t") for line in (Path(__file__).parent / "follow_ups.tsv").read_text(encoding="utf-8").splitlines()
]


def told(rules, text):
    lexicon = rules.lexicon
    alone = rules.understand(text, TODAY["shop"]) is not None
    follows = goes_on(hear(text), stands_alone=alone, schema=lexicon.schema, values=lexicon._index, today=TODAY["shop"])
    return "follow-up" if follows else "new"


def test_follow_ups_and_new_questions_are_told_apart(shop_rules):
    assert [(kind, text) for kind, text in CASES if told(shop_rules, text) != kind] == []
    assert min(sum(kind == wanted for kind, _ in CASES) for wanted in ("follow-up", "new")) >= 45


@pytest.mark.parametrize(
    ("text", "rest", "marks"),
    [
        ("And by month?", "by month", {"goes on"}),
        ("no, I meant paid orders only", "paid orders", {"corrects", "narrows"}),
        ("ok, and also by country, please", "by country, please", {"goes on", "adds"}),
        ("android phones", "android phones", set()),
        ("No orders in Peru?", "No orders in Peru", set()),
        ("那德国呢？", "德国", {"goes on"}),
        ("Why is March so low?", "is March so low", {"why"}),
        ("and why is that?", "is that", {"goes on", "why"}),
        ("", "", set()),
        ("and?", "", {"goes on"}),
    ],
)
def test_words_that_go_on_are_taken_off(text, rest, marks):
    heard = hear(text)
    assert (heard.rest, heard.marks) == (rest, marks)
