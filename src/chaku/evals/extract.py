"""Takes the Python program from a chat model's reply.

Follows EvalPlus' `sanitize`: from the code that Python can parse, keeps the imports and the definitions that the entry
point needs. Leaves out examples of use, asserts, prints and `if __name__ == "__main__"`.
"""

import ast
import builtins
import re
import textwrap
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaku.evals.fences import clean, code_blocks

MAX_LINES = 2_000  # lines searched in a reply; a model with a longer reply repeats itself
# Names in statements that print, prompt or run tests: examples of use.
_EXAMPLES = {"print", "input", "doctest", "unittest", "pytest", "exit", "quit"}
_SESSION = re.compile(r"^[ \t]*(?:>>>|\.\.\.)(?: |$)(.*)$", re.MULTILINE)
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, eq=False)
class Statement:
    """A top-level statement: its text, the names that it binds, and the names that it reads."""

    source: str
    node: ast.stmt
    binds: frozenset[str]
    reads: frozenset[str]


def python_program(reply: str, entry_point: str = "", prompt: str = "", also: Iterable[str] = ()) -> str:
    """The program in a reply, ready to run. Returns a reply without code unchanged.

    Takes the first code block that defines `entry_point` with a body, and the definitions that it needs from the other
    blocks. Without `entry_point`, joins all blocks. `prompt`: the unfinished program that the model saw; a reply with
    only the function's body is appended to it. `also`: names that the tests may use besides the entry point.
    """
    text = clean(reply)
    try:
        return _python_program(text, entry_point, prompt, {entry_point, *also})
    except RecursionError:  # an expression is nested too deeply
        return text


def _python_program(text: str, entry_point: str, prompt: str, wanted: set[str]) -> str:
    codes = [block.code for block in code_blocks(text, lambda code: _parse(code) is not None)]
    blocks = [_statements(code) for code in codes]
    for number, block in enumerate(blocks):
        if entry_point and _defines(block, entry_point):
            return _source(_program(block, blocks[:number] + blocks[number + 1 :], entry_point, wanted))
    whole = _statements(text)
    if entry_point and _defines(whole, entry_point):
        return _source(_program(whole, [], entry_point, wanted))
    if entry_point and (program := _completed(prompt, [*codes, text], entry_point)):
        return program
    session = "".join(f"{line}\n" for line in _SESSION.findall(text))  # typed into Python's interpreter
    if session and entry_point and _defines(_statements(session), entry_point):
        return _source(_program(_statements(session), [], entry_point, wanted))
    return _source(_kept([statement for block in blocks or [whole] for statement in block], entry_point)) or text


def last_block(reply: str, name: str = "") -> str:
    """The code of the last block: preferably a block that Python can parse and that contains `name`, else a block that
    Python can parse.

    For whole programs: returns the whole block. Returns a reply without a block unchanged.
    """
    text = clean(reply)
    codes = [block.code for block in code_blocks(text, lambda code: _parse(code) is not None)]
    readable = [code for code in codes if _parse(code) is not None]
    named = [code for code in readable if name in code]
    return next(iter([*named[::-1], *readable[::-1], *codes[::-1]]), text)


