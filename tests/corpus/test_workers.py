"""The worker processes of a corpus build."""

import signal
from functools import partial

from chaku.corpus.workers import worker_map


def test_workers_never_receive_ctrl_c_and_the_parent_does():
    blocked = partial(signal.pthread_sigmask, signal.SIG_BLOCK)
    with worker_map(2) as map_over:
        for signals in map_over(blocked, [(), ()]):
            assert signal.SIGINT in signals
        assert signal.SIGINT not in blocked(())
