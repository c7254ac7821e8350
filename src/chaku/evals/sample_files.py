"""Reads files and folders of samples in the formats of common evaluation programs, recognised by their keys.

Reads rows (JSON lines or one JSON list, gzipped or not, or Parquet) that name a problem and hold a text or a list of
texts: human-eval's `completion`, EvalPlus's `solution`, LiveCodeBench's `code_list`, CodeGeeX's `generation`; the
samples that lm-evaluation-harness logs; bigcode's generations.json (a list of texts for each problem, in the
benchmark's order); an object of problems and their texts, such as EvalPlus's results; EvalPlus's and MultiPL-E's
folders.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from chaku.errors import ChakuError
from chaku.jsonl import read_lines, read_text

# The kind of a text: a completion of the prompt, a whole program, either of these, or a chat model's reply.
Kind = Literal["completion", "program", "either", "reply"]

ID_FIELDS = ("task_id", "question_id", "problem_id", "name")
HARNESS = "lm-evaluation-harness's"
# The first of these fields in a row holds the text. `code` and `solutions` are not read: many programs copy the
# problem's row, which has MBPP's and APPS's own solutions there.
CODE_FIELDS: dict[str, Kind] = {
    "completion": "completion",
    "completions": "completion",
    "generation": "either",  # CodeGeeX completes prompts, DeepSeek-Coder writes whole functions
    "generations": "either",
    "code_list": "program",
    "solution": "program",
}
# With --extract, the first of these fields in a row; EvalPlus also keeps raw replies under `solution`.
REPLY_FIELDS = (
    *("reply", "raw_solution", "gpt_completion", "output", "outputs", "output_list", "response", "responses"),
    "solution",
)


@dataclass(frozen=True)
class RawSample:
    """A text from a file. It has the `task_id` of its problem, or else the problem's `place` in the set, from 0.

    `index`: the sample's number in the file, if it has one. `form`: the format. `where`: the file and line.
    """

    task_id: str | None
    place: int | None
    index: int | None
    text: str
    kind: Kind
    form: str
    where: str


def read_raw_samples(path: Path, *, replies: bool = False) -> list[RawSample]:
    """The samples in the file's order. `replies`: take a chat model's reply, even when the row has code too.

    Raises ChakuError, with the file and line, for a row that is not a sample.
    """
    samples = list(_folder(path, replies) if path.is_dir() else _file(path, replies))
    if not samples:
        raise ChakuError(f"{path} has no samples")
    filters = dict.fromkeys(sample.form for sample in samples if sample.form.startswith(HARNESS))
    if len(filters) > 1:
        raise ChakuError(
            f"{path} has every sample several times, once for every filter ({'; '.join(filters)}); keep the rows of "
            "one filter"
        )
    return samples


def _file(path: Path, replies: bool) -> Iterator[RawSample]:
    for place, (number, value) in enumerate(read_lines(path)):
        where = f"{path}, line {number}"
        if isinstance(value, list):
            form = "a list of texts for each problem, as bigcode's generations.json"
            yield from _samples(None, place, value, _kind("either", replies), form, where)
        elif (by_id := _texts_by_id(value)) is not None:
            for task_id, texts in by_id.items():
                yield from _samples(task_id, None, texts, _kind("either", replies), "texts by problem", where)
        elif (results := _evalplus_results(value)) is not None:
            for task_id, texts in results.items():
                yield from _samples(task_id, None, texts, _kind("program", replies), "EvalPlus's results", where)
        else:
            yield from _row(value, where, replies)


def _texts_by_id(value: Any) -> Mapping[str, Any] | None:
    """The value, if it is an object from problems to texts: no key is a known field, and all values are texts."""
    known = {*ID_FIELDS, *CODE_FIELDS, *REPLY_FIELDS, "eval", "doc"}
    if not isinstance(value, dict) or not value or known & value.keys():
        return None
    return value if all(isinstance(texts, str | list) for texts in value.values()) else None


def _evalplus_results(value: Any) -> dict[str, list[Any]] | None:
    """The solutions in EvalPlus's eval_results.json, by problem; None for another file."""
    if not isinstance(value, dict) or not isinstance(value.get("eval"), dict):
        return None
    return {
        task_id: [row.get("solution") for row in rows if isinstance(row, dict)]
        for task_id, rows in value["eval"].items()
        if isinstance(rows, list)
    }


def _row(row: Any, where: str, replies: bool) -> Iterator[RawSample]:
    if not isinstance(row, dict):
        raise _no_sample(row, where)
    if isinstance(row.get("doc"), dict) and ("resps" in row or "filtered_resps" in row):
        return _harness_row(row, where, replies)
    field = next((name for name in ID_FIELDS if name in row), "")
    if not field:
        raise _no_sample(row, where)
    task_id = _task_id(row[field], field, where)
    if field == "name" and isinstance(row.get("results"), list):
        programs = [_without_tests(result, row.get("tests")) for result in row["results"]]
        return _samples(task_id, None, programs, _kind("program", replies), "MultiPL-E's results", where)
    if field == "name" and isinstance(row.get("completions"), list) and isinstance(row.get("prompt"), str):
        # The file's prompt, which may end in other white space than the benchmark's prompt.
        prompt = "" if replies else row["prompt"]
        programs = [prompt + text if isinstance(text, str) else text for text in row["completions"]]
        return _samples(task_id, None, programs, _kind("program", replies), "MultiPL-E's completions", where)
    return _plain_row(row, field, task_id, where, replies)


