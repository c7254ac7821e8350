"""Texts of one batch use different adapters, each as if its adapter was merged into the base."""

import pytest
import torch

from chaku import ChakuError
from chaku.checkpoint.huggingface import save_model
from chaku.checkpoint.peft import save_adapter
from chaku.checkpoint.peft_read import load_adapter, read_updates
from chaku.inference.engine import Engine
from chaku.inference.generator import Request, SamplingParams, TextPrompt
from chaku.inference.load import load_engine
from chaku.model.config import PRESETS, LoraConfig
from chaku.model.llama import Llama
from chaku.model.lora import add_lora, lora_layers, merge_lora

TARGETS = {
    "all": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "some": ("q_proj", "up_proj"),
}


def base():
    torch.manual_seed(1)
    model = Llama(PRESETS["tiny"])
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
    return model.eval()


@pytest.fixture(scope="module")
def directories(tokenizer, tmp_path_factory):
    """The base, and two adapters that say something else."""
    root = tmp_path_factory.mktemp("adapters")
    save_model(base(), root / "base")
    tokenizer.save(root / "base")
    for seed, (name, targets) in enumerate(TARGETS.items()):
        model, config = base(), LoraConfig(rank=4 + seed, alpha=16.0, targets=targets)
        add_lora(model, config)
        torch.manual_seed(seed)
        for _, layer in lora_layers(model):
            torch.nn.init.normal_(layer.lora_B, std=0.3)
        save_adapter(model, config, root / name, "base")
    return root


@pytest.mark.parametrize("decoder", ["torch", "openvino"])
def test_a_batch_with_adapters_is_as_the_merged_models(directories, tokenizer, decoder):
    if decoder == "openvino":
        pytest.importorskip("chaku.inference.openvino_import")
    adapters = {name: directories / name for name in TARGETS}
    engine = load_engine(directories / "base", dtype="float32", device="cpu", decoder=decoder, adapters=adapters)
    params, texts = SamplingParams(max_tokens=12), ["def", "for x in", "x"]
    requests = [
        Request(TextPrompt(text), params, adapter=adapter) for text in texts for adapter in (None, *TARGETS, None)
    ]
    found = engine.answer(requests)
    assert found == engine.answer(requests)  # from the cache, which keeps adapters apart
    merged = {None: Engine(base(), tokenizer)}
    for name in TARGETS:
        model = base()
        load_adapter(model, directories / name)
        merge_lora(model)
        merged[name] = Engine(model.eval(), tokenizer)
    for request, completion in zip(requests, found, strict=True):
        [alone] = merged[request.adapter].answer([Request(request.prompt, params)])
        assert completion.ids == alone.ids
    assert len({completion.ids for completion in found}) > len(texts)


def test_an_unknown_adapter_and_one_that_must_be_merged_are_refused(directories, tmp_path):
    engine = load_engine(directories / "base", device="cpu")
    with pytest.raises(ChakuError, match="no adapter 'sql'; the model has none"):
        engine.answer([Request(TextPrompt("x"), SamplingParams(max_tokens=5), adapter="sql")])
    config = (directories / "some" / "adapter_config.json").read_text()
    (tmp_path / "adapter_config.json").write_text(config.replace('"use_dora": false', '"use_dora": true'))
    with pytest.raises(ChakuError, match="merge it: chaku merge"):
        read_updates(PRESETS["tiny"], tmp_path)
