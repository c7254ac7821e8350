"""A synthetic online shop: a database of twelve tables, with training and test questions about it."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from chaku.files import atomic_file
from chaku.synthetic.shop_questions import ShopExample, make_examples

# A column TABLE_id is a foreign key to TABLE, so that the joins follow from the names.
TABLES = """
CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE supplier (id INTEGER PRIMARY KEY, name TEXT, country TEXT, rating INTEGER);
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, category_id INTEGER REFERENCES category(id),
  supplier_id INTEGER REFERENCES supplier(id), color TEXT, price REAL, weight INTEGER);
CREATE TABLE warehouse (id INTEGER PRIMARY KEY, city TEXT, country TEXT, capacity INTEGER);
CREATE TABLE stock (product_id INTEGER REFERENCES product(id), warehouse_id INTEGER REFERENCES warehouse(id),
  quantity INTEGER, PRIMARY KEY (product_id, warehouse_id));
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT, country TEXT, age INTEGER, joined TEXT);
CREATE TABLE employee (id INTEGER PRIMARY KEY, name TEXT, job TEXT, city TEXT, salary INTEGER);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer(id),
  employee_id INTEGER REFERENCES employee(id), day TEXT, status TEXT, amount REAL);
CREATE TABLE item (purchase_id INTEGER REFERENCES purchase(id), product_id INTEGER REFERENCES product(id),
  quantity INTEGER, PRIMARY KEY (purchase_id, product_id));
CREATE TABLE payment (id INTEGER PRIMARY KEY, purchase_id INTEGER REFERENCES purchase(id), method TEXT, amount REAL);
CREATE TABLE shipment (id INTEGER PRIMARY KEY, purchase_id INTEGER REFERENCES purchase(id), carrier TEXT, cost REAL);
CREATE TABLE review (id INTEGER PRIMARY KEY, product_id INTEGER REFERENCES product(id),
  customer_id INTEGER REFERENCES customer(id), stars INTEGER);
