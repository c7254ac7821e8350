"""The fast decoder for processors: OpenVINO compiles the whole model to one graph with packed weights."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import openvino as ov
import torch
import torch.nn.functional as F
from torch import Tensor

from chaku.inference.openvino_graph import Weight, build_graph
from chaku.machine import computes_bfloat16
from chaku.model.config import LlamaConfig

PREFILL_TOKENS = 1024  # in one call, all rows together: the activations of a call must fit into memory


@lru_cache
def _core() -> ov.Core:
    """The process's only Core; it lives as long as the process.

    A Core sets a signal stack for its thread, and restores the earlier signal stack when it ends. With several Cores,
    the earlier stack may belong to a Core that is gone: the next signal (SIGTERM, or SIGCHLD for a child that ended)
    is then a segmentation fault (OpenVINO 2026.4).
    """
    return ov.Core()


class OpenVinoDecoder:
    """Implements `Decoder`. `weights`: named as in Hugging Face's checkpoints, packed or plain.

    Products with packed weights quantise activations to 8 bits, with one scale for 32 values. Everything else is
    computed in float32; or, unless `exact`, in bfloat16 where the processor supports it. `precision`: the dtype or
    quantisation of the weights. `sha256` computes the checkpoint's hash.
    """

    def __init__(
        self,
        config: LlamaConfig,
        weights: Mapping[str, Weight],
        precision: str,
        sha256: Callable[[], str],
        *,
        exact: bool,
    ):
        self.config, self._precision = config, precision
        self.name = f"openvino {ov.__version__.split('-')[0]}"
        self._sha256 = sha256
        self._bytes = sum(weight.nbytes for weight in weights.values())
        graph, self._memory = build_graph(config, weights)
        self._compiled = _core().compile_model(graph, "CPU", _settings(exact))

    @property
    def precision(self) -> str:
        return self._precision

    def prefill(self, prompts: Sequence[Sequence[int]], num_new: int) -> tuple[Tensor, "OpenVinoRows"]:
        longest = max(map(len, prompts))
        ids = np.zeros((len(prompts), longest), np.int32)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :] = prompt
        start = np.array([longest - len(prompt) for prompt in prompts])
        rows = OpenVinoRows(self.config, self._compiled.create_infer_request(), start)
        step = max(1, PREFILL_TOKENS // len(prompts))
        for begin in range(0, longest, step):
            logits = rows.forward(ids[:, begin : begin + step])
        return torch.from_numpy(logits[:, -1]), rows

    def score(self, ids: Tensor) -> Tensor:
        # Few rows at a time: every call copies the keys and values that came before.
        together = max(1, PREFILL_TOKENS // ids.shape[1])
        return torch.cat([self._score(part) for part in ids.split(together)])

    def _score(self, ids: Tensor) -> Tensor:
        num_rows, length = ids.shape
        rows = OpenVinoRows(self.config, self._compiled.create_infer_request(), np.zeros(num_rows, np.int64))
        scores = torch.empty(num_rows, length - 1)
        step = max(1, PREFILL_TOKENS // num_rows)
        for begin in range(0, length - 1, step):
            new = ids[:, begin : min(begin + step, length - 1)]
            logits = torch.from_numpy(rows.forward(new.numpy().astype(np.int32), num_kept=new.shape[1]))
            labels = ids[:, begin + 1 : begin + 1 + new.shape[1]]
            losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
            scores[:, begin : begin + new.shape[1]] = -losses.view(labels.shape)
        return scores

    def weights_sha256(self) -> str:
        return self._sha256()

    def weights_bytes(self) -> int:
        return self._bytes


class OpenVinoRows:
    """Implements `Rows`; the infer request holds the key-value cache. `start`: (rows,), a row's first slot in use."""

    def __init__(self, config: LlamaConfig, request: Any, start: np.ndarray):
        self._config, self._request, self._start = config, request, start
        self._length = 0  # slots in use
        self._from = np.arange(len(start), dtype=np.int32)  # for each row, its row in the cache

    def decode(self, tokens: Sequence[int]) -> Tensor:
        return torch.from_numpy(self.forward(np.array(tokens, np.int32)[:, None])[:, -1])

    def forward(self, ids: np.ndarray, num_kept: int = 1) -> np.ndarray:
        """Append (rows, new) tokens. Returns the logits after the last `num_kept`, (rows, num_kept, vocab) float32."""
        num_new = ids.shape[1]
        slots = np.arange(self._length, self._length + num_new)
        inputs = {
            "ids": np.ascontiguousarray(ids),
            "positions": np.maximum(slots - self._start[:, None], 0).astype(np.int32),
            "mask": _mask(slots, self._start, self._config.sliding_window),
            "rows": self._from,
            "kept": np.arange(num_new - num_kept, num_new, dtype=np.int32),
        }
        [logits] = self._request.infer(inputs, share_inputs=True).values()
        self._length += num_new
        self._from = np.arange(len(ids), dtype=np.int32)
        return logits

    def select(self, rows: Sequence[int]) -> None:
        # The next call of `forward` moves the cache's rows.
        self._from, self._start = self._from[list(rows)], self._start[list(rows)]


def _mask(slots: np.ndarray, start: np.ndarray, window: int | None) -> np.ndarray:
    """(rows, 1, new, slots) float32: 0 where a new token attends to a slot, else minus infinity."""
    held = np.arange(slots[-1] + 1)
    visible = (held <= slots[:, None]) & (held >= start[:, None, None])  # (rows, new, slots)
    if window is not None:
        visible &= held > slots[:, None] - window
    visible |= held == slots[:, None]  # padding attends to itself: a softmax row must not be empty
    return np.where(visible, np.float32(0), np.float32(-np.inf))[:, None]


def _settings(exact: bool) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # other programs may want the same core
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32,
        "KV_CACHE_PRECISION": "f32",
        "INFERENCE_PRECISION_HINT": "bf16" if computes_bfloat16() and not exact else "f32",
    }
