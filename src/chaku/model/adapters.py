"""Several LoRA adapters beside one base: every text of a batch uses the adapter that it asked for, or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Update = tuple[Tensor, Tensor]  # (rank, in) and (out, rank): the second times the first is added to the weight


@dataclass(frozen=True)
class Joined:
    """The updates of one projection, joined. `down`: (ranks, in); `up`: (out, ranks); `owner`: (ranks,) adapters."""

    down: Tensor
    up: Tensor
    owner: Tensor


@dataclass(frozen=True)
class Adapters:
    """Adapters by `names`; `updates`: of each adapter, by the names of the projections."""

    names: tuple[str, ...] = ()
    updates: tuple[Mapping[str, Update], ...] = field(default=())

    def joined(self, *projections: str, widths: Sequence[int]) -> Joined | None:
        """The updates of projections whose outputs lie one after another; None when no adapter has any of them.

        `widths`: the output width of each projection.
        """
        down, up, owner = [], [], []
        starts = [sum(widths[:number]) for number in range(len(widths))]
        for number, updates in enumerate(self.updates):
            for name, start, width in zip(projections, starts, widths, strict=True):
                if name not in updates:
                    continue
                first, second = (part.float() for part in updates[name])
                whole = torch.zeros(sum(widths), second.shape[1])
                whole[start : start + width] = second
                down.append(first)
                up.append(whole)
                owner += [number] * len(first)
        if not down:
            return None
        return Joined(torch.cat(down).contiguous(), torch.cat(up, dim=1).contiguous(), torch.tensor(owner))


class Choice:
    """Which adapter each token of a step uses; `shares`: (1, new, adapters), 1 for its text's adapter, else 0."""

    shares: Tensor


class AdaptedLinear(nn.Module):
    """A linear layer with the updates of several adapters; `choice` says which one a text gets."""

    def __init__(self, base: nn.Linear, joined: Joined, choice: Choice):
        super().__init__()
        self.base, self._choice = base, choice
        self.down, self.up, self.owner = (
            nn.Parameter(joined.down, requires_grad=False),
            nn.Parameter(joined.up, requires_grad=False),
            nn.Parameter(joined.owner, requires_grad=False),
        )

    def forward(self, hidden: Tensor) -> Tensor:
        out = self.base(hidden)
        low = F.linear(hidden.to(self.down.dtype), self.down) * self._choice.shares[..., self.owner]
        return out + F.linear(low, self.up).to(out.dtype)


def adapt(model: nn.Module, adapters: Adapters) -> Choice:
    """Put the adapters beside a model's projections, in place; returns what chooses among them."""
    choice = Choice()
    device = next(model.parameters()).device
    for name in {name for updates in adapters.updates for name in updates}:
        base = model.get_submodule(name)
        assert isinstance(base, nn.Linear)
        joined = adapters.joined(name, widths=[base.out_features])
        assert joined
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, AdaptedLinear(base, joined, choice).to(device))
    return choice
