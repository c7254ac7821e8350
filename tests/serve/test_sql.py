"""Questions over HTTP: the events, the limits, and what a hostile client gets."""

import asyncio
import json
import re
import sqlite3
import threading
import time
from contextlib import contextmanager

import httpx
import pytest

pytest.importorskip("starlette", reason="without chaku[serve] the server is NOT tested")
from concurrent.futures import CancelledError, ThreadPoolExecutor

from starlette.testclient import TestClient

from chaku import ChakuError
from chaku.inference.engine import Engine
from chaku.inference.generator import Request, SamplingParams, TextPrompt
from chaku.serve import sql
from chaku.serve.app import build_app
from chaku.serve.databases import Databases, from_service, open_databases
from chaku.serve.generator import ServiceGenerator
from chaku.serve.models import Served
from chaku.serve.service import Service
from chaku.tokens.templates import BUILTIN
from shop_database import make_shop

ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
CELLS = "CREATE TABLE cells (day DATE, raw BLOB, big INTEGER, real REAL); INSERT INTO cells VALUES "


@pytest.fixture
def shop(tmp_path, homes):
    return make_shop(tmp_path / "shop.sqlite", CELLS + "('2024-02-29', x'00ff', 9007199254740993, 1e999);")


@contextmanager
def client_of(engine, databases):
    app = build_app(Served(Service(engine), "tiny"), more=[sql.contract(databases)])
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(engine, script, shop):
    with client_of(engine, script.databases(shop, max_waiting=1)) as client:
        yield client


def ask(client, question="How many orders are there?", **fields):
    return client.post("/v1/sql/ask", json={"database": "shop", "question": question, **fields})


def run(client, query, **fields):
    return client.post("/v1/sql/run", json={"database": "shop", "sql": query, **fields})


def events(response):
    return [json.loads(line) for line in response.iter_lines()]


def test_databases_and_their_schemas_are_listed(client):
    tables = ["customers", "products", "orders", "order_items", "cells"]
    assert client.get("/v1/sql/databases").json() == {"databases": [{"name": "shop", "tables": tables}]}
    schema = client.get("/v1/sql/databases/shop/schema").json()
    assert (schema["database"], schema["dialect"]) == ("shop", "sqlite")
    orders = schema["tables"][2]
    assert orders["foreign_keys"] == [{"columns": ["customer_id"], "table": "customers", "references": ["id"]}]
    assert orders["columns"][0] | {"values": []} == {
        "name": "id", "type": "INTEGER", "comment": "", "primary_key": True, "not_null": False, "values": []
    }  # fmt: skip


def test_a_question_is_answered_step_by_step(client, script):
    script.reply = "SELECT name FROM customers WHERE country = 'United Kingdom' ORDER BY name"
    response = ask(client, "Who are our UK customers?", stream=True, samples=3)
    assert response.headers["content-type"] == "application/x-ndjson"
    linked, *written, ran, answer = events(response)
    assert linked["event"] == "linked"
    assert "customers" in linked["tables"]
    assert written == [{"event": "written", "queries": [script.reply], "samples": number} for number in (1, 2, 3)]
    assert ran.pop("seconds") >= 0
    about = {"event": "ran", "sql": script.reply, "votes": 3, "status": "ok", "reason": "", "num_rows": 2}
    assert ran == about
    assert answer["event"] == "answer"
    assert answer["sql"] == script.reply
    assert (answer["columns"], answer["rows"], answer["num_rows"]) == (["name"], [["Ada"], ["Cy"]], 2)
    assert (answer["votes"], answer["samples"], answer["confidence"], answer["truncated"]) == (3, 3, 1.0, False)
    assert answer["assumed"] == ["\"uk\" is taken as customers.country = 'United Kingdom'"]
    assert answer["explanation"][0] == "Read customers"
    assert answer["seconds"] > 0
    assert answer["sentence"] == "2 rows were found (name): Ada, Cy (where country = 'United Kingdom')."
    assert answer["chart"] is None
    whole = ask(client, "Who are our UK customers?", samples=3).json()
    assert whole | {"seconds": 0} == answer | {"seconds": 0}


def test_rows_that_make_a_chart_come_with_it(client, script):
    script.reply = "SELECT title, price FROM products ORDER BY price"
    chart = ask(client, "What do the products cost?").json()["chart"]
    assert chart["data"]["values"] == [{"label": "Novel", "value": 7}, {"label": "Lamp", "value": 12.5}]
    assert chart["mark"] == "bar"


