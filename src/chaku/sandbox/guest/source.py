"""The text of a Python program as Python itself would have it: a module, a file, lines that can be looked up."""

import linecache
import sys
import types
from pathlib import Path

FILE = "program.py"


def make_module(name: str, source: str) -> types.ModuleType:
    """A module of that name, whose text is to be executed in it; the text lies as a file in the working folder.

    Processes that `multiprocessing` starts anew read the file: by its path if it is the main program, else by import.
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
