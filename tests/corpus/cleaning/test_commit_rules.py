"""StarCoder's rules for commits: what each drops, and shares that do not depend on the build."""

import pytest

from chaku.corpus.cleaning.facts import Facts
from chaku.corpus.cleaning.filters import chosen_rules, reason_to_drop
from chaku.documents import join_commit

RULES = chosen_rules("starcoder-commits")
BEFORE = "".join(f"a{number} = {number}\n" for number in range(300))
MESSAGE = "Count from one as the manual says"


def reason(message, after, before=BEFORE):
    return reason_to_drop(Facts(join_commit("a.py", before, message, after), "a.py@1", "commit", "Python"), RULES)


def changed(first, last, salt=""):
    """BEFORE with the lines from `first` to before `last` changed."""
    lines = BEFORE.splitlines(keepends=True)
    return "".join([*lines[:first], *(f"b{salt} = {number}\n" for number in range(first, last)), *lines[last:]])


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (MESSAGE, None),
        ("Updated README.md", "a commit whose message says nothing"),
        ("This is an Auto commit of the editor", "a commit whose message says nothing"),
        ("v1.20.3", "a commit whose message says nothing"),
        ("9b4518d9b4518d9b4518d9b4518d", "a commit whose message says nothing"),
    ],
)
def test_messages(message, problem):
    assert reason(message, changed(10, 20)) == problem


def test_a_deleted_text_is_dropped():
    assert reason(MESSAGE, "\n") == "a commit that deletes everything"


@pytest.mark.parametrize(
    ("message", "lines", "problem", "share"),
    [
        ("Fix it", 10, "a commit with under 5 words, 50% kept", 0.5),
        (MESSAGE, 2, "a commit of at most 2 lines, 10% kept", 0.1),
        (MESSAGE, 200, "a commit of at least 200 lines, 10% kept", 0.1),
    ],
)
def test_a_share_stays_and_it_is_always_the_same(message, lines, problem, share):
    def reasons():
        return [reason(message, changed(50, 50 + lines, salt=str(number))) for number in range(200)]

    found = reasons()
    assert set(found) == {None, problem}
    assert abs(found.count(None) / len(found) - share) < 0.1
    assert found == reasons()


def test_the_size_of_a_change_does_not_depend_on_its_place():
    at_the_end = [reason(MESSAGE, changed(298, 300, salt=str(number))) for number in range(50)]
    assert "a commit of at most 2 lines, 10% kept" in at_the_end
    assert reason(MESSAGE, changed(290, 300)) is None


def test_other_documents_pass():
    assert reason_to_drop(Facts("x = 1\n", "a.py", "code", "Python"), RULES) is None
