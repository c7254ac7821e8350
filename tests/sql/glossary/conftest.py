"""The shop of `chaku sql shop`, with its glossary."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.execute.database import Database
from chaku.sql.glossary.file import load_glossary
from chaku.sql.schema.definition import read_sqlite
from chaku.synthetic.shop import write_database
from sql.glossary.rulebooks import HERE, TODAY, rules_of


@pytest.fixture(scope="session")
def shop_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite"
    write_database(path)
    return path


@pytest.fixture(scope="session")
def shop_schema(shop_file):
    return read_sqlite(shop_file)


@pytest.fixture(scope="session")
def shop_words():
    return load_glossary(HERE / "shop.glossary.toml")


@pytest.fixture(scope="session")
def shop_rules(shop_file):
    with Database(str(shop_file)) as database:
        yield rules_of(database, HERE / "shop.glossary.toml")


@pytest.fixture
def answer(shop_rules):
    """answer(question) -> the rules' answer about the shop on 15 June 2024."""
    return lambda question: shop_rules.answer(question, TODAY["shop"])
