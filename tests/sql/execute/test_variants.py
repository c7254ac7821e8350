import sqlite3
from contextlib import closing

import pytest

from chaku.sql.execute.variants import query_constants, write_variants
from chaku.sql.scoring.execution_match import same_result


def rows(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def variants(music, tmp_path_factory):
    constants = query_constants(["SELECT name FROM singer WHERE age > 40 AND country = 'Peru'"])
    return write_variants(music, tmp_path_factory.mktemp("variants"), constants=constants)


def test_constants_are_found_by_their_column_with_their_neighbours():
    found = query_constants(
        [
            "SELECT a FROM t WHERE age >= 40 AND name LIKE '%x%'",
            'SELECT a FROM t WHERE T1.city = "Lima" OR n BETWEEN 2 AND 5 OR n IN (9)',
            "no query at all (",
        ]
    )
    assert {name: sorted(values) for name, values in found.items()} == {
        "age": [39, 40, 41],
        "name": ["x"],
        "city": ["Lima"],
        "n": [1, 2, 3, 4, 5, 6, 8, 9, 10],
    }


def test_the_same_seed_gives_the_same_variants_and_another_does_not(music, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    made = [
        [rows(path, "SELECT * FROM singer ORDER BY id") for path in
         write_variants(music, tmp_path / name, constants={}, num_variants=5, seed=seed)]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]  # fmt: skip
    assert made[0] == made[1] != made[2]


def test_keys_keep_their_values_and_every_child_its_parent(music, variants):
    assert len(variants) == 20
    keys = dict(rows(music, "SELECT id, singer_id FROM song"))
    for path in variants:
        assert rows(path, "SELECT count(*) FROM singer")[0][0] >= 1
        assert all(keys[song] == singer for song, singer in rows(path, "SELECT id, singer_id FROM song"))
        assert rows(path, "SELECT count(*) FROM song WHERE singer_id NOT IN (SELECT id FROM singer)") == [(0,)]


@pytest.mark.parametrize(
    ("gold", "wrong"),
    [
        ("SELECT name FROM singer WHERE age > 40", "SELECT name FROM singer WHERE age >= 40"),
        ("SELECT name FROM singer WHERE age > 40", "SELECT name FROM singer WHERE country = 'France'"),
        ("SELECT count(*) FROM singer", "SELECT 4"),
        ("SELECT max(age) FROM singer", "SELECT age FROM singer WHERE name = 'Ben'"),
    ],
)
def test_variants_tell_apart_what_agrees_by_chance(music, variants, gold, wrong):
    assert same_result(rows(music, gold), rows(music, wrong), ordered=False)
    assert not all(same_result(rows(path, gold), rows(path, wrong), ordered=False) for path in variants)


def test_an_equal_query_agrees_on_every_variant(variants):
    one, other = "SELECT name FROM singer WHERE age > 40", "SELECT name FROM singer WHERE NOT age <= 40"
    assert all(same_result(rows(path, one), rows(path, other), ordered=False) for path in variants)


def test_only_the_tables_of_the_queries_are_filled_unless_one_is_a_view(music, tmp_path):
    few = {"constants": {}, "num_variants": 1}
    [path] = write_variants(music, tmp_path, **few, queries=['SELECT * FROM "Singer"'])
    assert rows(path, "SELECT count(*) > 0 FROM singer") == [(1,)]
    assert rows(path, "SELECT count(*) FROM song") == [(0,)]
    viewed = tmp_path / "viewed.sqlite"
    viewed.write_bytes(music.read_bytes())
    with closing(sqlite3.connect(viewed)) as connection:
        connection.execute("CREATE VIEW titles AS SELECT title FROM song")
    [path] = write_variants(viewed, tmp_path, **few, queries=["SELECT * FROM titles"])
    assert rows(path, "SELECT count(*) > 0 FROM titles") == [(1,)]


def test_few_rows_of_a_large_table_are_read(tmp_path):
    with closing(sqlite3.connect(tmp_path / "long.sqlite")) as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
        connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(1000)])
        connection.commit()
    made = write_variants(tmp_path / "long.sqlite", tmp_path, constants={}, num_variants=5, read_rows=100)
    assert all(rows(path, "SELECT count(*) FROM t WHERE a < 100")[0][0] >= 40 for path in made)
    assert all(rows(path, "SELECT count(*) FROM t WHERE a >= 100") == [(0,)] for path in made)
