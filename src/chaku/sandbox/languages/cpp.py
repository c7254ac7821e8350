"""C++: the tests are a program, and the candidate is a shared library that the linker searches last.

The tests see only the prompt's declarations; no macro, overload or symbol of the candidate reaches them.
"""

import re

from chaku.errors import ChakuError
from chaku.sandbox.languages.plan import Plan, close, expect_main
from chaku.sandbox.languages.toolchains import tool
from chaku.sandbox.verdict import Job

# libc comes before the candidate: a candidate cannot replace the library functions that the tests call.
_LIBRARIES = ("-Wl,--no-as-needed", "-Wl,-lstdc++,-lm,-lc", "./libprogram.so")


def cpp(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The plan of a C++ job. Its prelude is the prompt; ";" in place of its last "{" declares the function."""
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
    # Our main calls the tests' main, renamed, and creates the mark only after it returns: exit, an exception or
    # pthread_exit create no mark. A function other than main needs a return statement.
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
