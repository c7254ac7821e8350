"""Attention inside documents equals attention with a whole mask."""

import pytest
import torch
import torch.nn.functional as F

from chaku.model import attention
from chaku.model.attention import Segment, causal, document_segments, segmented, whole_segments


def heads(batch=2, seq=50, num=4, kv=2):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(batch, n, seq, 8, generator=generator, requires_grad=True) for n in (num, kv, kv)]


def with_mask(mask, query, key, value):
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)


DOCUMENTS = torch.tensor([[0] * 20 + [1] * 5 + [2] * 25, [0] * 1 + [1] * 40 + [-1] * 9])


@pytest.mark.parametrize("queries", [1024, 7])
@pytest.mark.parametrize("window", [None, 6])
def test_documents_equal_a_mask_with_their_gradients(monkeypatch, window, queries):
    monkeypatch.setattr(attention, "QUERIES", queries)
    mask = (DOCUMENTS[:, :, None] == DOCUMENTS[:, None, :]).tril()
    if window:
        mask = mask.triu(1 - window)
    both = []
    for attend in (
        lambda *h: segmented(document_segments(DOCUMENTS), window)(0, *h),
        lambda *h: with_mask(mask[:, None], *h),
    ):
        given = heads()
        out = attend(*given)
        out.square().sum().backward()
        both.append([out.detach(), *(part.grad for part in given)])
    for ours, theirs in zip(*both, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_segment_may_see_more_keys_than_it_has_queries():
    query, key, value = heads(batch=1)
    late = segmented([Segment(0, 0, 10, 5, 40)])(0, query[:, :, 30:40], key, value)
    mask = torch.ones(50, 50, dtype=torch.bool).tril()
    mask[:, :5] = False
    torch.testing.assert_close(late, with_mask(mask, query, key, value)[:, :, 30:40])


def test_whole_rows_are_causal():
    given = heads()
    torch.testing.assert_close(segmented(whole_segments(2, 50))(0, *given), causal(0, *given))


def test_the_memory_of_long_packed_rows_grows_with_their_length():
    """A (seq x seq) mask of these rows would need 1 GB."""
    documents = torch.arange(32).repeat_interleave(1024)[None]
    kept = []
    query, key, value = (part.expand(1, 2, 32 * 1024, 8) for part in heads(1, 1, 2, 2))
    with torch.autograd.graph.saved_tensors_hooks(
        lambda saved: kept.append(saved.nbytes) or saved, lambda saved: saved
    ):
        segmented(document_segments(documents))(0, query, key, value)
    assert sum(kept) < 60 * 2**20