"""

_CITIES = {
    "Lima": "Peru", "Cusco": "Peru", "Paris": "France", "Lyon": "France", "Berlin": "Germany", "Munich": "Germany",
    "Madrid": "Spain", "Seville": "Spain", "Rome": "Italy", "Milan": "Italy", "Tokyo": "Japan", "Osaka": "Japan",
    "Boston": "United States", "Chicago": "United States", "London": "United Kingdom", "Leeds": "United Kingdom",
}  # fmt: skip
_FIRST = "Ana Ben Clara David Elena Felix Grace Hugo Ines Jonas Kara Luis Maria Noah Olga Pedro Rosa Simon Tara Victor"
_LAST = "Adams Blanco Costa Diaz Evans Fischer Garcia Huang Ito Jensen Klein Lopez Meyer Novak Okafor Quispe Rossi Sato"
_KINDS = {
    "Books": "Novel Atlas Cookbook Diary Comic", "Toys": "Puzzle Robot Kite Doll Train",
    "Garden": "Shovel Rake Hose Planter Bench", "Kitchen": "Kettle Pan Mug Whisk Bowl",
    "Sports": "Racket Ball Helmet Rope Skates", "Music": "Guitar Flute Drum Violin Piano",
    "Clothing": "Jacket Scarf Shirt Hat Socks", "Electronics": "Lamp Camera Radio Speaker Clock",
}  # fmt: skip
_STYLES = "Classic Modern Compact Royal Alpine Urban"
_COLORS = ("red", "blue", "green", "black", "white", "yellow")
_SUPPLIERS = (
    "Andes Trade,Nordwind,Blue River,Casa Verde,Delta Goods,Fuji Supply,Golden Gate,Harbor House,Ironworks,Jade"
)
_JOBS = ("manager", "clerk", "driver", "analyst", "packer")
_STATUSES = ("open", "paid", "sent", "returned", "cancelled")
_METHODS = ("card", "cash", "transfer", "voucher")
_CARRIERS = ("Swift", "Condor", "RedLine", "Parcelo")
_FIRST_DAY = date(2022, 1, 1)


def shop_rows(seed: int) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table; the same seed gives the same rows."""
    draw = Random(f"shop {seed}")
    names = [f"{first} {last}" for first in _FIRST.split() for last in _LAST.split()]
    draw.shuffle(names)
    cities = list(_CITIES)

    def day() -> str:
        return (_FIRST_DAY + timedelta(days=draw.randrange(1095))).isoformat()

    def money(low: float, high: float) -> float:
        return round(draw.uniform(low, high), 2)

    rows: dict[str, list[tuple[Any, ...]]] = {}
    rows["category"] = list(enumerate(_KINDS, 1))
    rows["supplier"] = [
        (number, name, draw.choice(list(_CITIES.values())), draw.randint(1, 5))
        for number, name in enumerate(_SUPPLIERS.split(","), 1)
    ]
    things = [
        (f"{style} {thing}", category)
        for category, kinds in enumerate(_KINDS.values(), 1)
        for thing in kinds.split()
        for style in _STYLES.split()
    ]
    num_suppliers = len(rows["supplier"])
    rows["product"] = [
        # The last supplier has no products, so that "Which suppliers have no products?" has an answer.
        (
            number,
            name,
            category,
            draw.randint(1, num_suppliers - 1),
            draw.choice(_COLORS),
            money(2, 400),
            draw.randint(50, 9000),
        )
        for number, (name, category) in enumerate(sorted(draw.sample(things, 90)), 1)
    ]
    rows["warehouse"] = [
        (number, city, _CITIES[city], draw.randrange(500, 9000, 50))
        for number, city in enumerate(draw.sample(cities, 8), 1)
    ]
    rows["stock"] = [
        (product[0], warehouse, draw.randint(0, 250))
        for product in rows["product"]
        for warehouse in sorted(draw.sample(range(1, 8), draw.randint(1, 3)))  # the last warehouse is empty
    ]
    rows["customer"] = []
    for number in range(1, 151):
        city = draw.choice(cities)
        rows["customer"].append((number, names[number], city, _CITIES[city], draw.randint(18, 80), day()))
    rows["employee"] = [
        (number, names[200 + number], draw.choice(_JOBS), draw.choice(cities), draw.randrange(1500, 7000, 10))
        for number in range(1, 31)
    ]
    rows["purchase"] = [
        (number, draw.randint(1, 130), draw.randint(1, 25), day(), draw.choice(_STATUSES), money(5, 1500))
        for number in range(1, 501)
    ]
    rows["item"] = [
        (purchase[0], product, draw.randint(1, 6))
        for purchase in rows["purchase"]
        for product in sorted(draw.sample(range(1, 81), draw.randint(1, 3)))
    ]
    rows["payment"] = [
        (number, purchase[0], draw.choice(_METHODS), purchase[5])
        for number, purchase in enumerate((row for row in rows["purchase"] if row[4] != "open"), 1)
    ]
    rows["shipment"] = [
        (number, purchase[0], draw.choice(_CARRIERS), money(2, 60))
        for number, purchase in enumerate((row for row in rows["purchase"] if row[4] in ("sent", "returned")), 1)
    ]
    rows["review"] = [
        (number, draw.randint(1, 85), draw.randint(1, 140), draw.randint(1, 5)) for number in range(1, 301)
    ]
    return rows


def write_database(path: Path, seed: int = 1) -> None:
    """Write the shop's SQLite file, atomically."""
    with atomic_file(path) as temporary, closing(sqlite3.connect(temporary)) as connection:
        connection.executescript(TABLES)
        for table, rows in shop_rows(seed).items():
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        connection.commit()


def write_shop(
    directory: Path, *, seed: int = 1, num_train: int = 4000, num_dev: int = 300, chinese: bool = True
) -> dict[str, Any]:
    """Write DIRECTORY/shop/shop.sqlite, train.jsonl and dev.jsonl (question, query, database); returns the counts.

    Existing files of these names are replaced. No query of dev is in train. Up to 40% of dev has query structures that
    are not in train; the rest has wordings that are not in train. `chinese`: some questions are in Chinese.
    """
    database = directory / "shop" / "shop.sqlite"
    write_database(database, seed)
    train, dev = make_examples(database, seed=seed, num_train=num_train, num_dev=num_dev, chinese=chinese)
    _write_examples(directory / "train.jsonl", train)
    _write_examples(directory / "dev.jsonl", dev)
    return {
        "train": len(train),
        "dev": len(dev),
        "dev_unseen_structure": sum(example.unseen == "structure" for example in dev),
        "dev_unseen_wording": sum(example.unseen == "wording" for example in dev),
        "structures": len({example.structure for example in (*train, *dev)}),
        "structures_held_out": len({example.structure for example in dev if example.unseen == "structure"}),
        "chinese": sum(not example.question.isascii() for example in (*train, *dev)),
    }


def _write_examples(path: Path, examples: Sequence[ShopExample]) -> None:
    lines = (json.dumps({**asdict(example), "database": "shop"}, ensure_ascii=False) for example in examples)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
