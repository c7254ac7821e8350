"""Two processes of a language other than Python: the candidate's sees nothing of the judge's, whatever Linux offers."""

import shutil
from collections.abc import Iterator

import pytest

from chaku.sandbox.bubblewrap import packaged_bwrap
from chaku.sandbox.isolation import Isolation
from chaku.sandbox.languages import why_not
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


# f() names the process namespace that it is in; the test, in its own, fails where that is the same.
NAMESPACES = {
    "bash": (
        "f() {\n    readlink /proc/self/ns/pid\n}\n",
        "set -e\ntheirs=$(f)\n[[ $theirs = pid:* ]]\n[[ $theirs != $(readlink /proc/self/ns/pid) ]]\n",
    ),
    "perl": (
        "sub f {\n    return readlink('/proc/self/ns/pid');\n}\n",
        "my $theirs = f();\nexit 1 if $theirs !~ /^pid:/ || $theirs eq readlink('/proc/self/ns/pid');\n",
    ),
    "javascript": (
        "function f() {\n  return require('node:fs').readlinkSync('/proc/self/ns/pid');\n}\n",
        "const theirs = f(), ours = require('node:fs').readlinkSync('/proc/self/ns/pid');\n"
        "if (!theirs.startsWith('pid:') || theirs === ours) throw new Error(theirs);\n",
    ),
}


@pytest.mark.parametrize("language", NAMESPACES)
def test_a_candidate_has_process_numbers_of_its_own(language: str, nobody: Worker) -> None:
    if (problem := why_not(language)) is not None:
        pytest.skip(f"NOT tested: {problem}")
    source, tests = NAMESPACES[language]
    verdict = nobody.run(Job(source, language, (tests,), entry_point="f"), timeout=5)
    assert verdict.passed, verdict


def test_a_candidate_that_crashes_is_said_to_have_crashed(nobody: Worker) -> None:
    verdict = nobody.run(Job("sub f { kill 'SEGV', $$; }\n", "perl", ("f();\n",), entry_point="f"))
    assert (verdict.status, verdict.reason) == ("crashed", "killed by SIGSEGV")
    verdict = nobody.run(Job("sub f { exit 3; }\n", "perl", ("f();\n",), entry_point="f"))
    assert verdict.reason == "exit status 3"
