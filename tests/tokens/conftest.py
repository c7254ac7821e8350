"""A small corpus, its tokenizer and its store."""

import hashlib
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chaku.documents import SCHEMA
from chaku.tokens.store import encode_corpus
from chaku.tokens.tokenizer_training import train_tokenizer


@pytest.fixture(scope="session")
def texts():
    source = random.Random(0)
    words = ["def", "return", "value", "x", "y == 1", "(a, b):", "☺", "    ", "\n", "\n    "]
    return ["".join(source.choices(words, k=int(2 ** source.uniform(1, 6)))) + f" {number}" for number in range(200)]


@pytest.fixture(scope="session")
def tokenizer(texts):
    return train_tokenizer(texts, 320)


@pytest.fixture(scope="session")
def corpus(texts, tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    rows = [
        {
            "text": text,
            "path": f"{number}.py",
            "language": "Python" if number % 2 else "C",
            "kind": "prose" if number % 5 == 0 else "code",
            "license": None,
            "source": "test",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "bytes": len(text.encode()),
        }
        for number, text in enumerate(texts)
    ]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), directory / "train-00000.parquet")
    return directory


@pytest.fixture(scope="session")
def store(corpus, tokenizer, tmp_path_factory):
    return encode_corpus(corpus, tokenizer, tmp_path_factory.mktemp("tokens"))
