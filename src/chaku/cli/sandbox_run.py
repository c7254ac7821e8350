"""`chaku sandbox`: run one program where it can do no harm."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.sandbox.verdict import Verdict


def add_commands(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add the verb to chaku's command line."""
    sandbox = verbs.add_parser("sandbox", help="untrusted programs").add_subparsers(required=True, metavar="COMMAND")
    run = sandbox.add_parser("run", parents=[common], help="run a program: exit status 0 if it passes, else 1")
    run.add_argument("file", type=Path)
    run.add_argument("--language", help="default: by the file's extension")
    run.add_argument("--stdin", type=Path, help="a file that the program reads as its standard input")
    run.add_argument("--timeout", type=_positive(float), default=3.0, metavar="SECONDS", help="of CPU time (default 3)")
    run.add_argument("--memory", type=_positive(int), default=1024, metavar="MB", help="default 1024")
    run.add_argument("--unsafe-no-sandbox", action="store_true", help="run it as yourself, with limits alone")
    run.add_argument("--json", action="store_true")
    run.set_defaults(command=_run)


def _run(options: argparse.Namespace) -> int:
    from chaku.sandbox.languages.toolchains import language_of
    from chaku.sandbox.pool import run
    from chaku.sandbox.verdict import Job

    job = Job(
        _read(options.file),
        language=options.language or language_of(options.file),
        stdin=_read(options.stdin) if options.stdin else "",
        may_exit=True,
    )
    isolated = not options.unsafe_no_sandbox
    verdict = run(job, timeout=options.timeout, memory_mb=options.memory, isolated=isolated)
    if options.json:
        fields = {name: value for name, value in asdict(verdict).items() if name not in ("status", "tests")}
        about = {"verdict": verdict.status, "passed": verdict.passed, "language": job.language, "isolated": isolated}
        print(json.dumps({**about, **fields}, ensure_ascii=False))
    else:
        _show(verdict)
    return 0 if verdict.passed else 1


def _show(verdict: "Verdict") -> None:
    """The program's outputs as they are, the verdict after them on standard error."""
    for text, cut, stream in (
        (verdict.stdout, verdict.stdout_cut, sys.stdout),
        (verdict.stderr, verdict.stderr_cut, sys.stderr),
    ):
        stream.write(text if not text or text.endswith("\n") else text + "\n")
        if cut:
            stream.write("[cut here: there was more]\n")
        stream.flush()
    used = f"{verdict.cpu_seconds:.2f} s of CPU time, {verdict.wall_seconds:.2f} s, {verdict.peak_memory_mb:.0f} MB"
    reason = f": {verdict.reason}" if verdict.reason else ""
    print(f"chaku: {verdict.status.replace('_', ' ')}{reason} ({used})", file=sys.stderr)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ChakuError(f"cannot read {path}: {error}") from error


def _positive(kind: type) -> Any:
    def number(text: str) -> Any:
        value = kind(text)
        if not 0 < value < 1e6:
            raise argparse.ArgumentTypeError(f"{text} is not above 0, or far too large")
        return value

    return number
