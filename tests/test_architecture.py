"""docs/architecture.md names every file with what it is: the first line of its docstring.

`python tests/test_architecture.py` writes the list anew.
"""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "chaku"
DOCUMENT = ROOT / "docs" / "architecture.md"
HEADING = "## Every file\n"


def first_line(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]


def file_list() -> str:
    rooms: dict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        if path.name != "__init__.py":
            rooms[path.parent.relative_to(SOURCE).as_posix()].append(f"| `{path.name}` | {first_line(path)} |")
    parts = []
    for room, lines in sorted(rooms.items()):
        about = first_line(SOURCE / room / "__init__.py")
        name = "chaku" if room == "." else f"{room}/"
        parts.append(f"### {name}\n\n{about}\n\n| | |\n|---|---|\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def test_every_file_is_listed_with_what_it_is():
    assert DOCUMENT.read_text(encoding="utf-8").partition(HEADING)[2].strip() == file_list().strip(), __doc__


def test_every_file_says_what_it_is():
    assert [path for path in SOURCE.rglob("*.py") if not first_line(path)] == []


if __name__ == "__main__":
    before, heading, _ = DOCUMENT.read_text(encoding="utf-8").partition(HEADING)
    DOCUMENT.write_text(f"{before}{heading}\n{file_list()}", encoding="utf-8")