def test_a_question_without_an_answer_is_refused_with_the_reason(client, script):
    script.reply = "NO ANSWER: customers have no age"
    refused = ask(client, "How old are customers?")
    assert refused.status_code == 200
    assert refused.json() == {
        "event": "refused",
        "question": "How old are customers?",
        "reason": "the model says: NO ANSWER: customers have no age",
        "session": "",
    }
    script.reply = "SELECT age FROM customers"
    *_, ran, last = events(ask(client, stream=True))
    assert ran["status"] == "failed"
    assert last["event"] == "refused"
    assert "no column age" in last["reason"] or "has a column age" in last["reason"]


def test_cells_are_json_values_that_lose_nothing(client):
    record = run(client, "SELECT day, raw, big, real, NULL AS none, 1.5 AS half FROM cells").json()
    assert record["columns"] == ["day", "raw", "big", "real", "none", "half"]
    assert record["rows"] == [["2024-02-29", {"base64": "AP8="}, "9007199254740993", "inf", None, 1.5]]


def test_an_answer_has_at_most_so_many_rows_and_bytes(engine, script, shop):
    numbers = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 5000) SELECT "
    with client_of(engine, script.databases(shop, max_rows=100, max_bytes=2_000)) as client:
        record = run(client, f"{numbers} x FROM n").json()
        assert (record["num_rows"], record["truncated"]) == (100, True)
        response = run(client, f"{numbers} 'a long text in each row: ' || x FROM n")
        assert response.json()["truncated"]
        assert len(response.content) < 4_000
        script.reply = "SELECT p.title FROM products p, " + ", ".join(f"products {name}" for name in "qrstuv")
        answer = ask(client, "Which products?").json()
        assert (answer["num_rows"], answer["truncated"]) == (100, True)
        assert "the result is cut after 100 rows" in answer["assumed"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("DELETE FROM orders", "only one SELECT runs"),
        ("DROP TABLE orders", "only one SELECT runs"),
        ("INSERT INTO orders VALUES (9, 1, '2020-01-01')", "only one SELECT runs"),
        ("WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone", "there is no table gone"),
        ("ATTACH DATABASE '/tmp/other.sqlite' AS other", "only one SELECT runs"),
        ("PRAGMA user_version = 7", "only one SELECT runs"),
        ("SELECT * FROM pragma_table_info('orders')", "not allowed"),
        ("SELECT * FROM sqlite_master", "there is no table sqlite_master"),
        ("SELECT 1; DELETE FROM orders", "only one statement runs"),
        ("SELECT load_extension('/tmp/x.so')", "load_extension"),
        ("SELECT nothing FROM orders", "no table of this query has a column nothing"),
        ("SELECT " + "(" * 5_000 + "1", "cannot be parsed"),
        ("   ", "sql is empty"),
        ("SELECT '" + "x" * 50_000 + "'", "sql has 50,009 characters; it may have 10,000"),
        (["SELECT 1"], "sql must be a string"),
        (None, "sql is missing"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_query_that_may_not_run_is_refused_and_changes_nothing(client, shop, query, why):
    before = shop.read_bytes()
    response = run(client, query)
    assert (response.status_code, response.json()["event"]) == (400, "error")
    assert why in response.json()["message"]
    assert shop.read_bytes() == before
    assert run(client, "SELECT count(*) FROM orders").json()["rows"] == [[3]]


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ({"question": "x" * 50_000}, 400, "question has 50,000 characters; it may have 4,000"),
        ({"question": ""}, 400, "question is empty"),
        ({"question": 7}, 400, "question must be a string"),
        ({"database": "../etc/passwd"}, 404, "there is no database '../etc/passwd'; give shop"),
        ({"database": {"url": "sqlite:////etc/passwd"}}, 400, "database must be a string"),
        ({"question": "how " * 999}, 400, "the question fills all"),
        ({"samples": 1_000}, 400, "samples must be from 1 to 32"),
        ({"stream": "yes"}, 400, "stream must be true or false"),
    ],
)
def test_a_wrong_question_is_refused(client, script, fields, status, why):
    response = ask(client, **{"question": "How many?", **fields})
    message = response.json()["message"]
    assert (response.status_code, response.json()) == (status, {"event": "error", "message": message})
    assert why in message
    assert script.asked == []


