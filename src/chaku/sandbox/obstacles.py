"""Why no program can be isolated here, and the one command that helps."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from chaku.sandbox.bubblewrap import how_to_get_bwrap, sudo

CAP_SYS_ADMIN = 21  # the bit of the right to mount and to make namespaces, in /proc/self/status
# Switches of Linux that forbid user namespaces: the file under /proc/sys, the value that forbids, the value that
# allows, and what the switch is.
SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "1", "Debian's switch for user namespaces is off"),
    ("user/max_user_namespaces", "0", "15000", "the number of user namespaces is limited to 0"),
    # Ubuntu's own AppArmor profile for /usr/bin/bwrap takes every right from the programs that bwrap starts, and the
    # sandbox's worker needs some to isolate each job: so this switch, not `apt install bubblewrap`, always helps.
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "0",
        "AppArmor forbids user namespaces to programs without a profile (Ubuntu 23.10 and later)",
    ),
)


@dataclass(frozen=True)
class Obstacle:
    """`cause`: what keeps programs from being isolated. `command`: what to type, or to change, against it."""

    cause: str
    command: str

    def __str__(self) -> str:
        return f"{self.cause}; what helps: {self.command}"


def not_linux() -> Obstacle | None:
    """The obstacle on every system but Linux: bubblewrap is made of Linux's namespaces."""
    if sys.platform == "win32":
        return Obstacle("programs are isolated by Linux, and this is Windows", "wsl --install, and chaku inside WSL")
    if sys.platform == "darwin":
        return Obstacle(
            "programs are isolated by Linux, and this is macOS",
            "brew install lima && limactl start, and chaku inside that Linux (limactl shell default)",
        )
    if sys.platform != "linux":
        return Obstacle(f"programs are isolated by Linux, and this is {sys.platform}", "a Linux machine")
    return None


def no_bwrap() -> Obstacle:
    """There is no bwrap at all."""
    return Obstacle("bubblewrap (bwrap) is not installed", how_to_get_bwrap())


def find_obstacle(bwrap: str, said: str, root: Path = Path("/")) -> Obstacle:
    """Why a bwrap that is there could not isolate a program. `said`: its last words. `root`: for tests."""
    as_root = os.geteuid() == 0
    words = f" (bwrap: {said.removeprefix('bwrap: ')[:200]})" if said else ""
    for switch, forbids, allows, meaning in SWITCHES:
        counts = not as_root or switch == "user/max_user_namespaces"  # the others bind ordinary users alone
        if counts and _read(root / "proc/sys" / switch).strip() == forbids:
            name = switch.replace("/", ".")
            return Obstacle(f"{meaning}: {name}={forbids}{words}", f"{sudo()}sysctl -w {name}={allows}")
    if "namespaces exceeded" in said:  # the limit is that of a namespace around this one
        return Obstacle(f"a sandbox around chaku allows no more namespaces{words}", "start chaku outside that sandbox")
    status = dict(line.split(":", 1) for line in _read(root / "proc/self/status").splitlines() if ":" in line)
    filtered = status.get("Seccomp", "0").strip() == "2"
    powerless = as_root and not int(status.get("CapEff", "0"), 16) >> CAP_SYS_ADMIN & 1
    masked = "mount proc" in said  # the kernel gives a whole /proc to nobody from whom a part of it is hidden
    if filtered or powerless or masked or _in_container(root):
        options = ["seccomp=unconfined", "apparmor=unconfined"]
        if not as_root:  # Docker hides parts of /proc, and an ordinary user may then not mount a new one
            options.append("systempaths=unconfined")
        flags = " ".join(f"--security-opt {option}" for option in options)
        return Obstacle(
            f"a container forbids namespaces or mounts, by a filter, missing rights or a masked /proc{words}",
            f"start the container with docker run {flags} --cap-add SYS_ADMIN",
        )
    return Obstacle(
        f"bubblewrap cannot isolate a program here{words}", f"{bwrap} --unshare-all --ro-bind / / true says why"
    )


def _in_container(root: Path) -> bool:
    marks = (".dockerenv", "run/.containerenv")
    return any((root / mark).exists() for mark in marks) or "container=" in _read(root / "proc/1/environ")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
