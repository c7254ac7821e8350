"""Whether programs can be isolated on this machine, tried once with a small one."""

import functools
import os
import shutil

from chaku.errors import ChakuError
from chaku.sandbox.inside import kernel
from chaku.sandbox.isolation import Isolation, bwrap_version
from chaku.sandbox.verdict import Job
from chaku.sandbox.worker import Worker, WorkerDied

PROBE = "import colorsys, os, socket\nassert os.getuid()\nwith open('/tmp/file', 'w') as file:\n    file.write('works')"
INSTALL = "install it: apt-get install bubblewrap, dnf install bubblewrap or pacman -S bubblewrap"


def check_sandbox() -> str | None:
    """None where programs can be isolated, else what is missing and what to do."""
    try:
        how_to_isolate()
    except ChakuError as error:
        return str(error)
    return None


def about_isolation() -> dict[str, str | int | bool]:
    """What holds a program here, for the doctor and for manifests. Raises ChakuError where nothing does.

    `landlock`: the version of its interface, 0 without it.
    """
    isolation = how_to_isolate()
    return {
        "bubblewrap": bwrap_version(isolation.bwrap),
        "user": "its own" if isolation.own_user else "nobody, in a user namespace",
        "seccomp": kernel.machine() is not None,
        "landlock": kernel.landlock_version(),
    }


@functools.cache
def how_to_isolate() -> Isolation:
    """The first way that runs a small program here. Raises ChakuError, with bubblewrap's words, when none does."""
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise ChakuError(f"programs can only be run in a sandbox, and bubblewrap (bwrap) is not installed; {INSTALL}")
    problem = ""
    for own_user in (True, False) if os.geteuid() == 0 else (False,):
        isolation = Isolation(bwrap, own_user)
        try:
            with Worker(isolation) as trial:
                verdict = trial.run(Job(PROBE), timeout=20.0)
        except WorkerDied as error:
            problem = str(error)
            continue
        if verdict.passed:
            return isolation
        problem = verdict.reason
    raise ChakuError(
        f"bubblewrap is installed but cannot isolate a program here ({problem[:300]}); in a container, allow user "
        "namespaces and mounts (docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--cap-add SYS_ADMIN), on a host, allow unprivileged user namespaces"
    )
