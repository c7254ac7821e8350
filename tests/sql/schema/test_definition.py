import json
import sqlite3
from contextlib import closing

import pytest

from chaku.errors import ChakuError
from chaku.sql.schema.ddl import compact_table, to_ddl
from chaku.sql.schema.definition import (
    Column,
    ForeignKey,
    Schema,
    Table,
    literal,
    quote_name,
    read_spider_tables,
    read_sqlite,
)


def write(path, script):
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def words(text):
    return len(text.split())


def test_a_file_gives_types_keys_and_values(music):
    schema = read_sqlite(music)
    assert [table.name for table in schema.tables] == ["singer", "song"]
    singer, song = schema.tables
    assert singer.columns[0] == Column("id", "INTEGER", values=("1", "2", "3"), primary_key=True)
    assert singer.columns[1].values == ("'Ana'", "'Ben'", "'Cleo'")
    assert song.foreign_keys == (ForeignKey(("singer_id",), "singer", ("id",)),)


def test_a_key_without_named_columns_is_the_parents_primary_key(tmp_path):
    path = write(tmp_path / "a.sqlite", "CREATE TABLE p (k TEXT PRIMARY KEY); CREATE TABLE c (p TEXT REFERENCES p);")
    assert read_sqlite(path).tables[1].foreign_keys == (ForeignKey(("p",), "p", ("k",)),)


def test_text_that_is_not_utf8_is_read(tmp_path):
    path = write(tmp_path / "a.sqlite", "CREATE TABLE t (name TEXT); INSERT INTO t VALUES (CAST(x'4af6' AS TEXT));")
    assert read_sqlite(path).tables[0].columns[0].values == ("'J�'",)


def test_reading_a_schema_changes_nothing_and_a_missing_file_is_named(tmp_path):
    with pytest.raises(ChakuError, match=r"nothing\.sqlite does not exist"):
        read_sqlite(tmp_path / "nothing.sqlite")
    assert not list(tmp_path.iterdir())
    (tmp_path / "text.sqlite").write_text("no database" * 100)
    with pytest.raises(ChakuError, match="cannot read the database"):
        read_sqlite(tmp_path / "text.sqlite")


def test_what_sqlite_cannot_read_is_left_out_and_said(tmp_path, capsys):
    path = write(
        tmp_path / "a.sqlite",
        "CREATE TABLE gone (a); CREATE VIEW stale AS SELECT a FROM gone; CREATE TABLE kept (b TEXT); "
        "INSERT INTO kept VALUES ('x'); DROP TABLE gone;",
    )
    [table] = read_sqlite(path).tables
    assert (table.name, table.columns[0].values) == ("kept", ("'x'",))
    assert "stale is left out, since SQLite cannot read it: no such table: main.gone" in capsys.readouterr().err


def test_tables_of_indices_are_none_of_the_users_and_computed_columns_are(tmp_path):
    path = write(
        tmp_path / "a.sqlite",
        "CREATE VIRTUAL TABLE notes USING fts5 (body); CREATE VIRTUAL TABLE old USING fts4 (body); "
        "CREATE VIRTUAL TABLE places USING rtree (id, x1, x2); CREATE TABLE notes_author (name TEXT); "
        "CREATE TABLE boxes (a INT, b INT, area INT AS (a * b), twice INT AS (2 * a) STORED);",
    )
    tables = read_sqlite(path).tables
    assert [table.name for table in tables] == ["notes", "old", "places", "notes_author", "boxes"]
    assert [column.name for column in tables[0].columns] == ["body"]
    assert [column.name for column in tables[-1].columns] == ["a", "b", "area", "twice"]


def test_a_table_of_another_schema_is_written_with_it():
    key = ForeignKey(("item",), "my shop.items", ("id",), "my shop")
    item = Table("my shop.items", (Column("id"),), namespace="my shop")
    schema = Schema("s", (item, Table("t", (Column("item"),), foreign_keys=(key,))), "postgres")
    text, _ = to_ddl(schema, count_tokens=words, max_tokens=1000)
    assert 'CREATE TABLE "my shop".items (' in text
    assert 'REFERENCES "my shop".items (id)' in text
    assert compact_table(schema, item) == '"my shop".items(id)'


