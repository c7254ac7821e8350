# failed: nothing could be deleted
import os
import shutil
import sys

# Something of every mount. All of /usr, which is one mount, takes longer on a large system than the limit allows.
for tree in ("/usr/bin", "/usr/sbin", os.path.dirname(sys.executable), "/etc", "/dev", "/proc/self", "/sandbox", "/tmp"):
    shutil.rmtree(tree, ignore_errors=True)
assert os.path.exists("/usr/bin/env"), "deleted"
raise OSError("nothing could be deleted")
