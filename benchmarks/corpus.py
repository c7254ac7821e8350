"""Speed of a corpus build: megabytes of source files per CPU second, of Python and of other languages, step by step.

The files are those of installed packages and of C headers, copied to a directory first, so that all is in the cache.
With one worker the CPU time of the process is all of the work. To compare two versions of chaku, run this file with
each version's `src` in PYTHONPATH, in turn.

    python benchmarks/corpus.py --megabytes 30 --out corpus.json
"""

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaku.console import set_quiet, show_table
from chaku.corpus.build import build_corpus
from chaku.corpus.sources import Source, machine_sources, source_files
from chaku.files import write_json

OTHERS = (".h", ".hpp", ".c", ".js", ".mjs", ".pm", ".pl", ".sh", ".css", ".pyx", ".ts", ".rs", ".cpp")


def main() -> None:
    """Copy the files, build, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=150, help="of Python, and as many of other languages")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        results = measure(Path(name), options.megabytes, options.rounds)
    set_quiet(False)
    rows: list[list[object]] = [
        [way, f"{row['megabytes']:.1f}", row["mb_per_cpu_second"]] for way, row in results.items()
    ]
    show_table("Corpus build, one core", ["", "MB", "MB per CPU second"], rows)
    if options.out:
        write_json(options.out, results)


def measure(directory: Path, megabytes: float, rounds: int) -> dict[str, Any]:
    """Build each tree `rounds` times, in turn."""
    set_quiet(True)
    packages = machine_sources()[1].path
    everywhere = [Source(place.name, "tree", place.path) for place in machine_sources()]
    found = {
        "Python": (path for path in source_files(Source("packages", "tree", packages)) if path.suffix == ".py"),
        "others": (path for place in everywhere for path in source_files(place) if path.suffix in OTHERS),
    }
    sizes = {name: copied(paths, directory / name, megabytes * 1e6) for name, paths in found.items()}
    seconds: dict[str, list[float]] = {name: [] for name in found}
    build_corpus([Source("warm", "tree", str(directory / "Python"))], directory / "warm")  # imports, caches
    for number in range(rounds):
        for name in found:
            started = time.process_time()
            build_corpus([Source(name, "tree", str(directory / name))], directory / f"{name}-{number}")
            seconds[name].append(time.process_time() - started)
    return {
        name: {"megabytes": size / 1e6, "mb_per_cpu_second": size / 1e6 / statistics.median(seconds[name])}
        for name, size in sizes.items()
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
