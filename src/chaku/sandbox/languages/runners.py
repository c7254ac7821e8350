"""Makes the plan of a job in any language."""

import secrets
from collections.abc import Callable

from chaku.errors import ChakuError
from chaku.sandbox.languages import scripted
from chaku.sandbox.languages.cpp import cpp
from chaku.sandbox.languages.csharp import csharp
from chaku.sandbox.languages.d import d
from chaku.sandbox.languages.go import go
from chaku.sandbox.languages.java import java
from chaku.sandbox.languages.plan import Plan
from chaku.sandbox.languages.rust import rust
from chaku.sandbox.languages.scala import scala
from chaku.sandbox.languages.toolchains import find, why_not
from chaku.sandbox.verdict import MEMORY_MB, Job

# (job, its tests as one text, a random name for the mark, megabytes of memory) -> plan
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
    """The plan of a job. Raises ChakuError for a language without a runner, or whose toolchain is missing."""
    if job.language == "python":
        return Plan(judged=bool(job.tests))
    find(job.language)
    problem = why_not(job.language)
    if problem is not None:
        raise ChakuError(problem)
    return _PLANS[job.language](job, "\n".join(job.tests), secrets.token_hex(16), memory_mb)
