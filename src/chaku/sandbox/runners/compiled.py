"""Languages whose tests run in one process with the candidate, after a compiler."""

import re
from pathlib import Path

from chaku.sandbox.environment import ENVIRONMENT
from chaku.sandbox.languages import library, tool
from chaku.sandbox.runners.plan import Command, Plan, close, expect_main, large
from chaku.sandbox.verdict import Job


def cpp(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """With a prelude (the prompt, whose last open brace makes it a declaration), tests see that and nothing else."""
    compiler = (tool("g++"), "-std=c++17", "-O1")
    linked = ("-lcrypto",) if "<openssl/" in job.source else ()
    if not tests:
        return Plan(
            files={"program.cpp": job.source},
            compile=((*compiler, "-o", "program", "program.cpp", *linked),),
            command=("./program",),
        )
    own, (source, tests) = mark[:8], close(job.source, tests)
    # An object of main's own: it goes when main is left by its end, not by exit, and not by an exception.
    guarded, count = re.subn(r"(\bint\s+main\s*\([^)]*\)\s*\{)", rf"\1 At_end_{own} at_end_{own};", tests, count=1)
    expect_main(count, "int main()")
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


def java(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
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
        **large(needs_proc=True),
    )


def go(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
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
    limits = {**large(), "environment": environment, "scratch_mb": 512}
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


def rust(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
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
        expect_main(count, "fn main()")
        tests += f"\nfn main() {{ main_{own}(); {touch} }}\n"
    text = f"{job.source}\n{tests}"
    return Plan(
        files={"program.rs": text},
        compile=(compiler,),
        command=command,
        mark=mark if tests else "",
        **large(needs_proc=True),
    )


def csharp(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
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
        **{**large(needs_proc=True), "environment": {**ENVIRONMENT, "MONO_TRACE_LISTENER": "Console.Error"}},
    )


def d(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    compiler = tool("gdc")
    gdc = Path(compiler).name.startswith("gdc")
    tests, count = re.subn(
        r"\bvoid\s+main\s*\(\s*\)\s*\{\s*\}",
        f'void main() {{ static import std.file; std.file.write("{mark}", ""); }}',
        tests,
    )
    if tests:
        expect_main(count, "void main(){}")
    options = ("-funittest", "-o", "program") if gdc else ("-unittest", "-of=program")
    command = ("./program", "--DRT-testmode=run-main")
    build = ((compiler, *(options if tests else options[1:]), "program.d"),)
    return Plan(
        files={"program.d": f"{job.source}\n{tests}"},
        compile=build,
        command=command if tests else command[:1],
        mark=mark if tests else "",
        **large(),
    )


def scala(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
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
        **large(needs_proc=True),
    )
