# timed_out: by the clock
import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)
