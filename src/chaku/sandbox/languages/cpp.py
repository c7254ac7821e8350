"""C++: the tests are a program of their own, the candidate a shared library behind it in the linker's order.

So no macro, overload or symbol of the candidate's reaches the tests, which see the prompt's declarations alone.
"""

import re

from chaku.errors import ChakuError
from chaku.sandbox.languages.plan import Plan, close, expect_main
from chaku.sandbox.languages.toolchains import tool
from chaku.sandbox.verdict import Job

# libc before the candidate: what the tests call by name is never the candidate's.
_LIBRARIES = ("-Wl,--no-as-needed", "-Wl,-lstdc++,-lm,-lc", "./libprogram.so")


def cpp(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The prelude is the prompt, whose last open bracket makes it a declaration."""
    compiler = (tool("g++"), "-std=c++17", "-O1")
    linked = ("-lcrypto",) if "<openssl/" in job.source else ()
    if not tests:
        return Plan(
            files={"program.cpp": job.source},
            compile=((*compiler, "-o", "program", "program.cpp", *linked),),
            command=("./program",),
        )
    if not job.prelude:
        raise ChakuError(
            "the tests of a cpp candidate need the declaration of its function: give the prompt, up to the bracket "
            "that opens the function, as the job's prelude"
        )
    own = f"tests_{mark[:8]}"
    source, tests = close(job.source, tests)
    # The tests' main becomes a function that ours calls: only its own return leads to the mark, which neither exit nor
    # an exception nor pthread_exit is. Unlike main, it has to say what it returns.
    tests, count = re.subn(r"\bint\s+main\s*\([^)]*\)\s*\{", f"static int {own}() {{", tests)
    expect_main(count, "int main()")
    head, bracket, end = tests.rpartition("}")
    tests = f"{head}\nreturn 0;\n{bracket}{end}"
    main = f'\n#include <fcntl.h>\nint main() {{ if (!{own}()) ::creat("{mark}", 0600); }}\n'
    declared = re.sub(r"\{\s*$", ";", job.prelude)
    return Plan(
        files={"program.cpp": source, f"{own}.cpp": f"{declared}\n#include <assert.h>\n{tests}{main}"},
        compile=(
            (*compiler, "-shared", "-fPIC", "-o", "libprogram.so", "program.cpp", *linked),
            (*compiler, "-o", "tests", f"{own}.cpp", *_LIBRARIES),
        ),
        command=("./tests",),
        mark=mark,
    )
