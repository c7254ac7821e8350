"""The protocol of decoders, which compute logits; PyTorch's and OpenVINO's decoders implement it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from chaku.model.adapters import Adapters
from chaku.model.config import LlamaConfig

READ_TOKENS = 1024  # of a text in one step, where nothing else bounds it


@dataclass(frozen=True, slots=True)
class Span:
    """The next tokens of one text in a step of a `BlockDecoder`.

    `past`: how many tokens of the text are in the cache. `blocks`: the numbers of the cache blocks of the text, in
    order, with room for the new tokens. `num_logits`: how many of the last new tokens get logits. `adapter`: the number
    of the LoRA adapter that the text uses.
    """

    ids: Sequence[int]
    past: int
    blocks: Sequence[int]
    num_logits: int = 1
    adapter: int | None = None


class BlockDecoder(Protocol):
    """A decoder whose cache has blocks: texts join, leave and share their beginnings between any two steps."""

    block_size: int
    num_blocks: int

    def forward(self, spans: Sequence[Span]) -> Tensor:
        """Store the new tokens of all texts. Returns the logits that the spans want, one after another: (n, vocab)."""
        ...

    def copy_block(self, source: int, target: int) -> None:
        """Copy the contents of a cache block onto another one."""
        ...


class Decoder(Protocol):
    """A model that computes logits. Manifests record its `name`."""

    config: LlamaConfig
    name: str
    adapters: Adapters
    block_size: int

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    @property
    def precision(self) -> str:
        """The dtype of the weights, or their quantisation."""
        ...

    def score(self, ids: Tensor) -> Tensor:
        """Log-probabilities, in nats, of the tokens after the first: (rows, length) -> (rows, length - 1) float32.

        Rows may be padded on the right with any ids; ignore the log-probabilities of the padding.
        """
        ...

    def weights_sha256(self) -> str:
        """The hash of the weights, or of the files that they were read from."""
        ...

    def weights_bytes(self) -> int:
        """Bytes that the weights occupy in memory."""
        ...

    def block_bytes(self) -> int:
        """Bytes of one cache block of a `BlockDecoder`."""
        ...

    def with_blocks(self, num_blocks: int) -> BlockDecoder:
        """The same model with a cache of so many blocks."""
        ...


def read_text(cache: BlockDecoder, ids: Sequence[int], blocks: Sequence[int]) -> Tensor:
    """Store a whole text, in parts that bound the memory. Returns the logits of its next token, (vocab,) float32."""
    for past in range(0, len(ids), READ_TOKENS):
        logits = cache.forward([Span(ids[past : past + READ_TOKENS], past, blocks)])
    return logits[-1]
