"""Writes the ledger's kept triples as training data: conversations, preference pairs, and a card about their origin."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from chaku.console import progress
from chaku.evals.problems import Problem
from chaku.files import write_json, write_text
from chaku.instruct.contamination import Contamination, behaviour_job, sieve_job
from chaku.instruct.evidence import FALLS, KEPT, Evidence, LedgerQuestion
from chaku.instruct.ledger import Ledger
from chaku.instruct.suites import Suite, arguments_of
from chaku.instruct.synthesize import funnel
from chaku.jsonl import write_lines
from chaku.sandbox.pool import run_stream
from chaku.sandbox.verdict import Job

Form = Literal["fenced", "plain"]
MAX_LENGTH_RATIO = 1.5  # of a pair's two solutions, so that preference training does not teach a length


def export(
    ledger: Ledger,
    out: Path,
    benchmarks: Contamination,
    *,
    form: Form = "fenced",
    pass_rate: tuple[float, float] = (0.0, 1.0),
    isolated: bool = True,
) -> dict[str, Any]:
    """Write sft.jsonl, preferences.jsonl, corrections.jsonl, contamination.json and card.md into `out`; returns the
    counts.

    `pass_rate`: leave out the triples whose share of passing solutions is outside of this range, ends included.
    A triple whose solution passes the tests of a benchmark's problem is left out, and listed in contamination.json.
    `form`: answers in a Markdown fence, or plain code.
    """
    low, high = pass_rate
    judged = [question for question in ledger.questions() if question.outcome == KEPT]
    kept = [question for question in judged if low <= question.evidence.pass_rate <= high]
    behaves = behaviour_hits(kept, benchmarks, isolated=isolated)
    clean = [question for question in kept if question.key not in behaves]
    report = contamination_report(ledger, behaves, benchmarks)
    sft = [conversation(ledger, question, form) for question in clean]
    pairs = [pair for one in clean if (pair := preference(one.key, one.text, one.evidence, form)) is not None]
    write_lines(out / "sft.jsonl", sft)
    write_lines(out / "preferences.jsonl", pairs)
    corrections = [row for one in clean for row in corrected(one.text, one.evidence, one.key, form)]
    write_lines(out / "corrections.jsonl", corrections)
    write_json(out / "contamination.json", report)
    counts = {
        "triples": len(sft),
        "pairs": len(pairs),
        "corrections": len(corrections),
        "too_easy_or_hard": len(judged) - len(kept),
        "left_out": len(behaves),
    }
    write_text(out / "card.md", card(ledger, counts, report))
    return counts


def conversation(ledger: Ledger, question: LedgerQuestion, form: Form) -> dict[str, Any]:
    """One triple as a row of sft.jsonl: the messages to train on, and the evidence for the answer."""
    evidence = question.evidence
    assert evidence.accepted is not None
    assert evidence.agreement is not None
    return {
        "messages": [
            {"role": "user", "content": question.text},
            {"role": "assistant", "content": _answer(evidence.solution, form)},
        ],
        "question": question.key,
        "entry_point": evidence.entry_point,
        "prelude": evidence.prelude,
        "tests": evidence.tests,
        "tests_from": evidence.tests_from,
        "tests_asked": ledger.asked(evidence.tests_ask) if evidence.tests_ask else None,
        "solution_asked": _asked(ledger, evidence),
        "verdict": evidence.verdicts[evidence.accepted],
        "passed": evidence.passed,
        "pass_rate": round(evidence.pass_rate, 4),
        "source": question.source,
        "agreement": asdict(evidence.agreement),
        "mutation": asdict(evidence.mutation) if evidence.mutation else None,
    }


def preference(key: str, text: str, evidence: Evidence, form: Form) -> dict[str, Any] | None:
    """A row of preferences.jsonl: the accepted solution, and the failed solution that is nearest to it in length.

    None when every failed solution differs by more than MAX_LENGTH_RATIO in length.
    """
    chosen = evidence.solution
    failed = [
        (abs(len(solution) - len(chosen)), solution)
        for solution, passed in zip(evidence.solutions, evidence.passed, strict=True)
        if not passed
        and solution.strip()
        and max(len(solution), len(chosen)) <= MAX_LENGTH_RATIO * min(len(solution), len(chosen))
    ]
    if not failed:
        return None
    return {
        "prompt": [{"role": "user", "content": text}],
        "chosen": _answer(chosen, form),
        "rejected": _answer(min(failed)[1], form),
        "question": key,
    }


def corrected(text: str, evidence: Evidence, key: str, form: Form) -> list[dict[str, Any]]:
    """The correction that ended in the accepted solution, as a row of corrections.jsonl; empty without one.

    The failed program stands in the user's message, so that nobody is trained to write it.
    """
    assert evidence.accepted is not None
    if evidence.accepted < evidence.num_sampled:
        return []
    number = evidence.accepted - evidence.num_sampled
    failed, test, error = evidence.solutions[evidence.corrected[number]], *evidence.errors[number]
    asked = f"{text}\n\nThis answer fails a test:\n```python\n{failed.rstrip()}\n```\n{test}\n{error}"
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": _answer(evidence.solution, form)}]
    return [{"messages": messages, "question": key, "entry_point": evidence.entry_point, "tests": evidence.tests}]


def behaviour_hits(
    questions: Sequence[LedgerQuestion], benchmarks: Contamination, *, isolated: bool = True
) -> dict[str, list[str]]:
    """For the key of each triple whose solution passes the tests of benchmark problems, the names of these problems.

    A solution is tried on the problems whose arguments have the same types: first on all of them in one process, then
    on each problem that the first run did not rule out.
    """
    solutions: list[tuple[str, str, str, list[Problem]]] = []  # key, source, entry point, problems
    for question in questions:
        evidence = question.evidence
        suite = Suite(evidence.entry_point, evidence.tests)
        arguments = next(arguments_of(suite), None)
        if arguments is not None and (problems := benchmarks.alike(arguments)):
            solutions.append((question.key, evidence.solution, suite.entry_point, problems))
    left: list[tuple[str, str, Job]] = []  # key, problem
    hits: dict[str, list[str]] = {}
    with progress("behaviour", len(solutions), "solutions") as bar:
        sieves = (sieve_job(problems, source, name) for _, source, name, problems in solutions)
        for index, verdict in run_stream(sieves, isolated=isolated):
            bar.advance(1)
            key, source, name, problems = solutions[index]
            reasons = [*verdict.tests, *[""] * (len(problems) - len(verdict.tests))]
            left += [
                (key, problem.name, behaviour_job(problem, source, name))
                for problem, reason in zip(problems, reasons, strict=True)
                if not reason
            ]
    with progress("behaviour of what the sieve left", len(left), "programs") as bar:
        for index, verdict in run_stream((job for _, _, job in left), isolated=isolated):
            bar.advance(1)
            if verdict.passed:
                hits.setdefault(left[index][0], []).append(left[index][1])
    return {key: sorted(names) for key, names in hits.items()}


def contamination_report(
    ledger: Ledger, behaves: Mapping[str, Sequence[str]], benchmarks: Contamination
) -> dict[str, Any]:
    """The questions that were removed because they repeat a benchmark's problem, by the check that found them."""
    found: dict[str, list[dict[str, Any]]] = {"ngrams": [], "syntax_tree": [], "behaviour": []}
    for question in ledger.questions():
        named: dict[str, Any] = {"question": question.text, "benchmark": [question.evidence.benchmark]}
        if question.outcome == "shares words with a benchmark":
            found["ngrams"].append(named)
        elif question.outcome == "solution is a benchmark's":
            found["syntax_tree"].append(named)
        elif question.key in behaves:
            found["behaviour"].append({**named, "benchmark": list(behaves[question.key])})
    return {"num_problems": len(benchmarks.problems), "num_removed": {n: len(v) for n, v in found.items()}, **found}


