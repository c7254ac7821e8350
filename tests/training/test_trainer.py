"""A stage that is killed anywhere and started again ends with the same losses and weights, to the bit."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from chaku import ChakuError
from chaku.model.config import LoraConfig
from chaku.model.lora import add_lora
from chaku.tokens.loader import Batch
from chaku.training.config import TrainingConfig
from chaku.training.metrics import read_metrics
from chaku.training.schedule import num_steps
from chaku.training.step import optimizer_step, training_step_loss
from chaku.training.trainer import Interrupted, train
from random_training import CONFIG, Random, fresh


def losses(directory):
    return [line["loss"] for line in read_metrics(directory / "metrics.jsonl") if "loss" in line]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    model = fresh()
    train("whole", model, Random(), CONFIG, directory)
    return model.state_dict(), losses(directory)


def same(model, expected):
    return all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_lora_with_dropout_resumes_exactly(tmp_path):
    def adapted():
        model = fresh()
        add_lora(model, LoraConfig(rank=4, dropout=0.3), torch.Generator().manual_seed(1))
        return model

    whole, cut = adapted(), adapted()
    before = whole.state_dict()["model.layers.0.mlp.up_proj.base.weight"].clone()
    train("whole", whole, Random(), CONFIG, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train("cut", cut, Random(kill_at=(25, signal.SIGTERM)), CONFIG, tmp_path / "cut")
    again = adapted()
    train("cut", again, Random(), CONFIG, tmp_path / "cut")
    assert same(again, whole.state_dict())
    assert torch.equal(again.state_dict()["model.layers.0.mlp.up_proj.base.weight"], before)
    assert again.state_dict()["model.layers.0.mlp.up_proj.lora_B"].any()


@pytest.mark.parametrize("optimizer", ["muon", "adamw8bit"])
def test_every_optimizer_resumes_exactly(optimizer, tmp_path):
    if optimizer == "adamw8bit":
        pytest.importorskip("torchao")
    config = dataclasses.replace(CONFIG, optimizer=optimizer, tokens=4 * 4 * 32)
    whole, again = fresh(), fresh()
    train("whole", whole, Random(), config, tmp_path / "whole")
    with pytest.raises(Interrupted):
        train("cut", fresh(), Random(kill_at=(8, signal.SIGTERM)), config, tmp_path / "cut")
    train("cut", again, Random(), config, tmp_path / "cut")
    assert same(again, whole.state_dict())


@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_recomputing_changes_no_loss(recompute, uninterrupted, tmp_path):
    model = fresh()
    train("again", model, Random(), dataclasses.replace(CONFIG, recompute=recompute), tmp_path)
    assert {layer.recompute for layer in model.model.layers} == {recompute}
    assert losses(tmp_path) == pytest.approx(uninterrupted[1], rel=1e-6)


@pytest.mark.parametrize("sample", [0, 13, 25, 47])
def test_sigterm_saves_and_resume_is_exact(uninterrupted, tmp_path, sample):
    with pytest.raises(Interrupted, match=f"saved at step {sample // 4} of 12; run the same command"):
        train("cut", fresh(), Random(kill_at=(sample, signal.SIGTERM)), CONFIG, tmp_path)
    model = fresh()
    train("cut", model, Random(), CONFIG, tmp_path)
    assert same(model, uninterrupted[0])
    assert losses(tmp_path) == uninterrupted[1]


@pytest.mark.parametrize("sample", [5, 30])
def test_sigkill_and_resume_is_exact(uninterrupted, tmp_path, sample):
    script = f"""
        import signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
        import random_training as t
        t.train("cut", t.fresh(), t.Random(kill_at=({sample}, signal.SIGKILL)), t.CONFIG, Path({str(tmp_path)!r}))
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    model = fresh()
    train("cut", model, Random(), CONFIG, tmp_path)
    assert same(model, uninterrupted[0])
    assert losses(tmp_path) == uninterrupted[1]


