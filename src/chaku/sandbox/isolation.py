"""How programs are isolated: bubblewrap's command line.

A worker runs in user, process, mount, IPC, UTS and network namespaces of its own, with the system read-only, an empty
environment and no descriptor but its channel. It has the one right to make namespaces, with which it gives every job a
process, mount and IPC namespace again; the job's processes have no right at all (`guest/`).
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
ETC = Path(__file__).parent / "etc"  # a program's own: `localhost` is found without asking anybody
FIRST_USER = 2_000_000_000  # above any user that a system hands out
# What is seen of /etc: where programs find libraries, and the settings of languages' runtimes.
SETTINGS = ("ld.so.cache", "alternatives", "localtime", "java-*", "mono", "php", "perl", "R", "scala")


@dataclass(frozen=True)
class Isolation:
    """`own_user`: started as root, a program gets a user of its own; else a user namespace maps it to nobody."""

    bwrap: str
    own_user: bool

    def settings(self) -> dict[str, Any]:
        """What the worker needs to know."""
        return {
            "isolated": True,
            "user": FIRST_USER + secrets.randbelow(100_000_000) if self.own_user else None,
            "count_processes": self.own_user or _counts_by_namespace(),
            "packages": list(_packages().values()),
        }


def interpreter() -> Path:
    """The Python that runs inside: the one below any virtual environment."""
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve()


def environment(hash_seed: int) -> dict[str, str]:
    """A program's. Sets of text iterate alike every time, so that a verdict does not change from run to run."""
    return {**ENVIRONMENT, "PYTHONHASHSEED": str(hash_seed)}


def command(isolation: Isolation, hash_seed: int = 0) -> list[str]:
    """bwrap's arguments up to the program: what of the machine is seen, read-only, and what rights the worker has."""
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
            for parent in reversed(path.parents[:-1]):  # bwrap would make them as closed as /root is outside
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
    """Folders of installed packages, so that tests may use numpy, as this Python finds them: an environment's first."""
    return tuple(path for path in site.getsitepackages() if Path(path).is_dir())


def _packages() -> dict[str, str]:
    """Where each folder of packages is seen inside: in a place of its own, as /tmp is empty there."""
    return {path: f"/sandbox/packages/{number}" for number, path in enumerate(packages())}


@functools.cache
def _counts_by_namespace() -> bool:
    """Whether the process limit counts within a user namespace (Linux 5.14); before, it counts all that a user runs."""
    major, minor = (int(part) for part in platform.release().split(".")[:2])
    return (major, minor) >= (5, 14) and os.geteuid() != 0
