"""D: the candidate is a module of its own, compiled before the tests' module, which imports its functions."""

import re
from pathlib import Path

from chaku.sandbox.languages.declarations import declared, without_comments
from chaku.sandbox.languages.plan import Plan, expect_main, large
from chaku.sandbox.languages.toolchains import tool
from chaku.sandbox.verdict import Job

# An assertion, or a text that may have its word in it.
_ASSERT = re.compile(r'"(?:\\.|[^"\\])*"|`[^`]*`|\bassert(?=\s*\()', re.DOTALL)


def d(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """MultiPL-E's tests. The `unittest` becomes a function that `main` calls: a program may turn unit tests off.

    Nor do they use D's `assert`, whose failure a program may handle by going on.
    """
    compiler = tool("gdc")
    gdc = Path(compiler).name.startswith("gdc")
    output = ("-o", "program") if gdc else ("-of=program",)
    if not tests:
        build = ((compiler, *output, "program.d"),)
        return Plan(files={"program.d": job.source}, compile=build, command=("./program",), **large())
    own = f"tests_{mark[:8]}"
    imports = re.findall(r"^import\b[^;]*;", without_comments(job.prelude), re.MULTILINE)
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
    text = "\n".join([f"module {own};", "static import program;", *imports, check, *calls, tests])
    return Plan(
        files={"program.d": f"module program; {job.source}\n", f"{own}.d": text},
        compile=((compiler, "-c", "program.d"), (compiler, *output, f"{own}.d", "program.o")),
        command=("./program",),
        mark=mark,
        **large(),
    )
