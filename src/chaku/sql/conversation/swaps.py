"""Puts a new value or period into the model's query, by rule: "and France?" after "total sales in Germany?"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlglot import exp

from chaku.sql.conversation.condition_reader import read_conditions
from chaku.sql.conversation.conditions import Condition, Conditions, Place
from chaku.sql.conversation.hearing import Heard
from chaku.sql.conversation.periods import dated
from chaku.sql.execute.check import parse_query
from chaku.sql.execute.parse import Refused
from chaku.sql.execute.read_only import write_sql
from chaku.sql.glossary.dates import Period, find_period
from chaku.sql.glossary.function_words import find_part
from chaku.sql.glossary.query import During, MetricQuery
from chaku.sql.glossary.text import tokens_of
from chaku.sql.schema.definition import Schema, literal
from chaku.sql.schema.values import CODE, Match, ValueIndex, is_written
from chaku.sql.schema.words import normalize, words_of

MAX_MATCHES = 1_000  # of a follow-up: a value may be in many columns, and the query's own column counts


@dataclass(frozen=True)
class Swap:
    """The query with new values. `words`: the change, for the user. `values`: the new values in their columns."""

    sql: str
    words: str
    values: tuple[Match, ...] = ()


@dataclass(frozen=True)
class _Change:
    """A new value or period for a condition. `said`: the new one, for a reader."""

    condition: Condition
    new: str | Period
    match: Match | None = None

    @property
    def said(self) -> str:
        table, column = self.condition.place
        new = literal(self.new) if isinstance(self.new, str) else str(self.new)
        return f"{table}.{column} = {new} in the place of {self.condition.said}"


def swaps(
    sql: str, heard: Heard, schema: Schema, values: ValueIndex, synonyms: Sequence[Match], today: date
) -> list[Swap]:
    """The queries that a follow-up may mean: one if it is clear, several if several literals fit, none for the model.

    A follow-up must have nothing but values of columns that the query compares with a text, periods in the place of the
    query's own, and words without a meaning of their own. `synonyms`: values that the glossary's words mean.
    """
    if heard.marks & {"adds", "compares", "all", "why"}:
        return []
    try:
        tree = parse_query(sql, schema)
    except Refused:
        return []
    conditions = read_conditions(tree, schema, lambda place, text: _has(values, place, text))
    said = _read(heard, conditions, [*synonyms, *values.find(heard.plain, limit=MAX_MATCHES)], today)
    options = [_options(part, conditions, heard) for part in said]
    if not options or not all(options) or sum(len(fitting) > 1 for fitting in options) > 1:
        return []
    plans = [[*(fitting[0] for fitting in options if len(fitting) == 1)]]
    if several := next((fitting for fitting in options if len(fitting) > 1), None):
        plans = [[*plans[0], change] for change in several]
    made = [_written(tree, plan, conditions, schema) for plan in plans]
    return [swap for swap in made if swap] if all(made) else []


@dataclass(frozen=True)
class _Said:
    """A part of a follow-up: a period, or the matches of a phrase. `named`: words beside it that name a column."""

    period: Period | None = None
    matches: tuple[Match, ...] = ()
    named: frozenset[str] = frozenset()


def _read(heard: Heard, conditions: Conditions, matches: Sequence[Match], today: date) -> list[_Said]:
    """The values and periods of a follow-up; empty if it has another word."""
    periods = tuple(condition.period for condition in conditions.known if condition.period)
    texts = dated(heard.plain, MetricQuery("", filters=(During(periods),)), ())
    if len(texts) != 1:
        return []
    phrases: dict[tuple[str, ...], list[Match]] = {}
    for match in matches:
        if match.score >= CODE:
            phrases.setdefault(tuple(tokens_of(match.phrase)), []).append(match)
    names = {word for condition in conditions.known for word in _names(condition.place)}
    tokens, at = tokens_of(texts[0]), 0
    found: list[_Said] = []
    named: set[str] = set()
    while at < len(tokens):
        phrase = _phrase_at(tokens, at, phrases)
        period = find_period(tokens, at, today)
        if phrase and (not period or len(phrase) >= period[1]):
            found.append(_Said(matches=tuple(phrases[phrase])))
            at += len(phrase)
        elif period:
            found.append(_Said(period[0]))
            at += period[1]
        elif (part := find_part(tokens, at)) and part[0] == "":
            at += part[1]
        elif tokens[at] == ",":
            at += 1
        elif (words := set(words_of(tokens[at]))) and words <= names:
            named |= words
            at += 1
        else:
            return []
    if named and len(found) > 1:
        return []
    return [replace(part, named=frozenset(named)) for part in found]


def _phrase_at(
    tokens: Sequence[str], at: int, phrases: Mapping[tuple[str, ...], list[Match]]
) -> tuple[str, ...] | None:
    fitting = [phrase for phrase in phrases if phrase and tuple(tokens[at : at + len(phrase)]) == phrase]
    return max(fitting, key=len, default=None)


def _options(said: _Said, conditions: Conditions, heard: Heard) -> list[_Change]:
    """The changes that a part of a follow-up may mean; empty if no condition fits, or a condition is not understood."""
    if said.period:
        found = [_Change(one, said.period) for one in conditions.known if one.period]
    else:
        found = [
            _Change(one, match.value, match)
            for one in conditions.known
            if one.period is None
            for match in _best([match for match in said.matches if _place(match) == _lower(one.place)], heard)
        ]
    found = [change for change in found if said.named <= _names(change.condition.place)]
    places = {_lower(change.condition.place) for change in found}
    if places & {_lower(place) for place in conditions.unknown}:
        return []
    if len(found) > 1 and len(places) == 1 and len({change.new for change in found}) == 1:
        all_of_them = _together(found)
        # "Only France" leaves none of the old values.
        found = [all_of_them] if "narrows" in heard.marks else [*found, all_of_them]
    return found if all(change.condition.fits(change.new) for change in found) else []


def _best(matches: Sequence[Match], heard: Heard) -> list[Match]:
    """The matches of one phrase in one column: those that are written so, or else the likeliest."""
    written = [match for match in matches if is_written(match.value, heard.text)]
    best = max((match.score for match in matches), default=0.0)
    likely = written or [match for match in matches if match.score == best]
    return list({match.value: match for match in likely}.values())


def _together(changes: Sequence[_Change]) -> _Change:
    """One new value in the place of several: "and France?" after "in Germany and Italy"."""
    conditions = [change.condition for change in changes]
    slots = tuple(slot for condition in conditions for slot in condition.slots)
    said = " and ".join(condition.said for condition in conditions)
    return replace(changes[0], condition=replace(conditions[0], said=said, slots=slots))


def _written(tree: exp.Expr, plan: Sequence[_Change], conditions: Conditions, schema: Schema) -> Swap | None:
    """The query with the changes; None if it says an old value elsewhere too, or cannot be written."""
    slots = [(slot, change) for change in plan for slot in change.condition.slots]
    if len({id(slot.literal) for slot, _ in slots}) < len(slots) or _is_said_elsewhere(tree, plan, conditions):
        return None
    old = [(slot.literal, slot.literal.name) for slot, _ in slots]
    try:
        for slot, change in slots:
            slot.literal.set("this", slot.text(change.new))
        sql = write_sql(_without_repeats(tree), schema.dialect)
    except Refused:
        return None
    finally:
        for node, text in old:
            node.set("this", text)
    words = "; ".join(change.said for change in plan)
    return Swap(sql, words, tuple(change.match for change in plan if change.match))


def _is_said_elsewhere(tree: exp.Expr, plan: Sequence[_Change], conditions: Conditions) -> bool:
    """Whether a result's name, or a text outside the conditions, says the old value: it would be wrong afterwards."""
    known = {id(slot.literal) for condition in conditions.known for slot in condition.slots}
    said = [set(words_of(slot.literal.name)) for change in plan for slot in change.condition.slots]
    labels = [alias.alias for alias in tree.find_all(exp.Alias)]
    labels += [node.name for node in tree.find_all(exp.Literal) if node.is_string and id(node) not in known]
    return any(words and words <= set(words_of(label)) for words in said for label in labels)


def _without_repeats(tree: exp.Expr) -> exp.Expr:
    """The tree without equal values in a list of IN."""
    tree = tree.copy()
    for node in tree.find_all(exp.In):
        if node.expressions:
            node.set("expressions", list(dict.fromkeys(node.expressions)))
    return tree


def _has(values: ValueIndex, place: Place, text: str) -> bool:
    return any(_lower(of[:2]) == _lower(place) for of in values.places.get(normalize(text), ()))


def _names(place: Place) -> set[str]:
    return {word for name in place for word in words_of(name)}


def _place(match: Match) -> Place:
    return match.table.lower(), match.column.lower()


def _lower(place: Place) -> Place:
    return place[0].lower(), place[1].lower()
