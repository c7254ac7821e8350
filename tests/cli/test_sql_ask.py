"""`chaku sql ask`, `chat`, `remember`, `export`: a server that writes what the test says, and random weights."""

import io
import json
import re
import sqlite3

import pyarrow.parquet as pq
import pytest
import torch
from rich.cells import cell_len
from rich.console import Console

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.cli import main
from chaku.cli.shared.sql_answers import show, show_chart
from chaku.sql.answer.chart import chart_of
from chaku.sql.ask.answers import Answer
from chaku.sql.execute.runner import Result
from endpoint_server import running_server
from shop_database import TABLES, make_shop
from tiny_embeddings import make_static_embeddings


@pytest.fixture
def server():
    """`reply` is what it writes; `prompts` what it was asked."""
    with running_server() as running:
        running.reply, running.prompts = "SELECT 1", []

        def answer(request):
            running.prompts.append(request["messages"][0]["content"])
            return {"choices": [{"message": {"content": running.reply}}]}

        running.answer = answer
        yield running


def test_a_query_can_be_read_on_a_light_and_on_a_dark_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    show(Answer("?", sql="SELECT name FROM staff", result=Result("ok", "", ("name",), [("Ada",)])))
    query = capsys.readouterr().out.splitlines()[0]
    assert "mSELECT" in query
    assert "\x1b[49mname" in query  # in the terminal's own colour
    assert not re.search(r"\x1b\[(30|37|97|38;)", query)


@pytest.fixture
def database(tmp_path):
    return str(make_shop(tmp_path / "shop.sqlite"))


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def ask(server, database, tmp_path, capsys):
    def one(*arguments, command="ask"):
        memory = ["--memory", str(tmp_path / "memory.jsonl")]
        to_server = ["--endpoint", server.url, "--samples", "2"]
        status = main(["sql", command, "--db", database, *to_server, *memory, *arguments])
        return status, capsys.readouterr()

    return one


def test_one_query_alone_says_nothing_of_confidence(ask, server):
    server.reply = "SELECT count(*) FROM customers"
    assert "confidence not known: only one query was written" in ask("How many customers?", "--samples", "1")[1].out
    status, printed = ask("How many customers?", "--samples", "1", "--min-confidence", "0.5")
    assert status == 2
    assert "--min-confidence asks how many queries agree; give --samples 5" in printed.err


def test_ask_prints_the_sql_the_rows_and_the_assumptions(ask, server):
    server.reply = "```sql\nSELECT name, joined FROM customers WHERE country = 'United Kingdom' ORDER BY id;\n```"
    status, printed = ask("Who are our UK customers?")
    assert status == 0
    lines = printed.out.splitlines()
    assert lines[0] == "SELECT name, joined FROM customers WHERE country = 'United Kingdom' ORDER BY id"
    assert [line.split() for line in lines[1:4]] == [["name", "joined"], ["Ada", "2020-01-01"], ["Cy", "NULL"]]
    assert "2 rows were found (name, joined): Ada (2020-01-01), Cy (NULL) (where country = 'United Kingdom')." in lines
    assert "confidence 100%" in lines
    assert "assumed: \"uk\" is taken as customers.country = 'United Kingdom'" in lines
    assert "Use only the tables and columns given" in server.prompts[0]


def test_ask_as_json_csv_and_explained(ask, server):
    server.reply = "SELECT title, price FROM products ORDER BY price"
    status, printed = ask("What do products cost?", "--json", "--explain")
    record = json.loads(printed.out)
    assert (status, record["rows"], record["confidence"]) == (0, [["Novel", 7.0], ["Lamp", 12.5]], 1.0)
    assert "1. Read products" in printed.err
    assert ask("What do products cost?", "--csv")[1].out == "title,price\nNovel,7.0\nLamp,12.5\n"
    explained = ask("What do products cost?", "--explain")[1].out
    assert "3. Sort by price, the smallest first" in explained
    assert "tables shown to the model: customers, products, orders, order_items" in explained
    assert "2 x SELECT title, price FROM products ORDER BY price -> 2 rows" in explained


def test_ask_in_chinese(ask, server):
    server.reply = "SELECT count(*) FROM customers WHERE country = '中国'"
    _, printed = ask("中国有多少客户？", "--json")
    assert json.loads(printed.out)["rows"] == [[1]]
    assert "中国有多少客户？" in server.prompts[0]


