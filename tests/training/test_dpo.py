"""DPO: golden values, gradients against plain autograd, TRL's loss, and a stage that resumes to the bit."""

import dataclasses
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from chaku.checkpoint.huggingface import save_model
from chaku.model.config import PRESETS, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora
from chaku.tokens.chat import ChatRow
from chaku.tokens.chat_store import ChatStore, write_chat_store
from chaku.tokens.loader import collate
from chaku.tokens.packed_dataset import ChatSet, PackedDataset
from chaku.training.config import DpoConfig, TrainingConfig
from chaku.training.dpo import accumulate_pairs, dpo_losses, token_log_probabilities, with_reference
from chaku.training.metrics import read_metrics
from chaku.training.trainer import train

CPU = torch.device("cpu")
CONFIG = TrainingConfig(
    learning_rate=3e-4,
    tokens=12 * 4 * 63,
    batch_tokens=4 * 63,
    micro_batch_tokens=126,
    warmup_steps=2,
    precision="float32",
    checkpoint_every=3,
)
DPO = DpoConfig(beta=0.5)


class Ids:
    bos_id, eos_id = 1, 2


def pairs(number=24):
    source = random.Random(7)
    rows = []
    for _ in range(number):
        prompt = [source.randrange(512) for _ in range(source.randint(2, 8))]
        for _ in range(2):
            reply = [source.randrange(512) for _ in range(source.randint(1, 9))]
            rows.append(ChatRow(prompt + reply, [False] * len(prompt) + [True] * len(reply)))
    return rows


def fresh(seed=3, noise=0.0):
    torch.manual_seed(seed)
    model = Llama(PRESETS["tiny"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * noise)
    return model


def dataset(directory, model):
    if not (directory / "pairs").exists():
        write_chat_store(directory / "pairs", pairs(), 2)
    store = ChatStore(directory / "pairs")
    packed = PackedDataset(None, [ChatSet("pairs", store, 1.0)], 63, Ids, seed=11)
    return with_reference(model, packed, CONFIG, directory)


def plain_sums(model, rows):
    """Each reply's summed log-probability, each row in a forward pass of its own."""
    sums = []
    for row in rows:
        ids = torch.tensor([row.ids])
        scores = torch.log_softmax(model(ids)[0, :-1].float(), dim=-1).gather(1, ids[0, 1:, None]).squeeze(1)
        sums.append(scores[torch.tensor(row.trained)[1:]].sum())
    return torch.stack(sums).view(-1, 2)


def test_golden_losses_by_hand():
    """Equation 7: gains of 2 and -1 nats at beta 0.1 make -log sigmoid(0.3); no gain makes log 2."""
    policy = torch.tensor([[-10.0, -20.0], [-5.0, -5.0]])
    reference = torch.tensor([[-12.0, -19.0], [-5.0, -5.0]])
    expected = [math.log(1 + math.exp(-0.3)), math.log(2)]
    assert dpo_losses(policy, reference, 0.1).tolist() == pytest.approx(expected)
    assert expected[0] == pytest.approx(0.554355, abs=1e-6)


def test_token_log_probabilities_and_their_gradients():
    torch.manual_seed(0)
    hidden, weight = torch.randn(150, 16, requires_grad=True), torch.randn(40, 16, requires_grad=True)
    labels, upstream = torch.randint(0, 40, (150,)), torch.randn(150)
    ours = token_log_probabilities(hidden, weight, labels)
    found = torch.autograd.grad((ours * upstream).sum(), (hidden, weight))
    plain = -F.cross_entropy(hidden @ weight.T, labels, reduction="none")
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(found, torch.autograd.grad((plain * upstream).sum(), (hidden, weight)))
    assert len(token_log_probabilities(hidden[:0], weight, labels[:0])) == 0


def test_packed_pairs_have_the_loss_and_gradients_of_each_alone(tmp_path):
    rows, model, parent = pairs(), fresh(noise=0.05), fresh()
    packed = dataset(tmp_path, parent)
    reference = plain_sums(parent, rows)
    np.testing.assert_allclose(packed.sets[0].reference, reference.detach().flatten(), rtol=1e-4, atol=1e-4)
    size = len(packed.plans[0])
    batch = collate([(index, packed[index]) for index in range(size)])
    loss, notes = accumulate_pairs(model, batch, DPO, CONFIG, CPU)
    apart = fresh(noise=0.05)
    policy = plain_sums(apart, rows)
    expected = dpo_losses(policy, reference.detach(), DPO.beta).mean()
    expected.backward()
    assert loss == pytest.approx(float(expected), rel=1e-4)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, apart.get_parameter(name).grad, atol=1e-5, rtol=1e-3)
    gains = policy - reference
    assert notes["dpo_accuracy"] == pytest.approx(float((gains[:, 0] > gains[:, 1]).float().mean()))
    assert notes["dpo_margin"] == pytest.approx(float((gains[:, 0] - gains[:, 1]).mean()) * DPO.beta, rel=1e-3)


