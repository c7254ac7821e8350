"""A family with fine-tuning: conversations beside rehearsal, then pairs; killed anywhere it ends the same."""

import json
import math
import re
import shutil

import pytest
import torch

from chaku import ChakuError
from chaku.checkpoint.convert import convert
from chaku.checkpoint.formats import load_model
from chaku.files import read_json
from chaku.ownership import MARKER
from chaku.pipeline import FinishedWork, run_recipe
from chaku.recipe.load import load_recipe
from chaku.tokens.chat import Chat, Message
from chaku.tokens.chat_store import ChatStore
from chaku.tokens.load import load_tokenizer
from chaku.training.metrics import read_metrics
from family import RECIPE, made_once, run_family, write_files
from killing import killed_at

STAGES = """
[sets.talks]
conversations = "TALKS"
template = "llama2"

[sets.pairs]
preferences = "PAIRS"
template = "llama2"

[stages.sft]
parent = "base"
mixture = { talks = 0.92, code = 0.06, prose = 0.02 }
sequence_length = 128
training.epochs = 2
training.batch_tokens = 512
training.learning_rate = 3e-3
training.warmup_steps = 2
training.checkpoint_every = 4
training.precision = "float32"

[stages.dpo]
parent = "sft"
mixture = { pairs = 1.0 }
sequence_length = 128
dpo = { beta = 0.1 }
training.epochs = 1
training.batch_tokens = 512
training.learning_rate = 1e-4
training.warmup_steps = 2
training.checkpoint_every = 3
training.precision = "float32"

[evals]
"""


def conversation(number):
    return [
        {"role": "user", "content": f"Add {number}."},
        {"role": "assistant", "content": f"def add_{number}(value):\n    return value + {number}"},
    ]


