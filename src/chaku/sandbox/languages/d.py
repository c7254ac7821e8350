"""D: the candidate is a module, compiled before the tests' module, which imports the candidate's functions."""

import re
from pathlib import Path

from chaku.sandbox.languages.declarations import declared, imports_of
from chaku.sandbox.languages.plan import Plan, expect_main, large
from chaku.sandbox.languages.toolchains import tool
from chaku.sandbox.verdict import Job

# An assertion, or a string, which may contain the word "assert".
_ASSERT = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`|\bassert(?=\s*\()', re.DOTALL)


def d(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The plan of a D job, with MultiPL-E's tests.

    `main` calls the tests' `unittest` as a function, as a program may turn unit tests off. The tests use our assertion
    instead of D's `assert`, as a program may ignore the failure of D's `assert`.
    """
    compiler = tool("gdc")
    gdc = Path(compiler).name.startswith("gdc")
    output = ("-o", "program") if gdc else ("-of=program",)
    if not tests:
        build = ((compiler, *output, "program.d"),)
        return Plan(files={"program.d": job.source}, compile=build, command=("./program",), **large())
    own = f"tests_{mark[:8]}"
    calls = [
        f"{declaration.head} {{ return program.{declaration.name}({declaration.arguments}); }}"
        for declaration in declared(job)
    ]
    tests = _ASSERT.sub(lambda found: f"{own}_assert" if found[0] == "assert" else found[0], tests)
    check = (
        f"void {own}_assert(bool holds, string file = __FILE__, size_t line = __LINE__) {{\n"
        "static import core.exception;\n"
        'if (!holds) throw new core.exception.AssertError("Assertion failure", file, line);\n}'
    )
    tests, count = re.subn(r"^unittest\b", f"void {own}_all()", tests, flags=re.MULTILINE)
    expect_main(count, "unittest")
    main = f'void main() {{ {own}_all(); static import std.file; std.file.write("{mark}", ""); }}'
    tests, count = re.subn(r"\bvoid\s+main\s*\(\s*\)\s*\{\s*\}", main, tests)
    expect_main(count, "void main(){}")
    text = "\n".join([f"module {own};", "static import program;", *imports_of(job), check, *calls, tests])
    return Plan(
        files={"program.d": f"module program; {job.source}\n", f"{own}.d": text},
        compile=((compiler, "-c", "program.d"), (compiler, *output, f"{own}.d", "program.o")),
        command=("./program",),
        mark=mark,
        **large(),
    )
