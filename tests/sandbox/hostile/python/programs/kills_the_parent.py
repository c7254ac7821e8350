# failed: nobody could be killed
import os
import signal

for process in (1, os.getppid(), *range(3, 50)):
    if process != os.getpid():
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            continue
        raise SystemExit(0)
raise OSError("nobody could be killed")
