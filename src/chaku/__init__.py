"""chaku: the whole Code Llama recipe as one program. `chaku.api` is its Python interface."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chaku.errors import ChakuError

if TYPE_CHECKING:
    from chaku.api import Model, ask, asker, build_corpus, connect, evaluate, load, plan, run, score

__version__ = "0.1.0"
__all__ = [
    "ChakuError",
    "Model",
    "__version__",
    "ask",
    "asker",
    "build_corpus",
    "connect",
    "evaluate",
    "load",
    "plan",
    "run",
    "score",
]


def __getattr__(name: str) -> Any:
    """Import a name of `chaku.api` when it is first used, so that `import chaku` takes a few milliseconds."""
    if name in __all__:
        return getattr(import_module("chaku.api"), name)
    raise AttributeError(f"module 'chaku' has no attribute {name!r}")
