# failed: still here
import os
import signal

try:
    os.kill(-1, signal.SIGKILL)
except OSError:
    pass
raise OSError("still here")
