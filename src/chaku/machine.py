"""What this machine has: cores, memory, disk; and what does not run on its system."""

import os
import shutil
import sys
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")  # where Linux tells the limits of containers and services


def num_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_memory() -> int | None:
    """Bytes of memory that can still be taken without swapping; None where the system does not tell.

    On Linux what the kernel says is available, within the limits of the control groups around this process (a
    container's, a service's). On macOS half of the machine's memory, as its system keeps more back than it tells.
    """
    if sys.platform == "linux":
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
        return min([available, *_group_limits()])
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return None


def _group_limits(own: Path = Path("/proc/self/cgroup"), groups: Path = GROUPS) -> list[int]:
    """What is left within each limit of memory on this process's control group and those above it, in bytes."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory") and "memory" not in controllers.split(","):
            continue
        root, limit, used = (
            (groups, "memory.max", "memory.current")
            if not controllers  # version 2 of control groups
            else (groups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
        )
        folder = root / path.lstrip("/")
        for group in [folder, *folder.parents]:
            if not group.is_relative_to(root):
                break
            try:
                left.append(int((group / limit).read_text()) - int((group / used).read_text()))
            except (OSError, ValueError):  # no such file; "max": no limit
                continue
    return left


def free_disk(path: Path) -> int:
    """Bytes that can still be written into a directory, which need not exist yet."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def what_does_not_run(system: str | None = None) -> list[str]:
    """What cannot work on this operating system, a sentence each; nothing on Linux, where everything runs."""
    system = system or sys.platform
    if system == "linux":
        return []
    if system == "win32":
        return [
            "Windows: programs that a model wrote are not run (benchmarks that execute code, `chaku instruct`, "
            "`chaku sandbox`, `chat --run`): the sandbox is made of Linux's namespaces",
            "Windows: `chaku run`, `chaku eval` and `chaku sql` do not run: they need locks and limits of Unix",
            "everything runs inside WSL: wsl --install, then install chaku there",
        ]
    name = "macOS" if system == "darwin" else system
    return [
        f"{name}: programs that a model wrote are not run (benchmarks that execute code, [instruct], `chaku sandbox`, "
        "`chat --run`): the sandbox is made of Linux's namespaces; the rest runs",
    ]
