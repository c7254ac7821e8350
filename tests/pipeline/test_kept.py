"""What is finished is never lost: not to a setting that changes no result, and not without being asked."""

import dataclasses
import os
import shutil
import subprocess
import sys
import textwrap
import time
import typing
from pathlib import Path

import pytest
import torch

from chaku import ChakuError
from chaku.cli import main
from chaku.files import read_json
from chaku.pipeline import FinishedWork, run_recipe
from chaku.pipeline.finished_work import made_again
from chaku.pipeline.run_directory import Run
from chaku.plain import result_settings
from chaku.recipe.load import load_recipe
from chaku.recipe.schema import Recipe
from chaku.tokens.store import TokenStore
from chaku.training.config import TrainingConfig
from family import write_recipe
from killing import killed_at

NO_EVALS = "evals.stages=[]"


@pytest.fixture
def out(whole, tmp_path):
    """A finished run to do harm to, of which nothing is measured."""
    shutil.copytree(whole, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "evals")
    return tmp_path / "run"


def times(out: Path) -> dict[str, int]:
    """When the files of a run were written, but those that every run writes."""
    always = {"recipe.json", "report.html", ".lock", "samples.json", "commands.json"}
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.is_file() and path.name not in always
    }


def weights(out: Path, stage: str) -> bytes:
    return (out / "stages" / stage / "model.safetensors").read_bytes()


def test_settings_that_change_no_result_make_nothing_again(recipe_path, out):
    before = times(out)
    overrides = ["corpus.num_workers=1", "num_threads=1"]
    for setting in ("log_every=7", "checkpoint_every=3", "sample_every=9", "heldout_every=9", "num_workers=1"):
        overrides += [f"{stage}.training.{setting}" for stage in ("base", "code", "long")]
    overrides += ["code.training.micro_batch_tokens=256", "code.training.compile=true"]
    run_recipe(load_recipe(recipe_path, [NO_EVALS, *overrides]), out)
    assert times(out) == before


def settings_without_results(kind):
    """Every setting of a dataclass type, at any depth, that changes no result: (name of its class, name)."""
    found, hints = set(), typing.get_type_hints(kind)
    for field_ in dataclasses.fields(kind):
        if not field_.metadata.get("changes_results", True):
            found.add((kind.__name__, field_.name))
            continue
        for part in parts_of_type(hints[field_.name]):
            found |= settings_without_results(part)
    return found


def parts_of_type(hint):
    """The dataclasses in a type such as `dict[str, A | B]`."""
    if dataclasses.is_dataclass(hint):
        return [hint]
    return [part for argument in typing.get_args(hint) for part in parts_of_type(argument)]


def with_every_one_changed(value, changed):
    """A recipe with another value for every setting that changes no result; adds each of them to `changed`."""
    if isinstance(value, dict):
        return {key: with_every_one_changed(part, changed) for key, part in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    values = {}
    for field_ in dataclasses.fields(value):
        if field_.metadata.get("changes_results", True):
            values[field_.name] = with_every_one_changed(getattr(value, field_.name), changed)
        else:
            values[field_.name] = "another value"
            changed.add((type(value).__name__, field_.name))
    return dataclasses.replace(value, **values)


def test_no_setting_that_changes_no_result_makes_anything_again(recipe_path, whole):
    recipe, changed = load_recipe(recipe_path, [NO_EVALS]), set()
    other = with_every_one_changed(recipe, changed)
    unused = {
        ("GrpoConfig", key) for key in ("steps", "limits", "heldout_samples")
    }  # the little recipe has no such stage
    assert changed | unused == settings_without_results(Recipe)
    assert {("TrainingConfig", "trackers"), ("TrainingConfig", "log_every"), ("Recipe", "num_threads")} <= changed
    assert made_again(Run(other, whole, torch.device("cpu"))) == []
    training = dataclasses.replace(other.stages["code"].training, beta2=0.9)
    other.stages["code"] = dataclasses.replace(other.stages["code"], training=training)
    found = made_again(Run(other, whole, torch.device("cpu")))
    assert [work.name for work in found] == ["stages/code", "stages/long"]


def test_a_setting_that_an_earlier_version_lacked_counts_only_when_it_is_not_its_default():
    assert "schedule" not in result_settings(TrainingConfig())
    assert result_settings(TrainingConfig(schedule="linear"))["schedule"] == "linear"


def test_a_change_of_finished_work_is_said_with_its_cost_before_anything_is_changed(recipe_path, out):
    before = times(out)
    recipe = load_recipe(recipe_path, [NO_EVALS, "code.training.learning_rate=5e-4"])
    with pytest.raises(FinishedWork) as raised:
        run_recipe(recipe, out)
    said = str(raised.value)
    assert "stages/code" in said
    assert "stage.training.learning_rate" in said
    assert "stages/long" in said  # which goes on from it
    assert "stages/base" not in said
    assert " s  " in said  # what it took
    assert "add --yes to make it again" in said
    assert times(out) == before


def test_the_command_line_wants_a_yes(recipe_path, out, capsys):
    words = ["run", str(recipe_path), "--out", str(out), "--set", NO_EVALS, "--set", "long.training.learning_rate=5e-4"]
    before = weights(out, "long")
    assert main(words) == 2
    assert "finished work would be made again; nothing was changed" in capsys.readouterr().err
    assert weights(out, "long") == before
    assert main([*words, "--yes"]) == 0
    assert weights(out, "long") != before


def test_what_is_replaced_is_kept_until_the_new_one_is_whole_and_comes_back(recipe_path, out, capsys):
    before = weights(out, "long")
    words = ["run", str(recipe_path), "--out", str(out), "--set", "long.training.learning_rate=5e-4", "--set", NO_EVALS]
    assert killed_at("chaku.pipeline.stage_model.save_model", 1, main, [*words, "--yes"])
    assert (out / "stages" / ".long.old" / "model.safetensors").read_bytes() == before
    started = (out / "stages" / ".long.old" / "stage.json").stat().st_mtime_ns
    run_recipe(load_recipe(recipe_path, [NO_EVALS]), out)  # the setting is taken back
    assert "long: an earlier training with these settings is put back" in capsys.readouterr().err
    assert weights(out, "long") == before
    assert (out / "stages" / "long" / "stage.json").stat().st_mtime_ns == started
    assert not (out / "stages" / ".long.old").exists()


def test_files_that_chaku_did_not_make_are_not_touched(recipe_path, tmp_path, monkeypatch):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "mine.txt").write_text("years of work")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ChakuError, match="holds files that chaku did not make"):
        run_recipe(load_recipe(recipe_path), Path())
    assert [path.name for path in tmp_path.rglob("*")] == ["corpus", "mine.txt"]


