"""Turn a Jupyter notebook into a program: its cells in order, without outputs."""

import json
from typing import Any

# Names of languages in notebooks that Pygments, and so the corpus, writes in another way.
_LANGUAGES = {"python": "Python", "r": "R", "ir": "R", "julia": "Julia", "javascript": "JavaScript", "bash": "Shell"}
_LANGUAGES |= {"typescript": "TypeScript", "scala": "Scala", "c++": "C++", "c#": "C#", "sql": "SQL", "ruby": "Ruby"}
NOT_A_NOTEBOOK = "not a notebook"
MAX_NOTEBOOK_BYTES = 16_000_000  # a notebook's outputs, which are left out, hold its images


def notebook_program(text: str) -> tuple[str, str] | None:
    """(program, language) of a notebook of format 3 or 4; None for any other text, and for one without code.

    Cells are marked as Jupytext's "percent" form marks them, which editors open as cells: `# %%` before code, and
    `# %% [markdown]` before text, whose lines become comments.
    """
    try:
        notebook = json.loads(text)
        cells = notebook.get("cells")
        if cells is None:
            cells = [cell for sheet in notebook["worksheets"] for cell in sheet["cells"]]
        language = _language(notebook.get("metadata") or {})
        mark = "//" if language in ("JavaScript", "TypeScript", "Scala", "C++", "C#") else "#"
        parts = [part for cell in cells if (part := _cell(cell, mark))]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not any(part.startswith(f"{mark} %%\n") for part in parts):
        return None
    return "\n\n".join(parts).encode("utf-8", "replace").decode() + "\n", language


def _cell(cell: dict[str, Any], mark: str) -> str:
    source = cell.get("source", cell.get("input", ""))
    text = ("".join(source) if isinstance(source, list) else str(source)).strip("\n")
    if not text.strip():
        return ""
    if cell.get("cell_type") == "code":
        return f"{mark} %%\n{text}"
    kind = "markdown" if cell.get("cell_type") == "markdown" else "raw"
    lines = (f"{mark} {line}".rstrip() for line in text.split("\n"))
    return f"{mark} %% [{kind}]\n" + "\n".join(lines)


def _language(metadata: dict[str, Any]) -> str:
    about = metadata.get("language_info") or {}
    name = str(about.get("name") or (metadata.get("kernelspec") or {}).get("language") or "python")
    return _LANGUAGES.get(name.lower(), name.capitalize())
