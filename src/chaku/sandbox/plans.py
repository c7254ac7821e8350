"""How a job's files are laid out, compiled and run, and how it is shown that its tests reached their end.

The tests judge from a process of their own, and the candidate answers their calls in plain data, in Python (`inside/`),
JavaScript, TypeScript, Bash and Perl (`harness/`): nothing that a candidate does to its own process makes a pass.

In C++ the tests are a program of their own, the candidate a shared library behind it in the linker's order: no macro,
overload or symbol of the candidate's reaches the tests. In the other languages both are one program. In all of these
the end of the tests is shown by a file with a random name, which the last line of the tests makes; sources are gone
before the program runs. So leaving early never passes, in whatever way. But tests and candidate share memory there: a
program that was written against this very sandbox could search its own memory for that name, and in the languages
where both are one text it could redefine what the tests use (a class of its own called `Arrays`, a changed operator).
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from chaku.errors import ChakuError
from chaku.sandbox.languages import find, library, tool, why_not
from chaku.sandbox.verdict import MEMORY_MB, Job

COMPILE_SECONDS = 60  # of CPU time
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}

Command = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """What the worker does for a job. Without a `command`, the warm Python runs the source.

    With a `candidate`, that command is the untrusted process, and `command` the judge's, which reads the file
    `tests` (removed before) from descriptor 4; both have the other on descriptor 3.
    `mark`: the name of the file that the tests make at their end; in the texts of `files` it becomes the whole path.
    `virtual`: memory is limited as address space, else as data, for runtimes that reserve far more than they use.
    """

    judged: bool = False
    files: dict[str, str] = field(default_factory=dict)
    compile: tuple[Command, ...] = ()
    command: Command = ()
    candidate: Command = ()
    tests: str = ""
    mark: str = ""
    environment: dict[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))
    processes: int = 64
    virtual: bool = True
    scratch_mb: int = 64
    compile_seconds: int = COMPILE_SECONDS

    def fields(self) -> dict[str, Any]:
        """For the worker: plain values."""
        return asdict(self)


def plan(job: Job, memory_mb: int = MEMORY_MB) -> Plan:
    """How to run a job. Raises ChakuError for a language that there is no runner for, or whose toolchain is missing."""
    if job.language == "python":
        return Plan(judged=bool(job.tests))
    find(job.language)
    problem = why_not(job.language)
    if problem is not None:
        raise ChakuError(problem)
    return _PLANS[job.language](job, "\n".join(job.tests), secrets.token_hex(16), memory_mb)


def _cpp(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """With a prelude (the prompt, whose last open brace makes it a declaration), tests see that and nothing else."""
    compiler = (tool("g++"), "-std=c++17", "-O1")
    linked = ("-lcrypto",) if "<openssl/" in job.source else ()
    if not tests:
        return Plan(
            files={"program.cpp": job.source},
            compile=((*compiler, "-o", "program", "program.cpp", *linked),),
            command=("./program",),
        )
    own, (source, tests) = mark[:8], _close(job.source, tests)
    # An object of main's own: it goes when main is left by its end, not by exit, and not by an exception.
    guarded, count = re.subn(r"(\bint\s+main\s*\([^)]*\)\s*\{)", rf"\1 At_end_{own} at_end_{own};", tests, count=1)
    _expect_main(count, "int main()")
    guard = (
        f"#include <exception>\n#include <fcntl.h>\nstruct At_end_{own} {{ ~At_end_{own}() {{\n"
        f'if (!std::uncaught_exceptions()) ::creat("{mark}", 0600); }} }};\n'
    )
    undo = "#undef NDEBUG\n" + "".join(f"#undef {word}\n" for word in sorted(set(re.findall(r"[a-z_]\w*", tests))))
    if not job.prelude:
        files = {"tests.cpp": f"{guard}{source}\n{undo}#include <assert.h>\n{guarded}\n"}
        return Plan(
            files=files, compile=((*compiler, "-o", "tests", "tests.cpp", *linked),), command=("./tests",), mark=mark
        )
    declared = re.sub(r"\{\s*$", ";", job.prelude)
    library_line = (*compiler, "-shared", "-fPIC", "-o", "libprogram.so", "program.cpp", *linked)
    # libc before the candidate: what the tests call by name is never the candidate's.
    tests_line = (
        *compiler,
        "-o",
        "tests",
        "tests.cpp",
        "-Wl,--no-as-needed",
        "-Wl,-lstdc++,-lm,-lc",
        "./libprogram.so",
    )
    return Plan(
        files={"program.cpp": source, "tests.cpp": f"{guard}{declared}\n#include <assert.h>\n{guarded}\n"},
        compile=(library_line, tests_line),
        command=("./tests",),
        mark=mark,
    )


def _java(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    own, text = mark[:8], f"{job.source}\n{tests}"
    before_main = text[: text.rfind(" main(")]
    classes = re.findall(r"\b(?:class|record|enum|interface)\s+(\w+)", before_main) or ["Main"]
    main = next((name for name in ("Problem", "Main") if name in classes), classes[-1])
    public = re.search(r"\bpublic\s+(?:final\s+|abstract\s+)*(?:class|record|enum|interface)\s+(\w+)", text)
    files = {f"{public[1] if public else main}.java": text}
    start = main
    if tests:
        start = f"Tests_{own}"
        files[f"{start}.java"] = (
            f"class {start} {{ public static void main(String[] arguments) throws Throwable {{\n"
            f'{main}.main(arguments); new java.io.File("{mark}").createNewFile(); }} }}\n'
        )
    path = ":".join(filter(None, (".", library("java", text))))
    small = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto")
    flags = tuple(f"-J{each}" for each in (*small, "-XX:TieredStopAtLevel=1"))
    compiler = (tool("javac"), *flags, "-encoding", "UTF-8", "-nowarn", "-cp", path, "-d", ".")
    return Plan(
        files=files,
        compile=((*compiler, *files),),
        command=(tool("java"), *small, f"-Xmx{memory_mb * 3 // 4}m", "-Xss16m", "-ea", "-cp", path, start),
        mark=mark if tests else "",
        **_large(),
    )


def _javascript(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    node = (tool("node"), f"--max-old-space-size={memory_mb}")
    if not tests:
        return Plan(files={"program.js": job.source}, command=(*node, "program.js"), **_large())
    return Plan(
        files={"program.js": job.source, "tests.js": tests},
        tests="tests.js",
        candidate=(*node, "-e", _scoped(_harness("wire.js", "candidate.js"))),
        command=(*node, "-e", _scoped(_harness("wire.js", "judge.js")), job.entry_point or "-"),
        **_large(),
    )


def _typescript(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """Two scripts share the global scope, so the compiler checks the tests' calls, too; then as JavaScript."""
    how = _javascript(job, tests, mark, memory_mb)
    files = {name.replace(".js", ".ts"): text for name, text in how.files.items()}
    compiler = (tool("node"), str(Path(tool("tsc")).resolve()), "--target", "esnext", "--noErrorTruncation")
    return Plan(
        files=files,
        compile=((*compiler, *files),),
        **_large(),
        command=how.command,
        candidate=how.candidate,
        tests=how.tests,
    )