def test_cells_and_sql_cannot_move_the_cursor_of_a_terminal(ask, server):
    server.reply = "SELECT 'x\x1b[2Jy\u202e' AS \"\x1b[31m\" FROM products"
    _, printed = ask("Which products?", "--explain")
    assert "\x1b" not in printed.out
    assert "\u202e" not in printed.out
    assert "x\ufffd[2Jy\ufffd" in printed.out


def test_a_refusal_says_why_and_is_an_error_where_rows_are_wanted(ask, server):
    server.reply = "NO ANSWER: customers have no age"
    status, printed = ask("How old are customers?")
    assert (status, printed.out) == (0, "No answer: the model says: NO ANSWER: customers have no age\n")
    status, printed = ask("How old are customers?", "--csv")
    assert (status, printed.out) == (2, "")
    assert "customers have no age" in printed.err


def test_wrong_settings_are_said(ask, database, tmp_path, capsys):
    assert ask("x", "--samples", "0")[0] == 2
    assert main(["sql", "ask", "--db", str(tmp_path / "absent.db"), "--endpoint", "http://x", "x"]) == 2
    assert "absent.db does not exist" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["sql", "ask", "--db", database, "x"])


def chat(ask, monkeypatch, *lines):
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    status, printed = ask(command="chat")
    assert status == 0
    return printed.out


def test_chat_corrects_remembers_and_exports(ask, server, monkeypatch, tmp_path):
    server.reply = "SELECT count(*) FROM orders"
    out = chat(
        ask, monkeypatch,
        "How many customers are there?",
        "/fix SELECT count(*) FROM customers",
        "/fix DROP TABLE customers",
        "/explain",
        "/sql SELECT title FROM products WHERE id = 2",
        f"/csv {tmp_path / 'rows.csv'}",
        "How many orders are there?",
        "/right",
        f"/export {tmp_path / 'pairs.jsonl'}",
        "/unknown",
        "/quit",
        "never reached",
    )  # fmt: skip
    assert "not remembered, as the query does not run: not a query: only one SELECT runs" in out
    assert "1. Read orders" in out
    assert "Novel" in out
    assert "/unknown is not a command" in out
    assert "2 pairs written" in out
    assert (tmp_path / "rows.csv").read_text() == "count(*)\n3\n"
    pairs = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text().splitlines()]
    assert [pair["query"] for pair in pairs] == ["SELECT count(*) FROM customers", "SELECT count(*) FROM orders"]
    ask("How many customers are there now?")
    assert "like How many customers are there?: SELECT count(*) FROM customers;" in server.prompts[-1]


def test_chat_goes_on_goes_back_and_begins_anew(ask, server, monkeypatch, database):
    server.reply = "SELECT name FROM customers WHERE country = 'France'"
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT INTO customers (name, country) VALUES ('France', 'Peru')")
    connection.close()
    out = chat(
        ask, monkeypatch,
        "/back",
        "Which customers are from the country France?",
        "and sorted by name?",
        "/back",
        "only two of them",
        "Who is France?",
        "7",
        "1",
        "/new",
        "sorted by name",
    )  # fmt: skip
    assert "there is no question before" in out
    assert "back to: Which customers are from the country France?" in out
    assert out.count('assumed: taken as a follow-up to "Which customers are from the country France?"') == 2
    asked = "Do you mean customers.country = 'France' or customers.name = 'France'?"
    assert f"{asked}\n  1. customers.country = 'France'\n  2. customers.name = 'France'\n" in out
    assert "there is no choice 7; give a number from 1 to 2" in out
    last = [prompt for prompt in server.prompts if "-- sorted by name" in prompt]
    assert last
    assert not any("The query of" in prompt for prompt in last)


def test_a_command_of_the_chat_that_cannot_be_done_ends_nothing(ask, server, monkeypatch, tmp_path):
    server.reply = "SELECT id FROM orders"
    out = chat(
        ask, monkeypatch,
        "How many orders are there?", "/csv", f"/csv {tmp_path}", "/csv /proc/none/rows.csv",
        f"/csv {tmp_path}/{'x' * 300}", "/right", "/export", f"/export {tmp_path}",
        "/export /proc/none/pairs.jsonl", "/sql", "/fix",
        f"/csv {tmp_path}/new/rows.csv", "/sql SELECT 'still here'",
    )  # fmt: skip
    for said in (
        "/csv needs a file", "/export needs a file", f"{tmp_path} is a directory", "/sql needs a query",
        "there is no query to remember", "File name too long", "3 rows written to", "still here",
    ):  # fmt: skip
        assert said in out
    assert (tmp_path / "new" / "rows.csv").read_text() == "id\n1\n2\n3\n"
    server.reply = "NO ANSWER: none"
    out = chat(ask, monkeypatch, "How old are customers?", f"/csv {tmp_path}/none.csv", "/sql SELECT 'still here'")
    assert "there are no rows to write" in out
    assert not (tmp_path / "none.csv").exists()


