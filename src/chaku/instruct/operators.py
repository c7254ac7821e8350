"""The five ways of Evol-Instruct to rewrite a question (WizardCoder, arXiv 2306.08568), and their useless results."""

import random
import re
from dataclasses import dataclass

MIN_WORDS = 6  # of a question
SHARED_WORDS = 6  # in a row with the demand: the reply repeats the prompt


@dataclass(frozen=True)
class Operator:
    """A demand on the rewritten question. `same_function`: a right solution of the old question answers the new one."""

    name: str
    demand: str
    same_function: bool = False


OPERATORS = (
    Operator("constraint", "Add one requirement or limit to it, in about ten words more."),
    Operator("rare", "Replace a requirement that such questions often have by one that is rarer and more exact."),
    Operator("steps", "If a few steps of thought answer it, let it need one more step before the result."),
    Operator(
        "misdirection",
        "Add a piece of wrong code, in a Markdown fence, as a misleading reference; say that it fails on some inputs.",
        same_function=True,
    ),
    Operator(
        "complexity", "Demand an answer of lower time or space complexity than the plain one has.", same_function=True
    ),
)
BY_NAME = {operator.name: operator for operator in OPERATORS}
SOURCE = re.compile(r"round (\d+): (\w+) of (\w+)")


@dataclass(frozen=True)
class Origin:
    """Where an evolved question comes from: its round, the operator's name, and its parent's key.

    It is written as the question's source in the ledger.
    """

    round: int
    operator: str
    parent: str

    def __str__(self) -> str:
        return f"round {self.round}: {self.operator} of {self.parent}"


def origin(source: str) -> Origin | None:
    """The origin that a question's source names; None for a question that was not evolved."""
    found = SOURCE.fullmatch(source)
    return Origin(int(found[1]), found[2], found[3]) if found else None


def choose(seed: int, key: str, number: int) -> Operator:
    """The operator for the question with this key in round `number`; the same one for the same arguments."""
    return random.Random(f"{seed} {key} {number}").choice(OPERATORS)


def fault(text: str, operator: Operator) -> str:
    """Why a rewritten text is no question; empty for one that may be."""
    words = _words(text)
    if len(words) < MIN_WORDS:
        return f"it has fewer than {MIN_WORDS} words"
    if re.search(r"\b(i am sorry|i'm sorry|as an ai|i cannot|i can't)\b", text.lower()):
        return "it is a refusal"
    if re.search(r"\b(old|given|original|previous|rewritten|new) (question|prompt)\b", text.lower()):
        return "it speaks of another question"
    demand = _words(operator.demand)
    runs = {tuple(demand[at : at + SHARED_WORDS]) for at in range(len(demand) - SHARED_WORDS + 1)}
    if any(tuple(words[at : at + SHARED_WORDS]) in runs for at in range(len(words))):
        return "it repeats the prompt"
    return ""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
