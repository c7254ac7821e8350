"""Makes the text of a Python program a module, a file, and source lines for tracebacks, as Python itself would."""

import linecache
import sys
import types
from pathlib import Path

FILE = "program.py"


def make_module(name: str, source: str) -> types.ModuleType:
    """An empty module of that name, in which to execute the text. Writes the text to a file in the working folder.

    Processes that `multiprocessing` spawns read the file: by its path for the main program, else by import.
    """
    Path(FILE).write_text(source, encoding="utf-8", errors="surrogatepass")
    module = types.ModuleType(name)
    module.__dict__.update(__builtins__=__builtins__, __file__=FILE)
    sys.modules[name] = module
    if name != "__main__":
        sys.path.append(str(Path.cwd()))
    sys.argv[:] = [FILE]
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    return module
