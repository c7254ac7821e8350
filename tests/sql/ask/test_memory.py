import pytest

from chaku.errors import ChakuError
from chaku.sql.ask.memory import Memory, memory_path


def test_what_is_remembered_is_there_the_next_time_and_a_question_is_kept_once(tmp_path):
    memory = Memory(tmp_path / "deep" / "shop.jsonl")
    memory.remember(" How many\n customers? ", "SELECT 1;", "shop")
    memory.remember("有多少客户？", "SELECT count(*) FROM customers", "shop")
    memory.remember("how many customers?", "SELECT count(*) FROM customers", "shop")
    again = Memory(memory.path)
    assert [(pair.question, pair.query) for pair in again.pairs] == [
        ("有多少客户？", "SELECT count(*) FROM customers"),
        ("how many customers?", "SELECT count(*) FROM customers"),
    ]


def test_similar_questions_come_first_and_unlike_ones_do_not_come(tmp_path):
    memory = Memory(tmp_path / "shop.jsonl")
    for question in (
        "How many customers live in France?",
        "List customers in Spain",
        "What is the dearest product?",
        "法国有多少客户",
    ):
        memory.remember(question, "SELECT 1", "shop")
    similar = [pair.question for pair in memory.similar("How many customers live in Italy?")]
    assert similar[0] == "How many customers live in France?"
    assert "What is the dearest product?" not in similar
    assert [pair.question for pair in memory.similar("中国有多少客户")] == ["法国有多少客户"]


def test_the_export_is_a_data_set_that_prepare_reads(tmp_path):
    from chaku.sql.scoring.datasets import read_examples

    memory = Memory(tmp_path / "shop.jsonl")
    with pytest.raises(ChakuError, match="nothing is remembered"):
        memory.export(tmp_path / "out.jsonl")
    memory.remember("How many?", "SELECT count(*) FROM t", "shop")
    assert memory.export(tmp_path / "out.jsonl") == 1
    [example] = read_examples(tmp_path / "out.jsonl")
    assert (example.question, example.query, example.database) == ("How many?", "SELECT count(*) FROM t", "shop")


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "shop.jsonl"
    path.write_text('{"question": "a", "query": "b", "db_id": "c"}\nnot JSON\n')
    with pytest.raises(ChakuError, match="line 2"):
        Memory(path)


def test_each_database_has_a_file_of_its_own_and_no_password_is_in_its_name(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    one = memory_path("shop", "postgresql://u:secret@h/shop")
    assert one.is_relative_to(tmp_path)
    assert "secret" not in str(one)
    assert one != memory_path("shop", "postgresql://u:secret@other/shop")


def test_a_query_with_other_ends_of_lines_in_its_text_can_be_read_again(tmp_path):
    memory = Memory(tmp_path / "shop.jsonl")
    memory.remember("Which name is odd?", "SELECT id FROM customers WHERE name = 'a\x85b\u2028c\u2029d\n'", "shop")
    memory.remember("How many?", "SELECT 1", "shop")
    assert Memory(memory.path).pairs == memory.pairs
