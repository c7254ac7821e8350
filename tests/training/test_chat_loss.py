"""The loss on conversations: that of each alone, whatever shares its sequence, over the trained tokens alone."""

import dataclasses
import random

import pytest
import torch
import torch.nn.functional as F

from chaku import ChakuError
from chaku.model.config import PRESETS, RopeScaling
from chaku.model.llama import Llama
from chaku.tokens.chat import ChatRow
from chaku.tokens.chat_store import write_chat_store
from chaku.tokens.loader import collate
from chaku.tokens.packed_dataset import ChatSet, PackedDataset
from chaku.training.config import TrainingConfig
from chaku.training.step import accumulate, training_step_loss

CPU = torch.device("cpu")
CONFIG = TrainingConfig(micro_batch_tokens=64)


class Ids:
    bos_id, eos_id = 1, 2


def made(tmp_path, lengths=((3, 5), (7, 2), (4, 9), (1, 6), (10, 12)), length=31):
    source = random.Random(4)
    rows = [
        ChatRow([source.randrange(512) for _ in range(sum(length))], [False] * length[0] + [True] * length[1])
        for length in lengths
    ]
    store = write_chat_store(tmp_path / "set", rows)
    dataset = PackedDataset(None, [ChatSet("set", store, 1.0)], length, Ids, seed=1)
    batch = collate([(index, dataset[index]) for index in range(len(dataset.plans[0]))])
    return rows, batch


def model(**changes):
    torch.manual_seed(3)
    made = Llama(dataclasses.replace(PRESETS["tiny"], **changes))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return made


def alone(model, rows):
    """Summed loss and number of trained tokens, each conversation in a forward pass of its own."""
    total, count = torch.zeros(()), 0
    for row in rows:
        ids = torch.tensor([row.ids])
        trained = torch.tensor(row.trained)[1:]
        total = total + F.cross_entropy(model(ids)[0, :-1][trained], ids[0, 1:][trained], reduction="sum")
        count += int(trained.sum())
    return total, count


@pytest.mark.parametrize("scaling", [None, RopeScaling("yarn", 4.0, 16)])
def test_packed_conversations_have_the_loss_and_gradients_of_each_alone(tmp_path, scaling):
    rows, batch = made(tmp_path)
    assert len(batch.tokens) < len(rows)
    packed, apart = model(rope_scaling=scaling), model(rope_scaling=scaling)
    loss = accumulate(training_step_loss, packed, batch, CONFIG, CPU)
    total, count = alone(apart, rows)
    (total / count).backward()
    assert loss == pytest.approx((total / count).item(), rel=1e-5)
    for name, parameter in packed.named_parameters():
        torch.testing.assert_close(parameter.grad, apart.get_parameter(name).grad, atol=1e-6, rtol=1e-4)


def test_micro_batches_add_up_to_the_mean_over_tokens_not_over_rows(tmp_path):
    _, batch = made(tmp_path)
    losses = []
    for tokens in (31, 1000):
        config = dataclasses.replace(CONFIG, micro_batch_tokens=tokens)
        losses.append(accumulate(training_step_loss, model(), batch, config, CPU))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_what_is_masked_changes_nothing_but_the_context(tmp_path):
    """Another token in the padding: the same loss. The end of a reply has one: it is learnt."""
    rows, batch = made(tmp_path)
    before = accumulate(training_step_loss, model(), batch, CONFIG, CPU)
    padded = batch.document_ids < 0
    assert padded.any()
    tokens = torch.where(padded, 77, batch.tokens)
    assert accumulate(training_step_loss, model(), dataclasses.replace(batch, tokens=tokens), CONFIG, CPU) == before
    ends = sum(int(batch.tokens[at]) == rows[0].ids[-1] for at in zip(*torch.where(batch.trained), strict=True))
    assert ends >= 1


def test_a_batch_without_a_trained_token_is_an_error(tmp_path):
    _, batch = made(tmp_path)
    batch = dataclasses.replace(batch, trained=torch.zeros_like(batch.trained), first_sample=8)
    with pytest.raises(ChakuError, match="sample 8 has no token with a loss"):
        accumulate(training_step_loss, model(), batch, CONFIG, CPU)
