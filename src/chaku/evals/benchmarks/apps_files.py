"""Reads APPS's files: a folder for every problem, as published, or the Hub's rows (codeparrot/apps)."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.evals.benchmarks.problem_files import read_rows
from chaku.files import read_json

FOLDER = "apps/test"
URL = "https://people.eecs.berkeley.edu/~hendrycks/APPS.tar.gz"
HUB_FIELDS = ("problem_id", "question", "input_output")


def read_problems(path: Path | None = None) -> tuple[Path, list[dict[str, Any]]]:
    """The path that was read, and its problems: dicts of id, question, starter_code, tests, solutions and difficulty.

    `path`: a folder of problems or a file of rows; by default, apps/test under $CHAKU_BENCHMARKS. Raises ChakuError for
    a missing path, and for a problem without tests.
    """
    path = path or _default()
    if not path.exists():
        raise ChakuError(
            f"{path} does not exist; unpack {URL}, and give its folder `test`, or a file of the Hub's rows, with "
            "--problems"
        )
    if path.is_dir():
        folders = sorted(question.parent for question in path.glob("*/question.txt"))
        if not folders:
            raise ChakuError(
                f"{path} has no folders with a question.txt; give the folder `test` of {URL} with --problems"
            )
        return path, [_from_folder(folder) for folder in folders]
    rows = read_rows(path, HUB_FIELDS)
    return path, [_problem(f"{path}, problem {row['problem_id']}", str(row["problem_id"]), row) for row in rows]


def _default() -> Path:
    folder = os.environ.get("CHAKU_BENCHMARKS")
    if not folder:
        raise ChakuError(
            f"CHAKU_BENCHMARKS is not set; unpack {URL} as DIRECTORY/apps, and export CHAKU_BENCHMARKS=DIRECTORY"
        )
    return Path(folder) / FOLDER


def _from_folder(folder: Path) -> dict[str, Any]:
    texts = {name: folder / name for name in ("question.txt", "starter_code.py")}
    found = {name: path.read_text(encoding="utf-8") for name, path in texts.items() if path.is_file()}
    files = {name: folder / f"{name}.json" for name in ("input_output", "solutions", "metadata")}
    data: dict[str, Any] = {name: read_json(path) for name, path in files.items() if path.is_file()}
    row = {
        "question": found["question.txt"],
        "starter_code": found.get("starter_code.py"),
        "difficulty": data.get("metadata", {}).get("difficulty"),
        "input_output": data.get("input_output"),
        "solutions": data.get("solutions"),
    }
    return _problem(str(folder), folder.name, row)


def _problem(where: str, name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    tests, solutions = (_parsed(where, row.get(column)) for column in ("input_output", "solutions"))
    if not tests or not tests.get("inputs") or len(tests["inputs"]) != len(tests.get("outputs", ())):
        raise ChakuError(f"{where} has no tests, or its inputs and outputs do not match; remove the problem")
    return {
        "id": name,
        "question": row["question"],
        "starter_code": row.get("starter_code") or "",
        "difficulty": row.get("difficulty") or "",
        "tests": {key: tests[key] for key in ("fn_name", "inputs", "outputs") if key in tests},
        "solutions": list(solutions or []),
    }


def _parsed(where: str, value: Any) -> Any:
    """A value that may be JSON in a string."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value.strip() else None
    except ValueError as error:
        raise ChakuError(f"{where}: {error} in its tests or solutions; get the file again") from error
