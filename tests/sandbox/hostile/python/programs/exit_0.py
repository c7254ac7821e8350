# failed: left before its end (exit status 0)
import sys

sys.exit(0)
assert False
