"""A small database for tests of asking."""

import sqlite3
from pathlib import Path

TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, country TEXT, joined DATE);
CREATE TABLE products (id INTEGER PRIMARY KEY, title TEXT, category TEXT, price REAL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), placed DATE);
CREATE TABLE order_items (order_id INTEGER REFERENCES orders (id), product_id INTEGER REFERENCES products,
    quantity INTEGER);
INSERT INTO customers VALUES (1, 'Ada', 'United Kingdom', '2020-01-01'), (2, 'Bo', 'France', '2021-01-01'),
    (3, '王芳', '中国', '2022-01-01'), (4, 'Cy', 'United Kingdom', NULL);
INSERT INTO products VALUES (1, 'Lamp', 'Home & Garden', 12.5), (2, 'Novel', 'Books', 7);
INSERT INTO orders VALUES (1, 1, '2023-01-01'), (2, 1, '2023-02-01'), (3, 2, '2023-02-02');
INSERT INTO order_items VALUES (1, 1, 2), (2, 2, 1), (3, 2, 5);
"""


def make_shop(path: Path, more: str = "") -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(TABLES + more)
    connection.close()
    return path