def write_chat_recipe(directory):
    """What `instruct export` leaves has keys of its own beside the conversation."""
    write_files(directory / "files")
    talks = [{"messages": conversation(number), "model": "m", "seed": number} for number in range(60)]
    talks.append({"messages": [{"role": "user", "content": "x " * 200}, talks[0]["messages"][1]]})
    pairs = [
        {"prompt": talk["messages"][:1], "chosen": talk["messages"][1]["content"], "rejected": "return None", "seed": 1}
        for talk in talks[:30]
    ]
    for name, rows in (("talks", talks), ("pairs", pairs)):
        (directory / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stages = STAGES.replace("TALKS", f"{directory}/talks.jsonl").replace("PAIRS", f"{directory}/pairs.jsonl")
    text = RECIPE.replace("FILES", str(directory / "files"))
    begin, end = text.index("[stages.code]"), text.index("[evals]")
    (directory / "little.toml").write_text(
        text[:begin] + stages + text[end:].split("benchmarks")[0].replace("[evals]\n", "").split("stages =")[0]
    )


@pytest.fixture(scope="module")
def recipe_path(tmp_path_factory):
    return made_once(tmp_path_factory, "chat", write_chat_recipe) / "little.toml"


@pytest.fixture(scope="module")
def whole(recipe_path, tmp_path_factory):
    made = made_once(tmp_path_factory, "chat-whole", lambda directory: run_family(recipe_path, directory / "run"))
    return made / "run"


def outcome(out):
    stages = {name: out / "stages" / name for name in ("sft", "dpo")}
    losses = {
        name: [line["loss"] for line in read_metrics(path / "metrics.jsonl") if "loss" in line]
        for name, path in stages.items()
    }
    return losses, {name: (path / "model.safetensors").read_bytes() for name, path in stages.items()}


def test_conversations_are_learnt_and_the_long_one_is_counted(whole):
    losses, _ = outcome(whole)
    assert losses["sft"][-1] < losses["sft"][0]
    facts = read_json(whole / "stages" / "sft" / "stage.json")
    assert facts["conversations"]["talks"]["rows"] == 61
    assert facts["conversations"]["talks"]["too_long"] == 1
    heldout = [
        line["heldout_loss"]
        for line in read_metrics(whole / "stages" / "sft" / "metrics.jsonl")
        if "heldout_loss" in line
    ]
    assert set(heldout[-1]) == {"code", "prose"}


def test_held_out_rows_are_never_trained_on_and_their_losses_are_logged_and_shown(recipe_path, whole, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    overrides = [f"sets.{name}.heldout_fraction=0.3" for name in ("talks", "pairs")]
    overrides += ["dpo.training.heldout_every=1"]
    run_recipe(load_recipe(recipe_path, overrides), out, make_again=True)
    tokenizer = load_tokenizer(out / "tokenizer")

    def prompts(folder):
        store = ChatStore(out / "conversations" / folder)
        texts = (tokenizer.decode(store[row][0].tolist()) for row in range(len(store)))
        return {found[0] for text in texts if (found := re.search(r"Add \d+", text))}  # the long one has none

    held_out = prompts("talks/heldout")
    assert 6 < len(held_out) < 30
    assert prompts("talks") | held_out == {f"Add {number}" for number in range(60)}
    assert not prompts("talks") & held_out
    assert prompts("pairs/heldout") == {f"Add {number}" for number in range(30)} & held_out  # one side in every set
    facts = read_json(out / "stages" / "sft" / "stage.json")["conversations"]["talks"]
    assert facts["rows"] + facts["held_out"] == 61
    assert f"talks: {facts['held_out']} rows are held out" in capsys.readouterr().err
    lines = {name: read_metrics(out / "stages" / name / "metrics.jsonl") for name in ("sft", "dpo")}
    assert set([line for line in lines["sft"] if "heldout_loss" in line][-1]["heldout_loss"]) == {
        "talks",
        "code",
        "prose",
    }
    pairs = [line for line in lines["dpo"] if "heldout_loss" in line]
    assert 0 < pairs[-1]["heldout_loss"]["pairs"] < pairs[0]["heldout_loss"]["pairs"] < math.log(2) + 0.01
    assert 0 <= pairs[-1]["heldout_accuracy"]["pairs"] <= 1
    page = (out / "report.html").read_text()
    for title in ("Held-out loss: talks", "Held-out loss: pairs", "Held-out accuracy: pairs"):
        assert title in page


def test_pairs_begin_at_log_2_and_gain(whole):
    lines = [line for line in read_metrics(whole / "stages" / "dpo" / "metrics.jsonl") if "loss" in line]
    assert lines[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert lines[-1]["dpo_accuracy"] > 0.5
    assert (whole / "stages" / "dpo" / "reference-pairs.npy").is_file()


@pytest.mark.parametrize("name", ["sft", "dpo"])
def test_the_checkpoint_says_how_to_chat(whole, name):
    transformers = pytest.importorskip("transformers")
    path = whole / "stages" / name
    theirs = transformers.AutoTokenizer.from_pretrained(path)
    talk = [{"role": "user", "content": "Add 3."}]
    expected = theirs.apply_chat_template(talk, add_generation_prompt=True)["input_ids"]
    chat = Chat(load_tokenizer(path))
    assert chat.prompt([Message("user", "Add 3.")]) == expected
    assert chat.end_id in load_model(path).config.eos_token_ids
    assert "chat_template" not in read_json(whole / "stages" / "base" / "tokenizer_config.json")


@pytest.mark.parametrize(
    ("function", "number", "done"),
    [
        ("chaku.tokens.chat_store.ChatStore", 1, ()),  # a set is encoded, and not yet said to be
        ("chaku.training.trainer.optimizer_step", 7, ()),  # within sft
        ("chaku.pipeline.stage_model.save_model", 1, ()),  # sft is trained
        ("chaku.training.dpo.atomic_file", 1, ("conversations", "stages/sft")),  # the reference is computed, not kept
        ("chaku.training.trainer.accumulate_pairs", 3, ("conversations", "stages/sft")),  # within dpo
        ("chaku.pipeline.stage_model.save_model", 1, ("conversations", "stages/sft")),  # dpo is trained
    ],
)
def test_killed_anywhere_it_ends_the_same(function, number, done, recipe_path, whole, tmp_path):
    out = tmp_path / "run"
    for name in ("corpus", "tokenizer", "tokens", "stages/base", *done):
        shutil.copytree(whole / name, out / name)
    shutil.copy(whole / MARKER, out)
    assert killed_at(function, number, run_family, recipe_path, out)
    run_recipe(load_recipe(recipe_path), out)
    assert outcome(out) == outcome(whole)


def test_what_changes_is_trained_again_and_what_does_not_is_not(recipe_path, whole, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    run_recipe(load_recipe(recipe_path), out)
    assert "sft: done before" in capsys.readouterr().err
    pairs = tmp_path / "fewer.jsonl"
    pairs.write_text("".join((recipe_path.parent / "pairs.jsonl").read_text().splitlines(keepends=True)[:20]))
    changed = load_recipe(recipe_path, [f"sets.pairs.preferences={pairs}"])
    with pytest.raises(FinishedWork, match=r"conversations/pairs .*\n *stages/dpo "):
        run_recipe(changed, out)
    run_recipe(changed, out, make_again=True)
    said = capsys.readouterr().err
    assert "sft: done before" in said
    assert "stages/dpo: made again, because of" in said


@pytest.mark.parametrize("form", ["directory", "gguf"])
def test_a_checkpoint_is_fine_tuned_without_a_corpus_and_with_lora(recipe_path, whole, tmp_path, form):
    base = whole / "stages" / "base"
    if form == "gguf":
        base = tmp_path / "base.gguf"
        convert(whole / "stages" / "base", base, "gguf", dtype="q8_0")
    path = tmp_path / "alone.toml"
    path.write_text(
        f"""
        name = "alone"
        model.path = "{base}"
        sets.talks = {{ conversations = "{recipe_path.parent}/talks.jsonl", template = "llama2" }}
        [stages.adapted]
        mixture = {{ talks = 1.0 }}
        sequence_length = 128
        lora = {{ rank = 4 }}
        training = {{ epochs = 2, batch_tokens = 512, learning_rate = 1e-2, warmup_steps = 1, precision = "float32" }}
        """
    )
    run_recipe(load_recipe(path), tmp_path / "run")
    stage = tmp_path / "run" / "stages" / "adapted"
    assert not (tmp_path / "run" / "corpus").exists()
    losses = [line["loss"] for line in read_metrics(stage / "metrics.jsonl") if "loss" in line]
    assert losses[-1] < losses[0]
    assert (stage / "adapter" / "adapter_model.safetensors").is_file()
    assert read_json(stage / "adapter" / "adapter_config.json")["base_model_name_or_path"] == str(base)
    before, after = load_model(base), load_model(stage)
    assert torch.equal(before.lm_head.weight, after.lm_head.weight)
    assert load_tokenizer(stage).encode("def f(x):") == load_tokenizer(base).encode("def f(x):")


def test_a_conversation_that_the_format_refuses_names_file_and_line(recipe_path, whole, tmp_path):
    out = tmp_path / "run"
    for name in ("corpus", "tokenizer", "tokens"):
        shutil.copytree(whole / name, out / name)
    shutil.copy(whole / MARKER, out)
    bad = tmp_path / "bad.jsonl"
    bad.write_text(json.dumps({"messages": [*conversation(1)[:1], {"role": "assistant", "content": "[INST]"}]}) + "\n")
    with pytest.raises(ChakuError, match=r"1 of 1 rows of the set talks .*bad\.jsonl, line 1: .* contains \[INST\]"):
        run_recipe(load_recipe(recipe_path, [f"sets.talks.conversations={bad}"]), out, make_again=True)


def test_a_few_bad_conversations_are_left_out_counted_and_shown(recipe_path, whole, tmp_path, capsys):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    good = [json.dumps({"messages": conversation(number)}) for number in range(60)]
    bad = [
        "{broken",
        json.dumps({"messages": [{"role": "user", "content": None}]}),
        json.dumps({"messages": conversation(1)[:1]}),  # no reply
        json.dumps({"messages": [*conversation(1)[:1], {"role": "assistant", "content": "[INST]"}]}),
    ]
    path = tmp_path / "mixed.jsonl"
    path.write_text("\n".join([*good[:30], *bad, *good[30:]]) + "\n")
    recipe = load_recipe(recipe_path, [f"sets.talks.conversations={path}", "evals.stages=[]"])
    run_recipe(recipe, out, make_again=True)
    about = read_json(out / "stages" / "sft" / "stage.json")["conversations"]["talks"]
    assert about["rows"] == 60
    assert sorted(about["left_out"].values()) == [1, 1, 1, 1]
    said = capsys.readouterr().err
    for line, reason in ((31, "not JSON"), (32, "the content is"), (33, "no assistant message"), (34, "INST")):
        assert f"talks: 1 left out; the first: {path}, line {line}" in said
        assert reason in said
    path.write_text("\n".join([*good, *bad * 4]) + "\n")
    with pytest.raises(ChakuError, match=r"11 of 71 rows of the set talks are unusable; .* The first: .*line 61"):
        run_recipe(recipe, out, make_again=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dpo.mixture={ pairs = 0.5, talks = 0.5 }", "trains on sets of `preferences` only"),
        ("sft.mixture={ pairs = 1.0 }", "these sets need `dpo`"),
        ("dpo.training.compile=true", "does not work with `dpo`"),
        ("base.training={ epochs = 1, batch_tokens = 512 }", "counts passes over conversations"),
        ("sft.training.tokens=1024", "one of `tokens`, `share` and `epochs`"),
        ("sft.infill_sets=['talks']", "conversations are never infilled"),
        ("dpo.dpo.beta=-1", "dpo: beta is -1"),
        ("sets.talks.kinds=['code']", "unknown key 'kinds'"),
        ("corpus.sources=[]", "corpus.sources is empty"),
    ],
)
def test_mistakes_in_the_recipe_are_named(recipe_path, override, message):
    with pytest.raises(ChakuError) as caught:
        load_recipe(recipe_path, [override])
    assert message in str(caught.value)


def test_a_template_that_the_vocabulary_cannot_have_names_the_set(recipe_path, whole, tmp_path):
    out = tmp_path / "run"
    for name in ("corpus", "tokenizer", "tokens"):
        shutil.copytree(whole / name, out / name)
    shutil.copy(whole / MARKER, out)
    with pytest.raises(ChakuError, match=r"sets\.talks\.template: the chat template chatml needs the token"):
        run_recipe(load_recipe(recipe_path, ["sets.talks.template=chatml"]), out, make_again=True)
