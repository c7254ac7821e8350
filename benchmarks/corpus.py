"""Speed of a corpus build: megabytes of source files per CPU second, of Python and of other languages, step by step.

The files are those of installed packages and of C headers, copied to a directory first, so that all is in the cache.
With one worker the CPU time of the process is all of the work. To compare two versions of chaku, run this file with
each version's `src` in PYTHONPATH, in turn.

    python benchmarks/corpus.py --megabytes 30 --steps --out corpus.json
    python benchmarks/corpus.py --megabytes 150 --rounds 1 --datatrove OTHER/bin/python

`--steps`: also the CPU milliseconds per megabyte of each step alone. `--datatrove`: a Python with datatrove; both
programs read the same JSON lines and drop by StarCoder's rules. chaku then also tells languages, finds licences and
exact duplicates, and writes docstrings as documents; datatrove only filters.
"""

import argparse
import hashlib
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chaku.console import set_quiet, show_table
from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning.cleaner import Cleaning, cleaner
from chaku.corpus.cleaning.facts import Facts
from chaku.corpus.cleaning.filters import chosen_rules, reason_to_drop
from chaku.corpus.cleaning.personal import find_personal
from chaku.corpus.cleaning.secrets import find_secrets
from chaku.corpus.compiled import WORTH_LOADING, count_read
from chaku.corpus.reading.docstrings import docstrings
from chaku.corpus.reading.file_documents import read_files
from chaku.corpus.reading.sources import Files, Source, machine_sources, open_source, source_files
from chaku.documents import DOCSTRINGS
from chaku.files import write_json

OTHERS = (".h", ".hpp", ".c", ".js", ".mjs", ".pm", ".pl", ".sh", ".css", ".pyx", ".ts", ".rs", ".cpp")


def main() -> None:
    """Copy the files, build, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=150, help="of Python, and as many of other languages")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", action="store_true", help="also time each step alone")
    parser.add_argument("--datatrove", metavar="PYTHON", help="a Python that has datatrove: run it on the same rows")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    count_read(WORTH_LOADING)  # as in a build of hundreds of megabytes, from the first file on
    set_quiet(True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        sizes = copy_files(directory, options.megabytes)
        results["build"] = measure(directory, sizes, options.rounds)
        if options.steps:
            results["steps"] = {way: steps(directory / way, options.rounds) for way in sizes}
        if options.datatrove:
            results["beside datatrove"] = {way: beside(directory, way, options.datatrove) for way in sizes}
    set_quiet(False)
    rows: list[list[object]] = [
        [way, f"{row['megabytes']:.1f}", row["mb_per_cpu_second"]] for way, row in results["build"].items()
    ]
    show_table("Corpus build, one core", ["", "MB", "MB per CPU second"], rows)
    if options.steps:
        names = next(iter(results["steps"].values()))
        rows = [[step, *(row[step] for row in results["steps"].values())] for step in names]
        show_table("CPU milliseconds per megabyte of files", ["", *sizes], rows)
    if options.datatrove:
        compared = results["beside datatrove"]
        rows = [[way, *row.values()] for way, row in compared.items()]
        show_table("Beside datatrove", ["", *next(iter(compared.values()))], rows)
    if options.out:
        write_json(options.out, results)


def copy_files(directory: Path, megabytes: float) -> dict[str, int]:
    """Copy Python files and files of other languages into a tree each; returns their bytes."""
    packages = machine_sources()[1].path
    everywhere = [Source(place.name, "tree", place.path) for place in machine_sources()]
    found = {
        "Python": (path for path in files_of(Source("packages", "tree", packages)) if path.suffix == ".py"),
        "others": (path for place in everywhere for path in files_of(place) if path.suffix in OTHERS),
    }
    return {name: copied(paths, directory / name, megabytes * 1e6) for name, paths in found.items()}


def files_of(source: Source) -> Iterator[Path]:
    """The files of a tree."""
    return (path for path in source_files(source) if isinstance(path, Path))


def measure(directory: Path, sizes: dict[str, int], rounds: int) -> dict[str, Any]:
    """Build each tree `rounds` times, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in sizes}
    build_corpus([Source("warm", "tree", str(directory / "Python"))], directory / "warm")  # imports, caches
    for number in range(rounds):
        for name in sizes:
            started = time.process_time()
            build_corpus([Source(name, "tree", str(directory / name))], directory / f"{name}-{number}")
            seconds[name].append(time.process_time() - started)
    return {
        name: {"megabytes": size / 1e6, "mb_per_cpu_second": size / 1e6 / statistics.median(seconds[name])}
        for name, size in sizes.items()
    }


