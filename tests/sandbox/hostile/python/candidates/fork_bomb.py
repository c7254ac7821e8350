# failed or timed_out:
# (the children fork too: either the limit of processes or that of CPU time comes first)
import os


def f(x):
    while True:
        os.fork()
