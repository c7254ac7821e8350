"""Scripted languages: the tests run in a process apart from the candidate (`guest/pair.py`)."""

import re
from pathlib import Path
from typing import Any

from chaku.sandbox.languages.plan import Command, Plan, close, harness, large
from chaku.sandbox.languages.toolchains import library, tool
from chaku.sandbox.verdict import Job

# Comments and strings of tests. The judge sends the candidate the names in the tests' code, so it must leave out the
# strings, which hold the expected answers.
_QUOTED = r"""|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'"""
_NOT_CODE = {
    ".js": r"//[^\n]*|/\*.*?\*/|`(?:\\.|[^`\\])*`" + _QUOTED,
    ".pl": r"(?<!\$)#[^\n]*" + _QUOTED,
    ".php": r"//[^\n]*|#[^\n]*|/\*.*?\*/" + _QUOTED,
    ".rb": r"#[^\n]*" + _QUOTED,
    ".lua": r"(?:--)?\[(=*)\[.*?\]\1\]|--[^\n]*" + _QUOTED,
}


def javascript(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    node = (tool("node"), f"--max-old-space-size={memory_mb}")
    if not tests:
        return Plan(files={"program.js": job.source}, command=(*node, "program.js"), **large())
    return Plan(
        files={"program.js": job.source, "tests.js": tests},
        tests="tests.js",
        candidate=(*node, "-e", _scoped(harness("wire.js", "candidate.js"))),
        command=(*node, "-e", _scoped(_judge(".js", tests)), job.entry_point or "-"),
        **large(),
    )


def typescript(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """Compiled to JavaScript, then run as JavaScript. Candidate and tests share the global scope, so the compiler also
    checks the tests' calls.
    """
    how = javascript(job, tests, mark, memory_mb)
    files = {name.replace(".js", ".ts"): text for name, text in how.files.items()}
    # MultiPL-E compiles without strict checks, which are the default of newer compilers.
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
        candidate=(bash, "-c", harness("candidate.sh")),
        command=(bash, "-c", harness("judge.sh"), "judge", job.entry_point),
    )


def perl(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    perl = tool("perl")
    if not tests:
        return Plan(files={"program.pl": job.source}, command=(perl, "program.pl"))
    library("perl", tests)
    return Plan(
        files={"program.pl": job.source, "tests.pl": tests},
        tests="tests.pl",
        candidate=(perl, "-e", harness("wire.pl", "candidate.pl")),
        command=(perl, "-e", _judge(".pl", tests), job.entry_point),
    )


def php(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    settings = ("display_errors=stderr", "log_errors=0", f"memory_limit={memory_mb}M", "zend.assertions=1")
    command = (tool("php"), *(word for setting in settings for word in ("-d", setting)))
    return _pair(job, tests, ".php", command, "-r")


def ruby(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    library("ruby", tests)
    return _pair(job, tests, ".rb", (tool("ruby"),), "-e", **large())


def lua(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    library("lua", tests)
    return _pair(job, tests, ".lua", (tool("lua5.4"),), "-e", on_standard_streams=True)


def r(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    return _pair(job, tests, ".R", (tool("Rscript"), "--vanilla"), "-e", on_standard_streams=True, **large())


def _pair(
    job: Job, tests: str, extension: str, command: Command, code: str, on_standard_streams: bool = False, **limits: Any
) -> Plan:
    """The plan of a candidate and a judge, which both run our scripts. `code`: the option that takes a script.

    `on_standard_streams`: descriptor 3 becomes standard input and output, for languages that can use only descriptors
    that they opened.
    """
    program = f"program{extension}"
    if not tests:
        return Plan(files={program: job.source}, command=(*command, program), **limits)
    before = ("/bin/sh", "-c", 'exec "$@" <&3 >&3 3<&-', "sh") if on_standard_streams else ()
    # A line break before the script: Lua takes no argument that begins with a dash, and its comments begin with dashes.
    candidate, judge = "\n" + harness(f"wire{extension}", f"candidate{extension}"), "\n" + _judge(extension, tests)
    entry_point = job.entry_point if re.fullmatch(r"[A-Za-z_][\w.]*", job.entry_point) else ""
    return Plan(
        files={program: job.source, f"tests{extension}": tests},
        tests=f"tests{extension}",
        candidate=(*before, *command, code, candidate),
        command=(*before, *command, code, judge.replace("ENTRY_POINT", entry_point)),
        **limits,
    )


def _judge(extension: str, tests: str) -> str:
    """The judge's script, with the names in the tests' code inserted; R's script finds the names itself."""
    script = harness(f"wire{extension}", f"judge{extension}")
    if extension not in _NOT_CODE:
        return script
    code = re.sub(_NOT_CODE[extension], " ", tests, flags=re.DOTALL)
    name = r"[A-Za-z_$][\w$]*" if extension == ".js" else r"[A-Za-z_]\w*"
    return script.replace("WORDS", " ".join(sorted(set(re.findall(name, code, re.ASCII)))))


def _scoped(script: str) -> str:
    """Hide our names in a function: the program shares JavaScript's global scope."""
    return f"(() => {{\n{script}\n}})();"
