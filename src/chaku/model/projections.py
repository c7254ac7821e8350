"""Linear layers that read the same input, as one matrix product, with LoRA or without."""

from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn

from chaku.model.lora import LoraLinear
from chaku.model.quantization import dense, is_quantized

Layer = nn.Linear | LoraLinear
# 16-bit copies of frozen weights, by the first of the layers that a copy joins: what the copy is of, and the copy.
_copies: WeakKeyDictionary[nn.Module, tuple[list[tuple[Callable[[], Tensor | None], int]], Tensor]] = (
    WeakKeyDictionary()
)


class Projections:
    """(rows, in) -> (rows, sum of the layers' outputs), side by side, for one forward and backward pass.

    Products are made in `dtype`. In 32 bits an update joins its weight: W + scale B A costs rank / rows of the product
    that it saves. In 16 bits the sum would lose what is small beside W, so the update is a product of its own.
    """

    def __init__(self, layers: Sequence[Layer], dtype: torch.dtype):
        self.dtype = dtype
        self.bases = [layer.base if isinstance(layer, LoraLinear) else layer for layer in layers]
        self.widths = [base.out_features for base in self.bases]
        self.weights = [base.weight for base in self.bases]
        self.trains_base = self.weights[0].requires_grad
        assert all(weight.requires_grad == self.trains_base for weight in self.weights)
        self.has_bias = self.bases[0].bias is not None
        # A layer's update, and which of the joint outputs it adds to.
        self.updates: list[tuple[LoraLinear, slice]] = []
        start = 0
        for layer, width in zip(layers, self.widths, strict=True):
            if isinstance(layer, LoraLinear):
                self.updates.append((layer, slice(start, start + width)))
            start += width
        self.width = start

    @property
    def trained(self) -> list[Tensor]:
        """The parameters that have gradients, in the order of `Gradients.finish`."""
        biases = [base.bias for base in self.bases] if self.has_bias else []
        own: list[Tensor] = [*self.weights, *biases] if self.trains_base else []
        return own + [matrix for layer, _ in self.updates for matrix in (layer.lora_A, layer.lora_B)]

    def joined(self) -> "Joined":
        """What the passes multiply by."""
        down, up = self._update()
        beside = down is not None and self.dtype.itemsize < 4
        weight = self._weight(changed=down is not None and not beside)
        if down is not None and up is not None and not beside:
            weight.addmm_(up, down)
        bias = torch.cat([base.bias for base in self.bases]).to(self.dtype) if self.has_bias else None
        return Joined(weight, bias, down, up, beside)

    def _weight(self, *, changed: bool) -> Tensor:
        """(out, in); the caller's own when it is to be `changed`."""
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
        """The updates as one: A (all ranks, in), and scale B (out, all ranks), which is zero off its blocks."""
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
    """The matrices of `Projections`, for as many rows as there are."""

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
        """The gradient of x, from that of the outputs."""
        x_grad = grad @ self.weight
        if self.beside:
            assert self.down is not None
            assert self.up is not None
            x_grad.addmm_(grad @ self.up, self.down)
        return x_grad


class Gradients:
    """The gradients of what `Projections` trains, summed over parts of the rows."""

    def __init__(self, projections: Projections, joined: Joined):
        self.projections, self.joined = projections, joined
        self.sums: list[Tensor] = []

    def add(self, x: Tensor, grad: Tensor) -> None:
        """Some rows' input and the gradient of their outputs."""
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
        """One gradient for each of `Projections.trained`."""
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
