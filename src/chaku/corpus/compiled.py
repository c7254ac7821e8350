"""When to use the functions that numba compiles: they return what their plain forms do, in a tenth of the time."""

from functools import cache
from types import ModuleType

from chaku.console import detail

# Bytes that a process cleans before it loads numba: loading takes about a second, and the first time on a machine, when
# numba compiles, about fifteen. The plain forms clean so much in ten seconds.
WORTH_LOADING = 32 << 20
_cleaned = [0]  # bytes so far in this process; a result never depends on it


def count_cleaned(num_bytes: int) -> None:
    """Note that this process has cleaned so many bytes of text more."""
    _cleaned[0] += num_bytes


def kernels() -> ModuleType | None:
    """The compiled functions; None while they are not worth loading, and where numba is not installed."""
    return _load() if _cleaned[0] >= WORTH_LOADING else None


@cache
def _load() -> ModuleType | None:
    try:
        from chaku.corpus import text_compiled
    except ImportError:
        detail("corpus: numba would make cleaning several times as fast: pip install 'chaku[fast]'")
        return None
    return text_compiled