def test_a_page_of_another_site_cannot_ask(client):
    body = json.dumps({"database": "shop", "sql": "SELECT 1"})
    assert client.post("/v1/sql/run", content=body, headers={"Content-Type": "text/plain"}).status_code == 415


def test_a_database_that_is_gone_is_said_until_it_is_back(client, shop):
    assert ask(client).status_code == 200
    away = shop.with_name("away")
    shop.rename(away)
    for response in (ask(client), run(client, "SELECT 1"), client.get("/v1/sql/databases/shop/schema")):
        assert response.status_code == 503
        assert "the database shop cannot be read now" in response.json()["message"]
    [listed] = client.get("/v1/sql/databases").json()["databases"]
    assert listed["tables"] == []
    assert "cannot be read now" in listed["error"]
    away.rename(shop)
    assert ask(client).json()["rows"] == [[3]]


def test_a_change_of_the_schema_is_seen_by_the_next_request(client, shop):
    assert run(client, "SELECT * FROM news").status_code == 400
    with sqlite3.connect(shop) as connection:
        connection.execute("CREATE TABLE news (id INTEGER)")
    connection.close()
    assert run(client, "SELECT * FROM news").json()["columns"] == ["id"]


def test_only_the_operator_lets_clients_remember(engine, script, shop, client):
    pair = {"database": "shop", "question": "How many customers are there?", "sql": "SELECT count(*) FROM customers"}
    assert client.post("/v1/sql/remember", json=pair).status_code == 403
    with client_of(engine, script.databases(shop, remember=True)) as open_client:
        assert open_client.post("/v1/sql/remember", json=pair).json() == {"remembered": True}
        wrong = open_client.post("/v1/sql/remember", json={**pair, "sql": "DROP TABLE customers"})
        assert wrong.status_code == 400
        ask(open_client, "How many customers are there today?")
    assert "like How many customers are there?: SELECT count(*) FROM customers;" in script.asked[-1]


def test_requests_past_the_queue_are_told_to_come_again(roomy_engine, script, shop):
    databases = script.databases(shop, max_waiting=1)
    with client_of(roomy_engine, databases) as client, ThreadPoolExecutor(2) as pool:
        script.go.clear()
        try:
            first = pool.submit(ask, client)
            assert script.begun.wait(60)
            second = pool.submit(ask, client)
            until(lambda: databases.find("shop").num_waiting == 1)
            refused = ask(client)
            assert client.get("/v1/sql/databases/shop/schema").status_code == 200  # as it was last read
        finally:
            script.go.set()
        assert [first.result().status_code, second.result().status_code] == [200, 200]
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")


def until(true):
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < 60
        time.sleep(0.01)


def test_a_client_that_goes_away_ends_its_query(engine, script, shop, served_at):
    databases = script.databases(shop, timeout=60)
    with served_at(build_app(Served(Service(engine), "tiny"), more=[sql.contract(databases)])) as url:
        body = {"database": "shop", "sql": ENDLESS}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/sql/run", json=body, timeout=2)
        script.reply, started = ENDLESS, time.monotonic()
        question = {"database": "shop", "question": "How many numbers?", "stream": True}
        with httpx.stream("POST", f"{url}/v1/sql/ask", json=question, timeout=30) as response:
            lines = response.iter_lines()
            while json.loads(next(lines))["event"] != "written":
                pass
        found = httpx.post(f"{url}/v1/sql/run", json={"database": "shop", "sql": "SELECT 1"}, timeout=30)
        assert found.json()["rows"] == [[1]]
        assert time.monotonic() - started < 30


def test_questions_share_the_service_with_other_requests(roomy_engine, shop):
    service = Service(roomy_engine)
    databases = Databases(open_databases([f"db={shop}"]), from_service(service, shop))
    with TestClient(build_app(Served(service, "tiny"), more=[sql.contract(databases)])) as client:
        last = client.post("/v1/sql/ask", json={"question": "How many orders?", "samples": 3}).json()
    assert last["event"] in ("answer", "refused")  # of a model that learnt nothing
    assert service.totals.requests >= 3
    assert service.totals.cached_tokens > 0


