"""GGUF out: what is written is read back, and llama.cpp computes and tokenizes as chaku does."""

import weakref
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

import tiny_models
from chaku import ChakuError
from chaku.checkpoint.gguf_read import read_gguf
from chaku.checkpoint.gguf_write import write_gguf
from chaku.checkpoint.huggingface import build_model, named_tensors
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.prompts import complete, infill
from chaku.tokens.tokenizer import extend_for_infilling
from chaku.tokens.tokenizer_training import train_tokenizer
from gguf_files import CODE, ROWS, TOKENIZER, byte_level, export, metadata, tiny_config, tiny_model


def test_metadata(tmp_path):
    config = tiny_config("code-llama")
    fields = metadata(export(tiny_model(config), tmp_path / "model.gguf", "f16"))
    expected = {
        "general.architecture": "llama",
        "general.name": "tiny",
        "general.file_type": gguf.LlamaFileType.MOSTLY_F16,
        "llama.vocab_size": ROWS,
        "llama.context_length": 64,
        "llama.embedding_length": 64,
        "llama.block_count": 3,
        "llama.feed_forward_length": 160,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 4,
        "llama.attention.key_length": 16,
        "llama.attention.value_length": 16,
        "llama.rope.dimension_count": 16,
        "llama.rope.freq_base": 1e6,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.fim_pre_token_id": TOKENIZER.prefix_id,
        "tokenizer.ggml.fim_suf_token_id": TOKENIZER.suffix_id,
        "tokenizer.ggml.fim_mid_token_id": TOKENIZER.middle_id,
        "tokenizer.ggml.eot_token_id": TOKENIZER.eot_id,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.ggml.add_eos_token": False,
        "tokenizer.ggml.add_space_prefix": True,
    }
    assert {key: fields[key] for key in expected} == expected
    assert fields["llama.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-5)
    assert fields["tokenizer.ggml.tokens"] == [*TOKENIZER.pieces, *(f"[PAD{number}]" for number in range(330, ROWS))]
    kinds = [gguf.TokenType(part).name for part in fields["tokenizer.ggml.token_type"]]
    assert kinds[:3] == ["UNKNOWN", "CONTROL", "CONTROL"]
    assert set(kinds[3:259]) == {"BYTE"}
    assert set(kinds[259:326]) == {"NORMAL"}
    assert set(kinds[326:330]) == {"CONTROL"}
    assert set(kinds[330:]) == {"UNUSED"}
    scores, vocab = fields["tokenizer.ggml.scores"], TOKENIZER.definition["model"]["vocab"]
    merged = [scores[vocab[left + right]] for left, right in TOKENIZER.definition["model"]["merges"]]
    assert merged == sorted(merged, reverse=True)
    assert min(merged) > scores[0]


@pytest.mark.parametrize("dtype", ["f32", "f16", "q8_0"])
@pytest.mark.parametrize("name", ["granite-code", "qwen2", "smollm2"])
def test_weights_come_back(name, dtype, tmp_path):
    model = tiny_model(tiny_config(name))
    path = export(model, tmp_path / "model.gguf", dtype)
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    back = dict(read_gguf(path)[1])
    assert back.keys() == dict(named_tensors(model)).keys()
    assert ("output.weight" in stored) is not model.config.tie_word_embeddings
    atol = {"f32": 0, "f16": 1e-3, "q8_0": 5e-3}[dtype]
    for key, tensor in named_tensors(model):
        torch.testing.assert_close(back[key].float(), tensor, atol=0 if tensor.ndim == 1 else atol, rtol=0)
    assert stored["blk.1.attn_norm.weight"].tensor_type.name == "F32"
    # A row of 48 is no multiple of q8_0's block.
    fits = dtype != "q8_0" or name != "smollm2"
    assert stored["blk.1.attn_q.weight"].tensor_type.name == (dtype.upper() if fits else "F16")
    # Dimension i of a head turns with i + head_dim / 2 in ours, 2i with 2i + 1 in the llama architecture.
    if name == "granite-code":
        ours = model.model.layers[1].self_attn.k_proj.bias.detach().numpy()
        order = [head * 16 + pair + half * 8 for head in range(2) for pair in range(8) for half in range(2)]
        np.testing.assert_array_equal(stored["blk.1.attn_k.bias"].data, ours[order])
        assert "blk.1.ffn_down.bias" in stored


def test_tensors_are_streamed_in_any_order(tmp_path):
    model = tiny_model(tiny_config("code-llama"))
    alive: list[weakref.ref] = []

    def tensors():
        yield "model.layers.0.self_attn.rotary_emb.inv_freq", torch.ones(8)  # old checkpoints have it
        for name, tensor in reversed(list(named_tensors(model))):
            assert sum(name() is not None for name in alive) <= 1
            copy = tensor.to(torch.bfloat16)
            alive.append(weakref.ref(copy))
            yield name, copy
            del copy

    write_gguf(model.config, tensors(), TOKENIZER, tmp_path / "model.gguf", dtype="f32")
    back = build_model(*read_gguf(tmp_path / "model.gguf"), tmp_path)
    for (_, ours), (_, theirs) in zip(named_tensors(model), named_tensors(back), strict=True):
        assert torch.equal(ours.bfloat16().float(), theirs)


def test_mistakes_are_named(tmp_path):
    model = tiny_model(tiny_config("code-llama"))
    config, tensors, path = model.config, dict(named_tensors(model)), tmp_path / "model.gguf"

    def fails(message, config=config, tensors=tensors, tokenizer=TOKENIZER, dtype="f16"):
        with pytest.raises(ChakuError, match=message):
            write_gguf(config, tensors.items(), tokenizer, path, dtype=dtype)
        assert not list(tmp_path.iterdir())

    fails("'q4' is not a GGUF type of chaku's; choose one of f32", dtype="q4")
    fails("sliding_window of 20 tokens.* set max_position_embeddings to 20", replace(config, sliding_window=20))
    fails("300 token embeddings, but the tokenizer has 330", replace(config, vocab_size=300))
    fails(
        "has no lm_head: a model without its output",
        tensors={k: v for k, v in tensors.items() if k != "lm_head.weight"},
    )
    fails("has the tensor x, which its", tensors={"x": torch.ones(2), **tensors})
    fails("of the same model", tensors={**tensors, "lm_head.weight": torch.ones(2, 3)})
    fails("norm.weight .* damaged", tensors={**tensors, "model.norm.weight": torch.full((64,), torch.nan)})
    fails("lm_head.weight .* export it as f32", tensors={**tensors, "lm_head.weight": torch.full((ROWS, 64), 7e4)})
    odd = tiny_config("llama-yarn").rope_scaling
    fails("not this yarn", replace(tiny_config("qwen2"), rope_scaling=odd))
    fails(r"this tokenizer splits words by \['Whitespace', 'gpt-2'\]", tokenizer=byte_level("words"))


# --- what llama.cpp makes of it


@pytest.fixture(scope="session")
def llama_cpp():
    return pytest.importorskip(
        "llama_cpp",
        reason="NOT tested against llama.cpp: pip install llama-cpp-python (a C++ compiler builds it, some minutes)",
    )


def open_there(llama_cpp, path: Path, **options):
    f32, from_file = 0, -1.0
    yarn = dict.fromkeys(("yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow"), from_file)
    return llama_cpp.Llama(
        str(path), n_ctx=256, n_threads=1, n_threads_batch=1, type_k=f32, type_v=f32, verbose=False, **yarn, **options
    )


@pytest.mark.parametrize("name", tiny_models.FAMILIES)
def test_llama_cpp_computes_the_same_scores(name, llama_cpp, tmp_path):
    model = tiny_model(tiny_config(name))
    # Beyond the trained length, where scaled frequencies matter most.
    ids = torch.randint(3, TOKENIZER.vocab_size, (1, 120), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours = model(ids)[0].numpy()
    there = open_there(llama_cpp, export(model, tmp_path / "model.gguf"), logits_all=True)
    there.eval(ids[0].tolist())
    theirs = there.scores[: ids.shape[1]].copy()
    there.close()
    np.testing.assert_allclose(theirs, ours, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", ["f32", "f16"])
@pytest.mark.parametrize("name", ["code-llama", "llama-3.2", "qwen2.5-coder"])
def test_llama_cpp_writes_the_same_tokens(name, dtype, llama_cpp, tmp_path):
    """As a model of the weights that the file holds."""
    model = tiny_model(replace(tiny_config(name), max_position_embeddings=128))
    path = export(model, tmp_path / "model.gguf", dtype)
    model = build_model(model.config, read_gguf(path)[1], path).eval()
    engine = Engine(model, TOKENIZER)
    there = open_there(llama_cpp, path)
    for prompt in (
        complete(TOKENIZER, CODE[0]),
        infill(TOKENIZER, "def add(a, b):\n    ", "\n    return a", "psm"),
        infill(TOKENIZER, "for x in", " print(x)", "spm"),
    ):
        [[ours]] = engine.generate([prompt], SamplingParams(max_tokens=40))
        with torch.no_grad():
            scores = model(torch.tensor([[*prompt.ids, *ours.ids]]))[0, len(prompt.ids) - 1 : -1]
        first, second = scores.topk(2).values.unbind(-1)
        assert (first - second).min() > 5e-4, "rounding must not decide"
        tokens = there.generate(list(prompt.ids), temp=0.0, repeat_penalty=1.0)
        assert [next(tokens) for _ in ours.ids] == list(ours.ids)
        assert len(ours.ids) == 40
    there.close()


@pytest.mark.parametrize("name", ["code-llama", "llama-3.2", "qwen2.5-coder"])
def test_llama_cpp_chooses_the_same_tokens_in_8_bits(name, llama_cpp, tmp_path):
    """It rounds the activations to 8 bits too, which a model of random weights feels: a clear best token must stay."""
    model = tiny_model(tiny_config(name))
    path = export(model, tmp_path / "model.gguf", "q8_0")
    model = build_model(model.config, read_gguf(path)[1], path).eval()
    ids = torch.randint(3, TOKENIZER.eot_id, (1, 120), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        ours = model(ids)[0]
    there = open_there(llama_cpp, path, logits_all=True)
    there.eval(ids[0].tolist())
    theirs = torch.from_numpy(there.scores[: ids.shape[1]].copy())
    there.close()
    assert (theirs - ours).std() < 0.05 * ours.std()
    first, second = ours.topk(2).values.unbind(-1)
    clear = first - second > 0.25 * ours.std()
    assert clear.sum() > 40
    assert torch.equal(theirs.argmax(-1)[clear], ours.argmax(-1)[clear])


def test_llama_cpp_tokenizes_the_same(llama_cpp, tmp_path):
    for tokenizer in (TOKENIZER, extend_for_infilling(train_tokenizer(CODE[:3] * 2, 310))):
        model = tiny_model(tiny_config("code-llama"))
        there = open_there(llama_cpp, export(model, tmp_path / "model.gguf", tokenizer=tokenizer), vocab_only=True)
        for text in [*CODE, *(source[cut:] for source in CODE for cut in range(0, len(source), 5)), "é漢☺"]:
            if text:
                assert there.tokenize(text.encode(), add_bos=True) == list(complete(tokenizer, text).ids)
        there.close()


@pytest.mark.parametrize("name", ["llama-bpe", "qwen2", "deepseek-coder", "smollm", "gpt-2"])
def test_llama_cpp_tokenizes_bytes_the_same(name, llama_cpp, tmp_path):
    tokenizer = byte_level(name)
    path = export(tiny_model(tiny_config("qwen2")), tmp_path / "model.gguf", tokenizer=tokenizer)
    fields = metadata(path)
    assert (fields["tokenizer.ggml.model"], fields["tokenizer.ggml.pre"]) == ("gpt2", name)
    assert fields["tokenizer.ggml.fim_mid_token_id"] == tokenizer.middle_id
    kinds = [gguf.TokenType(part).name for part in fields["tokenizer.ggml.token_type"]]
    assert kinds[-9:] == ["NORMAL", *["CONTROL"] * 4, "USER_DEFINED", *["UNUSED"] * 3]
    there = open_there(llama_cpp, path, vocab_only=True)
    for text in [*CODE, "é漢☺ 12345 I'll", "<|bos|>a<|fim_prefix|>", "a <tool> b"]:
        assert there.tokenize(text.encode(), add_bos=True) == list(complete(tokenizer, text).ids)
    there.close()
