"""chaku from Python, as a program uses it."""

import subprocess
import sys

import pytest
import torch

import chaku
from chaku import ChakuError
from chaku.checkpoint.huggingface import save_model
from chaku.inference.generator import InfillPrompt, RepositoryFile
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.sandbox.probe import check_sandbox
from chaku.tokens.tokenizer_training import train_tokenizer
from endpoint_server import running_server
from shop_database import make_shop

TEXTS = ["def add(a, b):\n    return a + b\n", "for x in range(10):\n    print(x)\n"]
TEMPLATE = (
    "{% for m in messages %}{{ bos_token }}{{ m['role'] }} {{ m['content'] }}{{ eos_token }}{% endfor %}"
    "{{ bos_token }}assistant "
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    torch.manual_seed(0)
    plain = train_tokenizer(TEXTS * 9, 300)
    tokenizer = type(plain)(plain.definition, {**plain.config, "chat_template": TEMPLATE})
    config = type(PRESETS["tiny"])(
        **{**vars(PRESETS["tiny"]), "vocab_size": tokenizer.vocab_size, "max_position_embeddings": 1024}
    )
    save_model(Llama(config), path)
    tokenizer.save(path)
    return path


@pytest.fixture(scope="module")
def model(checkpoint):
    return chaku.load(checkpoint)


def test_a_model_completes_infills_chats_and_streams(model):
    completion = model.complete("def add", max_tokens=8)
    assert completion.num_tokens <= 8
    assert "".join(model.stream("def add", max_tokens=8)) == completion.text
    assert model.infill("def add(", "):\n", mode="spm", max_tokens=4).finish_reason in ("stop", "length")
    assert model.chat("Hello", max_tokens=4) == model.chat(
        [*model.talk(system=None).messages, said("Hello")], max_tokens=4
    )
    [[one, two], [hole, _]] = model.generate(
        ["def add", InfillPrompt("a = ", "\n")], num_samples=2, temperature=0.9, seed=3, max_tokens=6
    )
    assert one != two
    assert hole.num_tokens <= 6
    whole = model.complete("for", max_tokens=12).text
    end = whole[3:5]
    assert model.complete("for", max_tokens=12, stop=end).text == whole[: whole.index(end)]
    assert model.complete("for", max_tokens=12, stop=[end]).text == whole[: whole.index(end)]
    [[word]] = model.generate(["x"], grammar='start: "yes" | "no"', max_tokens=9)
    assert word.text in ("yes", "no")


def said(text):
    from chaku.tokens.chat import Message

    return Message("user", text)


def test_a_conversation_remembers(model):
    talk = model.talk(system="Be brief.", max_tokens=4)
    "".join(talk.ask("One?"))
    assert [message.role for message in talk.messages][:2] == ["system", "user"]


def test_a_text_is_scored_by_its_bits(model):
    likely, other = model.score([TEXTS[0], "Ω≈ç√"])
    assert len(likely.log_probabilities) > 5
    assert all(value <= 0 for value in likely.log_probabilities)
    nats = -sum(likely.log_probabilities)
    assert likely.bits_per_byte == pytest.approx(nats / 0.693147 / len(TEXTS[0]), rel=1e-4)
    assert other.num_bytes == len("Ω≈ç√".encode())


def test_a_database_is_asked(model, tmp_path):
    shop = make_shop(tmp_path / "shop.sqlite")
    settings = {"cache": False, "memory": tmp_path / "memory.jsonl", "num_samples": 1}
    answer = chaku.ask(shop, model, "How many customers are there?", **settings)
    assert answer.question == "How many customers are there?"
    assert answer.refusal or answer.result.ok
    with chaku.asker(shop, lambda: model, constrained=False, **settings) as asking:
        assert asking.run("SELECT count(*) FROM customers").rows[0][0] > 0
    with pytest.raises(ChakuError, match=r"nothing\.sqlite"):
        chaku.ask(tmp_path / "nothing.sqlite", model, "How many?")


@pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")
def test_a_model_is_evaluated_and_samples_are_scored(model, tmp_path):
    result = chaku.evaluate(model, "first_steps", limit=2, out=tmp_path / "eval")
    assert (result.benchmark, result.num_problems) == ("first_steps", 2)
    assert set(result.pass_at_k) == {1}
    low, high = result.intervals_95[1]
    assert 0 <= low <= result.pass_at_k[1] <= high <= 1
    assert result.manifest["model_sha256"]
    again = chaku.score("first_steps", tmp_path / "eval" / "completions.jsonl", scoring=partial())
    assert again.pass_at_k == result.pass_at_k


@pytest.mark.skipif(check_sandbox() is not None, reason=f"programs are NOT run: {check_sandbox()}")
def test_paths_may_be_texts(model, tmp_path):
    result = chaku.evaluate(model, "first_steps", limit=1, out=str(tmp_path / "eval"))
    samples = str(tmp_path / "eval" / "completions.jsonl")
    again = chaku.score("first_steps", samples, out=str(tmp_path / "score"), scoring=partial())
    assert again.pass_at_k == result.pass_at_k
    assert (tmp_path / "score" / "results.json").is_file()


def partial():
    from chaku.evals.score import Scoring

    return Scoring(partial=True)


def test_a_corpus_is_built(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "add.py").write_text(TEXTS[0] * 3)
    summary = chaku.build_corpus([tmp_path / "code"], tmp_path / "corpus")
    assert summary
    assert list((tmp_path / "corpus").glob("*.parquet"))
    with pytest.raises(ChakuError, match="no sources"):
        chaku.build_corpus([], tmp_path / "other")


def test_a_recipe_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ChakuError, match=r"nothing\.toml"):
        chaku.run(tmp_path / "nothing.toml")


def test_an_endpoint_completes_and_chats_and_says_what_it_cannot_do():
    with running_server() as server:
        there = chaku.connect(server.url, "m")
        assert there.complete("x", seed=3).text.startswith("x/3")
        assert len(there.generate(["x", "y"], num_samples=2)) == 2
        with pytest.raises(ChakuError, match="an endpoint only answers whole requests"):
            there.score(["x"])
        with pytest.raises(ChakuError, match="an endpoint only answers whole requests"):
            there.stream("x")
        with pytest.raises(ChakuError, match="cannot read a repository"):
            there.infill("a", "b", file=RepositoryFile("here", "a.py"))


def test_mistakes_are_said(model, tmp_path):
    with pytest.raises(ChakuError, match="temperature is -1"):
        model.complete("x", temperature=-1)
    with pytest.raises(ChakuError, match="`generate` gives num_samples"):
        model.complete("x", num_samples=2)
    with pytest.raises(TypeError, match="max_token"):
        model.complete("x", max_token=2)
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = chaku.lod


def test_import_is_light():
    code = "import sys, chaku; chaku.load; print([name for name in ('torch', 'numpy', 'rich') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
