"""Evidence as the ledger keeps it."""

from chaku.instruct.evidence import Agreement, Evidence, MutationScore


def test_what_is_empty_is_not_written_and_comes_back_empty():
    assert Evidence().to_json() == {}
    evidence = Evidence(
        tests_from="model",
        tests=("assert f(1) == 2",),
        solutions=("x", ""),
        passed=(True, False),
        accepted=0,
        agreement=Agreement(2, 3),
        mutation=MutationScore(1, 2, 0),
    )
    assert Evidence.from_json(evidence.to_json()) == evidence
    assert evidence.solution == "x"


def test_a_ledger_of_an_earlier_version_is_read():
    before = {"of": "key of the earlier", "tests": ["a"], "mutation": None, "unknown": 1}
    assert Evidence.from_json(before) == Evidence(near="key of the earlier", tests=("a",))
