"""Decides how a text of a conversation will be answered: by a rule, by the model, or with a question back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from chaku.sql.ask.asker import Asker
from chaku.sql.conversation import period_comparison
from chaku.sql.conversation.changes import change
from chaku.sql.conversation.following import goes_on, names_of
from chaku.sql.conversation.hearing import Heard, hear
from chaku.sql.conversation.periods import time_keys
from chaku.sql.conversation.swaps import Swap, swaps
from chaku.sql.conversation.ties import tied_values
from chaku.sql.conversation.turns import Turn
from chaku.sql.conversation.unclear import Clarify, ask_back, choices_of, said_value
from chaku.sql.glossary.metrics import in_words
from chaku.sql.glossary.query import MetricQuery, NoAnswer, Unclear
from chaku.sql.glossary.rules import Rules
from chaku.sql.schema.values import Match

Plans = tuple[list["Plan"], Clarify | None]  # the plan; or several, and the question which of them is meant


@dataclass(frozen=True)
class Plan:
    """How a text will be answered: by `query`, or by the model where it is None.

    `thread`: the questions that the text goes on with, itself included. `notes`: what the answer says about the plan.
    `meant`: the values that the user chose. `replaces`: the user corrects the last turn, whose place the answer takes.
    `may_clash`: a new value may fit no row beside an old one.
    """

    thread: tuple[str, ...]
    query: MetricQuery | Swap | NoAnswer | None = None
    notes: tuple[str, ...] = ()
    meant: tuple[Match, ...] = ()
    replaces: bool = False
    may_clash: bool = False


class Planner:
    """Makes plans for the texts of one conversation. `today`: for "last month"."""

    def __init__(self, asker: Asker, today: Callable[[], date]):
        self.asker, self._today = asker, today

    def plans(self, text: str, turns: Sequence[Turn]) -> Plans:
        """The plan for a text after `turns`; or several with the question which of them is meant."""
        rules = self.asker.rules()
        heard, last = hear(text), turns[-1] if turns else None
        alone = rules.understand(text, self._today()) if rules else None
        knowledge = self.asker.knowledge
        if last and goes_on(
            heard,
            stands_alone=alone is not None,
            schema=knowledge.schema,
            values=knowledge.values,
            today=self._today(),
        ):
            return self._followed(text, heard, turns, rules)
        if last and "why" in heard.marks and (reasons := self._reasons(text, heard, turns, rules)):
            return reasons
        plan = Plan((text,), notes=("a query can say what is in the rows, not why",) if "why" in heard.marks else ())
        if isinstance(alone, MetricQuery | NoAnswer):
            return [replace(plan, query=alone)], None
        if isinstance(alone, Unclear) and rules:
            return _choose(plan, alone, rules)
        return self._clear(plan, text, ())

    def _followed(self, text: str, heard: Heard, turns: Sequence[Turn], rules: Rules | None) -> Plans:
        last = turns[-1]
        if "why" in heard.marks:
            return self._reasons(text, heard, turns, rules) or (
                [Plan((*last.thread, text), period_comparison.NOTHING)],
                None,
            )
        plan = Plan(
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
            return [Plan((text,), alone)], None
        if not last.query and (swapped := self._swapped(plan, heard, last, rules)):
            return swapped
        return self._clear(plan, heard.rest, last.meant)

    def _swapped(self, plan: Plan, heard: Heard, last: Turn, rules: Rules | None) -> Plans | None:
        """The plans for a new value or period in the model's query; None if no rule reads the text."""
        knowledge = self.asker.knowledge
        synonyms = rules.matches(heard.plain) if rules else []
        found = swaps(last.answer.sql, heard, knowledge.schema, knowledge.values, synonyms, self._today())
        if not found:
            return None
        plans = []
        for swap in found:
            new = {(match.table, match.column): match for match in swap.values}
            meant = tuple(new.get((match.table, match.column), match) for match in last.meant)
            plans.append(replace(plan, query=swap, meant=meant))
        return plans, ask_back(plan.thread[-1], [swap.words for swap in found]) if len(found) > 1 else None

    def _reasons(self, text: str, heard: Heard, turns: Sequence[Turn], rules: Rules | None) -> Plans | None:
        """The plan for "why is it so?" about the last turn; None for a question about something else."""
        last = turns[-1]
        plan = Plan((*last.thread, text), notes=(f'taken as a follow-up to "{last.question}"',))
        if last.query and rules:
            earlier = [group for turn in reversed(turns) if turn.query for group in turn.query.groups]
            keys = time_keys(last.query, last.answer.result.rows)
            found = period_comparison.compare(last.query, heard, rules, self._today(), keys, earlier)
            if isinstance(found, period_comparison.Compared):
                return [replace(plan, query=found.query, notes=(found.words, *plan.notes))], None
            if isinstance(found, NoAnswer):
                return [replace(plan, query=found)], None
            if isinstance(found, Unclear):
                plan = replace(plan, notes=("a query cannot say why; this shows numbers to compare", *plan.notes))
                return _choose(plan, found, rules)
        return (
            None
            if names_of(heard.rest, self.asker.schema)
            else ([replace(plan, query=period_comparison.NOTHING)], None)
        )

    def _clear(self, plan: Plan, text: str, chosen_before: tuple[Match, ...]) -> Plans:
        """The plan for the model; or several where a word is a value of several columns."""
        rules, schema = self.asker.rules(), self.asker.schema
        known = {match.phrase for match in rules.matches(text)} if rules else set()
        found = [match for match in self.asker.knowledge.values.find(text) if match.phrase not in known]
        if rules and (near := rules.reached_by(" ".join(plan.thread))):
            found = [match for match in found if match.table in near]
        tied = tied_values(" ".join(plan.thread), found, schema, chosen_before)
        if not tied:
            again = {(match.table, match.column) for match in chosen_before}
            meant = (match for match in found if (match.table, match.column) in again)
            return [replace(plan, meant=tuple(dict.fromkeys((*chosen_before, *meant))))], None
        plans = [replace(plan, meant=(*chosen_before, match)) for match in tied]
        return plans, ask_back(text, [said_value(match) for match in tied])


def _choose(plan: Plan, unclear: Unclear, rules: Rules) -> Plans:
    choices = choices_of(unclear, lambda query: in_words(query, rules.lexicon.metrics[query.metric]))
    plans = [
        replace(plan, query=reading.query, notes=(f"you chose {words}", *plan.notes))
        for reading, words in zip(unclear.readings, choices, strict=True)
    ]
    return plans, ask_back(plan.thread[-1], choices)
