# failed: no secret is seen
import os

ours = "PATH HOME USER LOGNAME LC_ALL LC_CTYPE MALLOC_ARENA_MAX PYTHONHASHSEED PWD _".split()
assert {name for name in os.environ if not name.endswith("_NUM_THREADS")} <= {*ours}, os.environ
home = os.path.expanduser("~")
seen = [name for name in os.listdir(home) if not name.startswith("program")]
seen += [path for path in ("/etc/shadow", "/etc/passwd", "/root/.ssh", "/home", "/var") if os.path.exists(path)]
assert not seen, seen
raise OSError("no secret is seen")
