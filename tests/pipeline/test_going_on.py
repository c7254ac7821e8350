"""A stage with more tokens goes on where that is sound; where it is not, the reason is said before any work."""

import dataclasses
import shutil
import signal

import pytest
import torch

from chaku.cli import main
from chaku.errors import ChakuError
from chaku.files import read_json, write_json
from chaku.pipeline import FinishedWork, run_recipe
from chaku.pipeline.finished_work import made_again
from chaku.pipeline.going_on import obstacle_to_going_on
from chaku.pipeline.run_directory import Run
from chaku.pipeline.stage_model import StageWork, stage_precision
from chaku.pipeline.training import BEGUN, check_states
from chaku.plain import result_settings
from chaku.recipe.load import load_recipe
from chaku.recipe.schema import StageConfig
from chaku.training.config import TrainingConfig
from chaku.training.metrics import read_metrics
from chaku.training.ranks import ALONE
from chaku.training.trainer import Interrupted, train
from killing import killed_at
from random_training import CONFIG, Random, fresh

WSD = ["schedule=wsd", "decay_share=0.25", "keep_state=true", "warmup_steps=0"]
OVERRIDES = ["evals.stages=[]", *(f"long.training.{setting}" for setting in WSD)]
SHORT, LONGER = [*OVERRIDES, "long.training.tokens=4096"], [*OVERRIDES, "long.training.tokens=8192"]  # 8 and 16 steps


