"""The decoder of `llama.py` for training on a CPU: the same results with fewer passes over memory.

Beside its matrix products, a training step costs memory traffic. So layers with the same input are one product
(`projections.py`). Norms, rotation and SwiGLU are computed in the same functions as the products next to them. Rows
pass through these functions in parts that fit the processor's cache. The backward pass computes cheap values again
instead of storing them. `layout.py` chooses the rows.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from chaku.model.layout import AttentionGroup, Layout
from chaku.model.llama import Attention, Block, FeedForward, Llama, RMSNorm
from chaku.model.lora import LoraLinear
from chaku.model.projections import Gradients, Projections
from chaku.model.recompute import recomputed
from chaku.model.rope import rotary_table

ROWS = 2048  # rows in a part


def can_fuse(model: Llama, longest: int) -> bool:
    """Whether `fused_states` supports the model in its present mode; otherwise use `Llama.forward_hidden`.

    It does not support GPUs, weights that ranks share, torch.compile, LoRA's dropout, other linear layers (float8), or
    documents longer than a sliding window. `longest`: the number of tokens in the longest document.
    """
    if model.distributed:
        return False
    window = model.config.sliding_window
    if window is not None and longest > window:
        return False
    if model.lm_head.weight.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    for module in model.modules():
        if isinstance(module, LoraLinear) and module.training and module.dropout.p:
            return False
        if isinstance(module, nn.Linear) and type(module) is not nn.Linear:
            return False
    return True


def fused_states(model: Llama, layout: Layout, wanted: Tensor | None = None) -> Tensor:
    """The final normalised hidden states of a layout's rows, or only of the rows numbered in `wanted`: (rows, hidden).

    Equal to `Llama.forward_hidden` up to rounding, in the same dtypes. The last layer computes only the wanted rows.
    A layer with `recompute` "selective" computes gate and up of the feed-forward part again, which are half of what a
    layer keeps; with "full" or "offload", everything.
    """
    decoder, config = model.model, model.config
    cos, sin = rotary_table(config, layout.positions)  # (rows, 1, head_dim / 2)
    hidden = decoder.embed_tokens(layout.tokens)  # (rows, hidden)
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else hidden.dtype
    rotary = cos.to(dtype), sin.to(dtype)
    for layer in decoder.layers:
        assert isinstance(layer, Block)
        inputs = layer, hidden, layout, rotary, wanted if layer is decoder.layers[-1] else None, dtype
        again = layer.recompute in ("full", "offload") and torch.is_grad_enabled()
        hidden = recomputed(layer.recompute, _layer, *inputs) if again else _layer(*inputs)
    return decoder.norm(hidden)


def _layer(
    layer: Block,
    hidden: Tensor,
    layout: Layout,
    rotary: tuple[Tensor, Tensor],
    wanted: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    attended = _attention(layer, hidden, layout, rotary, dtype)
    if wanted is not None:
        hidden, attended = hidden[wanted], attended[wanted]
    hidden = _output(layer.self_attn, hidden, attended, dtype)
    return _feed_forward(layer, hidden, dtype)


def _attention(
    layer: Block, hidden: Tensor, layout: Layout, rotary: tuple[Tensor, Tensor], dtype: torch.dtype
) -> Tensor:
    """The attention output of each row, before the output projection: (rows, heads * head_dim)."""
    attention, norm = layer.self_attn, layer.input_layernorm
    projections = Projections([attention.q_proj, attention.k_proj, attention.v_proj], dtype)
    heads = [width // attention.head_dim for width in projections.widths]
    joint = _Heads.apply(hidden, norm, projections, rotary, heads, norm.weight, *projections.trained)
    parts = [_attend(joint, group, heads) for group in layout.groups]
    if layout.attended is None:
        return parts[0]
    return torch.cat(parts).index_select(0, layout.attended)


def _attend(joint: Tensor, group: AttentionGroup, heads: list[int]) -> Tensor:
    """Causal attention within each document of a group: (documents * longest, heads * head_dim).

    `joint`: (rows, all heads * head_dim), queries, keys and values side by side. `heads`: the number of each.
    """
    rows = joint if group.rows is None else joint.index_select(0, group.rows)
    query, key, value = (
        part.transpose(1, 2) for part in rows.view(*group.shape, sum(heads), -1).split(heads, dim=2)
    )  # (documents, heads, longest, head_dim)
    attended = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=heads[0] != heads[1])
    return attended.transpose(1, 2).reshape(len(rows), -1)


def _output(attention: Attention, hidden: Tensor, attended: Tensor, dtype: torch.dtype) -> Tensor:
    projections = Projections([attention.o_proj], dtype)
    return _Output.apply(hidden, attended, projections, *projections.trained)


def _feed_forward(layer: Block, hidden: Tensor, dtype: torch.dtype) -> Tensor:
    mlp: FeedForward = layer.mlp
    gate_up, down = Projections([mlp.gate_proj, mlp.up_proj], dtype), Projections([mlp.down_proj], dtype)
    norm, keep = layer.post_attention_layernorm, layer.recompute != "selective"
    return _FeedForward.apply(hidden, norm, gate_up, down, keep, norm.weight, *gate_up.trained, *down.trained)


class _Heads(torch.autograd.Function):
    """Norm, projection to queries, keys and values side by side, rotation of queries and keys."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx,
        hidden: Tensor,
        norm: RMSNorm,
        projections: Projections,
        rotary: tuple[Tensor, Tensor],
        heads: list[int],
        *trained: Tensor,
    ) -> Tensor:
        scale = _norm_scale(hidden, norm.eps)
        with torch.autocast("cpu", enabled=False):
            joined = projections.joined()
            joint = hidden.new_empty(len(hidden), projections.width, dtype=projections.dtype)
            for rows in _parts(hidden):
                joined.forward(_normed(hidden[rows], scale[rows], norm, projections.dtype), joint[rows])
                _rotate(joint[rows], heads, rotary[0][rows], rotary[1][rows])
        ctx.save_for_backward(hidden, scale, *rotary, *trained)
        ctx.norm, ctx.projections, ctx.heads = norm, projections, heads
        return joint

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        hidden, scale, cos, sin, *_ = ctx.saved_tensors
        norm, projections = ctx.norm, ctx.projections
        joined = projections.joined()
        gradients = Gradients(projections, joined)
        into_norm = _NormGradient(norm, hidden, scale, wanted=ctx.needs_input_grad[0])
        for rows in _parts(hidden):
            grad = grads[0][rows].clone()
            _rotate(grad, ctx.heads, cos[rows], -sin[rows])
            gradients.add(_normed(hidden[rows], scale[rows], norm, projections.dtype), grad)
            if into_norm.needed:
                into_norm.add(rows, joined.backward(grad))
        return into_norm.hidden, None, None, None, None, into_norm.weight, *gradients.finish()


