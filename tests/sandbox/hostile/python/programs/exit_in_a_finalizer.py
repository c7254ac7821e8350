# failed: left before its end (exit status 0)
import os


class Leaves:
    def __del__(self):
        os._exit(0)


leaves = Leaves()
del leaves
assert False
