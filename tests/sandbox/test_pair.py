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
