"""The results for one question, as the ledger stores them: its outcome, and the evidence for it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Where = Literal[
    "exact duplicate",
    "not a question",
    "shares words with a benchmark",
    "near duplicate",
    "adds nothing",
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
EVOLVED: tuple[Where, ...] = ("not a question", "adds nothing")  # reasons to reject an evolved question alone


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
    question that this question nearly repeats. `why`: the fault of tests that do not count, or of an evolved question.
    `corrections`: the ledger's keys of the prompts for corrections, one for each of the last programs of `solutions`;
    `corrected`: for each, the index of the failed program that it was to correct; `errors`: the test that this program
    failed, and the error.
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
    corrections: tuple[str, ...] = ()
    corrected: tuple[int, ...] = ()
    errors: tuple[tuple[str, str], ...] = ()

    @property
    def num_sampled(self) -> int:
        """The number of solutions that were written before any correction."""
        return len(self.solutions) - len(self.corrections)

    @property
    def pass_rate(self) -> float:
        """The share of the solutions, before any correction, that pass: the question's difficulty for its model."""
        return sum(self.passed[: self.num_sampled]) / max(self.num_sampled, 1)

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
        if "errors" in kept:
            kept["errors"] = tuple((test, error) for test, error in kept["errors"])
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
