"""The store gives back what was encoded, in Megatron's format, and notices damage."""

import shutil
import struct
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chaku import ChakuError
from chaku.corpus.workers import worker_map
from chaku.documents import SCHEMA
from chaku.tokens.store import TokenStore, encode_corpus, forget_parts
from chaku.tokens.tokenizer import Tokenizer


def test_documents_come_back(store, texts, tokenizer):
    assert len(store) == len(texts)
    for number, text in enumerate(texts):
        assert store[number].tolist() == tokenizer.encode(text)


def test_selection(store):
    everything = store.select()
    python = store.select(kinds=["code"], languages=["Python"])
    assert everything.tolist() == list(range(200))
    assert python.tolist() == [number for number in range(200) if number % 2 and number % 5]
    assert len(store.select(languages=["COBOL"])) == 0


def test_megatron_layout(store):
    index = store._paths[1].read_bytes()
    magic, version, code, count, documents = struct.unpack_from("<9sQBQQ", index)
    assert (magic, version, code, count, documents) == (b"MMIDIDX\x00\x00", 1, 8, 200, 201)
    lengths = np.frombuffer(index, np.int32, 200, 34)
    pointers = np.frombuffer(index, np.int64, 200, 34 + 800)
    raw = store._paths[0].read_bytes()
    for number in (0, 57, 199):
        ids = np.frombuffer(raw, np.uint16, lengths[number], pointers[number])
        assert ids.tolist() == store[number].tolist()


@pytest.mark.parametrize("suffix", [".bin", ".idx"])
def test_truncation_is_noticed(store, tmp_path, suffix):
    for path in store._paths:
        shutil.copy(path, tmp_path)
    damaged = tmp_path / f"train{suffix}"
    damaged.write_bytes(damaged.read_bytes()[:-4])
    with pytest.raises(ChakuError, match="encode the corpus again"):
        TokenStore.open(tmp_path)
    damaged.unlink()
    with pytest.raises(ChakuError, match="does not exist"):
        TokenStore.open(tmp_path)


def copied(store, tmp_path):
    for path in store._paths:
        shutil.copy(path, tmp_path)
    return tmp_path


def test_a_changed_token_is_noticed_when_it_is_read(store, tmp_path):
    path = copied(store, tmp_path) / "train.bin"
    content = bytearray(path.read_bytes())
    content[2 * int(store.lengths[:57].sum())] ^= 1  # the first token of document 57
    path.write_bytes(content)
    damaged = TokenStore.open(tmp_path)
    assert damaged[56].tolist() == store[56].tolist()
    with pytest.raises(ChakuError, match=r"document 57 of .*train.bin is damaged, or its index is; encode"):
        damaged[57]


def test_an_edited_index_is_noticed(store, tmp_path):
    path = copied(store, tmp_path) / "train.idx"
    content = bytearray(path.read_bytes())
    lengths = np.frombuffer(content, np.int32, 200, 34)
    lengths[3] += 1
    lengths[4] -= 1
    path.write_bytes(content)
    with pytest.raises(ChakuError, match="document 3 of"):
        TokenStore.open(tmp_path)[3]


KILLED = """
import os, sys
from pathlib import Path
from chaku.tokens import store
from chaku.tokens.load import load_tokenizer
original = store.write_json
def last(path, state):
    original(path, state)
    if state["shards"] == 2:
        os.kill(os.getpid(), 9)
store.write_json = last
store.encode_corpus(Path(sys.argv[1]), load_tokenizer(Path(sys.argv[2])), Path(sys.argv[3]))
"""


def test_killed_it_goes_on_after_the_files_that_are_encoded(tmp_path, tokenizer, monkeypatch):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number in range(4):
        rows = [
            dict.fromkeys(("text", "path", "language", "kind", "license", "source", "sha256"), f"{number}.{row}")
            | {"bytes": 3, "text": f"def f{number}_{row}():\n    return {row}\n"}
            for row in range(30)
        ]
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), corpus / f"train-0000{number}.parquet")
    tokenizer.save(tmp_path / "tokenizer")
    whole = encode_corpus(corpus, tokenizer, tmp_path / "whole")
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(corpus), str(tmp_path / "tokenizer"), str(out)]
    assert subprocess.run(command, check=False).returncode == -9
    with pytest.raises(ChakuError, match="does not exist"):
        TokenStore.open(out)
    with (out / "train.bin").open("ab") as file:
        file.write(b"half a document")
    encoded = []
    original = Tokenizer.encode
    monkeypatch.setattr(Tokenizer, "encode", lambda self, text: encoded.append(text) or original(self, text))
    again = encode_corpus(corpus, tokenizer, out)
    assert len(encoded) == 60
    for path, expected in zip(again._paths[:2], whole._paths[:2], strict=True):
        assert path.read_bytes() == expected.read_bytes()
    assert pq.read_table(again._paths[2]).equals(pq.read_table(whole._paths[2]))
    encode_corpus(corpus, tokenizer, out)
    assert len(encoded) == 60  # all of it was done
    with worker_map(2) as work:
        parallel = encode_corpus(corpus, tokenizer, tmp_path / "parallel", work=work)
    for path, expected in zip(parallel._paths, whole._paths, strict=True):
        assert path.read_bytes() == expected.read_bytes()
    (tmp_path / "parallel" / ".train-00001.bin").write_bytes(b"")
    forget_parts(tmp_path / "parallel")
    assert sorted(path.suffix for path in (tmp_path / "parallel").iterdir()) == [".bin", ".idx", ".parquet"]
