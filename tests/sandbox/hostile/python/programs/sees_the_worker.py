# failed: nobody is seen
import os

if {name for name in os.listdir("/proc") if name.isdigit()} - {"1", str(os.getpid())}:
    raise SystemExit(0)
for name in ("cmdline", "status", "maps", "cwd", "root", "fd"):
    if os.path.exists(f"/proc/1/{name}") and os.access(f"/proc/1/{name}", os.R_OK):
        raise SystemExit(0)
raise OSError("nobody is seen")