def steps(tree: Path, rounds: int) -> dict[str, float]:
    """CPU milliseconds per megabyte of each step alone: the best of `rounds`, after the build compiled its loops."""
    source, clean = Source("tree", "tree", str(tree)), cleaner(Cleaning())
    _, pieces = open_source(source)
    files = [piece for piece in pieces if isinstance(piece, Files)]
    read = [raw for piece in files for raw in read_files(piece, frozenset(), {}) if not raw.problem]
    code = [raw for raw in read if raw.kind == "code"]
    python = [raw.text for raw in code if raw.language == "Python"]
    work: dict[str, Callable[[], object]] = {
        "read, language, licence": lambda: [list(read_files(piece, frozenset(), {})) for piece in files],
        "docstrings": lambda: [docstrings(text) for text in python],
        "hash of the text": lambda: [hashlib.sha256(raw.text.encode()) for raw in read],
        "filters": lambda: [
            reason_to_drop(Facts(raw.text, raw.path, raw.kind, raw.language), clean.rules) for raw in read
        ],
        "filters of opencoder": lambda: [
            reason_to_drop(Facts(raw.text, raw.path, raw.kind, raw.language), chosen_rules("opencoder")) for raw in read
        ],
        "decontamination": lambda: [clean.decontamination.find(raw.text, raw.language) for raw in read],
        "secrets": lambda: [list(find_secrets(raw.text)) for raw in read],
        "personal data": lambda: [list(find_personal(raw.text)) for raw in read],
    }
    megabytes = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) / 1e6
    found = {}
    for name, step in work.items():
        step()  # caches
        seconds = []
        for _ in range(rounds):
            started = time.process_time()
            step()
            seconds.append(time.process_time() - started)
        found[name] = min(seconds) / megabytes * 1000
    return found


def beside(directory: Path, way: str, python: str) -> dict[str, float]:
    """chaku and datatrove on the same JSON lines: megabytes per CPU second, and the documents that they keep."""
    rows = directory / f"{way}-rows" / "rows.jsonl"
    rows.parent.mkdir()
    with rows.open("w", encoding="utf-8") as file:
        for path in sorted((directory / way).rglob("*")):
            if path.is_file():
                text = path.read_bytes().decode("utf-8", "replace")
                file.write(f"{json.dumps({'content': text, 'path': str(path.relative_to(directory))})}\n")
    size = rows.stat().st_size / 1e6
    script = Path(__file__).with_name("corpus_datatrove.py")
    command = [python, str(script), str(rows), str(directory / f"{way}-datatrove")]
    theirs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    cleaning = Cleaning(filters="starcoder", secrets="keep", decontaminate=False)
    started = time.process_time()
    summary = build_corpus([Source(way, "jsonl", str(rows))], directory / f"{way}-chaku", cleaning=cleaning)
    seconds = time.process_time() - started
    return {
        "MB of rows": size,
        "chaku, MB per CPU second": size / seconds,
        "datatrove": size / theirs["cpu_seconds"],
        "documents of chaku": sum(row["documents"] for row in summary["kept"] if row["language"] != DOCSTRINGS),
        "of datatrove": theirs["documents"],
    }


def copied(paths: Iterator[Path], target: Path, most: float) -> int:
    """Copy files in their directories; returns their bytes."""
    size = 0
    for path in paths:
        if size >= most:
            break
        if path.is_file() and not path.is_symlink():
            to = target / path.relative_to("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
            size += to.stat().st_size
    return size


if __name__ == "__main__":
    main()