def test_queries_of_the_users_own_are_checked_like_a_models(ask, monkeypatch, database, capsys):
    out = chat(
        ask, monkeypatch, "How many orders are there?", "/sql SELECT nothing FROM orders", "/fix SELECT x FROM y"
    )
    assert "no table of this query has a column nothing" in out
    assert "not remembered, as the query does not run: there is no table y" in out
    assert main(["sql", "remember", "--db", database, "How many?", "SELECT orders.leak FROM orders"]) == 2
    assert "orders has no column leak" in capsys.readouterr().err


def test_a_change_during_a_chat_is_known_to_the_next_question(ask, server, monkeypatch, database):
    def answer(request):
        server.prompts.append(request["messages"][0]["content"])
        with sqlite3.connect(database) as connection:
            connection.execute("INSERT INTO customers (name, country) VALUES ('Liv', 'Norway')")
        connection.close()
        return {"choices": [{"message": {"content": "SELECT 1"}}]}

    server.answer = answer
    chat(ask, monkeypatch, "Orders from Norway?", "Orders from Norway?")
    assert "norway is customers.country = 'Norway'" not in server.prompts[0]
    assert "norway is customers.country = 'Norway'" in server.prompts[-1]


def test_what_cannot_be_asked_is_said_before_a_model_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("chaku.cli.shared.sql_asking.Asking.load", lambda *a, **k: pytest.fail("the model was loaded"))
    path = tmp_path / "notes.sqlite"
    path.write_text("no database " * 100)
    assert main(["sql", "ask", "--db", str(path), "--model", "any", "How many?"]) == 2
    assert "cannot read the database" in capsys.readouterr().err
    assert main(["sql", "ask", "--db", str(tmp_path), "--model", "any", "How many?"]) == 2
    assert f"{tmp_path} is a directory; give a database file" in capsys.readouterr().err
    assert main(["sql", "ask", "--db", str(path), "--model", "any", "why " * 12_500]) == 2
    assert "the question has 50,000 characters; it may have 4,000" in capsys.readouterr().err
    pytest.importorskip("psycopg", reason="needs the sql extra")
    assert main(["sql", "ask", "--db", f"postgresql://u@/x?host={tmp_path}", "--model", "any", "How many?"]) == 2
    assert "the database x does not answer: connection " in capsys.readouterr().err


def test_no_cache_keeps_no_value_on_disk(ask, tmp_path):
    ask("How many customers?", "--no-cache")
    assert not (tmp_path / "cache").exists()
    ask("How many customers?")
    [kept] = (tmp_path / "cache").rglob("*.json")
    assert "France" in kept.read_text()


def test_chat_before_a_question_and_at_the_end_of_input(ask, monkeypatch):
    assert "there is no question yet" in chat(ask, monkeypatch, "/right", "", "/help")


