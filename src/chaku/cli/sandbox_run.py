"""`chaku sandbox run`: one program, run where it can do no harm."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaku.cli.shared.options import PATH, json_option, no_sandbox_option
from chaku.cli.shared.verb import verb
from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.sandbox.verdict import Verdict


def _positive(context: click.Context, param: click.Parameter, value: float) -> float:
    """A callback: click's own ranges let NaN pass."""
    if not 0 < value < 1e6:
        raise click.BadParameter(f"{value} is not above 0, or far too large")
    return value


@verb("chaku sandbox run program.cpp --stdin input.txt --json")
@click.argument("file", type=PATH, help="The program's file.")
@click.option("--language", help="The program's language; without it, by the file's extension.")
@click.option("--stdin", type=PATH, help="A file that the program reads as its standard input.")
@click.option(
    "--timeout",
    type=float,
    default=3.0,
    callback=_positive,
    metavar="SECONDS",
    help="Let the program use so much CPU time.",
)
@click.option(
    "--memory", type=int, default=1024, callback=_positive, metavar="MB", help="Let the program use so much memory."
)
@no_sandbox_option("Run the program as yourself, with limits alone.")
@json_option("Print the verdict, its measures and the outputs as JSON.")
def sandbox_run(
    file: Path,
    language: str | None,
    stdin: Path | None,
    timeout: float,
    memory: int,
    unsafe_no_sandbox: bool,
    as_json: bool,
) -> int:
    """Run a program in the sandbox: the exit status is 0 if it passes, else 1."""
    from chaku.sandbox.languages.toolchains import language_of
    from chaku.sandbox.pool import run
    from chaku.sandbox.verdict import Job

    job = Job(
        _read(file),
        language=language or language_of(file),
        stdin=_read(stdin) if stdin else "",
        may_exit=True,
    )
    isolated = not unsafe_no_sandbox
    verdict = run(job, timeout=timeout, memory_mb=memory, isolated=isolated)
    if as_json:
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
