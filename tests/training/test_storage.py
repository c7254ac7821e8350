"""A place for states that ranks cannot use is named before anything is trained."""

import pytest

from chaku import ChakuError
from chaku.training.ranks import ALONE, Ranks
from chaku.training.storage import check_storage, storage_problem


class SecondRank(Ranks):
    """Rank 1 of two, which says what it says without the other."""

    def __init__(self):
        super().__init__(rank=1, size=2)

    def all_objects(self, value):
        return [value]

    def from_first(self, value):
        return value


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").touch()
    return tmp_path / "file"


def test_places_that_cannot_hold_states(monkeypatch, file, tmp_path):
    assert storage_problem(str(tmp_path / "new" / "states")) == ""
    assert storage_problem(str(file / "states")) == f"{file} is a file: name a directory in training.state"
    assert "Protocol not known: nowhere" in storage_problem("nowhere://bucket/states")
    monkeypatch.setattr("chaku.training.storage.os.access", lambda path, mode: False)
    assert storage_problem(str(tmp_path)) == f"{tmp_path} cannot be written: name another directory in training.state"


def test_the_memory_of_a_process_holds_no_state_of_several(monkeypatch):
    assert storage_problem("memory://states") == ""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "every rank has its own memory: name a directory that all ranks share" in storage_problem("memory://states")


def test_a_place_that_is_good_stays_empty(tmp_path):
    check_storage(tmp_path / "states", ALONE)
    assert list((tmp_path / "states").iterdir()) == []


def test_a_place_that_cannot_be_written_names_the_rank(file):
    with pytest.raises(ChakuError, match=r"^cannot write .*/file/states: a part of this path is a file"):
        check_storage(file / "states", ALONE)
    with pytest.raises(ChakuError, match=r"^rank 1 \(.*\): cannot write .*/file/states: a part of this path is a file"):
        check_storage(file / "states", SecondRank())


def test_directories_of_one_name_on_two_machines_are_not_one_place(tmp_path):
    with pytest.raises(ChakuError, match=r"^rank 1 \(.*\): what rank 0 writes to .* is not there: name storage"):
        check_storage(tmp_path, SecondRank())


def test_an_error_of_an_object_store_is_said_in_one_line(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("Access Denied\nmore")

    monkeypatch.setattr("fsspec.implementations.memory.MemoryFileSystem.pipe_file", refuse)
    with pytest.raises(ChakuError, match=r"^cannot write memory://bucket/states: Access Denied$"):
        check_storage("memory://bucket/states", ALONE)
