from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.sql.execute.database import Database
from chaku.sql.schema.introspect import introspect, one_line
from shop_database import make_shop


def test_sqlite_is_introspected(tmp_path):
    with Database(str(make_shop(tmp_path / "shop.sqlite"))) as database:
        schema = introspect(database)
    assert [table.name for table in schema.tables] == ["customers", "products", "orders", "order_items"]
    assert schema.tables[0].columns[2].values == ("'United Kingdom'", "'France'", "'中国'")
    assert schema.tables[3].foreign_keys[1].references == ("id",)


def test_a_server_that_is_away_is_named_without_its_password(tmp_path):
    pytest.importorskip("psycopg", reason="needs the sql extra")
    with Database(f"postgresql://u:secret@/none?host={tmp_path}") as database:
        with pytest.raises(ChakuError, match="the database none does not answer: connection ") as raised:
            introspect(database)
        assert "secret" not in str(raised.value)
        with pytest.raises(ChakuError, match="does not answer") as raised:
            database.run("SELECT 1")
        assert "secret" not in str(raised.value)


def test_a_comment_is_one_printable_line_that_is_not_too_long():
    assert one_line("a\n-- b\t\x1b[31mred\u202e") == "a -- b [31mred"
    assert one_line(None) == ""
    assert len(one_line("x" * 1000)) == 200


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = Path(tmp_path / "notes.db")
    path.write_text("no database " * 100)
    with Database(str(path)) as database, pytest.raises(ChakuError, match="notes"):
        introspect(database)
