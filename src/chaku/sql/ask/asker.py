"""A question to rows: link, write k queries, check, repair, run read-only, vote by result; or refuse, and say why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from chaku.sql.ask.candidates import Candidate, trouble_with, try_texts, vote
from chaku.sql.ask.memory import Memory
from chaku.sql.ask.prompt import linked_prompt
from chaku.sql.ask.writer import NO_ANSWER, Writer
from chaku.sql.execute.database import Database
from chaku.sql.execute.lexer import tokenize
from chaku.sql.execute.runner import MAX_ROWS, TIMEOUT, Result
from chaku.sql.schema.definition import Dropped, Schema, literal, on_one_line
from chaku.sql.schema.introspect import one_line
from chaku.sql.schema.knowledge import Knowledge
from chaku.sql.schema.linking import unlinked_words
from chaku.sql.schema.values import Match

NUM_SAMPLES = 5
REPAIRS = 1  # rounds in which the writer is told what was wrong
UNSURE = 0.4  # a result with a smaller share of the votes is said to be unsure


NOT_RUN = Result("failed", "no query was run")


@dataclass(frozen=True)
class Answer:
    """`refusal` is empty, or says why there is no answer. `confidence`: the winning result's share of all samples.

    `assumptions`: what was taken for granted on the way. `dropped`: parts of the schema that the prompt left out.
    """

    question: str
    sql: str = ""
    result: Result = NOT_RUN
    confidence: float = 0.0
    refusal: str = ""
    assumptions: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    tables: tuple[str, ...] = ()
    matches: tuple[Match, ...] = ()
    candidates: tuple[Candidate, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For `--json`. Decimals and bytes are text."""
        return {
            "question": self.question,
            "sql": self.sql,
            "columns": list(self.result.columns),
            "rows": [[_plain(cell) for cell in row] for row in self.result.rows],
            "truncated": self.result.truncated,
            "confidence": self.confidence,
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


class Asker:
    """A database with its schema and values read, and a writer; ready for questions."""

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        memory: Memory | None = None,
        num_samples: int = NUM_SAMPLES,
        timeout: float = TIMEOUT,
        max_rows: int = MAX_ROWS,
        knowledge: Knowledge | None = None,
    ):
        self.database, self.writer, self.memory = database, writer, memory
        self.num_samples, self.timeout, self.max_rows = num_samples, timeout, max_rows
        self.knowledge = knowledge or Knowledge(database)

    @property
    def schema(self) -> Schema:
        """What the last question saw."""
        return self.knowledge.schema

    def ask(self, question: str) -> Answer:
        """The answer, or a refusal: no exception for what a model wrote, however wrong."""
        question = on_one_line(question)
        self.knowledge.refresh()
        matches = self.knowledge.values.find(question)
        examples = self._examples(question)
        answer = Answer(question, matches=tuple(matches))
        candidates: list[Candidate] = []
        trouble = ""
        for _ in range(1 + REPAIRS):
            prompt, shown = linked_prompt(
                self.schema, question, matches, examples=examples, trouble=trouble, form=self.writer.form,
                count_tokens=self.writer.count_tokens, max_tokens=self.writer.max_prompt_tokens,
            )  # fmt: skip
            [texts] = self.writer.write([(prompt.text, shown)], self.num_samples)
            if said := _no_answer(texts):
                return _refusal(answer, f"the model says: {said}", candidates, prompt.dropped)
            candidates = [*candidates, *try_texts(texts, self.schema, self.run)]
            if not (trouble := trouble_with(candidates)):
                break
        dropped = (*self.knowledge.unreadable, *prompt.dropped)
        answer = replace(answer, tables=tuple(table.name for table in shown.tables))
        if all(not candidate.result.ok for candidate in candidates):
            reason = f"no query that was written fits the schema or runs; the likeliest: {candidates[0].result.reason}"
            return _refusal(answer, reason, candidates, dropped)
        best, share = vote(candidates, self.num_samples)
        assumptions = [*best.changes, *_value_assumptions(best.sql, matches), *self._guesses(question, matches)]
        if share < UNSURE:
            assumptions.append(f"unsure: only {share:.0%} of the samples agree on this result")
        if best.result.truncated:
            assumptions.append(f"the result is cut after {len(best.result.rows)} rows")
        return replace(
            answer,
            sql=best.sql,
            result=best.result,
            confidence=share,
            assumptions=tuple(assumptions),
            dropped=dropped,
            candidates=tuple(candidates),
        )

    def run(self, sql: str) -> Result:
        """The rows of a query, a model's or the user's own: both are checked, and run, in the same way."""
        return self.database.run(sql, schema=self.schema, timeout=self.timeout, max_rows=self.max_rows)

    def _guesses(self, question: str, matches: Sequence[Match]) -> list[str]:
        """What is said where no word of the question is a name or a value: a synonym, another language or subject."""
        unknown = unlinked_words(question, self.schema, matches)
        if unknown is None or not unknown.words or unknown.linked:
            return []
        return [f"a guess: nothing in {self.schema.name} is called like {', '.join(unknown.words)}"]

    def _examples(self, question: str) -> list[str]:
        """Approved queries of like questions, each on one line."""
        pairs = self.memory.similar(question) if self.memory else []
        return [f"like {one_line(pair.question)}: {on_one_line(pair.query)};" for pair in pairs]


def _refusal(answer: Answer, reason: str, candidates: Sequence[Candidate], dropped: Sequence[Dropped]) -> Answer:
    return replace(
        answer,
        result=Result("failed", reason),
        refusal=reason,
        candidates=tuple(candidates),
        dropped=tuple(dropped),
    )


def _no_answer(texts: Sequence[str]) -> str:
    """What a writer says that most of its samples refuse with."""
    said = [text.strip() for text in texts if text.strip().upper().startswith(NO_ANSWER)]
    return one_line(said[0]) if 2 * len(said) > len(texts) else ""


def _value_assumptions(sql: str, matches: Sequence[Match]) -> list[str]:
    """What the question's words were taken for: a value that the query has, of a table that it reads."""
    named = {token.text.strip('"`[]').lower() for token in tokenize(sql) if token.kind in ("word", "quoted")}
    return [
        f'"{match.phrase}" is taken as {match.table}.{match.column} = {literal(match.value)}'
        for match in matches
        if literal(match.value) in sql
        and match.phrase != match.value
        and match.table.lower().rsplit(".", 1)[-1] in named
    ]


def _plain(cell: Any) -> Any:
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    return cell if cell is None or isinstance(cell, bool | int | float | str) else str(cell)
