import shutil
from types import SimpleNamespace

import pytest

from chaku import ChakuError
from chaku.sql.engines.known import ENGINES
from chaku.sql.execute.database import Database, parse_url
from chaku.sql.glossary.file import load_glossary, write_glossary
from chaku.sql.glossary.find import find_glossary


@pytest.fixture
def write(tmp_path):
    def one(text):
        path = tmp_path / "shop.glossary.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return one


def test_a_glossary_is_written_as_it_was_read(shop_words, tmp_path):
    write_glossary(tmp_path / "again.toml", shop_words)
    assert load_glossary(tmp_path / "again.toml") == shop_words
    assert shop_words.tables["purchase"].columns["amount"].private


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "[metrics.revenue]\nexpresion = 'sum(a)'\ntable = 't'",
            "metrics.revenue: unknown key 'expresion'.*'expression'",
        ),
        ("[metrics.revenue]\ntable = 't'", "the key 'expression' is missing"),
        ("[table.orders]", "unknown key 'table'.*'tables'"),
        ("[tables.orders.columns.a]\nprivate = 'yes'", "private must be true or false"),
        ("[tables.orders]\nsynonyms = 'order'", "synonyms must be a list"),
        ("[tables", "is not a glossary in TOML"),
        ("#" * 1_000_001, "has 1,000,001 bytes"),
    ],
)
def test_a_mistake_in_the_form_is_named(write, text, error):
    with pytest.raises(ChakuError, match=error):
        load_glossary(write(text))


def test_a_glossary_lies_beside_a_database_file_or_is_named(write, shop_file, tmp_path):
    (tmp_path / "shop.sqlite").write_bytes(shop_file.read_bytes())
    with Database(str(tmp_path / "shop.sqlite")) as database:
        assert find_glossary(database) is None
        beside = write("joins = ['a.b = c.d']")
        assert find_glossary(database) == load_glossary(beside)
        with pytest.raises(ChakuError, match="glossary init"):
            find_glossary(database, tmp_path / "missing.toml")


def test_values_and_names_with_signs_are_written_as_toml(write, tmp_path):
    words = load_glossary(write('[tables."a \\"b\\" #".columns."c.d"]\nvalues = {"x\\ty=1" = ["é\\u007f"]}'))
    write_glossary(tmp_path / "again.toml", words)
    assert load_glossary(tmp_path / "again.toml") == words


PRIVATE = """[tables.customers.columns.email]
private = true
"""


@pytest.fixture
def server(monkeypatch, tmp_path):
    """server(URL) -> what a database on a server tells about itself, without a connection."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def one(url):
        dialect, location = parse_url(url)
        named = SimpleNamespace(dialect=dialect, engine=ENGINES[dialect], location=location)
        named.name, named.place = Database.name.fget(named), location
        return named

    return one


def test_the_glossary_of_a_server_is_named_once_and_found_in_every_later_command(server, write, tmp_path):
    words = write(PRIVATE)
    assert find_glossary(server("postgresql://ada:old@db/shop")) is None
    first = find_glossary(server("postgresql://ada:old@db/shop"), words)
    assert first.private == {("customers", "email")}
    assert find_glossary(server("postgresql://bo:new@db/shop?sslmode=require")) == first  # as another user
    assert find_glossary(server("postgresql://ada:old@db/other")) is None
    assert find_glossary(server("postgresql://ada:old@elsewhere/shop")) is None
    assert "old" not in "".join(path.read_text() for path in (tmp_path / "data").rglob("*.json"))


def test_a_glossary_that_keeps_columns_private_and_is_gone_ends_the_command(server, write, capsys):
    words = write(PRIVATE)
    database = server("postgresql://db/shop")
    find_glossary(database, words)
    words.rename(words.with_suffix(".away"))
    with pytest.raises(ChakuError, match=r"is gone, and it kept customers.email private: put it back, name another"):
        find_glossary(database)
    other = write("[tables.customers]\n")
    assert find_glossary(database, other).private == frozenset()
    assert "customers.email of shop was private, and is not in the glossary" in capsys.readouterr().err
    other.unlink()
    assert find_glossary(database) is None  # nothing was private in the last one


def test_a_database_file_whose_private_glossary_is_gone_is_not_read(shop_file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    copy = shutil.copy(shop_file, tmp_path / "shop.sqlite")
    beside = tmp_path / "shop.glossary.toml"
    beside.write_text(PRIVATE.replace("customers", "customer").replace("email", "age"))
    with Database(str(copy)) as database:
        assert find_glossary(database).private == {("customer", "age")}
        beside.unlink()
        with pytest.raises(ChakuError, match=r"kept customer.age private"):
            find_glossary(database)
