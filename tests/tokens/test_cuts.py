"""Cuts at lines and around syntax nodes: what becomes the middle, what falls back, and the paper's cuts unchanged."""

import ast
import hashlib
import itertools

import numpy as np
import pytest

from chaku import ChakuError
from chaku.plain import from_plain
from chaku.tokens import syntax_nodes
from chaku.tokens.config import InfillingConfig
from chaku.tokens.cuts import draw_kind, line_cuts, random_cuts, syntax_cuts
from chaku.tokens.infilling import Infiller, recover_text
from chaku.tokens.syntax_nodes import find_nodes, grammar_package_problem
from chaku.tokens.tokenizer_training import train_tokenizer

SAMPLE = "def add(first, second):\n    '''The sum of 12 things.'''\n    return first + second\n\n\nprint(add(1, 2))\n"
TOKENIZER = train_tokenizer([SAMPLE * 2, "class Naïve(Ünïcode): pass  # 漢字\n\tx = y"], 300)
ACCENTS = "# 漢字 é\nname = 'naïve'\n\nif name:\n    print(name, 'ünï')\n"
UNIFORM = np.random.default_rng(0).random(3000).tolist()


def test_the_papers_cuts_are_those_of_before_to_the_bit():
    """The hash was made by the version before other cuts existed."""
    infiller = Infiller(TOKENIZER, InfillingConfig(), seed=7)
    tokens = np.array(TOKENIZER.encode(SAMPLE), dtype=np.uint16)
    whole = hashlib.sha256()
    for document in range(300):
        whole.update(infiller(tokens, document, document % 3, "Python", 0.5).ids.tobytes())
    assert whole.hexdigest() == "f18b78471bea852571c936947bd1e7d9602fb4d9c1ff508ef22643c41d9d5cfe"


@pytest.mark.parametrize("text", [SAMPLE, ACCENTS, "no end of line", "\n\n", ""])
def test_lines_are_whole(text):
    for first, second in itertools.pairwise(UNIFORM[:300]):
        low, high = line_cuts(text, first, second)
        assert 0 <= low <= high <= len(text)
        for place in (low, high):
            assert place in (0, len(text)) or text[place - 1] == "\n"
    places = {line_cuts(SAMPLE, first, second) for first, second in itertools.pairwise(UNIFORM)}
    assert len(places) == 28  # every pair of the seven places


def spans_of_syntax(text):
    """The places of Python's own syntax nodes, in characters."""
    lines = [0, *itertools.accumulate(map(len, text.splitlines(keepends=True)))]

    def place(line, column):
        start = lines[line - 1]
        return start + len(text[start:].encode()[:column].decode())

    return {
        (place(node.lineno, node.col_offset), place(node.end_lineno, node.end_col_offset))
        for node in ast.walk(ast.parse(text))
        if hasattr(node, "lineno")
    }


@pytest.mark.parametrize("text", [SAMPLE, ACCENTS])
def test_one_node_is_a_node_of_the_language(text):
    found = {syntax_cuts(text, "Python", iter([0.0, number, 0.0])) for number in UNIFORM}
    assert len(found) > 10
    expected = spans_of_syntax(text)
    assert len(found & expected) > len(expected) * 0.7
    for low, high in found:
        assert 0 <= low < high <= len(text)
        assert not text[low].isspace()


def test_a_large_node_is_drawn_in_proportion_to_its_size():
    nodes = find_nodes("f(a)\nlonger_name(another_name)\n", "Python")
    counts = {}
    for number in UNIFORM:
        span = nodes.by_size(number)
        counts[span] = counts.get(span, 0) + 1
    # In the text: two statements, their calls, names and arguments; the second is 25 characters long, the first 4.
    assert counts[5, 30] / counts[0, 4] == pytest.approx(25 / 4, rel=0.25)


def test_a_run_of_nodes_overlaps_most_with_the_span():
    text = "a = 1\nbb = 22\nccc = 333\n"
    nodes = find_nodes(text, "Python")
    for low in range(len(text)):
        for high in range(low, len(text) + 1):
            found = nodes.nearest_run(low, high)
            # Every run of the statements around a span that no single statement holds.
            if not any(start <= low and high <= end for start, end in ((0, 5), (6, 13), (14, 23))):
                ends = [(0, 5), (6, 13), (14, 23)]
                runs = [(ends[i][0], ends[j][1]) for i in range(3) for j in range(i, 3)]
                best = max(overlap(run, (low, high)) for run in runs)
                assert found in runs
                assert overlap(found, (low, high)) == best


