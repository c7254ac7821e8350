"""Conversations over HTTP and MCP: ids, limits, questions back, and what a client cannot see."""

import asyncio
import json
from contextlib import contextmanager

import pytest

pytest.importorskip("starlette", reason="without chaku[serve] the server is NOT tested")
from starlette.testclient import TestClient

from chaku.serve import sql
from chaku.serve.app import build_app
from chaku.serve.fields import Refusal
from chaku.serve.models import Served
from chaku.serve.service import Service
from chaku.serve.sql_sessions import IDLE_SECONDS, KEPT_ROWS, MAX_SESSIONS, NEW, Sessions
from shop_database import make_shop

MORE = "INSERT INTO customers VALUES (5, 'France', 'Peru', '2023-01-01');"
WORDS = '[metrics.buyers]\nexpression = "count(*)"\ntable = "customers"\n'


@pytest.fixture
def shop(tmp_path, homes):
    path = make_shop(tmp_path / "shop.sqlite", MORE)
    path.with_suffix(".glossary.toml").write_text(WORDS)
    return path


@contextmanager
def client_of(engine, databases):
    app = build_app(Served(Service(engine), "tiny"), more=[sql.contract(databases)])
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(engine, script, shop):
    with client_of(engine, script.databases(shop)) as client:
        yield client


def ask(client, question, session=NEW, **fields):
    return client.post("/v1/sql/ask", json={"question": question, "session": session, **fields})


def back(client, session):
    return client.post("/v1/sql/back", json={"session": session})


def test_a_follow_up_in_a_session_and_back(client, script):
    first = ask(client, "buyers by country").json()
    assert len(first["session"]) >= 20
    answer = ask(client, "only France", first["session"]).json()
    assert (answer["rows"], answer["session"]) == ([["France", 1]], first["session"])
    assert answer["question"] == "buyers by country, only France"
    assert answer["assumed"][-1] == 'taken as a follow-up to "buyers by country"'
    assert back(client, first["session"]).json() == {"question": "buyers by country"}
    assert back(client, first["session"]).json() == {"question": ""}
    assert script.asked == []
    other = ask(client, "only the UK").json()  # another session knows nothing of it
    assert (other["event"], other["question"]) == ("answer", "only the UK")
    assert len(script.asked) == 2


def test_without_a_session_a_question_stands_alone(client):
    for _ in range(2):
        answer = client.post("/v1/sql/ask", json={"question": "buyers by country"}).json()
        assert answer["session"] == ""
        alone = client.post("/v1/sql/ask", json={"question": "who is called France?"}).json()
        assert alone["event"] == "answer"  # and no question back, which nobody could answer


def test_an_unclear_question_is_an_event_with_choices(client, script):
    with client.stream(
        "POST", "/v1/sql/ask", json={"question": "who is France?", "session": NEW, "stream": True}
    ) as got:
        [clarify] = [json.loads(line) for line in got.iter_lines()]
    choices = ["customers.country = 'France'", "customers.name = 'France'"]
    assert clarify == {
        "event": "clarify",
        "question": f"Do you mean {choices[0]} or {choices[1]}?",
        "choices": choices,
        "session": clarify["session"],
    }
    assert script.asked == []
    wrong = ask(client, "3", clarify["session"])
    assert (wrong.status_code, wrong.json()["event"]) == (400, "error")
    script.reply = "SELECT id FROM customers WHERE name = 'France'"
    assert ask(client, "2", clarify["session"]).json()["rows"] == [[5]]


@pytest.mark.parametrize("session", ["guess", "x" * 10_000, "__class__"])
def test_an_id_that_the_server_did_not_make_is_refused(client, session):
    for response in (ask(client, "buyers", session), back(client, session)):
        assert response.status_code == 404
        assert "there is no such session, or it has ended" in response.json()["message"]
    assert ask(client, "buyers", 7).status_code == 400


def test_a_session_belongs_to_one_database(engine, script, shop, tmp_path):
    databases = script.databases(shop, f"other={make_shop(tmp_path / 'other.sqlite')}")
    with client_of(engine, databases) as client:
        session = ask(client, "buyers", database="shop").json()["session"]
        assert ask(client, "buyers", session, database="other").status_code == 404


def test_sessions_are_few_and_end():
    now = [0.0]
    sessions = Sessions(clock=lambda: now[0])
    ids = [sessions.find(NEW).id for _ in range(MAX_SESSIONS)]
    assert len(set(ids)) == MAX_SESSIONS
    sessions.find(ids[0])
    last = sessions.find(NEW).id  # takes the place of the second, which was not used for the longest time
    assert sessions.find(ids[0]).id == ids[0]
    with pytest.raises(Refusal, match="has ended"):
        sessions.find(ids[1])
    now[0] = IDLE_SECONDS - 1
    sessions.find(last)
    now[0] = IDLE_SECONDS + 1
    with pytest.raises(Refusal):
        sessions.find(ids[0])
    assert sessions.find(last).id == last


def test_a_session_keeps_few_rows(engine, script, shop):
    numbers = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 500) SELECT x FROM n"
    script.reply = numbers
    databases = script.databases(shop)
    with client_of(engine, databases) as client:
        answer = ask(client, "Which numbers?").json()
        assert answer["num_rows"] == 500
        [held] = databases.find("shop")._sessions._held.values()
        [turn] = held.session.turns
        assert (len(turn.answer.result.rows), turn.written) == (KEPT_ROWS, numbers)


def test_without_values_no_cell_of_earlier_turns_is_sent(engine, script, shop):
    script.reply = "SELECT name FROM customers WHERE country = 'UK' ORDER BY id"
    with client_of(engine, script.databases(shop, send_values=False)) as client:
        session = ask(client, "Who are our UK customers?").json()["session"]
        assert ask(client, "and how many are they?", session).json()["rows"] == [["Ada"], ["Cy"]]
    assert "was: SELECT name FROM customers WHERE country = 'UK' ORDER BY id;" in script.asked[-1]
    assert [cell for cell in ("Ada", "Cy", "United Kingdom") if cell in "".join(script.asked)] == []


def test_over_mcp(script, shop):
    pytest.importorskip("mcp", reason="without chaku[mcp] the MCP server is NOT tested")
    from mcp import Client

    from chaku.serve.mcp_server import build_server

    async def conversation():
        databases = script.databases(shop)
        try:
            async with Client(build_server(databases)) as client:
                first = await client.call_tool("ask", {"question": "buyers by country", "session": NEW})
                session = first.structured_content["session"]
                asked = {"question": "only France", "session": session}
                second = await client.call_tool("ask", asked)
                unclear = await client.call_tool("ask", {"question": "who is France?", "session": session})
                return second.structured_content, unclear
        finally:
            await databases.close()

    followed, unclear = asyncio.run(conversation())
    assert followed["rows"] == [["France", 1]]
    assert unclear.is_error
    text = unclear.content[0].text
    assert (
        "1. customers.country = 'France'; 2. customers.name = 'France'. Ask the number of the choice (session " in text
    )
