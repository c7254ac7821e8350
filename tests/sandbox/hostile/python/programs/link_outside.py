# failed: nothing could be written
import os

os.symlink("/usr", "/tmp/link")
os.symlink("/etc/passwd", "/tmp/passwd")
for path in ("/tmp/link/left", "/tmp/passwd"):
    try:
        open(path, "w").close()
    except OSError:
        continue
    raise SystemExit(0)
try:
    os.link("/usr/bin/env", "/tmp/env")
except OSError:
    raise OSError("nothing could be written") from None