def test_trl_computes_the_same_loss(tmp_path):
    """The parity reference: the same weights, the same pairs, one padded batch of TRL's beside ours, packed."""
    pytest.importorskip("trl", reason="trl is not installed: parity with TRL is NOT tested")
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    from chaku.tokens.tokenizer_training import train_tokenizer

    rows, model, parent = pairs(), fresh(noise=0.05), fresh()
    save_model(model, tmp_path / "policy")
    save_model(parent, tmp_path / "parent")
    train_tokenizer(["def add(a, b):\n    return a + b\n"], 285).save(tmp_path / "policy")
    theirs, before = (
        AutoModelForCausalLM.from_pretrained(tmp_path / name, dtype=torch.float32) for name in ("policy", "parent")
    )
    tokenizer = PreTrainedTokenizerFast.from_pretrained(tmp_path / "policy", pad_token="</s>")
    trainer = DPOTrainer(
        theirs,
        ref_model=before,
        args=DPOConfig(
            str(tmp_path / "trl"), beta=DPO.beta, use_cpu=True, bf16=False, report_to=[], disable_dropout=False
        ),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        processing_class=tokenizer,
    )
    ordered = [*rows[::2], *rows[1::2]]  # all chosen, then all rejected

    def padded(values):
        return torch.nn.utils.rnn.pad_sequence([torch.tensor(value) for value in values], batch_first=True)

    inputs = {
        "input_ids": padded([row.ids for row in ordered]),
        "attention_mask": padded([[1] * len(row.ids) for row in ordered]),
        "completion_mask": padded([[int(flag) for flag in row.trained] for row in ordered]),
    }
    expected = trainer.compute_loss(trainer.model, inputs)
    expected.backward()
    packed = dataset(tmp_path, parent)
    batch = collate([(index, packed[index]) for index in range(len(packed.plans[0]))])
    loss, _ = accumulate_pairs(model, batch, DPO, CONFIG, CPU)
    assert loss == pytest.approx(float(expected), rel=1e-4)
    theirs_grads = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, theirs_grads[name], atol=1e-5, rtol=1e-3)


def losses(directory):
    return [line["loss"] for line in read_metrics(directory / "metrics.jsonl") if "loss" in line]


def stage(directory):
    model = fresh()
    train("dpo", model, dataset(directory, model), CONFIG, directory, dpo=DPO)
    return model


def test_a_stage_begins_at_log_2_learns_the_pairs_and_resumes_to_the_bit(tmp_path):
    whole = stage(tmp_path / "whole")
    lines = read_metrics(tmp_path / "whole" / "metrics.jsonl")
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert lines[-1]["dpo_margin"] > 0
    assert lines[-1]["loss"] < lines[0]["loss"]
    script = f"""
        import os, signal, sys
        from pathlib import Path
        import torch
        torch.set_num_threads({torch.get_num_threads()})
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import test_dpo as t, chaku.training.trainer as trainer
        step, calls = trainer.optimizer_step, []
        def killed(*arguments):
            calls.append(1)
            if len(calls) == 8:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments)
        trainer.optimizer_step = killed
        t.stage(Path({str(tmp_path / "cut")!r}))
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    cut = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment, check=False)
    assert cut.returncode == -signal.SIGKILL
    again = stage(tmp_path / "cut")
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in whole.state_dict().items())
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


@pytest.mark.parametrize("lora", [False, True])
def test_in_bfloat16_and_with_an_adapter_it_begins_at_log_2_too(tmp_path, lora):
    """The reference is computed in the stage's precision, so that its rounding is not taken for a gain."""
    model, config = fresh(), dataclasses.replace(CONFIG, precision="bfloat16")
    if lora:
        add_lora(model, LoraConfig(rank=4), torch.Generator().manual_seed(1))
    write_chat_store(tmp_path / "pairs", pairs(), 2)
    packed = PackedDataset(None, [ChatSet("pairs", ChatStore(tmp_path / "pairs"), 1.0)], 63, Ids, seed=11)
    train("dpo", model, with_reference(model, packed, config, tmp_path), config, tmp_path, dpo=DPO)
    assert losses(tmp_path)[0] == pytest.approx(math.log(2), abs=2e-3)
    assert losses(tmp_path)[-1] < losses(tmp_path)[0]


def test_the_reference_is_the_parents_and_computed_once(tmp_path):
    first = dataset(tmp_path, fresh()).sets[0].reference
    assert (dataset(tmp_path, fresh(seed=9)).sets[0].reference == first).all()


def test_the_papers_beta_is_the_default():
    assert dataclasses.asdict(DpoConfig()) == {"beta": 0.1}
