"""A recipe with a stage of GRPO: rows become tasks, programs run in the sandbox, and the report shows the samples."""

import json
from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.files import read_json
from chaku.pipeline import run_recipe
from chaku.recipe.load import load_recipe
from chaku.sandbox.probe import check_sandbox
from chaku.training.metrics import read_metrics

pytestmark = pytest.mark.skipif(bool(check_sandbox()), reason="programs cannot be isolated here")
RECIPE = """
name = "little"
seed = 5
num_threads = 1

[corpus]
sources = [{ name = "exercises", type = "exercises", path = "1", max_bytes = 20_000 }]
num_workers = 1

[tokenizer]
vocab_size = 400
train_bytes = 20_000

[model]
preset = "tiny"

[sets]
corpus = { kinds = ["code"] }
tasks = { conversations = "TASKS", template = "llama2", heldout_fraction = 0.3 }

[stages.base]
mixture = { corpus = 1.0 }
sequence_length = 128
training = { tokens = 256, batch_tokens = 256, learning_rate = 1e-3, precision = "float32" }

[stages.rl]
parent = "base"
mixture = { tasks = 1.0 }
sequence_length = 128
lora = { rank = 4 }
training = { learning_rate = 1e-3, precision = "float32", keep_state = true }

[stages.rl.grpo]
steps = 2
prompts = 2
group_size = 2
max_tokens = 16
rounds = 1
beta = 0.1
filter_samples = 1
heldout_samples = 10
"""


def row(number: int) -> dict[str, object]:
    tests = [f"assert f({place}) == {place + number}" for place in range(3)]
    return {"prompt": f"Write f(x): add {number}. {tests[0]}", "tests": tests, "entry_point": "f"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    rows = [row(number) for number in range(12)]
    rows.append({"prompt": "assert f(1) == 1", "tests": ["assert f(1) == 1"], "entry_point": "f"})
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    path = tmp_path / "little.toml"
    path.write_text(RECIPE.replace("TASKS", str(tmp_path / "tasks.jsonl")))
    return path


def test_a_stage_samples_judges_and_goes_on(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    run_recipe(load_recipe(path), run)
    said = capsys.readouterr().err
    assert "tasks: 1 of 13 tasks left out: the row has no hidden test" in said
    assert "tasks have a pass rate from 0 to 0.875" in said
    stage = read_json(run / "stages" / "rl" / "stage.json")
    assert stage["steps"] == 2
    steps = [line for line in read_metrics(run / "stages" / "rl" / "metrics.jsonl") if "reward" in line]
    assert [line["step"] for line in steps] == [1, 2]
    for key in ("solved", "length", "entropy", "clip_share", "divergence", "gap", "cut_share", "reward_tests"):
        assert key in steps[0]
    assert (run / "stages" / "rl" / "samples" / "step-00000002.jsonl").exists()
    assert (run / "stages" / "rl" / "adapter").is_dir()
    page = (run / "report.html").read_text()
    assert "Reinforcement" in page
    assert "of the longest samples" in page
    assert "rl: the hacks that were tried" in page
    assert "Held-out tasks, sampled: pass@10" in page
    run_recipe(load_recipe(path), run)
    assert "rl: done before" in capsys.readouterr().err
    run_recipe(load_recipe(path, ["rl.grpo.steps=3"]), run)
    said = capsys.readouterr().err
    assert "rl: longer than before, and goes on" in said
    assert "rl: going on at step 2 of 3" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rl.training.tokens=100", "grpo.steps decides the length"),
        ("rl.training.batch_tokens=512", "grpo.group_size the batch"),
        ("rl.grpo.max_tokens=128", "leaves no room for a prompt"),
        ("rl.grpo.pass_rate=[0.9]", "give the lowest and the highest"),
        ("rl.grpo.loss=ppo", "must be one of 'dapo'"),
        ("rl.grpo.heldout_samples=4", "the 10 samples of a task that pass@10 needs"),
        ("rl.lora.dropout=0.1", "which dropout changes"),
        ("rl.dpo={}", "`dpo` trains on sets of `preferences`"),
        ("rl.mixture={corpus = 1.0}", "trains on sets of conversations only"),
        ('rl.grpo.rewards=[{kind = "http"}]', "needs a `path`"),
    ],
)
def test_mistakes_are_named(path: Path, change: str, message: str) -> None:
    with pytest.raises(ChakuError) as error:
        load_recipe(path, [change])
    assert message in str(error.value)


def test_rows_that_say_nothing_about_judging_are_an_error(path: Path, tmp_path: Path) -> None:
    (tmp_path / "tasks.jsonl").write_text('{"prompt": "Hello"}\n')
    with pytest.raises(ChakuError, match="do not say how replies are judged"):
        run_recipe(load_recipe(path), tmp_path / "run")
