"""Which asserts count, and what shows that a suite means nothing."""

import pytest

from chaku.errors import ChakuError
from chaku.instruct.suites import Suite, arguments_of, given_suite, read_suite
from chaku.sandbox.pool import run_many
from chaku.sandbox.verdict import Job


def test_the_entry_point_is_what_most_asserts_call_and_others_do_not_count() -> None:
    suite = read_suite(
        "import math\nassert f(1) == 2\nassert math.isclose(f(2), 3.0)\nassert sorted(f([2])) == [2]\n"
        "assert helper() == f\nassert 1 == 1\nassert f(1) == 2\n"
    )
    assert suite.entry_point == "f"
    assert suite.tests == ("assert f(1) == 2", "assert math.isclose(f(2), 3.0)", "assert sorted(f([2])) == [2]")
    assert suite.prelude == "import math"


def test_asserts_that_may_never_run_do_not_count() -> None:
    hidden = "def test():\n    assert f(1) == 2\ntry:\n    assert f(2) == 3\nexcept Exception:\n    pass\n"
    assert read_suite(f"{hidden}for n in []:\n    assert f(n) == n\n", "f").tests == ()


def test_what_comes_before_a_cut_counts() -> None:
    assert read_suite("assert f(1) == 2\nassert f(2) == 3\nassert f([1, 2").tests == (
        "assert f(1) == 2",
        "assert f(2) == 3",
    )
    assert read_suite("no python at all").tests == ()


@pytest.mark.parametrize(
    ("tests", "weakness"),
    [
        (["f(1) == 2", "f(2) == 3"], "fewer than 3"),
        (["f(1) == 2", "f(2) == 2", "f(3) == 2.0"], ""),
        (["f(1) == 2", "f(2) == 2", "2 == f(3)"], "same value"),
        (["f(1) == [1,2]", "f(2) == [1, 2]", "f(3) == [1,  2]"], "same value"),
        (["f(1)", "f(2)", "f(3)"], "same value"),
        (["f(1)", "f(2)", "not f(3)"], ""),
        (["f(1) is True", "f(2) is True", "f(3) is False"], ""),
    ],
)
def test_a_suite_needs_three_asserts_and_two_values(tests: list[str], weakness: str) -> None:
    found = read_suite("\n".join(f"assert {test}" for test in tests), "f").weakness()
    assert weakness in found
    assert bool(weakness) == bool(found)


@pytest.mark.parametrize(
    "vacuous",
    [
        ["f(1) is None", "f(2) is None", "f(3) != 4"],
        ["f(1) == 0", "f(2) == 0", "f(3) != 4"],
        ["not f(1)", "f(2) == []", "f(3) != 4"],
        ["f(1) == 1", "f([2]) == [2]", "f(3) != 4"],
        ["f(1) or True", "f(2) == f(2)", "isinstance(f(3), object)"],
    ],
)
def test_a_vacuous_suite_passes_some_stub(vacuous: list[str]) -> None:
    suite = read_suite("\n".join(f"assert {test}" for test in vacuous), "f")
    assert any(verdict.passed for verdict in run_many(_jobs(suite)))


def test_a_suite_that_means_something_passes_no_stub() -> None:
    suite = read_suite("assert f(1) == 2\nassert f(2) == 3\nassert f(0) == 1", "f")
    assert not any(verdict.passed for verdict in run_many(_jobs(suite)))


def _jobs(suite: Suite) -> list[Job]:
    return [Job(stub, tests=suite.tests, entry_point=suite.entry_point) for stub in suite.stubs()]


def test_given_tests_are_asserts_of_the_entry_point() -> None:
    assert given_suite(["assert f(1) == 2"], "", "here").entry_point == "f"
    with pytest.raises(ChakuError, match="here: every test"):
        given_suite(["assert f(1) == 2", "print(f(2))"], "f", "here")


def test_arguments_are_those_given_by_place_as_plain_values() -> None:
    suite = read_suite("assert f(1, 'a') == 2\nassert f([2]) == f(3)\nassert f(x=1) == 2\nassert f(y()) == 1", "f")
    assert list(arguments_of(suite)) == [(1, "a"), ([2],)]
