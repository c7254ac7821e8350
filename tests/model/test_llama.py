"""Random models agree with transformers' LlamaForCausalLM."""

import dataclasses

import pytest
import torch

from chaku.checkpoint.config_json import config_to_json
from chaku.checkpoint.formats import load_model
from chaku.checkpoint.huggingface import save_model
from chaku.model.config import PRESETS, LlamaConfig, RopeScaling
from chaku.model.llama import Llama

SHAPES = {
    "mha": LlamaConfig(97, 64, 160, 2, 4, 4, 128),
    "gqa": LlamaConfig(131, 96, 256, 3, 6, 2, 128, rope_theta=1e6),
    "mqa-tied": LlamaConfig(64, 32, 96, 1, 2, 1, 128, tie_word_embeddings=True),
    "interpolated": LlamaConfig(80, 64, 96, 2, 4, 2, 128, rope_scaling=RopeScaling("linear", 4.0)),
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def pair(request, tmp_path):
    from transformers import LlamaForCausalLM

    torch.manual_seed(7)
    model = Llama(request.param)
    with torch.no_grad():  # larger than the usual initialisation, so that positions and layers matter
        for parameter in model.parameters():
            parameter.mul_(4) if parameter.ndim > 1 else parameter.add_(torch.randn_like(parameter) * 0.2)
    save_model(model, tmp_path)
    theirs = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32, attn_implementation="eager").eval()
    return load_model(tmp_path).eval(), theirs


def test_logits_equal(pair):
    ours, theirs = pair
    ids = torch.randint(0, ours.config.vocab_size, (3, 100), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-5, rtol=1e-5)


def test_64_greedy_tokens_equal(pair):
    ours, theirs = pair
    ids = torch.randint(3, ours.config.vocab_size, (1, 10), generator=torch.Generator().manual_seed(2))
    expected = theirs.generate(
        ids,
        max_new_tokens=64,
        min_new_tokens=64,
        do_sample=False,
        attention_mask=torch.ones_like(ids),
        pad_token_id=0,
    )
    got = ids
    with torch.no_grad():
        for _ in range(64):
            logits = ours(got)[:, -1]
            logits[:, ours.config.eos_token_id] = -torch.inf  # min_new_tokens forbids it there
            got = torch.cat((got, logits.argmax(-1, keepdim=True)), dim=1)
    assert got.tolist() == expected.tolist()


def test_documents_do_not_see_each_other():
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"]).eval()
    first, second = torch.randint(0, 512, (1, 20)), torch.randint(0, 512, (1, 30))
    both = torch.cat((first, second), dim=1)
    documents = torch.tensor([[0] * 20 + [1] * 30])
    with torch.no_grad():
        together = model(both, document_ids=documents)
        # Rotary attention depends on distances alone, so the second document need not restart at position 0.
        torch.testing.assert_close(together[:, 20:], model(second), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(model(both)[:, 20:], model(second), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "ffn", "billions"),
    [("7b", 11008, 6.739), ("13b", 13824, 13.016), ("34b", 22016, 33.744), ("70b", 28672, 68.977)],
)
def test_published_sizes(name, ffn, billions):
    config = PRESETS[name]
    assert config.intermediate_size == ffn
    assert round(config.num_parameters / 1e9, 3) == billions
    assert config_to_json(config)["rope_theta"] == 10_000.0


def test_published_size_of_a_model_with_tied_embeddings_and_biases():
    """Qwen2.5-Coder-0.5B has 494M parameters. Its publisher's GGUF file stores the output's matrix apart: 630M."""
    shape = {"vocab_size": 151_936, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24}
    heads = {"num_attention_heads": 14, "num_key_value_heads": 2, "attention_bias": True, "model_type": "qwen2"}
    config = LlamaConfig(**shape, **heads, max_position_embeddings=32_768, tie_word_embeddings=True)
    assert config.num_parameters == 494_032_768
    assert dataclasses.replace(config, tie_word_embeddings=False).num_parameters == 630_167_424


def test_num_parameters_counts_the_model():
    for config in (PRESETS["tiny"], dataclasses.replace(PRESETS["tiny"], tie_word_embeddings=True)):
        assert config.num_parameters == sum(p.numel() for p in Llama(config).parameters())