class _Output(torch.autograd.Function):
    """The residual stream plus the output projection of attention."""

    @staticmethod
    def forward(ctx, hidden: Tensor, attended: Tensor, projections: Projections, *trained: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        with torch.autocast("cpu", enabled=False):
            joined = projections.joined()
            out = torch.empty_like(hidden)
            for rows in _parts(hidden):
                added = joined.forward(attended[rows], attended.new_empty(len(hidden[rows]), projections.width))
                torch.add(hidden[rows], added, out=out[rows])
        ctx.save_for_backward(attended, *trained)
        ctx.projections = projections
        return out

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        attended, *_ = ctx.saved_tensors
        joined = ctx.projections.joined()
        gradients = Gradients(ctx.projections, joined)
        attended_grad = torch.empty_like(attended)
        for rows in _parts(attended):
            grad = grads[0][rows].to(attended.dtype)
            gradients.add(attended[rows], grad)
            attended_grad[rows] = joined.backward(grad)
        return grads[0], attended_grad, None, *gradients.finish()


class _FeedForward(torch.autograd.Function):
    """The residual stream plus SwiGLU of its norm. With `keep`, saves gate and up, but not their product."""

    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, hidden: Tensor, norm: RMSNorm, gate_up: Projections, down: Projections, keep: bool, *trained: Tensor
    ) -> Tensor:
        scale = _norm_scale(hidden, norm.eps)
        with torch.autocast("cpu", enabled=False):
            first, second = gate_up.joined(), down.joined()
            kept = len(hidden) if keep else min(ROWS, len(hidden))
            joint = hidden.new_empty(kept, gate_up.width, dtype=gate_up.dtype)
            out = torch.empty_like(hidden)
            for rows in _parts(hidden):
                part = joint[rows] if keep else joint[: len(hidden[rows])]
                gate, up = first.forward(_normed(hidden[rows], scale[rows], norm, gate_up.dtype), part).chunk(2, 1)
                added = second.forward(F.silu(gate).mul_(up), gate.new_empty(len(gate), down.width))
                torch.add(hidden[rows], added, out=out[rows])
        ctx.save_for_backward(hidden, scale, joint if keep else None, *trained)
        ctx.norm, ctx.gate_up, ctx.down = norm, gate_up, down
        return out

    @staticmethod
    def backward(ctx, *grads: Tensor):  # type: ignore[no-untyped-def]
        hidden, scale, joint, *_ = ctx.saved_tensors
        norm, dtype = ctx.norm, ctx.gate_up.dtype
        first, second = ctx.gate_up.joined(), ctx.down.joined()
        gate_up_gradients, down_gradients = Gradients(ctx.gate_up, first), Gradients(ctx.down, second)
        into_norm = _NormGradient(norm, hidden, scale, wanted=ctx.needs_input_grad[0])
        for rows in _parts(hidden):
            grad = grads[0][rows].to(dtype)
            normed = _normed(hidden[rows], scale[rows], norm, dtype)
            if joint is None:
                part = first.forward(normed, normed.new_empty(len(normed), ctx.gate_up.width))
            else:
                part = joint[rows]
            gate, up = part.chunk(2, 1)
            active = F.silu(gate)
            down_gradients.add(active * up, grad)
            active_grad = second.backward(grad)
            joint_grad = torch.empty_like(part)
            gate_grad, up_grad = joint_grad.chunk(2, 1)
            torch.mul(active_grad, active, out=up_grad)
            torch.ops.aten.silu_backward.grad_input(active_grad.mul_(up), gate, grad_input=gate_grad)
            gate_up_gradients.add(normed, joint_grad)
            if into_norm.needed:
                into_norm.add(rows, first.backward(joint_grad))
        if into_norm.hidden is not None:
            into_norm.hidden += grads[0]
        return (
            into_norm.hidden,
            None,
            None,
            None,
            None,
            into_norm.weight,
            *gate_up_gradients.finish(),
            *down_gradients.finish(),
        )


