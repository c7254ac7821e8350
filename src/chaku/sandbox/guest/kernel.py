"""Linux calls that confine a process before it runs untrusted code: limits, capabilities, Landlock, seccomp, mounts.

Runs inside the sandbox, so it imports nothing from chaku. Calls that Python 3.11 lacks go to libc through ctypes.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
from pathlib import Path

MEGABYTE = 2**20
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
ANY_NEW = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 22, 24, 38, 47

# System calls that no program needs and that were used to escape from sandboxes: numbers on x86-64 and on arm64.
REFUSED = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "syslog": (103, 116),
    "acct": (163, 89),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "quotactl": (179, 60),
}
# System calls that take memory outside the limits of processes. They fail as unknown calls: libraries cope with that.
MISSING = {
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
}
SOCKET, SOCKETPAIR = (41, 198), (53, 199)
FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6; a network namespace does not confine others, such as AF_VSOCK
CLONE, CLONE3, CAPSET = (56, 220), (435, 435), (126, 91)
AUDIT_ARCH = (0xC000003E, 0xC00000B7)
X32 = 0x40000000  # x86-64's second table of system calls, which would bypass the filter
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
WRITABLE = ("/tmp", "/dev/shm", "/dev/null", "/dev/full", "/dev/tty")

# PyDLL holds the interpreter's lock during a call, so that a forked child owns the lock.
_libc = ctypes.PyDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long


def machine() -> int | None:
    """This processor's column in the tables above: 0 on x86-64, 1 on arm64, None elsewhere."""
    return {"x86_64": 0, "aarch64": 1, "arm64": 1}.get(platform.machine())


def system_call(number: int, *arguments: object) -> int:
    """Make a system call. Raises OSError when it fails."""
    result = _syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def fork_into_namespaces() -> int:
    """Fork; the child is process 1 of new process, mount and IPC namespaces. Needs CAP_SYS_ADMIN; raises OSError."""
    flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC
    column = machine()
    if column is None:
        raise OSError("chaku's sandbox supports only x86-64 and arm64 processors")
    zero = ctypes.c_long(0)
    return system_call(CLONE[column], ctypes.c_long(flags | 17), zero, zero, zero, zero)  # 17: SIGCHLD at its end


def mount(kind: str, place: str, options: str, flags: int = 0) -> None:
    """Mount a file system, without set-user-id programs and devices. Raises OSError."""
    flags |= MS_NOSUID | MS_NODEV
    arguments = kind.encode(), place.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode()
    if _libc.mount(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"mount of {place}: {os.strerror(error)}")


def mount_scratch(size: int) -> None:
    """Mount an empty /tmp and an empty /dev/shm in this namespace. Each holds `size` bytes and 4,096 files.

    Without the sticky bit, so that a program may remove the files that process 1 wrote for it.
    """
    for place in ("/tmp", "/dev/shm"):
        mount("tmpfs", place, f"size={size},nr_inodes=4096,mode=777")


def mount_proc() -> bool:
    """Mount a /proc with only this namespace's processes; if that is refused, mount an empty /proc and return False.

    The system's /proc would show the worker. Linux refuses a new /proc in a user namespace in which bubblewrap had to
    hide parts of the old /proc (root without capabilities). Bash then lacks `<(...)`, and some runtimes do not start.
    """
    try:
        mount("proc", "/proc", "subset=pid,hidepid=invisible", MS_NOEXEC)
    except PermissionError:
        mount("tmpfs", "/proc", "size=4k,mode=555", MS_NOEXEC | MS_RDONLY)
        return False
    return True


def limit_resources(cpu_seconds: int, memory_mb: int, file_mb: int, processes: int, virtual: bool = True) -> None:
    """Set limits that cannot be raised again. CPU seconds are whole here; the verdict compares the exact time.

    `virtual`: `memory_mb` limits the address space; else the writable memory, for runtimes that reserve far more than
    they use.
    """
    memory = resource.RLIMIT_AS if virtual else resource.RLIMIT_DATA
    limits = {
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + 1),  # the first signal may be caught, the second kills
        memory: (memory_mb * MEGABYTE,) * 2,
        resource.RLIMIT_FSIZE: (file_mb * MEGABYTE,) * 2,
        resource.RLIMIT_NOFILE: (256,) * 2,
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    if processes:
        limits[resource.RLIMIT_NPROC] = (processes,) * 2
    for which, limit in limits.items():
        hard = resource.getrlimit(which)[1]
        soft, most = (part if hard == resource.RLIM_INFINITY else min(part, hard) for part in limit)
        resource.setrlimit(which, (soft, most))


