"""A conversation with a database: every question in the context of the turns before it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date

from chaku.errors import ChakuError
from chaku.sql.ask.answers import Answer, one_question, refuse
from chaku.sql.ask.answers import Step as AskerStep
from chaku.sql.ask.asker import Asker
from chaku.sql.ask.context import Context
from chaku.sql.conversation.planning import Plan, Planner
from chaku.sql.conversation.swaps import Swap
from chaku.sql.conversation.turns import Turn, asked_together, say_turns
from chaku.sql.conversation.unclear import Clarify, chosen, is_number, said_value, unused_choice
from chaku.sql.glossary.query import IsIn, MetricQuery, NoAnswer
from chaku.sql.glossary.rules import RuleAnswer
from chaku.sql.schema.values import Match

CONTEXT_TOKENS = 600  # of a prompt, for earlier turns
CONTEXT_SHARE = 4  # earlier turns take at most a quarter of a prompt
MAX_TURNS = 20
MAX_THREAD = 6  # questions that a prompt asks together: the first, and the last of those that went on with it

Step = AskerStep | Clarify


class Session:
    """A conversation over an asker.

    A follow-up to a metric's query changes this query by rule. A follow-up with nothing but a new value or period
    changes the model's query by rule. For other follow-ups, the model gets the queries and first rows of earlier turns:
    at most `max_tokens` tokens, and a quarter of the prompt. A follow-up's answer says so in its assumptions. A
    correction ("no, I meant ...") takes the place of the last turn. Nothing is remembered as an approved pair.

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
        self.asker, self.max_tokens, self.max_rows = asker, max_tokens, max_rows
        self._planner = Planner(asker, today)
        self.turns: list[Turn] = []
        self._asked: tuple[Clarify, list[Plan]] | None = None  # the question back that waits for a choice

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
        plans, clarify = self._planner.plans(text, self.turns)
        if clarify and not asked:
            self._asked = clarify, plans
            yield clarify
            return
        yield from self._answer(Plan(plans[0].thread, notes=plans[0].notes) if clarify else plans[0], num_samples)

    def back(self) -> Turn | None:
        """Forget the last turn, and return to the one before; None if there is none before."""
        self._asked = None
        if self.turns:
            self.turns.pop()
        return self.turns[-1] if self.turns else None

    def new(self) -> None:
        """Forget all turns."""
        self.turns, self._asked = [], None

    def _answer(self, plan: Plan, num_samples: int | None) -> Iterator[Step]:
        question = asked_together(plan.thread)
        notes, asked = plan.notes, plan.query
        if isinstance(asked, MetricQuery):
            if plan.may_clash:
                asked, left_out = self._without_clash(asked)
                notes = (*left_out, *notes)
            rules = self.asker.rules()
            assert rules
            steps = self.asker.by_rule(question, rules.written(asked))
        elif isinstance(asked, Swap):
            steps = self._swapped(question, asked)
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

    def _swapped(self, question: str, swap: Swap) -> Iterator[AskerStep]:
        """The steps to the answer of the query before with another value; it is as sure as the query before was."""
        before = self.turns[-1].answer
        words = f"by rule: {swap.words}; the rest of the query before stays"
        return self.asker.by_rule(question, RuleAnswer(swap.sql, words, before.tables), before.confidence)

    def _context(self, plan: Plan) -> tuple[str, Context, tuple[str, ...]]:
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

    def _keep(self, plan: Plan, answer: Answer, query: MetricQuery | None) -> None:
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


def _place_of(match: Match) -> str:
    return f"{match.phrase} is in {match.table}.{match.column}"


def _is_empty(rows: list[tuple[object, ...]], num_groups: int) -> bool:
    """Whether a metric has no number, or only zeros."""
    return all(cell is None or cell == 0 for row in rows for cell in row[num_groups:])
