"""Measures on held-out documents, against plain computations and models that cannot be wrong."""

import lzma
import math
import re

import numpy as np
import pytest
import torch

from chaku import ChakuError
from chaku.documents import read_documents
from chaku.evals.config import EvalsConfig
from chaku.evals.heldout import bits_per_byte, infilling, key_retrieval, perplexity
from chaku.evals.heldout.documents import read_heldout, scoring_windows
from chaku.evals.heldout.measures import in_a_line, measure
from chaku.inference.generator import Completion
from chaku.inference.torch_decoder import TorchDecoder
from chaku.model.config import PRESETS
from chaku.model.llama import Llama


class Uniform:
    """An engine whose model finds every token equally likely."""

    def __init__(self, engine):
        self.tokenizer, self.model = engine.tokenizer, engine.model
        self.windows = []

    def score(self, sequences):
        self.windows += sequences
        return [np.full(len(ids) - 1, -math.log(self.tokenizer.vocab_size), np.float32) for ids in sequences]


def test_bits_per_byte_of_a_uniform_model_is_its_tokens(engine, corpus):
    results = bits_per_byte.evaluate(Uniform(engine), corpus, max_bytes=10_000, context=64)
    tokenizer = engine.tokenizer
    for language, row in results["by_language"].items():
        texts = [
            document.text for document in read_heldout(corpus) if document.language == language or language == "prose"
        ]
        texts = [text for text in texts if text][: row["documents"]]
        if language == "prose":
            continue
        taken = [text[: 10_000 // 8] for text in texts]
        tokens = sum(len(tokenizer.encode(text)) + 1 for text in taken)
        size = sum(len(text.encode()) for text in taken)
        if size == row["bytes"]:  # the last document of a language may be cut
            assert row["bits_per_byte"] == pytest.approx(tokens * math.log2(tokenizer.vocab_size) / size)
            packed = lzma.compress("".join(taken).encode(), preset=9)
            assert row["xz_bits_per_byte"] == pytest.approx(8 * len(packed) / size)
    assert {"Python", "C"} <= set(results["by_language"])
    assert results["overall"]["bytes"] == sum(row["bytes"] for row in results["by_language"].values())


def test_the_progress_of_bits_per_byte_counts_what_is_scored(engine, corpus, capsys, monkeypatch):
    monkeypatch.setattr("chaku.console.PLAIN_LINE_SECONDS", 0)
    monkeypatch.setattr(bits_per_byte, "WINDOWS_AT_ONCE", 4)
    uniform = Uniform(engine)
    bits_per_byte.evaluate(uniform, corpus, max_bytes=10_000, context=64)
    groups = -(-len(uniform.windows) // 4)
    assert groups > 1
    shares = re.findall(r"held-out bits per byte: +(\d+)%", capsys.readouterr().err)
    assert len(shares) == groups  # a line for what was scored together, not one that counts its first window alone
    assert shares[-1] == "100"


def test_windows_score_every_token_once():
    for length in (1, 2, 7, 8, 9, 30):
        ids = list(range(length))
        scored = [token for window, known in scoring_windows(ids, 8) for token in window[known:]]
        assert scored == ids[1:]
        assert all(len(window) <= 8 for window, _ in scoring_windows(ids, 8))


class Oracle:
    """An engine that infills the hidden line in one mode only."""

    def __init__(self, engine, examples, mode):
        self.tokenizer, self.model = engine.tokenizer, engine.model
        self.examples, self.mode, self.calls = examples, mode, []

    def generate(self, prompts, params, *, description=None):
        mode = ("left_to_right", "psm", "spm")[len(self.calls)]
        self.calls.append(prompts)
        texts = [example.middle + "  " if mode == self.mode else "nothing" for example in self.examples]
        return [[Completion(text, 1, "stop")] for text in texts]


@pytest.mark.parametrize("mode", ["left_to_right", "psm", "spm"])
def test_infilling_counts_exact_lines_and_modes_do_not_mix(engine, corpus, mode):
    examples = infilling.choose_examples(corpus, num_examples=12)[:6]
    oracle = Oracle(engine, examples, mode)
    results = infilling.evaluate(oracle, corpus, num_examples=6)
    assert results["num_examples"] == 6
    for form in ("left_to_right", "psm", "spm"):
        assert results[form]["exact_match"] == (1.0 if form == mode else 0.0)


def test_infilling_examples_hide_a_line_of_a_held_out_file(corpus):
    texts = {document.text for document in read_heldout(corpus, kinds=("code",))}
    examples = infilling.choose_examples(corpus, num_examples=20)
    assert len(examples) == 20
    assert examples == infilling.choose_examples(corpus, num_examples=20)
    for example in examples:
        assert "\n" not in example.middle
        assert len(example.middle.strip()) >= 5
        assert any(example.prefix + example.middle + example.suffix in text for text in texts)
    train = {document.text for document in read_documents(corpus, "train")}
    assert not texts & train


def test_perplexity_of_a_uniform_model_is_its_vocabulary(engine, corpus):
    results = perplexity.evaluate(Uniform(engine), corpus, training_length=64, max_length=512, num_documents=2)
    assert results["edges"] == [0, 128, 256, 512]
    assert results["perplexity"] == pytest.approx([engine.tokenizer.vocab_size] * 3, rel=1e-5)
    with pytest.raises(ChakuError, match="does not fill 1,000,000 tokens"):
        perplexity.evaluate(Uniform(engine), corpus, training_length=1, max_length=1_000_000)


def test_key_retrieval_hides_the_key_where_it_says(engine, corpus):
    tokenizer = engine.tokenizer
    functions = key_retrieval.python_functions(corpus)
    encoded = [tokenizer.encode(function) for function in functions]
    for position in (0.0, 0.4):
        text = key_retrieval.write_context(tokenizer, functions, encoded, 1500, position, 42, (position,))
        assert len(tokenizer.encode(text)) <= 1500
        assert text.endswith(key_retrieval.QUESTION)
        assert text.count("return 42\n") == 1
        before = len(tokenizer.encode(text[: text.index("def my_function")])) / 1500
        assert before == pytest.approx(position, abs=0.15)


def test_key_retrieval_asks_the_model_itself(engine, corpus):
    """The scores of the two digits equal those of the whole text, one number at a time."""
    tokenizer = engine.tokenizer
    digits = key_retrieval._digit_ids(tokenizer)
    text = "x = 1\n" + key_retrieval.QUESTION
    scores = []
    with torch.no_grad():
        for value in key_retrieval.VALUES:
            ids = [tokenizer.bos_id, *tokenizer.encode(f"{text}{value}")]
            scores.append(float(engine.score([ids])[0][-2:].sum()))
    best = int(np.argmax(scores)) + 10
    assert key_retrieval._ask(engine, text, best, digits)[1]
    assert not key_retrieval._ask(engine, text, 10 + (best - 9) % 90, digits)[1]


@pytest.mark.parametrize("benchmark", ["bits_per_byte", "infilling", "perplexity", "key_retrieval"])
def test_every_result_has_its_manifest(engine, corpus, benchmark):
    settings = EvalsConfig(max_bytes_per_language=3000, num_examples=3, retrieval_examples=1, num_long_documents=1)
    result = measure(engine, benchmark, settings, corpus, training_length=64, longest_length=256)
    record = result.manifest
    assert {"chaku", "torch", "python", "model_sha256", "tokenizer_sha256", "data_sha256"} <= set(record)
    assert record["model_sha256"] == TorchDecoder(engine.model).weights_sha256()
    assert in_a_line(benchmark, result.results)
    with pytest.raises(ChakuError, match="give --corpus"):
        measure(engine, benchmark, settings, None, 64)


def test_other_weights_other_hash():
    torch.manual_seed(0)
    model = Llama(PRESETS["tiny"])
    before = TorchDecoder(model).weights_sha256()
    with torch.no_grad():
        model.model.norm.weight[0] += 1e-6
    assert TorchDecoder(model).weights_sha256() != before