def drop_rights(user: int | None) -> None:
    """Drop all capabilities for good. With a `user`, first become that user, in a new user namespace where possible.

    Afterwards the process gains no capabilities from any program that it starts, and cannot be traced.
    """
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        _libc.unshare(CLONE_NEWUSER)
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) != 0:
            break
    _libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(4), 0, 0, 0)  # 4: clear all
    column = machine()
    if column is not None:
        header, none = struct.pack("Ii", 0x20080522, 0), bytes(24)  # version 3 of the interface, this process
        system_call(CAPSET[column], header, none)
    _libc.prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)


def traceable(allowed: bool) -> None:
    """Allow or forbid other processes of the same user to read this process's memory."""
    _libc.prctl(PR_SET_DUMPABLE, ctypes.c_ulong(int(allowed)), 0, 0, 0)


def landlock_version() -> int:
    """The version of the kernel's Landlock interface; 0 without Landlock."""
    try:
        return system_call(LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    except OSError:
        return 0


def restrict_files(may_signal: bool = False) -> int:
    """Use Landlock to forbid writing outside WRITABLE, and abstract sockets and signals to other processes.

    `may_signal`: allow signals. Returns Landlock's version; 0 without Landlock.
    """
    abi = landlock_version()
    if abi == 0:
        return 0
    # Bits of LANDLOCK_ACCESS_FS: write, remove, make, rename. Reading and executing stay allowed.
    write = 0b1_1111_1111_0010 | (1 << 13 if abi >= 2 else 0) | (1 << 14 if abi >= 3 else 0)
    write |= 1 << 15 if abi >= 5 else 0
    scoped = (0b01 if may_signal else 0b11) if abi >= 6 else 0  # abstract sockets, signals
    ruleset = struct.pack("QQQ", write, 0, scoped)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    rules = system_call(LANDLOCK_CREATE, ruleset, ctypes.c_size_t(len(ruleset)), ctypes.c_uint32(0))
    try:
        for path in WRITABLE:
            try:
                parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue
            allowed = write if Path(path).is_dir() else write & (1 << 1 | 1 << 14 | 1 << 15)
            try:
                system_call(LANDLOCK_ADD, rules, 1, struct.pack("=Qi", allowed, parent), ctypes.c_uint32(0))
            finally:
                os.close(parent)
        system_call(LANDLOCK_RESTRICT, rules, ctypes.c_uint32(0))
    finally:
        os.close(rules)
    return abi


def _instruction(code: int, true: int, false: int, value: int) -> bytes:
    return struct.pack("HBBI", code, true, false, value)


def _filter(column: int) -> bytes:
    load, equal, any_bit, give = 0x20, 0x15, 0x45, 0x06
    deny, no_such, no_family = (0x00050000 | error for error in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT))
    allow = 0x7FFF0000
    lines = [
        _instruction(load, 0, 0, 4),  # the architecture
        _instruction(equal, 1, 0, AUDIT_ARCH[column]),
        _instruction(give, 0, 0, deny),
        _instruction(load, 0, 0, 0),  # the number
        _instruction(0x35, 0, 1, X32),  # at least
        _instruction(give, 0, 0, deny),
    ]
    answers = {both[column]: deny for both in REFUSED.values()}
    answers |= {both[column]: no_such for both in MISSING.values()}
    answers[CLONE3[column]] = no_such  # a filter cannot read its flags; libc falls back to clone
    for number, answer in answers.items():
        lines += [_instruction(equal, 0, 1, number), _instruction(give, 0, 0, answer)]
    for call in (SOCKET, SOCKETPAIR):
        lines += [_instruction(equal, 0, len(FAMILIES) + 3, call[column]), _instruction(load, 0, 0, 16)]
        lines += [_instruction(equal, len(FAMILIES) - place, 0, family) for place, family in enumerate(FAMILIES)]
        lines += [_instruction(give, 0, 0, no_family), _instruction(give, 0, 0, allow)]
    lines += [
        _instruction(equal, 0, 3, CLONE[column]),
        _instruction(load, 0, 0, 16),  # its first argument: the flags
        _instruction(any_bit, 0, 1, ANY_NEW),
        _instruction(give, 0, 0, deny),
        _instruction(give, 0, 0, allow),
    ]
    return b"".join(lines)


def refuse_system_calls() -> bool:
    """Use seccomp to refuse the calls of REFUSED and MISSING, and sockets outside FAMILIES, here and in all children.

    Returns False for an unsupported processor.
    """
    column = machine()
    if column is None:
        return False
    program = _filter(column)
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)), 16)
    return _libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(2), header, 0, 0) == 0
