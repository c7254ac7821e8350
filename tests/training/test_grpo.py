"""GRPO: TRL's loss and gradients for every loss type, advantages and weights by hand, and clipping."""

import random

import pytest
import torch

from chaku.checkpoint.huggingface import save_model
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.training.config import TrainingConfig
from chaku.training.grpo import (
    SampleBatch,
    accumulate_samples,
    group_advantages,
    loss_weights,
    measured_log_probabilities,
    token_losses,
)
from chaku.training.grpo_config import GrpoConfig

CPU = torch.device("cpu")
CONFIG = TrainingConfig(learning_rate=1e-4, tokens=1, batch_tokens=64, micro_batch_tokens=128, precision="float32")
MAX_TOKENS = 12
NUM_GROUPS, GROUP_SIZE = 3, 4


def fresh(seed=3, noise=0.0):
    torch.manual_seed(seed)
    model = Llama(PRESETS["tiny"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * noise)
    return model


def samples():
    """(prompt, reply, advantage) of each sample; one sample is masked."""
    source = random.Random(5)
    found = []
    for _ in range(NUM_GROUPS):
        prompt = [source.randrange(512) for _ in range(source.randint(2, 6))]
        rewards = [1.0, 0.0, 0.0, source.random()]
        for advantage in group_advantages(rewards, scale=True):
            found.append((prompt, [source.randrange(512) for _ in range(source.randint(1, MAX_TOKENS))], advantage))
    return found


def packed(found, masked, grpo, old=None, initial=None):
    """Two samples a row; `old`, `initial`: log-probabilities of each sample's tokens."""
    lengths = [0 if number in masked else len(reply) for number, (_, reply, _) in enumerate(found)]
    weights = loss_weights(lengths, grpo.loss, grpo.max_tokens)
    rows = -(-len(found) // 2)
    shape = (rows, 41)
    tokens, owners = torch.zeros(shape, dtype=torch.int64), torch.full(shape, -1)
    trained = torch.zeros(shape, dtype=torch.bool)
    by_token = {name: torch.zeros(shape) for name in ("token_weights", "advantages", "old", "initial")}
    for number, (prompt, reply, advantage) in enumerate(found):
        row = number // 2
        begin = int((owners[row] >= 0).sum())
        ids = [*prompt, *reply]
        tokens[row, begin : begin + len(ids)] = torch.tensor(ids)
        owners[row, begin : begin + len(ids)] = number % 2
        at = slice(begin + len(prompt), begin + len(ids))
        trained[row, at] = number not in masked
        by_token["token_weights"][row, at] = weights[number]
        by_token["advantages"][row, at] = advantage
        for name, values in (("old", old), ("initial", initial)):
            if values is not None:
                by_token[name][row, at] = values[number]
    if old is None:
        del by_token["old"]
    if initial is None:
        del by_token["initial"]
    return SampleBatch(tokens, owners, 0, 0, trained, **by_token)


def trl_inputs(found, masked, old=None, initial=None):
    """The same samples as TRL gets them: prompts padded on the left, replies on the right."""
    longest, widest = max(len(prompt) for prompt, _, _ in found), max(len(reply) for _, reply, _ in found)
    rows = len(found)
    inputs = {
        "prompt_ids": torch.zeros((rows, longest), dtype=torch.int64),
        "prompt_mask": torch.zeros((rows, longest), dtype=torch.int64),
        "completion_ids": torch.zeros((rows, widest), dtype=torch.int64),
        "completion_mask": torch.zeros((rows, widest), dtype=torch.int64),
        "advantages": torch.tensor([advantage for _, _, advantage in found]),
    }
    logs = {"old_per_token_logps": old, "ref_per_token_logps": initial}
    for name, values in logs.items():
        if values is not None:
            inputs[name] = torch.zeros((rows, widest))
            for row, value in enumerate(values):
                inputs[name][row, : len(value)] = value
    for row, (prompt, reply, _) in enumerate(found):
        inputs["prompt_ids"][row, longest - len(prompt) :] = torch.tensor(prompt)
        inputs["prompt_mask"][row, longest - len(prompt) :] = 1
        inputs["completion_ids"][row, : len(reply)] = torch.tensor(reply)
        inputs["completion_mask"][row, : len(reply)] = row not in masked
    inputs["num_items_in_batch"] = inputs["completion_mask"].sum()
    return inputs


def plain_logs(model, found, temperature=1.0):
    """The log-probabilities of each reply's tokens, each sample in a forward pass of its own."""
    logs = []
    for prompt, reply, _ in found:
        ids = torch.tensor([[*prompt, *reply]])
        scores = torch.log_softmax(model(ids)[0, :-1].float() / temperature, dim=-1)
        logs.append(scores.gather(1, ids[0, 1:, None]).squeeze(1)[len(prompt) - 1 :])
    return logs


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    pytest.importorskip("trl", reason="trl is not installed: parity with TRL is NOT tested")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    from trl import GRPOConfig, GRPOTrainer

    from chaku.tokens.tokenizer_training import train_tokenizer

    path = tmp_path_factory.mktemp("trl")
    save_model(fresh(noise=0.05), path / "policy")
    train_tokenizer(["def add(a, b):\n    return a + b\n"], 285).save(path / "policy")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(path / "policy", pad_token="</s>")
    return GRPOTrainer(
        AutoModelForCausalLM.from_pretrained(path / "policy", dtype=torch.float32),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(
            str(path / "out"),
            use_cpu=True,
            bf16=False,
            report_to=[],
            num_generations=GROUP_SIZE,
            per_device_train_batch_size=GROUP_SIZE * NUM_GROUPS,
            max_completion_length=MAX_TOKENS,
            gradient_accumulation_steps=1,
        ),
        train_dataset=Dataset.from_list([{"prompt": "a"}]),
        processing_class=tokenizer,
    )


@pytest.mark.parametrize("loss", ["dapo", "grpo", "dr_grpo", "bnpo"])
@pytest.mark.parametrize("off_policy", [False, True])
def test_trl_computes_the_same_loss_and_gradients(trainer, loss, off_policy):
    """TRL's own `_compute_loss` on the same weights, samples and advantages; off the policy also with a divergence."""
    found, masked = samples(), {2}
    grpo = GrpoConfig(
        1, NUM_GROUPS, GROUP_SIZE, MAX_TOKENS, loss=loss, beta=0.1 if off_policy else 0.0, epsilon_high=0.28
    )
    model = fresh(noise=0.05)
    old = initial = None
    if off_policy:
        with torch.no_grad():
            old = plain_logs(fresh(noise=0.06), found)
            initial = plain_logs(fresh(), found)
    theirs = trainer.model
    theirs.zero_grad()
    trainer.loss_type, trainer.beta = loss, grpo.beta
    trainer.epsilon_low, trainer.epsilon_high = grpo.epsilon, grpo.epsilon_high
    trainer.current_gradient_accumulation_steps = trainer.args.steps_per_generation = 1
    theirs.train()
    expected = trainer._compute_loss(theirs, trl_inputs(found, masked, old, initial))
    expected.backward()
    loss_value, notes = accumulate_samples(model, packed(found, masked, grpo, old, initial), grpo, CONFIG, CPU)
    assert loss_value == pytest.approx(float(expected.detach()), abs=1e-5)
    grads = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert max(float(grad.abs().max()) for grad in grads.values()) > 1e-3
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, grads[name], atol=1e-5, rtol=1e-4)
    logged = trainer._metrics["train"]
    assert notes["entropy"] == pytest.approx(logged["entropy"][-1], rel=1e-4)
    assert notes["clip_share"] == pytest.approx(logged["clip_ratio/region_mean"][-1], abs=1e-6)
    if off_policy:
        assert notes["clip_share"] > 0
        assert notes["divergence"] == pytest.approx(logged["kl"][-1], rel=1e-4)


def test_advantages_by_hand():
    assert group_advantages([1.0, 0.0, 0.0, 0.0], scale=False) == pytest.approx([0.75, -0.25, -0.25, -0.25])
    assert group_advantages([1.0, 0.0, 0.0, 0.0], scale=True) == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-3)
    assert group_advantages([0.5, 0.5], scale=True) == [0.0, 0.0]


