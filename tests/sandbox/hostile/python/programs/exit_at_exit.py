# failed: AssertionError
import atexit
import os

atexit.register(os._exit, 0)
assert False
