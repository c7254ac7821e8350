"""Two processes of a language other than Python: the candidate's sees nothing of the judge's, whatever Linux offers."""

import shutil
from collections.abc import Iterator

import pytest

from chaku.sandbox.bubblewrap import packaged_bwrap
from chaku.sandbox.isolation import Isolation
from chaku.sandbox.languages.runners import plan
from chaku.sandbox.languages.toolchains import why_not
from chaku.sandbox.verdict import Job
from chaku.sandbox.worker import Worker, WorkerDied


@pytest.fixture(scope="module")
def nobody() -> Iterator[Worker]:
    """As an ordinary user has it: candidate and judge are the same user, and could look into each other."""
    warm = Worker(Isolation(shutil.which("bwrap") or packaged_bwrap() or "", own_user=False))
    try:
        warm.start()
    except (WorkerDied, OSError) as error:
        pytest.skip(f"NOT tested: {error}")
    yield warm
    warm.stop()


# f() names the processes that there are beside itself and process 1, whether it may touch them or not.
OTHERS = {
    "bash": (
        "f() {\n    for each in {2..30}; do\n        said=$(LC_ALL=C; kill -0 $each 2>&1) && said=exists\n"
        "        [[ $each = $$ || $each = $BASHPID || $said = *such* ]] || echo $each: $said\n    done\n}\n",
        "set -e\ntheirs=$(f)\n[[ $theirs = '' ]]\n",
    ),
    "perl": (
        "use Errno;\nsub f {\n    return [grep { $_ != $$ && (kill(0, $_) || $! != Errno::ESRCH) } 2 .. 30];\n}\n",
        "my $theirs = f();\nexit 1 if @$theirs;\n",
    ),
}


@pytest.mark.parametrize("language", OTHERS)
def test_a_candidate_finds_no_process_but_its_own(language: str, nobody: Worker) -> None:
    if (problem := why_not(language)) is not None:
        pytest.skip(f"NOT tested: {problem}")
    source, tests = OTHERS[language]
    verdict = nobody.run(Job(source, language, (tests,), entry_point="f"), timeout=5)
    assert verdict.passed, verdict


def test_a_candidate_that_crashes_is_said_to_have_crashed(nobody: Worker) -> None:
    verdict = nobody.run(Job("sub f { kill 'SEGV', $$; }\n", "perl", ("f();\n",), entry_point="f"))
    assert (verdict.status, verdict.reason) == ("crashed", "killed by SIGSEGV")
    verdict = nobody.run(Job("sub f { exit 3; }\n", "perl", ("f();\n",), entry_point="f"))
    assert verdict.reason == "exit status 3"


# The candidate is asked which of the names in its tests it has. It answers nothing but the word after its argument.
ANSWERS = """
const fs = require('fs'), v8 = require('v8');
const read = (size) => { const data = Buffer.alloc(size); fs.readSync(3, data); return data; };
const words = v8.deserialize(read(read(4).readUInt32LE()))[1];
const data = v8.serialize(['done', [['f', 'function']]]), size = Buffer.alloc(4);
size.writeUInt32LE(data.length);
fs.writeSync(3, Buffer.concat([size, data]));
const f = (text) => words[words.indexOf(text) + 1];
"""


def test_a_candidate_does_not_find_its_answers_among_the_names_that_it_is_asked_for(worker: Worker) -> None:
    if (problem := why_not("javascript")) is not None:
        pytest.skip(f"NOT tested: {problem}")
    test = "require('node:assert').deepEqual(f('twice'), 'twicetwice');\n"
    assert worker.run(Job("const f = (text) => text + text;", "javascript", (test,), entry_point="f")).passed
    verdict = worker.run(Job(ANSWERS, "javascript", (test,), entry_point="f"), timeout=5)
    assert verdict.status == "failed", verdict


# Comments and texts, with names in them that are none of the code's.
TESTS = {
    "javascript": "// don't ask for no_1\ncheck(f('no_2 \\' no_3'), \"no_4\", `no_5`); /* no_6 */",
    "php": "# don't ask for no_1\ncheck(f('no_2 \\' no_3'), \"no_4\"); // isn't no_5\n/* no_6 */",
    "ruby": "# don't ask for no_1\ncheck(f('no_2 \\' no_3'), \"no_4 # no_5\") # isn't no_6",
    "perl": "# don't ask for no_1\ncheck(f('no_2 \\' no_3'), \"no_4 # no_5\", $#list); # isn't no_6",
    "lua": "-- don't ask for no_1\ncheck(f('no_2 \\' no_3'), \"no_4 -- no_5\", [[no_6]]) --[[ isn't\nno_7 ]]",
}


@pytest.mark.parametrize("language", TESTS)
def test_a_candidate_is_asked_for_names_of_the_tests_code_alone(language: str) -> None:
    if (problem := why_not(language)) is not None:
        pytest.skip(f"NOT tested: {problem}")
    script = "\n".join(plan(Job("", language, (TESTS[language],), entry_point="f")).command)
    assert "check f" in script
    assert "no_" not in script