def card(ledger: Ledger, counts: Mapping[str, int], report: Mapping[str, Any]) -> str:
    """The data's card in Markdown: the model, the settings, the outcomes of all questions, and the contamination."""
    settings, steps = ledger.settings(), funnel(ledger)
    made = settings["settings"]
    lines = [
        "# Instruction data, judged by running it",
        "",
        f"{counts['triples']} conversations (`sft.jsonl`), {counts['pairs']} preference pairs (`preferences.jsonl`) "
        f"and {counts['corrections']} corrections of failed answers (`corrections.jsonl`), made by self-instruct with "
        "execution feedback (Code Llama, section 2.5). Questions and answers were written by a model, unless a file "
        "of questions was given; the model's licence decides what they may be used for.",
        "",
        "| made with | |",
        "|---|---|",
        *(f"| {name} | `{value}` |" for name, value in settings["model"].items()),
        *(f"| {name} | `{value}` |" for name, value in settings["versions"].items()),
        *(f"| {name.replace('_', ' ')} | {value} |" for name, value in made.items() if name != "prompts"),
        f"| limits | {settings['limits']} |",
        "",
        "| questions | |",
        "|---|---|",
        f"| all | {sum(steps.values())} |",
        *(f"| {name} | -{steps[name]} |" for name in FALLS),
        f"| unfinished | -{steps['unfinished']} |",
        f"| kept | {steps[KEPT]} |",
        f"| left out: too easy or too hard (--pass-rate) | -{counts['too_easy_or_hard']} |",
        f"| left out: solution behaves like a benchmark's | -{counts['left_out']} |",
        "",
        "A suite of tests counts when at least three asserts call the function, no stub passes, three runs with other "
        "hash seeds agree, two different values are expected"
        + (", and it kills 80% of the accepted solution's mutants." if made["check_mutants"] else "."),
        "",
        f"## Contamination, against {report['num_problems']} problems",
        "",
        "| found by | removed |",
        "|---|---|",
        f"| runs of words in the question | {report['num_removed']['ngrams']} |",
        f"| the solution's syntax tree | {report['num_removed']['syntax_tree']} |",
        f"| behaviour: the solution passes a problem's tests | {report['num_removed']['behaviour']} |",
        "",
    ]
    if not report["num_problems"]:
        lines += ["No benchmark was given, so nothing was checked.", ""]
    return "\n".join(lines)


def _asked(ledger: Ledger, evidence: Evidence) -> dict[str, Any]:
    """The prompt that the accepted solution answers, and the solution's number among the replies to it."""
    assert evidence.accepted is not None
    if evidence.accepted < evidence.num_sampled:
        return {**ledger.asked(evidence.solutions_ask), "sample": evidence.accepted}
    return {**ledger.asked(evidence.corrections[evidence.accepted - evidence.num_sampled]), "sample": 0}


def _answer(solution: str, form: Form) -> str:
    return f"```python\n{solution.rstrip()}\n```" if form == "fenced" else solution
