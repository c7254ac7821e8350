"""chaku: the whole Code Llama recipe as one program."""

from chaku.errors import ChakuError

__version__ = "0.1.0"
__all__ = ["ChakuError", "__version__"]
