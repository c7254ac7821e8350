"""A recipe with a shop: made once, learnt from, asked about before and after, shown in the report."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from chaku.checkpoint.huggingface import save_config
from chaku.cli import main
from chaku.errors import ChakuError
from chaku.files import RECORD, read_json, sha256_json, write_json, write_text
from chaku.model.config import PRESETS
from chaku.pipeline import engines, measuring
from chaku.pipeline.chat_sets import prompts_fingerprint, set_inputs
from chaku.pipeline.run_directory import Run, fingerprinted
from chaku.pipeline.shop import CONVERSATIONS, shop_prompt
from chaku.recipe.load import load_recipe
from chaku.sql.training.example_prompts import trained_prompt
from chaku.tokens.loader import Batch
from chaku.tokens.tokenizer import Tokenizer
from chaku.training.workload import Workload
from family import write_files

RECIPE = """
name = "asks"
num_threads = 1

[corpus]
sources = [{ name = "files", type = "tree", path = "FILES" }]
heldout_fraction = 0.25
num_workers = 1

[tokenizer]
vocab_size = 340
train_bytes = 100_000

[model]
preset = "tiny"

[shop]
num_train = 40
num_dev = 6

[sets]
code = { kinds = ["code"] }
shop = { shop = "train", template = "llama2" }

[stages.base]
mixture = { code = 1.0 }
sequence_length = 512
training = { tokens = 1024, batch_tokens = 512, learning_rate = 1e-3, precision = "float32" }

[stages.sql]
parent = "base"
mixture = { shop = 1.0 }
sequence_length = 512
training = { tokens = 2048, batch_tokens = 1024, learning_rate = 1e-3, precision = "float32" }
"""


def write_recipe(directory: Path) -> Path:
    write_files(directory / "files")
    path = directory / "asks.toml"
    path.write_text(RECIPE.replace("FILES", str(directory / "files")))
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)


@dataclass(frozen=True)
class Made:
    """A finished run. `tried`: for each call of `write_commands`, which is not made, the stages that it was given."""

    recipe: Path
    run: Path
    tried: list[list[str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    directory = tmp_path_factory.mktemp("shop")
    made = Made(write_recipe(directory), directory / "run", [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chaku.pipeline.run.write_commands", lambda run, fingerprints, learnt: made.tried.append(learnt))
        assert main(["run", str(made.recipe), "--out", str(made.run)]) == 0
    return made


def test_a_stage_learns_about_the_shop_and_is_asked_before_and_after(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run = made.recipe, made.run
    assert made.tried == [["sql"]]
    monkeypatch.setattr("chaku.pipeline.run.write_commands", lambda run, fingerprints, learnt: None)
    for stage in ("base", "sql"):
        shop = read_json(run / "evals" / stage / "shop.json")
        assert shop["results"]["counts"]["scored"] == 6
        assert shop["manifest"]["model_sha256"]
    assert read_json(run / "stages" / "sql" / "stage.json")["conversations"]
    assert trained_prompt(run / "stages" / "sql") == shop_prompt(load_recipe(recipe).shop)
    assert trained_prompt(run / "stages" / "base") is None
    page = (run / "report.html").read_text()
    assert "Text-to-SQL" in page
    assert "execution accuracy" in page
    capsys.readouterr()
    run = shutil.copytree(run, tmp_path / "moved")  # a run goes on where it is moved
    before = {path: path.read_bytes() for path in run.rglob("shop*.json*")}
    assert main(["run", str(recipe), "--out", str(run)]) == 0
    said = capsys.readouterr().err
    for step in ("corpus", "tokens", "shop", "conversations/shop", "base", "sql"):
        assert f"{step}: done before" in said
    assert "execution accuracy" not in said
    assert {path: path.read_bytes() for path in run.rglob("shop*.json*")} == before
    shutil.rmtree(run / "shop")  # what was removed, to save disk say, makes no finished stage count as changed
    assert main(["run", str(recipe), "--out", str(run)]) == 0
    said = capsys.readouterr().err
    for step in ("conversations/shop", "base", "sql"):
        assert f"{step}: done before" in said
    shutil.rmtree(run / "shop")
    assert main(["run", str(recipe), "--out", str(run), "--set", "shop.num_train=50"]) == 2
    assert "conversations/shop would be made again" in capsys.readouterr().err


def test_what_an_earlier_version_made_from_a_whole_path_stays_valid(
    recipe: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    loaded, run, place = load_recipe(recipe), tmp_path / "run", f"shop/{CONVERSATIONS}"
    write_text(run / place, "{}\n")
    now = set_inputs(loaded, "shop", tokenizer, run)
    assert list(now["files"]) == [place]
    old = fingerprinted({**now, "files": {f"/before/it/was/moved/{place}": now["files"][place]}})
    write_json(run / "conversations" / "shop" / RECORD, old)
    assert fingerprinted(set_inputs(loaded, "shop", tokenizer, run)) == old
    prompts = sha256_json({**now, "files": {str(run / place): now["files"][place]}})
    assert prompts_fingerprint(now, run, prompts) == prompts
    assert prompts_fingerprint(now, run, None) == prompts_fingerprint(now, run, "other") == sha256_json(now)


def test_what_is_learnt_about_the_shop_needs_a_shop(recipe: Path) -> None:
    recipe.write_text(recipe.read_text().replace("[shop]\nnum_train = 40\nnum_dev = 6\n", ""))
    with pytest.raises(ChakuError, match=r"stages.sql trains on the shop's questions, but the recipe has no \[shop\]"):
        load_recipe(recipe)


FINE_TUNE = """
name = "fine-tunes"
num_threads = 1

