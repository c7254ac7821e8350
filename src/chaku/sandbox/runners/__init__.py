"""How a job's files are laid out, compiled and run, and how it is shown that its tests reached their end.

Scripted languages, and Python (`inside/`): the tests judge from a process of their own, and the candidate answers their
calls in plain data (`harness/`). Nothing that a candidate does to its own process makes a pass.

Compiled languages: tests and candidate are one process, but not one text. The candidate is compiled by itself (a
shared library in C++, a package, a module); the tests are compiled against the declarations of the prompt, in a file
whose name is drawn for each job, so that the candidate cannot include it. What the candidate defines (a macro, a
type, a `main`, an operator, a comment that does not end) reaches no test, and what it returns is checked against the
prompt's types, or copied into the language's own. The end of the tests is shown by a file with a random name, which
is made after the last test; sources are gone before the program runs. So leaving early never passes, in whatever way.
But tests and candidate share memory there: a program that was written against this very sandbox could search it for
that name.
"""

import secrets
from collections.abc import Callable

from chaku.errors import ChakuError
from chaku.sandbox.languages import find, why_not
from chaku.sandbox.runners import scripted
from chaku.sandbox.runners.cpp import cpp
from chaku.sandbox.runners.csharp import csharp
from chaku.sandbox.runners.d import d
from chaku.sandbox.runners.go import go
from chaku.sandbox.runners.java import java
from chaku.sandbox.runners.plan import Plan
from chaku.sandbox.runners.rust import rust
from chaku.sandbox.runners.scala import scala
from chaku.sandbox.verdict import MEMORY_MB, Job

# (job, its tests as one text, a random name for a mark of their end, megabytes of memory) -> how to run it
_PLANS: dict[str, Callable[[Job, str, str, int], Plan]] = {
    "cpp": cpp,
    "java": java,
    "go": go,
    "rust": rust,
    "csharp": csharp,
    "d": d,
    "scala": scala,
    "javascript": scripted.javascript,
    "typescript": scripted.typescript,
    "bash": scripted.bash,
    "perl": scripted.perl,
    "php": scripted.php,
    "ruby": scripted.ruby,
    "lua": scripted.lua,
    "r": scripted.r,
}


def plan(job: Job, memory_mb: int = MEMORY_MB) -> Plan:
    """How to run a job. Raises ChakuError for a language that there is no runner for, or whose toolchain is missing."""
    if job.language == "python":
        return Plan(judged=bool(job.tests))
    find(job.language)
    problem = why_not(job.language)
    if problem is not None:
        raise ChakuError(problem)
    return _PLANS[job.language](job, "\n".join(job.tests), secrets.token_hex(16), memory_mb)
