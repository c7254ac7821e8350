import json
import sqlite3
from contextlib import closing

import pytest

from chaku.sql.schema.ddl import compact_table
from chaku.sql.schema.definition import read_sqlite
from chaku.synthetic.shop import shop_rows, write_shop
from chaku.synthetic.shop_questions import structure


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop") / "shop"
    counts = write_shop(folder)
    train, dev = (
        [json.loads(line) for line in (folder / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()]
        for part in ("train", "dev")
    )
    return folder, counts, train, dev


def test_the_shop_has_a_dozen_tables_and_its_keys_hold(shop):
    folder, *_ = shop
    schema = read_sqlite(folder / "shop" / "shop.sqlite")
    assert len(schema.tables) == 12
    assert all(table.foreign_keys or table.name in
               ("category", "supplier", "warehouse", "customer", "employee") for table in schema.tables)  # fmt: skip
    with closing(sqlite3.connect(folder / "shop" / "shop.sqlite")) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert len("\n".join(compact_table(schema, table) for table in schema.tables)) < 600  # room in 512 tokens


def test_the_same_seed_gives_the_same_shop_to_the_byte(shop, tmp_path):
    folder, *_ = shop
    write_shop(tmp_path / "again")
    for name in ("shop/shop.sqlite", "train.jsonl", "dev.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()
    assert shop_rows(1) != shop_rows(2)


def test_dev_is_unseen(shop):
    _, counts, train, dev = shop
    assert counts["train"] == len(train) > 3000
    assert counts["dev"] == len(dev) == 300
    assert not {row["query"] for row in train} & {row["query"] for row in dev}
    assert not {row["question"] for row in train} & {row["question"] for row in dev}
    structures = {row["structure"] for row in train}
    unseen = [row for row in dev if row["unseen"] == "structure"]
    assert len(unseen) == counts["dev_unseen_structure"] == 120
    assert all(row["structure"] not in structures for row in unseen)
    assert all(row["structure"] in structures for row in dev if row["unseen"] == "wording")
    assert all(row["structure"] == structure(row["query"]) for row in train + dev)
    assert len({row["structure"] for row in unseen}) > 8


def test_every_query_runs_and_finds_something(shop):
    folder, _, train, dev = shop
    with closing(sqlite3.connect(folder / "shop" / "shop.sqlite")) as connection:
        for row in train + dev:
            assert connection.execute(row["query"]).fetchone() is not None, row["query"]


def test_some_questions_are_chinese(shop):
    _, counts, train, _ = shop
    assert 100 < counts["chinese"] < len(train) / 5


def test_a_structure_has_no_names_and_no_values():
    one = "SELECT name FROM product WHERE price > 3 ORDER BY product.price DESC LIMIT 1"
    other = "SELECT  city FROM warehouse WHERE capacity > 900 ORDER BY warehouse.capacity DESC LIMIT 5"
    assert structure(one) == structure(other)
    assert structure(one) != structure(one.replace("DESC", "ASC"))
