"""One format to another and back: the same weights, verified, whole or not at all."""

import json
import shutil

import pytest
import torch

import tiny_models
from chaku import ChakuError
from chaku.checkpoint import convert as convert_module
from chaku.checkpoint.convert import convert, in_words
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.inspect import in_lines, inspect
from chaku.checkpoint.peft import save_adapter
from chaku.cli import main
from chaku.corpus.build import build_corpus
from chaku.corpus.reading.sources import guess_source
from chaku.model.config import LoraConfig
from chaku.model.lora import add_lora, lora_layers
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer_training import train_tokenizer
from family import write_files
from killing import killed_at


@pytest.fixture
def checkpoint(tmp_path):
    """A Code Llama in small, as a model directory."""
    tiny_models.FAMILIES["with-tokenizer"] = ("Llama", {"vocab_size": 310}, {"rope_theta": 1e6})
    tiny_models.make("with-tokenizer", tmp_path / "hf")
    del tiny_models.FAMILIES["with-tokenizer"]
    texts = ["def add(a, b):\n    return a + b ☺ für\n", "for x in range(10):\n    print(x)\n"]
    train_tokenizer(texts, 310).save(tmp_path / "hf")
    (tmp_path / "hf" / "LICENSE").write_text("LLAMA 2 COMMUNITY LICENSE AGREEMENT\n")
    return tmp_path / "hf"


