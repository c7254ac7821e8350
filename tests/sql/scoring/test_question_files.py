"""The layouts of published questions."""

import json
import os
from pathlib import Path

import pytest

from chaku.errors import ChakuError
from chaku.sql.scoring.question_files import find_questions
from singers_database import SINGERS, write_database

ROW = {"question": "Who?", "query": "SELECT name FROM singer", "db_id": "music"}
BENCHMARKS = os.environ.get("CHAKU_BENCHMARKS")


def write(path: Path, *rows: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows))
    return path


def test_databases_and_tables_are_found_beside_the_questions(tmp_path):
    dev = write(tmp_path / "spider" / "dev.json", ROW)
    tables = write(tmp_path / "spider" / "tables.json")
    write_database(tmp_path / "spider" / "database" / "music" / "music.sqlite", SINGERS)
    found = find_questions(dev)
    assert (found.databases, found.tables) == (tmp_path / "spider" / "database", tables)
    assert found.name == "spider/dev"
    assert found.examples[0].question == "Who?"


def test_spider_syn_asks_spiders_databases(tmp_path):
    row = {"SpiderQuestion": "Who sings?", "SpiderSynQuestion": "Who chants?", "query": "SELECT 1", "db_id": "music"}
    dev = write(tmp_path / "spider-syn" / "dev.json", row)
    write_database(tmp_path / "spider" / "database" / "music" / "music.sqlite", SINGERS)
    found = find_questions(dev)
    assert found.databases == tmp_path / "spider" / "database"
    assert found.examples[0].question == "Who chants?"


def test_birds_folder_holds_the_databases_themselves(tmp_path, monkeypatch):
    row = {"question": "Who?", "SQL": "SELECT 1", "db_id": "music", "evidence": "who is a name"}
    write(tmp_path / "bird" / "mini_dev_music.json", row)
    write_database(tmp_path / "bird" / "music" / "music.sqlite", SINGERS)
    monkeypatch.setenv("CHAKU_BENCHMARKS", str(tmp_path))
    found = find_questions(Path("bird"))
    assert (found.name, found.databases) == ("bird/mini_dev_music", tmp_path / "bird")
    assert found.examples[0].evidence == "who is a name"


def test_what_is_missing_is_said_with_what_to_give(tmp_path, monkeypatch):
    monkeypatch.delenv("CHAKU_BENCHMARKS", raising=False)
    with pytest.raises(ChakuError, match=r"nothing.json does not exist; give a file such as spider/dev.json"):
        find_questions(tmp_path / "nothing.json")
    dev = write(tmp_path / "own" / "dev.json", ROW)
    with pytest.raises(ChakuError, match=r"there is no music/music.sqlite beside .*; give --databases DIR"):
        find_questions(dev)
    with pytest.raises(ChakuError, match="has no database of its questions"):
        find_questions(dev, tmp_path)
    with pytest.raises(ChakuError, match=r"has none of dev.json"):
        find_questions(tmp_path)


@pytest.mark.skipif(not BENCHMARKS, reason="CHAKU_BENCHMARKS is not set: the published files are NOT tested")
@pytest.mark.parametrize(("folder", "number"), [("spider", 1034), ("spider-syn", 1034), ("bird", 52)])
def test_the_published_files_are_found(folder, number):
    found = find_questions(Path(folder))
    assert len(found.examples) == number
    assert found.tables is None or found.tables.name == "tables.json"
    assert (found.tables is None) == (folder == "bird")