def test_weights_by_hand():
    """Two samples of 2 and 6 tokens, and a masked one; 10 tokens at most."""
    assert loss_weights([2, 6, 0], "dapo", 10) == [1 / 8] * 3
    assert loss_weights([2, 6, 0], "grpo", 10) == pytest.approx([1 / 6, 1 / 18, 1 / 3])
    assert loss_weights([2, 6, 0], "dr_grpo", 10) == [1 / 30] * 3
    assert loss_weights([0, 0], "dapo", 10) == [1.0, 1.0]


def test_a_ratio_outside_of_its_range_teaches_nothing_more():
    """Higher by e^0.5: 1.65 is above 1.28 for a good sample. For a bad sample, it is not limited."""
    old = torch.zeros(4)
    policy = torch.tensor([0.5, 0.5, -0.5, 0.1], requires_grad=True)
    advantages = torch.tensor([1.0, -1.0, -1.0, 1.0])
    losses, outside, _ = token_losses(policy, old, advantages, GrpoConfig(1))
    losses.sum().backward()
    assert losses.tolist() == pytest.approx([-1.28, 1.6487, 0.8, -1.1052], abs=1e-4)
    assert policy.grad.tolist() == pytest.approx([0.0, 1.6487, 0.0, -1.1052], abs=1e-4)
    assert outside.tolist() == [True, False, True, False]


def test_samples_of_another_program_count_by_their_correction():
    policy = torch.zeros(2, requires_grad=True)
    losses, _, _ = token_losses(
        policy, torch.zeros(2), torch.ones(2), GrpoConfig(1), correction=torch.tensor([0.5, 2.0])
    )
    assert losses.tolist() == [-0.5, -2.0]


def test_measured_log_probabilities_are_those_of_each_sample_alone_at_its_temperature():
    found, model = samples(), fresh(noise=0.05)
    grpo = GrpoConfig(1, max_tokens=MAX_TOKENS, temperature=0.7)
    batch = packed(found, set(), grpo)
    values = measured_log_probabilities(model, batch, grpo, CONFIG, CPU)
    with torch.no_grad():
        expected = torch.cat(plain_logs(model, found, temperature=0.7))
    torch.testing.assert_close(values[batch.trained], expected, atol=1e-5, rtol=1e-5)
    assert not values[~batch.trained].any()