def _parts(rows: Tensor) -> Iterator[slice]:
    return (slice(start, start + ROWS) for start in range(0, len(rows), ROWS))


def _norm_scale(hidden: Tensor, eps: float) -> Tensor:
    """One over the root mean square of each row, (rows, 1), in at least float32."""
    dtype = torch.promote_types(hidden.dtype, torch.float32)
    length = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True, dtype=dtype)
    return length.square_().div_(hidden.shape[1]).add_(eps).rsqrt_()


def _normed(hidden: Tensor, scale: Tensor, norm: RMSNorm, dtype: torch.dtype) -> Tensor:
    return (hidden * scale).mul_(norm.weight.detach()).to(dtype)


class _NormGradient:
    """The gradients of a norm's input, (rows, hidden), and of its weight, from the gradient of its output.

    `hidden` or `weight` is None when that gradient is not needed.
    """

    def __init__(self, norm: RMSNorm, hidden: Tensor, scale: Tensor, *, wanted: bool):
        self.norm, self._input, self._scale = norm, hidden, scale
        self.hidden = torch.empty_like(hidden) if wanted else None
        self.weight = torch.zeros_like(norm.weight) if norm.weight.requires_grad else None
        self.needed = self.hidden is not None or self.weight is not None

    def add(self, rows: slice, grad: Tensor) -> None:
        hidden, scale = self._input[rows], self._scale[rows]
        if self.weight is not None:
            self.weight += (grad * hidden).mul_(scale).sum(0)
        if self.hidden is not None:
            grad = grad * self.norm.weight.detach()
            along = (grad * hidden).sum(1, keepdim=True, dtype=scale.dtype)
            along.mul_(scale**3).div_(-hidden.shape[1])
            self.hidden[rows] = (grad * scale).addcmul_(hidden, along)


def _rotate(joint: Tensor, heads: list[int], cos: Tensor, sin: Tensor) -> None:
    """Rotate queries and keys in place, in (rows, all heads * head_dim)."""
    head_dim = joint.shape[1] // sum(heads)
    turned = joint.view(len(joint), sum(heads), head_dim)[:, : heads[0] + heads[1]]
    first, second = turned.chunk(2, dim=-1)
    across = second * sin
    second.mul_(cos).addcmul_(first, sin)
    first.mul_(cos).sub_(across)