@pytest.mark.parametrize(
    ("path", "prompt"),
    [
        ("/v1/completions", {"prompt": "-- all orders\n"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "all orders"}]}),
    ],
)
def test_a_text_may_have_to_be_a_query_of_a_database(roomy_engine, script, shop, path, prompt):
    engine = Engine(roomy_engine.model, roomy_engine.tokenizer.with_chat_template(BUILTIN["llama2"].text))
    databases = script.databases(shop)
    served = Served(Service(engine), "tiny", databases=databases)
    form = {"response_format": {"type": "sql", "database": "shop"}, "max_tokens": 40, "temperature": 0}
    with TestClient(build_app(served, more=[sql.contract(databases)])) as client:
        [choice] = client.post(path, json=prompt | form).json()["choices"]
        text = choice.get("text") or choice["message"]["content"]
        assert re.match(r"\s*(SELECT|WITH)\b", text, re.IGNORECASE), text
        other = form | {"response_format": {"type": "sql", "database": "other"}}
        assert client.post(path, json=prompt | other).status_code == 404
        assert client.post(path, json=prompt | form | {"grammar": 'start: "x"'}).status_code == 400
    assert script.asked == []  # nothing but the grammar is the database's


def test_a_server_without_databases_refuses_the_form_of_sql(engine):
    with TestClient(build_app(Served(Service(engine), "tiny"))) as client:
        answer = client.post("/v1/completions", json={"prompt": "x", "response_format": {"type": "sql"}})
    assert answer.status_code == 400
    assert "this server has no database (--db)" in answer.json()["error"]["message"]


def in_service(engine, work):
    """Run `work(generator, service)` in a thread beside the service's event loop."""

    async def main():
        service = Service(engine)
        try:
            return await asyncio.to_thread(work, ServiceGenerator(service, asyncio.get_running_loop()), service)
        finally:
            await service.stop(5)

    return asyncio.run(main())


def test_a_service_writes_for_a_thread_what_the_engine_writes(engine):
    requests = [Request(TextPrompt(text), SamplingParams(20, temperature=0.5, seed=3)) for text in ("def", "x")]

    def work(generator, service):
        assert (generator.tokenizer, generator.context) == (engine.tokenizer, engine.context)
        with pytest.raises(ChakuError, match="the model reads at most"):
            generator.answer([Request(TextPrompt("x " * 500), SamplingParams(5))])
        return generator.answer(requests)

    assert in_service(engine, work) == engine.answer(requests)


def test_a_thread_that_waits_for_a_text_can_be_interrupted(engine):
    def work(generator, service):
        def when_it_writes():
            until(lambda: service.num_running)
            generator.interrupt()

        threading.Thread(target=when_it_writes).start()
        with pytest.raises(CancelledError):
            generator.answer([Request(TextPrompt("def"), SamplingParams(250))])
        return service

    assert in_service(engine, work).totals.cancelled == 1


def test_databases_are_named_by_the_operator(tmp_path, shop):
    other = make_shop(tmp_path / "a=b.sqlite")
    assert list(open_databases([str(shop), f"other={other}"])) == ["shop", "other"]
    with pytest.raises(ChakuError, match=r"two databases are called shop; name them: --db NAME="):
        open_databases([str(shop), f"shop={other}"])
    with pytest.raises(ChakuError, match="shop and again are one database"):
        open_databases([str(shop), f"again={shop}"])
    with pytest.raises(ChakuError, match="does not exist"):
        open_databases([f"x={tmp_path}/absent.sqlite"])


def test_a_glossary_beside_the_database_answers_by_rule(client, shop, script):
    words = '[metrics."number of orders"]\nexpression = "count(*)"\ntable = "orders"\n'
    shop.with_suffix(".glossary.toml").write_text(words)
    script.reply = "SELECT 'the model was asked'"
    answer = ask(client, "What is the number of orders?").json()
    assert (answer["rows"], answer["by_rule"], answer["votes"], answer["samples"]) == ([[3]], True, 0, 0)
    assert answer["assumed"] == ["by rule: number of orders = count(*) of orders"]
    assert ask(client, "Who is it?").json()["by_rule"] is False


def test_a_glossary_is_named_for_a_database_that_there_is(shop, script, tmp_path):
    with pytest.raises(ChakuError, match="there is no database shopp; give shop"):
        script.databases(shop, glossaries={"shopp": tmp_path / "words.toml"})
