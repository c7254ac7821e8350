"""The KV cache: keys and values of all earlier tokens, in blocks."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from chaku.model.config import LlamaConfig


class Cache(Protocol):
    """The earlier tokens of a batch of rows; every row is given equally many new tokens."""

    def positions(self, num_new: int) -> Tensor:
        """The positions of the new tokens, (batch, new)."""
        ...

    def mask(self, num_new: int, window: int | None) -> Tensor | None:
        """Which tokens the new tokens attend to, (batch, 1, new, old + new) bool; None for plain causal attention."""
        ...

    def update(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store (batch, kv_heads, new, head_dim) of a layer; returns (batch, kv_heads, old + new, head_dim)."""
        ...


class BlockStore:
    """The keys and values of many texts, in blocks of `block_size` tokens that lie anywhere.

    `keys[layer]` and `values[layer]`: (blocks * block_size + 1, kv_heads, head_dim). The last place is for padding.
    """

    def __init__(
        self, config: LlamaConfig, num_blocks: int, block_size: int, dtype: torch.dtype, device: torch.device | str
    ):
        self.padding = num_blocks * block_size
        shape = (self.padding + 1, config.num_key_value_heads, config.head_dim)
        layers = range(config.num_hidden_layers)
        self.block_size, self.device = block_size, torch.device(device)
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in layers]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in layers]

    def copy(self, source: int, target: int) -> None:
        """Copy a block onto another one."""
        size = self.block_size
        for stored in (*self.keys, *self.values):
            stored[target * size : (target + 1) * size] = stored[source * size : (source + 1) * size]


class BlockRows:
    """Implements `Cache` for one step of some texts of a `BlockStore`.

    `past`: how many tokens of each text the store holds. `num_new`: how many tokens each text adds; the texts with
    fewer tokens are padded on the right. `blocks`: the numbers of each text's blocks, in order.
    """

    def __init__(self, store: BlockStore, past: Sequence[int], num_new: Sequence[int], blocks: Sequence[Sequence[int]]):
        self._store, size, longest = store, store.block_size, max(num_new)
        self._num_held = max(map(sum, zip(past, num_new, strict=True)))
        table = torch.zeros((len(blocks), -(-self._num_held // size)), dtype=torch.int64)
        for row, numbers in enumerate(blocks):
            used = numbers[: table.shape[1]]
            table[row, : len(used)] = torch.tensor(used)
        places = (table[:, :, None] * size + torch.arange(size)).flatten(1)[:, : self._num_held]  # (batch, places)
        new = torch.arange(longest)
        positions = (torch.tensor(past)[:, None] + new).clamp(max=self._num_held - 1)  # (batch, new)
        written = places.gather(1, positions)
        written[new >= torch.tensor(num_new)[:, None]] = store.padding
        self._positions = positions.to(store.device)
        self._places, self._written = places.flatten().to(store.device), written.flatten().to(store.device)

    def positions(self, num_new: int) -> Tensor:
        return self._positions

    def mask(self, num_new: int, window: int | None) -> Tensor | None:
        held = torch.arange(self._num_held, device=self._store.device)
        visible = held <= self._positions[:, :, None]  # (batch, new, places)
        if window is not None:
            visible &= held > self._positions[:, :, None] - window
        return visible.unsqueeze(1)

    def update(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self._store.keys[layer], self._store.values[layer]
        keys.index_copy_(0, self._written, key.transpose(1, 2).flatten(0, 1))
        values.index_copy_(0, self._written, value.transpose(1, 2).flatten(0, 1))
        shape = (len(key), self._num_held, *keys.shape[1:])
        held = (stored.index_select(0, self._places).view(shape) for stored in (keys, values))
        held_keys, held_values = (stored.transpose(1, 2) for stored in held)
        return held_keys, held_values
