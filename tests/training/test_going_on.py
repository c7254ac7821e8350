"""A longer stage goes on from the state of a shorter one: with "wsd" as if it had been the longer one all along."""

import signal
from dataclasses import replace

import pytest
import torch

from chaku.training.metrics import read_metrics
from chaku.training.schedule import goes_on, learning_rate
from chaku.training.state import saved_states
from chaku.training.trainer import Interrupted, train
from random_training import CONFIG, Random, fresh

STEP = CONFIG.batch_tokens
WSD = replace(CONFIG, schedule="wsd", decay_share=1 / 3, warmup_steps=1, keep_state=True)  # decays from step 8 of 12 on
LONGER = replace(WSD, tokens=24 * STEP)


def logged(directory, name):
    return [line[name] for line in read_metrics(directory / "metrics.jsonl") if name in line]


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The weights and the losses of 24 steps in one go."""
    directory, model = tmp_path_factory.mktemp("straight"), fresh()
    train("straight", model, Random(), LONGER, directory)
    return model.state_dict(), logged(directory, "loss")


def same(model, expected):
    return all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


def test_wsd_goes_on_from_the_state_before_its_decay(straight, tmp_path):
    train("short", fresh(), Random(), WSD, tmp_path)
    assert sorted(state.step for state in saved_states(tmp_path / "state")) == [8, 12]
    model = fresh()
    train("long", model, Random(), LONGER, tmp_path)
    assert same(model, straight[0])
    assert logged(tmp_path, "loss") == straight[1]
    assert sorted(state.step for state in saved_states(tmp_path / "state")) == [16, 24]


def test_it_may_be_stopped_in_both_decays(straight, tmp_path):
    for config, sample in ((WSD, 9 * 4), (LONGER, 9 * 4), (LONGER, 20 * 4)):
        with pytest.raises(Interrupted):
            train("cut", fresh(), Random(kill_at=(sample, signal.SIGTERM)), config, tmp_path)
    model = fresh()
    train("cut", model, Random(), LONGER, tmp_path)
    assert same(model, straight[0])
    assert logged(tmp_path, "loss") == straight[1]


def test_a_cosine_goes_on_from_its_end_with_the_rates_of_the_longer_stage(tmp_path):
    train("short", fresh(), Random(), CONFIG, tmp_path)
    short = logged(tmp_path, "loss")
    longer = replace(CONFIG, tokens=24 * STEP)
    train("long", fresh(), Random(), longer, tmp_path)
    assert logged(tmp_path, "loss")[:12] == short
    assert logged(tmp_path, "step") == list(range(1, 25))
    expected = [learning_rate(step, 12 if step < 12 else 24, longer) for step in range(24)]
    assert logged(tmp_path, "learning_rate") == expected


def test_from_which_states_a_stage_goes_on():
    assert goes_on(8, 12, 24, WSD)  # eight steps are done: the decay begins with the ninth
    assert not goes_on(9, 12, 24, WSD)
    assert goes_on(9, 12, 12, WSD)
    assert goes_on(12, 12, 24, CONFIG)
