"""The learning rate as a function of the step."""

import math

from chaku.training.config import TrainingConfig


def learning_rate(step: int, num_steps: int, config: TrainingConfig) -> float:
    """The rate of optimizer step `step` (0-based) of `num_steps`: linear warm-up, then a cosine to peak * ratio.

    The warm-up is cut to a tenth of a stage shorter than ten warm-ups, so that short stages still reach their peak.
    The last step gets exactly the minimum.
    """
    warmup = min(config.warmup_steps, num_steps // 10)
    peak, lowest = config.learning_rate, config.learning_rate * config.min_learning_rate_ratio
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(num_steps - 1 - warmup, 1)
    return lowest + (peak - lowest) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
