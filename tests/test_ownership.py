"""Every command that fills a directory refuses one with files of somebody else's, and writes nothing there."""

import json

import pytest

from chaku import ChakuError
from chaku.cli import main
from chaku.ownership import MARKER, check_ours, make_ours


@pytest.mark.parametrize(
    "command",
    [
        ["corpus", "build", "{here}", "--out", "{theirs}"],
        ["run", "{here}/little.toml", "--out", "{theirs}"],
        ["eval", "run", "{here}", "--benchmark", "first_steps", "--out", "{theirs}"],
        ["eval", "score", "--benchmark", "first_steps", "--samples", "{theirs}/samples.jsonl", "--out", "{theirs}"],
        ["sql", "eval", "{here}", "--questions", "{here}/questions.jsonl", "--out", "{theirs}"],
        ["sql", "shop", "{theirs}"],
        ["instruct", "export", "{here}/ledger.sqlite", "--out", "{theirs}"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_directory_of_somebody_else_is_refused(command, tmp_path, capsys):
    from chaku.instruct.ledger import Ledger
    from family import write_recipe

    here, theirs = tmp_path / "here", tmp_path / "theirs"
    write_recipe(here)
    with Ledger(here / "ledger.sqlite"):
        pass
    (here / "questions.jsonl").write_text(json.dumps({"question": "How many?", "query": "SELECT 1", "database": "x"}))
    theirs.mkdir()
    (theirs / "samples.jsonl").write_text(json.dumps({"task_id": "first_steps/0", "completion": "x"}) + "\n")
    (theirs / "thesis.tex").write_text("years of work")
    before = {path: path.stat().st_mtime_ns for path in (theirs, *theirs.rglob("*"))}
    assert main([word.format(here=here, theirs=theirs) for word in command]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith(
        f"chaku: {theirs} holds files that chaku did not make, so chaku writes nothing there. Name a"
    )
    assert {path: path.stat().st_mtime_ns for path in (theirs, *theirs.rglob("*"))} == before


def test_a_directory_is_one_thing(tmp_path):
    make_ours(tmp_path / "new", "run")
    make_ours(tmp_path / "new", "run")
    with pytest.raises(ChakuError, match="holds chaku's run, so chaku writes nothing"):
        check_ours(tmp_path / "new", "corpus")
    assert json.loads((tmp_path / "new" / MARKER).read_text())["made_as"] == "run"


def test_what_an_earlier_version_made_is_known_by_its_files(tmp_path):
    for name in ("recipe.json", ".lock"):
        (tmp_path / name).write_text("{}")
    check_ours(tmp_path, "run")
    with pytest.raises(ChakuError, match="holds chaku's run"):
        check_ours(tmp_path, "evaluation")
