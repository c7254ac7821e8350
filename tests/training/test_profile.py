"""The profile of some steps: a trace with an event for each of these steps, also when the training is stopped."""

import gzip
import json
import signal
from dataclasses import replace

import pytest

from chaku.training.trainer import Interrupted, train
from random_training import CONFIG, Random, fresh


def recorded(path):
    """The names of the events in a trace, and the steps among them."""
    with gzip.open(path, "rt") as file:
        names = {event.get("name", "") for event in json.load(file)["traceEvents"]}
    return names, sorted(name for name in names if name.startswith("step "))


def test_the_trace_has_the_steps_and_their_operations(tmp_path, capsys):
    config = replace(CONFIG, profile_steps=(2, 3), tokens=4 * 4 * 32)
    train("code", fresh(), Random(), config, tmp_path)
    path = tmp_path / "profile-2-3.json.gz"
    names, steps = recorded(path)
    assert steps == ["step 2", "step 3"]
    assert any(name.startswith("aten::") for name in names)
    assert f"the profile is in {path}" in capsys.readouterr().err


def test_a_training_that_is_stopped_writes_the_steps_so_far(tmp_path):
    config = replace(CONFIG, profile_steps=(2, 9))
    with pytest.raises(Interrupted):
        train("code", fresh(), Random(kill_at=(8, signal.SIGTERM)), config, tmp_path)
    assert recorded(tmp_path / "profile-2-9.json.gz")[1] == ["step 2", "step 3"]
    assert list(tmp_path.glob("profile*")) == [tmp_path / "profile-2-9.json.gz"]


def test_without_steps_nothing_is_recorded(tmp_path):
    train("code", fresh(), Random(), replace(CONFIG, tokens=1), tmp_path)
    assert not list(tmp_path.glob("profile*"))
