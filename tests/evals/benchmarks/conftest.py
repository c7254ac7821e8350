"""MultiPL-E's Java needs a library beside Java: without it, its tests are skipped."""

import pytest

from chaku.sandbox.languages.toolchains import JAVATUPLES, find_library


@pytest.fixture(autouse=True)
def javatuples(request):
    params = getattr(request.node, "callspec", None)
    if params and "java" in params.params.values() and find_library("java", JAVATUPLES) is None:
        pytest.skip(f"MultiPL-E's Java is NOT tested without {JAVATUPLES.word}: apt-get install {JAVATUPLES.install}")
