"""Languages without a compiler of machine code: the tests apart from the candidate, or after it by a launcher."""

from functools import cache
from pathlib import Path
from typing import Any

from chaku.sandbox.languages import library, tool
from chaku.sandbox.runners.plan import Command, Plan, close, large
from chaku.sandbox.verdict import Job

HARNESS = Path(__file__).parents[1] / "harness"


def javascript(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    node = (tool("node"), f"--max-old-space-size={memory_mb}")
    if not tests:
        return Plan(files={"program.js": job.source}, command=(*node, "program.js"), **large())
    return Plan(
        files={"program.js": job.source, "tests.js": tests},
        tests="tests.js",
        candidate=(*node, "-e", _scoped(_harness("wire.js", "candidate.js"))),
        command=(*node, "-e", _scoped(_harness("wire.js", "judge.js")), job.entry_point or "-"),
        **large(),
    )


def typescript(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """Two scripts share the global scope, so the compiler checks the tests' calls, too; then as JavaScript."""
    how = javascript(job, tests, mark, memory_mb)
    files = {name.replace(".js", ".ts"): text for name, text in how.files.items()}
    # As MultiPL-E compiles: without strict checks, which newer compilers make where they are not told.
    options = ("--target", "esnext", "--noErrorTruncation", "--strict", "false")
    compiler = (tool("node"), str(Path(tool("tsc")).resolve()), *options)
    return Plan(
        files=files,
        compile=((*compiler, *files),),
        **large(needs_proc=True),
        command=how.command,
        candidate=how.candidate,
        tests=how.tests,
    )


def bash(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    bash = tool("bash")
    check = ((bash, "-n", "program.sh"),)
    if not tests:
        return Plan(files={"program.sh": job.source}, compile=check, command=(bash, "program.sh"))
    source, tests = close(job.source, tests)
    return Plan(
        files={"program.sh": source, "tests.sh": tests},
        compile=check,
        tests="tests.sh",
        candidate=(bash, "-c", _harness("candidate.sh")),
        command=(bash, "-c", _harness("judge.sh"), "judge", job.entry_point),
    )


def perl(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    perl = tool("perl")
    if not tests:
        return Plan(files={"program.pl": job.source}, command=(perl, "program.pl"))
    library("perl", tests)
    return Plan(
        files={"program.pl": job.source, "tests.pl": tests},
        tests="tests.pl",
        candidate=(perl, "-e", _harness("wire.pl", "candidate.pl")),
        command=(perl, "-e", _harness("wire.pl", "judge.pl"), job.entry_point),
    )


def php(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    settings = ("display_errors=stderr", "log_errors=0", f"memory_limit={memory_mb}M", "zend.assertions=1")
    command = (tool("php"), *(word for each in settings for word in ("-d", each)))
    return _scripted(job, tests, mark, ".php", command, "-r")


def ruby(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    library("ruby", tests)
    return _scripted(job, tests, mark, ".rb", (tool("ruby"),), "-e", **large())


def lua(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    library("lua", tests)
    return _scripted(job, tests, mark, ".lua", (tool("lua5.4"),), "-e")


def r(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    rscript = (tool("Rscript"), "--vanilla")
    return _scripted(job, tests, mark, ".R", rscript, "-e", **large())


def _scripted(job: Job, tests: str, mark: str, extension: str, command: Command, code: str, **limits: Any) -> Plan:
    """A launcher, given as the argument of `code`, takes the tests away, runs the source, then the tests."""
    name = f"program{extension}"
    if not tests:
        return Plan(files={name: job.source}, command=(*command, name), **limits)
    files = {name: job.source, f"tests{extension}": tests, "mark": mark}
    return Plan(files=files, command=(*command, code, _harness(f"launcher{extension}")), mark=mark, **limits)


def _scoped(script: str) -> str:
    """Names of ours that the program, which shares JavaScript's global scope, does not see."""
    return f"(() => {{\n{script}\n}})();"


@cache
def _harness(*names: str) -> str:
    """Scripts of ours, one after the other: they are handed over as an argument, so that no file has to be seen."""
    return "\n".join((HARNESS / name).read_text(encoding="utf-8") for name in names)
