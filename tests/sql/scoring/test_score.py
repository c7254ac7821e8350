import hashlib
import json
import shutil
import time

import pytest

from chaku.cli import main
from chaku.errors import ChakuError
from chaku.sql.scoring.score import QueryPair, ScoreSettings, read_questions, score, tie_probe

GOLD = "SELECT name FROM singer WHERE age > 28"


def verdict(databases, predicted, gold=GOLD, **settings):
    questions = [QueryPair(0, "music", gold, predicted)]
    return score(questions, databases, settings=ScoreSettings(**{"timeout": 5, **settings}))["rows"][0]


def test_gold_against_itself_is_right_by_every_measure(databases):
    row = verdict(databases, GOLD)
    assert row["status"] == "right"
    assert row["reason"] == ""
    for measure in (
        "ex",
        "ex_keep_distinct",
        "ex_plug_value",
        "ex_plug_value_keep_distinct",
        "test_suite",
        "em",
        "bird_ex",
    ):
        assert row[measure] is True
    assert (row["soft_f1"], row["r_ves"]) == (1.0, 100.0)


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        (GOLD, "SELECT name FROM singer WHERE age > 29", {"ex": True, "em": True, "test_suite": False}),
        (GOLD, "SELECT name FROM singer WHERE age > 99", {"ex": False, "ex_plug_value": True, "em": True}),
        (GOLD, "SELECT name, age FROM singer WHERE age > 28", {"ex": False, "reason": "returns 2 columns, not 1"}),
        (GOLD, "SELECT name FROM singer", {"ex": False, "reason": "returns 4 rows, not 3"}),
        ("SELECT name, age FROM singer", "SELECT age, name FROM singer",
         {"ex": True, "bird_ex": False, "soft_f1": 1.0}),
        ("SELECT age FROM singer", "SELECT DISTINCT age FROM singer",
         {"ex": True, "ex_keep_distinct": False, "bird_ex": True}),
        ("SELECT name FROM singer ORDER BY age", "SELECT name FROM singer ORDER BY age DESC",
         {"ex": False, "reason": "returns the rows in another order"}),
        ("SELECT name FROM singer", "SELECT name FROM singer ORDER BY age DESC", {"ex": True, "em": False}),
        ("SELECT name FROM singer WHERE age > 90", "SELECT title FROM song WHERE year > 9000",
         {"ex": True, "empty_against_empty": True, "gold_is_empty": True, "em": False}),
        ("SELECT name FROM singer ORDER BY age LIMIT 2", "SELECT name FROM singer ORDER BY age LIMIT 2",
         {"gold_is_tied": True}),
        ("SELECT name FROM singer ORDER BY age LIMIT 1", "SELECT name FROM singer ORDER BY age LIMIT 1",
         {"gold_is_tied": False}),
        (GOLD, "SELECT nmae FROM singer", {"ex": False, "status": "failed", "reason": "no such column: nmae"}),
        (GOLD, "", {"ex": False, "status": "failed", "reason": "is empty"}),
        (GOLD, "SELECT name FROM singer WHERE age > value", {"ex": False, "ex_plug_value": True}),
        ("SELECT count(*) FROM song", "SELECT count(*) FROM song WHERE year > 1 OR title = 'value'", {"ex": True}),
    ],
)  # fmt: skip
def test_verdicts(databases, gold, predicted, expected):
    row = verdict(databases, predicted, gold)
    assert {key: row[key] for key in expected} == expected


@pytest.mark.parametrize(
    "predicted",
    [
        "DROP TABLE singer",
        "DELETE FROM singer",
        "INSERT INTO singer VALUES (9, 'x', 'y', 1) RETURNING name",
        "UPDATE singer SET age = 1",
        "ATTACH 'evil.db' AS evil",
        "PRAGMA writable_schema = 1",
        "VACUUM INTO 'copy.db'",
        "SELECT name FROM singer; DROP TABLE singer",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "SELECT printf('%.*c', 900000000, 'x')",
        "SELECT zeroblob(1000000000)",
    ],
)
def test_what_writes_attaches_loops_or_floods_has_failed_in_time(databases, music, predicted):
    before = hashlib.sha256(music.read_bytes()).hexdigest()
    started = time.monotonic()
    row = verdict(databases, predicted, timeout=1)
    assert time.monotonic() - started < 10
    assert row["status"] == "failed"
    assert row["reason"]
    assert not any(row[measure] for measure in ("ex", "ex_keep_distinct", "ex_plug_value", "bird_ex", "soft_f1", "em"))
    assert hashlib.sha256(music.read_bytes()).hexdigest() == before
    assert [path.name for path in music.parent.iterdir()] == ["music.sqlite"]
    assert verdict(databases, GOLD)["ex"] is True


