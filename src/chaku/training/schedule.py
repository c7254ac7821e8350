"""The number of steps of a stage, and the learning rate of every step."""

import math

from chaku.errors import ChakuError
from chaku.training.config import TrainingConfig


def learning_rate(step: int, num_steps: int, config: TrainingConfig) -> float:
    """The rate of optimizer step `step` (0-based) of `num_steps`: linear warm-up, then `config.schedule`.

    "cosine" and "linear" fall from the peak to peak * ratio. "wsd" (warm-up, stable, decay: MiniCPM, arXiv 2404.06395)
    stays at the peak, and falls in the last `decay_share` of the steps as 1 - sqrt(share of the decay that is done),
    which arXiv 2405.18392 found better than a line. The last step gets exactly the minimum. The warm-up takes at most
    a tenth of the stage, so that a short stage still reaches its peak.
    """
    warmup = min(config.warmup_steps, num_steps // 10)
    peak, lowest = config.learning_rate, config.learning_rate * config.min_learning_rate_ratio
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = min((step - warmup) / max(num_steps - 1 - warmup, 1), 1.0)
    match config.schedule:
        case "cosine":
            return lowest + (peak - lowest) * 0.5 * (1 + math.cos(math.pi * progress))
        case "linear":
            return lowest + (peak - lowest) * (1 - progress)
        case "wsd":
            first = decay_start(num_steps, config)
            decayed = max(0, step + 1 - first) / (num_steps - first)
            return lowest + (peak - lowest) * (1 - math.sqrt(decayed))


def decay_start(num_steps: int, config: TrainingConfig) -> int:
    """The first step (0-based) of the decay of the "wsd" schedule: at least one step decays."""
    return num_steps - max(1, round(config.decay_share * num_steps))


def goes_on(step: int, planned: int, num_steps: int | None, config: TrainingConfig) -> bool:
    """Whether a stage of `num_steps` steps can go on from the state after `step` steps of a stage of `planned` steps.

    `num_steps` None: more steps than `planned`. "wsd" goes on from a state before the decay only, or from a decay of a
    stage of the same length: then the rates so far are the rates of the longer stage. "cosine" and "linear" go on from
    any state, with the rates of the longer stage from there on.
    """
    return config.schedule != "wsd" or planned == num_steps or step <= decay_start(planned, config)


def num_steps(config: TrainingConfig, sequence_length: int) -> int:
    """Optimizer steps of a stage: its tokens over its batch, rounded up; at least one.

    Raises ChakuError when `batch_tokens` is less than one sequence, or `tokens` is not set.
    """
    if config.tokens is None:
        raise ChakuError("training.tokens is not set; set it, or give `share` and a [budget] in the recipe")
    if config.batch_tokens < sequence_length:
        raise ChakuError(
            f"training.batch_tokens {config.batch_tokens} is less than one sequence of {sequence_length} tokens; "
            f"set it to at least {sequence_length} in the recipe"
        )
    return max(1, math.ceil(config.tokens / (batch_rows(config, sequence_length) * sequence_length)))


def batch_rows(config: TrainingConfig, sequence_length: int) -> int:
    """Sequences in the global batch."""
    return config.batch_tokens // sequence_length


def micro_rows(config: TrainingConfig, sequence_length: int, num_context: int = 1) -> int:
    """Sequences that the `num_context` ranks of a context group read at once: each `micro_batch_tokens`, or one row."""
    return max(1, config.micro_batch_tokens * num_context // sequence_length)
