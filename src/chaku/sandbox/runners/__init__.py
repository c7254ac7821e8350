"""How a job's files are laid out, compiled and run, and how it is shown that its tests reached their end.

The tests judge from a process of their own, and the candidate answers their calls in plain data, in Python (`inside/`),
JavaScript, TypeScript, Bash and Perl (`harness/`): nothing that a candidate does to its own process makes a pass.

In C++, where the prompt is given as the prelude, the tests are a program of their own and the candidate a shared
library behind it in the linker's order: no macro, overload or symbol of the candidate's reaches the tests. In the other
languages, and in C++ without a prelude, both are one program. In all of these the end of the tests is shown by a file
with a random name, which is made after the last test; sources are gone before the program runs. So leaving early never
passes, in whatever way. But tests and candidate share memory there: a program that was written against this very
sandbox could search its own memory for that name, and where both are one text it could redefine what the tests use (a
class of its own called `Arrays`, a changed operator).
"""

import secrets
from collections.abc import Callable

from chaku.errors import ChakuError
from chaku.sandbox.languages import find, why_not
from chaku.sandbox.runners import compiled, scripted
from chaku.sandbox.runners.plan import Plan
from chaku.sandbox.verdict import MEMORY_MB, Job

# (job, its tests as one text, a random name, megabytes of memory) -> how to run it
_PLANS: dict[str, Callable[[Job, str, str, int], Plan]] = {
    "cpp": compiled.cpp,
    "java": compiled.java,
    "go": compiled.go,
    "rust": compiled.rust,
    "csharp": compiled.csharp,
    "d": compiled.d,
    "scala": compiled.scala,
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
