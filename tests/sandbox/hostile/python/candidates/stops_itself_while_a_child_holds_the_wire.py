# failed: stopped answering
import os
import signal
import time


def f(x):
    if os.fork() == 0:
        time.sleep(600)
    os.kill(os.getpid(), signal.SIGSTOP)
