"""Held-out losses are means over all tokens with a loss, or over all pairs, whatever the size of a micro-batch."""

from dataclasses import replace

import pytest
import torch

from chaku.tokens.loader import Batch
from chaku.training.config import DpoConfig
from chaku.training.dpo import reply_log_probabilities
from chaku.training.heldout import heldout_values
from chaku.training.step import training_step_loss
from random_training import CONFIG, fresh

CPU = torch.device("cpu")


def batch(*, trained: bool, reference: torch.Tensor | None = None) -> Batch:
    """Three rows of 33 tokens, each with two documents and a padding of 5 tokens; replies end each document."""
    tokens = torch.randint(0, 512, (3, 33), generator=torch.Generator().manual_seed(2))
    documents = torch.tensor([0] * 15 + [1] * 13 + [-1] * 5).expand(3, 33)
    replies = torch.tensor([False] * 8 + [True] * 7 + [False] * 9 + [True] * 4 + [False] * 5).expand(3, 33)
    return Batch(tokens, documents, 0, 0, replies if trained else None, reference)


@pytest.mark.parametrize("micro_batch_tokens", [1, 64, 10_000])
@pytest.mark.parametrize("trained", [False, True])
def test_the_loss_of_a_token(trained, micro_batch_tokens):
    model, rows = fresh(), batch(trained=trained)
    config = replace(CONFIG, micro_batch_tokens=micro_batch_tokens)
    with torch.no_grad():
        expected = float(training_step_loss(model, rows.tokens, rows.document_ids, trained=rows.trained))
    found = heldout_values(model, {"talks": rows}, config)
    assert found == {"heldout_loss": {"talks": pytest.approx(expected, rel=1e-5)}}
    assert model.training


def test_the_loss_and_the_accuracy_of_pairs():
    model, config = fresh(), replace(CONFIG, micro_batch_tokens=1)
    scores, _ = reply_log_probabilities(model, batch(trained=True), CPU)
    lower = scores.detach() - torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.5]])  # the gains of the replies
    found = heldout_values(model, {"pairs": batch(trained=True, reference=lower)}, config, DpoConfig(0.1))
    margins = torch.tensor([1.0, -2.0, 2.5])
    expected = float(-torch.nn.functional.logsigmoid(0.1 * margins).mean())
    assert found["heldout_loss"]["pairs"] == pytest.approx(expected, rel=1e-4)
    assert found["heldout_accuracy"]["pairs"] == pytest.approx(2 / 3)
