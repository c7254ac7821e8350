"""Go: the tests' package imports the candidate's package, so they share no names."""

import re

from chaku.sandbox.environment import ENVIRONMENT
from chaku.sandbox.languages.declarations import declared
from chaku.sandbox.languages.plan import Plan, large
from chaku.sandbox.languages.toolchains import library, tool
from chaku.sandbox.verdict import Job

_PACKAGE = re.compile(r"^[ \t]*package[ \t]+\w+", re.MULTILINE)
_IMPORTS = re.compile(r'^import[ \t]*(?:\([^)]*\)|"[^"]*")', re.MULTILINE)
# Packages that MultiPL-E's prompts import for their tests, and an expression that uses the package: the candidate has
# the same imports, and Go refuses an unused import.
_USES = {"testing": "testing.Short", "fmt": "fmt.Sprint"}


def go(job: Job, tests: str, mark: str, memory_mb: int) -> Plan:
    """The plan of a Go job. Its prelude has the package clause, the tests' imports and the functions' declarations."""
    limits = {**large(), "scratch_mb": 512}
    environment = {
        **ENVIRONMENT,
        "GO111MODULE": "off",
        "GOPATH": library("go", tests).partition("/src/")[0] or "/tmp/go",
        "GOCACHE": "/tmp/.cache",
        "GOTELEMETRY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    go = tool("go")
    if not tests:
        build = ((go, "build", "-o", "program", "program.go"),)
        files = {"program.go": job.source}
        return Plan(files=files, compile=build, command=("./program",), environment=environment, **limits)
    functions, own = declared(job), mark[:8]
    entries = "\n".join(
        re.sub(rf"\b{function.name}\b", f"Entry_{own}_{function.name}", function.head, count=1)
        + f" {{ {_result(function.head)}{function.name}({function.arguments}) }}"
        for function in functions
    )
    calls = "\n".join(
        f"{function.head} {{ {_result(function.head)}program.Entry_{own}_{function.name}({function.arguments}) }}"
        for function in functions
    )
    packages = re.findall(r'"([^"]+)"', " ".join(_IMPORTS.findall(job.prelude)))
    imports = "\n".join(f'import "{name}"' for name in dict.fromkeys(packages) if _is_used(name, calls + tests))
    # Reset the flags: a candidate could have selected which tests run.
    start = (
        'package tests\nimport ("flag"; "os"; "testing")\n'
        "func TestMain(m *testing.M) {\nflag.Parse()\n"
        'flag.Set("test.run", ""); flag.Set("test.skip", ""); flag.Set("test.list", ""); flag.Set("test.count", "1")\n'
        f'code := m.Run()\nif code == 0 {{ os.WriteFile("{mark}", nil, 0600) }}\nos.Exit(code)\n}}\n'
    )
    own_imports = " ".join(_IMPORTS.findall(job.source))
    used = "\n".join(f"var _ = {use}" for name, use in _USES.items() if f'"{name}"' in own_imports)
    return Plan(
        files={
            "program/program.go": f"{_PACKAGE.sub('package program', job.source, count=1)}\n{used}\n",
            "program/entry.go": f"package program\n{entries}\n",
            "program_test.go": f'package tests\nimport "./program"\n{imports}\n{calls}\n{tests}',
            "start_test.go": start,
        },
        compile=((go, "test", "-c", "-vet=off", "-o", "tests", "program_test.go", "start_test.go"),),
        command=("./tests",),
        environment=environment,
        mark=mark,
        **limits,
    )


def _is_used(package: str, code: str) -> bool:
    """Whether the code uses the package: an unused import is an error in Go."""
    return re.search(rf"(?<![\w.]){package.rpartition('/')[2]}\.", code) is not None


def _result(head: str) -> str:
    return "" if head.endswith(")") and head.count("(") == 1 else "return "
