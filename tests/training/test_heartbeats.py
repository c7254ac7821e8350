"""A rank that hangs, or is gone, is named by another rank."""

import dataclasses
import json
import socket
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import random_training
from chaku.errors import ChakuError, Interrupted
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.packed_dataset import PackedSample
from chaku.training import heartbeats
from chaku.training.config import ParallelConfig, TrainingConfig
from chaku.training.heartbeats import Beat, who_stands
from chaku.training.parallel import parallelize
from chaku.training.ranks import lay_out
from chaku.training.trainer import train
from ranks import on_ranks

SEQ = 16
CONFIG = TrainingConfig(
    tokens=10 * 4 * SEQ, batch_tokens=4 * SEQ, micro_batch_tokens=SEQ, precision="float32", timeout_minutes=3 / 60
)


class Slow:
    """Random tokens, each sample a function of its index. Reading sample 10, rank 1's in step 3, waits for `hang`."""

    sequence_length, seed = SEQ, 11

    def __init__(self, hang=lambda: None):
        self.hang = hang

    def __getitem__(self, index):
        if index == 10:
            self.hang()
        tokens = np.random.default_rng(index).integers(0, 512, SEQ + 1).astype(np.int32)
        return PackedSample(tokens, np.zeros(SEQ + 1, dtype=np.int32), 7, "random", 0)


def train_until_one_hangs(directory):
    """The error of this rank, and the warnings that it printed."""
    heartbeats.PERIOD = 0.3
    said = []
    heartbeats.warn = said.append
    ranks = lay_out(ParallelConfig(), "cpu")

    def train_on(name, dataset, config):
        torch.manual_seed(3)
        model = Llama(PRESETS["tiny"])
        parallelize(model, ranks, SEQ, "float32")
        train(name, model, dataset, config, Path(directory) / name, ranks=ranks)

    def hang():
        while not ended(0):
            time.sleep(0.1)

    def ended(rank):
        return (Path(directory) / f"ended-{rank}").exists()

    # Not within 3 s of a wait: on a busy machine, the first steps and rank 0's imports of trackers take longer.
    train_on("warm", Slow(), dataclasses.replace(CONFIG, tokens=2 * 4 * SEQ, timeout_minutes=1))
    try:
        train_on("slow", Slow(hang), CONFIG)
    except ChakuError as error:
        (Path(directory) / f"ended-{ranks.rank}").touch()
        while not ended(1 - ranks.rank):  # rank 0 keeps the store
            time.sleep(0.1)
        return f"{type(error).__name__}: {error}", said


def test_a_rank_that_hangs_is_named_with_its_last_place(tmp_path):
    (first, warned), (second, _) = on_ranks(2, train_until_one_hangs, tmp_path)
    late = f"rank 1 ({socket.gethostname()}) has not moved for"
    assert first.startswith(f"LostContact: {late} ")
    assert " s, since slow, step 3, reading its batch (on rank 0: Timed out waiting 3000ms" in first
    assert second == "EndedElsewhere: another rank says why the run ends"
    [warning] = warned
    assert warning.startswith(f"{late} ")
    assert warning.endswith(" s, since slow, step 3, reading its batch; the run ends after 3 s of waiting")


def train_until_the_launcher_is_gone(directory):
    """The error of this rank, when nothing answers for the store from its second report on."""

    class Gone:
        def clone(self):
            return self

        def set(self, key, value):
            if json.loads(value)["moves"] > 0:
                raise torch.distributed.DistNetworkError("the connection was closed")

    heartbeats.PERIOD = 0.01
    torch.manual_seed(3)
    model, ranks = Llama(PRESETS["tiny"]), lay_out(ParallelConfig(), "cpu")
    parallelize(model, ranks, SEQ, "float32")
    config = dataclasses.replace(random_training.CONFIG, tokens=100_000 * SEQ, checkpoint_every=100_000)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(heartbeats, "_store", Gone)
        try:
            train("left", model, random_training.Random(), config, Path(directory), ranks=ranks)
        except Interrupted as error:
            return str(error)


def test_ranks_without_their_launcher_save_and_end(tmp_path):
    for said in on_ranks(2, train_until_the_launcher_is_gone, tmp_path):
        assert said.startswith("left: stopped and saved at step ")
        assert " because the launcher of the ranks is gone; run the same command" in said
    assert len(list((tmp_path / "state").glob("step-*/progress.json"))) == 1


def beat(rank, moves, moved, seen):
    return Beat(rank, f"host-{rank}", f"code, step {moves}", moves, moved, seen)


def test_a_rank_that_is_gone_is_named_before_a_rank_that_is_behind():
    there, gone, behind = beat(0, 17, 100, 1899), beat(1, 17, 100, 105), beat(2, 16, 99, 1899)
    assert (
        who_stands([there, gone, behind], 1900) == "rank 1 (host-1) has not answered for 1,795 s, since code, step 17"
    )
    assert who_stands([there, behind], 1900) == "rank 2 (host-2) has not moved for 1,801 s, since code, step 16"
    assert who_stands([there, there], 1900) == "all 2 ranks have not moved for 1,800 s, since code, step 17"


def test_many_ranks_that_are_gone_are_counted():
    beats = [beat(0, 3, 10, 60), *(beat(rank, 3, 10, 10) for rank in range(1, 20))]
    text = who_stands(beats, 60)
    assert text.count("has not answered") == 8
    assert text.endswith("; and 11 more")


def test_one_process_needs_no_timeout(tmp_path):
    torch.manual_seed(3)
    config = dataclasses.replace(CONFIG, timeout_minutes=1e-6, tokens=2 * 4 * SEQ)
    assert train("alone", Llama(PRESETS["tiny"]), Slow(), config, tmp_path).step == 2
