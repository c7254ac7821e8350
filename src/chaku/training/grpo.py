"""Group relative policy optimisation (arXiv 2402.03300): advantages, the loss of tokens, and its gradients."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from chaku.model.llama import Llama
from chaku.model.lora import trainable_parameters
from chaku.tokens.loader import Batch
from chaku.training.config import TrainingConfig
from chaku.training.dpo import token_log_probabilities_and_entropies
from chaku.training.grpo_config import GrpoConfig, LossType
from chaku.training.micro_batches import measuring, micro_batches, never
from chaku.training.ranks import ALONE, Ranks
from chaku.training.step import NO_LOSS, autocast, document_states, output_weight

STD_EPSILON = 1e-4  # added to a group's deviation; TRL's value


class LimitReached(Exception):
    """The samples of a stage have cost what they may cost; the message says which limit to raise."""


@runtime_checkable
class SampleSource(Protocol):
    """What the trainer asks for the samples of each step."""

    config: GrpoConfig
    sequence_length: int
    seed: int

    def batches(self, start: int) -> Iterator["SampleBatch"]:
        """The batches from step `start` (0-based) on; each is made when it is asked for, with the weights so far.

        Raises LimitReached in place of a batch that the stage's limits do not allow.
        """
        ...

    def measure(self) -> dict[str, dict[str, float]]:
        """What to log about held-out tasks: at least `heldout_pass_rate` of each set; empty without any."""
        ...


@dataclass(frozen=True, slots=True)
class SampleBatch(Batch):
    """Packed samples. `token_weights`, `advantages`: (rows, sequence_length + 1) float32, by token.

    The step's loss is the sum of every token's loss times its weight. `old`: the tokens' log-probabilities under the
    weights that sampled them; None for the present weights. `initial`: under the initial model, for the divergence.
    `correction`: factors for samples of another program (truncated importance sampling). `notes`: values to log.
    """

    token_weights: Tensor = field(default_factory=lambda: torch.empty(0))
    advantages: Tensor = field(default_factory=lambda: torch.empty(0))
    old: Tensor | None = None
    initial: Tensor | None = None
    correction: Tensor | None = None
    notes: dict[str, float] = field(default_factory=dict)

    def split(self, rows: int) -> Iterator["SampleBatch"]:
        """Split into micro-batches of `rows` rows."""
        per_row = ("tokens", "document_ids", "trained", "token_weights", "advantages", "old", "initial", "correction")
        values = {name: value for name in per_row if (value := getattr(self, name)) is not None}
        for start in range(0, len(self.tokens), rows):
            changes: dict[str, Any] = {name: value[start : start + rows] for name, value in values.items()}
            yield replace(self, **changes)


def group_advantages(rewards: Sequence[float], *, scale: bool) -> list[float]:
    """The advantages of a group's samples: reward - mean, divided by the deviation (of a sample) with `scale`."""
    if len(rewards) < 2:
        return [0.0] * len(rewards)
    values = torch.tensor(rewards, dtype=torch.float32)
    advantages = values - values.mean()
    if scale:
        advantages = advantages / (values.std() + STD_EPSILON)
    return advantages.tolist()


def loss_weights(lengths: Sequence[int], loss: LossType, max_tokens: int) -> list[float]:
    """The weight of the tokens of each sample in a step's loss. `lengths`: tokens with a loss, 0 for a masked sample.

    "dapo", "bnpo": the mean over all tokens (DAPO, equation 8). "grpo": the mean over samples of their tokens' means.
    "dr_grpo": the sum over `max_tokens` for each sample (arXiv 2503.20783), which favours no length.
    """
    match loss:
        case "dapo" | "bnpo":
            return [1 / max(sum(lengths), 1)] * len(lengths)
        case "dr_grpo":
            return [1 / (len(lengths) * max_tokens)] * len(lengths)
        case "grpo":
            return [1 / (len(lengths) * max(length, 1)) for length in lengths]


