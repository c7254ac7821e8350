"""Trackers get the metrics of a stage, under one id however often the stage is resumed, and never end a training."""

import importlib.machinery
import sys
import types
from dataclasses import replace

import pytest

from chaku import ChakuError
from chaku.files import read_json
from chaku.training import trackers
from chaku.training.metrics import MetricsLog
from chaku.training.ranks import Ranks
from chaku.training.trackers import TrackedStage, open_trackers
from random_training import CONFIG, Random, fresh, train


class Calls(types.ModuleType):
    """A module of a tracker: it records its calls, and has one run."""

    def __init__(self, name):
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self.calls = []
        self.info = types.SimpleNamespace(run_id="r1")
        for function in ("init", "log", "finish", "set_experiment", "start_run", "log_params", "log_metrics"):
            setattr(self, function, self._recorder(function))
        self.log_text, self.end_run = self._recorder("log_text"), self._recorder("end_run")

    def _recorder(self, function):
        def record(*positional, **named):
            self.calls.append((function, positional, named))
            return self

        return record

    def named(self, function):
        return [(positional, named) for called, positional, named in self.calls if called == function]


@pytest.fixture
def fake(monkeypatch):
    def install(name):
        monkeypatch.setitem(sys.modules, name, Calls(name))
        return sys.modules[name]

    monkeypatch.setattr(trackers, "is_installed", lambda name: name in sys.modules and name != "tensorboard")
    return install


def stage(directory, first_step=0):
    return TrackedStage("demo", "code", directory, first_step, {"learning_rate": 1e-3})


def log_two_steps(directory, names, first_step=0):
    with MetricsLog(directory, first_step, open_trackers(names, stage(directory, first_step))) as log:
        log.write(first_step + 1, loss=2.5, heldout_loss={"code": 1.5})
        log.write(first_step + 2, sample={"prompt": "def ", "text": "f(): pass"})


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_resumed_stage_goes_on_in_the_same_run(fake, tmp_path, name):
    module = fake(name)
    log_two_steps(tmp_path, (name,))
    log_two_steps(tmp_path, (name,), first_step=2)
    key = "id" if name == "wandb" else "name"
    [(_, first), (_, second)] = module.named("init")
    assert first[key] == second[key] == read_json(tmp_path / "trackers.json")[name]
    assert (first["project"], first["resume"], first["config"]) == ("demo", "allow", {"learning_rate": 1e-3})
    assert module.named("log") == [
        (({"loss": 2.5, "heldout_loss/code": 1.5},), {"step": 1}),
        (({"sample": "f(): pass"},), {"step": 2}),
        (({"loss": 2.5, "heldout_loss/code": 1.5},), {"step": 3}),
        (({"sample": "f(): pass"},), {"step": 4}),
    ]
    assert len(module.named("finish")) == 2


def test_mlflow_has_one_run_with_its_settings_once(fake, tmp_path):
    mlflow = fake("mlflow")
    log_two_steps(tmp_path, ("mlflow",))
    log_two_steps(tmp_path, ("mlflow",), first_step=2)
    assert mlflow.named("set_experiment") == [(("demo",), {})] * 2
    assert mlflow.named("start_run") == [((), {"run_name": "code"}), ((), {"run_id": "r1"})]
    assert mlflow.named("log_params") == [(({"learning_rate": 1e-3},), {})]
    assert mlflow.named("log_metrics")[0] == (({"loss": 2.5, "heldout_loss/code": 1.5},), {"step": 1})
    assert mlflow.named("log_text")[0] == (("f(): pass", "sample/step-00000002.txt"), {})
    assert len(mlflow.named("end_run")) == 2


def test_other_ids_are_kept(fake, tmp_path):
    fake("wandb")
    fake("trackio")
    log_two_steps(tmp_path, ("wandb",))
    before = read_json(tmp_path / "trackers.json")
    log_two_steps(tmp_path, ("wandb", "trackio"))
    assert set(after := read_json(tmp_path / "trackers.json")) == {"wandb", "trackio"}
    assert after["wandb"] == before["wandb"]


def test_a_tracker_that_fails_is_said_once_and_does_not_end_the_training(fake, tmp_path, capsys):
    wandb = fake("wandb")

    def refuse(*_, **__):
        raise ConnectionError("the server is away")

    wandb.log = refuse
    log_two_steps(tmp_path, ("wandb",))
    assert capsys.readouterr().err.count("wandb failed (the server is away)") == 1
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_tracker_that_does_not_start_is_an_error(fake, tmp_path):
    def refuse(**_):
        raise RuntimeError("no login")

    fake("wandb").init = refuse
    with pytest.raises(ChakuError, match=r"training.trackers: wandb does not start \(no login\)"):
        open_trackers(("wandb",), stage(tmp_path))


def test_of_many_ranks_only_the_first_one_logs(fake, tmp_path):
    wandb = fake("wandb")
    config = replace(CONFIG, trackers=("wandb",), profile_steps=(1, 1), tokens=1)
    for rank in (1, 0):
        directory = tmp_path / str(rank)
        train("code", fresh(), Random(), config, directory, ranks=Ranks(rank=rank))
        assert bool(wandb.calls) == (rank == 0)
        logged = {"metrics.jsonl", "trackers.json", "profile-1-1.json.gz"} if rank == 0 else set()
        assert {path.name for path in directory.iterdir()} - {"state"} == logged


def test_a_tracker_that_is_not_installed_is_an_error(fake, tmp_path):
    with pytest.raises(ChakuError, match="mlflow, which is not installed: pip install mlflow,"):
        open_trackers(("mlflow",), stage(tmp_path))
    assert open_trackers((), stage(tmp_path)) == []
