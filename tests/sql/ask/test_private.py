"""A column that the glossary calls private: no prompt, no cache, no answer and no file has its cells."""

import json

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.cli import main
from chaku.sql.ask.memory import Memory
from chaku.sql.execute.database import Database
from chaku.sql.glossary.check import check_glossary
from chaku.sql.glossary.file import load_glossary
from chaku.sql.schema.knowledge import Knowledge
from endpoint_server import running_server
from private_shop import SECRETS, make_private_shop
from shop_database import make_shop


@pytest.fixture
def ask(tmp_path, monkeypatch, capsys):
    """ask(verb, reply, *arguments) -> (status, what was printed, what was sent)."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    database = str(make_private_shop(tmp_path))

    def one(verb, reply, *arguments):
        with running_server() as server:
            server.answer = lambda request: {"choices": [{"message": {"content": reply}}]}
            to_server = ["--endpoint", server.url, "--samples", "1", "--memory", str(tmp_path / "memory.jsonl")]
            status = main(["sql", verb, "--db", database, *to_server, *arguments])
            printed = capsys.readouterr()
            return status, printed.out + printed.err, [json.dumps(request) for request in server.requests]

    return one


def secrets_in(text):
    return [secret for secret in SECRETS if secret in text]


def test_a_question_sees_and_keeps_nothing_of_a_private_column(ask, tmp_path):
    Memory(tmp_path / "memory.jsonl").remember("Which customers are MARK-Ada?", "SELECT phone FROM customers", "shop")
    status, printed, sent = ask("ask", "SELECT name FROM customers ORDER BY id", "Which customers are MARK-Ada by now?")
    assert status == 0
    assert "Ada" in printed
    assert "country TEXT" in "".join(sent)
    assert secrets_in("".join(sent).replace("Which customers are MARK-Ada by now?", "")) == []
    [cache] = (tmp_path / "cache").rglob("*.json")
    assert "France" in cache.read_text()
    assert secrets_in(cache.read_text()) == []


@pytest.mark.parametrize(
    "query", ["SELECT phone FROM customers", "SELECT * FROM customers", "SELECT rowid, * FROM customers"]
)
def test_a_models_query_for_it_is_refused_with_the_reason_and_no_file_is_written(ask, tmp_path, query):
    status, printed, sent = ask("ask", query, "Which phones?", "--xlsx", str(tmp_path / "rows.xlsx"))
    assert status == 2
    assert "private" in printed
    assert not (tmp_path / "rows.xlsx").exists()
    assert "MARK" not in printed + "".join(sent)


def test_a_query_of_ones_own_in_the_chat_is_refused_too(ask, monkeypatch, tmp_path):
    lines = iter(["/sql SELECT phone FROM customers", "/sql SELECT name FROM customers WHERE phone LIKE 'M%'", "/quit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    status, printed, _ = ask("chat", "SELECT 1")
    assert status == 0
    assert printed.count("customers.phone is private (in the glossary)") == 2
    assert "MARK" not in printed


def test_it_cannot_be_remembered(tmp_path, monkeypatch, capsys):
    database = make_private_shop(tmp_path)
    arguments = ["--db", str(database), "--memory", str(tmp_path / "memory.jsonl")]
    assert main(["sql", "remember", "Phones?", "SELECT phone FROM customers", *arguments]) == 2
    assert "not remembered" in capsys.readouterr().err
    assert main(["sql", "remember", "Names?", "SELECT name FROM customers", *arguments]) == 0


def test_values_that_were_cached_before_the_mark_are_gone_after_it(tmp_path):
    path, cache = make_private_shop(tmp_path), tmp_path / "cache.json"
    with Database(str(path)) as database:
        Knowledge(database, cache=cache)
        assert "MARK" in cache.read_text()
        private = load_glossary(tmp_path / "shop.glossary.toml").private
        known = Knowledge(database, cache=cache, private=private)
    assert "MARK" not in cache.read_text()
    assert [match.value for match in known.values.find("Who has MARK-Ada?")] == ["Ada"]  # a name, and no phone
    assert "MARK" not in str(known.schema)


def test_duckdb_reads_no_private_cell(tmp_path):
    duckdb = pytest.importorskip("duckdb", reason="needs the sql extra")
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE customers AS SELECT 'Ada' AS name, 'MARK-Ada' AS phone")
    private = frozenset({("customers", "phone")})
    with Database(str(path)) as database:
        known = Knowledge(database, cache=tmp_path / "cache.json", private=private)
        refused = database.run("SELECT c FROM customers c", schema=known.schema)
        assert database.run("SELECT name FROM customers", schema=known.schema).rows == [("Ada",)]
    assert (refused.ok, "MARK" in refused.reason) == (False, False)
    assert "'Ada'" in str(known.schema)
    assert "MARK" not in str(known.schema) + (tmp_path / "cache.json").read_text()


def test_what_a_glossary_says_about_its_private_columns_is_a_mistake_where_it_would_use_them(tmp_path):
    glossary = tmp_path / "other.toml"
    glossary.write_text("""
joins = ["orders.customer_id = customers.name"]
[tables.customers]
label = "name"
[tables.customers.columns.name]
private = true
values = {Ada = ["ada"]}
[metrics.names]
expression = "count(DISTINCT name)"
table = "customers"
""")
    with Database(str(make_shop(tmp_path / "shop.sqlite"))) as database:
        words = load_glossary(glossary)
        mistakes = check_glossary(words, Knowledge(database, private=words.private).schema)
    assert mistakes == [
        "tables.customers.label: customers.name is private, so no query may read it",
        "tables.customers.columns.name: a private column can have no values here",
        "joins: 'orders.customer_id = customers.name': a private column joins nothing",
        "metrics.names: customers.name is private, so no query may read it",
    ]