def token_losses(
    policy: Tensor,
    old: Tensor,
    advantages: Tensor,
    config: GrpoConfig,
    initial: Tensor | None = None,
    correction: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """(losses, which tokens are outside of the ratio's range, divergence from the initial model), each (tokens,).

    `policy`, `old`, `initial`: log-probabilities in nats, (tokens,). The clipped surrogate of PPO, and the divergence
    estimate of GRPO's equation 4, exp(d) - d - 1 with d = initial - policy, times the ratio, which makes its gradient
    unbiased (DeepSeek-V3.2, equation 7).
    """
    ratio = torch.exp(policy - old)
    limited = ratio.clamp(1 - config.epsilon, 1 + config.epsilon_high)
    losses = -torch.min(ratio * advantages, limited * advantages)
    if correction is not None:
        losses = losses * correction
    outside = ((ratio < 1 - config.epsilon) & (advantages < 0)) | ((ratio > 1 + config.epsilon_high) & (advantages > 0))
    divergence = torch.zeros_like(policy)
    if initial is not None:
        difference = initial - policy
        divergence = ratio * (torch.exp(difference) - difference - 1)
        losses = losses + config.beta * divergence
    return losses, outside.detach(), divergence.detach()


def accumulate_samples(
    model: Llama,
    batch: SampleBatch,
    grpo: GrpoConfig,
    config: TrainingConfig,
    device: torch.device,
    ranks: Ranks = ALONE,
    stop: Callable[[], bool] = never,
) -> tuple[float, dict[str, float]]:
    """Add up the gradients of a step's samples in micro-batches; returns the loss, and values to log.

    Stops as `accumulate` does. `entropy`: of the next token, in nats, mean over tokens. `clip_share`: of tokens whose
    ratio is outside of its range. `divergence`: from the initial model, with `beta`.
    """
    num_tokens = max(batch.num_valid, 1)
    total = entropy = clipped = divergence = 0.0
    for part in micro_batches(model, batch, config, ranks, stop):
        assert isinstance(part, SampleBatch)
        if part.num_valid == 0:
            continue
        policy, entropies, valid = sample_log_probabilities(model, part, grpo.temperature, device)

        def of_tokens(values: Tensor | None, valid: Tensor = valid) -> Tensor | None:
            return None if values is None else values.to(device)[:, 1:][valid]

        advantages, weights, old = map(of_tokens, (part.advantages, part.token_weights, part.old))
        assert advantages is not None
        assert weights is not None
        losses, outside, away = token_losses(
            policy,
            policy.detach() if old is None else old,
            advantages,
            grpo,
            of_tokens(part.initial) if grpo.beta else None,
            of_tokens(part.correction),
        )
        loss = (losses * weights).sum()
        loss.backward()
        total += float(loss.detach())
        entropy += float(entropies.sum())
        clipped += float(outside.sum())
        divergence += float(away.sum())
    for _, parameter in trainable_parameters(model):
        if parameter.grad is None:  # no sample has a loss; the optimizer must have a state all the same
            parameter.grad = torch.zeros_like(parameter)
    notes = {"entropy": entropy / num_tokens, "clip_share": clipped / num_tokens}
    if grpo.beta:
        notes["divergence"] = divergence / num_tokens
    return total, notes | batch.notes


def sample_log_probabilities(
    model: Llama, part: Batch, temperature: float, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """(log-probabilities, entropies, mask): of the samples' tokens, (tokens,) each; the mask is (rows, seq) bool.

    Both are of the distribution at `temperature`, from which the tokens were sampled.
    """
    assert part.trained is not None
    documents, tokens = part.document_ids.to(device), part.tokens.to(device)
    valid = part.trained.to(device)[:, 1:] & (documents[:, 1:] >= 0)
    labels = tokens[:, 1:].masked_fill(~valid, NO_LOSS)
    hidden, found = document_states(model, tokens[:, :-1], documents[:, :-1], labels)
    weight, _ = output_weight(model)
    scores, entropies = token_log_probabilities_and_entropies(hidden / temperature, weight, found)
    return scores, entropies, valid


def measured_log_probabilities(
    model: Llama, batch: SampleBatch, grpo: GrpoConfig, config: TrainingConfig, device: torch.device
) -> Tensor:
    """The tokens' log-probabilities under the present weights, without gradients: (rows, sequence_length + 1).

    In the precision of the training, so that the ratio to the same weights is 1. 0 for tokens without a loss.
    """
    found = []
    with measuring(model), autocast(device, config.precision):
        for part in micro_batches(model, batch, config, ALONE, never):
            values = torch.zeros(part.tokens.shape)
            if part.num_valid:
                scores, _, valid = sample_log_probabilities(model, part, grpo.temperature, device)
                values[:, 1:][valid.cpu()] = scores.float().cpu()
            found.append(values)
    return torch.cat(found)
