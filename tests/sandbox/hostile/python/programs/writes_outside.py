# failed: nothing could be written
import os

for folder in ("/", "/usr", "/etc", "/bin", "/lib", "/proc", "/dev", "/root", "/home", "/sandbox", "/proc/self", ".."):
    try:
        open(os.path.join(folder, "left"), "w").close()
    except OSError:
        continue
    raise SystemExit(0)
raise OSError("nothing could be written")
