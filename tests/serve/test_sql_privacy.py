"""What the operator's --no-values, --log-sent and --min-confidence do for the clients of a server."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

pytest.importorskip("starlette", reason="without chaku[serve] the server is NOT tested")
from starlette.testclient import TestClient

from chaku.cli.shared.sql_serving import serving_options
from chaku.serve import sql
from chaku.serve.app import build_app
from chaku.serve.database_settings import Asking
from chaku.serve.models import Served
from chaku.serve.service import Service
from shop_database import make_shop

CELLS = ("Ada", "France", "United Kingdom", "Lamp", "Books", "2023-02-02", "12.5", "中国")


def test_the_model_and_the_schema_for_clients_have_no_values(engine, script, tmp_path, homes):
    log = tmp_path / "sent.jsonl"
    shop = make_shop(tmp_path / "shop.sqlite")
    databases = script.databases(shop, send_values=False, log_sent=log, remember=True)
    script.reply = "SELECT name FROM customers WHERE country = 'UK' ORDER BY id"
    app = build_app(Served(Service(engine), "tiny"), more=[sql.contract(databases)])
    with TestClient(app) as client:
        pair = {"question": "Who are our customers called Ada?", "sql": "SELECT id FROM customers WHERE name = 'Ada'"}
        assert client.post("/v1/sql/remember", json=pair).json() == {"remembered": True}
        answer = client.post("/v1/sql/ask", json={"question": "Who are our UK customers?"}).json()
        schema = client.get("/v1/sql/databases/shop/schema").json()
    assert answer["rows"] == [["Ada"], ["Cy"]]
    assert {value for table in schema["tables"] for column in table["columns"] for value in column["values"]} == set()
    sent = [json.loads(line)["prompt"] for line in log.read_text().splitlines()]
    assert sent == script.asked
    assert len(sent) == 2
    assert [cell for cell in CELLS if cell in "".join(sent)] == []


def test_an_answer_without_enough_votes_is_refused(engine, script, tmp_path, homes):
    replies = ["SELECT 1", "SELECT 2"]
    script.engine.write = lambda request: replies.pop()
    databases = script.databases(make_shop(tmp_path / "shop.sqlite"), min_confidence=0.75)
    with TestClient(build_app(Served(Service(engine), "tiny"), more=[sql.contract(databases)])) as client:
        refused = client.post("/v1/sql/ask", json={"question": "How many?"}).json()
    assert refused["event"] == "refused"
    assert "only 50% of the samples agree" in refused["reason"]


def test_the_options_reach_the_databases(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @click.command()
    @serving_options()
    def show(asking):
        print(asking)

    given = ["--no-values", "--no-cache", "--log-sent", "sent.jsonl", "--min-confidence", "0.5", "--samples", "3"]
    said = CliRunner().invoke(show, [*given, "--glossary", "shop=words.toml"]).output
    assert said.strip() == str(
        Asking(
            num_samples=3, cache=False, send_values=False, log_sent=Path("sent.jsonl"), min_confidence=0.5,
            glossaries={"shop": Path("words.toml")},
        )
    )  # fmt: skip
    assert CliRunner().invoke(show, []).output.strip() == str(Asking())

    raised = CliRunner().invoke(show, ["--log-sent", "/"]).exception
    assert str(raised).startswith("cannot log what is sent to /")  # before a model is loaded
