"""Held-out losses are means over all tokens with a loss, or over all pairs, whatever the size of a micro-batch."""

from dataclasses import replace

import pytest
import torch

from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.loader import Batch
from chaku.training.config import DpoConfig, ParallelConfig
from chaku.training.dpo import reply_log_probabilities
from chaku.training.heldout import heldout_values
from chaku.training.micro_batches import Stopped
from chaku.training.parallel import parallelize
from chaku.training.ranks import ALONE, lay_out
from chaku.training.step import accumulate, training_step_loss
from random_training import CONFIG, fresh
from ranks import on_ranks

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


LAYOUTS = [ParallelConfig(), ParallelConfig(reshard=False), ParallelConfig(context=2), ParallelConfig(tensor=2)]


def measured(ranks):
    """The held-out values of every kind of set, of a model that is laid out over ranks."""
    torch.manual_seed(0)
    model = Llama(replace(PRESETS["tiny"], num_attention_heads=4, num_key_value_heads=2))
    parallelize(model, ranks, 32, "float32")
    rows = {"code": batch(trained=False), "talks": batch(trained=True)}
    found = heldout_values(model, rows, CONFIG, ranks=ranks)["heldout_loss"]
    pairs = {"pairs": batch(trained=True, reference=torch.tensor([[-40.0, -30], [-60, -20], [-50, -10]]))}
    values = heldout_values(model, pairs, CONFIG, DpoConfig(0.1), ranks)
    assert has_its_parts(model)
    config = replace(CONFIG, micro_batch_tokens=1)
    with pytest.raises(Stopped):
        accumulate(training_step_loss, model, batch(trained=False), config, CPU, ranks, lambda: True)
    assert has_its_parts(model)
    return [*found.values(), values["heldout_loss"]["pairs"], values["heldout_accuracy"]["pairs"]]


def has_its_parts(model: Llama) -> bool:
    """Whether the parameters are those that an optimizer trains and a state saves: this rank's part of each weight."""
    return all(hasattr(parameter, "to_local") == model.distributed for parameter in model.parameters())


def measured_on(layouts):
    return [measured(lay_out(layout, "cpu")) for layout in layouts]


def test_many_ranks_measure_the_same():
    alone = measured(ALONE)
    for of_rank in on_ranks(2, measured_on, LAYOUTS):
        for layout, found in zip(LAYOUTS, of_rank, strict=True):
            assert found == pytest.approx(alone, abs=1e-5), layout
