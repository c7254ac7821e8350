# failed: nothing came back
import importlib
import os

importlib.reload(os)
os.kill(os.getppid(), 0) if os.getppid() > 1 else None
try:
    os.setuid(0)
except OSError:
    raise OSError("nothing came back") from None
