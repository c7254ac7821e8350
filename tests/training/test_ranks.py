"""Ranks that work together: one of them says why a run ends, and all of them end."""

import os
import signal
import socket
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist

from chaku.errors import ChakuError, Interrupted
from chaku.launcher import num_ranks, rank
from chaku.training import ranks as ranks_of_a_run
from chaku.training.ranks import announce, start, together
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


MEETING = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def set_variables(monkeypatch, **variables):
    for name in MEETING:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_a_shell_that_sets_only_world_size_is_no_launcher(monkeypatch):
    set_variables(monkeypatch, WORLD_SIZE="4", MASTER_ADDR="127.0.0.1")
    with pytest.raises(ChakuError, match=r"WORLD_SIZE is 4, but RANK and MASTER_PORT are not set: .* unset WORLD_SIZE"):
        start(CPU)


def test_an_empty_world_size_is_one_process_and_a_word_is_an_error(monkeypatch):
    set_variables(monkeypatch, WORLD_SIZE="", RANK="first")
    assert num_ranks() == 1
    with pytest.raises(ChakuError, match="RANK is 'first', not a number"):
        rank()


def test_a_port_in_use_is_named(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        set_variables(monkeypatch, WORLD_SIZE="2", RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(ChakuError, match=rf"rank 0 cannot meet the other ranks at 127.0.0.1:{port}: .*in use"):
            start(CPU)
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interface_without_an_address_is_named(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    set_variables(monkeypatch, WORLD_SIZE="1", RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "no-such-interface")
    with pytest.raises(ChakuError, match=r"rank 0 cannot meet the other ranks at .*no-such-interface"):
        start(CPU)


ALONE = """
import signal, torch
from chaku.training import ranks
signal.signal(signal.SIGTERM, lambda *_: print("too late"))
ranks.LATE = 0.1
ranks.start(torch.device("cpu"))
"""


def test_a_rank_whose_peers_never_come_says_so_and_can_be_stopped():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = dict(zip(MEETING, ("0", "3", "127.0.0.1", port), strict=True))
    command, environment = [sys.executable, "-c", ALONE], {**os.environ, **variables}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            assert f"rank 0 still waits for all 3 ranks (WORLD_SIZE) to meet at 127.0.0.1:{port}" in said
            process.terminate()
            assert process.wait(60) == -signal.SIGTERM
        finally:
            process.kill()


def test_a_rank_whose_launcher_is_gone_before_the_ranks_meet_ends(monkeypatch):
    monkeypatch.setattr(ranks_of_a_run, "LATE", 0.1)
    with socket.socket() as free:  # bound, but not listening
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        set_variables(monkeypatch, WORLD_SIZE="2", RANK="1", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
        with pytest.raises(ChakuError, match=rf"rank 1 cannot reach the launcher at 127.0.0.1:{port} \(.*refused\)"):
            start(CPU)