def test_pairs_are_remembered_and_exported_without_a_model(database, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert main(["sql", "remember", "--db", database, "How many?", "SELECT count(*) FROM customers"]) == 0
    assert main(["sql", "remember", "--db", database, "How many?", "SELECT count(*) FROM nowhere"]) == 2
    assert main(["sql", "export", "--db", database, "--out", str(tmp_path / "pairs.jsonl")]) == 0
    [line] = (tmp_path / "pairs.jsonl").read_text().splitlines()
    assert json.loads(line) == {"question": "How many?", "query": "SELECT count(*) FROM customers", "db_id": "shop"}
    assert "there is no table nowhere" in capsys.readouterr().err


def test_a_model_directory_writes_under_the_grammar(database, tmp_path, capsys):
    from dataclasses import replace

    from chaku.checkpoint.huggingface import save_model
    from chaku.model.config import PRESETS
    from chaku.model.llama import Llama
    from chaku.tokens.tokenizer_training import train_tokenizer

    tokenizer = train_tokenizer([TABLES, "SELECT name FROM customers\n" * 9], 400)
    torch.manual_seed(0)
    model = Llama(replace(PRESETS["tiny"], max_position_embeddings=1024)).eval()
    save_model(model, tmp_path / "model")
    tokenizer.save(tmp_path / "model")
    arguments = ["sql", "ask", "--db", database, "--model", str(tmp_path / "model"), "--samples", "3", "--json"]
    assert main([*arguments, "How many customers?"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["candidates"]
    assert {candidate["sql"].split()[0].upper() for candidate in record["candidates"]} <= {"SELECT", "WITH"}


def test_no_values_sends_no_cell_and_log_sent_has_all_that_was_sent(ask, server, tmp_path, monkeypatch):
    server.reply = "SELECT name FROM customers WHERE country = 'UK' ORDER BY id"
    log = tmp_path / "sent.jsonl"
    status, printed = ask("Who are our UK customers?", "--no-values", "--log-sent", str(log), "--json")
    assert (status, json.loads(printed.out)["rows"]) == (0, [["Ada"], ["Cy"]])
    monkeypatch.setattr("sys.stdin", io.StringIO("Which customers?\n/right\nWhich customers, and where?\n"))
    assert ask("--no-values", "--log-sent", str(log), command="chat")[0] == 0
    sent = [json.loads(line)["prompt"] for line in log.read_text().splitlines()]
    assert sorted(sent) == sorted(server.prompts)
    assert len(sent) == 6  # two samples a question
    for cell in ("Ada", "France", "United Kingdom", "Lamp", "Books", "2023-02-02", "12.5", "中国"):
        assert cell not in "".join(sent)


def test_an_answer_below_the_wanted_confidence_is_refused(ask, server):
    replies = ["SELECT 1", "SELECT 2"] * 2
    server.answer = lambda request: {"choices": [{"message": {"content": replies.pop()}}]}
    refusal = "only 50% of the samples agree on a result, and at least 60% must (--min-confidence)"
    assert ask("How many?", "--min-confidence", "0.6")[1].out == f"No answer: {refusal}\n"
    assert "confidence 50%" in ask("How many?", "--min-confidence", "0.5")[1].out


def test_a_second_look_is_asked_for_and_a_limit_on_the_cost_needs_a_server(ask, server):
    def answer(request):
        looks_again = "Two queries were written" in request["messages"][0]["content"]
        reply = "SELECT 2" if looks_again else replies.pop()
        return {"choices": [{"message": {"content": reply}}]}

    replies, server.answer = ["SELECT 1", "SELECT 2"] * 2, answer
    status, printed = ask("How many?", "--select", "csc", "--json")
    assert (status, json.loads(printed.out)["rows"]) == (0, [[2]])
    status, printed = ask("How many?", "--max-cost", "1000")
    assert status == 2
    expected = "needs the estimate of a server (PostgreSQL, MySQL, MariaDB or BigQuery), and SQLite gives none"
    assert f"--max-cost {expected}" in printed.err


def test_rows_and_a_chart_are_written_into_files(ask, server, tmp_path):
    server.reply = "SELECT title, price FROM products ORDER BY price"
    rows, chart = tmp_path / "rows.parquet", tmp_path / "chart.vl.json"
    status, printed = ask("What do products cost?", "--parquet", str(rows), "--chart", str(chart), "--json")
    assert status == 0
    assert pq.read_table(rows).to_pylist() == [{"title": "Novel", "price": 7.0}, {"title": "Lamp", "price": 12.5}]
    assert [value["label"] for value in json.loads(chart.read_text())["data"]["values"]] == ["Novel", "Lamp"]
    assert f"2 rows written to {rows}" in printed.err
    assert json.loads(printed.out)["sentence"].startswith("2 rows were found (title, price): Novel (7.0), Lamp (12.5)")


def test_rows_without_a_chart_are_shown_and_written_before_the_error(ask, server, tmp_path):
    server.reply = "SELECT id FROM orders"
    rows, chart = tmp_path / "rows.parquet", tmp_path / "chart.svg"
    arguments = ["Which orders?", "--parquet", str(rows), "--chart", str(tmp_path / "chart.vl.json")]
    status, printed = ask(*arguments, "--max-rows", "2")
    assert status == 2
    assert "2 rows were found (id): 1, 2. The result is cut off" in printed.out
    assert pq.read_table(rows).num_rows == 2
    assert "the result is cut off there, and --max-rows may allow more" in printed.err
    assert "the result has 2 rows of 1 columns, and was cut off there; a chart needs two columns" in printed.err
    server.prompts.clear()
    assert ask("Which orders?", "--chart", str(chart.with_suffix(".pdf")))[0] == 2
    assert server.prompts == []  # a wrong name costs no question


def test_without_an_answer_no_file_is_written(ask, server, tmp_path):
    server.reply = "NO ANSWER: none"
    status, printed = ask("How old?", "--parquet", str(tmp_path / "rows.parquet"))
    assert status == 2
    assert "no answer, so no file was written" in printed.err
    assert not (tmp_path / "rows.parquet").exists()


def test_chat_writes_files(ask, server, monkeypatch, tmp_path):
    server.reply = "SELECT title, price FROM products"
    out = chat(
        ask, monkeypatch,
        f"/parquet {tmp_path / 'a.parquet'}", "Prices?", f"/parquet {tmp_path / 'a.parquet'}", "/parquet",
        f"/chart {tmp_path / 'a.pdf'}", f"/chart {tmp_path / 'a.vl.json'}",
    )  # fmt: skip
    assert "there is no question yet" in out
    assert "2 rows written to" in out
    assert "a chart of 2 rows written to" in out
    assert "is no chart file" in out
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 2


@pytest.mark.parametrize("width", [30, 90])
def test_a_chart_on_a_terminal_has_its_width_and_cannot_move_the_cursor(width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    rows = [("王" * 40, 10), ("b\x1b[2J", -5), (None, 0)]
    show_chart(chart_of(Result("ok", "", ("a", "b"), rows)), console)
    lines = console.file.getvalue().splitlines()
    assert [cell_len(line) for line in lines] == [width] * 3
    assert [line.split()[-1] for line in lines] == ["10", "-5", "0"]
    assert lines[0].count("█") == pytest.approx(2 * lines[1].count("█"), abs=1)
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("There are 4 customers.", "There are 4 customers."),
        ("There are 5 customers.", "The number of customers is 4."),  # a lie
        ("SELECT 1", "The number of customers is 4."),
    ],
)
def test_the_words_of_a_model_are_shown_if_they_say_what_the_rows_say(ask, server, written, shown):
    replies = ["SELECT count(*) FROM customers"] * 2 + [written]
    server.answer = lambda request: {"choices": [{"message": {"content": replies.pop(0)}}]}
    status, printed = ask("How many customers are there?", "--words")
    assert status == 0
    assert printed.out.splitlines()[-2:] == [shown, "confidence 100%"]


def test_words_and_no_values_exclude_each_other(ask, server):
    with pytest.raises(SystemExit):
        ask("How many customers are there?", "--words", "--no-values")
    assert server.prompts == []


def test_tables_are_found_by_meaning_with_an_embedding_model(ask, server, tmp_path):
    model = make_static_embeddings(tmp_path / "embeddings")
    server.reply = "SELECT 1"
    question, few = "How many purchases were there?", ["--max-prompt-tokens", "80", "--no-values"]
    assert ask(question, *few)[0] == 0
    assert ask(question, *few, "--embeddings", str(model))[0] == 0
    first_table = [re.search(r"CREATE TABLE (\w+)", prompt)[1] for prompt in (server.prompts[0], server.prompts[-1])]
    assert first_table == ["customers", "order_items"]  # without a meaning, the first table that fits
    assert [path.name for path in (tmp_path / "cache" / "chaku" / "sql").glob("*.vectors.npz")] != []


def test_a_server_of_embeddings_that_is_away_leaves_an_answer_by_words_with_a_warning(ask, server):
    server.reply = "SELECT 1"
    away = ["--embeddings", "http://127.0.0.1:9/v1"]
    status, printed = ask("How many purchases were there?", "--max-prompt-tokens", "80", *away)
    assert status == 0
    assert printed.out.startswith("SELECT 1\n")
    warning = "assumed: nothing was found by meaning, only by words: http://127.0.0.1:9/v1/embeddings did not answer"
    assert warning in printed.out
    server.reply = "NO ANSWER: no such table"
    _, printed = ask("How many purchases were there?", "--max-prompt-tokens", "80", *away)
    assert printed.out.startswith("No answer: ")
    assert warning in printed.out


def test_an_embedding_model_that_is_none_is_named(ask, tmp_path):
    status, printed = ask("How many?", "--embeddings", str(tmp_path))
    assert status == 2
    assert "has no model.safetensors; --embeddings takes a directory" in printed.err


@pytest.mark.parametrize("command", ["ask", "chat"])
def test_a_question_of_50_kb_is_refused_at_once(ask, server, monkeypatch, command):
    question = "orders of Ada " * 3600
    lines = iter([question, "/quit"])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    _, printed = ask(*([question] if command == "ask" else []), command=command)
    assert "the question has 50," in printed.out + printed.err
    assert server.prompts == []
