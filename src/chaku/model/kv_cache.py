"""The KV cache: keys and values of all earlier tokens, for a batch of rows padded on the left."""

import torch
from torch import Tensor

from chaku.model.config import LlamaConfig


class KVCache:
    """`keys[layer]` and `values[layer]`: (batch, kv_heads, max_length, head_dim). The first `length` slots are used.

    `start`: (batch,), the first slot of each row that holds a token; the slots before it are padding.
    """

    def __init__(
        self,
        config: LlamaConfig,
        batch_size: int,
        max_length: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ):
        shape = (batch_size, config.num_key_value_heads, max_length, config.head_dim)
        layers = range(config.num_hidden_layers)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in layers]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in layers]
        self.start = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self.length = 0

    @property
    def max_length(self) -> int:
        return self.keys[0].shape[2]

    def update(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append (batch, kv_heads, new, head_dim) to a layer; returns views of its slots up to the new tokens."""
        end = self.length + key.shape[2]
        assert end <= self.max_length, f"{end} tokens do not fit a cache of {self.max_length}"
        self.keys[layer][:, :, self.length : end] = key
        self.values[layer][:, :, self.length : end] = value
        return self.keys[layer][:, :, :end], self.values[layer][:, :, :end]

    def advance(self, num_new: int) -> None:
        """Count new tokens, after every layer has stored them."""
        self.length += num_new

    def select(self, rows: Tensor) -> None:
        """Keep only the given rows, in their order."""
        self.keys = [keys[rows] for keys in self.keys]
        self.values = [values[rows] for values in self.values]
        self.start = self.start[rows]