[budget]
minutes = 1.0

[model]
path = "MODEL"

[shop]
num_train = 40
num_dev = 6
chinese = false

[sets]
shop = { shop = "train", template = "llama2" }

[stages.sql]
mixture = { shop = 1.0 }
sequence_length = 512
lora = { rank = 4, alpha = 8 }
training = { share = 1.0, batch_tokens = 512, learning_rate = 1e-3, precision = "float32" }

[evals]
stages = ["model"]
benchmarks = ["first_steps"]
max_tokens = 4
"""


def test_the_model_that_a_run_begins_with_is_measured_too(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = []

    def speed(work: Workload, batches: Iterator[Batch], device: object, ranks: object) -> float:
        assert work.lora is not None
        timed.append((work.lora.rank, next(batches).trained is not None))
        return 20.0

    monkeypatch.setattr("chaku.pipeline.budget.measure_training_speed", speed)
    fine_tune = tmp_path / "fine-tune.toml"
    fine_tune.write_text(FINE_TUNE.replace("MODEL", str(made.run / "stages" / "base")))
    run = tmp_path / "run"
    assert main(["run", str(fine_tune), "--out", str(run)]) == 0
    assert timed == [(4, True)]  # as the stage is trained: its adapter, on its own conversations
    assert read_json(run / "stages" / "sql" / "stage.json")["tokens"] == 1024
    before, after = (read_json(run / "evals" / stage / "shop.json") for stage in ("model", "sql"))
    assert before["manifest"]["model_sha256"] != after["manifest"]["model_sha256"]
    assert [row["stage"] for row in read_json(run / "samples.json")] == ["model", "model", "model"]
    assert (run / "stages" / "sql" / "adapter" / "adapter_config.json").is_file()
    assert (run / "shop" / "train.jsonl").read_text().isascii()
    capsys.readouterr()
    assert main(["run", str(fine_tune), "--out", str(run)]) == 0
    assert "execution accuracy" not in capsys.readouterr().err


def test_the_name_of_the_base_model_is_not_a_stages(recipe: Path) -> None:
    with pytest.raises(ChakuError, match=r"means the checkpoint of model\.path; set model\.path"):
        load_recipe(recipe, ['evals.stages=["model"]'])
    recipe.write_text(recipe.read_text().replace("[stages.base]", "[stages.model]").replace('"base"', '"model"'))
    with pytest.raises(ChakuError, match=r"stages\.model: evals\.stages uses the name 'model' for model\.path"):
        load_recipe(recipe)


def test_a_stage_is_measured_on_the_device_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(engines, "load_engine", lambda name, device: asked.append(device))
    save_config(PRESETS["tiny"], tmp_path / "stages" / "sql", torch.float32)
    run = Run(SimpleNamespace(), tmp_path, torch.device("cuda", 1))  # type: ignore[arg-type]
    measuring.stage_engine(run, "sql")
    assert asked == ["cuda:1"]
