"""Programs that try to fool, flood, outlive or leave the sandbox: files whose first line says what becomes of them.

`programs/` are whole; `candidates/` are a function `f` that should double a number, does not, and would pass.
"""

from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.sandbox import worker as working
from chaku.sandbox.languages.runners import plan
from chaku.sandbox.verdict import Job
from chaku.sandbox.worker import Worker

HOSTILE = Path(__file__).parent / "hostile"
FILES = sorted(path for path in HOSTILE.rglob("*") if path.is_file() and path.suffix != ".pyc")
TESTS = {
    "python": (
        "assert f(2) == 4",
        "for got, wanted in zip(map(f, [1, 5]), [2, 10]):\n    assert got == wanted",
        "assert f(3)",
    ),
    "cpp": ("int main() {\n    auto candidate = f;\n    assert(candidate(2) == std::vector<long>({4}));\n}\n",),
    "javascript": (
        "const assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = f;\n"
        "  assert.deepEqual(candidate(2), [4]);\n}\n\ntest();\n",
    ),
    "bash": (
        '\ncandidate() {\n    f "$@"\n}\n\nset -e\nrun_test() {\n    [[ $(candidate 2) = "4" ]]\n}\n\nrun_test\n',
    ),
    "perl": (
        "use Test::Deep;\n\n\nsub testhumaneval {\n    my $candidate = \\&f;\n"
        '        if(eq_deeply($candidate->(2),[4])) {\n        print "ok!" }else{\n        print "not ok!\\n";\n'
        "        exit 1;\n        }\n}\n\ntesthumaneval();\n",
    ),
    "php": (
        "function candidate(...$args) {\n    return f(...$args);\n}\n\nfunction test(): void {\n"
        '    if (candidate(2) !== [4]) { throw new Exception("Test failed!"); }\n}\n\ntest();',
    ),
    "ruby": (
        "require 'test/unit'\nclass TestHumanEval < Test::Unit::TestCase\n  def test_f\n    candidate = method(:f)\n"
        "    assert_equal([4], candidate.call(2))\n  end\nend\n",
    ),
    "lua": (
        "lu = require('luaunit')\n\nfunction test_humaneval()\nlocal candidate = f\n"
        "    lu.assertEquals(candidate(2), {4})\nend\n\nos.exit(lu.LuaUnit.run())",
    ),
    "r": (
        "test_humaneval <- function() {\ncandidate <- f\n"
        "    stopifnot(isTRUE(all.equal(candidate(2), list(4))))\n}\ntest_humaneval()",
    ),
}
PRELUDES = {"cpp": "#include <assert.h>\n#include <vector>\nstd::vector<long> f(long x) {\n"}
HONEST = {
    "python": "def f(x):\n    return 2 * x\n",
    "cpp": PRELUDES["cpp"] + "    return {2 * x};\n}\n",
    "javascript": "function f(x) {\n  return [2 * x];\n}\n",
    "bash": "f() {\n    echo $((2 * $1))\n}\n",
    "perl": "sub f {\n    my ($x) = @_;\n    return [2 * $x];\n}\n",
    "php": "<?php\nfunction f($x) {\n    return [2 * $x];\n}\n",
    "ruby": "def f(x)\n  [2 * x]\nend\n",
    "lua": "local function f(x)\n  return {2 * x}\nend\n",
    "r": "f <- function(x) {\n  list(2 * x)\n}\n",
}


def job(path: Path) -> Job:
    language, kind = path.relative_to(HOSTILE).parts[:2]
    tests = TESTS[language] if kind == "candidates" else ()
    prelude = PRELUDES.get(language, "")
    return Job(path.read_text(), language=language, tests=tests, prelude=prelude, entry_point="f")


def left_behind(worker: Worker) -> tuple[set[str], int]:
    """(the worker's processes, how many descriptors they have open); files are in what is unmounted with a job."""
    assert worker._process is not None
    found: set[str] = set()
    new = {str(worker._process.pid)}
    while new:
        found |= new
        new = {child for pid in new for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    descriptors = sum(len(list(Path(f"/proc/{mutant}/fd").iterdir())) for mutant in found)
    return found, descriptors


BEFORE: dict[tuple[str, int], tuple[set[str], int]] = {}


def after_an_honest_program(honest: Job, worker: Worker) -> tuple[set[str], int]:
    """What an honest program leaves. Tried once for a language and a worker: every later test ends with one, too."""
    if worker._process is None or (honest.language, worker._process.pid) not in BEFORE:
        worker.run(honest)
        assert worker._process is not None
        BEFORE[honest.language, worker._process.pid] = left_behind(worker)
    return BEFORE[honest.language, worker._process.pid]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(HOSTILE)) for path in FILES])
def test_a_hostile_program_gets_its_verdict_and_leaves_nothing(
    path: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = job(path)
    honest = Job(HONEST[hostile.language], hostile.language, TESTS[hostile.language], hostile.prelude, "f")
    try:
        plan(honest)
    except ChakuError as missing:
        pytest.skip(f"NOT tested: {missing}")
    if "by the clock" in path.read_text():
        monkeypatch.setattr(working, "wall_limit", lambda timeout: 1.0)
    status, _, reason = path.read_text().splitlines()[0].removeprefix("<?php").lstrip("#/- ").partition(":")
    before = after_an_honest_program(honest, worker)
    verdict = worker.run(hostile, timeout=1.0 if status == "timed_out" else 2.0, memory_mb=512)
    assert verdict.status in status.split(" or "), verdict
    assert reason.strip() in verdict.reason, verdict
    monkeypatch.undo()
    after = worker.run(honest)
    assert after.passed, after
    assert left_behind(worker) == before
