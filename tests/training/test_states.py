"""A rank that is killed at any moment leaves a state that resumes on any number of ranks, with the same losses."""

import dataclasses
import importlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from chaku import ChakuError
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.training.config import ParallelConfig, TrainingConfig
from chaku.training.metrics import read_metrics
from chaku.training.optimizers import make_optimizer
from chaku.training.parallel import parallelize
from chaku.training.ranks import lay_out
from chaku.training.state import Progress, States, begin_state
from chaku.training.trainer import train
from random_training import Random
from ranks import on_ranks, until_one_is_killed

ROWS, SEQ, STEPS = 4, 32, 10
CONFIG = TrainingConfig(
    learning_rate=1e-3,
    tokens=STEPS * ROWS * SEQ,
    batch_tokens=ROWS * SEQ,
    micro_batch_tokens=SEQ,
    warmup_steps=2,
    precision="float32",
    checkpoint_every=3,
)


class KillsOne(Random):
    """Reading the sample `victim` kills its reader, and no rank that reads later samples."""

    def __init__(self, victim=None):
        super().__init__()
        self.victim = victim

    def __getitem__(self, index):
        if index == self.victim:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def train_on(layout, directory, kill_at=None, kill_in=None, config=CONFIG):
    """Train on the ranks of this process group. `kill_in`: (rank, module, function, call) that kills the rank."""
    torch.manual_seed(3)
    model = Llama(PRESETS["tiny"])
    ranks = lay_out(layout, "cpu")
    if kill_in and kill_in[0] == ranks.rank:
        die_in(*kill_in[1:])
    if ranks.size > 1:
        parallelize(model, ranks, SEQ, "float32")
    train("cut", model, KillsOne(kill_at), config, Path(directory), ranks=ranks)


