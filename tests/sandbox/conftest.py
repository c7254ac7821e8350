"""One warm worker for the tests of a process; a test that breaks it would break those after it, which is the point."""

from collections.abc import Iterator

import pytest

from chaku.sandbox.probe import how_to_isolate
from chaku.sandbox.worker import Worker

collect_ignore = ["hostile"]  # programs for the sandbox, some of them named like tests


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    with Worker(how_to_isolate()) as warm:
        yield warm
