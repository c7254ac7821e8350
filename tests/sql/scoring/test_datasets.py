import json
import sqlite3
from contextlib import closing

import pytest

from chaku.errors import ChakuError
from chaku.sql.schema.definition import Column, ForeignKey, Schema, Table
from chaku.sql.scoring.datasets import Example, read_examples, with_descriptions, with_keys, write_wikisql_databases


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("dev.json", [{"db_id": "a", "question": "Who? ", "query": "SELECT 1 "}], Example("Who?", "SELECT 1", "a")),
        ("c.json", [{"db_id": "a", "question": "谁？", "query": "SELECT 1"}], Example("谁？", "SELECT 1", "a")),
        (
            "bird.json",
            [{"db_id": "a", "question": "Who?", "SQL": "SELECT 1", "evidence": "who is name", "difficulty": "simple"}],
            Example("Who?", "SELECT 1", "a", "who is name"),
        ),
        ("own.jsonl", [{"question": "Who?", "query": "SELECT 1", "database": "a"}], Example("Who?", "SELECT 1", "a")),
    ],
)
def test_each_form_is_known_by_its_keys(tmp_path, name, rows, expected):
    path = tmp_path / name
    path.write_text(json.dumps(rows) if path.suffix == ".json" else "\n".join(map(json.dumps, rows)))
    assert read_examples(path) == [expected]


WIKISQL_TABLE = {
    "id": "1-10",
    "header": ["Player", "No.", "player", "Points"],
    "types": ["text", "text", "text", "real"],
    "rows": [["Ann", "7", "x", 12], ["Bob", "9", "y", 3.5]],
}
WIKISQL_ROWS = [
    {"phase": 1, "table_id": "1-10", "question": "How many?", "sql": {"sel": 0, "agg": 3, "conds": [[3, 1, "3"]]}},
    {
        "phase": 1,
        "table_id": "1-10",
        "question": "No?",
        "sql": {"sel": 1, "agg": 0, "conds": [[0, 0, "ann"], [3, 0, 12]]},
    },
]


def test_wikisql_becomes_sql_that_runs_on_databases_of_its_tables(tmp_path):
    (tmp_path / "train.tables.jsonl").write_text(json.dumps(WIKISQL_TABLE) + "\n")
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in WIKISQL_ROWS))
    first, second = read_examples(tmp_path / "train.jsonl")
    assert first.query == "SELECT COUNT(Player) FROM table_1_10 WHERE Points > 3"
    assert second.query == "SELECT \"No.\" FROM table_1_10 WHERE Player = 'ann' AND Points = 12"
    assert write_wikisql_databases(tmp_path / "train.jsonl", tmp_path / "databases") == 1
    with closing(sqlite3.connect(tmp_path / "databases" / "1-10" / "1-10.sqlite")) as connection:
        assert connection.execute(first.query).fetchall() == [(2,)]
        assert connection.execute(second.query).fetchall() == [("7",)]  # without regard to case
        assert connection.execute('SELECT "player 2" FROM table_1_10').fetchall() == [("x",), ("y",)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question": "Who?"}', "row 1: KeyError"),
        ('{"question": "Who?", "query": 3, "database": "a"}', "row 1: TypeError"),
        ('{"question": ', "line 1 is not valid JSON"),
        ("", "has no examples"),
    ],
)
def test_a_bad_row_is_named(tmp_path, text, message):
    (tmp_path / "own.jsonl").write_text(text)
    with pytest.raises(ChakuError, match=message):
        read_examples(tmp_path / "own.jsonl")


def test_keys_and_comments_come_from_tables_json_where_the_database_has_none():
    bare = Schema("a", (Table("T", (Column("Id"), Column("p"))), Table("only_here", (Column("x"),))))
    key = ForeignKey(("p",), "U", ("id",))
    told = Schema("a", (Table("t", (Column("id", comment="number", primary_key=True), Column("P")), "", (key,)),))
    merged = with_keys(bare, told).tables[0]
    assert merged.columns[0] == Column("Id", comment="number", primary_key=True)
    assert merged.foreign_keys == (key,)
    assert with_keys(bare, told).tables[1] == bare.tables[1]
    assert with_keys(bare, None) == bare


def test_birds_descriptions_become_comments(tmp_path):
    header = "original_column_name,column_name,column_description,data_format,value_description\n"
    (tmp_path / "frpm.csv").write_bytes(
        b"\xef\xbb\xbf" + header.encode() + b"CDSCode,CDSCode,the school's code,integer,\r\nx,,,text,1: yes\x92\r\n"
    )
    schema = with_descriptions(Schema("a", (Table("FRPM", (Column("cdscode"), Column("X"), Column("y"))),)), tmp_path)
    assert [column.comment for column in schema.tables[0].columns] == ["the school's code", "1: yes�", ""]
