"""The singers' database in Spider's form."""

import pytest

from singers_database import SINGERS, write_database


@pytest.fixture(scope="session")
def databases(tmp_path_factory):
    """A directory in Spider's form with one database, `music`."""
    folder = tmp_path_factory.mktemp("databases")
    write_database(folder / "music" / "music.sqlite", SINGERS)
    return folder


@pytest.fixture(scope="session")
def music(databases):
    return databases / "music" / "music.sqlite"
