"""Weights in 8 and 4 bits: what comes back, and how far it is from what went in."""

import pytest
import torch

from chaku import ChakuError
from chaku.model.packing import Packed, concatenate, pack_int4, pack_int8, pack_weights, unpack

WEIGHT = torch.randn(70, 192, generator=torch.Generator().manual_seed(4))


def test_int8_is_off_by_half_a_step_at_most():
    packed = pack_int8(WEIGHT)
    largest = WEIGHT.view(70, 6, 32).abs().amax(dim=2, keepdim=True)
    error = (unpack(packed) - WEIGHT).view(70, 6, 32).abs()
    assert (error <= largest / 127 * 0.5001).all()
    assert (packed.shape, packed.scales.shape, packed.zeros) == ((70, 192), (70, 6), None)


def test_int4_is_no_worse_than_the_whole_range_in_16_levels():
    packed = pack_int4(WEIGHT)
    groups = WEIGHT.view(70, 6, 32)
    low, high = groups.amin(dim=2, keepdim=True).clamp(max=0), groups.amax(dim=2, keepdim=True).clamp(min=0)
    step = (high - low) / 15
    zero = -low / step
    plain = ((groups / step + zero).round().clamp(0, 15) - zero) * step
    error, plain_error = ((values - groups).square().sum(dim=2) for values in (unpack(packed).view_as(groups), plain))
    assert (error <= plain_error * 1.001).all()
    assert error.sum() < 0.995 * plain_error.sum()  # of real weights 0.92 to 0.95
    assert packed.shape == (70, 192)
    assert packed.nbytes == 70 * 192 // 2 + 70 * 6 * 8


def test_levels_that_fit_come_back_exactly():
    codes = torch.arange(-127, 129).clamp(max=127).view(8, 32)
    assert torch.equal(unpack(pack_int8(codes * 0.5))[0], codes[0] * 0.5)  # the first group has -127
    levels = (torch.arange(16).repeat(2)[None] - 5) * 0.25
    assert torch.equal(unpack(pack_int4(levels)), levels)


@pytest.mark.parametrize("pack", [pack_int8, pack_int4])
def test_zeros_stay_zeros(pack):
    weight = WEIGHT.clone()
    weight[:, 64:96] = 0
    assert (unpack(pack(weight))[:, 64:96] == 0).all()
    assert unpack(pack(weight)).isfinite().all()


def test_rows_that_do_not_divide_into_groups_have_one_scale():
    packed = pack_int8(WEIGHT[:, :50])
    assert packed.scales.shape == (70, 1)
    with pytest.raises(
        ChakuError, match=r"multiple of 32 weights; model\.layers\.0\.mlp\.up_proj\.weight has \(70, 50"
    ):
        pack_weights([("model.layers.0.mlp.up_proj.weight", WEIGHT[:, :50])], "int4", torch.float32)


def test_matrices_one_under_the_other():
    for pack in (pack_int8, pack_int4):
        joined = concatenate([pack(WEIGHT[:30]), pack(WEIGHT[30:])])
        assert torch.equal(unpack(joined), unpack(pack(WEIGHT)))


def test_what_becomes_of_a_checkpoint():
    named = [
        ("model.embed_tokens.weight", WEIGHT.bfloat16()),
        ("model.layers.0.mlp.up_proj.weight", WEIGHT.bfloat16()),
        ("model.norm.weight", WEIGHT[0].bfloat16()),
    ]
    kinds = {
        "int8": [8, 8],
        "int4": [8, 4],  # embeddings suffer more
    }
    for scheme, bits in kinds.items():
        *matrices, norm = pack_weights(named, scheme, torch.float32).values()
        assert [matrix.bits for matrix in matrices] == bits
        assert norm.dtype == torch.float32
    *matrices, norm = pack_weights(named, None, torch.float16).values()
    assert [matrix.dtype for matrix in matrices] == [torch.float16, torch.float16]
    ready = Packed(8, torch.zeros(2, 32, dtype=torch.int8), torch.ones(2, 1))
    assert pack_weights([("lm_head.weight", ready)], "int8", torch.float32)["lm_head.weight"] is ready
