"""Every token of every document is planned once, and documents stay whole where they can."""

import pickle

import numpy as np
import pytest

from chaku.tokens import packing
from chaku.tokens.packing import INFILLING_ROOM, plan_packing


@pytest.mark.parametrize("sequence_length", [31, 64, 255])
def test_every_token_once_and_nothing_overfull(sequence_length):
    lengths = np.random.default_rng(0).geometric(0.01, 500).astype(np.int32)
    lengths[:3] = 0, 1, 5000
    plan = plan_packing(np.arange(500), lengths, sequence_length)
    seen = [np.zeros(length + 2, dtype=int) for length in lengths]
    for document, start, stop in plan.items:
        seen[document][start:stop] += 1
    assert all((window == 1).all() for window in seen)
    whole = 0
    for sequence in range(len(plan)):
        items = plan.items[plan.offsets[sequence] : plan.offsets[sequence + 1]]
        assert 0 < (items[:, 2] - items[:, 1]).sum() <= sequence_length + 1
        whole += sum(stop - start == lengths[document] + 2 for document, start, stop in items)
    assert whole == np.count_nonzero(lengths + 2 <= sequence_length + 1)


def test_little_room_is_left():
    lengths = np.random.default_rng(1).lognormal(5, 1, 3000).astype(np.int32)
    plan = plan_packing(np.arange(3000), lengths, 2047)
    used = (lengths + 2).sum() + INFILLING_ROOM * 3000
    assert used / (len(plan) * 2048) > 0.97


@pytest.mark.parametrize("size", [0, 1, 300])
def test_a_plan_that_is_kept_is_the_same_and_is_made_once(tmp_path, monkeypatch, size):
    monkeypatch.setattr(packing, "BLOCK", 70)
    lengths = np.random.default_rng(2).geometric(0.01, size).astype(np.int32)
    expected = plan_packing(np.arange(size), lengths, 127)
    kept = plan_packing(np.arange(size), lengths, 127, tmp_path / "plan")
    monkeypatch.setattr(packing, "best_fit", None)
    again = plan_packing(np.arange(size), lengths, 127, tmp_path / "plan")
    sent = pickle.dumps(again)
    assert len(sent) < 1000
    for plan in (kept, again, pickle.loads(sent)):
        assert plan.items.tolist() == expected.items.tolist()
        assert plan.offsets.tolist() == expected.offsets.tolist()