def source_files(recipe_path: Path) -> list[Path]:
    return sorted(path for path in recipe_path.parent.rglob("*.py") if path.is_file())


def test_edited_added_and_removed_sources_are_noticed_touched_ones_are_not(tmp_path):
    recipe_path = write_recipe(tmp_path)
    recipe = load_recipe(recipe_path, [NO_EVALS, "base.training.tokens=1024", "code.training.tokens=2048"])
    out = tmp_path / "run"
    run_recipe(recipe, out)
    before = times(out)
    first, second, *_ = source_files(recipe_path)
    os.utime(first, (1, 1))
    run_recipe(recipe, out)
    assert times(out) == before
    first.write_text(first.read_text() + "\n\ndef one_more(first, second):\n    return first - second\n")
    second.unlink()
    with pytest.raises(FinishedWork, match=r"corpus .* 1 files edited .*, 1 files gone [\s\S]*stages/base"):
        run_recipe(recipe, out)
    run_recipe(recipe, out, make_again=True)
    assert (
        read_json(out / "tokens" / "inputs.json")["corpus"]
        == read_json(out / "corpus" / "summary.json")["documents_sha256"]
    )
    assert len(TokenStore.open(out / "tokens")) == sum(
        row["documents"] for row in read_json(out / "corpus" / "summary.json")["kept"] if row["split"] == "train"
    )


@pytest.mark.parametrize("removed", [("corpus",), ("tokens",), ("corpus", "tokens")])
def test_a_folder_that_comes_out_the_same_keeps_what_was_made_from_it(recipe_path, out, capsys, removed):
    made = (*(f"{folder}/" for folder in removed), "timings")
    before = {path: when for path, when in times(out).items() if not path.startswith(made)}
    for folder in removed:
        shutil.rmtree(out / folder)
    run_recipe(load_recipe(recipe_path, [NO_EVALS]), out)
    assert {path: when for path, when in times(out).items() if not path.startswith(made)} == before
    assert "long: done before" in capsys.readouterr().err


def test_a_setting_that_changed_while_its_folders_were_removed_trains_no_finished_stage_again(recipe_path, out):
    before = times(out / "stages")
    for folder in ("corpus", "tokens"):
        shutil.rmtree(out / folder)
    with pytest.raises(FinishedWork):
        run_recipe(load_recipe(recipe_path, [NO_EVALS, "corpus.heldout_fraction=0.5"]), out)
    assert times(out / "stages") == before
    run_recipe(load_recipe(recipe_path, [NO_EVALS]), out, make_again=True)
    assert times(out / "stages") == before


def test_a_stage_without_its_inputs_or_its_weights_is_not_done(recipe_path, out):
    recipe = load_recipe(recipe_path, [NO_EVALS])
    before = weights(out, "long")
    (out / "stages" / "long" / "inputs.json").unlink()
    with pytest.raises(FinishedWork, match=r"stages/long .*inputs.json, which is gone"):
        run_recipe(recipe, out)
    run_recipe(recipe, out, make_again=True)
    assert weights(out, "long") == before
    (out / "stages" / "long" / "model.safetensors").unlink()
    with pytest.raises(FinishedWork, match=r"stages/long .*its weights, which are missing"):
        run_recipe(recipe, out)
    run_recipe(recipe, out, make_again=True)
    assert weights(out, "long") == before


