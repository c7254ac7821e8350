import json

import pytest

from chaku.cli import main
from chaku.errors import ChakuError
from chaku.sql.ask.asker import Asker
from chaku.sql.ask.prompt import build_prompt
from chaku.sql.execute.database import Database
from chaku.sql.schema.definition import read_sqlite
from chaku.sql.scoring.datasets import Example
from chaku.sql.training.example_prompts import PromptSettings
from chaku.sql.training.prepare import PrepareSettings, prepare, tidy
from shop_database import make_shop


def words(text):
    return len(text.split())


def thirds(text):
    return len(text) // 3


def written(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_prompt_ends_with_the_question_and_keeps_to_its_budget(music):
    schema = read_sqlite(music)
    prompt = build_prompt(schema, "Who\nis  old?", count_tokens=words, max_tokens=500, evidence="old is over 40")
    assert prompt.text.endswith(");\n-- SQLite\n-- old is over 40\n-- Who is old?\n")
    assert "name TEXT, -- 'Ana', 'Ben', 'Cleo'" in prompt.text
    assert prompt.dropped == ()
    small = build_prompt(schema, "Who is old?", count_tokens=words, max_tokens=40)
    assert words(small.text) <= 40
    assert "values of singer.id" in map(str, small.dropped)
    with pytest.raises(ChakuError, match="question fills all"):
        build_prompt(schema, "Who is old? " * 50, count_tokens=words, max_tokens=40)


def test_db_gpt_hubs_form_is_theirs_word_for_word(music):
    prompt = build_prompt(read_sqlite(music), "Who is old?", count_tokens=words, max_tokens=500, form="db-gpt-hub")
    assert prompt.text == (
        "I want you to act as a SQL terminal in front of an example database, you need only to return the sql command "
        "to me.Below is an instruction that describes a task, Write a response that appropriately completes the "
        'request.\n"\n##Instruction:\n'
        "music contains tables such as singer, song. "
        "Table singer has columns such as id, name, country, age. id is the primary key.\n"
        "Table song has columns such as id, singer_id, title, year. id is the primary key.\n"
        "The singer_id of song is the foreign key of id of singer.\n\n"
        "###Input:\nWho is old?\n\n###Response:"
    )
    short = build_prompt(read_sqlite(music), "Who is old?", count_tokens=words, max_tokens=75, form="db-gpt-hub")
    assert [str(part) for part in short.dropped] == ["table song"]


def test_the_compact_form_has_names_alone(music):
    prompt = build_prompt(read_sqlite(music), "Who is old?", count_tokens=words, max_tokens=500, form="compact")
    assert prompt.text == "singer(id, name, country, age)\nsong(id, singer_id, title, year)\n-- Who is old?\n"


def test_examples_become_conversations_with_gold_normalised_and_run(databases, tmp_path):
    examples = [
        Example("Who is Peruvian?", 'SELECT name  FROM singer\nWHERE country = "Peru" ;', "music"),
        Example("Who is ancient?", "SELECT name FROM singer WHERE age > 900", "music"),
        Example("Who?", "SELECT nope FROM singer", "music"),
        Example("Who?", "SELECT FROM (", "music"),
        Example("Who?", "DELETE FROM singer", "music"),
        Example("Who?", "SELECT 1", "nowhere"),
    ]
    counts = prepare(
        examples, databases, tmp_path / "out.jsonl", settings=PrepareSettings(PromptSettings(max_tokens=400))
    )
    first, second = written(tmp_path / "out.jsonl")
    assert [message["role"] for message in first["messages"]] == ["user", "assistant"]
    assert first["messages"][1]["content"] == first["query"] == "SELECT name FROM singer WHERE country = 'Peru'"
    assert first["database"] == "music"
    assert second["question"] == "Who is ancient?"
    assert counts["written"] == 2
    assert counts["names made literals"] == 1
    assert counts["empty result"] == 1
    assert counts["left_out"] == {"fails": 2, "does not parse": 1, "no database": 1}
    assert "no such column: nope" in counts["first_left_out"]["fails"]


def test_nothing_left_is_an_error_and_no_file(databases, tmp_path):
    with pytest.raises(ChakuError, match="no example is usable; the first of each kind: no database"):
        prepare([Example("Who?", "SELECT 1", "nowhere")], databases, tmp_path / "out.jsonl")
    assert not list(tmp_path.iterdir())


def test_linked_prompts_are_those_of_asking(tmp_path):
    (tmp_path / "shop").mkdir()
    make_shop(tmp_path / "shop" / "shop.sqlite")
    question, query = "How many UK customers are there?", "SELECT count(*) FROM customers"
    examples = [Example(question, query, "shop"), Example(question, "SELECT count(*) FROM order_items", "shop")]
    settings = PrepareSettings(PromptSettings("compact", 50, link=True))
    counts = prepare(examples, tmp_path, tmp_path / "out.jsonl", count_tokens=thirds, settings=settings)
    assert counts["left_out"] == {"needs a table that linking left out": 1}
    assert "order_items" in counts["first_left_out"]["needs a table that linking left out"]
    [row] = written(tmp_path / "out.jsonl")
    asked = []

    class Writer:
        form, max_prompt_tokens, count_tokens = "compact", 50, staticmethod(thirds)

        def write_each(self, prompt, schema, num_samples):
            asked.append(prompt)
            yield 0, query

    with Database(str(tmp_path / "shop" / "shop.sqlite")) as database:
        answer = Asker(database, Writer(), num_samples=1).ask(question)
    assert answer.result.rows == [(4,)]
    assert row["messages"][0]["content"] == asked[0]
    assert "-- uk is customers.country = 'United Kingdom';\n" in asked[0]
    assert "table order_items" in row["dropped"]


def test_db_gpt_hubs_form_has_no_linking():
    with pytest.raises(ChakuError, match="has no linking"):
        PromptSettings("db-gpt-hub", link=True)


def test_tidy_leaves_strings_alone():
    assert tidy("SELECT a ,  b\n FROM t -- why\nWHERE c = 'x  ,  y'") == "SELECT a, b FROM t WHERE c = 'x  ,  y'"


def test_the_command_prepares_a_file(databases, tmp_path, capsys):
    (tmp_path / "own.jsonl").write_text(
        '{"question": "Who?", "query": "SELECT name FROM singer", "database": "music"}\n'
    )
    out = tmp_path / "out.jsonl"
    assert (
        main(["sql", "prepare", str(tmp_path / "own.jsonl"), f"--databases={databases}", f"--out={out}", "--json"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["written"] == 1
    assert written(out)[0]["query"] == "SELECT name FROM singer"