def test_metrics_and_loss(uninterrupted, tmp_path):
    heldout = {"random": Batch(torch.randint(0, 512, (2, 33)), torch.zeros(2, 33, dtype=torch.int64), 0, 0)}
    train("one", fresh(), Random(), CONFIG, tmp_path, heldout=heldout)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    first = lines[0]
    assert first["step"] == 1
    assert first["tokens"] == 128
    assert first["infilling_rate"] == pytest.approx(4 * 7 / 128)
    assert first["loss"] == pytest.approx(np.log(512), abs=0.3)
    assert first["flops_per_second"] > first["tokens_per_second"] > 0
    assert first["mfu"] > 0
    assert lines[-1]["heldout_loss"]["random"] == pytest.approx(np.log(512), abs=0.3)


def test_loss_that_is_not_finite_names_the_batch(tmp_path):
    model = fresh()
    with torch.no_grad():
        model.lm_head.weight[0, 0] = torch.nan
    with pytest.raises(ChakuError, match=r"step 1: the loss is nan on samples 0 to 3"):
        train("bad", model, Random(), CONFIG, tmp_path)


@pytest.mark.parametrize("setting", ["checkpoint_every", "log_every"])
def test_a_gradient_that_is_not_finite_names_the_batch_and_is_never_saved(tmp_path, monkeypatch, setting):
    def overflow(model, *rest):
        norm = optimizer_step(model, *rest)
        return math.inf if steps.pop() == 2 else norm

    steps = list(range(12))[::-1]
    monkeypatch.setattr("chaku.training.trainer.optimizer_step", overflow)
    config = dataclasses.replace(CONFIG, **{setting: 1})
    with pytest.raises(ChakuError, match=r"step 3: the gradient's norm is inf on samples 8 to 11"):
        train("bad", fresh(), Random(), config, tmp_path)
    assert not list((tmp_path / "state").glob("step-00000003"))
    assert len(losses(tmp_path)) == 2


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiled_steps_learn_the_same(backend, tmp_path, monkeypatch):
    """`aot_eager`: the graphs of the step and of its gradients; `inductor`: also their C++, half a minute of work."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    config = dataclasses.replace(CONFIG, compile=True, tokens=3 * 4 * 32)
    plain = dataclasses.replace(config, compile=False)
    train("compiled", fresh(), Random(), config, tmp_path / "compiled")
    train("plain", fresh(), Random(), plain, tmp_path / "plain")
    assert losses(tmp_path / "compiled") == pytest.approx(losses(tmp_path / "plain"), rel=1e-5)


def test_document_masking_is_a_setting_of_the_stage(tmp_path):
    class Halves(Random):
        def __getitem__(self, index):
            documents = np.repeat(np.arange(2, dtype=np.int32), [17, 16])
            return dataclasses.replace(super().__getitem__(index), document_ids=documents)

    seen = {}
    for masked in (False, True):
        config = dataclasses.replace(CONFIG, document_masking=masked, tokens=1)
        train("masked", fresh(), Halves(), config, tmp_path / str(masked))
        [seen[masked]] = losses(tmp_path / str(masked))
    tokens = torch.stack([torch.as_tensor(Halves()[index].tokens.astype(np.int64)) for index in range(4)])
    documents = torch.as_tensor(Halves()[0].document_ids.astype(np.int64)).expand_as(tokens)
    with torch.no_grad():
        for masked, loss in seen.items():
            expected = training_step_loss(fresh(), tokens, documents, document_masking=masked)
            assert loss == pytest.approx(float(expected), rel=1e-5)
    assert seen[True] != seen[False]


def cut_short(path):
    path.write_bytes(path.read_bytes()[:1000])


def with_another_last_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def one_step_further(path):
    record = path.with_name("progress.json")
    record.write_text(record.read_text().replace('"step": 4', '"step": 5'))


@pytest.mark.parametrize("damage", [cut_short, with_another_last_byte, one_step_further])
def test_damaged_state_is_named(tmp_path, damage):
    with pytest.raises(Interrupted):
        train("cut", fresh(), Random(kill_at=(16, signal.SIGTERM)), CONFIG, tmp_path)
    [state] = (tmp_path / "state").glob("step-00000004/*.distcp")
    damage(state)
    with pytest.raises(ChakuError, match="step-00000004 is damaged"):
        train("cut", fresh(), Random(), CONFIG, tmp_path)


def test_steps():
    assert num_steps(TrainingConfig(tokens=1000, batch_tokens=128), 32) == 8
    with pytest.raises(ChakuError, match="less than one sequence"):
        num_steps(TrainingConfig(tokens=1000, batch_tokens=16), 32)
