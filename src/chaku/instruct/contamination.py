"""Finds training data that repeats a benchmark's problem: by word n-grams, by syntax trees, by behaviour."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from chaku.console import say
from chaku.corpus.cleaning.token_grams import token_grams
from chaku.errors import ChakuError
from chaku.evals.problems import Problem, kinds, load_problems
from chaku.sandbox.verdict import Job

NGRAM = 8  # words
DEFAULT_BENCHMARKS = ("humaneval", "mbpp")
MIN_NODES = 20  # of a syntax tree; many people write the same smaller function, such as `return sorted(set(xs))`


def available() -> "Contamination":
    """Load the default benchmarks; print a line for each benchmark whose file is missing, and go on without it."""
    problems: list[Problem] = []
    for name in DEFAULT_BENCHMARKS:
        try:
            problems += load_problems([name])
        except ChakuError as error:
            say(f"NOT checked against {name}: {error}")
    return Contamination(problems)


class Contamination:
    """Compares questions and solutions with the problems of benchmarks."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = problems
        self._ngrams = {ngram: problem.name for problem in problems for ngram in word_grams(problem.text)}
        self._trees = {tree: p.name for p in problems for solution in p.solutions for tree in function_trees(solution)}

    def question(self, text: str) -> str | None:
        """The name of a problem that shares NGRAM consecutive words with the question; None without such a problem."""
        return next((self._ngrams[ngram] for ngram in word_grams(text) if ngram in self._ngrams), None)

    def solution(self, source: str) -> str | None:
        """The name of a problem with the same function in a reference solution, whatever its names and docstrings."""
        return next((self._trees[tree] for tree in function_trees(source) if tree in self._trees), None)

    def alike(self, arguments: Sequence[Any]) -> list[Problem]:
        """The problems whose tests call a function with arguments of these types, so that a solution may pass them."""
        wanted = kinds(arguments)
        return [problem for problem in self.problems if problem.job is not None and problem.argument_kinds == wanted]


def behaviour_job(problem: Problem, source: str, entry_point: str) -> Job:
    """A job that runs the problem's tests on the solution."""
    assert problem.job
    return replace(problem.job, source=f"{source}\n{_renamed(problem, entry_point)}", stop_at_failure=True)


def sieve_job(problems: Sequence[Problem], source: str, entry_point: str) -> Job:
    """A job that runs the tests of all problems in one process, with one test for each problem, in order.

    Most solutions fail most problems at once, so that few problems need a process of their own. Only a failed test is
    a result: run a `behaviour_job` for each problem whose test passed or was not reached.
    """
    tests = [
        "\n".join((problem.job.prelude, _renamed(problem, entry_point), *problem.job.tests))
        for problem in problems
        if problem.job
    ]
    return Job(source, tests=tuple(tests), entry_point=entry_point, stop_at_failure=False)


def _renamed(problem: Problem, entry_point: str) -> str:
    name = problem.job.entry_point if problem.job else entry_point
    return f"{name} = {entry_point}\n" if name != entry_point else ""


def word_grams(text: str) -> list[int]:
    """The hashes of each NGRAM consecutive words, in their order."""
    grams, _ = token_grams(" ".join(re.findall(r"\w+", text.lower())), NGRAM)
    return grams.tolist()


def function_trees(source: str) -> Iterator[str]:
    """The syntax tree of each function of MIN_NODES or more, as text, with numbers instead of names.

    Docstrings, annotations and decorators are left out.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            dumped = _normalised(node)
            if dumped.count("(") >= MIN_NODES:
                yield dumped


def _normalised(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    [copied] = ast.parse(ast.unparse(function)).body
    numbers: dict[str, str] = {}

    def number(name: str) -> str:
        return numbers.setdefault(name, f"n{len(numbers)}")

    for node in ast.walk(copied):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns, node.decorator_list = None, []
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.arg):
            node.annotation = None
    for node in ast.walk(copied):  # number the names last: a name in an annotation must not use up a number
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.name = number(node.name)
        elif isinstance(node, ast.arg):
            node.arg = number(node.arg)
        elif isinstance(node, ast.Name):
            node.id = number(node.id)
    return ast.dump(copied)
