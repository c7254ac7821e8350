"""A model that is too large for one GPU is shared by the ranks, one model at a time."""

from contextlib import closing
from pathlib import Path

import torch

from chaku.checkpoint.huggingface import build_model, random_tensors, save_model
from chaku.inference.generator import SamplingParams
from chaku.inference.load import load_engine
from chaku.inference.prompts import complete
from chaku.inference.shared_decoder import help_to_write
from chaku.model.config import PRESETS, LlamaConfig
from chaku.pipeline.engines import Engines
from chaku.tokens.tokenizer_training import train_tokenizer
from chaku.training.ranks import together
from ranks import on_ranks

CPU = torch.device("cpu")


def written(engine):
    [[text]] = engine.generate([complete(engine.tokenizer, "def add(")], SamplingParams(max_tokens=8, temperature=0.0))
    return text.text


def write_with_two_models(paths):
    def write(device):
        engines = Engines(device)
        engines._sharing = lambda path, dtype: 2  # as on GPUs that are too small
        with closing(engines):
            return [written(engines.open(Path(path))) for path in paths]

    return together(CPU, write, help_to_write)


def test_the_ranks_share_one_model_after_another(tmp_path):
    tokenizer = train_tokenizer(["def add(a, b):\n    return a + b\n" * 3], 275)
    shape = LlamaConfig(**{**vars(PRESETS["tiny"]), "vocab_size": tokenizer.vocab_size})
    paths = [tmp_path / name for name in ("first", "second")]
    for seed, path in enumerate(paths):
        save_model(build_model(shape, random_tensors(shape, seed), "new"), path)
        tokenizer.save(path)
    expected = [written(load_engine(path, decoder="torch")) for path in paths]
    assert expected[0] != expected[1]
    assert on_ranks(2, write_with_two_models, paths) == [expected] * 2
