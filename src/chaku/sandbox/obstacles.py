"""Explains why programs cannot be isolated on this machine, and gives the command that helps."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from chaku.sandbox.bubblewrap import how_to_get_bwrap, sudo

CAP_SYS_ADMIN = 21  # the bit of the right to mount and to make namespaces, in /proc/self/status
# Linux settings that forbid user namespaces: the file under /proc/sys, the value that forbids, the value that allows,
# and a description.
SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "1", "Debian's switch for user namespaces is off"),
    ("user/max_user_namespaces", "0", "15000", "the number of user namespaces is limited to 0"),
    # Ubuntu's AppArmor profile for /usr/bin/bwrap takes every capability from the programs that bwrap starts, and the
    # sandbox's worker needs capabilities to isolate jobs: this setting always helps, `apt install bubblewrap` does not.
    (
        "kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "0",
        "AppArmor forbids user namespaces to programs without a profile (Ubuntu 23.10 and later)",
    ),
)


@dataclass(frozen=True)
class Obstacle:
    """`cause`: why programs cannot be isolated. `command`: the command to type, or the change to make."""

    cause: str
    command: str

    def __str__(self) -> str:
        return f"{self.cause}; to fix it: {self.command}"


def not_linux() -> Obstacle | None:
    """The obstacle on every system except Linux: bubblewrap needs Linux's namespaces."""
    if sys.platform == "win32":
        return Obstacle("the sandbox needs Linux, and this is Windows", "wsl --install, then run chaku inside WSL")
    if sys.platform == "darwin":
        return Obstacle(
            "the sandbox needs Linux, and this is macOS",
            "brew install lima && limactl start, then run chaku inside that Linux (limactl shell default)",
        )
    if sys.platform != "linux":
        return Obstacle(f"the sandbox needs Linux, and this is {sys.platform}", "run chaku on a Linux machine")
    return None


def no_bwrap() -> Obstacle:
    """The obstacle when no bwrap is installed."""
    return Obstacle("bubblewrap (bwrap) is not installed", how_to_get_bwrap())


def find_obstacle(bwrap: str, said: str, root: Path = Path("/")) -> Obstacle:
    """Why an installed bwrap could not isolate a program. `said`: its last error line. `root`: for tests."""
    as_root = os.geteuid() == 0
    words = f" (bwrap: {said.removeprefix('bwrap: ')[:200]})" if said else ""
    for switch, forbids, allows, meaning in SWITCHES:
        counts = not as_root or switch == "user/max_user_namespaces"  # the other settings do not bind root
        if counts and _read(root / "proc/sys" / switch).strip() == forbids:
            name = switch.replace("/", ".")
            return Obstacle(f"{meaning}: {name}={forbids}{words}", f"{sudo()}sysctl -w {name}={allows}")
    if "namespaces exceeded" in said:  # an outer namespace sets the limit
        return Obstacle(f"a sandbox around chaku allows no more namespaces{words}", "start chaku outside that sandbox")
    status = dict(line.split(":", 1) for line in _read(root / "proc/self/status").splitlines() if ":" in line)
    filtered = status.get("Seccomp", "0").strip() == "2"
    powerless = as_root and not int(status.get("CapEff", "0"), 16) >> CAP_SYS_ADMIN & 1
    masked = "mount proc" in said  # the kernel refuses a new /proc while parts of the old one are hidden
    if filtered or powerless or masked or _in_container(root):
        options = ["seccomp=unconfined", "apparmor=unconfined"]
        if not as_root:  # Docker hides parts of /proc, so an ordinary user may not mount a new /proc
            options.append("systempaths=unconfined")
        flags = " ".join(f"--security-opt {option}" for option in options)
        return Obstacle(
            f"a container forbids namespaces or mounts, by a filter, missing rights or a masked /proc{words}",
            f"start the container with docker run {flags} --cap-add SYS_ADMIN",
        )
    return Obstacle(
        f"bubblewrap cannot isolate a program here{words}", f"{bwrap} --unshare-all --ro-bind / / true shows the reason"
    )


def _in_container(root: Path) -> bool:
    marks = (".dockerenv", "run/.containerenv")
    return any((root / mark).exists() for mark in marks) or "container=" in _read(root / "proc/1/environ")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
