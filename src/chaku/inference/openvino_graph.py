"""A Llama as an OpenVINO graph: the same computation as `chaku.model.llama`, in one compiled call a step.

The graph uses patterns that OpenVINO's CPU plugin recognises and replaces by its own kernels: RMSNorm, rotary
embedding, and products with packed weights. Attention is OpenVINO's paged attention: the key-value cache consists of
blocks of BLOCK_SIZE tokens, and the new tokens of all texts lie one after another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chaku.inference.openvino_import import PagedAttention, compress_model_transformation, op, ov
from chaku.model.adapters import Adapters
from chaku.model.config import LlamaConfig
from chaku.model.packing import Packed, concatenate
from chaku.model.rope import rotary_frequencies

BLOCK_SIZE = 32  # tokens of a cache block; the CPU plugin knows no other size
Weight = Tensor | Packed
Node = Any  # OpenVINO's nodes and their outputs have no types

_TYPES = {
    torch.float32: ov.Type.f32,
    torch.int32: ov.Type.i32,
    torch.int8: ov.Type.i8,
    torch.uint8: ov.Type.u8,
}


def build_graph(config: LlamaConfig, weights: Mapping[str, Weight], adapters: Adapters) -> tuple[Any, list[Any]]:
    """An `openvino.Model`, and the memory that must outlive it. `weights`: named as in Hugging Face's checkpoints.

    Inputs, int32: `ids` and `positions`, (new, 1); `kept`, (n,): the new tokens that get logits; and, of the texts in
    the step: `past_lens`, (texts,): tokens in the cache; `subsequence_begins`, (texts + 1,): where the new tokens of a
    text begin; `block_indices`, and `block_indices_begins`, (texts + 1,): the cache blocks of a text;
    `max_context_len`, (): the length of the longest text. The cache: `key_cache.N` and `value_cache.N` of every layer,
    (blocks, kv_heads, BLOCK_SIZE, head_dim). With adapters: `adapters`, (new, 1, adapters) float32, 1 for the adapter
    of the token's text and 0 for the others. Output: logits, (n, 1, vocab) float32.
    """
    graph = _Graph(config, weights, adapters)
    return graph.build(), graph.memory


@dataclass
class _Attention:
    """The inputs of attention that all layers share."""

    cos: Node
    sin: Node
    texts: list[Node]  # past_lens, subsequence_begins, block_indices, block_indices_begins
    longest: Node


class _Graph:
    def __init__(self, config: LlamaConfig, weights: Mapping[str, Weight], adapters: Adapters):
        self.config, self.weights, self.adapters = config, weights, adapters
        shape = [-1, 1, len(adapters.names)]
        self.chosen = [_input("adapters", shape, ov.Type.f32)] if adapters.names else []
        self.caches: list[Node] = []
        self.memory: list[np.ndarray] = []
        self._constants: dict[Any, Node] = {}

    def build(self) -> Any:
        config = self.config
        ids, positions, kept = _input("ids", [-1, 1]), _input("positions", [-1, 1]), _input("kept", [-1])
        table = self._matrix(["model.embed_tokens.weight"])
        hidden = op.gather(table, ids, self._ints(0))  # (new, 1, hidden)
        shared = self._shared(positions)
        for layer in range(config.num_hidden_layers):
            name = f"model.layers.{layer}"
            normed = self._norm(hidden, f"{name}.input_layernorm.weight")
            hidden = op.add(hidden, self._attention(normed, layer, shared))
            normed = self._norm(hidden, f"{name}.post_attention_layernorm.weight")
            hidden = op.add(hidden, self._feed_forward(normed, f"{name}.mlp"))
        hidden = self._norm(op.gather(hidden, kept, self._ints(0)), "model.norm.weight")
        head = table if config.tie_word_embeddings else self._matrix(["lm_head.weight"])
        logits = op.result(op.matmul(hidden, head, False, True))
        return ov.Model(
            [logits], [], [ids, positions, kept, *shared.texts, shared.longest, *self.chosen, *self.caches], "llama"
        )

    def _shared(self, positions: Node) -> _Attention:
        frequencies, scale = rotary_frequencies(self.config)
        twice = torch.cat([frequencies, frequencies]).view(1, 1, 1, -1)
        angles = op.multiply(
            op.unsqueeze(op.convert(positions, ov.Type.f32), self._ints([1, 3])), self._constant(twice)
        )
        turns = [op.cos(angles), op.sin(angles)]
        if scale != 1.0:
            turns = [op.multiply(turn, self._floats(scale)) for turn in turns]
        names = ("past_lens", "subsequence_begins", "block_indices", "block_indices_begins")
        return _Attention(turns[0], turns[1], [_input(name, [-1]) for name in names], _input("max_context_len", []))

    def _attention(self, hidden: Node, layer: int, shared: _Attention) -> Node:
        config, name = self.config, f"model.layers.{layer}.self_attn"
        num_heads, num_kv, size = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        # One product for queries, keys and values: fewer calls a step, and a graph that compiles faster.
        merged = self._linear(hidden, *(f"{name}.{part}_proj" for part in "qkv"))
        widths = [heads * size for heads in (num_heads, num_kv, num_kv)]
        split = op.variadic_split(merged, self._ints(2), self._ints(widths))
        query = self._rotate(self._heads(split.output(0), num_heads), shared)
        key = self._rotate(self._heads(split.output(1), num_kv), shared)
        cache = [
            _input(f"{kind}_cache.{layer}", [-1, num_kv, BLOCK_SIZE, size], ov.Type.f32) for kind in ("key", "value")
        ]
        self.caches += cache  # the plugin gives them the type that its setting KV_CACHE_PRECISION says
        no_ints, no_floats = self._small(np.zeros(0, np.int32)), self._floats(np.zeros(0))
        zero = self._small(np.array(0, np.int32))
        scale, window = self._floats(size**-0.5), self._small(np.array(config.sliding_window or 0, np.int32))
        inputs = [
            *(self._flat(heads) for heads in (query, key, split.output(2))),
            *(*cache, *shared.texts, scale, window, no_floats, shared.longest),
            # What chaku does not use: scores, rotation of cached keys, sparse attention, sinks, eviction, token types.
            *(no_ints, no_ints, no_ints, no_floats, no_floats, zero, zero, no_floats),
            *(zero, no_ints, no_ints, no_ints, no_ints, self._small(np.zeros(0, np.uint8)), no_ints),
        ]
        paged = PagedAttention([node if isinstance(node, ov.Output) else node.output(0) for node in inputs])
        for kind in ("k", "v"):  # the plugin reads the cache's shape here
            paged.get_rt_info()[f"num_{kind}_heads"], paged.get_rt_info()[f"{kind}_head_size"] = num_kv, size
        attended = op.reshape(paged.output(0), self._ints([-1, 1, num_heads * size]), False)
        return self._linear(attended, f"{name}.o_proj")

    def _flat(self, heads: Node) -> Node:
        """(new, ...) -> (new, heads * head_dim)."""
        return op.reshape(heads, self._ints([0, -1]), True)

    def _feed_forward(self, hidden: Node, name: str) -> Node:
        gate, up = self._linear(hidden, f"{name}.gate_proj"), self._linear(hidden, f"{name}.up_proj")
        return self._linear(op.multiply(op.swish(gate), up), f"{name}.down_proj")

    def _heads(self, merged: Node, num_heads: int) -> Node:
        """(rows, new, heads * head_dim) -> (rows, heads, new, head_dim)."""
        split = op.reshape(merged, self._ints([0, 0, num_heads, self.config.head_dim]), True)
        return op.transpose(split, self._ints([0, 2, 1, 3]))

    def _rotate(self, heads: Node, shared: _Attention) -> Node:
        half = self.config.head_dim // 2
        split = op.variadic_split(heads, self._ints(3), self._ints([half, half]))
        turned = op.concat([op.multiply(split.output(1), self._floats(-1.0)), split.output(0)], -1)
        return op.add(op.multiply(heads, shared.cos), op.multiply(turned, shared.sin))

    def _norm(self, hidden: Node, name: str) -> Node:
        mean = op.reduce_mean(op.power(hidden, self._floats(2.0)), self._ints([-1]), True)
        scale = op.divide(self._floats(1.0), op.sqrt(op.add(mean, self._floats(self.config.rms_norm_eps))))
        return op.multiply(op.multiply(hidden, scale), self._constant(self._float32(name).view(1, 1, -1)))

    def _linear(self, hidden: Node, *names: str) -> Node:
        """The product with the named matrices, stacked on top of each other, and their biases."""
        product = op.matmul(hidden, self._matrix([f"{name}.weight" for name in names]), False, True)
        if self.adapters.names:
            product = self._adapted(product, hidden, names)
        if f"{names[0]}.bias" not in self.weights:
            return product
        bias = torch.cat([self._float32(f"{name}.bias") for name in names])
        return op.add(product, self._constant(bias.view(1, 1, -1)))

    def _adapted(self, product: Node, hidden: Node, names: tuple[str, ...]) -> Node:
        """The product, and what the adapter of each token adds to it."""
        widths = [self.weights[f"{name}.weight"].shape[0] for name in names]
        joined = self.adapters.joined(*names, widths=widths)
        if joined is None:
            return product
        shares = op.gather(self.chosen[0], self._constant(joined.owner.int()), self._ints(2))
        low = op.multiply(op.matmul(hidden, self._constant(joined.down), False, True), shares)
        return op.add(product, op.matmul(low, self._constant(joined.up), False, True))

    def _float32(self, name: str) -> Tensor:
        weight = self.weights[name]
        assert isinstance(weight, Tensor), name
        return weight.float()

    def _matrix(self, names: list[str]) -> Node:
        """The named matrices, stacked: (out, in) float32. Packed weights stay packed: the plugin reads them packed."""
        parts = [self.weights[name] for name in names]
        if packed := [part for part in parts if isinstance(part, Packed)]:
            assert len(packed) == len(parts), names
            return self._unpacked(packed[0] if len(packed) == 1 else concatenate(packed))
        plain = [part for part in parts if isinstance(part, Tensor)]
        whole = plain[0] if len(plain) == 1 else torch.cat(plain)
        return self._constant(whole) if whole.dtype == torch.float32 else self._half(whole)

    def _unpacked(self, packed: Packed) -> Node:
        out, width = packed.shape
        num_groups = packed.scales.shape[1]
        shape = [out, width] if num_groups == 1 else [out, num_groups, width // num_groups]
        column = [out, 1] if num_groups == 1 else [out, num_groups, 1]
        codes = self._constant(packed.codes, shape, ov.Type.u4 if packed.bits == 4 else ov.Type.i8)
        values = op.convert(codes, ov.Type.f32)
        if packed.zeros is not None:
            values = op.subtract(values, self._constant(packed.zeros, column))
        values = op.multiply(values, self._constant(packed.scales, column))
        return values if num_groups == 1 else op.reshape(values, self._ints([out, width]), False)

    def _half(self, values: Tensor) -> Node:
        """A matrix that stays in 16 bits until a product reads it.

        OpenVINO's own transformation marks the matrix; it knows only float16. The plugin converts a matrix without the
        mark to float32.
        """
        holder = ov.Model([op.result(op.constant(values.float().numpy()))], [], "matrix")
        compress_model_transformation(holder)
        return holder.get_results()[0].input_value(0)

    def _constant(self, values: Tensor, shape: list[int] | None = None, dtype: Any = None) -> Node:
        """A constant that shares the memory of `values`."""
        array = values.detach().contiguous().numpy()
        self.memory.append(array)
        return op.constant(ov.Tensor(array, ov.Shape(shape or list(array.shape)), dtype or _TYPES[values.dtype]))

    def _ints(self, values: int | list[int]) -> Node:
        return self._small(np.array(values, np.int64))

    def _floats(self, values: float | np.ndarray) -> Node:
        return self._small(np.array(values, np.float32))

    def _small(self, array: np.ndarray) -> Node:
        """A constant that all its users share: a graph with fewer nodes compiles faster."""
        key = (array.tobytes(), array.shape, array.dtype)
        if key not in self._constants:
            self._constants[key] = op.constant(array)
        return self._constants[key]


def _input(name: str, shape: list[int], dtype: Any = ov.Type.i32) -> Node:
    parameter = op.parameter(shape, dtype, name=name)
    parameter.output(0).get_tensor().set_names({name})
    return parameter
