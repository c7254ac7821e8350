"""Llama in plain PyTorch. Parameter names and the rotary layout are Hugging Face's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chaku.model.attention import Attend, causal, document_segments, segmented, whole_segments
from chaku.model.config import LlamaConfig, Recompute
from chaku.model.kv_cache import Cache
from chaku.model.recompute import recomputed
from chaku.model.rope import rotary_table, rotate

if TYPE_CHECKING:
    from chaku.model.context_parallel import ContextParallel


class Llama(nn.Module):
    """The whole decoder. `Llama(config)` has random weights (see `init_weight`).

    `distributed`: its weights are shared by ranks. `context`: so are the tokens of each row.
    """

    distributed = False
    context: ContextParallel | None = None

    def __init__(self, config: LlamaConfig):
        super().__init__()
        self.config = config
        self.model = Transformer(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        if not self.lm_head.weight.is_meta:
            for name, parameter in self.named_parameters():
                init_weight(name, parameter, config.num_hidden_layers)

    def set_recompute(self, recompute: Recompute) -> None:
        """What the backward pass computes again, in every layer."""
        for layer in self.model.layers:
            assert isinstance(layer, Block)
            layer.recompute = recompute

    def forward(
        self,
        input_ids: Tensor,
        *,
        positions: Tensor | None = None,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
    ) -> Tensor:
        """The logits of the next tokens, (batch, seq) -> (batch, seq, vocab), in the dtype of weights or autocast.

        `positions`: (batch, seq) or (seq,), 0, 1, 2... by default. `document_ids`: (batch, seq); a token attends only
        to tokens of its own document. `cache`: the tokens, one row, are appended to its texts and attend to them.
        """
        return self.lm_head(self.forward_hidden(input_ids, positions=positions, cache=cache, document_ids=document_ids))

    def forward_hidden(
        self,
        input_ids: Tensor,
        *,
        positions: Tensor | None = None,
        cache: Cache | None = None,
        document_ids: Tensor | None = None,
    ) -> Tensor:
        """The final normalised hidden states, (batch, seq, hidden), before `lm_head`; arguments as in `forward`.

        With `context`, only the states of this rank's part of each row.
        """
        num_new, window = input_ids.shape[1], self.config.sliding_window
        attend: Attend = causal
        if cache is not None:
            positions, attend = cache.positions, cache.attend
        elif document_ids is not None:
            attend = segmented(document_segments(document_ids), window)
        elif window is not None and num_new > window:
            attend = segmented(whole_segments(*input_ids.shape), window)
        if positions is None:
            positions = torch.arange(num_new, device=input_ids.device)
        if self.context is not None:
            whole = whole_segments(*input_ids.shape) if document_ids is None else document_segments(document_ids)
            attend = self.context.attend(whole, num_new, window)
            input_ids, positions = (self.context.cut(part.expand(input_ids.shape)) for part in (input_ids, positions))
        return self.model(input_ids, rotary_table(self.config, positions), attend)


def init_weight(name: str, weight: Tensor, num_layers: int, generator: torch.Generator | None = None) -> None:
    """Draw a weight, in place, from a normal distribution with deviation 0.02; biases are 0, norms 1.

    The deviation of projections into the residual stream is divided by sqrt(2 layers) (GPT-2).
    """
    if name.endswith("bias"):
        nn.init.zeros_(weight)
    elif weight.ndim == 1:
        nn.init.ones_(weight)
    else:
        deviation = 0.02 / (math.sqrt(2 * num_layers) if name.endswith(("o_proj.weight", "down_proj.weight")) else 1)
        nn.init.normal_(weight, std=deviation, generator=generator)


class Transformer(nn.Module):
    def __init__(self, config: LlamaConfig):
        super().__init__()
        # Without `_weight`, nn.Embedding draws its weight; on the meta device this imports 800 modules (1.5 seconds).
        weight = torch.empty(config.vocab_size, config.hidden_size)
        on_meta = weight if weight.is_meta else None
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, _weight=on_meta)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, input_ids: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        hidden = self.embed_tokens(input_ids)  # (batch, seq, hidden)
        for layer in self.layers:
            hidden = layer(hidden, rotary, attend)
        return self.norm(hidden)


class Block(nn.Module):
    recompute: Recompute = "none"

    def __init__(self, config: LlamaConfig, layer: int):
        super().__init__()
        self.self_attn = Attention(config, layer)
        self.mlp = FeedForward(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, hidden: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        if self.recompute == "none" or not torch.is_grad_enabled():
            return self._forward(hidden, rotary, attend)
        return recomputed(self.recompute, self._forward, hidden, rotary, attend)

    def _forward(self, hidden: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), rotary, attend)
        return hidden + self.mlp(self.post_attention_layernorm(hidden))


class Attention(nn.Module):
    """Grouped-query attention with rotary positions."""

    def __init__(self, config: LlamaConfig, layer: int):
        super().__init__()
        self.layer = layer
        self.head_dim = config.head_dim
        width, bias = config.hidden_size, config.attention_bias
        q_width, kv_width = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(width, q_width, bias=bias)
        self.k_proj = nn.Linear(width, kv_width, bias=bias)
        self.v_proj = nn.Linear(width, kv_width, bias=bias)
        self.o_proj = nn.Linear(q_width, width, bias=config.output_bias)

    def forward(self, hidden: Tensor, rotary: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        batch, seq, _ = hidden.shape
        heads = (batch, seq, -1, self.head_dim)
        query = rotate(self.q_proj(hidden).view(heads), rotary).transpose(1, 2)  # (batch, heads, seq, head_dim)
        key = rotate(self.k_proj(hidden).view(heads), rotary).transpose(1, 2)  # (batch, kv_heads, seq, head_dim)
        value = self.v_proj(hidden).view(heads).transpose(1, 2)
        attended = attend(self.layer, query, key, value)
        return self.o_proj(attended.transpose(1, 2).reshape(batch, seq, -1))


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: LlamaConfig):
        super().__init__()
        width, ffn_width, bias = config.hidden_size, config.intermediate_size, config.mlp_bias
        self.gate_proj = nn.Linear(width, ffn_width, bias=bias)
        self.up_proj = nn.Linear(width, ffn_width, bias=bias)
        self.down_proj = nn.Linear(ffn_width, width, bias=bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))


class RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, hidden: Tensor) -> Tensor:
        normed = F.rms_norm(hidden, self.weight.shape, self.weight.to(hidden.dtype), self.eps)
        device = hidden.device.type
        # Under autocast, one cast here saves a cast in every projection of this output.
        return normed.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else normed
