"""Tests run side by side, so a test process keeps to one thread. Here too: a little corpus, and an untrained model.

A test that is marked `slow` proves more of the same at a cost of many seconds: only CHAKU_ALL_TESTS=1 runs it.
"""

import gc
import os
from dataclasses import replace

os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

from chaku.corpus.build import build_corpus
from chaku.corpus.reading.sources import Source
from chaku.documents import read_documents
from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.tokens.tokenizer_training import train_tokenizer
from family import write_files

torch.set_num_threads(1)
gc.disable()  # until all tests are collected: each of many large modules would make the collector look at all others


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    if os.environ.get("CHAKU_ALL_TESTS") != "1":
        skip = pytest.mark.skip(reason="slow: CHAKU_ALL_TESTS=1 runs it")
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(skip)


@pytest.fixture(autouse=True, scope="session")
def data_home(tmp_path_factory):
    """What commands keep about databases (pairs, glossaries) lies in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("little")
    write_files(directory / "files")
    build_corpus([Source("files", "tree", str(directory / "files"))], directory / "corpus", heldout_fraction=0.3)
    return directory / "corpus"


@pytest.fixture(scope="session")
def tokenizer(corpus):
    return train_tokenizer((document.text for document in read_documents(corpus, "train")), 340)


@pytest.fixture(scope="session")
def engine(tokenizer):
    torch.manual_seed(0)
    return Engine(Llama(replace(PRESETS["tiny"], max_position_embeddings=256)).eval(), tokenizer)
