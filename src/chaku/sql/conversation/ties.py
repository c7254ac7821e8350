"""Finds a word of a question that is a value of several columns, of which none leads."""

from collections.abc import Sequence

from chaku.sql.schema.definition import Schema
from chaku.sql.schema.values import Match
from chaku.sql.schema.words import SMALL_WORDS, normalize, stem, words_of

SURE = 0.97  # the least score of a value, to ask in which column it is meant
MAX_CHOICES = 9
BESIDE = 2  # words between a column's name and its value: "the city called Rome"


def tied_values(
    question: str, matches: Sequence[Match], schema: Schema, chosen_before: Sequence[Match] = ()
) -> list[Match]:
    """The values of one phrase in several columns of which none leads; empty if every phrase is clear.

    A column leads that the user chose before, whose name stands beside the value ("the city Rome"), whose name and
    table the question says more fully, or whose table has fewer joins to a table that the question names; and "name"
    leads before "local name". Columns that a foreign key connects have the same meaning. Only the first unclear phrase
    counts, since a user gets one question.
    """
    preferred = {(match.table, match.column) for match in chosen_before}
    phrases = dict.fromkeys(match.phrase for match in matches if match.score >= SURE)
    for phrase in phrases:
        best = max(match.score for match in matches if match.phrase == phrase)
        found = {
            (match.table, match.column): match for match in matches if match.phrase == phrase and match.score == best
        }
        asked = set(words_of(question)) - set(words_of(phrase))
        near = _distances(schema, asked)
        ranks = {
            place: (
                place in preferred,
                _stands_beside(place[1], phrase, question),
                _rank(place, asked),
                -near.get(place[0], len(schema.tables)),
                -sum(_is_part(other, place) for other in found),
            )
            for place in found
        }
        leading = [found[place] for place in found if ranks[place] == max(ranks.values())]
        if 2 <= len(leading) <= MAX_CHOICES and not _are_keys(leading, schema):
            return leading
    return []


def _rank(place: tuple[str, str], asked: set[str]) -> float:
    table, column = (set(words_of(name)) for name in place)
    return len(table & asked) / max(len(table), 1) + 2 * len(column & asked) / max(len(column), 1)


def _is_part(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether the words of a column's name are some of those of another column of the table."""
    return one[0] == other[0] and set(words_of(one[1])) < set(words_of(other[1]))


def _stands_beside(column: str, phrase: str, question: str) -> bool:
    """Whether the column's name stands beside the value, small words between them apart."""
    words = [stem(word) for word in normalize(question).split() if word not in SMALL_WORDS]
    name, value = ([stem(word) for word in normalize(text).split()] for text in (column, phrase))
    places = [at for at in range(len(words)) if words[at : at + len(value)] == value]
    before = (words[max(at - len(name) - BESIDE, 0) : at] for at in places)
    after = (words[at + len(value) : at + len(value) + len(name)] for at in places)
    return any(name == part for part in after) or any(
        name == part[start : start + len(name)] for part in before for start in range(len(part))
    )


def _distances(schema: Schema, asked: set[str]) -> dict[str, int]:
    """The number of joins, by foreign keys, from each table to the nearest table whose whole name the question says."""
    links: dict[str, set[str]] = {table.name: set() for table in schema.tables}
    for table in schema.tables:
        for key in table.foreign_keys:
            if key.table in links:
                links[table.name].add(key.table)
                links[key.table].add(table.name)
    near = {name: 0 for name in links if set(words_of(name)) <= asked}
    queue = [*near]
    for name in queue:
        for other in links[name] - near.keys():
            near[other] = near[name] + 1
            queue.append(other)
    return near


def _are_keys(matches: Sequence[Match], schema: Schema) -> bool:
    """Whether foreign keys connect the columns of some matches."""
    places = {(match.table.lower(), match.column.lower()) for match in matches}
    for table in schema.tables:
        for key in table.foreign_keys:
            for column, reference in zip(key.columns, key.references, strict=False):
                if {(table.name.lower(), column.lower()), (key.table.lower(), reference.lower())} <= places:
                    return True
    return False
