"""Conversations in batches: whole rows, each a document of its own, padding without a loss."""

import random
import shutil

import numpy as np
import pytest
import torch

from chaku import ChakuError
from chaku.tokens.chat import ChatRow
from chaku.tokens.chat_store import ChatStore, write_chat_store
from chaku.tokens.loader import collate, load_batches
from chaku.tokens.packed_dataset import ChatSet, PackedDataset, TokenSet


def made_rows(number, longest, seed=0):
    source = random.Random(seed)
    rows = []
    for _ in range(number):
        length = source.randint(3, longest)
        prompt = source.randint(1, length - 1)
        rows.append(
            ChatRow([source.randrange(300) for _ in range(length)], [False] * prompt + [True] * (length - prompt))
        )
    return rows


@pytest.fixture(scope="module")
def rows():
    return made_rows(120, 60)


@pytest.fixture(scope="module")
def chats(rows, tmp_path_factory):
    return ChatSet("chats", write_chat_store(tmp_path_factory.mktemp("chats") / "set", rows), 0.75)


def documents(sample):
    for number in range(int(sample.document_ids.max()) + 1):
        at = sample.document_ids == number
        yield tuple(sample.tokens[at].tolist()), tuple(sample.trained[at].tolist())


def test_a_store_gives_back_its_rows(rows, tmp_path):
    write_chat_store(tmp_path / "set", rows)
    again = ChatStore(tmp_path / "set")
    assert len(again) == len(rows)
    for number, row in enumerate(rows):
        ids, trained = again[number]
        assert ids.tolist() == row.ids
        assert trained.tolist() == row.trained


def test_every_row_comes_whole_once_an_epoch(rows, chats, tokenizer):
    dataset = PackedDataset(None, [chats], 63, tokenizer, seed=1)
    size = len(dataset.plans[0])
    for epoch in range(2):
        samples = [dataset[epoch * size + index] for index in range(size)]
        seen = sorted(document for sample in samples for document in documents(sample))
        assert seen == sorted((tuple(row.ids), tuple(row.trained)) for row in rows)
    assert [dataset[index].tokens.tobytes() for index in range(size)] != [
        dataset[size + index].tokens.tobytes() for index in range(size)
    ]
    filled = np.mean([(dataset[index].document_ids >= 0).mean() for index in range(size)])
    assert filled > 0.9


def test_padding_is_told_by_its_place_and_has_no_loss(chats, tokenizer):
    dataset = PackedDataset(None, [chats], 63, tokenizer, seed=1)
    padded = [dataset[index] for index in range(len(dataset.plans[0])) if (dataset[index].document_ids < 0).any()]
    assert padded
    for sample in padded:
        assert not sample.trained[sample.document_ids < 0].any()
        assert (np.diff((sample.document_ids < 0).astype(int)) >= 0).all()  # at the end alone


def test_beside_documents_the_mixture_holds_and_they_are_trained_on_whole(chats, store, tokenizer):
    sets = [chats, TokenSet("code", store.select(kinds=["code"]), 0.25)]
    dataset = PackedDataset(store, sets, 63, tokenizer, seed=1)
    samples = [dataset[index] for index in range(1024)]
    assert sum(sample.set_name == "code" for sample in samples) == 256
    assert all(sample.trained.all() for sample in samples if sample.set_name == "code")
    expected = [next(load_batches(dataset, start=start, batch_size=8)) for start in (0, 8, 16)]
    for workers in (0, 2):
        again = load_batches(dataset, start=8, batch_size=8, num_workers=workers)
        for batch in expected[1:]:
            other = next(again)
            for field in ("tokens", "document_ids", "trained"):
                assert torch.equal(getattr(other, field), getattr(batch, field))
    halves = [next(load_batches(dataset, start=8, batch_size=8, rank=rank, world_size=2)) for rank in range(2)]
    assert torch.equal(torch.cat([half.trained for half in halves]), expected[1].trained)
    assert {half.first_sample for half in halves} == {8}
    parts = list(expected[1].split(3))
    assert [len(part.tokens) for part in parts] == [3, 3, 2]
    assert torch.equal(torch.cat([part.trained for part in parts]), expected[1].trained)


def test_a_row_longer_than_a_sequence_is_left_out_and_never_cut(rows, chats, tokenizer):
    dataset = PackedDataset(None, [chats], 31, tokenizer, seed=1)
    seen = [document for index in range(len(dataset.plans[0])) for document in documents(dataset[index])]
    assert sorted(seen) == sorted((tuple(row.ids), tuple(row.trained)) for row in rows if len(row.ids) <= 32)
    assert 0 < len(seen) < len(rows)
    with pytest.raises(
        ChakuError, match="nothing in the set 'chats' fits a sequence of 1 tokens; its shortest row has 3"
    ):
        PackedDataset(None, [chats], 1, tokenizer, seed=1)


def test_pairs_stay_together_with_their_reference(rows, tokenizer, tmp_path):
    pairs = write_chat_store(tmp_path / "pairs", rows, 2)
    reference = np.arange(len(rows), dtype=np.float32)
    dataset = PackedDataset(None, [ChatSet("pairs", pairs, 1.0, reference)], 127, tokenizer, seed=1)
    samples = [dataset[index] for index in range(len(dataset.plans[0]))]
    for sample in samples:
        held = list(documents(sample))
        assert len(held) == len(sample.reference)
        for (ids, _), number in zip(held, sample.reference.astype(int), strict=True):
            assert list(ids) == rows[number].ids
        assert (sample.reference[1::2] == sample.reference[::2] + 1).all()
        assert (sample.reference[::2] % 2 == 0).all()
    batch = collate(list(enumerate(samples)))
    assert batch.reference.shape == (len(samples), max(len(sample.reference) for sample in samples))


def test_no_conversation_at_all_is_an_error(tmp_path):
    with pytest.raises(ChakuError, match="no conversation to train on"):
        write_chat_store(tmp_path / "none", [])
    with pytest.raises(ChakuError, match="is incomplete"):
        ChatStore(tmp_path / "none")


def test_a_damaged_row_is_noticed_when_it_is_read(tmp_path, chats):
    directory = chats.store._directory
    shutil.copytree(directory, tmp_path / "set")
    content = bytearray((tmp_path / "set" / "trained.bin").read_bytes())
    content[int(chats.store.lengths[0])] ^= 1  # the first token of row 1
    (tmp_path / "set" / "trained.bin").write_bytes(content)
    damaged = ChatStore(tmp_path / "set")
    assert damaged[0][0].tolist() == chats.store[0][0].tolist()
    with pytest.raises(ChakuError, match=r"set, row 1, is damaged; remove the directory"):
        damaged[1]
    with pytest.raises(ChakuError, match="is incomplete"):
        ChatStore(tmp_path)
