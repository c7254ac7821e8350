"""How far a question came, and what is known of it: records that the ledger keeps as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Where = Literal[
    "exact duplicate",
    "shares words with a benchmark",
    "near duplicate",
    "no tests that count",
    "a stub passes",
    "no solution passes",
    "tests or solution are flaky",
    "mutants survive",
    "solution is a benchmark's",
    "kept",
]
KEPT: Where = "kept"
FALLS: tuple[Where, ...] = get_args(Where)[:-1]  # where a question may fall, in order: the rows of the funnel


@dataclass(frozen=True)
class Agreement:
    """CodeT's score: what the solutions that pass all tests are worth, and the most that any group of them is."""

    passing: int
    best: int


@dataclass(frozen=True)
class MutationScore:
    """Mutants `killed` by the tests, `of` those that differ on some input; `equal`: no input tells them apart."""

    killed: int
    of: int
    equal: int


@dataclass(frozen=True)
class Evidence:
    """What is known of a question; empty where it did not come so far.

    `tests_ask`, `solutions_ask`: keys of what was asked. `verdicts`: keys of the runs of `solutions`, one for one;
    `accepted`: the number of the first that passed. `near`: the key of an earlier question that it is like. `why`: what
    tests lack that do not count.
    """

    tests_from: Literal["", "given", "model"] = ""
    tests_ask: str = ""
    entry_point: str = ""
    tests: tuple[str, ...] = ()
    prelude: str = ""
    why: str = ""
    solutions_ask: str = ""
    solutions: tuple[str, ...] = ()
    passed: tuple[bool, ...] = ()
    verdicts: tuple[str, ...] = ()
    agreement: Agreement | None = None
    accepted: int | None = None
    mutation: MutationScore | None = None
    benchmark: str = ""
    near: str = ""

    @property
    def solution(self) -> str:
        """The accepted one."""
        assert self.accepted is not None
        return self.solutions[self.accepted]

    def to_json(self) -> dict[str, Any]:
        """Without what is empty."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", ())}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Evidence":
        """Of this version or an earlier one, which called `near` "of"."""
        known = {field.name for field in fields(cls)}
        kept: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        if "of" in kept:
            kept["near"] = kept["of"]
        if kept.get("agreement"):
            kept["agreement"] = Agreement(**kept["agreement"])
        if kept.get("mutation"):
            kept["mutation"] = MutationScore(**kept["mutation"])
        return cls(**{name: value for name, value in kept.items() if name in known and value is not None})


@dataclass(frozen=True)
class LedgerQuestion:
    """A question in the ledger; without an outcome it is not through."""

    key: str
    text: str
    source: str
    outcome: Where | None
    evidence: Evidence