def _harness_row(row: dict[str, Any], where: str, replies: bool) -> Iterator[RawSample]:
    """A row of lm-evaluation-harness: `resps` holds the model's texts, `filtered_resps` the texts that it judged."""
    field = "resps" if replies or "filtered_resps" not in row else "filtered_resps"
    task_id = next((row["doc"][name] for name in ID_FIELDS if name in row["doc"]), None)
    place = row.get("doc_id") if task_id is None else None
    if task_id is not None:
        task_id = _task_id(task_id, "doc.task_id", where)
    elif isinstance(place, bool) or not isinstance(place, int):
        raise _no_sample(row, where)
    form = f"{HARNESS} {field}" + (f", filter {row['filter']}" if "filter" in row else "")
    return _samples(task_id, place, _flat(row[field]), _kind("either", replies), form, where)


def _plain_row(row: dict[str, Any], field: str, task_id: str, where: str, replies: bool) -> Iterator[RawSample]:
    key = next((name for name in (*(REPLY_FIELDS if replies else ()), *CODE_FIELDS) if name in row), "")
    if not key:
        raise _no_sample(row, where)
    texts, index = row[key], None
    if not isinstance(texts, str | list):
        raise ChakuError(f"{where}: {key} must be a text, not {json.dumps(texts)[:80]}")
    if isinstance(texts, str) and "index" in row:
        index = row["index"]
        if isinstance(index, bool) or not isinstance(index, int):
            raise ChakuError(f"{where}: index must be a whole number, not {json.dumps(index)}")
    kind = _kind(CODE_FIELDS.get(key, "reply"), replies)
    return _samples(task_id, None, texts, kind, f"rows of {field} and {key}", where, index)


def _task_id(value: Any, field: str, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ChakuError(f"{where}: {field} must be a text, not {json.dumps(value)[:80]}")
    return str(value)


def _samples(
    task_id: str | None, place: int | None, texts: Any, kind: Kind, form: str, where: str, index: int | None = None
) -> Iterator[RawSample]:
    for text in [texts] if isinstance(texts, str) else texts:
        if not isinstance(text, str):
            raise ChakuError(f"{where}: a list of samples must hold texts, not {json.dumps(text)[:80]}")
        yield RawSample(task_id, place, index, text, kind, form, where)


def _kind(kind: Kind, replies: bool) -> Kind:
    return "reply" if replies else kind


def _flat(values: Any) -> list[Any]:
    """The texts of nested lists: the harness keeps a list for every request, and filters may add another list."""
    return [text for value in values for text in _flat(value)] if isinstance(values, list) else [values]


def _without_tests(result: Any, tests: Any) -> Any:
    """The program in a row of MultiPL-E's results, which append the tests to it."""
    program = result.get("program") if isinstance(result, dict) else None
    if not isinstance(program, str) or not isinstance(tests, str):
        return program
    return program.rstrip().removesuffix(tests.rstrip())


def _no_sample(row: Any, where: str) -> ChakuError:
    fields = row.keys() if isinstance(row, dict) else ()
    reply = next((name for name in REPLY_FIELDS if name in fields), "")
    hint = f"; its {reply!r} looks like a chat model's reply: score it with --extract" if reply else ""
    return ChakuError(
        f'{where} is not a sample: each line is {{"task_id": ..., "completion": ...}}, or has whole programs under '
        f"`solution`; docs/evals.md lists what else is read{hint}"
    )


def _folder(path: Path, replies: bool) -> Iterator[RawSample]:
    """EvalPlus's folder with PROBLEM/0.py, or MultiPL-E's with PROBLEM.json or PROBLEM.results.json, gzipped or not."""
    programs = sorted(path.glob("*/*.py"), key=_by_number)
    for file in programs:
        task_id, form = file.parent.name.replace("_", "/"), "EvalPlus's folder"
        yield RawSample(task_id, None, None, read_text(file), _kind("program", replies), form, str(file))
    if programs:
        return
    files = {
        file.name.removesuffix(".gz").removesuffix(".json"): file
        for pattern in ("*.json", "*.json.gz")
        for file in path.glob(pattern)
    }
    rows = {
        name: file
        for name, file in files.items()
        if name.removesuffix(".results") == name or not _is_beside(name, files)
    }
    if not rows:
        raise ChakuError(
            f"{path} has no samples: a folder of samples has PROBLEM/0.py (EvalPlus) or PROBLEM.json (MultiPL-E); for "
            "another format, give the path of the file"
        )
    for file in sorted(rows.values()):
        yield from _file(file, replies)


def _is_beside(name: str, files: Mapping[str, Path]) -> bool:
    """Whether the folder also has the file of completions that belongs to a file of results."""
    return name.removesuffix(".results") in files


def _by_number(file: Path) -> tuple[str, int, str]:
    return file.parent.name, int(file.stem) if file.stem.isdecimal() else 0, file.stem
