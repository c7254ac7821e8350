"""`torchrun -m chaku run` on two processes: the losses of one process, one report, and a stop that one process resumes.

Every torchrun is a process of its own with two of Python and torch; so there are few.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from chaku.files import read_json
from chaku.ownership import MARKER
from chaku.pipeline import run_recipe
from chaku.recipe.load import load_recipe
from chaku.training.metrics import read_metrics

LORA = """
[stages.adapted]
parent = "code"
mixture = { code = 1.0 }
sequence_length = 128
lora = { rank = 4 }
training.tokens = 4096
training.batch_tokens = 512
training.warmup_steps = 2
training.precision = "float32"
"""
STAGES = ("base", "code", "long", "adapted")


@pytest.fixture
def recipe_with_lora(recipe_path, tmp_path):
    path = tmp_path / "little.toml"
    path.write_text(recipe_path.read_text() + LORA)
    return path


@pytest.fixture
def out(whole, tmp_path):
    """A run directory with what is made before the stages."""
    for name in ("corpus", "tokenizer", "tokens"):
        shutil.copytree(whole / name, tmp_path / "run" / name)
    shutil.copy(whole / MARKER, tmp_path / "run")
    return tmp_path / "run"


def torchrun(recipe, out, *settings):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command += ["-m", "chaku", "run", str(recipe), "--out", str(out), "--set", "evals.stages=[]", *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def metrics(out, stage, name="loss"):
    return [line[name] for line in read_metrics(out / "stages" / stage / "metrics.jsonl") if name in line]


def test_two_processes_give_the_losses_of_one_and_one_report(whole, recipe_with_lora, out, tmp_path):
    process = torchrun(recipe_with_lora, out)
    said, complained = process.communicate(timeout=300)
    assert process.returncode == 0, complained
    assert said.splitlines()[0] == str(out / "report.html")
    assert said.count("report.html") == 1
    assert complained.count("tokens/s, float32") == len(STAGES)
    alone = tmp_path / "alone"
    shutil.copytree(whole, alone)
    run_recipe(load_recipe(recipe_with_lora, ["evals.stages=[]"]), alone)
    for stage in STAGES:
        np.testing.assert_allclose(metrics(out, stage), metrics(alone, stage), rtol=0, atol=1e-4)
        rates = metrics(out, stage, "infilling_rate"), metrics(alone, stage, "infilling_rate")
        np.testing.assert_allclose(*rates, err_msg=stage)
        assert (out / "stages" / stage / "stage.json").exists()
    assert read_json(out / "stages" / "code" / "config.json") == read_json(alone / "stages" / "code" / "config.json")
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")


def test_two_processes_that_are_stopped_go_on_as_one(whole, recipe_path, out):
    process = torchrun(recipe_path, out, "--set", "code.training.checkpoint_every=1000")
    deadline = time.monotonic() + 240
    while len(metrics(out, "code")) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, complained = process.communicate(timeout=120)
    assert complained.count("stopping after this micro-batch") == 1
    assert complained.count("code: stopped and saved at step") == 1
    assert complained.count("chaku:") == 1
    [state] = (out / "stages" / "code" / "state").iterdir()
    assert 2 <= int(state.name.removeprefix("step-")) < 20
    base = (out / "stages" / "base" / "model.safetensors").stat().st_mtime_ns
    run_recipe(load_recipe(recipe_path, ["evals.stages=[]"]), out)
    assert (out / "stages" / "base" / "model.safetensors").stat().st_mtime_ns == base
    for stage in ("base", "code", "long"):
        np.testing.assert_allclose(metrics(out, stage), metrics(whole, stage), rtol=0, atol=1e-4)
