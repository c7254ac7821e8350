"""`chaku sandbox run`: one program, run where it can do no harm."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from chaku.cli.shared.options import PATH, json_option, no_sandbox_option, positive
from chaku.cli.shared.verb import verb

if TYPE_CHECKING:
    from chaku.sandbox.verdict import Verdict


@verb("chaku sandbox run program.cpp --stdin input.txt --json")
@click.argument("file", type=PATH, help="The program's file.")
@click.option("--language", help="The program's language; without it, by the file's extension.")
@click.option("--stdin", type=PATH, help="A file that the program reads as its standard input.")
@click.option(
    "--timeout",
    type=float,
    default=3.0,
    callback=positive,
    metavar="SECONDS",
    help="Let the program use so much CPU time.",
)
@click.option(
    "--memory", type=int, default=1024, callback=positive, metavar="MB", help="Let the program use so much memory."
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
    from chaku.files import read_text
    from chaku.sandbox.languages.toolchains import language_of
    from chaku.sandbox.pool import run
    from chaku.sandbox.verdict import Job

    job = Job(
        read_text(file, newline=""),
        language=language or language_of(file),
        stdin=read_text(stdin, newline="") if stdin else "",
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
