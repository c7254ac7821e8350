"""The results for one question, as the ledger stores them: its outcome, and the evidence for it."""

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
FALLS: tuple[Where, ...] = get_args(Where)[:-1]  # the reasons to reject a question, in the order of the checks


@dataclass(frozen=True)
class Agreement:
    """CodeT's scores (see `triples.agreement`): of the solutions that pass all tests, and of the `best` group."""

    passing: int
    best: int


@dataclass(frozen=True)
class MutationScore:
    """How many mutants the tests find.

    `of`: mutants that behave differently from the solution on some input near the tests' inputs. `killed`: mutants
    that fail a test. `equal`: mutants that behave like the solution on every input that was tried.
    """

    killed: int
    of: int
    equal: int


@dataclass(frozen=True)
class Evidence:
    """The results of the checks on a question. Fields are empty for checks after the rejection of the question.

    `tests_ask`, `solutions_ask`: the ledger's keys of the prompts. `verdicts`: the ledger's keys of the runs, one for
    each of `solutions`. `accepted`: the index of the first solution that passed. `near`: the key of the earlier
    question that this question nearly repeats. `why`: the fault of tests that do not count.
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
        """The accepted solution; the question must have one."""
        assert self.accepted is not None
        return self.solutions[self.accepted]

    def to_json(self) -> dict[str, Any]:
        """The fields that are not empty, as a JSON object."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", ())}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Evidence":
        """Read what `to_json` wrote, in this version or in earlier versions, where the key of `near` was "of"."""
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
    """A question in the ledger. `outcome`: None until all checks of the question are done."""

    key: str
    text: str
    source: str
    outcome: Where | None
    evidence: Evidence
