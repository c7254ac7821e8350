"""The rooms of the house: imports point down, and no files import each other in a circle."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src" / "chaku"
# A room may import those after it. A file beside the rooms (errors.py, say) may be imported by all.
ROOMS = [
    "__main__",
    "cli",
    "serve",
    "api",
    "doctor",
    "pipeline",
    "report",
    "recipe",
    "reinforcement",
    "instruct",
    "corpus",
    "evals",
    "synthetic",
    "sql",
    "sandbox",
    "inference",
    "training",
    "checkpoint",
    "model",
    "tokens",
]
HEAVY = ("torch", "numpy", "pyarrow", "sqlglot", "transformers", "openvino", "rich")


@cache
def imports() -> dict[str, set[str]]:
    """The modules of chaku that each module imports, also within its functions; not what only a type checker reads."""
    files = {module_name(path): path for path in SOURCE.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for module, path in files.items():
        found[module] = set()
        tree = ast.parse(path.read_text())
        unread = {
            inner
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        for node in set(ast.walk(tree)) - unread:
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "chaku":
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found[module].add(inner if inner in files else node.module)
    return found


def module_name(path: Path) -> str:
    parts = ("chaku", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts).removesuffix(".__init__")


def room(module: str) -> str:
    return module.removeprefix("chaku").removeprefix(".").split(".")[0]


def test_imports_point_down():
    order = {name: place for place, name in enumerate(ROOMS)}
    up = {
        module: imported
        for module, names in imports().items()
        for imported in names
        if order.get(room(imported), len(ROOMS)) < order.get(room(module), len(ROOMS))
    }
    assert up == {}


def test_no_files_import_each_other():
    graph = imports()
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " imports ".join((*path[path.index(module) :], module))
        if module not in done:
            for imported in sorted(graph.get(module, ())):
                visit(imported, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def loaded(code: str) -> list[str]:
    """The heavy packages that some code imports."""
    code = f"import sys\n{code}\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_importing_chaku_imports_nothing_heavy():
    assert loaded("import chaku, chaku.cli") == []


def test_reading_a_recipe_and_building_a_corpus_import_no_torch():
    assert "torch" not in loaded("import chaku.recipe.load, chaku.corpus.build")
