# failed: AssertionError: assert f(2) == 4
import sys


def f(x):
    return int(sys.stdin.read() or x)
