"""Compute linear layers with the same input as one matrix product, with or without LoRA."""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from chaku.model.lora import LoraLinear
from chaku.model.quantization import dense, is_quantized

Layer = nn.Linear | LoraLinear
# 16-bit copies of frozen joint weights, by the first layer: ([(reference to a weight, the weight's version)], copy).
_copies: WeakKeyDictionary[nn.Module, tuple[list[tuple[Callable[[], Tensor | None], int]], Tensor]] = (
    WeakKeyDictionary()
)


class Projections:
    """(rows, in) -> (rows, sum of the layers' widths), for one forward and backward pass, computed in `dtype`.

    In 32 bits, a LoRA update is added to its weight first: W + scale B A costs only rank / rows of the product that it
    saves. In 16 bits, this sum would round small updates away, so the update is a product of its own.
    """

    def __init__(self, layers: Sequence[Layer], dtype: torch.dtype):
        self.dtype = dtype
        self.bases = [layer.base if isinstance(layer, LoraLinear) else layer for layer in layers]
        self.widths = [base.out_features for base in self.bases]
        self.weights = [base.weight for base in self.bases]
        self.trains_base = self.weights[0].requires_grad
        assert all(weight.requires_grad == self.trains_base for weight in self.weights)
        self.has_bias = self.bases[0].bias is not None
        # A layer with an update, and its columns in the joint output.
        self.updates: list[tuple[LoraLinear, slice]] = []
        start = 0
        for layer, width in zip(layers, self.widths, strict=True):
            if isinstance(layer, LoraLinear):
                self.updates.append((layer, slice(start, start + width)))
            start += width
        self.width = start

    @property
    def trained(self) -> list[Tensor]:
        """The parameters with gradients, in the order of `Gradients.finish`."""
        biases = [base.bias for base in self.bases] if self.has_bias else []
        own: list[Tensor] = [*self.weights, *biases] if self.trains_base else []
        return own + [matrix for layer, _ in self.updates for matrix in (layer.lora_A, layer.lora_B)]

    def joined(self) -> "Joined":
        """The matrices for the forward and backward passes."""
        down, up = self._update()
        beside = down is not None and self.dtype.itemsize < 4
        weight = self._weight(changed=down is not None and not beside)
        if down is not None and up is not None and not beside:
            weight.addmm_(up, down)
        bias = torch.cat([base.bias for base in self.bases]).to(self.dtype) if self.has_bias else None
        return Joined(weight, bias, down, up, beside)

    def _weight(self, *, changed: bool) -> Tensor:
        """The joint weight, (out, in). With `changed`, a copy that the caller may change."""
        frozen = not any(weight.requires_grad or is_quantized(weight) for weight in self.weights)
        keep = frozen and self.dtype.itemsize < 4 and any(weight.dtype != self.dtype for weight in self.weights)
        if keep and (kept := _copies.get(self.bases[0])) and kept[1].dtype == self.dtype:
            same = len(kept[0]) == len(self.weights) and all(
                of() is weight and version == weight._version
                for (of, version), weight in zip(kept[0], self.weights, strict=False)
            )
            if same:
                return kept[1]
        if len(self.weights) == 1 and not changed:
            joint = dense(self.weights[0]).to(self.dtype)
        else:
            first = self.weights[0]
            joint = torch.empty(self.width, self.bases[0].in_features, dtype=self.dtype, device=first.device)
            for part, weight in zip(joint.split(self.widths), self.weights, strict=True):
                part.copy_(dense(weight))
        if keep:
            _copies[self.bases[0]] = ([(ref(weight), weight._version) for weight in self.weights], joint)
        return joint

    def _update(self) -> tuple[Tensor | None, Tensor | None]:
        """All updates as one: A (all ranks, in), and scale * B (out, all ranks), which is block-diagonal."""
        if not self.updates:
            return None, None
        down = torch.cat([layer.lora_A.detach() for layer, _ in self.updates]).to(self.dtype)
        up = down.new_zeros(self.width, len(down))
        start = 0
        for layer, outputs in self.updates:
            rank = len(layer.lora_A)
            up[outputs, start : start + rank] = layer.lora_B.detach() * layer.scale
            start += rank
        return down, up


class Joined:
    """The joint matrices of `Projections`. `beside`: the update is a product of its own."""

    def __init__(self, weight: Tensor, bias: Tensor | None, down: Tensor | None, up: Tensor | None, beside: bool):
        self.weight, self.bias, self.down, self.up, self.beside = weight, bias, down, up, beside

    def forward(self, x: Tensor, out: Tensor) -> Tensor:
        """(rows, in) -> (rows, out)."""
        if self.bias is None:
            torch.mm(x, self.weight.t(), out=out)
        else:
            torch.addmm(self.bias, x, self.weight.t(), out=out)
        if self.beside:
            assert self.down is not None
            assert self.up is not None
            out.addmm_(x @ self.down.t(), self.up.t())
        return out

    def backward(self, grad: Tensor) -> Tensor:
        """The gradient of x, (rows, in), from the gradient of the output, (rows, out)."""
        x_grad = grad @ self.weight
        if self.beside:
            assert self.down is not None
            assert self.up is not None
            x_grad.addmm_(grad @ self.up, self.down)
        return x_grad


class Gradients:
    """The gradients of `Projections.trained`, summed over parts of the rows."""

    def __init__(self, projections: Projections, joined: Joined):
        self.projections, self.joined = projections, joined
        self.sums: list[Tensor] = []

    def add(self, x: Tensor, grad: Tensor) -> None:
        """Add a part of the rows: its input, (rows, in), and the gradient of its output, (rows, out)."""
        parts: list[Tensor] = []
        if self.projections.trains_base:
            parts.append(grad.t() @ x)
            if self.projections.has_bias:
                parts.append(grad.sum(0, dtype=torch.float32))
        if self.joined.down is not None and self.joined.up is not None:
            parts.append((grad @ self.joined.up).t() @ x)
            parts.append(grad.t() @ (x @ self.joined.down.t()))
        if not self.sums:
            self.sums = [part if part.dtype.itemsize >= 4 else part.float() for part in parts]
        else:
            for total, part in zip(self.sums, parts, strict=True):
                total += part

    def finish(self) -> list[Tensor]:
        """The gradient of every parameter in `Projections.trained`."""
        projections = self.projections
        sums = iter(self.sums)
        found: list[Tensor] = []
        if projections.trains_base:
            found += next(sums).split(projections.widths)
            if projections.has_bias:
                found += next(sums).split(projections.widths)
        if projections.updates:
            down, up = next(sums), next(sums)
            start = 0
            for layer, outputs in projections.updates:
                ranks = slice(start, start + len(layer.lora_A))
                found += [down[ranks], up[outputs, ranks] * layer.scale]
                start = ranks.stop
        return [grad.to(weight.dtype) for grad, weight in zip(found, projections.trained, strict=True)]
