import pytest

from chaku import ChakuError
from chaku.sql.execute.database import Database
from chaku.sql.glossary.file import find_glossary, load_glossary, write_glossary


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
