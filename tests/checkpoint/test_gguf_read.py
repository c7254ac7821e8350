"""GGUF in: what a file says is what the model computes; what chaku does not compute is refused."""

from dataclasses import replace

import gguf
import pytest
import torch

import tiny_models
from chaku import ChakuError
from chaku.checkpoint.formats import load_model, open_checkpoint, sha256_checkpoint
from chaku.checkpoint.huggingface import load_config
from chaku.files import sha256_file
from chaku.model.config import RopeScaling
from chaku.model.rope import rotary_frequencies
from chaku.tokens.load import load_tokenizer
from gguf_files import TOKENIZER, change, export, tiny_config, tiny_model

IDS = torch.randint(3, 300, (2, 120), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    return export(tiny_model(tiny_config("smollm2")), tmp_path_factory.mktemp("gguf") / "model.gguf")


@pytest.mark.parametrize("name", tiny_models.FAMILIES)
def test_the_same_model_comes_back(name, tmp_path):
    """Its configuration, its weights, and the scores beyond the trained length, where scaled frequencies matter."""
    model = tiny_model(tiny_config(name))
    back = load_model(export(model, tmp_path / "model.gguf"), dtype=None).eval()
    ours, theirs = model.config, back.config
    # GGUF does not tell Mistral from Llama, and says the odd YaRN as divisors, in float32.
    changed = {"model_type": theirs.model_type} if ours.model_type == "mistral" else {}
    if name in ("llama-yarn", "llama-longrope"):
        changed["rope_scaling"] = theirs.rope_scaling
        assert theirs.rope_scaling.rope_type == "longrope"
        assert theirs.rope_scaling.attention_scale == pytest.approx(ours.rope_scaling.attention_scale)
        torch.testing.assert_close(rotary_frequencies(theirs)[0], rotary_frequencies(ours)[0])
    assert theirs == replace(ours, **changed, eos_token_id=(2, TOKENIZER.eot_id))
    for (key, before), (_, after) in zip(model.state_dict().items(), back.state_dict().items(), strict=True):
        assert torch.equal(before, after), key
    with torch.inference_mode():
        torch.testing.assert_close(back(IDS), model(IDS), atol=1e-4, rtol=0)


def test_llama_3s_scaling_is_found_again(tmp_path):
    for scaling in (
        RopeScaling("llama3", 8.0, 8192),
        RopeScaling("llama3", 32.0, 8192),
        RopeScaling("llama3", 4.0, 1024),
    ):
        config = replace(tiny_config("llama-3.1"), rope_scaling=scaling, rope_theta=5e5, max_position_embeddings=131072)
        path = export(tiny_model(config), tmp_path / "model.gguf")
        assert open_checkpoint(path).config.rope_scaling == scaling
        path.unlink()


def test_linear_and_yarn_from_other_programs(tmp_path, smollm2):
    def read(**metadata):
        changed = {f"llama.rope.scaling.{key}": value for key, value in metadata.items()}
        return open_checkpoint(change(smollm2, tmp_path / "changed.gguf", changed)).config.rope_scaling

    assert read() is None
    assert read(type="none", factor=4.0) is None
    assert read(factor=4.0) == RopeScaling("linear", 4.0)
    assert read(type="linear", factor=4.0) == RopeScaling("linear", 4.0)
    assert read(type="yarn", factor=4.0, original_context_length=32) == RopeScaling("yarn", 4.0, 32)
    assert read(type="yarn", factor=4.0) == RopeScaling("yarn", 4.0, 64)
    yarn = read(type="yarn", factor=4.0, attn_factor=2.0)
    assert yarn.attention_scale == pytest.approx(2 * RopeScaling("yarn", 4.0, 64).attention_scale)
    for kind in ("longrope", "su"):
        with pytest.raises(ChakuError, match=f"llama.rope.scaling.type is '{kind}'; chaku supports linear, yarn"):
            read(type=kind)
    with pytest.raises(ChakuError, match=r"value of llama.rope.scaling.factor is not supported"):
        read(type="yarn", factor=-4.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"llama.expert_count": 8}, "llama.expert_count is 8, which chaku's Llama does not support"),
        ({"llama.logit_scale": 0.5}, "llama.logit_scale is 0.5"),
        ({"llama.block_count": 4}, "block_count is 4, but the file holds 3 layers"),
        ({"llama.block_count": 4_000_000_000}, "block_count is 4000000000; chaku's Llama needs one positive number"),
        ({"llama.block_count": None}, "lacks llama.block_count"),
        ({"llama.embedding_length": None}, "lacks llama.embedding_length"),
        ({"llama.attention.layer_norm_rms_epsilon": None}, "lacks llama.attention.layer_norm_rms_epsilon"),
        ({"llama.attention.head_count": 0}, "head_count is 0; chaku's Llama needs one positive number"),
        ({"llama.attention.value_length": 8}, "value_length is 8, but a head has 16"),
        ({"llama.rope.dimension_count": 8}, "rope.dimension_count is 8, but a head has 16"),
        ({"tokenizer.ggml.bos_token_id": "1"}, "bos_token_id is '1', a value of the wrong type"),
        ({"split.count": 3}, "is one of 3 parts of a model; give the parts their names back"),
    ],
)
def test_what_chaku_does_not_compute_is_refused(changes, message, smollm2, tmp_path):
    """Before any weight is read."""
    path = change(smollm2, tmp_path / "changed.gguf", changes)
    with pytest.raises(ChakuError, match=message):
        open_checkpoint(path)