def same_weights(first, second) -> bool:
    pairs = zip(load_model(first).parameters(), load_model(second).parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("shards", [1, 2])
def test_hf_to_meta_and_back(checkpoint, tmp_path, shards):
    result = convert(checkpoint, tmp_path / "meta", "meta", num_shards=shards, verify=True)
    assert result["largest_difference"] < 1e-6
    assert "100.0% of the most likely tokens are the same" in in_words(result)
    assert (tmp_path / "meta" / "LICENSE").is_file()
    texts = ["def add(a, b):\n    return a  # é 12", "x <PRE> y", " "]
    ours, theirs = (load_tokenizer(path) for path in (checkpoint, tmp_path / "meta" / "tokenizer.model"))
    assert [ours.encode(text) for text in texts] == [theirs.encode(text) for text in texts]
    convert(tmp_path / "meta", tmp_path / "again", "hf", verify=True)
    assert same_weights(checkpoint, tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").sha256 == load_tokenizer(checkpoint).sha256
    assert load_model(tmp_path / "again").config.rope_theta == 1e6


@pytest.mark.parametrize("dtype", ["f32", "f16", "q8_0"])
def test_gguf(checkpoint, tmp_path, dtype):
    result = convert(checkpoint, tmp_path / "model.gguf", "gguf", dtype=dtype, verify=True)
    assert result["largest_difference"] < {"f32": 1e-6, "f16": 1e-2, "q8_0": 0.1}[dtype]
    assert (tmp_path / "model.gguf").read_bytes().startswith(b"GGUF")


def test_gguf_to_the_other_formats_and_back(checkpoint, tmp_path):
    """A GGUF file is a source as a directory is; nothing that lies beside it is copied."""
    source = tmp_path / "files" / "model.gguf"
    convert(checkpoint, source, "gguf", dtype="f32")
    (source.parent / "LICENSE").write_text("of another model")
    for target, to in (("hf-again", "hf"), ("meta", "meta"), ("again.gguf", "gguf")):
        result = convert(source, tmp_path / target, to, dtype="f32" if to == "gguf" else None, verify=True)
        assert result["largest_difference"] < 1e-6
        assert same_weights(checkpoint, tmp_path / target)
    texts = ["def add(a, b):\n    return a  # é 12", "x <PRE> y", " ", ""]
    before = load_tokenizer(checkpoint)
    for target in ("hf-again", "again.gguf"):
        after = load_tokenizer(tmp_path / target)
        assert [after.encode(text) for text in texts] == [before.encode(text) for text in texts]
        assert after.special_ids == before.special_ids
    assert not (tmp_path / "hf-again" / "LICENSE").exists()


@pytest.mark.parametrize("dtype", ["f16", "q8_0"])
def test_a_gguf_file_of_several_dtypes_is_verified(checkpoint, tmp_path, dtype):
    """Matrices in 16 or 8 bits and norms in 32: both sides compute in the output's."""
    convert(checkpoint, tmp_path / "model.gguf", "gguf", dtype=dtype)
    assert convert(tmp_path / "model.gguf", tmp_path / "hf2", "hf", verify=True)["largest_difference"] < 1e-6
    assert same_weights(tmp_path / "model.gguf", tmp_path / "hf2")


def test_dtype(checkpoint, tmp_path):
    convert(checkpoint, tmp_path / "half", "hf", dtype="bfloat16", verify=True)
    assert json.loads((tmp_path / "half" / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert load_model(tmp_path / "half", dtype=None).lm_head.weight.dtype == torch.bfloat16
    with pytest.raises(ChakuError, match="int3 is not one of float32"):
        convert(checkpoint, tmp_path / "x", "hf", dtype="int3")


def test_nothing_is_written_where_something_is_or_when_verification_fails(checkpoint, tmp_path, monkeypatch):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ChakuError, match="exists; name a new path"):
        convert(checkpoint, checkpoint, "meta")

    def wrong(tensors, directory):
        convert_module_write(((name, tensor * 1.5) for name, tensor in tensors), directory)

    convert_module_write = convert_module.write_tensors
    monkeypatch.setattr(convert_module, "write_tensors", wrong)
    with pytest.raises(ChakuError, match="verification failed"):
        convert(checkpoint, tmp_path / "new", "hf", verify=True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("to", ["hf", "meta", "gguf"])
def test_killed_it_leaves_no_target_and_the_same_command_succeeds(to, checkpoint, tmp_path):
    target = tmp_path / "out" / "target"
    command = ["convert", str(checkpoint), str(target), "--to", to, "--verify"]
    assert killed_at("chaku.checkpoint.convert._compare", 1, main, command)  # all is written, nothing in place
    assert list(target.parent.glob(".*"))  # it was at work
    assert not target.exists()
    assert main(command) == 0
    assert target.exists()


def test_inspect(checkpoint, capsys):
    about = inspect(checkpoint)
    assert (about["family"], about["format"], about["licence"]) == ("llama", "hf", "llama2")
    assert about["rope_theta"] == 1e6
    assert about["parameters"] == sum(parameter.numel() for parameter in load_model(checkpoint).parameters())
    assert about["weights_bytes"]["float32"] == 4 * about["parameters"]
    assert about["special_tokens"]["prefix"] == load_tokenizer(checkpoint).prefix_id
    assert "parameters" in in_lines(about)[3]
    (checkpoint / "README.md").write_text("---\nlanguage: code\nlicense: apache-2.0\n---\n# A model\n")
    (checkpoint / "model.safetensors").write_bytes(b"no weight is read")
    assert main(["inspect", str(checkpoint), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["licence"] == "apache-2.0"
    assert main(["inspect", str(checkpoint)]) == 0
    assert "key value heads" in capsys.readouterr().out


def test_the_commands(checkpoint, tmp_path, capsys):
    assert main(["convert", str(checkpoint), str(tmp_path / "meta"), "--to", "meta", "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "meta"
    # Every command opens Meta's directory as it does Hugging Face's.
    answers = []
    for model in (checkpoint, tmp_path / "meta"):
        assert main(["complete", str(model), "def add(a", "--max-tokens", "12"]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1]
    assert main(["inspect", str(tmp_path / "meta"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["format"] == "meta"
    gguf = str(tmp_path / "model.gguf")
    assert main(["convert", str(checkpoint), gguf, "--to", "gguf", "--dtype", "f32"]) == 0
    capsys.readouterr()
    assert main(["complete", gguf, "def add(a", "--max-tokens", "12"]) == 0
    assert capsys.readouterr().out == answers[0]
    assert main(["infill", gguf, "--prefix", "def add(a", "--suffix", "return", "--max-tokens", "4"]) == 0
    capsys.readouterr()
    assert main(["inspect", gguf, "--json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["format"], about["family"], about["context"]) == ("gguf", "llama", 64)
    assert about["special_tokens"]["prefix"] == load_tokenizer(checkpoint).prefix_id
    assert about["stored_as"] == {"F32": 30}
    assert main(["convert", str(checkpoint), str(tmp_path / "meta"), "--to", "hf"]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["hf", "gguf"])
def test_merge(checkpoint, tmp_path, capsys, form):
    if form == "gguf":
        convert(checkpoint, tmp_path / "base.gguf", "gguf", dtype="q8_0")
        checkpoint = tmp_path / "base.gguf"
    model = load_model(checkpoint)
    add_lora(model, LoraConfig(rank=2), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for _, layer in lora_layers(model):
            layer.lora_B.normal_(std=0.1)
    save_adapter(model, LoraConfig(rank=2), tmp_path / "adapter", str(checkpoint))
    assert main(["merge", str(checkpoint), str(tmp_path / "adapter"), str(tmp_path / "merged"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["target"] == str(tmp_path / "merged")
    ids = torch.arange(50)[None]
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path / "merged")(ids), model(ids), atol=5e-5, rtol=1e-4)
    base_name = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert base_name == str(checkpoint)
    assert load_tokenizer(tmp_path / "merged").sha256 == load_tokenizer(checkpoint).sha256
    assert main(["merge", str(checkpoint), str(tmp_path / "adapter"), str(tmp_path / "merged")]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_quantised_weights_complete_and_are_measured_beside_the_full_ones(scheme, checkpoint, tmp_path, capsys):
    pytest.importorskip("torchao")
    assert main(["complete", str(checkpoint), "def f", "--max-tokens", "4", "--quantize", scheme]) == 0
    capsys.readouterr()
    write_files(tmp_path / "files")
    build_corpus([guess_source(tmp_path / "files")], tmp_path / "corpus", heldout_fraction=0.2)
    command = ["eval", "run", str(checkpoint), "--benchmark", "perplexity", "--benchmark", "bits_per_byte", "--json"]
    assert main([*command, "--corpus", str(tmp_path / "corpus"), "--quantize", scheme]) == 0
    perplexity, bits = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    for before, after in ((result["results"], result["quantized"]["results"]) for result in (perplexity, bits)):
        before, after = (path.get("perplexity") or [path["overall"]["bits_per_byte"]] for path in (before, after))
        assert before != after
        assert after == pytest.approx(before, rel=0.05 if scheme == "int8" else 0.3)
    assert perplexity["quantized"]["scheme"] == scheme
    assert perplexity["quantized"]["weights_bytes_after"] < perplexity["quantized"]["weights_bytes_before"]


def test_what_metas_format_does_not_keep_is_said(checkpoint, tmp_path, capsys):
    fields = json.loads((checkpoint / "config.json").read_text())
    other = tmp_path / "other"
    shutil.copytree(checkpoint, other)
    (other / "config.json").write_text(json.dumps({**fields, "max_position_embeddings": 777}))
    convert(other, tmp_path / "meta", "meta")
    said = capsys.readouterr().err
    assert "Meta's format does not keep max_position_embeddings 777 (read back as 16384)" in said