def test_every_database_beside_the_first_must_agree(databases, tmp_path):
    shutil.copytree(databases, tmp_path / "suite")
    import sqlite3

    other = tmp_path / "suite" / "music" / "music_2.sqlite"
    shutil.copy(tmp_path / "suite" / "music" / "music.sqlite", other)
    connection = sqlite3.connect(other)
    connection.execute("UPDATE singer SET age = 29 WHERE name = 'Dai'")
    connection.commit()
    connection.close()
    wrong = "SELECT name FROM singer WHERE age > 29"
    assert verdict(databases, wrong)["ex"] is True
    assert verdict(tmp_path / "suite", wrong)["ex"] is False


def test_what_cannot_be_scored_is_counted_and_not_called_wrong(databases):
    questions = [
        QueryPair(0, "music", GOLD, GOLD),
        QueryPair(1, "nowhere", GOLD, GOLD),
        QueryPair(2, "music", "SELECT nope FROM singer", GOLD),
    ]
    scores = score(questions, databases)
    assert scores["ex"] == 1.0
    assert [row["ex"] for row in scores["rows"]] == [True, None, None]
    assert "nowhere.sqlite" in scores["rows"][1]["reason"]
    assert "the gold query fails: no such column: nope" in scores["rows"][2]["reason"]
    assert scores["counts"]["not_scored"] == 2
    with pytest.raises(ChakuError, match="no question could be scored"):
        score(questions[1:], databases)


def test_a_tie_is_looked_for_behind_the_limit():
    sql, limit = tie_probe("SELECT name, count(*) AS n FROM t GROUP BY name ORDER BY n DESC LIMIT 3")
    assert (sql, limit) == ("SELECT COUNT(*) FROM t GROUP BY name ORDER BY n DESC LIMIT 4", 3)
    assert tie_probe("SELECT name FROM t ORDER BY n") is None


def test_files_pair_line_by_line(tmp_path):
    gold, pred = tmp_path / "gold.sql", tmp_path / "pred.sql"
    gold.write_text("SELECT 1\tmusic\n\nSELECT 2\tmusic\n")
    pred.write_text("SELECT 1\n\n")
    assert [question.predicted for question in read_questions(gold, pred)] == ["SELECT 1", ""]
    pred.write_text("SELECT 1\tmusic\n\nSELECT 3\tmusic\n")
    assert [question.predicted for question in read_questions(gold, pred)] == ["SELECT 1", "SELECT 3"]
    bird = tmp_path / "pred.json"
    bird.write_text(json.dumps({"0": "SELECT 1\t----- bird -----\tmusic", "1": "SELECT 2\t----- bird -----\tmusic"}))
    assert [question.predicted for question in read_questions(gold, bird)] == ["SELECT 1", "SELECT 2"]
    pred.write_text("SELECT 1\n")
    with pytest.raises(ChakuError, match="1 predictions for the 2 questions"):
        read_questions(gold, pred)
    gold.write_text("SELECT 1 music\n")
    with pytest.raises(ChakuError, match="line 1: the SQL must be followed by a tab"):
        read_questions(gold, pred)


def test_the_command_writes_totals_and_a_row_a_question(databases, tmp_path):
    (tmp_path / "gold.sql").write_text(f"{GOLD}\tmusic\nSELECT count(*) FROM song\tmusic\n")
    (tmp_path / "pred.sql").write_text(f"{GOLD}\nDROP TABLE song\n")
    files = [f"--{name}={tmp_path / name}.sql" for name in ("gold", "pred")]
    assert main(["sql", "score", *files, f"--databases={databases}", f"--json={tmp_path / 'out.json'}"]) == 0
    scores = json.loads((tmp_path / "out.json").read_text())
    assert scores["ex"] == 0.5
    assert scores["by_hardness"]["easy"]["count"] == 2
    assert [(row["index"], row["db_id"], row["hardness"], row["ex"]) for row in scores["rows"]] == [
        (0, "music", "easy", True),
        (1, "music", "easy", False),
    ]
    assert scores["rows"][1]["reason"].startswith("not allowed")
    assert scores["counts"]["failed"] == 1
