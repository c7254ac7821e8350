"""A glossary at work on one schema: answers questions by rule, and tells a model what the words of others mean."""

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from chaku.sql.glossary.check import require_fitting
from chaku.sql.glossary.file import ColumnEntry, Glossary, TableEntry
from chaku.sql.glossary.lexicon import Lexicon, Meanings
from chaku.sql.glossary.metrics import MetricWriter, in_words
from chaku.sql.glossary.query import MetricQuery, NoAnswer, Unclear
from chaku.sql.glossary.questions import understand
from chaku.sql.glossary.scope import Scope
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.schema.introspect import one_line
from chaku.sql.schema.private import without_private
from chaku.sql.schema.values import Match, ValueIndex

if TYPE_CHECKING:
    from chaku.sql.schema.knowledge import Knowledge


@dataclass(frozen=True)
class RuleAnswer:
    """The SQL of a question. `words`: the query as an assumption. `tables`: those that it reads."""

    sql: str
    words: str
    tables: tuple[str, ...]


class Rules:
    """A glossary with the schema and the values of its database. Raises Refused for metrics that do not fit."""

    def __init__(self, glossary: Glossary, schema: Schema, values: ValueIndex):
        self.glossary = glossary
        self.lexicon = Lexicon(glossary, schema, values)
        self.scope = Scope(glossary, schema, self.lexicon)
        self.writer = MetricWriter(glossary, schema, self.lexicon, self.scope)
        self.shown = _shown(schema, glossary)

    def answer(self, question: str, today: date) -> RuleAnswer | NoAnswer | None:
        """The query of a question in a metric's scope; NoAnswer for one that would count twice; None for the model."""
        query = self.understand(question, today)
        if isinstance(query, MetricQuery):
            return self.written(query)
        return query if isinstance(query, NoAnswer) else None

    def understand(self, question: str, today: date) -> MetricQuery | NoAnswer | Unclear | None:
        """What a question asks of a metric; see `questions.understand`."""
        return understand(question, self.lexicon, self.scope, today)

    def written(self, query: MetricQuery) -> RuleAnswer:
        """The SQL of a metric's query."""
        words = in_words(query, self.lexicon.metrics[query.metric])
        return RuleAnswer(self.writer.write(query), f"by rule: {words}", self.writer.tables(query))

    def hints(self, question: str, *, with_values: bool = True) -> list[str]:
        """What words of a question mean, one sentence each, for a prompt. `with_values`: metrics may quote texts."""
        hints = [self._hint(phrase, found) for phrase, found in self.lexicon.said_in(question)]
        return [hint for hint in hints if hint and (with_values or "'" not in hint)]

    def matches(self, question: str) -> list[Match]:
        """The values that words of a question mean by synonyms."""
        return self.lexicon.matches_in(question)

    def reached_by(self, question: str) -> set[str]:
        """The tables that can be joined to the metrics that a question names; empty if it names none."""
        named = {name for _, found in self.lexicon.said_in(question) for name in found.metrics}
        return {table for name in named for table in self.scope.reached(self.lexicon.metrics[name])}

    def schema_for(self, question: str) -> Schema:
        """The schema for a prompt: descriptions, and the question's own synonyms, stand in its comments."""
        words: dict[tuple[str, str], list[str]] = {}
        for phrase, found in self.lexicon.said_in(question):
            for name in found.metrics:
                words.setdefault((self.lexicon.metrics[name].table.name, ""), []).append(phrase)
            for column in found.columns:
                words.setdefault((column.table, "" if column.is_table else column.column), []).append(phrase)
        if not words:
            return self.shown

        def commented(table: Table) -> Table:
            columns = tuple(
                replace(column, comment=_joined(column.comment, words.get((table.name, column.name), [])))
                for column in table.columns
            )
            return replace(table, columns=columns, comment=_joined(table.comment, words.get((table.name, ""), [])))

        return replace(self.shown, tables=tuple(map(commented, self.shown.tables)))

    def _hint(self, phrase: str, found: Meanings) -> str:
        if found.metrics:
            metric = self.lexicon.metrics[found.metrics[0]]
            meaning = f"{metric.entry.expression} of {metric.table.name}"
            if metric.entry.filter:
                meaning += f" where {metric.entry.filter}"
            return f"{one_line(phrase)} is {one_line(meaning)};"
        places = [column.table if column.is_table else f"{column.table}.{column.column}" for column in found.columns]
        return f"{one_line(phrase)} is {' or '.join(places[:3])};" if places else ""


class CurrentRules:
    """A glossary at work on a database, as it is now. Raises ChakuError for a glossary that does not fit it."""

    def __init__(self, glossary: Glossary, knowledge: "Knowledge"):
        self.glossary, self.knowledge = glossary, knowledge
        self._rules: Rules | None = None
        self._known: tuple[Schema, ValueIndex] | None = None
        self.read()

    def read(self) -> Rules:
        """The rules, made again if the database has changed. A value that is gone does not matter."""
        schema, values = self.knowledge.schema, self.knowledge.values
        if self._rules is None or self._known is None or self._known[1] is not values or self._known[0] != schema:
            require_fitting(self.glossary, schema, is_unique=self.knowledge.database.is_unique)
            self._rules = Rules(self.glossary.public(), without_private(schema), values)
            self._known = (schema, values)
        return self._rules


def _joined(comment: str, words: list[str]) -> str:
    return one_line("; ".join(dict.fromkeys(text for text in (*words, comment) if text)))


def _shown(schema: Schema, glossary: Glossary) -> Schema:
    """The schema without the parts to leave out, and with the glossary's descriptions as comments."""
    entries = {name.lower(): entry for name, entry in glossary.tables.items()}
    tables = []
    for table in schema.tables:
        entry = entries.get(table.name.lower(), TableEntry())
        if entry.leave_out:
            continue
        known = {name.lower(): column for name, column in entry.columns.items()}
        columns = tuple(
            _described(column, known.get(column.name.lower(), ColumnEntry()))
            for column in table.columns
            if not known.get(column.name.lower(), ColumnEntry()).leave_out
        )
        keys = tuple(key for key in table.foreign_keys if {*key.columns} <= {column.name for column in columns})
        comment = one_line(entry.description) or table.comment
        tables.append(replace(table, columns=columns, comment=comment, foreign_keys=keys))
    kept = {table.name for table in tables}
    without = (
        replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key.table in kept)) for table in tables
    )
    return replace(schema, tables=tuple(without))


def _described(column: Column, entry: ColumnEntry) -> Column:
    return replace(column, comment=one_line(entry.description)) if entry.description else column
