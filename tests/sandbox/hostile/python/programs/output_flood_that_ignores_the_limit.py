# output_limit: may hold
import os
import signal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for _ in range(1000):
    try:
        os.write(1, bytes(100_000))
    except OSError:
        pass
