"""The reference decoder: PyTorch, on a processor or a GPU, with every kind of weights that `Llama` supports."""

import hashlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from chaku.model.kv_cache import KVCache
from chaku.model.llama import Llama
from chaku.model.quantization import is_quantized, stored_tensors, weights_bytes

SCORED_POSITIONS = 2048  # positions of a row whose logits are in memory at one time


class TorchDecoder:
    """Implements `Decoder` with a `Llama` on any device."""

    def __init__(self, model: Llama):
        self.model, self.config = model, model.config
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
    def prefill(self, prompts: Sequence[Sequence[int]], num_new: int) -> tuple[Tensor, "TorchRows"]:
        longest = max(map(len, prompts))
        ids = torch.zeros((len(prompts), longest), dtype=torch.int64)
        cache = KVCache(self.config, len(prompts), longest + num_new, self.model.lm_head.weight.dtype, self.device)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = torch.as_tensor(prompt)
            cache.start[row] = longest - len(prompt)
        rows = TorchRows(self.model, cache)
        return rows.forward(ids), rows

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


class TorchRows:
    """Implements `Rows` with a `KVCache`."""

    def __init__(self, model: Llama, cache: KVCache):
        self._model, self._cache = model, cache

    def decode(self, tokens: Sequence[int]) -> Tensor:
        return self.forward(torch.tensor(tokens)[:, None])

    @torch.inference_mode()
    def forward(self, ids: Tensor) -> Tensor:
        """Append (rows, new) tokens. Returns the logits after the last token, (rows, vocab) float32."""
        hidden = self._model.forward_hidden(ids.to(self._cache.start.device), cache=self._cache)[:, -1]
        return self._model.lm_head(hidden).float()

    def select(self, rows: Sequence[int]) -> None:
        self._cache.select(torch.tensor(rows, device=self._cache.start.device))
