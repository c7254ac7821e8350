"""The published shapes of conversations and pairs, and what is said of a row of none of them."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from chaku import ChakuError
from chaku.instruct.conversations import find_files, read_conversation, read_preference, read_rows
from chaku.tokens.chat import Message

TALK = [Message("system", "S"), Message("user", "Q"), Message("assistant", "A")]
PLAIN = [{"role": message.role, "content": message.content} for message in TALK]
SHAPES = {
    "messages": {"messages": PLAIN, "seed": 3, "verdicts": ["passed"]},
    "parts": {
        "messages": [{**message, "content": [{"type": "text", "text": message["content"]}]} for message in PLAIN]
    },
    "sharegpt": {"system": "S", "conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
    "alpaca": {"system": "S", "instruction": "Q", "input": "", "output": "A"},
}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_told_by_its_keys(tmp_path, shape):
    [row] = read_rows(write(tmp_path / "a.jsonl", SHAPES[shape]))
    where, messages = row.where, read_conversation(row)
    assert messages == TALK
    assert where == f"{tmp_path}/a.jsonl, line 1"


def test_an_alpaca_input_follows_after_a_blank_line(tmp_path):
    name = write(tmp_path / "a.jsonl", {"instruction": "Add.", "input": "1 2", "output": "3"})
    [messages] = [read_conversation(row) for row in read_rows(name)]
    assert messages == [Message("user", "Add.\n\n1 2"), Message("assistant", "3")]


def test_files_of_every_kind_in_a_folder(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(list(SHAPES.values()), indent=1))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(SHAPES["messages"]).encode()))
    pq.write_table(pa.Table.from_pylist([SHAPES["sharegpt"]]), tmp_path / "c.parquet")
    (tmp_path / "notes.txt").write_text("not read")
    read = [(row.where, read_conversation(row)) for row in read_rows(str(tmp_path))]
    assert [messages for _, messages in read] == [TALK] * 6
    assert [where.removeprefix(f"{tmp_path}/") for where, _ in read][3:] == [
        "a.json, item 3",
        "b.jsonl.gz, line 1",
        "c.parquet, row 0",
    ]
    assert len(list(read_rows(f"{tmp_path}/*.jsonl.gz"))) == 1


def test_a_hub_data_set_is_read_as_one(tmp_path, monkeypatch):
    """A folder that is laid out as a data set stands in for the Hub."""
    pytest.importorskip("datasets")
    (tmp_path / "owner" / "name").mkdir(parents=True)
    write(tmp_path / "owner" / "name" / "train.jsonl", {"messages": PLAIN})
    monkeypatch.setattr("chaku.instruct.conversations.find_files", lambda name: [])
    monkeypatch.chdir(tmp_path)
    assert [(row.where, read_conversation(row)) for row in read_rows("owner/name")] == [("owner/name, row 0", TALK)]


def test_a_name_that_is_no_file_and_could_be_the_hubs():
    assert find_files("owner/name") == []
    for name in ("nowhere.jsonl", "folder/pairs.jsonl", "one/two/three", "data/*.jsonl"):
        with pytest.raises(ChakuError, match="and a Hub data set is named owner/name"):
            find_files(name)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "line 2: not JSON"),
        ("3", "line 2: a conversation is"),
        (r'{"messages": [{"role": "user", "content": "\ud800"}]}', "line 2: not UTF-8"),
        ('{"text": "x"}', "this row has the keys text"),
        ('{"messages": "x"}', "line 2: the messages are 'x', not a list"),
        ('{"messages": ["x"]}', "line 2, message 0: 'x' is no message"),
        ('{"messages": [{"role": "boss", "content": "x"}]}', "message 0: the role 'boss' is unknown; use one of"),
        ('{"messages": [{"role": "user", "content": null}]}', "message 0: the content is 'None', not a string"),
        ('{"instruction": 3, "output": "x"}', "must be strings"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path, row, message):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(SHAPES["messages"]) + "\n" + row + "\n")
    with pytest.raises(ChakuError) as caught:
        [read_conversation(row) for row in read_rows(str(path))]
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": PLAIN[:2], "chosen": "A", "rejected": "B", "seed": 1},
        {"prompt": PLAIN[:2], "chosen": PLAIN[2:], "rejected": [{"role": "assistant", "content": "B"}]},
        {"chosen": PLAIN, "rejected": [*PLAIN[:2], {"role": "assistant", "content": "B"}]},
    ],
)
def test_pairs(tmp_path, row):
    [pair] = [read_preference(found) for found in read_rows(write(tmp_path / "a.jsonl", row))]
    assert (pair.prompt, pair.chosen, pair.rejected) == (TALK[:2], "A", "B")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"prompt": "Q", "chosen": "A"}, "a pair is"),
        ({"prompt": "Q", "chosen": "A", "rejected": PLAIN[:2]}, "rejected does not end with a message"),
        ({"prompt": "Q", "chosen": PLAIN, "rejected": "B"}, "chosen does not begin with the prompt"),
        ({"chosen": "A", "rejected": "B"}, "no prompt"),
    ],
)
def test_broken_pairs_are_named(tmp_path, row, message):
    with pytest.raises(ChakuError, match=message):
        [read_preference(found) for found in read_rows(write(tmp_path / "a.jsonl", row))]
