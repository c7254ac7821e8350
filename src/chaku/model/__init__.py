"""The decoder: configuration, rotary embedding, Llama."""

from chaku.model.config import PRESETS, LlamaConfig, RopeScaling
from chaku.model.llama import Llama

__all__ = ["PRESETS", "Llama", "LlamaConfig", "RopeScaling"]
