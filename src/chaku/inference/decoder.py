"""The protocol of decoders, which compute logits; PyTorch's and OpenVINO's decoders implement it."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from chaku.model.config import LlamaConfig


class Rows(Protocol):
    """Rows of tokens that are decoded together, with their key-value cache."""

    def decode(self, tokens: Sequence[int]) -> Tensor:
        """Append one token to each row. Returns the logits of the next tokens, (rows, vocab) float32."""
        ...

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order. A row number may repeat: each copy of the row is then decoded on its own."""
        ...


class Decoder(Protocol):
    """A model that computes logits. Manifests record its `name`."""

    config: LlamaConfig
    name: str

    @property
    def precision(self) -> str:
        """The dtype of the weights, or their quantisation."""
        ...

    def prefill(self, prompts: Sequence[Sequence[int]], num_new: int) -> tuple[Tensor, Rows]:
        """Read prompts of any lengths. Returns the logits of the next tokens, (rows, vocab) float32, and the rows.

        `num_new`: the largest number of tokens that will be decoded after a prompt.
        """
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
