"""The same global batches from any number of ranks and workers, and from any starting point."""

import multiprocessing
import pickle
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from chaku import ChakuError
from chaku.documents import SCHEMA
from chaku.tokens.config import InfillingConfig
from chaku.tokens.infilling import recover_text
from chaku.tokens.loader import load_batches
from chaku.tokens.packed_dataset import PackedDataset, TokenSet
from chaku.tokens.store import TokenStore, encode_corpus


@pytest.fixture(scope="module")
def dataset(store, tokenizer):
    sets = [
        TokenSet("code", store.select(kinds=["code"]), 0.85),
        TokenSet("prose", store.select(kinds=["prose"]), 0.15),
    ]
    return PackedDataset(store, sets, 127, tokenizer, seed=5, infilling=InfillingConfig())


def global_batches(dataset, count, start=0, world_size=1, num_workers=0):
    ranks = [
        load_batches(dataset, start=start, batch_size=8, rank=rank, world_size=world_size, num_workers=num_workers)
        for rank in range(world_size)
    ]
    batches = []
    for _ in range(count):
        parts = [next(rank) for rank in ranks]
        assert len({part.first_sample for part in parts}) == 1
        batches.append(torch.cat([part.tokens for part in parts]))
    return torch.stack(batches)


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_ranks_and_workers_change_nothing(dataset, world_size, num_workers):
    expected = global_batches(dataset, 3)
    assert torch.equal(global_batches(dataset, 3, world_size=world_size, num_workers=num_workers), expected)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_workers_may_be_started_in_any_way(dataset, method):
    """macOS spawns them, Python 3.14 has a server fork them: what they need crosses in a pickle, but no memory map."""
    assert len(pickle.dumps(dataset.store)) < 1000
    expected, before = global_batches(dataset, 3), multiprocessing.get_start_method()
    multiprocessing.set_start_method(method, force=True)
    try:
        assert torch.equal(global_batches(dataset, 3, num_workers=1), expected)
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_plans_that_are_kept_change_nothing_and_are_not_mixed_up(dataset, store, tokenizer, tmp_path, monkeypatch):
    def kept(length):
        return PackedDataset(store, dataset.sets, length, tokenizer, 5, InfillingConfig(), plans=tmp_path)

    kept(127), kept(63)
    assert len(list(tmp_path.iterdir())) == 4  # two sets, two lengths
    monkeypatch.setattr("chaku.tokens.packing.best_fit", None)
    assert torch.equal(global_batches(kept(127), 3), global_batches(dataset, 3))


def test_restart_anywhere(dataset):
    expected = global_batches(dataset, 40)  # past an epoch of the small set
    assert torch.equal(global_batches(dataset, 5, start=8 * 35), expected[35:])


def test_sequences_are_full_and_infilled(dataset, tokenizer):
    infilled = 0
    for index in range(200):
        sample = dataset[index]
        assert sample.tokens.shape == sample.document_ids.shape == (128,)
        assert (np.diff(sample.document_ids) >= 0).all()
        assert (sample.tokens < tokenizer.vocab_size).all()
        assert np.count_nonzero(sample.tokens == tokenizer.middle_id) >= (sample.infilled_tokens > 0)
        infilled += sample.infilled_tokens
    assert 0.3 < infilled / (200 * 128) < 0.9


def test_only_whole_documents_are_infilled_and_each_comes_back(dataset, tokenizer, texts):
    infilled = whole = cut = 0
    for index in range(100):
        sample = dataset[index]
        for number in range(int(sample.document_ids.max()) + 1):
            ids = sample.tokens[sample.document_ids == number].tolist()
            if tokenizer.middle_id in ids:
                infilled += 1
                text = recover_text(tokenizer, ids)
                assert {text, f" {text}"} & set(texts)  # a first space in PSM cannot be told: see recover_text
            elif (ids[0], ids[-1]) == (tokenizer.bos_id, tokenizer.eos_id):
                whole += 1
                assert recover_text(tokenizer, ids) in texts
            else:
                cut += 1
                assert not {tokenizer.prefix_id, tokenizer.suffix_id, tokenizer.eot_id} & set(ids)
    assert infilled > 4 * whole > 0
    assert cut


def test_memory_does_not_grow_with_the_text(tokenizer, tmp_path):
    """Five times the documents cost their lengths and places, a small part of their text.

    Both corpora have more documents than the 256 that are encoded together.
    """
    text, peaks = "value 123 " * 400, []
    for size in (300, 1500):
        directory = tmp_path / str(size)
        directory.mkdir()
        columns = {name: [""] * size for name in SCHEMA.names} | {"bytes": [0] * size, "text": [text] * size}
        pq.write_table(pa.table(columns, SCHEMA), directory / "train-00000.parquet", row_group_size=100)
        tracemalloc.start()
        encode_corpus(directory, tokenizer, directory)
        store = TokenStore.open(directory)
        dataset = PackedDataset(store, [TokenSet("all", store.select(), 1.0)], 4095, tokenizer, 1)
        assert all(len(dataset[index].tokens) == 4096 for index in range(50))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1200 * len(text) / 4


def test_new_splits_and_order_every_epoch(store, tokenizer):
    dataset = PackedDataset(store, [TokenSet("all", store.select(), 1.0)], 127, tokenizer, 5, InfillingConfig())
    size = len(dataset.plans[0])
    first = {dataset[index].tokens.tobytes() for index in range(size)}
    second = {dataset[index].tokens.tobytes() for index in range(size, 2 * size)}
    assert dataset[0].epoch == 0
    assert dataset[size].epoch == 1
    assert len(first & second) < size / 4


def test_only_named_sets_are_infilled(store, tokenizer):
    sets = [TokenSet("all", store.select(), 1.0)]
    dataset = PackedDataset(store, sets, 127, tokenizer, 5, InfillingConfig(), infill_sets=["code"])
    assert sum(dataset[index].infilled_tokens for index in range(20)) == 0


def test_mistakes(dataset):
    with pytest.raises(ChakuError, match="does not divide among 3 ranks"):
        load_batches(dataset, start=0, batch_size=8, world_size=3)
