"""Schemas of servers that are not installed, read from recorded catalogues."""

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")
pytest.importorskip("duckdb", reason="needs the sql extra")

from chaku.sql.engines.known import ENGINES
from chaku.sql.schema.definition import Column, ForeignKey
from recorded_server import recorded_database
from sql.engines.recorded import SERVERS


@pytest.fixture(params=SERVERS)
def database(request, monkeypatch):
    url, catalogue, values = SERVERS[request.param]
    with recorded_database(monkeypatch, url, catalogue(), values) as database:
        yield database


def test_tables_columns_comments_and_keys_are_read(database):
    engine = database.engine
    fold = engine.folded
    tables = {table.name: table for table in database.schema.tables}
    web = fold("visits") if engine.dialect == "bigquery" else f"{fold('web')}.{fold('visits')}"
    assert list(tables) == [fold("customers"), fold("orders"), web]
    customers, orders, visits = tables.values()
    has_keys = bool(engine.catalogue.keys)
    types = [column.type.upper() for column in orders.columns]
    assert types == ["INT", "INT", "DATE"]
    first, name = customers.columns
    assert first == Column(fold("id"), first.type, primary_key=has_keys, not_null=True)
    assert (name.name, name.comment, name.not_null) == (fold("name"), "first and last", True)
    assert customers.comment == ("" if engine.dialect == "trino" else "who buy")
    assert [table.hides_rows for table in tables.values()] == [False, engine.dialect == "tsql", False]
    key = ForeignKey((fold("customer_id"),), fold("customers"), (fold("id"),))
    assert [table.foreign_keys for table in (customers, orders, visits)] == [(), *[(key,) * has_keys] * 2]


def test_a_query_reaches_tables_by_the_search_path_and_by_their_schema(database):
    if database.engine.dialect == "bigquery":
        pytest.skip("a dataset has no schemas")
    child = database._child
    child.connection.execute("CREATE TABLE customers (id INTEGER, name VARCHAR)")
    child.connection.execute("CREATE SCHEMA web")
    child.connection.execute("CREATE TABLE web.visits (customer_id INTEGER)")
    child.connection.execute("INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo')")
    child.connection.execute("INSERT INTO web.visits VALUES (2), (2)")
    result = database.run("SELECT name, count(*) FROM customers JOIN web.visits ON customer_id = id GROUP BY name")
    assert result.rows == [("Bo", 2)], result.reason
    for sql, reason in {
        "SELECT name FROM clients": "there is no table",
        "SELECT surname FROM customers": "has a column",
        "SELECT name FROM other.web.customers": "is named with its database",
    }.items():
        asked = len(child.asked)
        assert reason in database.run(sql).reason
        assert len(child.asked) == asked  # refused before it is sent


def test_values_are_sampled_with_the_engines_own_limit(database):
    from chaku.sql.schema.introspect import with_values

    child = database._child
    child.connection.execute("CREATE TABLE customers (id INTEGER, name VARCHAR)")
    child.connection.execute("INSERT INTO customers VALUES (1, 'Ada'), (2, 'Bo')")
    table = database.schema.tables[0]
    assert [column.values for column in with_values(database, table).columns] == [("1", "2"), ("'Ada'", "'Bo'")]
    limit = {"tsql": "TOP (200)", "oracle": "FETCH FIRST 200 ROWS ONLY"}.get(database.dialect, "LIMIT 200")
    assert limit in child.asked[-1]
    assert database.is_unique(table, table.columns[0].name)
    child.connection.execute("INSERT INTO customers VALUES (1, 'Cy')")
    assert not database.is_unique(table, table.columns[0].name)


def test_a_driver_that_is_missing_is_named_with_its_extra(monkeypatch):
    from chaku.errors import ChakuError
    from chaku.sql.engines import engine as module
    from chaku.sql.execute.database import Database

    for dialect, (url, *_) in SERVERS.items():
        engine = ENGINES[dialect]
        monkeypatch.setattr(module, "_is_installed", lambda name: name == "sqlalchemy")
        with pytest.raises(
            ChakuError, match=rf"{engine.title} databases need .*: pip install 'chaku\[{engine.extra}\]'"
        ):
            Database(url)
