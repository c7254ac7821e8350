"""Tells a follow-up from a question that stands alone.

A text is a follow-up if, in this order:

1. it begins or ends with a word that goes on ("and", "only", "no, I meant", "the same", "呢"), or
2. otherwise names no metric in a question that a rule answers by itself, and
   a. a word stands for the result before ("of those"), and comes before every name of the schema, or
   b. it has no word that begins a question, and begins inside of one ("by month", "in Peru", "top 5", "sorted by"), or
   c. it has nothing but values, periods and numbers ("Germany?", "March 2024").
"""

import re
from datetime import date

from chaku.sql.conversation.hearing import Heard
from chaku.sql.glossary.dates import find_period
from chaku.sql.glossary.function_words import find_part
from chaku.sql.glossary.text import tokens_of
from chaku.sql.schema.definition import Schema
from chaku.sql.schema.values import ValueIndex
from chaku.sql.schema.words import normalize, words_of

LIKE = 0.97  # the score of a value that the question names, perhaps in the plural
SILENT = ("", "a", "o")  # kinds of function words that may stand between values


def goes_on(heard: Heard, *, stands_alone: bool, schema: Schema, values: ValueIndex, today: date) -> bool:
    """Whether a text goes on with the turn before it. `stands_alone`: a rule answers it by itself."""
    if heard.marks - {"why"}:
        return True
    if stands_alone:
        return False
    if heard.refers_at >= 0:
        return not names_of(heard.rest[: heard.refers_at], schema)
    if heard.asks:
        return False
    return heard.begins_inside or _only_values(heard.rest, values, today)


def names_of(text: str, schema: Schema) -> set[str]:
    """The words of a text that the names of tables and columns have, too."""
    known = {
        word
        for table in schema.tables
        for name in (table.name, *(c.name for c in table.columns))
        for word in words_of(name)
    }
    return set(words_of(text)) & known


def _only_values(text: str, values: ValueIndex, today: date) -> bool:
    covered = {word for match in values.find(text) if match.score >= LIKE for word in match.phrase.split()}
    tokens, at, num_found = tokens_of(text), 0, 0
    while at < len(tokens):
        if period := find_period(tokens, at, today):
            at, num_found = at + period[1], num_found + 1
        elif tokens[at] == ",":
            at += 1
        elif tokens[at] in covered or re.sub(r"\s", "", tokens[at]) in "".join(covered):
            at, num_found = at + 1, num_found + 1
        elif (part := find_part(tokens, at)) and part[0] in SILENT:
            at += part[1]
        else:
            return False
    return num_found > 0 and bool(normalize(text))
