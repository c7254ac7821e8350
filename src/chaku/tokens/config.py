"""The settings of infilling in training."""

from dataclasses import dataclass

from chaku.settings import setting


@dataclass(frozen=True)
class InfillingConfig:
    """`rate` of whole documents are infilled, `spm_rate` of those suffix first. Paper 2.3: 0.9, and half."""

    rate: float = setting(0.9, at_least=0, at_most=1)
    spm_rate: float = setting(0.5, at_least=0, at_most=1)
