"""Every family infills in its own layout, and a model of another family than Llama does so from the command line."""

import dataclasses
import json

import pytest
import torch

from chaku import ChakuError
from chaku.checkpoint.huggingface import save_model
from chaku.cli import main
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import Prompt, complete, infill
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.byte_level import ByteLevelTokenizer
from tokens.families import FAMILIES, make

TOKENIZERS = {name: ByteLevelTokenizer(*make(name)) for name in FAMILIES}
PREFIX, SUFFIX = "def add(", "):\n    return"
STAR = ("<fim_prefix>", "<fim_suffix>", "<fim_middle>")
LAYOUTS = [
    ("qwen2.5-coder", "psm", ["<|fim_prefix|>", PREFIX, "<|fim_suffix|>", SUFFIX, "<|fim_middle|>"]),
    ("granite-code", "psm", [STAR[0], PREFIX, STAR[1], SUFFIX, STAR[2]]),
    ("granite-code", "spm", [STAR[0], STAR[1], SUFFIX, STAR[2], PREFIX]),
    (
        "deepseek-coder",
        "psm",
        ["<｜begin▁of▁sentence｜>", "<｜fim▁begin｜>", PREFIX, "<｜fim▁hole｜>", SUFFIX, "<｜fim▁end｜>"],
    ),
]


@pytest.mark.parametrize(("name", "mode", "parts"), LAYOUTS)
def test_layouts(name, mode, parts):
    tokenizer = TOKENIZERS[name]
    expected = []
    for part in parts:
        expected += tokenizer.encode(part) if part in (PREFIX, SUFFIX) else [tokenizer.pieces.index(part)]
    assert infill(tokenizer, PREFIX, SUFFIX, mode=mode).ids == tuple(expected)
    if mode == "psm":
        assert infill(tokenizer, PREFIX, SUFFIX).ids == tuple(expected)
    assert len(infill(tokenizer, PREFIX * 20, SUFFIX * 20, mode=mode, max_length=40).ids) == 40


def test_what_a_family_does_not_have():
    with pytest.raises(ChakuError, match="no infilling tokens"):
        infill(TOKENIZERS["llama-3"], "a", "b")
    for name in ("qwen2.5-coder", "deepseek-coder"):
        with pytest.raises(ChakuError, match="in mode spm; use psm"):
            infill(TOKENIZERS[name], "a", "b", mode="spm")


def test_only_vocabularies_with_bos_begin_with_it():
    llama, qwen = TOKENIZERS["llama-3"], TOKENIZERS["qwen2.5-coder"]
    assert complete(llama, "x").ids == (llama.bos_id, *llama.encode("x"))
    assert complete(qwen, "x").ids == tuple(qwen.encode("x"))
    assert complete(qwen, "").ids == (qwen.pieces.index("<|endoftext|>"),)


@pytest.fixture(scope="module")
def qwen():
    torch.manual_seed(2)
    tokenizer = TOKENIZERS["qwen2.5-coder"]
    shape = dataclasses.replace(
        PRESETS["tiny"],
        vocab_size=tokenizer.vocab_size + 7,  # Qwen's embeddings are padded
        bos_token_id=None,
        eos_token_id=tokenizer.eos_id,
        attention_bias=True,
        model_type="qwen2",
    )
    return Engine(Llama(shape).eval(), tokenizer)


def test_what_ends_a_middle(qwen):
    tokenizer = qwen.tokenizer
    qwen = Engine(qwen.model, tokenizer, sampler=lambda scores, params, uniforms: [script.pop(0)])
    prompt = infill(tokenizer, "", "x")
    for end in ("<|endoftext|>", "<|file_sep|>", "<|fim_pad|>", "<|repo_name|>", "<|fim_prefix|>"):
        script = [*tokenizer.encode(" a"), tokenizer.pieces.index(end), 5]
        [[completion]] = qwen.generate([prompt], SamplingParams(max_tokens=9))
        assert (completion.text, completion.finish_reason) == (" a", "stop")  # the space is the text's own
    script = tokenizer.encode(" a")
    [[completion]] = qwen.generate([complete(tokenizer, "")], SamplingParams(max_tokens=len(script)))
    assert completion.text == " a"


def test_a_long_prompt_without_bos_keeps_its_end_alone(qwen):
    prompt = complete(qwen.tokenizer, "return a + b " * 40)
    params = SamplingParams(max_tokens=10)
    room = qwen.context - params.max_tokens
    [[cut]], [[end]] = qwen.generate([prompt], params), qwen.generate([Prompt(prompt.ids[-room:])], params)
    assert (cut.ids, cut.prompt_tokens_cut, end.prompt_tokens_cut) == (end.ids, len(prompt.ids) - room, 0)


def test_infill_from_the_command_line(qwen, tmp_path, capsys):
    from transformers import AutoTokenizer

    save_model(qwen.model, tmp_path)
    qwen.tokenizer.save(tmp_path)
    common = ["--max-tokens", "8", "--json"]
    assert main(["infill", str(tmp_path), "--prefix", PREFIX, "--suffix", SUFFIX, *common]) == 0
    assert json.loads(capsys.readouterr().out)["finish_reason"] in ("stop", "length")
    assert main(["infill", str(tmp_path), "--prefix", PREFIX, "--suffix", SUFFIX, "--mode", "spm", *common]) == 2
    assert "use psm" in capsys.readouterr().err
    theirs = AutoTokenizer.from_pretrained(tmp_path)  # with config.json beside it
    assert theirs("é = [1, 22]\n\n\tx")["input_ids"] == list(complete(qwen.tokenizer, "é = [1, 22]\n\n\tx").ids)
