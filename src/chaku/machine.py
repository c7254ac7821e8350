"""What this machine has: cores, memory, disk; and what does not run on its system."""

import os
import platform
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")  # where Linux tells the limits of containers and services


def num_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name where Linux tells it, else its architecture."""
    try:
        named = re.search(r"^model name\s*:\s*(.*)", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        return platform.machine()
    return named[1] if named else platform.machine()


def computes_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has instructions for products of bfloat16, as Linux tells; elsewhere False."""
    try:
        flags = re.search(r"^(?:flags|Features)\s*:(.*)", cpuinfo.read_text(), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags[1].split())


def total_memory() -> int | None:
    """Bytes of memory of this machine, within its control groups' limits; None where the system does not tell."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return min([total, *(limit for limit, _ in _group_limits())])


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes of memory that can be taken without swapping: Linux says so, elsewhere it is the machine's memory.

    Within a control group (a container, a service) what its limit leaves; the files that it has in the page cache do
    not count as used, because the system drops them when memory is asked for.
    """
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return total_memory()
    return min([available, *(limit - used for limit, used in _group_limits())])


def _group_limits(own: Path = Path("/proc/self/cgroup"), groups: Path = GROUPS) -> list[tuple[int, int]]:
    """(limit, used) in bytes of this process's control group and those above it, in both versions of control groups."""
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
            with suppress(OSError, ValueError):  # no such file; "max": no limit
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
