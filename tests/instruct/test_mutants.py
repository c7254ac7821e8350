"""Mutants: one place each, boundaries among them, and inputs that tell them apart."""

import ast

import pytest

from chaku.instruct.mutants import MAX_INPUTS, MAX_MUTANTS, mutants, nearby, probe
from chaku.sandbox.pool import run_many
from chaku.sandbox.verdict import Job

SOURCE = '''
def f(xs, k):
    """Words."""
    n = 0
    for x in xs[1:k]:
        if x > k and x:
            n += x
    return n
'''


def test_every_mutant_is_another_program() -> None:
    made = mutants(SOURCE, 100)
    assert len(made) == len(set(made)) > 8
    assert ast.unparse(ast.parse(SOURCE)) not in made
    for mutant in made:
        compile(mutant, "mutant", "exec")


@pytest.mark.parametrize(
    "part",
    ["x >= k", "x <= k", "x > k or x", "n -= x", "xs[2:k]", "xs[0:k]", "xs[1:k + 1]", "n = 1", "not (x > k and x)"],
)
def test_boundaries_operators_constants_and_conditions_are_changed(part: str) -> None:
    assert any(part in mutant for mutant in mutants(SOURCE, 100))


def test_many_mutants_are_a_sample_that_is_always_the_same() -> None:
    long = "\n".join(f"def f{n}(a):\n    return a + {n}" for n in range(30))
    assert len(mutants(long)) == MAX_MUTANTS
    assert mutants(long) == mutants(long)
    with pytest.raises(SyntaxError):
        mutants("def f(:")


def test_inputs_near_the_tests_tell_a_boundary_apart_that_the_tests_do_not() -> None:
    right, mutant = ("def f(a):\n    return a > 3\n", "def f(a):\n    return a >= 3\n")
    for inputs, alike in (([(2,), (9,)], True), (nearby([(2,), (9,)]), False)):
        first, second = run_many([Job(probe(program, "f", inputs)) for program in (right, mutant)])
        assert first.passed
        assert (first.stdout == second.stdout) == alike


def test_inputs_near_are_of_the_same_types_and_bounded() -> None:
    found = nearby([([1, 2, 3], "ab", True), (list(range(50)), "", False)])
    assert len(found) == len({repr(mutant) for mutant in found}) == MAX_INPUTS
    assert all((type(a), type(b), type(c)) == (list, str, bool) for a, b, c in found)
    assert nearby([]) == []


def test_a_probe_goes_on_after_an_error() -> None:
    [verdict] = run_many([Job(probe("def f(a):\n    return 1 // a\n", "f", [(0,), (1,)]))])
    assert verdict.stdout == "ZeroDivisionError\n1\n"
