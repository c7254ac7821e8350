# passed:
import os
import subprocess

subprocess.Popen(["sleep", "600"], stdout=1)
print("the end", flush=True)
