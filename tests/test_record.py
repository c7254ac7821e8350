"""A JSON file that chaku writes: read as it was written, or refused with what to do."""

import json
from dataclasses import dataclass

import pytest

from chaku import ChakuError
from chaku.record import Record


@dataclass(frozen=True)
class Part:
    number: int
    note: str | None = None


@dataclass(frozen=True)
class Little(Record):
    WHAT = "a little record"
    name: str
    parent: str | None
    shares: dict[int, float]
    parts: tuple[Part, ...] = ()


RECORD = Little("a", None, {1: 0.5, 10: 1.0}, (Part(3), Part(4, "four")))


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "little.json"
    RECORD.write(path)
    assert Little.read(path) == RECORD
    assert json.loads(path.read_text()) == {
        "version": 1,
        "name": "a",
        "parent": None,
        "shares": {"1": 0.5, "10": 1.0},
        "parts": [{"number": 3}, {"number": 4, "note": "four"}],
    }


def test_a_file_from_before_versions_is_read_and_keys_of_others_are_ignored(tmp_path):
    path = tmp_path / "little.json"
    path.write_text('{"name": "a", "parent": "b", "shares": {"1": 1}, "kind": "train"}')
    assert Little.read(path) == Little("a", "b", {1: 1.0})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"version": 2, "name": 3}', "has the layout 2 of a later chaku: upgrade chaku"),
        ('{"name": "a", "parent": null}', r"is not a little record .*'shares' is missing.*remove it and run again"),
        ('{"name": "a", "parent": null, "shares": {"one": 1}}', r"the key 'one', which must be int"),
        ('{"name": "a", "parent": null, "shares": {"1": true}}', r"shares.1 must be a number, not True"),
        ("[]", "its content must be a table"),
        ('{"name": "a"', "is not valid JSON"),
        ("[" * 99_999, "is not valid JSON"),
    ],
)
def test_any_other_file_is_refused_with_what_to_do(tmp_path, content, message):
    path = tmp_path / "little.json"
    path.write_text(content)
    with pytest.raises(ChakuError, match=rf"little.json.*{message}"):
        Little.read(path)
