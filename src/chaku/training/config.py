"""The settings of a training stage."""

from dataclasses import dataclass
from typing import Literal

from chaku.settings import setting


@dataclass(frozen=True)
class TrainingConfig:
    """How a stage trains. Weight decay, clipping and eps are not in the Code Llama paper: they are Llama 2's.

    `tokens` is the stage's budget; `share` instead takes that part of the recipe's time budget, and `epochs` passes so
    often over the stage's conversations or pairs. `batch_tokens` is the
    global batch of one optimizer step; `micro_batch_tokens` go through the model at once (gradients accumulate).
    `precision` "auto" is bfloat16 where the processor multiplies it faster than float32, found by measuring.
    `micro_batch_tokens` and `compile` change how sums round, which chaku does not count as another result.
    """

    learning_rate: float = setting(3e-4, above=0)  # paper 2.6: code stage of 7B and 13B
    tokens: int | None = setting(None, above=0)
    share: float | None = setting(None, above=0)
    epochs: float | None = setting(None, above=0)
    batch_tokens: int = setting(4_000_000, at_least=1)  # paper 2.6
    micro_batch_tokens: int = setting(16_384, at_least=1, changes_results=False)
    warmup_steps: int = setting(1_000, at_least=0)  # paper 2.6
    # Paper 2.6: cosine down to a thirtieth of the peak.
    min_learning_rate_ratio: float = setting(1 / 30, at_least=0, at_most=1)
    weight_decay: float = setting(0.1, at_least=0)  # Llama 2, section 2.2
    beta1: float = setting(0.9, at_least=0, below=1)  # paper 2.6
    beta2: float = setting(0.95, at_least=0, below=1)  # paper 2.6
    eps: float = setting(1e-5, above=0)  # Llama 2, section 2.2
    max_grad_norm: float = setting(1.0, above=0)  # Llama 2, section 2.2
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    document_masking: bool = False
    compile: bool = setting(False, changes_results=False)
    num_workers: int = setting(0, at_least=0, changes_results=False)
    checkpoint_every: int = setting(200, at_least=1, changes_results=False)  # optimizer steps
    log_every: int = setting(1, at_least=1, changes_results=False)
    heldout_every: int = setting(100, at_least=1, changes_results=False)
    sample_every: int = setting(0, at_least=0, changes_results=False)  # 0: no text sampled during training


@dataclass(frozen=True)
class DpoConfig:
    """`beta` (the paper's, section 4): how dear it is to move away from the model that training began with."""

    beta: float = setting(0.1, above=0)
