"""Answers a question with rows: links the schema, samples queries, checks and runs them, and votes by result."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.sql.answer.hidden_rows import hidden_tables
from chaku.sql.answer.sentence import sentence
from chaku.sql.answer.wording import in_words
from chaku.sql.ask.answers import (
    Answer,
    Linked,
    Ran,
    Step,
    Written,
    guesses,
    one_question,
    refuse,
    said_cut,
    said_no_answer,
    value_assumptions,
)
from chaku.sql.ask.candidates import Candidate, trouble_with, try_texts
from chaku.sql.ask.context import Context
from chaku.sql.ask.memory import Memory
from chaku.sql.ask.privacy import fill_values, trouble_without_values, without_values
from chaku.sql.ask.prompt import linked_prompt
from chaku.sql.ask.replies import extract_sql
from chaku.sql.ask.said_period import correct_period, said_period
from chaku.sql.ask.selection import SECOND_LOOKS, by_tests, by_votes, check_choice, two_results
from chaku.sql.ask.settings import NUM_SAMPLES, Select
from chaku.sql.ask.writer import Writer
from chaku.sql.execute.check import check
from chaku.sql.execute.database import Database
from chaku.sql.execute.runner import MAX_BYTES, MAX_ROWS, TIMEOUT, Result
from chaku.sql.glossary.query import NoAnswer
from chaku.sql.glossary.rules import CurrentRules, RuleAnswer, Rules
from chaku.sql.schema.definition import Schema, on_one_line
from chaku.sql.schema.introspect import one_line
from chaku.sql.schema.knowledge import Knowledge
from chaku.sql.schema.meaning import Meaning
from chaku.sql.schema.private import without_private

REPAIRS = 1  # further rounds, with the error of a query in the prompt
UNSURE = 0.4  # an answer is called unsure if its result has a smaller share of the votes


class Asker:
    """Answers questions about one database, whose schema and values it has read, with a writer of queries.

    `send_values`: False keeps all cells from the writer; see `privacy`. `min_confidence`: refuse to answer if a smaller
    share of the samples agrees. `reply`: a model's reply to a message; asked for the sentence about the rows, which is
    kept if it says what the rows say (`wording`).
    `select`: how one of several results is chosen; see `selection`. `max_cost`: queries do not run if the server
    estimates a higher cost; see `cost`.
    `rules`: a glossary of words; questions in the scope of its metrics are answered by rule, without the writer.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        *,
        memory: Memory | None = None,
        num_samples: int = NUM_SAMPLES,
        timeout: float = TIMEOUT,
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
        knowledge: Knowledge | None = None,
        send_values: bool = True,
        min_confidence: float = 0.0,
        reply: Callable[[str], str] | None = None,
        rules: CurrentRules | None = None,
        select: Select = "vote",
        max_cost: float | None = None,
        meaning: Meaning | None = None,
    ):
        self.database, self.writer, self.memory = database, writer, memory
        self.num_samples, self.timeout, self.max_rows, self.max_bytes = num_samples, timeout, max_rows, max_bytes
        self.knowledge = knowledge or Knowledge(database)
        self.send_values, self.min_confidence = send_values, min_confidence
        self.reply = reply
        if reply and not send_values:
            raise ChakuError(
                "a sentence of the model needs the rows, which --no-values keeps from it; leave out --words"
            )
        check_choice(select, max_cost, num_samples, database.dialect)
        if min_confidence and num_samples == 1:
            raise ChakuError("--min-confidence asks how many queries agree; give --samples 5, for example")
        self.select, self.max_cost = select, max_cost
        self._rules, self.meaning = rules, meaning

    @property
    def schema(self) -> Schema:
        """The schema, as the last question saw it."""
        return self.knowledge.schema

    def ask(self, question: str) -> Answer:
        """The answer, or a refusal. Wrong text from a model raises no exception."""
        self.knowledge.refresh()
        for step in self.steps(question):
            if isinstance(step, Answer):
                return step
        raise AssertionError("the last step is the answer")

    def rules(self) -> Rules | None:
        """The glossary at work on the database as it was last read; None without a glossary."""
        return self._rules.read() if self._rules else None

    def steps(self, question: str, num_samples: int | None = None, context: Context | None = None) -> Iterator[Step]:
        """The steps to the answer, as they are done; the last step is the answer. `num_samples`: of this question.

        `context`: of a conversation, which has asked the rules already. Uses the schema and the values as they were
        last read (`knowledge.refresh`).
        """
        num_samples = num_samples or self.num_samples
        question = one_question(question)
        rules = self.rules()
        ruled = rules.answer(question, date.today()) if rules and context is None else None
        if ruled is not None:
            yield from self.by_rule(question, ruled)
            return
        matches = self.knowledge.values.find(question)
        examples = self._examples(question) if self.send_values else []  # remembered questions and queries quote cells
        shown_schema, hints = without_private(self.schema), []
        if rules:
            matches = [*rules.matches(question), *matches]
            shown_schema, hints = rules.schema_for(question), rules.hints(question, with_values=self.send_values)
        period = said_period(question, date.today())
        if period and period.hint:
            hints = [*hints, period.hint]
        if context:
            matches = context.narrowed(matches)
            hints = [context.before, *hints] if context.before else hints
        if not self.send_values:
            shown_schema = without_values(shown_schema)
        answer = Answer(question, matches=tuple(matches))
        prompt_with = partial(
            linked_prompt, shown_schema, question, matches if self.send_values else (), meanings=hints,
            examples=examples, form=self.writer.form, count_tokens=self.writer.count_tokens,
            max_tokens=self.writer.max_prompt_tokens, meaning=self.meaning,
        )  # fmt: skip

        def change(sql: str) -> tuple[str, tuple[str, ...]]:
            filled = sql if self.send_values else fill_values(sql, matches)
            return correct_period(filled, period, self.schema) if period else (filled, ())

        candidates: list[Candidate] = []
        trouble = ""
        for _ in range(1 + REPAIRS):
            prompt, shown = prompt_with(trouble=trouble)
            tables = tuple(table.name for table in shown.tables)
            answer = replace(answer, assumptions=self._by_words_alone(question), tables=tables)
            if not any(table.columns for table in shown.tables):
                room = f"a prompt of {self.writer.max_prompt_tokens} tokens; ask a shorter question"
                reason = (
                    f"the question leaves no room for a table in {room}" if self.schema.tables else "it has no tables"
                )
                yield refuse(answer, reason, candidates, prompt.dropped)
                return
            yield Linked(tables)
            written: dict[int, str] = {}
            for number, text in self.writer.write_each(prompt.text, shown, num_samples):
                written[number] = text
                queries = dict.fromkeys(extract_sql(written[sample]) for sample in sorted(written))
                yield Written(tuple(queries), len(written))
            texts = [written[sample] for sample in sorted(written)]
            if refusal := said_no_answer(texts):
                yield refuse(answer, f"the model says: {refusal}", candidates, prompt.dropped)
                return
            for candidate in try_texts(texts, self.schema, self.run, change=change):
                candidates.append(candidate)
                yield Ran(candidate)
            if not (trouble := trouble_with(candidates)):
                break
            if not self.send_values:
                trouble = trouble_without_values(candidates[0])
        dropped = (*self.knowledge.unreadable, *prompt.dropped)
        if all(not candidate.result.ok for candidate in candidates):
            reason = f"no query fits the schema and runs; the likeliest: {candidates[0].result.reason}"
            yield refuse(answer, reason, candidates, dropped)
            return
        looked: list[Candidate] = []
        note = ""
        if self.select == "csc" and (said := two_results(candidates, send_values=self.send_values)):
            prompt, shown = prompt_with(trouble=said)
            sees_both = said in prompt.text  # a small prompt drops hints that do not fit
            note = "" if sees_both else "no second look: the prompt has no room for two queries"
            written = dict(self.writer.write_each(prompt.text, shown, SECOND_LOOKS)) if sees_both else {}
            texts = [written[sample] for sample in sorted(written)]
            for candidate in try_texts(texts, self.schema, self.run, change=change):
                looked.append(candidate)
                yield Ran(candidate)
        if self.select == "tests":
            choice = by_tests(candidates, num_samples, Path(self.database.location))
        else:
            choice = by_votes(candidates, num_samples, looked)
        best, share = choice.candidate, choice.share
        if share < self.min_confidence:
            reason = (
                f"only {share:.0%} of the samples agree on a result, and at least {self.min_confidence:.0%} must "
                "(--min-confidence)"
            )
            yield refuse(answer, reason, candidates, dropped)
            return
        assumptions = [
            *answer.assumptions,
            *(words for words in (note, choice.note) if words),
            *best.changes,
            *value_assumptions(best.sql, matches),
            *guesses(question, shown_schema, matches),
        ]
        if share < UNSURE:
            assumptions.append(f"unsure: only {share:.0%} of the samples have this result")
        assumptions += said_cut(best.result)
        yield replace(
            answer,
            sql=best.sql,
            result=best.result,
            sentence=self._sentence(question, best),
            confidence=share,
            assumptions=tuple(assumptions),
            dropped=dropped,
            candidates=tuple(candidates),
        )

    def _sentence(self, question: str, best: Candidate) -> str:
        hidden = hidden_tables(best.sql, self.schema)
        said = in_words(question, best.result, self.reply) if self.reply and not hidden else ""
        return said or sentence(question, best.sql, best.result, self.schema.dialect, hidden)

    def _by_words_alone(self, question: str) -> tuple[str, ...]:
        """What the answer must say if the embedder failed."""
        trouble = self.meaning.trouble(question) if self.meaning else ""
        return (f"nothing was found by meaning, only by words: {trouble}",) if trouble else ()

    def run(self, sql: str) -> Result:
        """Check and run a query of a model or of the user: the same rules hold for both."""
        limits: dict[str, Any] = {
            "timeout": self.timeout, "max_rows": self.max_rows, "max_bytes": self.max_bytes, "max_cost": self.max_cost,
        }  # fmt: skip
        return self.database.run(sql, schema=self.schema, **limits)

    def by_rule(self, question: str, ruled: RuleAnswer | NoAnswer, confidence: float = 1.0) -> Iterator[Step]:
        """The steps to an answer that needs no model. `confidence`: of the query that a rule has changed."""
        answer = Answer(question, by_rule=True)
        if isinstance(ruled, NoAnswer):
            yield refuse(answer, ruled.reason, (), ())
            return
        candidate = Candidate(ruled.sql, ruled.sql, 1, self.run(ruled.sql))
        yield Ran(candidate)
        if not candidate.result.ok:
            yield refuse(answer, f"{ruled.words}: {candidate.result.reason}", (candidate,), ())
            return
        yield replace(
            answer,
            sql=ruled.sql,
            result=candidate.result,
            sentence=self._sentence(question, candidate),
            confidence=confidence,
            assumptions=(ruled.words, *said_cut(candidate.result)),
            tables=ruled.tables,
            candidates=(candidate,),
        )

    def _examples(self, question: str) -> list[str]:
        """Approved queries for similar questions, each on one line."""
        pairs = self.memory.similar(question, meaning=self.meaning) if self.memory else []
        if self.schema.private:  # a pair may be older than the mark
            pairs = [pair for pair in pairs if not check(pair.query, self.schema)]
        return [f"like {one_line(pair.question)}: {on_one_line(pair.query)};" for pair in pairs]
