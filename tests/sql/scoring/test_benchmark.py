"""`chaku sql eval`: asked, kept as it goes, scored, compared."""

import json
from dataclasses import replace

import pytest
import torch

pytest.importorskip("sqlglot", reason="needs the sql extra")

from chaku.checkpoint.huggingface import save_model
from chaku.cli import main
from chaku.errors import ChakuError
from chaku.inference.engine import Engine
from chaku.model.config import PRESETS
from chaku.model.llama import Llama
from chaku.sql.ask.writer import ModelWriter
from chaku.sql.scoring.benchmark import SqlResult, choose, result_in_lines, run_benchmark
from chaku.sql.scoring.predict import Asking
from chaku.sql.scoring.question_files import find_questions
from chaku.sql.training.example_prompts import PromptSettings
from chaku.tokens.tokenizer_training import train_tokenizer
from endpoint_server import running_server
from singers_database import SINGERS, write_database

ROWS = [
    {"question": "How many singers?", "query": "SELECT count(*) FROM singer", "db_id": "music"},
    {"question": "Who is from Peru?", "query": "SELECT name FROM singer WHERE country = 'Peru'", "db_id": "music"},
    {"question": "How old is Ben?", "query": "SELECT age FROM singer WHERE name = 'Ben'", "db_id": "other"},
    {"question": "Is it there?", "query": "SELECT 1", "db_id": "nowhere"},
]
PROMPT = PromptSettings("compact", 400, link=True)


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    for name in ("music", "other"):
        write_database(folder / "database" / name / f"{name}.sqlite", SINGERS)
    (folder / "dev.json").write_text(json.dumps(ROWS))
    return find_questions(folder / "dev.json")


@pytest.fixture(scope="module")
def engine():
    tokenizer = train_tokenizer([SINGERS, "SELECT name FROM singer\n" * 9], 400)
    torch.manual_seed(0)
    return Engine(Llama(replace(PRESETS["tiny"], max_position_embeddings=1024)).eval(), tokenizer)


@pytest.fixture
def knowing(engine):
    """A writer that knows the answers but one, and how many questions it was asked."""

    class Knowing(ModelWriter):
        asked = 0
        dies_after = 1000

        def write(self, asked, num_samples):
            if self.asked >= self.dies_after:
                raise KeyboardInterrupt
            self.asked += len(asked)
            answers = {row["question"]: row["query"] for row in ROWS} | {"How old is Ben?": "SELECT 42"}
            return [[answers[prompt.strip().rsplit("-- ", 1)[1]]] for prompt, _ in asked]

    return Knowing(engine, constrained=False)


def run(questions, writer, out=None, **settings):
    return run_benchmark(questions, writer, prompt=PROMPT, asking=Asking(batch_size=2), out=out, **settings)


def test_scores_come_with_intervals_by_hardness_and_with_what_they_rest_on(questions, knowing):
    results = run(questions, knowing)
    assert results.ex == pytest.approx(2 / 3)
    assert results.interval_95 == pytest.approx([0.2077, 0.9385], abs=1e-4)  # Wilson's of 2 of 3
    assert results.by_hardness["easy"].scored == 3
    assert (results.counts["no_database"], results.counts["not_asked"]) == (1, 0)
    assert results.em == results.ex  # of the same questions
    assert results.test_suite is None
    about = results.manifest
    assert about["prompt_form"] == "compact, linked"
    assert (about["grammar"], about["num_samples"], about["temperature"]) == (False, 1, 0.0)
    assert len(about["model_sha256"]) == len(about["data_sha256"]) == 64
    lines = result_in_lines(results)
    assert "3 questions (prompts: compact, linked, without grammar, greedy)" in lines[0]
    assert lines[-2].split()[:6] == ["all", "3", "66.7%", "20.8%", "to", "93.9%"]
    assert lines[-1] == "left out, since their databases are missing: 1"


def test_a_killed_run_goes_on_where_it_was(questions, knowing, tmp_path):
    knowing.dies_after = 2
    with pytest.raises(KeyboardInterrupt):
        run(questions, knowing, tmp_path)
    assert len((tmp_path / "predictions.jsonl").read_text().splitlines()) == 2
    knowing.dies_after, knowing.asked = 1000, 0
    results = run(questions, knowing, tmp_path)
    assert knowing.asked == 1
    assert results.counts["scored"] == 3
    assert SqlResult.read(tmp_path / "results.json") == results
    run(questions, knowing, tmp_path)
    assert knowing.asked == 1
    with pytest.raises(ChakuError, match=r"made with other settings: .*seed was 0, is now 1"):
        run(questions, knowing, tmp_path, seed=1)


def test_two_runs_compare_question_by_question(questions, knowing, engine, tmp_path, capsys):
    run(questions, knowing, tmp_path / "a")
    run(questions, ModelWriter(engine, constrained=False, max_tokens=8), tmp_path / "b")
    assert main(["eval", "compare", str(tmp_path / "a"), str(tmp_path / "b"), "--anyway", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    assert (scores["pass@1"]["only_a"], scores["pass@1"]["only_b"]) == (2, 0)
    assert scores["em"]["a"] == pytest.approx(2 / 3)


def test_a_sample_is_plain_seeded_and_whole_where_it_is_large_enough():
    whole = list(range(1034))
    assert choose(whole, None, 0) == choose(whole, 2000, 0) == whole
    assert choose(whole, 40, 7) == choose(whole, 40, 7) != choose(whole, 40, 8)
    assert len(set(choose(whole, 40, 7))) == 40
    with pytest.raises(ChakuError, match="--limit is 0"):
        choose(whole, 0, 0)


def test_the_command_asks_a_checkpoint_as_it_learnt(questions, engine, tmp_path, capsys):
    save_model(engine.model, tmp_path / "model")
    engine.tokenizer.save(tmp_path / "model")
    (tmp_path / "model" / "sql_prompt.json").write_text('{"form": "compact", "max_tokens": 300, "link": true}')
    command = ["sql", "eval", str(tmp_path / "model"), f"--questions={questions.path}", "--limit=3"]
    assert main([*command, "--json", "--variants=2", "--samples=2", "--repair"]) == 0
    results = json.loads(capsys.readouterr().out)
    about = results["manifest"]
    assert (about["prompt_form"], about["max_prompt_tokens"]) == ("compact, linked", 300)
    assert (about["grammar"], about["num_samples"], about["repair"]) == (True, 2, True)
    assert results["test_suite"] is not None
    assert main([*command, "--no-grammar", "--form=ddl", "--max-prompt-tokens=500"]) == 0
    assert "a random sample of 3 questions (prompts: ddl, linked, without grammar, greedy)" in capsys.readouterr().out


def test_a_model_behind_an_api_is_asked_in_prose_and_its_replies_are_read(questions, capsys):
    answers = {row["question"]: row["query"] for row in ROWS}
    with running_server() as server:

        def answer(request):
            asked = request["messages"][0]["content"]
            assert asked.startswith("Write one SQL query")
            query = answers[asked.strip().rsplit("-- ", 1)[1]]
            return {"choices": [{"message": {"content": f"To select it:\n```sql\n{query};\n```\nThis works."}}]}

        server.answer = answer
        command = ["sql", "eval", "theirs", f"--endpoint={server.url}", f"--questions={questions.path}", "--json"]
        assert main(command) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["ex"] == results["em"] == 1.0
    assert results["manifest"]["model"] == "theirs"
    assert results["manifest"]["prompt_form"] == "ddl, linked, instructed"