def _bash(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    bash = tool("bash")
    check = ((bash, "-n", "program.sh"),)
    if not tests:
        return Plan(files={"program.sh": job.source}, compile=check, command=(bash, "program.sh"))
    source, tests = _close(job.source, tests)
    return Plan(
        files={"program.sh": source, "tests.sh": tests},
        compile=check,
        tests="tests.sh",
        candidate=(bash, "-c", _harness("candidate.sh")),
        command=(bash, "-c", _harness("judge.sh"), "judge", job.entry_point),
    )


def _perl(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
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


def _php(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    settings = ("display_errors=stderr", "log_errors=0", f"memory_limit={memory_mb}M", "zend.assertions=1")
    command = (tool("php"), *(word for each in settings for word in ("-d", each)))
    return _scripted(job, tests, mark, ".php", command, "-r")


def _ruby(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    library("ruby", tests)
    return _scripted(job, tests, mark, ".rb", (tool("ruby"),), "-e", **_large())


def _lua(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    library("lua", tests)
    return _scripted(job, tests, mark, ".lua", (tool("lua5.4"),), "-e")


def _r(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    rscript = (tool("Rscript"), "--vanilla")
    return _scripted(job, tests, mark, ".R", rscript, "-e", **_large())


def _scripted(job: Job, tests: str, mark: str, extension: str, command: Command, code: str, **limits: Any) -> Plan:
    """A launcher, given as the argument of `code`, takes the tests away, runs the source, then the tests."""
    name = f"program{extension}"
    if not tests:
        return Plan(files={name: job.source}, command=(*command, name), **limits)
    files = {name: job.source, f"tests{extension}": tests, "mark": mark}
    return Plan(files=files, command=(*command, code, _harness(f"launcher{extension}")), mark=mark, **limits)


def _go(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    path = library("go", tests)
    environment = {
        **ENVIRONMENT,
        "GO111MODULE": "off",
        "GOPATH": path.partition("/src/")[0] or "/tmp/go",
        "GOCACHE": "/tmp/.cache",
        "GOTELEMETRY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    limits = {**_large(), "environment": environment, "scratch_mb": 512}
    go = tool("go")
    if not tests:
        build = ((go, "build", "-o", "program", "program.go"),)
        return Plan(files={"program.go": job.source}, compile=build, command=("./program",), **limits)
    package = re.search(r"^\s*package\s+(\w+)", job.source, re.MULTILINE)
    # A candidate may not choose which tests run.
    last = (
        f'package {package[1] if package else "main"}\nimport ("flag"; "os"; "testing")\n'
        "func TestMain(m *testing.M) {\nflag.Parse()\n"
        'flag.Set("test.run", ""); flag.Set("test.skip", ""); flag.Set("test.list", ""); flag.Set("test.count", "1")\n'
        f'code := m.Run()\nif code == 0 {{ os.WriteFile("{mark}", nil, 0600) }}\nos.Exit(code)\n}}\n'
    )
    return Plan(
        files={"program_test.go": f"{job.source}\n{tests}", "last_test.go": last},
        compile=((go, "test", "-c", "-vet=off", "-o", "program", "program_test.go", "last_test.go"),),
        command=("./program",),
        mark=mark,
        **limits,
    )


def _rust(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    compiler: Command = (
        tool("rustc"),
        "--edition",
        "2021",
        "-O",
        "-A",
        "warnings",
        "--error-format",
        "short",
        "-o",
        "program",
        "program.rs",
    )
    # The candidate's macros do not stand for the standard library's.
    tests = re.sub(r"(?<![:\w])(assert(?:_eq|_ne)?!)", r"::std::\1", tests)
    own, touch = mark[:8], f'::std::fs::File::create("{mark}").unwrap();'
    command: Command = ("./program",)
    if "#[test]" in tests:  # they run in the order of their names
        tests += f"\n#[test]\nfn zz_{own}() {{ {touch} }}\n"
        compiler, command = (*compiler, "--test"), ("./program", "--test-threads=1")
    elif tests:
        tests, count = re.subn(r"\bfn main\(\)", f"fn main_{own}()", tests)
        _expect_main(count, "fn main()")
        tests += f"\nfn main() {{ main_{own}(); {touch} }}\n"
    text = f"{job.source}\n{tests}"
    return Plan(
        files={"program.rs": text}, compile=(compiler,), command=command, mark=mark if tests else "", **_large()
    )


def _csharp(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """Mono's own assertions only print, and what prints them is the program's to change: the tests get their own."""
    own = f"Tests_{mark[:8]}"
    files = {"program.cs": f"{job.source}\n" + re.sub(r"\bDebug\.Assert\b", f"global::{own}.Assert", tests)}
    options: Command = ()
    if tests:
        found = re.search(r"\b(?:class|struct)\s+(\w+)", job.source)
        files["tests.cs"] = (
            f"class {own} {{ public static void Assert(bool holds) {{ if (!holds) throw new System.Exception"
            '("AssertionError"); }\n'
            f"public static void Main(string[] arguments) {{ {found[1] if found else 'Problem'}.Main(arguments);\n"
            f'System.IO.File.Create("{mark}").Close(); }} }}\n'
        )
        options = (f"-main:{own}",)
    compiler = (tool("mcs"), "-nowarn:0219,0168", "-d:DEBUG", "-r:System.Numerics.dll", *options, "-out:program.exe")
    return Plan(
        files=files,
        compile=((*compiler, *files),),
        command=(tool("mono"), "--debug", "program.exe"),
        mark=mark if tests else "",
        **{**_large(), "environment": {**ENVIRONMENT, "MONO_TRACE_LISTENER": "Console.Error"}},
    )


def _d(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    compiler = tool("gdc")
    gdc = Path(compiler).name.startswith("gdc")
    tests, count = re.subn(
        r"\bvoid\s+main\s*\(\s*\)\s*\{\s*\}",
        f'void main() {{ static import std.file; std.file.write("{mark}", ""); }}',
        tests,
    )
    if tests:
        _expect_main(count, "void main(){}")
    options = ("-funittest", "-o", "program") if gdc else ("-unittest", "-of=program")
    command = ("./program", "--DRT-testmode=run-main")
    build = ((compiler, *(options if tests else options[1:]), "program.d"),)
    return Plan(
        files={"program.d": f"{job.source}\n{tests}"},
        compile=build,
        command=command if tests else command[:1],
        mark=mark if tests else "",
        **_large(),
    )


def _scala(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    own, found = mark[:8], re.search(r"\bobject\s+(\w+)", job.source)
    start = found[1] if found else "Problem"
    files = {"program.scala": f"{job.source}\n{tests}"}
    if tests:
        files["tests.scala"] = (
            f"object Tests_{own} {{ def main(arguments: Array[String]): Unit = {{\n{start}.main(arguments)\n"
            f'new java.io.File("{mark}").createNewFile() }} }}\n'
        )
        start = f"Tests_{own}"
    return Plan(
        files=files,
        compile=((tool("scalac"), "-d", ".", *files),),
        command=(tool("scala"), f"-J-Xmx{memory_mb * 3 // 4}m", "-nocompdaemon", "-cp", ".", start),
        mark=mark if tests else "",
        **_large(),
    )


def _large() -> dict[str, Any]:
    """Limits of runtimes that start many threads and reserve address space."""
    return {"processes": 256, "virtual": False, "scratch_mb": 256}


def _scoped(script: str) -> str:
    """Names of ours that the program, which shares JavaScript's global scope, does not see."""
    return f"(() => {{\n{script}\n}})();"


def _close(source: str, tests: str) -> tuple[str, str]:
    """The braces with which tests begin end the candidate's function: they go with it."""
    braces = re.match(r"\s*(?:\}\s*)*", tests)
    assert braces is not None
    return f"{source}\n{braces[0]}\n", tests[braces.end() :]


def _expect_main(count: int, what: str) -> None:
    if count != 1:
        raise ChakuError(f"the tests have no `{what}`, which shows that they reach their end")


@cache
def _harness(*names: str) -> str:
    """Scripts of ours, one after the other: they are handed over as an argument, so that no file has to be seen."""
    return "\n".join((Path(__file__).parent / "harness" / name).read_text(encoding="utf-8") for name in names)


_PLANS: dict[str, Callable[[Job, str, str, int], Plan]] = {
    "cpp": _cpp,
    "java": _java,
    "javascript": _javascript,
    "typescript": _typescript,
    "php": _php,
    "bash": _bash,
    "go": _go,
    "rust": _rust,
    "csharp": _csharp,
    "perl": _perl,
    "ruby": _ruby,
    "lua": _lua,
    "r": _r,
    "d": _d,
    "scala": _scala,
}
