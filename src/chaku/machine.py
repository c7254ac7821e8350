"""This machine's cores, memory and disk, and the parts of chaku that its operating system cannot run."""

import os
import platform
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")  # Linux shows the limits of containers and services here


def num_cores() -> int:
    """The number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name from Linux's /proc/cpuinfo; its architecture when there is no name."""
    try:
        named = re.search(r"^model name\s*:\s*(.*)", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        return platform.machine()
    return named[1] if named else platform.machine()


def computes_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor can multiply bfloat16, by Linux's /proc/cpuinfo; False on other systems."""
    try:
        flags = re.search(r"^(?:flags|Features)\s*:(.*)", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags[1].split())


def total_memory() -> int | None:
    """Bytes of memory of this machine, within its control groups' limits; None when the system does not say."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return min([total, *(limit for limit, _ in _group_limits())])


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes of memory that can be allocated without swapping; outside Linux, all memory of the machine.

    Inside a control group (a container, a service) the group's limit applies. Files in the page cache do not count as
    used, because the system drops them when a process needs memory.
    """
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return total_memory()
    return min([available, *(limit - used for limit, used in _group_limits())])


def _group_limits(own: Path = Path("/proc/self/cgroup"), groups: Path = GROUPS) -> list[tuple[int, int]]:
    """(limit, used) in bytes of this process's control group and its parent groups, for both versions of cgroups."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = groups / "memory" if controllers else groups
        files = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")  # version 1
            if controllers
            else ("memory.max", "memory.current", "")
        )
        folder = root / name.lstrip("/")
        for group in (folder, *folder.parents):
            with suppress(OSError, ValueError):  # the file is missing, or says "max": no limit
                found.append(_limit(group, *files))
            if group == root:
                break
    return found


def _limit(group: Path, limit_file: str, used_file: str, prefix: str) -> tuple[int, int]:
    limit, used = int((group / limit_file).read_text()), int((group / used_file).read_text())
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    cached = sum(int(stat.get(f"{prefix}{kind}_file", 0)) for kind in ("active", "inactive"))
    return limit, max(0, used - cached)


def free_disk(path: Path) -> int:
    """Bytes that can still be written into a directory; the directory need not exist yet."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def what_does_not_run(system: str | None = None) -> list[str]:
    """The parts of chaku that this operating system cannot run, one sentence per part; empty on Linux."""
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
