"""The KV cache: keys and values of all earlier tokens, in blocks that lie anywhere; and attention over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from chaku.model.config import LlamaConfig


class Cache(Protocol):
    """The earlier tokens of some texts. The new tokens of all texts lie one after another."""

    @property
    def positions(self) -> Tensor:
        """The positions of the new tokens in their texts, (1, new)."""
        ...

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Store the new keys and values of a layer, (1, kv_heads, new, head_dim), and attend to all of each text's.

        `query` and the result: (1, heads, new, head_dim).
        """
        ...


class BlockStore:
    """The keys and values of many texts, in blocks of `block_size` tokens.

    `keys[layer]` and `values[layer]`: (blocks * block_size, kv_heads, head_dim).
    """

    def __init__(
        self, config: LlamaConfig, num_blocks: int, block_size: int, dtype: torch.dtype, device: torch.device | str
    ):
        shape = (num_blocks * block_size, config.num_key_value_heads, config.head_dim)
        layers = range(config.num_hidden_layers)
        self.block_size, self.device, self.window = block_size, torch.device(device), config.sliding_window
        self.grouped = config.num_key_value_heads != config.num_attention_heads
        self.keys = [torch.zeros(shape, dtype=dtype, device=device) for _ in layers]
        self.values = [torch.zeros(shape, dtype=dtype, device=device) for _ in layers]

    def copy(self, source: int, target: int) -> None:
        """Copy a block onto another one."""
        size = self.block_size
        for stored in (*self.keys, *self.values):
            stored[target * size : (target + 1) * size] = stored[source * size : (source + 1) * size]


@dataclass(frozen=True)
class _Group:
    """Texts with about equally many new tokens, which attend together; less than half of a group is padding.

    `tokens`: (rows, new), the number of each new token in the step. `real`: (rows, new), False for padding. `places`:
    (rows * held,), where the tokens of each text lie in the store. `mask`: (rows, 1, new, held).
    """

    tokens: Tensor
    real: Tensor
    places: Tensor
    mask: Tensor


class BlockStep:
    """Implements `Cache` for one step of some texts of a `BlockStore`.

    `past`: how many tokens of each text the store holds. `num_new`: how many tokens each text adds. `blocks`: the
    numbers of each text's blocks, in order.
    """

    def __init__(self, store: BlockStore, past: Sequence[int], num_new: Sequence[int], blocks: Sequence[Sequence[int]]):
        self._store = store
        starts = [0]
        for num in num_new:
            starts.append(starts[-1] + num)
        alike: dict[int, list[int]] = {}
        for row, num in enumerate(num_new):
            alike.setdefault((num - 1).bit_length(), []).append(row)
        positions = [torch.arange(held, held + num) for held, num in zip(past, num_new, strict=True)]
        self._positions = torch.cat(positions)[None].to(store.device)
        written = torch.empty(starts[-1], dtype=torch.int64)
        self._groups = []
        for rows in alike.values():
            longest, held = max(num_new[row] for row in rows), max(past[row] + num_new[row] for row in rows)
            table = torch.zeros((len(rows), -(-held // store.block_size)), dtype=torch.int64)
            for number, row in enumerate(rows):
                used = blocks[row][: table.shape[1]]
                table[number, : len(used)] = torch.tensor(used)
            places = (table[:, :, None] * store.block_size + torch.arange(store.block_size)).flatten(1)[:, :held]
            new, counts = torch.arange(longest), torch.tensor([num_new[row] for row in rows])
            real = new < counts[:, None]
            tokens = (torch.tensor([starts[row] for row in rows])[:, None] + new).clamp(max=starts[-1] - 1)
            own = (torch.tensor([past[row] for row in rows])[:, None] + new).clamp(max=held - 1)  # positions
            written[tokens[real]] = places.gather(1, own)[real]
            visible = torch.arange(held) <= own[:, :, None]  # (rows, new, held)
            if store.window is not None:
                visible &= torch.arange(held) > own[:, :, None] - store.window
            parts = (tokens, real, places.flatten(), visible[:, None])
            self._groups.append(_Group(*(part.to(store.device) for part in parts)))
        self._written = written.to(store.device)
        # All texts have equally many new tokens, as usual while they are written: nothing has to be put in order.
        self._even = len(self._groups) == 1 and len(set(num_new)) == 1

    @property
    def positions(self) -> Tensor:
        return self._positions

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        keys, values = self._store.keys[layer], self._store.values[layer]
        keys.index_copy_(0, self._written, key[0].transpose(0, 1))
        values.index_copy_(0, self._written, value[0].transpose(0, 1))
        asked = query[0].transpose(0, 1).contiguous()  # (new, heads, head_dim)
        attended = torch.empty_like(asked)
        for group in self._groups:
            shape = (len(group.tokens), group.mask.shape[-1], *keys.shape[1:])
            held_keys, held_values = (
                stored.index_select(0, group.places).view(shape).transpose(1, 2) for stored in (keys, values)
            )
            of_group = asked.view(*group.tokens.shape, *asked.shape[1:]) if self._even else asked[group.tokens]
            found = F.scaled_dot_product_attention(
                of_group.transpose(1, 2),
                held_keys,
                held_values,
                attn_mask=group.mask,
                enable_gqa=self._store.grouped,
            )
            if self._even:
                return found.transpose(1, 2).flatten(0, 1).transpose(0, 1)[None]
            attended[group.tokens[group.real]] = found.transpose(1, 2)[group.real]
        return attended.transpose(0, 1)[None]