def _parse(code: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string that is not raw
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _statements(code: str) -> list[Statement]:
    """The statements that Python can parse, of the code as it is, or with other white space in place of tabs.

    Removes a common indent. Skips lines that Python cannot parse (prose, code that was cut off).
    """
    if code.lstrip("\n").startswith((" ", "\t")):  # only then: `dedent` changes blank lines inside strings too
        code = textwrap.dedent(code)
    forms = list(dict.fromkeys([code, code.replace("\t", "    "), code.expandtabs(8), code.replace("\u00a0", " ")]))
    readable = [form for form in forms if _parse(form) is not None]
    parts = [[form] for form in readable[:1]] or [_parts(form) for form in forms]
    best = max(parts, key=lambda several: sum(len(part.split("\n")) for part in several))
    return [statement for part in best for statement in _split(part)]


def _parts(code: str) -> list[str]:
    """The longest part that Python can parse, from every line without an indent."""
    lines = code.split("\n")[:MAX_LINES]
    parts, start = [], 0
    while start < len(lines):
        end = len(lines) if lines[start].strip() and lines[start][0] not in " \t" else start
        while end > start and (problem := _first_problem("\n".join(lines[start:end]))) is not None:
            end = min(start + problem, end - 1)
            while end > start and (not lines[end].strip() or lines[end][0] in " \t)]}"):
                end -= 1  # back to the beginning of the statement with the problem
        if end > start:
            parts.append("\n".join(lines[start:end]))
        start = max(end, start + 1)
    return parts


def _first_problem(code: str) -> int | None:
    """The number, from 0, of the first line that Python cannot parse; None when Python can parse the code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        return max((error.lineno or 1) - 1, 0)
    except (ValueError, RecursionError, MemoryError):
        return 0
    return None


def _split(code: str) -> list[Statement]:
    tree = _parse(code)
    assert tree is not None
    lines = code.split("\n")
    statements: list[Statement] = []
    spans = [(_first_line(node), node.end_lineno or node.lineno) for node in tree.body]
    for number, (node, (first, last)) in enumerate(zip(tree.body, spans, strict=True)):
        neighbours = spans[max(number - 1, 0) : number] + spans[number + 1 : number + 2]
        shares_line = any(begin <= last and end >= first for begin, end in neighbours)
        source = ast.unparse(node) if shares_line else "\n".join(lines[first - 1 : last])
        statements.append(Statement(source, node, *_names(node)))
    return statements


def _first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])


def _names(node: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """The names that a statement binds in its module, and the names that it contains."""
    reads = frozenset(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
    if isinstance(node, _DEFINITIONS):
        return frozenset({node.name}), reads
    reads -= {inner.arg for inner in ast.walk(node) if isinstance(inner, ast.arg)}  # parameters of a lambda
    binds: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            binds.add(inner.id)
        elif isinstance(inner, _DEFINITIONS):  # in an `if` or a `try`
            binds.add(inner.name)
        elif isinstance(inner, _IMPORTS):
            binds |= {(name.asname or name.name).split(".")[0] for name in inner.names}
    return frozenset(binds), reads


def _is_stub(statement: Statement) -> bool:
    """Whether a function has no real body: only a docstring, `pass`, `...` or `raise NotImplementedError`."""
    node = statement.node
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (isinstance(statement, ast.Raise) and "NotImplementedError" in ast.unparse(statement))
        for statement in node.body
    )


def _defines(block: Iterable[Statement], name: str) -> bool:
    return any(name in statement.binds and not _is_stub(statement) for statement in block)


def _program(
    block: Sequence[Statement], others: Sequence[Sequence[Statement]], entry_point: str, wanted: set[str]
) -> list[Statement]:
    """The statements that the wanted names need: from the other blocks first, then from the entry point's block."""
    own = _kept(block, entry_point, wanted)
    bound = _BUILTINS.union(*(statement.binds for statement in own))
    missing = set().union(*(statement.reads for statement in own)) - bound
    elsewhere = [
        statement for other in others for statement in other if statement.binds and not statement.binds & bound
    ]
    needed = [
        statement
        for statement in _kept(elsewhere, entry_point, missing)
        if statement.binds & _closure(missing, elsewhere)
    ]
    future = [
        statement
        for statement in [*needed, *own]
        if isinstance(statement.node, ast.ImportFrom) and statement.node.level == 0
    ]
    first = [statement for statement in future if statement.node.module == "__future__"]  # type: ignore[attr-defined]
    return [*first, *(statement for statement in [*needed, *own] if statement not in first)]


def _kept(statements: Sequence[Statement], entry_point: str, wanted: set[str] | None = None) -> list[Statement]:
    """The imports, and the statements that the wanted names need (None: all names), without examples.

    The first of several definitions of a name counts. A statement that binds nothing (`sys.setrecursionlimit(10**6)`,
    `table[0] = 1`, `fill()`) stays when every name that it uses is defined, and it neither prints nor calls the entry
    point, even indirectly.
    """
    statements = [
        definition for definition in _first_definitions(statements) if not _is_example(definition, entry_point)
    ]
    bound = _BUILTINS.union(*(statement.binds for statement in statements))
    acting = [
        statement
        for statement in statements
        if not statement.binds and _acts(statement, statements, bound, entry_point)
    ]
    needed = bound if wanted is None else _closure(wanted.union(*(statement.reads for statement in acting)), statements)
    return [
        statement
        for statement in statements
        if statement in acting or isinstance(statement.node, _IMPORTS) or statement.binds & needed
    ]


def _first_definitions(statements: Sequence[Statement]) -> list[Statement]:
    found: dict[str, Statement] = {}
    for statement in statements:
        if isinstance(statement.node, _DEFINITIONS) and not _is_stub(statement):
            found.setdefault(statement.node.name, statement)
    return [
        statement
        for statement in statements
        if not isinstance(statement.node, _DEFINITIONS) or found.get(statement.node.name, statement) is statement
    ]


def _is_example(statement: Statement, entry_point: str) -> bool:
    """Whether a statement shows or tests the program: an assert, the main part, a call of the program, a print."""
    node = statement.node
    if isinstance(node, (*_DEFINITIONS, *_IMPORTS)):
        return False
    if isinstance(node, ast.Assert) or (isinstance(node, ast.If) and "__name__" in statement.reads):
        return True
    if entry_point in statement.binds:  # `f = lambda ...`, or a function in an `if`
        return False
    return bool(statement.reads & {*_EXAMPLES, entry_point})


def _acts(statement: Statement, statements: Sequence[Statement], bound: frozenset[str], entry_point: str) -> bool:
    node = statement.node
    if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call | ast.Await):  # probably a word of prose
        return False
    return statement.reads <= bound and not _closure(statement.reads, statements) & {*_EXAMPLES, entry_point}


def _closure(names: Iterable[str], statements: Sequence[Statement]) -> set[str]:
    """The names, the names in the statements that bind them, and so on."""
    found: set[str] = set()
    new = set(names)
    while new:
        found |= new
        new = set().union(*(statement.reads for statement in statements if statement.binds & found)) - found
    return found


def _completed(prompt: str, codes: Sequence[str], entry_point: str) -> str:
    """The prompt, completed by the first code that is the function's body: unchanged, with an indent, or with an indent
    of its first line.

    Prefers code that completes the prompt as a whole to code of which only the beginning does.
    """
    programs = [
        prompt + body
        for code in (codes if prompt else ())
        for body in (code, f"    {code.lstrip()}", textwrap.indent(textwrap.dedent(code), "    "))
    ]
    fitting = [program for program in programs if _ends_in_function(program, entry_point)]
    for program in [*fitting, *programs]:
        statements = _statements(program)
        if _defines(statements, entry_point):
            return _source(_kept(statements, entry_point, {entry_point}))
    return ""


def _ends_in_function(program: str, name: str) -> bool:
    tree = _parse(program)
    last = tree.body[-1] if tree is not None and tree.body else None
    return isinstance(last, ast.FunctionDef | ast.AsyncFunctionDef) and last.name == name


def _source(statements: Iterable[Statement]) -> str:
    return "".join(f"{statement.source}\n" for statement in statements)
