# failed: left before its end (exit status 0)
import os

os._exit(0)
assert False
