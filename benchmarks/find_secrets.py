"""Secrets and personal data: precision, recall and speed, beside detect-secrets.

    python benchmarks/find_secrets.py [--code DIRECTORY] [--detect-secrets PYTHON] [--out figures.json]

The labelled set is made from seeds (`tests/secret_samples.py`): code with one secret or person's data in it, and code
with look-alikes. `--code`: real code, such as site-packages, in which every find is shown: there are few true ones.
`--detect-secrets`: the Python of a virtual environment that has detect-secrets, which looks at the same files.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chaku.console import show_table
from chaku.corpus.cleaning.personal import PERSONAL, find_personal
from chaku.corpus.cleaning.secrets import find_secrets
from chaku.files import write_json

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from secret_samples import Maker, in_code  # type: ignore[import-not-found]

CODE = "import os\n\n\ndef work(path):\n    return os.stat(path)\n\n\n"
# Prints a line of JSON for each file: the secrets that detect-secrets found, as it gives them.
DETECT = """
import json, sys
from detect_secrets import SecretsCollection
from detect_secrets.settings import default_settings
for path in sys.stdin.read().split("\\n"):
    found = SecretsCollection()
    with default_settings():
        found.scan_file(path)
    print(json.dumps([[secret.type, secret.secret_value] for _, secret in found]))
"""


def labelled(num_seeds: int) -> list[tuple[str, str, str]]:
    """(text, kind, value); kind and value are empty for a text with a look-alike."""
    rows = []
    for seed in range(num_seeds):
        maker, draw = Maker(seed), random.Random(seed)
        found = (*maker.secrets(), *maker.personal())
        rows += [(f"{CODE}{in_code(kind, value, draw)}\n{CODE}", kind, value) for kind, value in found]
        rows += [(f"{CODE}x = '{value}'\n{CODE}", "", "") for value in maker.kept()]
    return rows


def measure(rows: list[tuple[str, str, str]]) -> dict[str, dict[str, float]]:
    """By kind: how many there are, how many of them were found whole, and how many finds are wrong."""
    figures: dict[str, Counter[str]] = {}
    for text, kind, value in rows:
        if kind:
            figures.setdefault(kind, Counter())["there"] += 1
        covered = False
        for part in (*find_secrets(text), *find_personal(text)):
            counts = figures.setdefault(part.kind, Counter())
            right = part.kind == kind and (text[part.start : part.end] in value or value in text[part.start : part.end])
            covered |= right
            counts["right" if right else "wrong"] += 1
        if kind:
            figures[kind]["found"] += covered
    return {
        kind: {
            "there": counts["there"],
            "recall": counts["found"] / max(1, counts["there"]),
            "precision": counts["right"] / max(1, counts["right"] + counts["wrong"]),
        }
        for kind, counts in sorted(figures.items())
    }


def detect_secrets(python: str, rows: list[tuple[str, str, str]]) -> dict[str, float]:
    """detect-secrets on the secrets and look-alikes. A secret counts as found when its whole value is reported."""
    rows = [row for row in rows if row[1] not in PERSONAL]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.py" for number in range(len(rows))]
        for path, (text, _, _) in zip(paths, rows, strict=True):
            path.write_text(text)
        started = time.perf_counter()
        command = [python, "-c", DETECT]
        names = "\n".join(map(str, paths))
        printed = subprocess.run(command, input=names, capture_output=True, text=True, check=True).stdout
        seconds = time.perf_counter() - started
    reports = [json.loads(line) for line in printed.splitlines()]
    secrets = [(found, value) for found, (_, kind, value) in zip(reports, rows, strict=True) if kind]
    kept = [found for found, (_, kind, _) in zip(reports, rows, strict=True) if not kind]
    return {
        "flagged": sum(bool(found) for found, _ in secrets) / len(secrets),
        "whole value": sum(any(value == part for _, part in found) for found, value in secrets) / len(secrets),
        "look-alikes flagged": sum(bool(found) for found in kept) / len(kept),
        "MB/s": sum(len(text) for text, _, _ in rows) / 1e6 / seconds,
    }


def real_code(directory: Path, limit: int) -> dict[str, Any]:
    """The finds in real code, and the speed on it, in megabytes for each second of processor time."""
    files = sorted(path for path in directory.rglob("*.py") if path.stat().st_size < 1_000_000)
    random.Random(1).shuffle(files)
    size, seconds, shown = 0, 0.0, []
    for path in files[:limit]:
        text = path.read_text(errors="replace")
        size += len(text.encode())
        started = time.process_time()
        found = [*find_secrets(text), *find_personal(text)]
        seconds += time.process_time() - started
        shown += [(part.kind, text[part.start : part.end][:50].replace("\n", " "), path.name) for part in found]
    kinds = Counter(kind for kind, _, _ in shown)
    return {
        "files": min(limit, len(files)),
        "MB": size / 1e6,
        "MB/s": size / 1e6 / seconds,
        "kinds": kinds,
        "found": shown,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--code", type=Path, help="a directory of real Python code")
    parser.add_argument("--limit", type=int, default=2000, help="files of it")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--detect-secrets", help="a Python that has detect-secrets")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    options = parser.parse_args()
    rows = labelled(options.seeds)
    figures: dict[str, Any] = {"labelled": measure(rows)}
    table: list[list[object]] = [
        [kind, counts["there"], f"{counts['recall']:.3f}", f"{counts['precision']:.3f}"]
        for kind, counts in figures["labelled"].items()
    ]
    show_table(f"{len(rows)} labelled texts", ["kind", "there", "recall", "precision"], table)
    if options.detect_secrets:
        figures["detect-secrets"] = detect_secrets(options.detect_secrets, rows)
        peer: list[list[object]] = [[name, f"{value:.3f}"] for name, value in figures["detect-secrets"].items()]
        show_table("detect-secrets", ["", ""], peer)
    if options.code:
        figures["code"] = real_code(options.code, options.limit)
        found: list[list[object]] = [list(row) for row in figures["code"]["found"][:60]]
        title = f"{figures['code']['MB']:.1f} MB of code at {figures['code']['MB/s']:.0f} MB/s"
        show_table(title, ["kind", "text", "file"], found)
    if options.out:
        write_json(options.out, figures)


if __name__ == "__main__":
    main()