def test_more_tokens_than_embeddings_are_refused(smollm2, tmp_path):
    path = tmp_path / "changed.gguf"
    change(smollm2, path, tensors=lambda name, values: values[:100] if name == "token_embd.weight" else values)
    with pytest.raises(ChakuError, match="has 330 tokens but only 100 embeddings"):
        load_tokenizer(path)


def test_the_window_of_a_mistral(smollm2, tmp_path):
    path = change(smollm2, tmp_path / "changed.gguf", {"llama.attention.sliding_window": 20})
    config = open_checkpoint(path).config
    assert (config.model_type, config.sliding_window) == ("mistral", 20)
    qwen = export(tiny_model(tiny_config("qwen2")), tmp_path / "qwen.gguf")
    path = change(qwen, tmp_path / "changed.gguf", {"qwen2.attention.sliding_window": 20})
    with pytest.raises(ChakuError, match="a window in some layers is not supported"):
        open_checkpoint(path)


def test_another_architecture_is_refused_by_name(smollm2, tmp_path):
    content = smollm2.read_bytes().replace(b"\5\0\0\0\0\0\0\0llama", b"\5\0\0\0\0\0\0\0phi99", 1)
    (tmp_path / "other.gguf").write_bytes(content)
    with pytest.raises(ChakuError, match=r"'phi99' is not one that chaku knows from GGUF \(llama, qwen2\)"):
        open_checkpoint(tmp_path / "other.gguf")


def test_tensors_that_do_not_belong_to_a_llama(smollm2, tmp_path):
    path = tmp_path / "changed.gguf"
    change(smollm2, path, tensors=lambda name, values: None if "1.ffn_up" in name else values)
    with pytest.raises(ChakuError, match=r"changed.gguf lacks the tensor model.layers.1.mlp.up_proj.weight"):
        load_model(path)
    change(smollm2, path, tensors=lambda name, values: values[:-2] if "attn_k" in name else values)
    with pytest.raises(ChakuError, match=r"k_proj.weight has shape \(14, 48\), .* asks for \(16, 48\)"):
        load_model(path)
    change(smollm2, path, tensors=lambda name, values: None)
    with pytest.raises(ChakuError, match=r"lacks the tensor token_embd.weight, so it is not a whole model"):
        load_model(path)


@pytest.mark.parametrize("dtype", [None, torch.float32, torch.bfloat16])
def test_quantised_weights_become_the_dtype(dtype, tmp_path):
    model = tiny_model(tiny_config("qwen2"))
    path = change(export(model, tmp_path / "plain.gguf"), tmp_path / "q.gguf", quantise=gguf.GGMLQuantizationType.Q8_0)
    back = load_model(path, dtype=dtype)
    assert {parameter.dtype for parameter in back.parameters()} == {dtype or torch.float32}
    for (key, before), after in zip(model.state_dict().items(), back.state_dict().values(), strict=True):
        torch.testing.assert_close(after.float(), before, atol=5e-3, rtol=5e-3, msg=key)
    assert load_model(path, scheme="int8").model.layers[0].self_attn.q_proj.weight is not None


def test_a_model_in_parts(smollm2, tmp_path):
    """Any part names the model."""
    names = [tensor.name for tensor in gguf.GGUFReader(smollm2).tensors]
    parts = [tmp_path / f"model-{number:05}-of-00003.gguf" for number in (1, 2, 3)]
    for number, part in enumerate(parts):
        mine = set(names[number::3])
        change(
            smollm2,
            part,
            {"split.no": number, "split.count": 3, "split.tensors.count": len(names)},
            tensors=lambda name, values, mine=mine: values if name in mine else None,
        )
    whole = load_model(smollm2)
    for part in parts:
        assert all(map(torch.equal, load_model(part).state_dict().values(), whole.state_dict().values()))
    assert sha256_checkpoint(parts[1]) == sha256_checkpoint(parts[0]) != sha256_checkpoint(smollm2)
    assert sha256_checkpoint(smollm2) == sha256_file(smollm2)
    parts[2].unlink()
    with pytest.raises(ChakuError, match=r"lacks model-00003-of-00003.gguf of the 3 parts of the model: put all"):
        load_model(parts[0])


def test_a_directory_with_gguf_files_alone_names_them(tmp_path):
    (tmp_path / "model.gguf").touch()
    with pytest.raises(ChakuError, match=r"it has no config.json; name one in it: .*model.gguf"):
        load_config(tmp_path)