@pytest.fixture
def out(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def weights(out):
    return (out / "stages" / "long" / "model.safetensors").read_bytes()


def steps(out):
    return [line["step"] for line in read_metrics(out / "stages" / "long" / "metrics.jsonl") if "loss" in line]


def test_more_tokens_after_the_end_give_what_one_long_run_gives(recipe_path, out, tmp_path, capsys):
    shutil.copytree(out, tmp_path / "straight")
    run_recipe(load_recipe(recipe_path, SHORT), out, make_again=True)
    stage = out / "stages" / "long"
    assert [path.name for path in (stage / "state").iterdir()] == ["step-00000006"]  # before the decay of 2 steps
    before, files = weights(out), {path.name for path in stage.iterdir()}
    words = ["run", str(recipe_path), "--out", str(out)]
    longer = [word for override in LONGER for word in ("--set", override)]
    assert killed_at("chaku.training.trainer.optimizer_step", 4, main, [*words, *longer])
    assert (out / "stages" / ".long.old" / "model.safetensors").read_bytes() == before
    run_recipe(load_recipe(recipe_path, SHORT), out)  # the change is taken back, and taken again
    assert weights(out) == before
    assert {path.name for path in stage.iterdir()} == files
    capsys.readouterr()
    run_recipe(load_recipe(recipe_path, LONGER), out)  # allowed without --yes: nothing is lost
    said = capsys.readouterr().err
    assert "long: longer than before, and goes on" in said
    assert "long: going on at step 6 of 16" in said
    run_recipe(load_recipe(recipe_path, LONGER), tmp_path / "straight", make_again=True)
    assert weights(out) == weights(tmp_path / "straight") != before
    assert read_json(stage / "stage.json")["tokens"] == 8192
    assert steps(out) == list(range(1, 17))
    assert not (out / "stages" / ".long.old").exists()


def test_an_unfinished_stage_goes_on_in_its_place(recipe_path, out, capsys):
    shutil.rmtree(out / "stages" / "long")
    words = ["run", str(recipe_path), "--out", str(out), "--set", "evals.stages=[]"]
    words += ["--set", "long.training.checkpoint_every=2"]
    assert killed_at("chaku.training.trainer.optimizer_step", 4, main, words)
    assert main([*words, "--set", "long.training.tokens=4096"]) == 0
    assert "long: going on at step 2 of 8" in capsys.readouterr().err
    assert steps(out) == list(range(1, 9))


def test_without_its_state_it_is_said_that_it_cannot_go_on(recipe_path, out):
    with pytest.raises(FinishedWork, match=r"stages/long[\s\S]*its state was not kept; training.keep_state"):
        run_recipe(load_recipe(recipe_path, ["evals.stages=[]", "long.training.tokens=4096"]), out)


def test_a_state_of_the_decay_is_not_enough(tmp_path):
    short = dataclasses.replace(CONFIG, schedule="wsd", decay_share=0.5)
    longer = dataclasses.replace(short, tokens=24 * CONFIG.batch_tokens)
    with pytest.raises(Interrupted):
        train("cut", fresh(), Random(kill_at=(9 * 4, signal.SIGTERM)), short, tmp_path)
    before, now = ({"stage": {"training": result_settings(training)}} for training in (short, longer))
    assert "its state before the decay was not kept" in (obstacle_to_going_on(before, now, tmp_path, longer) or "")
    assert obstacle_to_going_on(now, before, tmp_path, short) is None  # a shorter stage
    assert obstacle_to_going_on({**before, "seed": 2}, now, tmp_path, longer) is None


def test_only_what_builds_on_a_longer_stage_is_made_again(recipe_path, out):
    write_json(out / "stages/base/state/step-00000012/progress.json", {"step": 12, "seconds": 1.0, "num_steps": 12})
    recipe = load_recipe(recipe_path, ["evals.stages=[]", "base.training.tokens=12288"])
    again = made_again(Run(recipe, out, torch.device("cpu")))
    assert [work.name for work in again] == ["stages/code", "stages/long"]


def test_states_elsewhere_belong_to_one_stage_with_its_settings(recipe_path, out, tmp_path, capsys):
    shutil.rmtree(out / "stages" / "long")
    elsewhere = tmp_path / "bucket"
    words = ["run", str(recipe_path), "--out", str(out), "--set", "evals.stages=[]", "--yes"]
    words += ["--set", "long.training.checkpoint_every=2", "--set", f"long.training.state={elsewhere}"]
    assert killed_at("chaku.training.trainer.optimizer_step", 4, main, words)
    [states] = elsewhere.iterdir()
    assert states.name.startswith("long-")
    assert [path.name for path in states.iterdir()] == ["step-00000002"]
    assert main([*words, "--set", "long.training.learning_rate=0.002"]) == 0  # not from the state of another rate
    assert "going on" not in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == [states]  # its own states are removed at its end, no others
    assert not (out / "stages" / "long" / "state").exists()


def write_state(directory, **fields):
    write_json(directory / "step-00000003" / "progress.json", {"step": 3, "seconds": 1.0, **fields})


def test_a_stage_that_has_begun_does_not_begin_again_where_it_has_no_states(tmp_path):
    stage, before, now = tmp_path / "code", str(tmp_path / "before"), str(tmp_path / "now")
    check_states(stage, now)
    write_json(stage / BEGUN, {"tokens": 100, "states": before})
    check_states(stage, now)  # nothing was saved
    write_state(tmp_path / "before")
    check_states(stage, before)
    with pytest.raises(ChakuError, match=rf"stage code has saved its states in {before}, but .* now means {now}"):
        check_states(stage, now)
    write_state(tmp_path / "now")
    check_states(stage, now)  # they were copied


def test_auto_precision_is_that_of_the_state_from_which_the_stage_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("chaku.pipeline.stage_model.choose_precision", lambda precision, device: "bfloat16")
    stage = StageConfig(mixture={}, training=TrainingConfig(tokens=320, batch_tokens=32), sequence_length=32)
    work = StageWork(None, tmp_path, "code", stage, None, None, 1, str(tmp_path / "state"))
    assert stage_precision(work, torch.device("cpu"), ALONE) == "bfloat16"
    write_state(tmp_path / "state", precision="float32", num_steps=10)
    assert stage_precision(work, torch.device("cpu"), ALONE) == "float32"
