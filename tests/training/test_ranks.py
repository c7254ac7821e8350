"""Ranks that work together: one of them says why a run ends, and all of them end."""

import torch
import torch.distributed as dist

from chaku.errors import ChakuError, Interrupted
from chaku.training.ranks import announce, rank, together
from ranks import on_ranks

CPU = torch.device("cpu")


def outcome(lead, assist):
    """What this rank returns or raises."""
    try:
        return together(CPU, lead, assist)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def add_up(number, device):
    total = torch.tensor(number + rank())
    dist.all_reduce(total)
    return int(total)


def summing():
    def lead(device):
        sums = []
        for number in (1, 10):
            announce(number)
            sums.append(add_up(number, device))
        return sums

    return outcome(lead, add_up)


def test_all_ranks_do_what_rank_0_announces_and_return_its_result():
    assert on_ranks(3, summing) == [[1 + 2 + 3, 10 + 11 + 12]] * 3


def failing(where, error):
    """Each rank in `where` raises the error in the middle of the work; the others wait for them."""

    def work(number, device):
        if rank() in where:
            raise error
        return add_up(number, device)

    def lead(device):
        announce(1)
        return work(1, device)

    if where == "before":
        return outcome(lambda device: (_ for _ in ()).throw(error), work)
    return outcome(lead, work)


ELSEWHERE = "EndedElsewhere: another rank says why the run ends"


def test_rank_0_says_an_error_before_the_work():
    said = on_ranks(2, failing, "before", ChakuError("the recipe is wrong"))
    assert said == ["ChakuError: the recipe is wrong", "EndedElsewhere: rank 0 says why the run ends"]


def test_rank_0_says_an_error_of_all_ranks():
    assert on_ranks(2, failing, (0, 1), ChakuError("no room")) == ["ChakuError: no room", ELSEWHERE]


def test_a_stop_is_said_once():
    said = on_ranks(2, failing, (0, 1), Interrupted("saved at step 3"))
    assert said == ["Interrupted: saved at step 3", "EndedElsewhere: rank 0 says that the run was stopped"]
