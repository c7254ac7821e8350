"""Freed memory is taken again without new pages from the system."""

import resource
import sys

import pytest
import torch

from chaku.training.allocator import kept_memory


def page_faults() -> int:
    """First uses of a page of 4 KB by a large tensor that is made and freed ten times."""
    torch.ones(2**24)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_a_large_tensor_costs_no_new_pages():
    with kept_memory() as works:
        if not works:
            pytest.skip("this C library is not glibc")
        kept = page_faults()
    given_back = page_faults()
    assert kept < 1_000
    assert given_back > 50_000
