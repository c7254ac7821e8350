# failed: left before its end
import os

os.closerange(0, 65536)
