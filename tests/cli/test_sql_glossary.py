"""`chaku sql glossary` and `chaku sql ask` with a glossary; the model's server must not be asked."""

import json

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.cli import main
from shop_database import make_shop


@pytest.fixture
def database(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make_shop(tmp_path / "shop.sqlite")


@pytest.fixture
def run(database, capsys):
    def one(*words):
        status = main(["sql", *words, "--db", str(database)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return one


def test_a_first_glossary_answers_and_is_checked_and_grows(run, database, tmp_path):
    assert run("glossary", "init")[:2] == (0, f"{tmp_path / 'shop.glossary.toml'}\n")
    assert "4 tables, 4 metrics" in run("glossary", "check")[1]
    endpoint = ("--endpoint", "http://127.0.0.1:9", "--json", "--explain")  # nobody listens there
    status, out, err = run("ask", "How many customers are there by country?", *endpoint)
    answer = json.loads(out)
    assert (status, answer["by_rule"], answer["rows"][0]) == (0, True, ["France", 1])
    assert "no model was asked; tables: customers" in err
    status, out, err = run("glossary", "init")
    assert (status, out) == (2, "")
    assert "exists" in err
    (tmp_path / "words.csv").write_text("name,meaning\norders,What was bought\nnone,x\n")
    status, out, _ = run("glossary", "import", str(tmp_path / "words.csv"))
    assert status == 0
    assert out.splitlines() == [
        "left out: none: there is no such table or column",
        f"{tmp_path / 'shop.glossary.toml'}: words for 1 tables, 0 new metrics, 1 left out",
    ]
    assert 'description = "What was bought"' in (tmp_path / "shop.glossary.toml").read_text()


def test_a_wrong_glossary_is_told_before_a_model_is_needed(run, tmp_path):
    (tmp_path / "shop.glossary.toml").write_text("[tables.orderz]\n")
    status, out, _ = run("glossary", "check")
    assert (status, out) == (1, "tables.orderz: there is no table 'orderz'; the nearest is 'orders'\n")
    status, _, err = run("ask", "x", "--model", "no-such-model")
    assert status == 2
    assert "the glossary does not fit shop: tables.orderz" in err


def test_what_an_import_needs_is_said(run, tmp_path):
    with pytest.raises(SystemExit):
        run("glossary", "import")
    assert run("glossary", "import", "--comments")[0] == 0
    status, _, err = run("glossary", "check", "--glossary", str(tmp_path / "missing.toml"))
    assert status == 2
    assert "glossary init" in err
