"""When to use the functions that numba compiles: they return what their plain forms do, in a tenth of the time."""

from functools import cache
from importlib import import_module
from types import ModuleType

from chaku.console import detail

# Bytes that a process reads before it loads numba: loading takes about a second, and the first time on a machine, when
# numba compiles, about fifteen. The plain forms clean so much in ten seconds.
WORTH_LOADING = 32 << 20
_read = [0]  # bytes so far in this process; a result never depends on it


def count_read(num_bytes: int) -> None:
    """Note that this process has read so many bytes of text more."""
    _read[0] += num_bytes


def kernels(module: str = "reading.text_compiled") -> ModuleType | None:
    """The compiled functions; None while they are not worth loading, and where numba is not installed."""
    return _load(module) if _read[0] >= WORTH_LOADING else None


@cache
def _load(module: str) -> ModuleType | None:
    try:
        return import_module(f"chaku.corpus.{module}")
    except ImportError:
        detail("corpus: numba would make this several times as fast: pip install 'chaku[fast]'")
        return None
