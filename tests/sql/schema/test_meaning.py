"""Tables and remembered questions are found by meaning, with static embeddings of a few words."""

import time

import pytest

from chaku.errors import ChakuError
from chaku.inference.embeddings import StaticEmbeddings
from chaku.sql.ask.memory import Memory
from chaku.sql.schema.definition import Column, Schema, Table
from chaku.sql.schema.linking import link
from chaku.sql.schema.meaning import Meaning, table_text
from tiny_embeddings import make_static_embeddings

NAMES = ("stock", "log", "invoice", "customers", "shift", "turnover", "country", "orders")
SCHEMA = Schema("firm", tuple(Table(name, (Column("id"), Column("remark"))) for name in NAMES))


class Counting(StaticEmbeddings):
    def __init__(self, path):
        super().__init__(path)
        self.texts = []

    def embed(self, texts):
        self.texts += texts
        return super().embed(texts)


@pytest.fixture
def embedder(tmp_path):
    return Counting(make_static_embeddings(tmp_path / "model"))


def first(question, meaning, schema=SCHEMA):
    found = link(question, schema, count_tokens=len, max_tokens=120, meaning=meaning)
    return found.schema.tables[0].name


@pytest.mark.parametrize(
    ("question", "table"), [("how many buyers", "customers"), ("有多少 顾客", "customers"), ("our purchases", "orders")]
)
def test_a_table_that_means_what_the_question_says_comes_first(embedder, question, table):
    assert first(question, None) == "stock"  # no word in common: the first that fit
    assert first(question, Meaning(embedder)) == table


def test_a_word_of_the_schema_still_counts(embedder):
    assert first("the log of remarks", Meaning(embedder)) == "log"


def test_a_table_is_read_with_its_columns_and_comments_but_without_values():
    columns = (Column("customerName", values=("'MARK'",)), Column("c2", comment="the day of birth"))
    assert (
        table_text(Table("VIPList", columns, comment="good ones"))
        == "viplist, good ones: customer name, the day of birth"
    )


def test_vectors_are_cached_for_one_model_and_a_changed_table_is_read_again(embedder, tmp_path):
    cache = tmp_path / "cache" / "firm.vectors.npz"
    Meaning(embedder, cache).tables("buyers", SCHEMA)
    assert cache.stat().st_mode & 0o777 == 0o600
    embedder.texts.clear()
    Meaning(embedder, cache).tables("buyers", SCHEMA)
    assert embedder.texts == ["buyers"]
    changed = Schema("firm", (*SCHEMA.tables[1:], Table("nation", (Column("id"),))))
    Meaning(embedder, cache).tables("orders", changed)
    assert embedder.texts == ["buyers", "orders", "nation: id"]
    embedder.identity = "another model"
    embedder.texts.clear()
    Meaning(embedder, cache).tables("buyers", SCHEMA)
    assert len(embedder.texts) == len(NAMES) + 1


def test_a_broken_cache_is_written_again(embedder, tmp_path):
    cache = tmp_path / "firm.vectors.npz"
    cache.write_bytes(b"nothing")
    assert first("buyers", Meaning(embedder, cache)) == "customers"
    embedder.texts.clear()
    assert first("buyers", Meaning(embedder, cache)) == "customers"
    assert embedder.texts == ["buyers"]


def test_remembered_questions_are_found_by_meaning_and_those_about_something_else_are_not(embedder, tmp_path):
    memory = Memory(tmp_path / "memory.jsonl")
    for question in ("turnover by nation", "customers", "log remarks"):
        memory.remember(question, "SELECT 1", "firm")
    meaning = Meaning(embedder)
    assert memory.similar("sales per country") == []
    assert [pair.question for pair in memory.similar("sales per country", meaning=meaning)] == ["turnover by nation"]
    assert memory.similar("cats", meaning=meaning) == []
    assert [pair.question for pair in memory.similar("log remarks now", meaning=meaning)] == ["log remarks"]
    assert Memory(tmp_path / "none.jsonl").similar("cats", meaning=meaning) == []


class Leaving(Counting):
    """An embedder that fails while `away`."""

    away = False

    def embed(self, texts):
        if self.away:
            self.texts += texts
            raise ChakuError("http://e does not answer: connection refused")
        return super().embed(texts)


def test_an_embedder_that_goes_away_leaves_the_words_and_is_asked_again_for_the_next_question(tmp_path):
    embedder = Leaving(make_static_embeddings(tmp_path / "model"))
    meaning, memory = Meaning(embedder), Memory(tmp_path / "memory.jsonl")
    memory.remember("our purchases", "SELECT 1", "firm")
    assert first("how many buyers", meaning) == "customers"
    embedder.away, embedder.texts = True, []
    assert first("the log of purchases", meaning) == "log"
    assert [pair.query for pair in memory.similar("our purchases by day", meaning=meaning)] == ["SELECT 1"]
    assert meaning.trouble("the log of purchases") == ""  # of the last question alone
    assert meaning.trouble("our purchases by day") == "http://e does not answer: connection refused"
    assert meaning.likeness("our purchases by day", ["a"]) == [0.0]
    assert embedder.texts == ["the log of purchases", "our purchases by day"]  # once for each question
    embedder.away = False
    assert first("our purchases", meaning) == "orders"
    assert meaning.trouble("our purchases") == ""


def test_an_embedder_that_failed_after_a_long_wait_is_left_alone_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr("chaku.sql.schema.meaning.LONG_SECONDS", 0.0)
    embedder = Leaving(make_static_embeddings(tmp_path / "model"))
    embedder.away, meaning = True, Meaning(embedder)
    assert first("our purchases", meaning) == first("how many buyers", meaning) == "stock"
    assert embedder.texts == ["our purchases"]
    assert meaning.trouble("how many buyers") == "http://e does not answer: connection refused"
    monkeypatch.setattr("time.monotonic", lambda now=time.monotonic: now() + 61)
    embedder.away = False
    assert first("how many buyers", meaning) == "customers"


def test_tables_that_wait_for_their_vectors_are_read_with_the_next_question(embedder, tmp_path, monkeypatch):
    monkeypatch.setattr("chaku.sql.schema.meaning.TEXTS_AT_ONCE", 3)
    monkeypatch.setattr("chaku.sql.schema.meaning.EMBED_SECONDS", -1)
    meaning = Meaning(embedder, tmp_path / "firm.vectors.npz")
    assert first("how many buyers", meaning) == "stock"
    assert meaning.trouble("how many buyers") == "0 of 8 tables have their vectors; the next question goes on"
    monkeypatch.setattr("chaku.sql.schema.meaning.EMBED_SECONDS", 60)
    assert first("which buyers", meaning) == "customers"


def test_vectors_of_another_length_are_read_again(embedder, tmp_path):
    meaning = Meaning(embedder)
    meaning._known = {text: [0.0] for text in map(table_text, SCHEMA.tables)}  # of the model that a server had before
    assert first("how many buyers", meaning) == "customers"
