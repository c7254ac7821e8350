"""Ranks that share a model write what one process writes."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from chaku.checkpoint.huggingface import build_model, random_tensors, save_model
from chaku.inference.engine import Engine
from chaku.inference.generator import SamplingParams
from chaku.inference.load import load_engine
from chaku.inference.prompts import complete
from chaku.inference.shared_decoder import SharedDecoder, WriteWork, help_to_write, most_sharing
from chaku.model.config import PRESETS, LlamaConfig
from chaku.tokens.load import load_tokenizer
from chaku.tokens.tokenizer_training import train_tokenizer
from ranks import on_ranks

CPU = torch.device("cpu")
PROMPTS = ["def add(a, b):", "class Shop:\n    def __init__(self", "for row in rows:\n"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer(["def add(a, b):\n    return a + b\n" * 3], 275)
    shape = LlamaConfig(**{**vars(PRESETS["tiny"]), "vocab_size": tokenizer.vocab_size, "attention_bias": True})
    torch.manual_seed(0)
    tensors = ((name, tensor + torch.randn_like(tensor) * 0.1) for name, tensor in random_tensors(shape, 2))
    save_model(build_model(shape, tensors, "new"), path)
    tokenizer.save(path)
    return path


def written(engine, path):
    prompts = [complete(load_tokenizer(path), prompt) for prompt in PROMPTS]
    texts = engine.generate(prompts, SamplingParams(max_tokens=20, temperature=0.0))
    scores = engine.decoder.score(torch.arange(24).view(2, 12))
    return [text.text for [text] in texts], scores.tolist()


def write_on(path, size):
    work = WriteWork(Path(path), torch.float32, size)
    if dist.get_rank() > 0:
        return help_to_write(work, CPU)
    decoder = SharedDecoder(work, CPU)
    found = written(Engine(decoder, load_tokenizer(Path(path))), Path(path))
    parts = sum(weight.numel() for weight in decoder.model.parameters())
    decoder.close()
    return found, parts


def test_two_ranks_write_the_texts_of_one_and_hold_a_part(checkpoint):
    engine = load_engine(checkpoint, decoder="torch")
    texts, scores = written(engine, checkpoint)
    (found, parts), *_ = on_ranks(3, write_on, checkpoint, 2)
    assert found[0] == texts
    torch.testing.assert_close(torch.tensor(found[1]), torch.tensor(scores))
    whole = sum(weight.numel() for weight in engine.model.parameters())
    embeddings = 2 * engine.model.config.vocab_size * engine.model.config.hidden_size
    assert parts - embeddings < 0.55 * (whole - embeddings)


def test_as_many_ranks_share_as_the_heads_allow():
    assert most_sharing(PRESETS["34b"], 16) == 8
    assert most_sharing(PRESETS["7b"], 6) == 4
    assert most_sharing(PRESETS["tiny"], 1) == 1
