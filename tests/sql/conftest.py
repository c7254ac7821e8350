"""The singers' database in Spider's form, and the shop of `chaku sql shop` with its glossary."""

from pathlib import Path

import pytest

from singers_database import SINGERS, write_database

WORDS = Path(__file__).parent / "glossary" / "shop.glossary.toml"


@pytest.fixture(scope="session")
def databases(tmp_path_factory):
    """A directory in Spider's form with one database, `music`."""
    folder = tmp_path_factory.mktemp("databases")
    write_database(folder / "music" / "music.sqlite", SINGERS)
    return folder


@pytest.fixture(scope="session")
def music(databases):
    return databases / "music" / "music.sqlite"


@pytest.fixture(scope="session")
def shop_file(tmp_path_factory):
    """The shop of `chaku sql shop`."""
    from chaku.synthetic.shop import write_database as write_shop

    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    write_shop(path)
    return path


@pytest.fixture(scope="session")
def shop_words():
    """The shop's glossary."""
    from chaku.sql.glossary.file import load_glossary

    return load_glossary(WORDS)


@pytest.fixture(scope="session")
def shop_rules(shop_file):
    """The shop's glossary at work on the shop."""
    from chaku.sql.execute.database import Database
    from sql.glossary.rulebooks import rules_of

    with Database(str(shop_file)) as database:
        yield rules_of(database, WORDS)
