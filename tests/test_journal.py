"""A journal loses nothing to a kill, and nobody else writes it meanwhile."""

import pytest

from chaku import ChakuError
from chaku.journal import Journal


def test_lines_are_there_again_and_a_cut_one_is_dropped(tmp_path):
    path = tmp_path / "new" / "journal.jsonl"
    with Journal(path) as journal:
        assert journal.rows == []
        journal.append([{"a": 1}, {"a": "é"}])
        assert path.read_text().count("\n") == 2  # at once, not at the end
    with path.open("a") as file:
        file.write('{"a": 3')
    with Journal(path) as journal:
        assert journal.rows == [{"a": 1}, {"a": "é"}]
        journal.append([{"a": 4}])
    with Journal(path) as journal:
        assert journal.rows == [{"a": 1}, {"a": "é"}, {"a": 4}]


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"a": 1}\n{"a\n{"a": 2}\n')
    with pytest.raises(ChakuError, match="line 2 is damaged"):
        Journal(tmp_path / "journal.jsonl")


def test_two_writers_are_one_too_many(tmp_path):
    with Journal(tmp_path / "journal.jsonl"), pytest.raises(ChakuError, match="another chaku process writes"):
        Journal(tmp_path / "journal.jsonl")
    with Journal(tmp_path / "journal.jsonl"):
        pass