def test_spiders_tables_give_keys_and_names_that_say_more(tmp_path):
    entry = {
        "db_id": "shop",
        "table_names_original": ["Shop", "Staff"],
        "table_names": ["shop", "staff"],
        "column_names_original": [[-1, "*"], [0, "Shop_ID"], [0, "Nm"], [1, "Shop"], [1, "Since"]],
        "column_names": [[-1, "*"], [0, "shop id"], [0, "name"], [1, "shop"], [1, "since"]],
        "column_types": ["text", "number", "text", "number", "time"],
        "primary_keys": [1, [3, 4]],
        "foreign_keys": [[3, 1]],
    }
    (tmp_path / "tables.json").write_text(json.dumps([entry]))
    shop, staff = read_spider_tables(tmp_path / "tables.json")["shop"].tables
    assert shop.columns == (Column("Shop_ID", "NUMERIC", primary_key=True), Column("Nm", "TEXT", "name"))
    assert [column.primary_key for column in staff.columns] == [True, True]
    assert staff.foreign_keys == (ForeignKey(("Shop",), "Shop", ("Shop_ID",)),)
    (tmp_path / "tables.json").write_text('[{"db_id": "x"}]')
    with pytest.raises(ChakuError, match=r"not in the form of Spider's tables\.json"):
        read_spider_tables(tmp_path / "tables.json")


def test_names_are_quoted_where_they_must_be():
    assert [quote_name(name) for name in ("singer", "order", "two words", 'a"b')] == [
        "singer",
        '"order"',
        '"two words"',
        '"a""b"',
    ]
    assert quote_name("order", "mysql") == "`order`"


def test_literals_stay_on_one_line_and_short():
    assert literal("it's\n  so") == "'it''s so'"
    assert literal("x" * 99) == "'" + "x" * 39 + "…'"
    assert (literal(None), literal(2), literal(1.5)) == ("NULL", "2", "1.5")


SCHEMA = Schema(
    "music",
    (
        Table(
            "singer",
            (
                Column("id", "INT", primary_key=True, values=("1", "2")),
                Column("name", "TEXT", "stage name", ("'Ana'", "'Ben'"), not_null=True),
            ),
            comment="who sings",
        ),
        Table(
            "song",
            (Column("singer_id", "INT"), Column("no", "INT"), Column("title", "TEXT")),
            foreign_keys=(ForeignKey(("singer_id",), "singer", ("id",)),),
        ),
    ),
)


def test_ddl_has_types_keys_comments_and_values():
    text, dropped = to_ddl(SCHEMA, count_tokens=words, max_tokens=1000)
    assert not dropped
    assert text == (
        "CREATE TABLE singer ( -- who sings\n"
        "  id INT PRIMARY KEY, -- 1, 2\n"
        "  name TEXT NOT NULL -- stage name; 'Ana', 'Ben'\n"
        ");\n"
        "CREATE TABLE song (\n"
        "  singer_id INT,\n"
        "  no INT,\n"
        "  title TEXT,\n"
        "  FOREIGN KEY (singer_id) REFERENCES singer (id)\n"
        ");"
    )
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(text)


def test_what_does_not_fit_is_dropped_in_order_and_named():
    full = words(to_ddl(SCHEMA, count_tokens=words, max_tokens=1000)[0])
    seen = []
    for budget in range(full, 8, -1):
        text, dropped = to_ddl(SCHEMA, count_tokens=words, max_tokens=budget)
        assert words(text) <= budget
        for part in dropped:
            if str(part) not in seen:
                seen.append(str(part))
            if part.kind in ("column", "table"):
                assert (part.column or part.table) not in text
    assert seen == [
        "values of singer.id",
        "values of singer.name",
        "comment of singer",
        "comment of singer.name",
        "column song.title",
        "column song.no",
        "column singer.name",
        "table song",
    ]


def test_a_schema_that_cannot_fit_is_an_error():
    with pytest.raises(ChakuError, match="does not fit"):
        to_ddl(SCHEMA, count_tokens=words, max_tokens=3)


def test_a_thousand_tables_fit_a_budget():
    tables = tuple(
        Table(f"t{number}", (Column("id", "INT", primary_key=True), Column(f"c{number}"))) for number in range(1000)
    )
    text, dropped = to_ddl(Schema("wide", tables), count_tokens=words, max_tokens=500)
    assert words(text) <= 500
    assert text.count("CREATE TABLE") + sum(part.kind == "table" for part in dropped) == 1000


def test_the_compact_form_leaves_out_what_names_tell():
    assert compact_table(SCHEMA, SCHEMA.tables[1]) == "song(singer_id, no, title)"
    other = Table("duet", (Column("first"),), foreign_keys=(ForeignKey(("first",), "singer", ("id",)),))
    assert compact_table(SCHEMA, other) == "duet(first -> singer.id)"
