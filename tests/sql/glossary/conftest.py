"""Questions to the shop's rules."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.sql.schema.definition import read_sqlite
from sql.glossary.rulebooks import TODAY


@pytest.fixture(scope="session")
def shop_schema(shop_file):
    return read_sqlite(shop_file)


@pytest.fixture
def answer(shop_rules):
    """answer(question) -> the rules' answer about the shop on 15 June 2024."""
    return lambda question: shop_rules.answer(question, TODAY["shop"])
