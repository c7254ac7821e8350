"""What computes logits: the protocol that PyTorch's and OpenVINO's decoders share."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from chaku.model.config import LlamaConfig


class Rows(Protocol):
    """Rows of tokens that are decoded together, and the keys and values of their tokens."""

    def decode(self, tokens: Sequence[int]) -> Tensor:
        """Append one token to each row; the logits of what follows, (rows, vocab) float32."""
        ...

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order. A row may be named several times: each copy is then decoded by itself."""
        ...


class Decoder(Protocol):
    """A model that gives logits. `name` says, in manifests, what computed a result."""

    config: LlamaConfig
    name: str

    @property
    def precision(self) -> str:
        """How the weights are kept: a dtype, or how they are quantised."""
        ...

    def prefill(self, prompts: Sequence[Sequence[int]], num_new: int) -> tuple[Tensor, Rows]:
        """Read prompts of any lengths; the logits of what follows, (rows, vocab) float32, and the rows to go on with.

        `num_new`: at most so many tokens follow.
        """
        ...

    def score(self, ids: Tensor) -> Tensor:
        """Log-probabilities, in nats, of the tokens after the first, (rows, length) -> (rows, length - 1) float32.

        Rows may be filled up on the right with any ids, whose scores mean nothing.
        """
        ...

    def weights_sha256(self) -> str:
        """The hash of the weights, or of the files that they were read from."""
        ...

    def weights_bytes(self) -> int:
        """Bytes that the weights occupy in memory."""
        ...
