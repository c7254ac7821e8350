"""The fast decoder for processors: OpenVINO compiles the whole model to one graph with packed weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from chaku.inference.decoder import Span
from chaku.inference.openvino_graph import BLOCK_SIZE, Weight, build_graph
from chaku.inference.openvino_import import ov
from chaku.machine import computes_bfloat16
from chaku.model.adapters import Adapters
from chaku.model.config import LlamaConfig

PREFILL_TOKENS = 1024  # in one call, all rows together: the activations of a call must fit into memory
# OpenVINO keeps about 1 MB (SmolLM2) for every number of tokens that a call has had, so large calls have few numbers.
FREE_TOKENS = 64  # a call of more tokens is filled up to a multiple of BLOCK_SIZE


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

    block_size = BLOCK_SIZE
    device = torch.device("cpu")

    def __init__(
        self,
        config: LlamaConfig,
        weights: Mapping[str, Weight],
        precision: str,
        sha256: Callable[[], str],
        *,
        exact: bool,
        adapters: Adapters | None = None,
    ):
        self.config, self._precision = config, precision
        self.adapters = adapters or Adapters()
        self.name = f"openvino {ov.__version__.split('-')[0]}"
        self._sha256 = sha256
        self._bytes = sum(weight.nbytes for weight in weights.values())
        graph, self._memory = build_graph(config, weights, self.adapters)
        self._compiled = _core().compile_model(graph, "CPU", _settings(exact))
        self._cache_inputs = [given for given in self._compiled.inputs if "_cache." in given.any_name]

    @property
    def precision(self) -> str:
        return self._precision

    def with_blocks(self, num_blocks: int) -> "OpenVinoBlocks":
        request = self._compiled.create_infer_request()
        return OpenVinoBlocks(request, self._cache_inputs, num_blocks, len(self.adapters.names))

    def score(self, ids: Tensor) -> Tensor:
        num_rows, length = ids.shape
        num_blocks = -(-length // BLOCK_SIZE)
        cache = self.with_blocks(num_rows * num_blocks)
        scores = torch.empty(num_rows, length - 1)
        step = max(1, PREFILL_TOKENS // num_rows)
        for begin in range(0, length - 1, step):
            new = ids[:, begin : min(begin + step, length - 1)]
            spans = [
                Span(row.tolist(), begin, range(number * num_blocks, (number + 1) * num_blocks), new.shape[1])
                for number, row in enumerate(new)
            ]
            labels = ids[:, begin + 1 : begin + 1 + new.shape[1]]
            losses = F.cross_entropy(cache.forward(spans), labels.flatten(), reduction="none")
            scores[:, begin : begin + new.shape[1]] = -losses.view(labels.shape)
        return scores

    def weights_sha256(self) -> str:
        return self._sha256()

    def weights_bytes(self) -> int:
        return self._bytes

    def block_bytes(self) -> int:
        sizes = [given.partial_shape[1:].get_shape() for given in self._cache_inputs]
        return sum(
            math.prod(size) * given.element_type.size for size, given in zip(sizes, self._cache_inputs, strict=True)
        )


class OpenVinoBlocks:
    """Implements `BlockDecoder`. The cache has one more block, into which padding is written."""

    block_size = BLOCK_SIZE

    def __init__(self, request: Any, cache_inputs: Sequence[Any], num_blocks: int, num_adapters: int):
        self._request, self.num_blocks, self._num_adapters = request, num_blocks, num_adapters
        self._caches = []
        for cache in cache_inputs:
            shape = [num_blocks + 1, *(size.get_length() for size in list(cache.partial_shape)[1:])]
            self._caches.append(ov.Tensor(cache.element_type, ov.Shape(shape)))
            request.set_tensor(cache.any_name, self._caches[-1])

    def forward(self, spans: Sequence[Span]) -> Tensor:
        num_tokens = sum(len(span.ids) for span in spans)
        if num_tokens > FREE_TOKENS and (padding := -num_tokens % BLOCK_SIZE):
            spans = [*spans, Span([0] * padding, 0, [self.num_blocks], num_logits=0)]
        past = np.array([span.past for span in spans], np.int32)
        begins = _cumulative([len(span.ids) for span in spans])
        positions = [np.arange(span.past, span.past + len(span.ids), dtype=np.int32) for span in spans]
        kept = [
            np.arange(end - span.num_logits, end, dtype=np.int32) for span, end in zip(spans, begins[1:], strict=True)
        ]
        inputs = {
            "ids": np.concatenate([np.asarray(span.ids, np.int32) for span in spans])[:, None],
            "positions": np.concatenate(positions)[:, None],
            "kept": np.concatenate(kept),
            "past_lens": past,
            "subsequence_begins": begins,
            "block_indices": np.concatenate([np.asarray(span.blocks, np.int32) for span in spans]),
            "block_indices_begins": _cumulative([len(span.blocks) for span in spans]),
            "max_context_len": np.array(max(past + np.diff(begins)), np.int32),
        }
        if self._num_adapters:
            shares = np.zeros((begins[-1], 1, self._num_adapters), np.float32)
            for span, begin, end in zip(spans, begins[:-1], begins[1:], strict=True):
                if span.adapter is not None:
                    shares[begin:end, 0, span.adapter] = 1
            inputs["adapters"] = shares
        if not len(inputs["kept"]):  # the graph needs a token to compute logits of
            inputs["kept"] = begins[-1:] - 1
        [logits] = self._request.infer(inputs, share_inputs=True).values()
        return torch.from_numpy(logits[: sum(map(len, kept)), 0])

    def copy_block(self, source: int, target: int) -> None:
        for cache in self._caches:
            blocks = cache.data.view(np.uint8)
            blocks[target] = blocks[source]


def _cumulative(counts: Sequence[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def _settings(exact: bool) -> dict[str, Any]:
    precision = "bf16" if computes_bfloat16() and not exact else "f32"
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # other programs may want the same core
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 32,
        "KV_CACHE_PRECISION": precision,
        "INFERENCE_PRECISION_HINT": precision,
    }
