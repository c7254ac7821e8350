"""The settings of a training stage."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingConfig:
    """How a stage trains. Weight decay, clipping and eps are not in the Code Llama paper: they are Llama 2's.

    `tokens` is the stage's budget; `share` instead takes that part of the recipe's time budget, and `epochs` passes so
    often over the stage's conversations or pairs. `batch_tokens` is the
    global batch of one optimizer step; `micro_batch_tokens` go through the model at once (gradients accumulate).
    `precision` "auto" is bfloat16 where the processor multiplies it faster than float32, found by measuring.
    """

    learning_rate: float = 3e-4  # paper 2.6: code stage of 7B and 13B
    tokens: int | None = None
    share: float | None = None
    epochs: float | None = None
    batch_tokens: int = 4_000_000  # paper 2.6
    micro_batch_tokens: int = 16_384
    warmup_steps: int = 1_000  # paper 2.6
    min_learning_rate_ratio: float = 1 / 30  # paper 2.6: cosine down to a thirtieth of the peak
    weight_decay: float = 0.1  # Llama 2, section 2.2
    beta1: float = 0.9  # paper 2.6
    beta2: float = 0.95  # paper 2.6
    eps: float = 1e-5  # Llama 2, section 2.2
    max_grad_norm: float = 1.0  # Llama 2, section 2.2
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    document_masking: bool = False
    compile: bool = False
    num_workers: int = 0
    checkpoint_every: int = 200  # optimizer steps
    log_every: int = 1
    heldout_every: int = 100
    sample_every: int = 0  # 0: no text sampled during training