def die_in(module, function, call):
    owner = importlib.import_module(module)
    if "." in function:
        name, function = function.split(".")
        owner = getattr(owner, name)
    original, calls = getattr(owner, function), iter(range(1, 1000))

    def counted(*arguments, **named):
        if next(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    setattr(owner, function, counted)


def losses(directory):
    return [line["loss"] for line in read_metrics(Path(directory) / "metrics.jsonl") if "loss" in line]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    train_on(ParallelConfig(), directory)
    return losses(directory)


WRITE = ("torch.distributed.checkpoint.filesystem", "FileSystemWriter.write_data")
HASH, MARK = ("chaku.training.state", "sha256_file"), ("chaku.training.state", "sha256_json")
# (the sample whose reader is killed, None) on a layout with tensor parallelism, or (None, (rank, module, function,
# call)) on four shards. A step reads four samples. A state is saved after the steps 3, 6, 9 and 10.
MOMENTS = {
    "at the first sample": (1, None),
    "before the first state": (10, None),
    "in the step after a state": (15, None),
    "between two states": (19, None),
    "in the last step": (36, None),
    "while the first state is written": (None, (2, *WRITE, 1)),
    "while the second state is written": (None, (0, *WRITE, 2)),
    "while a state's files are hashed": (None, (3, *HASH, 2)),
    "before a state is marked as whole": (None, (0, *MARK, 2)),
    "while the last state is written": (None, (1, *WRITE, 4)),
}


QUICK = ("in the step after a state", "while the second state is written", "before a state is marked as whole")


@pytest.mark.parametrize(
    "moment", [pytest.param(moment, marks=[] if moment in QUICK else pytest.mark.slow) for moment in MOMENTS]
)
def test_killed_on_four_ranks_it_resumes_on_two_and_on_one(uninterrupted, tmp_path, moment):
    kill_at, kill_in = MOMENTS[moment]
    layout = ParallelConfig(tensor=2) if kill_at else ParallelConfig()
    assert until_one_is_killed(4, train_on, layout, tmp_path, kill_at, kill_in)
    if (reached := len(losses(tmp_path))) < 8:
        # On two ranks, until the next state but one is saved and a rank dies again.
        assert until_one_is_killed(2, train_on, ParallelConfig(), tmp_path, 4 * min(9, reached + 4) + 1)
    train_on(ParallelConfig(), tmp_path)
    np.testing.assert_allclose(losses(tmp_path), uninterrupted, rtol=0, atol=1e-5)
    assert [path.name for path in (tmp_path / "state").iterdir()] == [f"step-{STEPS:08}"]


def stop_rank_one(directory):
    class Stopping(Random):
        def __getitem__(self, index):
            if index == 17:  # of rank 1, which has the rows 2 and 3 of each step
                os.kill(os.getpid(), signal.SIGTERM)
            return super().__getitem__(index)

    torch.manual_seed(3)
    model, ranks = Llama(PRESETS["tiny"]), lay_out(ParallelConfig(), "cpu")
    parallelize(model, ranks, SEQ, "float32")
    config = dataclasses.replace(CONFIG, checkpoint_every=100, micro_batch_tokens=SEQ)
    try:
        train("cut", model, Stopping(), config, Path(directory), ranks=ranks)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def test_a_stop_of_one_rank_stops_all_within_a_micro_batch(uninterrupted, tmp_path):
    said = on_ranks(2, stop_rank_one, tmp_path)
    assert said == ["Interrupted: cut: stopped and saved at step 4 of 10; run the same command to go on"] * 2
    train_on(ParallelConfig(), tmp_path)
    np.testing.assert_allclose(losses(tmp_path), uninterrupted, rtol=0, atol=1e-5)


def poisoned(directory):
    class Poisoned(Random):
        """The samples 18 and 19 are padding but for a token that the poisoned weight reads."""

        def __getitem__(self, index):
            sample = super().__getitem__(index)
            sample.tokens[sample.tokens == 511] = 510
            if index in (18, 19):
                sample.tokens[:] = 511
            return sample

    torch.manual_seed(3)
    model, ranks = Llama(PRESETS["tiny"]), lay_out(ParallelConfig(), "cpu")
    with torch.no_grad():
        model.model.embed_tokens.weight[511] = torch.nan
    parallelize(model, ranks, SEQ, "float32")
    try:
        train("bad", model, Poisoned(), CONFIG, Path(directory), ranks=ranks)
    except ChakuError as error:
        return str(error)


def test_a_loss_that_is_not_finite_names_its_rank_and_samples(tmp_path):
    for said in on_ranks(2, poisoned, tmp_path):
        assert "step 5: the loss is nan on samples 18 to 19 of rank 1;" in said


def test_the_last_states_and_the_best_are_kept(tmp_path):
    model = Llama(PRESETS["tiny"])
    optimizer = make_optimizer(model, CONFIG)
    begin_state(optimizer)
    states = States(tmp_path, model, optimizer, keep_last=2, keep_best=True)
    for step, heldout in enumerate([3.0, 1.0, 2.0, 2.5], start=1):
        states.save(Progress(step, 1.0, heldout=heldout))
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-{step:08}" for step in (2, 3, 4)]
    assert states.load() == Progress(4, 1.0, heldout=2.5)


def test_what_a_full_disk_left_of_a_state_is_removed(tmp_path):
    model = Llama(PRESETS["tiny"])
    optimizer = make_optimizer(model, CONFIG)
    begin_state(optimizer)
    states = States(tmp_path, model, optimizer)
    states.save(Progress(3, 1.0))
    (tmp_path / "step-00000006").mkdir()
    (tmp_path / "step-00000006" / "__0_0.distcp").touch()
    assert states.load().step == 3
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def test_states_on_an_object_store(uninterrupted, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    config = dataclasses.replace(CONFIG, state="memory://bucket/state", tokens=CONFIG.tokens // 2)
    train_on(ParallelConfig(), tmp_path, config=config)
    files = fsspec.filesystem("memory")
    assert [path.rpartition("/")[2] for path in files.ls("/bucket/state", detail=False)] == ["step-00000005"]
    model = Llama(PRESETS["tiny"])
    states = States("memory://bucket/state", model, make_optimizer(model, CONFIG))
    assert states.load().step == 5
    assert model.lm_head.weight.std() > 0


def test_a_state_of_an_earlier_version_is_named(tmp_path):
    (tmp_path / "step-00000004").mkdir()
    for name in ("state.safetensors", "progress.json"):
        (tmp_path / "step-00000004" / name).write_text("{}")
    model = Llama(PRESETS["tiny"])
    with pytest.raises(ChakuError, match="step-00000004 was saved by an earlier chaku"):
        States(tmp_path, model, make_optimizer(model, CONFIG)).load()
