# failed: the real ones
import sys

for name in ("typing", "colorsys", "json", "sitecustomize"):
    with open(f"{name}.py", "w") as file:
        file.write("import os\nos._exit(0)\n")
import colorsys  # noqa: E402
import json  # noqa: E402
import typing  # noqa: E402

assert not any(folder in ("", ".", "/tmp") for folder in sys.path), sys.path
assert typing.Any
assert json.loads("1")
assert colorsys.rgb_to_hsv(0, 0, 0)
raise ImportError("the real ones")
