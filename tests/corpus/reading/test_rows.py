"""Rows are read a few at a time, whatever a file holds."""

import json
import subprocess
import sys

import pytest

from chaku.corpus.reading import rows
from chaku.corpus.reading.rows import read_packs, read_rows


@pytest.mark.parametrize(
    ("text", "values", "problem"),
    [
        ('[1, {"a": [2, "]"]}, "x" ]\n', [1, {"a": [2, "]"]}, "x"], ""),
        (" [\n]", [], ""),
        ("[12, 345678901234567890]", [12, 345678901234567890], ""),
        ("[1, 2", [1, 2][:1], "not JSON"),
        ("[1, }", [1], "not JSON"),
        ("[1] 2", [1], "not JSON"),
        ('["' + "long " * 100 + '", 1]', [], "not JSON"),
        ("[" + "[" * 100_000, [], "not JSON"),
    ],
)
def test_an_array_is_read_an_item_at_a_time(tmp_path, monkeypatch, text, values, problem):
    monkeypatch.setattr(rows, "CHUNK", 5)
    monkeypatch.setattr(rows, "MAX_LINE", 200)
    path = tmp_path / "a.json"
    path.write_text(text)
    found = list(read_rows(path))
    assert [row.value for row in found if not row.problem] == values
    assert [row.problem for row in found if row.problem] == ([problem] if problem else [])


def test_packs_have_few_rows_and_few_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "PACK_BYTES", 1000)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"text": "x" * (number * 10)}) + "\n\n" for number in range(100)))
    packs = list(read_packs(path))
    assert max(sum(len(line) for _, line, _ in pack.rows) for pack in packs) < 2100
    assert [pack.first for pack in packs[:2]] == [0, len(packs[0].rows)]
    assert [len(row.value["text"]) for row in read_rows(path)] == [number * 10 for number in range(100)]
    assert next(read_rows(path)).where == f"{path}, line 1"


LIMITED = """
import resource, sys
from pathlib import Path
import chaku.corpus.build
from chaku.corpus.build import build_corpus
from chaku.corpus.reading.sources import guess_source
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (int(sys.argv[3]) << 20),) * 2)
build_corpus([guess_source(Path(sys.argv[1]))], Path(sys.argv[2]), heldout_fraction=0)
"""


@pytest.mark.parametrize("name", ["line.jsonl", "array.json"])
def test_a_file_larger_than_the_memory_is_read(tmp_path, name):
    """A line of 300 MB; an array of 300 MB in items of 1 MB: each in 250 MB of address space."""
    row = json.dumps({"text": "def add(first, second):\n    return first + second\n" * 3, "path": "a.py"})
    with (tmp_path / name).open("w") as file:
        if name == "line.jsonl":
            file.write(row + "\n" + '{"text": "')
            file.seek(300 << 20)
            file.write('"}\n')
        else:
            file.write("[" + row)
            for _ in range(300):
                file.write(", " + " " * (1 << 20) + "1")
            file.write("]")
    command = [sys.executable, "-c", LIMITED, str(tmp_path / name), str(tmp_path / "out"), "250"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [row["documents"] for row in summary["kept"]] == [1]
