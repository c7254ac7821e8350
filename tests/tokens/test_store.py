"""The store gives back what was encoded, in Megatron's format, and notices damage."""

import shutil
import struct

import numpy as np
import pytest

from chaku import ChakuError
from chaku.tokens.store import TokenStore


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
