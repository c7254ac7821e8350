"""A recipe from files to report: killed anywhere it ends the same, to the bit; what is done is skipped."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from chaku import ChakuError
from chaku.checkpoint.convert import convert
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_model
from chaku.checkpoint.peft_read import load_adapter
from chaku.files import read_json
from chaku.model.config import PRESETS, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import merge_lora
from chaku.ownership import MARKER
from chaku.pipeline import run_recipe
from chaku.recipe.load import load_recipe
from chaku.tokens.definition import llama_definition
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer import Tokenizer
from chaku.tokens.tokenizer_training import train_tokenizer
from chaku.training.metrics import read_metrics
from family import run_family
from killing import killed_at

STAGES = ("base", "code", "long")
NO_EVALS = "evals.stages=[]"
ABOUT_BASE = [NO_EVALS, "code.training.tokens=8192"]  # 4 steps of code in place of 20: the test is about what is before


def copy_data(run, out, stages=()):
    """Another run, with what is made before the stages, and with some finished stages."""
    for name in ("corpus", "tokenizer", "tokens", *(f"stages/{stage}" for stage in stages)):
        shutil.copytree(run / name, out / name)
    shutil.copy(run / MARKER, out)


@pytest.mark.parametrize("quantized", [None, "nf4"])
def test_a_lora_stage_keeps_its_adapter_and_merges_it(whole, recipe_path, tmp_path, quantized):
    if quantized:
        pytest.importorskip("torchao")
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    recipe = load_recipe(recipe_path, [NO_EVALS])
    long = recipe.stages["long"]
    adapted = replace(long, parent="code", lora=LoraConfig(rank=4), base_quantization=quantized)
    run_recipe(replace(recipe, stages={**recipe.stages, "adapted": adapted}), out)
    merged, by_hand = load_model(out / "stages" / "adapted"), load_model(out / "stages" / "code")
    changed = "model.layers.1.mlp.down_proj.weight"
    assert not torch.equal(merged.state_dict()[changed], by_hand.state_dict()[changed])
    assert load_adapter(by_hand, out / "stages" / "adapted" / "adapter").rank == 4
    merge_lora(by_hand)
    assert all(torch.equal(tensor, by_hand.state_dict()[name]) for name, tensor in merged.state_dict().items())
    assert merged.config.rope_theta == 1e6


def test_a_base_in_metas_format_is_trained_further_and_opens_in_transformers(whole, recipe_path, tmp_path):
    import transformers

    convert(whole / "stages" / "code", tmp_path / "meta", "meta", num_shards=2, verify=True)
    recipe = load_recipe(recipe_path)
    more = replace(recipe.stages["long"], parent=None)
    base = replace(recipe.model, preset=None, path=str(tmp_path / "meta"))
    own = replace(recipe.tokenizer, path=str(tmp_path / "meta" / "tokenizer.model"))
    evals = replace(recipe.evals, stages=())
    run_recipe(replace(recipe, model=base, tokenizer=own, stages={"more": more}, evals=evals), tmp_path / "run")
    stage = tmp_path / "run" / "stages" / "more"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(stage, dtype=torch.float32).eval()
    ids = torch.tensor([load_tokenizer(stage).encode("def total(items):\n    return items\n" * 4)])
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, load_model(stage)(ids), atol=1e-5, rtol=1e-5)
    assert transformers.AutoTokenizer.from_pretrained(stage)("x = 1")["input_ids"][1:] == load_tokenizer(stage).encode(
        "x = 1"
    )


def outcome(out, stages=STAGES):
    losses = {
        name: [line["loss"] for line in read_metrics(out / "stages" / name / "metrics.jsonl") if "loss" in line]
        for name in stages
    }
    weights = {name: (out / "stages" / name / "model.safetensors").read_bytes() for name in stages}
    return losses, weights


def test_a_run_leaves_everything(whole):
    for name in STAGES:
        stage = read_json(whole / "stages" / name / "stage.json")
        assert stage["tokens"] >= 2048
        for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
            assert (whole / "stages" / name / file).is_file()
        assert not (whole / "stages" / name / "state").exists()
    lines = read_metrics(whole / "stages" / "code" / "metrics.jsonl")
    assert [line["step"] for line in lines if "sample" in line] == [10, 20]
    assert [line["step"] for line in lines if "heldout_loss" in line] == [10, 20]
    assert 0 < sum(line.get("infilling_rate", 0) for line in lines) < 20
    assert read_json(whole / "stages" / "long" / "config.json")["rope_theta"] == 1e6
    assert {path.name for path in (whole / "evals" / "long").iterdir()} == {
        "bits_per_byte.json",
        "infilling.json",
        "perplexity.json",
    }
    result = read_json(whole / "evals" / "long" / "bits_per_byte.json")
    assert result["manifest"]["data_sha256"]
    assert 0 < result["results"]["overall"]["bits_per_byte"] < 8
    assert {sample["kind"] for sample in read_json(whole / "samples.json")} == {"complete"}
    assert "<html" in (whole / "report.html").read_text(encoding="utf-8")
    assert len({timing["name"] for timing in read_json(whole / "timings.json")}) == 3 + 3 + 2


def test_training_passes_over_the_corpus_more_than_once(whole):
    from chaku.tokens.store import TokenStore

    store = TokenStore.open(whole / "tokens", "train")
    num_code = int(store.lengths[store.select(kinds=("code",))].sum())
    assert 0.85 * read_json(whole / "stages" / "code" / "stage.json")["tokens"] > 1.3 * num_code


@pytest.mark.parametrize(
    ("function", "number", "done"),
    [
        ("chaku.training.trainer.optimizer_step", 5, ()),  # within base, one step after a saved state
        ("chaku.training.state.sha256_json", 3, ()),  # base is trained, its last state is not saved
        ("chaku.pipeline.stage_model.save_model", 1, ()),  # base is trained, its weights are not saved
        ("chaku.training.trainer.optimizer_step", 14, ("base",)),  # within code, past the end of the corpus
        ("chaku.pipeline.stage_model.build_model", 1, ("base", "code")),  # between code and long
    ],
)
def test_killed_in_any_stage_it_ends_the_same(function, number, done, recipe_path, whole, tmp_path):
    out = tmp_path / "run"
    copy_data(whole, out, done)
    assert killed_at(function, number, run_family, recipe_path, out)
    run_recipe(load_recipe(recipe_path, [NO_EVALS] if done else ABOUT_BASE), out)
    same = STAGES if done else ["base"]
    assert outcome(out, same) == outcome(whole, same)


@pytest.mark.parametrize(
    ("function", "number", "measured"),
    [
        ("chaku.record.write_json", 2, False),  # within the evaluation
        ("chaku.pipeline.run.write_report", 1, True),  # at the very end
    ],
)
def test_killed_after_the_stages_it_measures_the_same(function, number, measured, recipe_path, whole, tmp_path):
    out = tmp_path / "run"
    copy_data(whole, out, STAGES)
    if measured:
        shutil.copytree(whole / "evals", out / "evals")
    assert killed_at(function, number, run_family, recipe_path, out)
    run_recipe(load_recipe(recipe_path), out)
    results = list((whole / "evals").glob("*/*.json"))
    assert len(results) == 6
    for path in results:
        assert read_json(out / path.relative_to(whole))["results"] == read_json(path)["results"]
    assert read_json(out / "samples.json") == read_json(whole / "samples.json")
    assert (out / "report.html").exists()
    assert outcome(out) == outcome(whole)


@pytest.mark.parametrize("function", ["chaku.corpus.build.write_json", "chaku.tokens.store._write_index"])
def test_killed_before_training_it_starts_that_part_again(function, recipe_path, whole, tmp_path):
    assert killed_at(function, 1, run_family, recipe_path, tmp_path / "run")
    run_recipe(load_recipe(recipe_path, ABOUT_BASE), tmp_path / "run")
    assert outcome(tmp_path / "run", ["base"]) == outcome(whole, ["base"])


def test_killed_while_it_removes_what_changed_nothing_half_is_taken_for_whole(recipe_path, whole, tmp_path):
    """The removal is cut off after its first file, whichever that is; the run goes on with the changed recipe."""
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    changes = ["evals.stages=[]", "long.training.learning_rate=5e-4"]
    changed = tmp_path / "changed.toml"
    changed.write_text(recipe_path.read_text().replace("learning_rate = 1e-3", "learning_rate = 5e-4"))
    assert killed_at("os.unlink", 4, run_family, changed, out)
    left = {path.name for path in (out / "stages").iterdir()}
    assert {"long", ".long.old"} & left
    run_recipe(load_recipe(recipe_path, changes), out, make_again=True)
    assert read_json(out / "stages" / "long" / "stage.json")["config"]["training"]["learning_rate"] == 5e-4
    assert outcome(out)[1]["code"] == outcome(whole)[1]["code"]
    assert outcome(out)[1]["long"] != outcome(whole)[1]["long"]


def test_what_is_done_is_skipped_and_a_change_is_named(recipe_path, whole, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    run_recipe(load_recipe(recipe_path), out)
    said = capsys.readouterr().err
    for name in ("corpus", "tokenizer", "tokens", *STAGES):
        assert f"{name}: done before" in said
    changed = load_recipe(recipe_path, ["evals.stages=[]", "long.training.learning_rate=5e-4"])
    run_recipe(changed, out, make_again=True)
    said = capsys.readouterr().err
    assert "code: done before" in said
    assert "stages/long: made again, because of stage.training.learning_rate" in said
    assert outcome(out)[1]["code"] == outcome(whole)[1]["code"]
    assert outcome(out)[1]["long"] != outcome(whole)[1]["long"]


def test_a_budget_of_minutes_becomes_tokens_once(recipe_path, whole, tmp_path):
    text = recipe_path.read_text().replace("training.tokens = 6144", "training.share = 1.0")
    path = tmp_path / "budget.toml"
    path.write_text(text + "\n[budget]\nminutes = 0.02\n")
    copy_data(whole, tmp_path / "run")
    recipe = load_recipe(path, ABOUT_BASE)
    run_recipe(recipe, tmp_path / "run")
    budget = read_json(tmp_path / "run" / "budget.json")
    stage = read_json(tmp_path / "run" / "stages" / "base" / "stage.json")
    assert stage["tokens"] >= budget["tokens_by_stage"]["base"] > 0
    before = (tmp_path / "run" / "stages" / "base" / "model.safetensors").read_bytes()
    run_recipe(recipe, tmp_path / "run")
    assert read_json(tmp_path / "run" / "budget.json") == budget
    assert (tmp_path / "run" / "stages" / "base" / "model.safetensors").read_bytes() == before


def test_only_one_at_a_time_in_a_directory(recipe_path, tmp_path):
    from chaku.pipeline import only_one

    with only_one(tmp_path / "run"), pytest.raises(ChakuError, match="another chaku is running"):
        run_recipe(load_recipe(recipe_path), tmp_path / "run")


def test_an_unwritable_run_directory_is_named(recipe_path, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(ChakuError, match=r"cannot write the run directory .*file/run"):
        run_recipe(load_recipe(recipe_path), tmp_path / "file" / "run")


def test_a_full_disk_is_named_and_nothing_is_lost(recipe_path, whole, tmp_path, monkeypatch):
    out = tmp_path / "run"
    copy_data(whole, out)

    def no_space(states, verb, where):
        Path(where).mkdir(parents=True)
        (Path(where) / "__0_0.distcp").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("chaku.training.state.States._dcp", no_space)
        with pytest.raises(ChakuError, match="the disk is full"):
            run_recipe(load_recipe(recipe_path), out)
    run_recipe(load_recipe(recipe_path, ABOUT_BASE), out)
    assert outcome(out, ["base"]) == outcome(whole, ["base"])


def test_a_base_model_whose_shape_does_not_fit_is_named(recipe_path, whole, tmp_path):
    text = recipe_path.read_text().replace('preset = "tiny"', f'path = "{whole}/stages/base"')
    path = tmp_path / "other.toml"
    train_tokenizer(["def add(a, b):\n    return a + b\n" * 3], 275).save(tmp_path / "tokenizer")
    own = f'path = "{tmp_path}/tokenizer"'
    path.write_text(text.replace("vocab_size = 340", own).replace("train_bytes = 100_000", ""))
    with pytest.raises(ChakuError, match="vocabulary of 340, but the tokenizer has 275"):
        run_recipe(load_recipe(path), tmp_path / "run")


def test_a_base_model_is_continued(recipe_path, whole, tmp_path):
    text = recipe_path.read_text().replace('preset = "tiny"', f'path = "{whole}/stages/base"')
    text = text.replace("vocab_size = 340", "").replace("train_bytes = 100_000", "")  # the tokenizer is the model's own
    path = tmp_path / "other.toml"
    path.write_text(text)
    run_recipe(load_recipe(path, ABOUT_BASE), tmp_path / "run")
    first, before = (outcome(folder, ["base"])[0]["base"][0] for folder in (tmp_path / "run", whole))
    assert first < 0.8 * before  # it goes on from what base had learnt


def test_a_base_without_infilling_pieces_gets_them(recipe_path, whole, tmp_path, capsys):
    """As Llama 2 becomes Code Llama: 16 pieces, 16 rows in each embedding; the old rows are where training left off."""
    tokenizer = load_tokenizer(whole / "tokenizer")
    special = {"<unk>": 0, "<s>": 1, "</s>": 2}
    model = tokenizer.definition["model"]
    plain = Tokenizer(llama_definition(model["vocab"], model["merges"], special))
    assert plain.prefix_id is None
    plain.save(tmp_path / "base")
    torch.manual_seed(0)
    save_model(Llama(replace(PRESETS["tiny"], vocab_size=plain.vocab_size)), tmp_path / "base")
    text = recipe_path.read_text().replace('preset = "tiny"', f'path = "{tmp_path}/base"')
    text = text.replace("vocab_size = 340", f'path = "{tmp_path}/base"').replace("train_bytes = 100_000", "")
    path = tmp_path / "other.toml"
    path.write_text(text)
    run_recipe(load_recipe(path, ["evals.stages=[]", "code.training.tokens=12288"]), tmp_path / "run")
    assert "base: added 16 embeddings" in capsys.readouterr().err
    assert load_model(tmp_path / "run" / "stages" / "long").config.vocab_size == plain.vocab_size + 16
    losses = [
        line["loss"] for line in read_metrics(tmp_path / "run" / "stages" / "code" / "metrics.jsonl") if "loss" in line
    ]
    assert losses[-1] < losses[0]


def test_a_set_that_selects_nothing_is_named(recipe_path, whole, tmp_path):
    copy_data(whole, tmp_path / "run")
    recipe = load_recipe(recipe_path, ['sets.python.languages=["Fortran"]', "long.mixture={ python = 1.0 }"])
    with pytest.raises(ChakuError, match=r"the set 'python' .* selects none of the"):
        run_recipe(recipe, tmp_path / "run")


def test_a_missing_benchmark_stops_the_run_or_is_left_out_and_reported(
    recipe_path, whole, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    stale = out / "evals" / "base" / "humaneval.json"
    stale.write_text("{}")
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    recipe = load_recipe(recipe_path, ['evals.benchmarks=["humaneval", "bits_per_byte"]'])
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    with pytest.raises(ChakuError, match=r"(?s)nothing was done.*the problems of humaneval.*--without-missing"):
        run_recipe(recipe, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    report = run_recipe(recipe, out, without_missing=True)
    assert "left out: benchmark humaneval" in capsys.readouterr().err
    assert not stale.exists()
    assert (out / "evals" / "base" / "bits_per_byte.json").exists()
    assert "the problems of humaneval is missing" in report.read_text()
    run_recipe(load_recipe(recipe_path), out)
    assert "These parts were left out" not in report.read_text()
    assert "nothing is missing" in capsys.readouterr().err


def test_recipe_json_is_the_resolved_recipe(whole):
    fields = json.loads((whole / "recipe.json").read_text())
    assert fields["stages"]["code"]["infilling"].items() >= {"rate": 0.9, "spm_rate": 0.5}.items()
