"""How GGUF says that rotary frequencies are stretched: metadata for linear and YaRN, else a tensor of factors."""

from chaku.errors import ChakuError
from chaku.gguf_file import GgufFile
from chaku.model import RopeScaling


def read_rope_scaling(file: GgufFile, context: int, head_dim: int) -> RopeScaling | None:
    """The scaling of a model's rotary frequencies. Raises ChakuError for a kind that chaku does not compute."""
    return None
