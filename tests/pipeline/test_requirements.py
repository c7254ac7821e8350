"""What a recipe needs is found out before its first step; what can run without what is missing still runs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chaku.errors import ChakuError
from chaku.model.config import PRESETS, LoraConfig
from chaku.pipeline import requirements as module
from chaku.pipeline import room
from chaku.pipeline.leave_out import in_a_table, leave_out, ready
from chaku.pipeline.parts import Part, Requirement
from chaku.pipeline.requirements import requirements
from chaku.recipe.load import load_recipe
from chaku.recipe.schema import Recipe
from chaku.sandbox.languages import toolchains
from chaku.sandbox.obstacles import Obstacle
from chaku.sandbox.probe import NoSandbox
from family import write_recipe

CPU = torch.device("cpu")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return load_recipe(write_recipe(tmp_path))


@pytest.fixture
def demo() -> Recipe:
    """The demo that writes instructions: base, then passed and unfiltered, which learn from what base wrote."""
    return load_recipe(Path(__file__).parents[2] / "recipes" / "demo-instruct.toml")


def missing(recipe: Recipe, tmp_path: Path) -> dict[str, Requirement]:
    return {
        requirement.name: requirement
        for requirement in requirements(recipe, tmp_path / "run", CPU)
        if not requirement.is_there
    }


def without_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise NoSandbox(Obstacle("AppArmor forbids it", "sudo sysctl -w this=0"))

    monkeypatch.setattr(module, "how_to_isolate", none)


def test_nothing_is_missing_is_one_line(recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left, left_out = ready(recipe, tmp_path / "run", CPU, without_missing=False)
    assert (left, left_out) == (recipe, [])
    said = capsys.readouterr().err
    assert said.startswith("checked: the source files, memory ")
    assert said.endswith("; nothing is missing\n")
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_sandbox_is_needed_only_where_code_runs(
    recipe: Recipe, demo: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_sandbox(monkeypatch)
    assert missing(recipe, tmp_path) == {}
    runs = replace(recipe, evals=replace(recipe.evals, benchmarks=("bits_per_byte", "first_steps")))
    assert missing(runs, tmp_path) == {
        "a sandbox: AppArmor forbids it": Requirement(
            "a sandbox: AppArmor forbids it", (Part("benchmark", "first_steps"),), False, "sudo sysctl -w this=0"
        )
    }
    [needed] = missing(demo, tmp_path).values()
    assert needed.needed_by == (Part("benchmark", "exercises"), Part("instruct"))


def test_a_benchmark_without_its_toolchain_is_left_out_alone(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "benchmarks"
    (folder / "multipl-e").mkdir(parents=True)
    row = '{"name": "HumanEval_0_f", "prompt": "fn f() {", "tests": "fn main() {}"}\n'
    (folder / "multipl-e" / "humaneval-rs.jsonl").write_text(row)
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(folder))
    monkeypatch.setattr(toolchains, "missing_tools", lambda name: ["rustc"] if name == "rust" else [])
    wants = replace(recipe, evals=replace(recipe.evals, benchmarks=("bits_per_byte", "multipl-e-rs")))
    lacks = missing(wants, tmp_path)["rustc for rust"]
    assert lacks.needed_by == (Part("benchmark", "multipl-e-rs"),)
    assert lacks.how_to_get.startswith("apt-get install rustc")
    left, left_out = leave_out(wants, [lacks])
    assert left == replace(wants, evals=replace(wants.evals, benchmarks=("bits_per_byte",)))
    assert [(str(part.part), part.why) for part in left_out] == [
        ("benchmark multipl-e-rs", "rustc for rust is missing")
    ]


def test_a_library_that_programs_use_is_needed_too(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "benchmarks"
    (folder / "multipl-e").mkdir(parents=True)
    row = '{"name": "HumanEval_0_f", "prompt": "sub f {", "tests": "use Test::Deep;"}\n'
    (folder / "multipl-e" / "humaneval-pl.jsonl").write_text(row)
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(folder))
    monkeypatch.setattr(toolchains, "missing_tools", lambda name: [])
    monkeypatch.setattr(toolchains, "find_library", lambda language, needed: None)
    wants = replace(recipe, evals=replace(recipe.evals, benchmarks=("multipl-e-pl",)))
    assert "libtest-deep-perl" in missing(wants, tmp_path)["a library of multipl-e-pl"].how_to_get


def test_instructions_that_cannot_be_judged_take_what_learns_from_them_along(
    demo: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_sandbox(monkeypatch)
    with pytest.raises(ChakuError, match="nothing was done"):
        ready(demo, tmp_path / "run", CPU, without_missing=False)
    left, left_out = ready(demo, tmp_path / "run", CPU, without_missing=True)
    assert list(left.stages) == ["base"]
    assert left.instruct is None
    assert left.evals.stages == ("base",)
    assert left.evals.benchmarks == ()
    parts = ["benchmark exercises", "[instruct]", "stage passed", "stage unfiltered"]
    assert [str(part.part) for part in left_out] == parts
    assert left_out[-1].why == "it trains on the data of [instruct], which is left out"
    assert f"left out: {', '.join(parts)}" in capsys.readouterr().err


def test_files_packages_and_models_that_a_recipe_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    path = tmp_path / "asks.toml"
    path.write_text(f"""
