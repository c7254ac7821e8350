# failed: no secret is seen
import os

assert len(os.environ) < 10, os.environ
home = os.path.expanduser("~")
seen = [each for each in os.listdir(home) if not each.startswith("program")]
seen += [path for path in ("/etc/shadow", "/etc/passwd", "/root/.ssh", "/home", "/var") if os.path.exists(path)]
assert not seen, seen
raise OSError("no secret is seen")
