"""Settings of infilling in training."""

from dataclasses import dataclass
from typing import Literal

from chaku.errors import ChakuError
from chaku.settings import setting

Cuts = Literal["random", "line", "syntax"]


@dataclass(frozen=True)
class InfillingConfig:
    """`rate`: the share of whole documents to infill; `spm_rate`: the share of infilled documents in SPM order.

    `cuts`: where documents are cut: at "random" characters, at the ends of lines ("line"), or around parts of the
    program ("syntax"); or the shares of these, as in `{ random = 0.5, syntax = 0.5 }`. `final_rate`: the rate changes
    from `rate` to this in a straight line over the stage. Defaults: Code Llama paper, section 2.3.
    """

    rate: float = setting(0.9, at_least=0, at_most=1)
    spm_rate: float = setting(0.5, at_least=0, at_most=1)
    cuts: Cuts | dict[Cuts, float] = setting("random", added_later=True)  # noqa: RUF009
    final_rate: float | None = setting(None, at_least=0, at_most=1, added_later=True)

    def rate_at(self, progress: float) -> float:
        """The rate at a point of the stage, from 0.0 at its beginning to 1.0 at its end."""
        return self.rate if self.final_rate is None else self.rate + (self.final_rate - self.rate) * progress

    def shares(self) -> dict[Cuts, float]:
        """The share of each kind of cuts among the infilled documents; they add up to 1."""
        if isinstance(self.cuts, str):
            return {self.cuts: 1.0}
        total = sum(self.cuts.values())
        return {kind: weight / total for kind, weight in self.cuts.items() if weight}

    def check(self, where: str) -> None:
        """Raises ChakuError, which begins with `where`, for shares that cannot be drawn from."""
        weights = [] if isinstance(self.cuts, str) else list(self.cuts.values())
        if not isinstance(self.cuts, str) and (not weights or min(weights) < 0 or not 0 < sum(weights) < float("inf")):
            raise ChakuError(f"{where}.cuts needs shares of at least 0, and one above 0, as in {{ random = 1 }}")
