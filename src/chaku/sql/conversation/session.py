"""A conversation with a database: every question in the context of the turns before it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from chaku.errors import ChakuError
from chaku.sql.ask.answers import Answer, Linked, Ran, Written, one_question, refuse
from chaku.sql.ask.asker import Asker
from chaku.sql.ask.context import Context
from chaku.sql.conversation import why
from chaku.sql.conversation.changes import change
from chaku.sql.conversation.following import goes_on, names_of
from chaku.sql.conversation.hearing import Heard, hear
from chaku.sql.conversation.periods import time_keys
from chaku.sql.conversation.ties import tied_values
from chaku.sql.conversation.turns import Turn, asked_together, say_turns
from chaku.sql.conversation.unclear import Clarify, ask_back, choices_of, chosen, is_number, said_value, unused_choice
from chaku.sql.glossary.metrics import in_words
from chaku.sql.glossary.query import IsIn, MetricQuery, NoAnswer, Unclear
from chaku.sql.glossary.rules import Rules
from chaku.sql.schema.values import Match

CONTEXT_TOKENS = 600  # of a prompt, for earlier turns
CONTEXT_SHARE = 4  # earlier turns take at most a quarter of a prompt
MAX_TURNS = 20
MAX_THREAD = 6  # questions that a prompt asks together: the first, and the last of those that went on with it

Step = Linked | Written | Ran | Answer | Clarify


@dataclass(frozen=True)
class _Plan:
    """How a text will be answered: by `query`, or by the model where it is None."""

    thread: tuple[str, ...]
    query: MetricQuery | NoAnswer | None = None
    notes: tuple[str, ...] = ()
    meant: tuple[Match, ...] = ()
    replaces: bool = False  # the last turn, which the user corrected
    may_clash: bool = False  # a new value may fit no row beside an old one


class Session:
    """A conversation over an asker.

    A follow-up to a metric's query changes this query by rule. For other follow-ups, the model gets the queries and
    first rows of earlier turns: at most `max_tokens` tokens, and a quarter of the prompt. A follow-up's answer says so
    in its assumptions. A correction ("no, I meant ...") takes the place of the last turn. Nothing is remembered as an
    approved pair.

    An unclear text gets one question back (`Clarify`); the next text is the user's choice, or a new question, which
    gets none. Not thread-safe. `max_rows`: that are kept of each turn; None keeps all. `today`: for "last month".
    """

    def __init__(
        self,
        asker: Asker,
        *,
        max_tokens: int = CONTEXT_TOKENS,
        max_rows: int | None = None,
        today: Callable[[], date] = date.today,
    ):
        self.asker, self.max_tokens, self.max_rows, self._today = asker, max_tokens, max_rows, today
        self.turns: list[Turn] = []
        self._asked: tuple[Clarify, list[_Plan]] | None = None  # the question back that waits for a choice

    def ask(self, text: str) -> Answer | Clarify:
        """The answer, or a question back. Raises ChakuError for a number that is none of the choices."""
        self.asker.knowledge.refresh()
        for step in self.steps(text):
            if isinstance(step, Answer | Clarify):
                return step
        raise AssertionError("the last step is the answer")

    def steps(self, text: str, num_samples: int | None = None) -> Iterator[Step]:
        """The steps to the answer, or to a question back; see `Asker.steps`."""
        text = one_question(text).strip()
        asked = self._asked
        if asked and (place := chosen(text, asked[0].choices)) is not None:
            self._asked = None
            yield from self._answer(asked[1][place], num_samples)
            return
        if asked and is_number(text):
            raise ChakuError(f"there is no choice {text}; give a number from 1 to {len(asked[1])}, or ask anew")
        self._asked = None
        plans, clarify = self._plans(text, self.asker.rules())
        if clarify and not asked:
            self._asked = clarify, plans
            yield clarify
            return
        yield from self._answer(_Plan(plans[0].thread, notes=plans[0].notes) if clarify else plans[0], num_samples)

    def back(self) -> Turn | None:
        """Forget the last turn, and return to the one before; None if there is none before."""
        self._asked = None
        if self.turns:
            self.turns.pop()
        return self.turns[-1] if self.turns else None

    def new(self) -> None:
        """Forget all turns."""
        self.turns, self._asked = [], None

    def _plans(self, text: str, rules: Rules | None) -> tuple[list[_Plan], Clarify | None]:
        """The plan for a text; or several with the question which of them is meant."""
        heard, last = hear(text), self.turns[-1] if self.turns else None
        alone = rules.understand(text, self._today()) if rules else None
        knowledge = self.asker.knowledge
        if last and goes_on(
            heard,
            stands_alone=alone is not None,
            schema=knowledge.schema,
            values=knowledge.values,
            today=self._today(),
        ):
            return self._followed(text, heard, last, rules)
        if last and "why" in heard.marks and (reasons := self._reasons(text, heard, last, rules)):
            return reasons
        plan = _Plan((text,), notes=("a query can say what is in the rows, not why",) if "why" in heard.marks else ())
        if isinstance(alone, MetricQuery | NoAnswer):
            return [replace(plan, query=alone)], None
        if isinstance(alone, Unclear) and rules:
            return _choose(plan, alone, rules)
        return self._clear(plan, text)

    def _followed(self, text: str, heard: Heard, last: Turn, rules: Rules | None) -> tuple[list[_Plan], Clarify | None]:
        if "why" in heard.marks:
            return self._reasons(text, heard, last, rules) or ([_Plan((*last.thread, text), why.NOTHING)], None)
        plan = _Plan(
            (*last.thread, text),
            notes=(f'taken as a follow-up to "{last.question}"',),
            replaces="corrects" in heard.marks,
            may_clash=not heard.marks & {"narrows", "adds", "compares"},
        )
        if last.query and rules:
            keys = time_keys(last.query, last.answer.result.rows)
            changed = change(last.query, heard, rules, self._today(), keys)
            if isinstance(changed, Unclear):
                return _choose(plan, changed, rules)
            if changed is not None:
                return [replace(plan, query=changed)], None
        if rules and isinstance(alone := rules.understand(heard.rest, self._today()), MetricQuery):
            # "And the revenue by country?", after a query of the model, stands alone.
            return [_Plan((text,), alone)], None
        return self._clear(plan, heard.rest)

    def _reasons(
        self, text: str, heard: Heard, last: Turn, rules: Rules | None
    ) -> tuple[list[_Plan], Clarify | None] | None:
        """The plan for "why is it so?" about the last turn; None for a question about something else."""
        plan = _Plan((*last.thread, text), notes=(f'taken as a follow-up to "{last.question}"',))
        if last.query and rules:
            earlier = [group for turn in reversed(self.turns) if turn.query for group in turn.query.groups]
            keys = time_keys(last.query, last.answer.result.rows)
            found = why.compare(last.query, heard, rules, self._today(), keys, earlier)
            if isinstance(found, why.Compared):
                return [replace(plan, query=found.query, notes=(found.words, *plan.notes))], None
            if isinstance(found, NoAnswer):
                return [replace(plan, query=found)], None
            if isinstance(found, Unclear):
                plan = replace(plan, notes=("a query cannot say why; this shows numbers to compare", *plan.notes))
                return _choose(plan, found, rules)
        return None if names_of(heard.rest, self.asker.schema) else ([replace(plan, query=why.NOTHING)], None)

    def _clear(self, plan: _Plan, text: str) -> tuple[list[_Plan], Clarify | None]:
        """The plan for the model; or several where a word is a value of several columns."""
        rules, schema = self.asker.rules(), self.asker.schema
        known = {match.phrase for match in rules.matches(text)} if rules else set()
        found = [match for match in self.asker.knowledge.values.find(text) if match.phrase not in known]
        if rules and (near := rules.reached_by(" ".join(plan.thread))):
            found = [match for match in found if match.table in near]
        chosen_before = self.turns[-1].meant if len(plan.thread) > 1 else ()
        tied = tied_values(" ".join(plan.thread), found, schema, chosen_before)
        if not tied:
            again = {(match.table, match.column) for match in chosen_before}
            meant = (match for match in found if (match.table, match.column) in again)
            return [replace(plan, meant=tuple(dict.fromkeys((*chosen_before, *meant))))], None
        plans = [replace(plan, meant=(*chosen_before, match)) for match in tied]
        return plans, ask_back(text, [said_value(match) for match in tied])

    def _answer(self, plan: _Plan, num_samples: int | None) -> Iterator[Step]:
        question = asked_together(plan.thread)
        notes, asked = plan.notes, plan.query
        if isinstance(asked, MetricQuery):
            if plan.may_clash:
                asked, left_out = self._without_clash(asked)
                notes = (*left_out, *notes)
            rules = self.asker.rules()
            assert rules
            steps = self.asker.by_rule(question, rules.written(asked))
        elif isinstance(asked, NoAnswer):
            steps = self.asker.by_rule(question, asked)
        else:
            full, context, unsaid = self._context(plan)
            notes = (*notes, *unsaid)
            steps = self.asker.steps(full, num_samples, context)
        for step in steps:
            if isinstance(step, Answer):
                if (unused := unused_choice(step.sql, plan.meant)) and not step.refusal:
                    reason = f"no query uses {unused}, which you chose; the likeliest: {step.sql}"
                    step = refuse(step, reason, step.candidates, step.dropped)
                step = replace(step, question=question, assumptions=(*step.assumptions, *notes))
                self._keep(plan, step, asked if isinstance(asked, MetricQuery) else None)
            yield step

    def _context(self, plan: _Plan) -> tuple[str, Context, tuple[str, ...]]:
        """(the question to the model, what it is told about earlier turns, what the answer must say about it)."""
        thread = (plan.thread[0], *plan.thread[1:][1 - MAX_THREAD :])
        with_cells = self.asker.send_values
        said = "".join(f" ({said_value(match) if with_cells else _place_of(match)})" for match in plan.meant)
        if len(thread) == 1:
            return thread[0] + said, Context(meant=plan.meant), ()
        writer = self.asker.writer
        turns = [turn for turn in self.turns if turn.thread == plan.thread[: len(turn.thread)]]
        most = min(self.max_tokens, writer.max_prompt_tokens // CONTEXT_SHARE)
        before = say_turns(turns, count_tokens=writer.count_tokens, max_tokens=most, with_cells=with_cells)
        unsaid = () if before or not with_cells else ("the query before had no room in the prompt; its question did",)
        return asked_together(thread) + said, Context(before, plan.meant), unsaid

    def _without_clash(self, query: MetricQuery) -> tuple[MetricQuery, tuple[str, ...]]:
        """The query without an old value that no row has beside the new one: "and in Paris?" after "in Peru"."""
        *others, new = query.filters or (None,)
        old = [one for one in others if isinstance(one, IsIn) and isinstance(new, IsIn) and one.table == new.table]
        old = [one for one in old if isinstance(new, IsIn) and one.column != new.column]
        rules = self.asker.rules()
        if not old or not rules or not _is_empty(self.asker.run(rules.written(query).sql).rows, len(query.groups)):
            return query, ()
        kept = replace(query, filters=tuple(one for one in query.filters if one not in old))
        if _is_empty(self.asker.run(rules.written(kept).sql).rows, len(query.groups)):
            return query, ()
        values = " and ".join(f"{one.table}.{one.column} = {' or '.join(map(repr, one.values))}" for one in old)
        return kept, (f"{values} is left out, since no row has both",)

    def _keep(self, plan: _Plan, answer: Answer, query: MetricQuery | None) -> None:
        """Keep a turn; a refusal is none, so that the next text goes on with the answer before it."""
        if answer.refusal:
            return
        if plan.replaces and self.turns:
            self.turns.pop()
        same = (candidate.written for candidate in answer.candidates if candidate.sql == answer.sql)
        turn = Turn(plan.thread, answer, query, plan.meant, written=next(same, ""))
        if self.max_rows is not None:
            rows = answer.result.rows[: self.max_rows]
            turn = replace(turn, answer=replace(answer, result=replace(answer.result, rows=rows), candidates=()))
        self.turns = [*self.turns, turn][-MAX_TURNS:]


def _choose(plan: _Plan, unclear: Unclear, rules: Rules) -> tuple[list[_Plan], Clarify]:
    choices = choices_of(unclear, lambda query: in_words(query, rules.lexicon.metrics[query.metric]))
    plans = [
        replace(plan, query=reading.query, notes=(f"you chose {words}", *plan.notes))
        for reading, words in zip(unclear.readings, choices, strict=True)
    ]
    return plans, ask_back(plan.thread[-1], choices)


def _place_of(match: Match) -> str:
    return f"{match.phrase} is in {match.table}.{match.column}"


def _is_empty(rows: list[tuple[object, ...]], num_groups: int) -> bool:
    """Whether a metric has no number, or only zeros."""
    return all(cell is None or cell == 0 for row in rows for cell in row[num_groups:])
