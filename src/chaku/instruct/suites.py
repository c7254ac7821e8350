"""Reads unit tests that a model wrote: which asserts count, which function they call, and whether they are weak."""

import ast
import builtins
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chaku.errors import ChakuError

MIN_ASSERTS = 3
MIN_VALUES = 2  # different expected values
# Functions without meaning, which every good suite rejects.
STUBS = {
    "None": "def {name}(*arguments, **named):\n    return None\n",
    "0": "def {name}(*arguments, **named):\n    return 0\n",
    "[]": "def {name}(*arguments, **named):\n    return []\n",
    "the first argument": (
        "def {name}(*arguments, **named):\n    return next(iter([*arguments, *named.values()]), None)\n"
    ),
    "an object that equals everything": (
        "class Same:\n    __hash__ = None\n    def __eq__(self, other):\n        return True\n"
        "    def __ne__(self, other):\n        return False\n    def __bool__(self):\n        return True\n"
        "def {name}(*arguments, **named):\n    return Same()\n"
    ),
}


@dataclass(frozen=True)
class Suite:
    """Tests of one function. `tests`: single asserts that call `entry_point`. `prelude`: the imports that they need."""

    entry_point: str
    tests: tuple[str, ...]
    prelude: str = ""

    def stubs(self) -> list[str]:
        """Candidate programs that must fail the tests."""
        return [stub.format(name=self.entry_point) for stub in STUBS.values()]

    def weakness(self) -> str:
        """The fault of tests that are too few or too uniform to run; empty for tests without such a fault."""
        if len(self.tests) < MIN_ASSERTS:
            return f"fewer than {MIN_ASSERTS} asserts that call the entry point"
        if len({expected_value(test, self.entry_point) for test in self.tests}) < MIN_VALUES:
            return "every assert expects the same value"
        return ""


def read_suite(text: str, entry_point: str = "") -> Suite:
    """Read the different asserts at the top level of a text that call the entry point, and the imports.

    Asserts in functions, loops, `with` or `try` are left out: they may never run, or their failure may be caught.
    Without `entry_point`, the entry point is the function that most asserts call. From a text that is cut off or not
    Python, the asserts before the fault are read.
    """
    statements = _parse(text)
    imports = [node for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
    asserts = [node for node in statements if isinstance(node, ast.Assert)]
    known = {alias.asname or alias.name.split(".")[0] for node in imports for alias in node.names}
    if not entry_point:
        calls = Counter(name for node in asserts for name in set(_called(node)) if name not in known)
        entry_point = next((name for name, _ in calls.most_common(1)), "")
    tests = [ast.unparse(node) for node in asserts if entry_point and entry_point in _called(node)]
    return Suite(entry_point, tuple(dict.fromkeys(tests)), "\n".join(map(ast.unparse, imports)))


def given_suite(tests: Sequence[str], entry_point: str, where: str) -> Suite:
    """A suite from a file. Raises ChakuError when some test is not one assert that calls the entry point."""
    suite = read_suite("\n".join(tests), entry_point)
    if len(suite.tests) != len(set(tests)):
        raise ChakuError(f"{where}: every test must be one assert that calls {suite.entry_point or 'the function'!r}")
    return suite


def arguments_of(suite: Suite) -> Iterator[tuple[Any, ...]]:
    """The arguments of each test's first call of the entry point. Skips calls with keywords or without literals."""
    for test in suite.tests:
        for node in ast.walk(ast.parse(test)):
            if isinstance(node, ast.Call) and _is_name(node.func, suite.entry_point):
                try:
                    values = tuple(ast.literal_eval(argument) for argument in node.args)
                except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                    break
                if not node.keywords:
                    yield values
                break


def _parse(text: str) -> list[ast.stmt]:
    """The statements of the longest run of lines from the start that is valid Python."""
    lines = text.splitlines()
    for end in range(len(lines), 0, -1):
        try:
            return ast.parse("\n".join(lines[:end])).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return []


def _called(node: ast.AST) -> list[str]:
    """The names of the functions that the node calls, without Python's builtins."""
    return [
        inner.func.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) and not hasattr(builtins, inner.func.id)
    ]


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def expected_value(test: str, entry_point: str) -> str:
    """The value that an assert expects, as text; equal literals give equal texts. Another text is its own value."""
    try:
        [node] = ast.parse(test).body
    except (SyntaxError, ValueError):
        return test
    if not isinstance(node, ast.Assert):
        return test
    condition = node.test
    if isinstance(condition, ast.Compare) and len(condition.ops) == 1:
        sides = [condition.left, condition.comparators[0]]
        plain = [side for side in sides if entry_point not in _called(side)]
        if len(plain) == 1:
            try:
                return f"{type(condition.ops[0]).__name__} {ast.literal_eval(plain[0])!r}"
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                return f"{type(condition.ops[0]).__name__} {ast.unparse(plain[0])}"
    negated = isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not)
    if _is_call(condition.operand if isinstance(condition, ast.UnaryOp) else condition, entry_point):
        return str(not negated)
    return re.sub(r"\s+", " ", ast.unparse(condition))


def _is_call(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and _is_name(node.func, name)
