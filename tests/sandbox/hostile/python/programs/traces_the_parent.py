# failed: nobody could be traced
import ctypes
import os

libc = ctypes.CDLL(None)
for request in (0, 16, 0x4206):  # TRACEME, ATTACH, SEIZE
    if libc.ptrace(request, os.getppid(), None, None) == 0:
        raise SystemExit(0)
for path in ("/proc/1/mem", f"/proc/{os.getppid()}/mem", "/proc/1/environ", "/proc/1/fd/1"):
    try:
        open(path, "rb").read(1)
    except OSError:
        continue
    raise SystemExit(0)
raise OSError("nobody could be traced")
