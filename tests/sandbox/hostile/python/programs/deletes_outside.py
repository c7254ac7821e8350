# failed: nothing could be deleted
import os
import shutil

shutil.rmtree("/", ignore_errors=True)
assert os.path.exists("/usr/bin/env"), "deleted"
raise OSError("nothing could be deleted")