name = "asks"
[model]
path = "{tmp_path}/nowhere/model"
[sets]
talks = {{ conversations = "{tmp_path}/talks.jsonl", template = "odd.jinja" }}
hub = {{ conversations = "somebody/talks" }}
[instruct]
stage = "lora"
questions = "questions.txt"
[stages.lora]
mixture = {{ talks = 1 }}
sequence_length = 64
lora = {{}}
base_quantization = "nf4"
training = {{ tokens = 1e4, batch_tokens = 1024 }}
[stages.more]
parent = "lora"
mixture = {{ hub = 1 }}
sequence_length = 64
training = {{ tokens = 1e4, batch_tokens = 1024 }}
""")
    recipe = load_recipe(path)
    lacks = missing(recipe, tmp_path)
    assert {name: tuple(map(str, value.needed_by)) for name, value in lacks.items()} == {
        "the set talks": ("stage lora",),
        "the chat template odd.jinja": ("stage lora",),
        "the package datasets": ("stage more",),
        "the package torchao": ("stage lora",),
        "the questions questions.txt": ("[instruct]",),
        f"the model {tmp_path}/nowhere/model": (),
    }
    assert lacks["the package torchao"].how_to_get == "pip install 'chaku[quantization]'"
    with pytest.raises(ChakuError, match=r"nothing of the recipe can run without the model .*: there is no model"):
        leave_out(recipe, list(lacks.values()))


def test_a_source_that_is_missing(recipe: Recipe, tmp_path: Path) -> None:
    gone = replace(recipe.corpus.sources[0], name="gone", path=str(tmp_path / "gone"))
    rows = replace(gone, name="rows", type="jsonl", path=str(tmp_path / "*.jsonl"))
    wants = replace(recipe, corpus=replace(recipe.corpus, sources=(*recipe.corpus.sources, gone, rows)))
    lacks = missing(wants, tmp_path)
    assert list(lacks) == ["the source gone", "the source rows"]
    left, left_out = leave_out(wants, list(lacks.values()))
    assert left == recipe
    assert len(left_out) == 2
    alone = replace(recipe, corpus=replace(recipe.corpus, sources=(gone,)))
    with pytest.raises(ChakuError, match="nothing of the recipe can run without what is missing"):
        leave_out(alone, list(missing(alone, tmp_path).values()))


def test_a_stage_that_does_not_fit_the_memory_names_what_would(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = replace(PRESETS["tiny"], vocab_size=340)
    whole = room.stage_memory(recipe, "code", shape)
    monkeypatch.setattr(room, "free_memory", lambda device: whole - 1)
    lacks = missing(recipe, tmp_path)
    [(name, needed)] = lacks.items()
    assert name.endswith(" MB are free)")
    assert needed.needed_by == (Part("stage", "code"),)
    assert needed.how_to_get.startswith("--set code.training.micro_batch_tokens=128 (")
    training = replace(recipe.stages["code"].training, micro_batch_tokens=128)
    small = replace(recipe, stages={**recipe.stages, "code": replace(recipe.stages["code"], training=training)})
    recomputing = room.what_fits(recipe, "code", shape, room.stage_memory(small, "code", shape) - 1)
    assert recomputing.startswith("--set code.training.micro_batch_tokens=128 --set code.training.recompute=full (")
    left, left_out = leave_out(recipe, [needed])
    assert list(left.stages) == ["base"]
    assert [str(part.part) for part in left_out] == ["stage code", "stage long"]
    monkeypatch.setattr(room, "free_memory", lambda device: 1000)
    needed = next(iter(missing(recipe, tmp_path).values()))
    assert needed.how_to_get.startswith("a smaller model (whole, at most 62.5 parameters can be trained)")


def test_an_adapter_is_named_where_it_fits_and_the_whole_does_not() -> None:
    recipe = load_recipe(Path(__file__).parents[2] / "recipes" / "codellama-7b-instruct.toml")
    shape = PRESETS["7b"]
    assert room.stage_memory(recipe, "instruct", shape) > 107e9  # weights, gradients and moments alone
    fits = room.what_fits(recipe, "instruct", shape, int(80e9))
    assert fits.startswith("a LoRA adapter (lora = {}) in stages.instruct, and micro_batch_tokens = 4096 (")
    adapted = replace(recipe.stages["instruct"], lora=LoraConfig())
    small = replace(recipe, stages={**recipe.stages, "instruct": adapted})
    assert room.stage_memory(small, "instruct", shape) < room.stage_memory(recipe, "instruct", shape)


def test_a_disk_without_room_stops_everything(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_disk", lambda path: 1000)
    [needed] = missing(recipe, tmp_path).values()
    assert needed.needed_by == ()
    assert needed.how_to_get == "free some space, or pass --out on another disk"


def test_the_table_never_cuts_a_command() -> None:
    command = "x" * 300
    lines = in_a_table([Requirement("a", (Part("stage", "b"), Part("instruct")), False, command)]).splitlines()
    assert lines[0].split() == ["missing", "needed", "by", "how", "to", "get", "it"]
    assert lines[1].split() == ["a", "stage", "b,", "[instruct]", command]
    assert lines[0].index("how to get") == lines[1].index(command)


def test_a_tracker_that_is_not_installed_stops_the_run_and_leaves_out_no_stage(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "is_installed", lambda name: False)
    code = recipe.stages["code"]
    tracked = replace(code, training=replace(code.training, trackers=("wandb",)))
    recipe = replace(recipe, stages={**recipe.stages, "code": tracked})
    found = missing(recipe, tmp_path)["the package wandb"]
    assert found.needed_by == ()
    assert "pip install wandb, or remove it from training.trackers" in found.how_to_get
    with pytest.raises(ChakuError, match="without the package wandb: pip install wandb"):
        ready(recipe, tmp_path / "run", CPU, without_missing=True)


def test_a_kept_state_takes_disk_space(recipe, tmp_path):
    base = PRESETS["tiny"]
    code = recipe.stages["code"]
    keeping = replace(code, training=replace(code.training, keep_state=True))
    more = replace(recipe, stages={**recipe.stages, "code": keeping})
    difference = room.disk_bytes(more, base, tmp_path) - room.disk_bytes(recipe, base, tmp_path)
    assert difference == 12 * base.num_parameters
