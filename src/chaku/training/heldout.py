"""Losses of held-out documents, conversations and pairs, during training."""

import torch

from chaku.model.llama import Llama
from chaku.tokens.loader import Batch
from chaku.training.config import DpoConfig, TrainingConfig
from chaku.training.dpo import pair_losses
from chaku.training.micro_batches import measuring
from chaku.training.ranks import ALONE, Ranks
from chaku.training.schedule import micro_rows
from chaku.training.step import training_step_loss


def heldout_values(
    model: Llama,
    heldout: dict[str, Batch],
    config: TrainingConfig,
    dpo: DpoConfig | None = None,
    ranks: Ranks = ALONE,
) -> dict[str, dict[str, float]]:
    """What to log about held-out sets, by the name of the set. Every rank gets whole batches.

    `heldout_loss`: the mean loss of a token, in nats; in conversations, of the tokens with a loss. With `dpo`, the mean
    DPO loss of a pair; and `heldout_accuracy`, the share of pairs whose chosen reply gained more.
    """
    device = model.lm_head.weight.device
    losses: dict[str, float] = {}
    accuracies: dict[str, float] = {}
    with measuring(model):
        for name, batch in heldout.items():
            rows = micro_rows(config, batch.sequence_length, ranks.num_context)
            if dpo:
                parts = [pair_losses(model, part, dpo, device) for part in batch.split(rows)]
                gains = torch.cat([part for _, part in parts])
                losses[name] = float(torch.cat([part for part, _ in parts]).mean())
                accuracies[name] = float((gains[:, 0] > gains[:, 1]).float().mean())
            else:
                losses[name] = _mean_loss(model, batch, rows, ranks)
    return {"heldout_loss": losses} | ({"heldout_accuracy": accuracies} if accuracies else {})


def _mean_loss(model: Llama, batch: Batch, num_rows: int, ranks: Ranks) -> float:
    device = model.lm_head.weight.device
    total = 0.0
    for part in batch.split(num_rows):
        trained = None if part.trained is None else part.trained.to(device)
        documents = part.document_ids.to(device)
        total += float(training_step_loss(model, part.tokens.to(device), documents, num_valid=1, trained=trained))
    # The ranks of a context group have parts of the rows; all data ranks have the same rows.
    return ranks.sum([total])[0] / ranks.num_data / batch.num_valid
