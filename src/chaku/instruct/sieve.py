"""Rejects questions before the model answers them: not a question, of a benchmark, or nearly an earlier question."""

from collections.abc import Sequence

from chaku.instruct.contamination import Contamination
from chaku.instruct.evidence import Evidence, LedgerQuestion, Where
from chaku.instruct.near_duplicates import NearDuplicates
from chaku.instruct.operators import BY_NAME, fault, origin
from chaku.instruct.questions import Question


def sieve(
    questions: Sequence[Question],
    benchmarks: Contamination,
    threshold: float,
    before: Sequence[LedgerQuestion] = (),
) -> dict[str, tuple[Where, Evidence]]:
    """The reason and the evidence for each rejected question, by its key.

    `threshold`: the Jaccard similarity from which two questions are near-duplicates. `before`: the earlier questions of
    the ledger. An evolved question that nearly repeats its parent adds nothing.
    """
    seen = NearDuplicates(threshold)
    for earlier in before:
        seen.add(earlier.key, earlier.text)
    fallen: dict[str, tuple[Where, Evidence]] = {}
    for question in questions:
        evolved = origin(question.source)
        if evolved and (why := fault(question.text, BY_NAME[evolved.operator])):
            fallen[question.key] = "not a question", Evidence(why=why)
        elif found := benchmarks.question(question.text):
            fallen[question.key] = "shares words with a benchmark", Evidence(benchmark=found)
        elif near := seen.add(question.key, question.text):
            if evolved and near == evolved.parent:
                fallen[question.key] = "adds nothing", Evidence(near=near, why="its words are the parent's")
            else:
                fallen[question.key] = "near duplicate", Evidence(near=near)
    return fallen
