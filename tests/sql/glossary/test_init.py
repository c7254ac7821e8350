import tomllib

from chaku.plain import from_plain
from chaku.sql.glossary.check import check_glossary
from chaku.sql.glossary.file import Glossary, to_toml
from chaku.sql.glossary.init import first_glossary
from chaku.sql.glossary.rules import Rules
from sql.glossary.rulebooks import TODAY


def test_a_first_glossary_fits_its_database_and_answers_at_once(shop_rules):
    schema, values = shop_rules.lexicon.schema, shop_rules.lexicon._index
    words = first_glossary(schema, values)
    assert check_glossary(words, schema, values) == []
    assert from_plain(Glossary, tomllib.loads(to_toml(words)), "g") == words
    assert (words.tables["purchase"].date, words.tables["customer"].label) == ("day", "name")
    assert set(words.tables["payment"].columns["method"].values) == {"card", "cash", "transfer", "voucher"}
    found = Rules(words, schema, values).answer("How many purchases were there in 2023?", TODAY["shop"])
    assert "COUNT(*) AS number_of_purchases FROM purchase" in found.sql
