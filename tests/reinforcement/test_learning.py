"""The gradient of a step is that of the expected reward under the distribution that samples, and nothing else."""

import dataclasses
from pathlib import Path

import pytest
import torch

from chaku.inference.prompts import Prompt
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.reinforcement.batch import pack
from chaku.reinforcement.groups import Drawn, Group, Reply, draw_groups, judge
from chaku.reinforcement.rewards import Rewards, Scored
from chaku.reinforcement.rollouts import Rollouts
from chaku.reinforcement.tasks import Task
from chaku.reinforcement.writer import EngineWriter
from chaku.tokens.chat import Message
from chaku.training.grpo import accumulate_samples, sample_log_probabilities
from chaku.training.metrics import read_metrics
from chaku.training.step import autocast
from reinforcement.little_stage import GRPO, SEQUENCE, TRAINING, Letters, Odd, little_tokenizer, odd, stage, tasks

CPU = torch.device("cpu")
TASK = Task("1", (Message("user", "task"),), Prompt((1, 5, 7, 9)), {})
TRAINED = dataclasses.replace(TRAINING, tokens=1, batch_tokens=SEQUENCE)


def uneven_model() -> Llama:
    torch.manual_seed(3)
    model = Llama(dataclasses.replace(PRESETS["tiny"], vocab_size=little_tokenizer().vocab_size))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model


def group(*replies: tuple[float, bool]) -> Group:
    """Replies of three tokens, each with (reward, is cut)."""
    drawn = Drawn(0, TASK, tuple(Reply("abc", (4, 5, 6), is_cut) for _, is_cut in replies))
    return Group(drawn, tuple(Scored(reward, {}, reward == 1, None, "") for reward, _ in replies))


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_the_gradient_is_that_of_the_expected_reward(temperature: float) -> None:
    """Replies of one token, so that the expected reward is a sum over the vocabulary. A group's own mean as baseline
    makes the expected gradient smaller by 1 - 1 / group size."""
    model, tokenizer = uneven_model(), little_tokenizer()
    grpo = dataclasses.replace(GRPO, prompts=6, group_size=50, max_tokens=1, temperature=temperature, scale=False)
    rewards = Rewards([("odd", 1.0, Odd())])
    write = EngineWriter(model, tokenizer).writing(num_samples=50, temperature=temperature, max_tokens=1, seed=1)
    groups = judge(draw_groups([(draw, TASK) for draw in range(6)], write, rewards), rewards)
    accumulate_samples(model, pack(groups, grpo, SEQUENCE, 0, {}), grpo, TRAINED, CPU)
    found = gradient(model)
    probabilities = torch.softmax(model(torch.tensor([TASK.prompt.ids]))[0, -1] / temperature, dim=-1)
    texts = [tokenizer.decode_bytes([token]).decode("utf-8", "replace") for token in range(len(probabilities))]
    (-(1 - 1 / 50) * (probabilities * torch.tensor([odd(text) for text in texts])).sum()).backward()
    wanted = gradient(model)
    assert float(torch.cosine_similarity(found, wanted, dim=0)) > 0.5
    assert float(found @ wanted / wanted.norm() ** 2) == pytest.approx(1, abs=0.25)


def gradient(model: Llama) -> torch.Tensor:
    found = torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])
    model.zero_grad()
    return found


def test_an_easy_reward_rises_to_near_one(tmp_path: Path) -> None:
    """The first token has an odd sum of bytes: true of half of the vocabulary, and learnt in a few steps."""
    grpo = dataclasses.replace(GRPO, steps=12, prompts=4, group_size=8, max_tokens=1, rounds=1)
    stage(tmp_path, grpo, dataclasses.replace(TRAINING, learning_rate=2e-2, heldout_every=12), Odd())
    lines = read_metrics(tmp_path / "metrics.jsonl")
    found = [line["reward"] for line in lines if "reward" in line]
    assert sum(found[:2]) / 2 < 0.75
    assert sum(found[-4:]) / 4 > 0.9
    assert [line["heldout_pass_rate"]["tasks"] for line in lines if "heldout_pass_rate" in line] == [1.0]


def test_a_cut_sample_has_no_part_in_its_groups_mean() -> None:
    """Otherwise the wrong samples of a group whose only right sample was cut would all be pushed down."""
    assert not group((0.0, False), (0.0, False), (1.0, True)).teaches(mask_overlong=True)
    assert group((0.0, False), (0.0, False), (1.0, True)).teaches(mask_overlong=False)
    batch = pack([group((1.0, False), (0.0, False), (0.0, False), (1.0, True))], GRPO, SEQUENCE, 0, {})
    masking = dataclasses.replace(GRPO, mask_overlong=True, prompts=1)
    masked = pack([group((1.0, False), (0.0, False), (0.0, False), (1.0, True))], masking, SEQUENCE, 0, {})
    assert batch.trained is not None
    assert masked.trained is not None
    assert (int(batch.trained.sum()), int(masked.trained.sum())) == (12, 9)
    assert float((masked.advantages * masked.token_weights).sum()) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo", "bnpo"])
def test_a_step_with_few_groups_weighs_less(loss) -> None:
    grpo = dataclasses.replace(GRPO, loss=loss, prompts=4)
    whole = pack([group((1.0, False), (0.0, False))] * 4, grpo, SEQUENCE, 0, {})
    few = pack([group((1.0, False), (0.0, False))], grpo, SEQUENCE, 0, {})
    assert float(few.token_weights.sum()) == pytest.approx(float(whole.token_weights.sum()) / 4)


def test_the_ratio_to_the_same_weights_is_one_in_16_bits_too(tmp_path: Path) -> None:
    """The log-probabilities of samples, and of the initial model, are measured in the precision of the training."""
    model = uneven_model()
    grpo = dataclasses.replace(GRPO, off_policy_steps=1, beta=0.1, rounds=1)
    training = dataclasses.replace(TRAINED, precision="bfloat16")
    writer, rewards = EngineWriter(model, little_tokenizer()), Rewards([("letters", 1.0, Letters())])
    rollouts = Rollouts(
        model, writer, rewards, {"tasks": tasks(5)}, {"tasks": 1.0}, {}, grpo, training, SEQUENCE, tmp_path, 7, model
    )
    batch = next(rollouts.batches(0))
    with autocast(CPU, "bfloat16"), torch.no_grad():
        present, _, valid = sample_log_probabilities(model, batch, 1.0, CPU)
    for measured in (batch.old, batch.initial):
        assert measured is not None
        torch.testing.assert_close(measured[:, 1:][valid], present.float(), atol=2e-3, rtol=0)
