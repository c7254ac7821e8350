"""Questions that lines of a corpus inspire."""

from pathlib import Path

import pyarrow as pa
import pytest

from chaku.corpus.shards import ShardWriter
from chaku.documents import ABOUT_COPIES, SCHEMA
from chaku.errors import ChakuError
from chaku.instruct.evidence import KEPT
from chaku.instruct.inspire import MAX_LINES, Snippet, draw_snippets
from chaku.instruct.ledger import Ledger
from chaku.instruct.synthesize import synthesize
from chaku.instruct.triples import Settings
from instruct.conftest import QUESTIONS, Played


def write_corpus(directory: Path, texts: list[str], kind: str = "code") -> Path:
    directory.mkdir()
    rows = [
        {
            "text": text,
            "path": f"f{number}.py",
            "language": "Python",
            "kind": kind,
            "source": "here",
            "bytes": len(text),
        }
        | {"sha256": bytes([number]).hex() * 32}
        for number, text in enumerate(texts)
    ]
    with ShardWriter(directory, "train", 0) as writer:
        writer.write(pa.Table.from_pylist(rows, pa.schema([*SCHEMA, *ABOUT_COPIES])))
    return directory


def test_snippets_are_consecutive_lines_of_different_documents(tmp_path: Path) -> None:
    texts = [
        "\n".join(f"value_{number}_{line} = calculate_value({line}, it)" for line in range(40)) for number in range(30)
    ]
    corpus = write_corpus(tmp_path / "corpus", texts)
    snippets = draw_snippets(corpus, 10, seed=1)
    assert snippets == draw_snippets(corpus, 10, seed=1)
    assert snippets != draw_snippets(corpus, 10, seed=2)
    assert len({snippet.source.split(":")[0] for snippet in snippets}) == 10
    for snippet in snippets:
        name, _, line = snippet.source.partition(":")
        lines = texts[int(name[1:-3])].splitlines()
        shown = snippet.text.splitlines()
        assert 1 <= len(shown) <= MAX_LINES
        assert lines[int(line) - 1 :][: len(shown)] == shown
    assert len(draw_snippets(corpus, 100, seed=1)) == 30


def test_a_corpus_without_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChakuError, match="has no code to be inspired by"):
        draw_snippets(write_corpus(tmp_path / "prose", ["Some words. " * 20], "prose"), 5, 0)
    with pytest.raises(ChakuError, match="build a corpus there first"):
        draw_snippets(tmp_path, 5, 0)


def test_each_snippet_gives_one_question_that_is_judged(tmp_path: Path) -> None:
    class Inspired(Played):
        def write(self, kind: str, prompt: str, number: int, num_samples: int) -> tuple[str, int]:
            if "Take an idea" in prompt:
                text = "" if "empty" in prompt else list(QUESTIONS)["turn(" in prompt]
                return f"{text}\n[/QUESTION] and more", 9
            return super().write(kind, prompt, number, num_samples)

    played = Inspired()
    snippets = [Snippet("add(a, b)", "a.py:3"), Snippet("empty", "b.py:1"), Snippet("turn(text)", "c.py:9")]
    synthesize(tmp_path / "ledger.sqlite", played, Settings(num_solutions=4), snippets=snippets)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        found = [(question.source, question.outcome) for question in ledger.questions()]
    assert found == [("a.py:3", KEPT), ("c.py:9", KEPT)]
    assert "{" not in played.asked[0].prompt
