"""An answer, the steps to it, and what it says about the guesses on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chaku.errors import ChakuError
from chaku.sql.ask.candidates import Candidate
from chaku.sql.ask.writer import NO_ANSWER
from chaku.sql.execute.json_cells import json_rows
from chaku.sql.execute.lexer import tokenize
from chaku.sql.execute.runner import Result
from chaku.sql.schema.definition import Dropped, Schema, literal, on_one_line
from chaku.sql.schema.introspect import one_line
from chaku.sql.schema.linking import unlinked_words
from chaku.sql.schema.values import Match

NOT_RUN = Result("failed", "no query was run")
MAX_QUESTION = 4_000  # characters


def one_question(text: str) -> str:
    """A question on one line. Raises ChakuError for a text that is too long for a question."""
    if len(text) > MAX_QUESTION:
        raise ChakuError(f"the question has {len(text):,} characters; it may have {MAX_QUESTION:,}")
    return on_one_line(text)


@dataclass(frozen=True)
class Answer:
    """The answer to a question. `refusal`: why there is no answer; empty for an answer.

    `sentence`: says the rows in the question's language. `confidence`: the share of samples with this result.
    `assumptions`: sentences about guesses on the way. `dropped`: parts of the schema that the prompt left out.
    `matches`: values in the question. `candidates`: all queries. `by_rule`: a metric of the glossary gave the query, or
    a new value in the query before, and no model was asked for it; `confidence` is 1, or that of the query before.
    """

    question: str
    sql: str = ""
    result: Result = NOT_RUN
    sentence: str = ""
    confidence: float = 0.0
    refusal: str = ""
    assumptions: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    tables: tuple[str, ...] = ()
    matches: tuple[Match, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    by_rule: bool = False

    def as_json(self) -> dict[str, Any]:
        """The answer as JSON values, for `--json`."""
        return {
            "question": self.question,
            "sql": self.sql,
            "columns": list(self.result.columns),
            "rows": json_rows(self.result.rows),
            "truncated": self.result.truncated,
            "sentence": self.sentence,
            "confidence": self.confidence,
            "by_rule": self.by_rule,
            "refusal": self.refusal,
            "assumptions": list(self.assumptions),
            "dropped": [str(part) for part in self.dropped],
            "tables": list(self.tables),
            "candidates": [
                {
                    "sql": candidate.sql,
                    "votes": candidate.votes,
                    "status": candidate.result.status,
                    "reason": candidate.result.reason,
                }
                for candidate in self.candidates
            ],
        }


@dataclass(frozen=True)
class Linked:
    """A step to an answer: the prompt shows these tables."""

    tables: tuple[str, ...]


@dataclass(frozen=True)
class Written:
    """A step to an answer: the different queries that the first `num_samples` finished samples wrote."""

    queries: tuple[str, ...]
    num_samples: int


@dataclass(frozen=True)
class Ran:
    """A step to an answer: a query ran, or was refused."""

    candidate: Candidate


Step = Linked | Written | Ran | Answer


def refuse(answer: Answer, reason: str, candidates: Sequence[Candidate], dropped: Sequence[Dropped]) -> Answer:
    return replace(
        answer,
        result=Result("failed", reason),
        refusal=reason,
        candidates=tuple(candidates),
        dropped=tuple(dropped),
    )


def said_cut(result: Result) -> list[str]:
    return [f"the result is cut after {len(result.rows)} rows"] if result.truncated else []


def guesses(question: str, schema: Schema, matches: Sequence[Match]) -> list[str]:
    """A warning if no word of the question is a name or a value: a synonym, or another language or subject."""
    unknown = unlinked_words(question, schema, matches)
    if unknown is None or not unknown.words or unknown.linked:
        return []
    return [f"a guess: nothing in {schema.name} is called like {', '.join(unknown.words)}"]


def said_no_answer(texts: Sequence[str]) -> str:
    """The refusal of the writer if most samples refuse; otherwise ""."""
    refusals = [text.strip() for text in texts if text.strip().upper().startswith(NO_ANSWER)]
    return one_line(refusals[0]) if 2 * len(refusals) > len(texts) else ""


def value_assumptions(sql: str, matches: Sequence[Match]) -> list[str]:
    """Sentences about the question's words that the query uses as values of a table that it reads."""
    named = {token.text.strip('"`[]').lower() for token in tokenize(sql) if token.kind in ("word", "quoted")}
    return [
        f'"{match.phrase}" is taken as {match.table}.{match.column} = {literal(match.value)}'
        for match in matches
        if literal(match.value) in sql
        and match.phrase != match.value
        and match.table.lower().rsplit(".", 1)[-1] in named
    ]
