"""Mutants of a solution, which good tests should reject, and inputs that show whether a mutant behaves differently."""

import ast
import copy
import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

MAX_MUTANTS = 20
MAX_INPUTS = 60
# Boundaries first: few tests notice an off-by-one error (one random test kills 48% of such mutants, five tests 78%).
COMPARISONS: dict[type, tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
OPERATORS: dict[type, type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list", "sum": "len"}


def mutants(source: str, max_mutants: int = MAX_MUTANTS) -> list[str]:
    """Different programs that each differ from `source` in one place: all, or a fixed sample of `max_mutants`.

    Raises SyntaxError when `source` is not Python.
    """
    tree = ast.parse(source)
    before = ast.unparse(tree)
    made = {text for text in _changed(tree) if text != before}
    return sorted(made, key=lambda text: hashlib.sha256(text.encode()).digest())[:max_mutants]


Change = Callable[[Any], None]  # changes a node in place


def _changed(tree: ast.Module) -> Iterator[str]:
    """The program after each possible change. The changed node has the same place in a copy of the tree."""
    for place, node in enumerate(ast.walk(tree)):
        for change in _changes(node):
            changed = copy.deepcopy(tree)
            target = next(islice(ast.walk(changed), place, None))
            change(target)
            yield ast.unparse(ast.fix_missing_locations(changed))


def _changes(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for index, kind in enumerate(map(type, node.ops)):
            for other in COMPARISONS.get(kind, ()):
                yield partial(_put, "ops", index, other())
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield partial(_set, "op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.BoolOp):
        yield partial(_set, "op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield partial(_set, "op", ast.UAdd())
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield partial(_set, "value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield partial(_set, "value", node.value + 1)
        yield partial(_set, "value", node.value - 1)
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield partial(_set, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Slice):
        for side in ("lower", "upper"):
            if (bound := getattr(node, side)) is not None:
                yield partial(_set, side, ast.BinOp(bound, ast.Add(), ast.Constant(1)))
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        if node.func.id != "sorted" or not node.keywords:
            yield partial(_set, "func", ast.Name(CALLS[node.func.id], ast.Load()))
    elif isinstance(node, ast.FunctionDef):
        for index, statement in enumerate(node.body):
            is_words = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if len(node.body) > 1 and not is_words:
                yield partial(_put, "body", index, ast.Pass())


def _set(name: str, value: Any, node: Any) -> None:
    setattr(node, name, value)


def _put(name: str, index: int, value: Any, node: Any) -> None:
    getattr(node, name)[index] = value


def probe(source: str, entry_point: str, inputs: Iterable[tuple[Any, ...]]) -> str:
    """A program that prints the function's result, or its exception, for each input: one line an input."""
    return (
        f"{source}\n\nfor _arguments in {list(inputs)!r}:\n"
        f"    try:\n        print(repr({entry_point}(*_arguments))[:200])\n"
        "    except Exception as _error:\n        print(type(_error).__name__)\n"
    )


def nearby(arguments: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """At most MAX_INPUTS inputs: the given inputs, and inputs in which one argument is changed a little.

    Numbers grow or shrink by one, become 0 or change sign; lists and texts are cut, reversed, doubled or emptied.
    """
    given = list(arguments)
    found: dict[str, tuple[Any, ...]] = {repr(value): value for value in given}
    rows = [_around(value) for value in given]
    while rows and len(found) < MAX_INPUTS:  # one neighbour of each input in turn, so that every input has some
        rows = [row for row in rows if (new := next(row, None)) is not None and (found.setdefault(repr(new), new),)]
    return list(found.values())


def _around(arguments: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    for index, value in enumerate(arguments):
        for other in _variants(value):
            yield (*arguments[:index], other, *arguments[index + 1 :])


def _variants(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from (value + 1, value - 1, 0, -value)
    elif isinstance(value, str | list | tuple):
        yield from (value[:1], value[1:], value[:-1], value[::-1], value * 2, value[:0])
        if not isinstance(value, str):
            for index, part in enumerate(value):
                for other in islice(_variants(part), 2):
                    yield type(value)([*value[:index], other, *value[index + 1 :]])
