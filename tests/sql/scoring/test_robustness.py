"""`chaku sql robustness`: the suites with their pairs, the report, and a killed run that goes on."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.cli import main
from chaku.errors import ChakuError
from chaku.sql.scoring.predict import Asking
from chaku.sql.scoring.question_files import find_questions
from chaku.sql.scoring.robustness import VARIANTS, Paired, read_paired, run_robustness, suites
from chaku.sql.training.example_prompts import PromptSettings
from endpoint_server import running_server
from singers_database import SINGERS, write_database

ROWS = [
    ("How many singers are there?", "SELECT count(*) FROM singer"),
    ("List the names of different countries", "SELECT DISTINCT country FROM singer"),
    ("How old is the oldest singer?", "SELECT max(age) FROM singer"),
    ("What is the number of songs?", "SELECT count(*) FROM song"),
    ("List the titles of songs", "SELECT title FROM song"),
    ("How old is Ben?", "SELECT age FROM singer WHERE name = 'Ben'"),
]
WORDS = ("vocalists", "nations", "vocalist", "tracks", "tracks", "Ben")
SYNONYMS = [(word, ROWS[number][1]) for number, word in enumerate(WORDS)]


def write_questions(path, rows):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([{"question": asked, "query": sql, "db_id": "music"} for asked, sql in rows]))


@pytest.fixture
def files(tmp_path):
    """Three files: the questions, the same in other words, and two of them in Chinese, in another order."""
    write_database(tmp_path / "database" / "music" / "music.sqlite", SINGERS)
    write_questions(tmp_path / "spider" / "dev.json", ROWS)
    write_questions(tmp_path / "syn" / "dev.json", [(f"{word}?", sql) for word, sql in SYNONYMS])
    chinese = [("有多少首歌？", "select count(*)  from song;"), ("有多少歌手？", ROWS[0][1]), ("几点了？", "SELECT 7")]
    write_questions(tmp_path / "zh" / "dev.json", chinese)
    first = find_questions(tmp_path / "spider" / "dev.json")
    return [first, *(read_paired(tmp_path / name / "dev.json", first) for name in ("syn", "zh"))]


class Answering:
    """A writer that answers a question if it has the words of the file; counts the questions that it was asked."""

    form, max_prompt_tokens, max_tokens, constrained, instructions = "ddl", 2000, 64, False, ""
    generator = SimpleNamespace(record={"model_sha256": "abc"})

    def __init__(self, dies_after=1000):
        self.asked, self.dies_after = [], dies_after

    def count_tokens(self, text):
        return len(text) // 3

    def write(self, asked, num_samples):
        texts = []
        for prompt, _ in asked:
            if len(self.asked) == self.dies_after:
                raise KeyboardInterrupt
            question = prompt.strip().rsplit("-- ", 1)[1]
            self.asked.append(question)
            texts.append([dict(ROWS).get(question, "SELECT 0")])
        return texts


def run(asked, out, writer, **settings):
    prompt = PromptSettings(link=True, max_tokens=2000)
    return run_robustness(asked, writer, out, prompt=prompt, asking=Asking(batch_size=2), **settings)


def test_files_with_the_same_gold_queries_are_paired(files):
    asked = suites(files[0], files[1:], [], None, 0)
    assert [suite.name for suite in asked] == ["spider/dev", "syn/dev", "zh/dev"]
    assert [suite.partners for suite in asked] == [tuple(range(6)), tuple(range(6)), (3, 0, None)]


def test_the_unchanged_question_of_every_drawn_question_is_asked(files):
    for seed in range(5):
        first, chinese, typos = suites(files[0], files[2:], ["typos"], 2, seed)
        assert len(chinese.questions.examples) == 2 >= len(typos.questions.examples)
        for suite in (chinese, typos):
            for example, partner in zip(suite.questions.examples, suite.partners, strict=True):
                if partner is not None:
                    unchanged = first.questions.examples[partner]
                    assert unchanged.query.lower().split() == example.query.lower().rstrip(";").split()
        assert all(partner is not None for partner in typos.partners)


def test_the_report_says_where_it_breaks_with_the_worst_first(files, tmp_path):
    writer = Answering()
    rows = run(suites(files[0], files[1:], ["typos", "paraphrases"], None, 0), tmp_path / "out", writer, num_variants=3)
    totals = {row.change: row for row in rows if row.kind == "all"}
    assert totals["spider/dev"].ex == 1.0
    assert (totals["syn/dev"].ex, totals["syn/dev"].drop, totals["syn/dev"].pairs) == (0.0, 1.0, 6)
    assert (totals["zh/dev"].answers, totals["zh/dev"].pairs, totals["zh/dev"].broken) == (3, 2, 2)
    assert (totals["typos"].drop, totals["typos"].pairs) == (1.0, 5)  # no word of Ben's question may change
    assert totals["paraphrases"].pairs == 4  # two questions have no phrase of the lists
    assert totals[VARIANTS].drop == 0.0
    assert rows[0].drop == 1.0
    assert [row.drop is None for row in rows] == sorted(row.drop is None for row in rows)
    told = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert told["manifest"]["model_sha256"] == "abc"
    assert len(told["breakages"]) == len(rows)
    assert "| syn/dev | all | 6 | 0.0% |" in (tmp_path / "out" / "robustness.md").read_text()


def test_a_killed_run_asks_only_what_is_missing(files, tmp_path):
    asked = suites(files[0], [], ["typos"], None, 0)
    with pytest.raises(KeyboardInterrupt):
        run(asked, tmp_path, Answering(dies_after=9))
    again = Answering()
    rows = run(asked, tmp_path, again)
    assert len(again.asked) == 3  # of 11: the ninth was lost with its batch of two
    assert {row.change: (row.answers, row.ex) for row in rows if row.kind == "all"} == {
        "spider/dev": (6, 1.0), "typos": (5, 0.0)
    }  # fmt: skip


def test_other_settings_do_not_mix_with_what_is_there(files, tmp_path):
    asked = suites(files[0], [], ["typos"], None, 0)
    run(asked, tmp_path, Answering())
    with pytest.raises(ChakuError, match="seed was 0, is now 1"):
        run(asked, tmp_path, Answering(), seed=1)


def test_translations_are_paired_by_their_numbers(files, tmp_path):
    path = tmp_path / "chinese.tsv"
    path.write_text("4\t有哪些歌？\n2\t最大的歌手多大？\n", encoding="utf-8")
    chinese = read_paired(path, files[0])
    assert [example.query for example in chinese.questions.examples] == [ROWS[4][1], ROWS[2][1]]
    _, translated = suites(files[0], [chinese], [], None, 0)
    assert translated.partners == (4, 2)
    assert translated.questions.examples[0].question == "有哪些歌？"
    for line in ("6\tzu viel", "x\twrong", "3", "3\t ", "-1\tx"):
        path.write_text(f"0\tfine\n{line}\n")
        with pytest.raises(ChakuError, match=r"line 2: write the number of a question of spider/dev \(0 to 5\)"):
            read_paired(path, files[0])
    path.write_text("")
    with pytest.raises(ChakuError, match="has no questions"):
        read_paired(path, files[0])


def test_files_that_cannot_be_compared_are_refused(files):
    with pytest.raises(ChakuError, match="names spider/dev twice"):
        suites(files[0], [Paired(files[0], {})], [], None, 0)
    nothing = replace(files[0], examples=[replace(files[0].examples[0], question="ABC?")])
    with pytest.raises(ChakuError, match="no question of spider/dev may get typos; leave out --change typos"):
        suites(nothing, [], ["typos"], None, 0)


def test_the_command_asks_a_server_and_prints_one_table(files, tmp_path, capsys):
    with running_server() as server:

        def answer(request):
            question = request["messages"][0]["content"].strip().rsplit("-- ", 1)[1]
            return {"choices": [{"message": {"content": dict(ROWS).get(question, "SELECT 0")}}]}

        server.answer = answer
        paths = [str(tmp_path / name / "dev.json") for name in ("spider", "syn", "zh")]
        command = ["sql", "robustness", "theirs", f"--endpoint={server.url}", f"--out={tmp_path / 'out'}"]
        command += ["--variants=0", "--change=typos", "--questions", *paths]
        assert main(command) == 0
        printed = capsys.readouterr().out.splitlines()
        num_asked = len(server.requests)
        assert main([*command, "--json"]) == 0  # everything is there
        assert len(server.requests) == num_asked == 20
    assert printed[0].split()[:3] == ["change", "kind", "of"]
    assert printed[1].startswith("syn/dev")
    assert [line.split()[0] for line in printed[1:5]] == ["syn/dev", "zh/dev", "typos", "spider/dev"]
    assert json.loads(capsys.readouterr().out)[0]["drop"] == 1.0