def test_weights_that_changed_are_not_trained_further(recipe_path, out):
    path = out / "stages" / "code" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-4000:] = os.urandom(4000)
    path.write_bytes(content)
    shutil.rmtree(out / "stages" / "long")
    with pytest.raises(ChakuError, match=r"the weights of .*stages/code changed after training"):
        run_recipe(load_recipe(recipe_path, [NO_EVALS]), out)


def test_a_stage_keeps_the_tokens_that_its_share_came_to(recipe_path, out, tmp_path):
    shared = tmp_path / "shared.toml"
    text = recipe_path.read_text().replace("training.tokens = 6144", "training.share = 1.0")
    shared.write_text(text + "\n[budget]\nminutes = 0.02\n")
    overrides = [NO_EVALS, "code.training.tokens=2048"]
    recipe = load_recipe(shared, overrides)
    run_recipe(recipe, out, make_again=True)
    before = times(out)
    (out / "budget.json").unlink()
    run_recipe(recipe, out)
    del before["budget.json"]
    assert times(out) == before
    more = "\n[stages.more]\nparent = 'code'\nmixture = { code = 1.0 }\nsequence_length = 128\n"
    more += "training = { share = 1.0, batch_tokens = 512, precision = 'float32' }\n"
    shared.write_text(shared.read_text() + more)
    run_recipe(load_recipe(shared, overrides), out)
    assert (out / "stages" / "more" / "stage.json").exists()
    changed = {path for path, when in times(out).items() if before.get(path) != when}
    assert all(path.startswith(("stages/more/", "timings", "budget")) for path in changed), changed


def test_another_benchmark_leaves_those_that_were_measured(recipe_path, out):
    overrides = ["evals.stages=['long']"]
    run_recipe(load_recipe(recipe_path, [*overrides, "evals.benchmarks=['bits_per_byte']"]), out)
    path = out / "evals" / "long" / "bits_per_byte.json"
    before = path.stat().st_mtime_ns
    overrides += ["evals.benchmarks=['bits_per_byte', 'infilling']", "evals.num_examples=3"]
    run_recipe(load_recipe(recipe_path, overrides), out)
    assert (out / "evals" / "long" / "infilling.json").exists()
    assert path.stat().st_mtime_ns == before


def test_half_written_files_of_killed_runs_are_removed(recipe_path, out):
    left = out / "stages" / ".x.json.4242.partial"
    left.write_text("half")
    run_recipe(load_recipe(recipe_path, [NO_EVALS]), out)
    assert not left.exists()


def test_a_killed_stage_with_lora_goes_on_to_the_same_end(recipe_path, out, tmp_path):
    adapted = tmp_path / "adapted.toml"
    more = "\n[stages.adapted]\nparent = 'code'\nmixture = { code = 1.0 }\nsequence_length = 128\n"
    more += "lora = { rank = 4, dropout = 0.1 }\n"
    more += "training = { tokens = 8192, batch_tokens = 512, precision = 'float32', checkpoint_every = 5 }\n"
    adapted.write_text(recipe_path.read_text() + more)
    other = tmp_path / "other"
    shutil.copytree(out, other)
    words = ["run", str(adapted), "--out", str(out), "--set", NO_EVALS]
    assert killed_at("chaku.training.trainer.optimizer_step", 8, main, words)
    assert read_json(next((out / "stages" / "adapted" / "state").glob("step-*")) / "progress.json")["step"] == 5
    for directory in (out, other):
        run_recipe(load_recipe(adapted, [NO_EVALS]), directory)
    assert weights(out, "adapted") == weights(other, "adapted")


def test_ctrl_c_with_loader_workers_saves_the_state(recipe_path, out, tmp_path):
    """Ctrl-C reaches every process of the group: the workers leave it to the process that trains."""
    shutil.rmtree(out / "stages" / "long")
    slow = f"""
        import sys, time
        import chaku.training.trainer as trainer
        original = trainer.optimizer_step
        def slow(*arguments):
            print("step", flush=True)
            time.sleep(0.3)
            return original(*arguments)
        trainer.optimizer_step = slow
        from chaku.cli import main
        sys.exit(main(["run", {str(recipe_path)!r}, "--out", {str(out)!r}, "--set", {NO_EVALS!r},
                       "--set", "long.training.num_workers=2"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(slow)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        time.sleep(0.1)
        os.killpg(process.pid, 2)
        said = process.communicate()[1].decode()
    assert process.returncode == 130, said
    assert "long: stopped and saved at step" in said
    assert list((out / "stages" / "long" / "state").glob("step-*"))
