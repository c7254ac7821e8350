"""The reference decoder: PyTorch, on a processor or a GPU, with every kind of weights that `Llama` supports."""

import hashlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from chaku.inference.decoder import Span
from chaku.model.adapters import Adapters, adapt
from chaku.model.kv_cache import BlockStep, BlockStore
from chaku.model.llama import Llama
from chaku.model.quantization import is_quantized, stored_tensors, weights_bytes

BLOCK_SIZE = 32  # tokens of a cache block
SCORED_POSITIONS = 2048  # positions of a row whose logits are in memory at one time


class TorchDecoder:
    """Implements `Decoder` with a `Llama` on any device."""

    block_size = BLOCK_SIZE

    def __init__(self, model: Llama, adapters: Adapters | None = None):
        self.model, self.config = model, model.config
        self.adapters = adapters or Adapters()
        self.choice = adapt(model, self.adapters)
        self.name = "torch"

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.model.lm_head.weight.device

    @property
    def precision(self) -> str:
        """The dtype, and the quantisation of the projections."""
        weight = self.model.lm_head.weight
        dtype = str(weight.dtype).removeprefix("torch.")
        kinds = {type(weight).__name__ for weight in self.model.parameters() if is_quantized(weight)}
        return f"{dtype}, {' and '.join(sorted(kinds))}" if kinds else dtype

    @torch.inference_mode()
    def score(self, ids: Tensor) -> Tensor:
        ids = ids.to(self.device)
        hidden = self.model.forward_hidden(ids[:, :-1])
        scores = torch.empty(hidden.shape[:2])
        for row in range(len(ids)):
            for start in range(0, hidden.shape[1], SCORED_POSITIONS):
                logits = self.model.lm_head(hidden[row, start : start + SCORED_POSITIONS]).float()
                labels = ids[row, start + 1 : start + 1 + len(logits)]
                scores[row, start : start + len(logits)] = -F.cross_entropy(logits, labels, reduction="none")
        return scores

    def weights_sha256(self) -> str:
        digest = hashlib.sha256()
        for name, weight in sorted(self.model.state_dict().items()):
            digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}\n".encode())
            for part in stored_tensors(weight):
                digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def weights_bytes(self) -> int:
        return weights_bytes(self.model)

    def block_bytes(self) -> int:
        config, weight = self.config, self.model.lm_head.weight
        tokens = 2 * BLOCK_SIZE * config.num_hidden_layers  # keys and values
        return tokens * config.num_key_value_heads * config.head_dim * weight.dtype.itemsize

    def with_blocks(self, num_blocks: int) -> "TorchBlocks":
        return TorchBlocks(self, num_blocks)


class TorchBlocks:
    """Implements `BlockDecoder` with a `BlockStore`."""

    block_size = BLOCK_SIZE

    def __init__(self, decoder: TorchDecoder, num_blocks: int):
        self._model, self.num_blocks = decoder.model, num_blocks
        self._choice, self._num_adapters = decoder.choice, len(decoder.adapters.names)
        dtype = decoder.model.lm_head.weight.dtype
        self._store = BlockStore(decoder.config, num_blocks, BLOCK_SIZE, dtype, decoder.device)

    @torch.inference_mode()
    def forward(self, spans: Sequence[Span]) -> Tensor:
        device, lengths = self._store.device, [len(span.ids) for span in spans]
        cache = BlockStep(self._store, [span.past for span in spans], lengths, [span.blocks for span in spans])
        if self._num_adapters:
            self._choice.shares = self._shares(spans)
        ids = torch.cat([torch.tensor(span.ids) for span in spans])
        hidden = self._model.forward_hidden(ids[None].to(device), cache=cache)[0]  # (new, hidden)
        wanted, end = [], 0
        for span in spans:
            end += len(span.ids)
            wanted.append(hidden[end - span.num_logits : end])
        return self._model.lm_head(torch.cat(wanted)).float()

    def _shares(self, spans: Sequence[Span]) -> Tensor:
        shares = torch.zeros((1, sum(len(span.ids) for span in spans), self._num_adapters))
        end = 0
        for span in spans:
            end += len(span.ids)
            if span.adapter is not None:
                shares[0, end - len(span.ids) : end, span.adapter] = 1
        return shares.to(self._store.device)

    def copy_block(self, source: int, target: int) -> None:
        self._store.copy(source, target)
