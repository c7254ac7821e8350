"""A checkpoint ready to write."""

from chaku.checkpoint.find import find_checkpoint
from chaku.checkpoint.formats import load_model
from chaku.inference.engine import Engine
from chaku.model.quantization import Scheme
from chaku.tokens.tokenizer import Tokenizer


def load_engine(name: str, scheme: Scheme | None = None) -> Engine:
    """The engine of a model directory or a Hub id. Raises ChakuError for a checkpoint that is none, or not whole."""
    path = find_checkpoint(name)
    return Engine(load_model(path, scheme=scheme).eval(), Tokenizer.load(path))
