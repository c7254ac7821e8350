# failed: BlockingIOError
import os


def f(x):
    while True:
        os.fork()
