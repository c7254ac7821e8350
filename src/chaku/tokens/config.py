"""Settings of infilling in training."""

from dataclasses import dataclass

from chaku.settings import setting


@dataclass(frozen=True)
class InfillingConfig:
    """`rate`: the share of whole documents to infill; `spm_rate`: the share of infilled documents in SPM order.

    Defaults: Code Llama paper, section 2.3.
    """

    rate: float = setting(0.9, at_least=0, at_most=1)
    spm_rate: float = setting(0.5, at_least=0, at_most=1)