def overlap(one, two):
    common = min(one[1], two[1]) - max(one[0], two[0])
    return max(common, 0) / (max(one[1], two[1]) - min(one[0], two[0]))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("def broken(:\n", "Python"),
        ("x = 1\n", "Brainfuck"),
        ("# Title\n", "Markdown"),
        ("", "Python"),
        ("\n", "Python"),
    ],
)
def test_other_texts_fall_back_and_are_counted(text, language):
    assert syntax_cuts(text, language, iter(UNIFORM)) is None
    infiller = Infiller(TOKENIZER, InfillingConfig(rate=1.0, cuts="syntax"), seed=1)
    plain = Infiller(TOKENIZER, InfillingConfig(rate=1.0), seed=1)
    tokens = np.array(TOKENIZER.encode(text), dtype=np.uint16)
    infilled = infiller(tokens, 5, 0, language)
    assert infilled.fell_back
    assert infilled.ids.tolist() == plain(tokens, 5, 0).ids.tolist()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("C", "int f(int x) { return x; }\n"),
        ("C++", "template <class T> T f(T x) { return x; }\n"),
        ("C#", "class A { int F() { return 1; } }\n"),
        ("Go", "package a\nfunc f() int { return 1 }\n"),
        ("Java", "class A { int f() { return 1; } }\n"),
        ("JavaScript", "const f = (x) => x + 1;\n"),
        ("TypeScript", "const f = (x: number): number => x + 1;\n"),
        ("Rust", "fn f(x: i32) -> i32 { x }\n"),
        ("Shell", "for x in a b; do echo $x; done\n"),
        ("SQL", "SELECT a FROM b WHERE c = 1;\n"),
    ],
)
def test_the_grammars_of_languages_are_found_without_a_network(language, text):
    assert syntax_cuts(text, language, iter(UNIFORM)) is not None


def test_mixtures_and_a_rate_that_changes():
    config = from_plain(InfillingConfig, {"cuts": {"random": 1, "line": 0, "syntax": 3}, "final_rate": 0.1}, "x")
    assert config.shares() == {"random": 0.25, "syntax": 0.75}
    kinds = [draw_kind(config.shares(), number) for number in UNIFORM]
    assert kinds.count("syntax") / len(kinds) == pytest.approx(0.75, abs=0.03)
    assert [config.rate_at(progress) for progress in (0, 0.5, 1)] == pytest.approx([0.9, 0.5, 0.1])
    tokens = np.array(TOKENIZER.encode(SAMPLE), dtype=np.uint16)
    infiller = Infiller(TOKENIZER, config, seed=1)
    for progress, expected in ((0.0, 0.9), (1.0, 0.1)):
        modes = [infiller(tokens, document, 0, "Python", progress).mode for document in range(1000)]
        assert 1 - modes.count(None) / 1000 == pytest.approx(expected, abs=0.04)


@pytest.mark.parametrize("cuts", ["line", "syntax", {"random": 0.3, "line": 0.3, "syntax": 0.4}])
@pytest.mark.parametrize("text", [SAMPLE, ACCENTS])
def test_the_document_comes_back(cuts, text):
    tokens = np.array(TOKENIZER.encode(text), dtype=np.uint16)
    infiller = Infiller(TOKENIZER, InfillingConfig(rate=1.0, cuts=cuts), seed=2)
    for document in range(100):
        infilled = infiller(tokens, document, 0, "Python")
        assert not infilled.fell_back
        assert recover_text(TOKENIZER, infilled.ids) in (text, f" {text}")


def test_mistakes(monkeypatch):
    for cuts in ({}, {"line": 0}, {"line": -1, "random": 2}):
        with pytest.raises(ChakuError, match=r"stages.code.infilling.cuts needs shares"):
            InfillingConfig(cuts=cuts).check("stages.code.infilling")
    with pytest.raises(ChakuError, match="must be one of 'random', 'line', 'syntax', not 'words'"):
        from_plain(InfillingConfig, {"cuts": "words"}, "infilling")
    with pytest.raises(ChakuError, match="must be one of 'random', 'line', 'syntax', not 'words'"):
        from_plain(InfillingConfig, {"cuts": {"words": 1}}, "infilling")
    assert grammar_package_problem() == ""
    monkeypatch.setattr(syntax_nodes, "version", lambda name: "1.25.0")
    assert "downloads each grammar" in grammar_package_problem()
    monkeypatch.setitem(__import__("sys").modules, "tree_sitter_language_pack", None)
    assert "pip install 'chaku[syntax]'" in grammar_package_problem()


def test_random_cuts_are_uniform():
    assert {random_cuts(1, first, second) for first in (0, 0.6) for second in (0, 0.6)} == {(0, 0), (0, 1), (1, 1)}
