"""A base model as its makers publish it is trained further with one command, and the result opens in transformers."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
import transformers

import tiny_models
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import named_tensors
from chaku.checkpoint.meta import write_meta
from chaku.cli import main
from chaku.inference.prompts import complete
from chaku.model.config import LlamaConfig
from chaku.model.llama import Llama
from chaku.tokens.byte_level import ByteLevelTokenizer
from chaku.tokens.definition import llama_definition
from chaku.tokens.load import load_tokenizer
from chaku.tokens.sentencepiece import write_sentencepiece
from chaku.tokens.special import CODE_LLAMA_LADDER, CODE_LLAMA_REPEATS
from chaku.tokens.tokenizer import SENTINELS, Tokenizer, extend_for_infilling
from chaku.tokens.tokenizer_training import train_tokenizer
from family import write_files
from tokens.families import make

protobuf = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")

RECIPE = """
name = "further"
[corpus]
sources = [{ name = "files", type = "tree", path = "FILES" }]
heldout_fraction = 0.2
num_workers = 1
[model]
path = "BASE"
[sets]
code = { kinds = ["code"] }
[stages.further]
mixture = { code = 1.0 }
sequence_length = 128
infilling = { rate = 0.9, spm_rate = SPM_RATE }
training.tokens = 10240
training.batch_tokens = 1024
training.learning_rate = 1e-3
training.precision = "float32"
"""
TEXTS = [
    "def total(items):\n    return items + 12  # é 漢\n" * 3,
    "class A: x == y!\n\n\tfoo_bar = for else while import",
]


def llama2() -> Tokenizer:
    """A small tokenizer of Llama 2's kind: no infilling pieces."""
    model = train_tokenizer(TEXTS, 310).definition["model"]
    return Tokenizer(llama_definition(model["vocab"], model["merges"], {"<unk>": 0, "<s>": 1, "</s>": 2}))


def publish_meta(directory: Path, num_shards: int) -> None:
    """Code Llama as Meta does: tables of rotary frequencies, no vocabulary size, infilling pieces that are ordinary."""
    tokenizer = extend_for_infilling(llama2())
    torch.manual_seed(1)
    config = LlamaConfig(tokenizer.vocab_size, 64, 256, 2, 4, 4, 16_384, rope_theta=1e6)
    weights = ((name, tensor.bfloat16()) for name, tensor in named_tensors(Llama(config)))
    write_meta(config, weights, directory, num_shards)
    for path in directory.glob("*.pth"):
        torch.save({**torch.load(path), "rope.freqs": torch.ones(8, dtype=torch.bfloat16)}, path)
    params = json.loads((directory / "params.json").read_text())
    for key in ("vocab_size", "n_kv_heads"):
        del params[key]
    assert params["multiple_of"] == 256
    (directory / "params.json").write_text(json.dumps(params))
    write_sentencepiece(tokenizer, directory / "tokenizer.model")
    pieces = protobuf.ModelProto.FromString((directory / "tokenizer.model").read_bytes())
    for piece in pieces.pieces:
        if piece.piece in (*SENTINELS, *CODE_LLAMA_LADDER, *CODE_LLAMA_REPEATS):
            piece.type = 1
    (directory / "tokenizer.model").write_bytes(pieces.SerializeToString())


def publish_hugging_face(directory: Path, size: str) -> None:
    """Code Llama as Hugging Face does: float16 shards, an older config.json, tokens that have no embedding."""
    base = llama2()
    tokenizer = base if size == "34b" else extend_for_infilling(base)
    shape = {"vocab_size": tokenizer.vocab_size, "num_key_value_heads": 2 if size == "34b" else 4}
    name = f"published-{size}"
    tiny_models.FAMILIES[name] = ("Llama", {**shape, "max_position_embeddings": 16_384}, {"rope_theta": 1e6})
    tiny_models.make(name).half().save_pretrained(directory, max_shard_size="100KB")
    del tiny_models.FAMILIES[name]
    config = json.loads((directory / "config.json").read_text())
    del config["rope_parameters"], config["dtype"]
    config |= {"rope_theta": 1e6, "rope_scaling": None, "torch_dtype": "float16", "pretraining_tp": 1}
    (directory / "config.json").write_text(json.dumps(config))
    tokenizer.save(directory)
    if size == "34b":
        theirs = transformers.AutoTokenizer.from_pretrained(directory)
        theirs.add_special_tokens({"additional_special_tokens": ["▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>"]})
    else:
        theirs = transformers.CodeLlamaTokenizer.from_pretrained(directory)
    theirs.save_pretrained(directory)
    assert len(theirs) > config["vocab_size"]


def publish_qwen(directory: Path) -> None:
    """Qwen2.5-Coder: more embeddings than tokens."""
    tokenizer = ByteLevelTokenizer(*make("qwen2.5-coder"))
    tiny_models.FAMILIES["published-qwen"] = (
        "Qwen2",
        {"vocab_size": tokenizer.vocab_size + 9, "eos_token_id": tokenizer.eos_id, "max_position_embeddings": 4096},
        {"rope_theta": 1e6},
    )
    tiny_models.make("published-qwen").bfloat16().save_pretrained(directory)
    del tiny_models.FAMILIES["published-qwen"]
    tokenizer.save(directory)


PUBLISHERS = {
    "meta-7b": lambda path: publish_meta(path, 1),
    "meta-13b": lambda path: publish_meta(path, 2),
    "hf-7b": lambda path: publish_hugging_face(path, "7b"),
    "hf-34b": lambda path: publish_hugging_face(path, "34b"),
    "qwen": publish_qwen,
}


@pytest.mark.parametrize("name", PUBLISHERS)
def test_trained_further_and_opened_in_transformers(name, tmp_path, capsys):
    base, stage = tmp_path / "base", tmp_path / "run" / "stages" / "further"
    base.mkdir()
    PUBLISHERS[name](base)
    before = load_model(base).eval()
    ids = torch.randint(3, 300, (2, 300), generator=torch.Generator().manual_seed(1))
    if name.startswith(("hf", "qwen")):
        theirs = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
        with torch.no_grad():
            torch.testing.assert_close(before(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)
    write_files(tmp_path / "files", 60)
    recipe = tmp_path / "further.toml"
    text = RECIPE.replace("FILES", str(tmp_path / "files")).replace("BASE", str(base))
    recipe.write_text(text.replace("SPM_RATE", "0.0" if name == "qwen" else "0.5"))
    assert main(["run", str(recipe), "--out", str(tmp_path / "run")]) == 0

    after = load_model(stage).eval()
    rows = before.config.vocab_size + 16 * (name == "hf-34b")
    assert after.config == dataclasses.replace(before.config, vocab_size=rows)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(stage, dtype=torch.float32).eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, after(ids), atol=1e-5, rtol=1e-5)
        assert (after(ids)[..., :300] - before(ids)[..., :300]).abs().max() > 0.1
    tokenizer, auto = load_tokenizer(stage), transformers.AutoTokenizer.from_pretrained(stage)
    assert len(auto) == tokenizer.vocab_size <= rows
    assert auto(TEXTS[0])["input_ids"] == list(complete(tokenizer, TEXTS[0]).ids)
    capsys.readouterr()
    assert (
        main(["infill", str(stage), "--prefix", "def total(", "--suffix", "):\n", "--max-tokens", "4", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["finish_reason"] in ("stop", "length")
