"""Builds bubblewrap's command line, which isolates a worker.

A worker runs in its own user, process, mount, IPC, UTS and network namespaces, with a read-only system, an empty
environment and no descriptor except its channel. Its capability to create namespaces lets it give every job new
process, mount and IPC namespaces; the job's processes have no capabilities (`guest/`).
"""

import functools
import os
import platform
import secrets
import site
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaku.sandbox.environment import ENVIRONMENT
from chaku.sandbox.languages.toolchains import prefixes

GUEST = Path(__file__).parent / "guest"
ETC = Path(__file__).parent / "etc"  # files for the sandbox's /etc: `localhost` resolves without a name server
FIRST_USER = 2_000_000_000  # above the user ids that systems assign
# The parts of /etc that the sandbox shows: the paths of libraries, and the settings of languages' runtimes.
SETTINGS = ("ld.so.cache", "alternatives", "localtime", "java-*", "mono", "php", "perl", "R", "scala")


@dataclass(frozen=True)
class Isolation:
    """How to isolate. `bwrap`: the path of the binary. `own_user`: root starts programs as an unused user.

    Without `own_user`, a user namespace maps programs to nobody.
    """

    bwrap: str
    own_user: bool

    def settings(self) -> dict[str, Any]:
        """The settings that the worker receives when it starts."""
        return {
            "isolated": True,
            "user": FIRST_USER + secrets.randbelow(100_000_000) if self.own_user else None,
            "count_processes": self.own_user or _counts_by_namespace(),
            "packages": list(_packages().values()),
        }


def interpreter() -> Path:
    """The Python that runs inside the sandbox: the base Python of a virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def environment(hash_seed: int) -> dict[str, str]:
    """A program's environment variables. The hash seed fixes the order of sets of strings, so verdicts do not vary."""
    return {**ENVIRONMENT, "PYTHONHASHSEED": str(hash_seed)}


def command(isolation: Isolation, hash_seed: int = 0) -> list[str]:
    """bwrap's arguments up to the program: the read-only parts of the machine, and the worker's capabilities."""
    rights = ["CAP_SYS_ADMIN", "CAP_SETPCAP"] + (["CAP_SETUID", "CAP_SETGID", "CAP_KILL"] if isolation.own_user else [])
    line = [isolation.bwrap, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "sandbox", "--cap-drop", "ALL"]
    for right in rights:
        line += ["--cap-add", right]
    if not isolation.own_user:
        line += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    line += ["--ro-bind", "/usr", "/usr", "--perms", "0755", "--dir", "/etc"]
    for name in SETTINGS:
        for path in sorted(Path("/etc").glob(name)):
            line += ["--ro-bind-try", str(path), str(path)]
    for path in sorted(ETC.iterdir()):
        line += ["--ro-bind", str(path), f"/etc/{path.name}"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        path = Path(name)
        if path.is_symlink():
            line += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            line += ["--ro-bind", name, name]
    own = (Path(sys.base_prefix), Path(sys.base_prefix).resolve(), interpreter().parent)
    for path in dict.fromkeys((*own, *prefixes())):
        if not path.is_relative_to("/usr") and not path.is_relative_to("/bin"):
            for parent in reversed(path.parents[:-1]):  # else bwrap copies the closed mode of /root
                line += ["--perms", "0755", "--dir", str(parent)]
            line += ["--ro-bind", str(path), str(path)]
    line += ["--perms", "0755", "--dir", "/sandbox", "--perms", "0755", "--dir", "/sandbox/packages"]
    for outside, inside in ((str(GUEST), "/sandbox/chaku/sandbox/guest"), *_packages().items()):
        line += ["--ro-bind", outside, inside]
    line += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777"]
    line += ["--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--perms", "1777", "--tmpfs", "/tmp", "--remount-ro", "/"]
    line += ["--chdir", "/tmp", "--clearenv"]
    for name, value in environment(hash_seed).items():
        line += ["--setenv", name, value]
    return line


@functools.cache
def packages() -> tuple[str, ...]:
    """Folders of installed packages, in this Python's order (a virtual environment's first): tests may import numpy."""
    return tuple(path for path in site.getsitepackages() if Path(path).is_dir())


def _packages() -> dict[str, str]:
    """Each folder of packages, and its path inside. The paths differ, as a folder below /tmp would be hidden."""
    return {path: f"/sandbox/packages/{number}" for number, path in enumerate(packages())}


@functools.cache
def _counts_by_namespace() -> bool:
    """Whether the process limit counts per user namespace (since Linux 5.14), not over all of a user's processes."""
    major, minor = (int(part) for part in platform.release().split(".")[:2])
    return (major, minor) >= (5, 14) and os.geteuid() != 0
